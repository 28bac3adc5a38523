"""Training losses: flow matching, MeanFlow, alpha-Flow. Each takes a velocity callable, gives a loss per sample."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mfv2a.flow.guidance import Velocity
from mfv2a.flow.path import expand_time


class MeanFlowTerms(NamedTuple):
    """What the MeanFlow objective computes on the way.

    Attributes:
        u: the network's prediction with gradient [B, ...].
        derivative: du/dt along the path, no gradient [B, ...]; zero where r = t.
        target: v - (t - r) du/dt, no gradient [B, ...].
    """

    u: Tensor
    derivative: Tensor
    target: Tensor


def adaptive_weight(error: Tensor, *, power: float, eps: float = 1e-3) -> Tensor:
    """Weight each sample's squared error by 1 / (error + eps)^power, the weight without gradient.

    Args:
        error: mean squared error per sample [B].
        power: p; 0 leaves the error as it is, 1 makes the loss insensitive to its scale.
        eps: added before the power.

    Source: MeanFlow, arXiv 2505.13447, equation (22).
    """
    return error / (error.detach() + eps).pow(power)


def mean_square(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference per sample, in float32: [B, ...] to [B]."""
    return (prediction.float() - target.float()).square().flatten(1).mean(1)


def flow_matching_loss(velocity: Velocity, z: Tensor, v: Tensor, t: Tensor) -> Tensor:
    """|u(z, t, t) - v|^2 per sample: [B].

    Args:
        velocity: u(z, *, r, t).
        z: point of the path [B, ...].
        v: its velocity e - x [B, ...].
        t: times [B].

    Source: Lipman et al., arXiv 2210.02747, equation (14).
    """
    return mean_square(velocity(z, r=t, t=t), v)


def meanflow_terms(
    velocity: Velocity, frozen: Velocity, z: Tensor, v: Tensor, r: Tensor, t: Tensor, *, jvp_scale: float = 1.0
) -> MeanFlowTerms:
    """Prediction and target of the MeanFlow identity u = v - (t - r) du/dt.

    The derivative is needed only where r < t and carries no gradient, so it comes from one Jacobian-vector
    product over those rows; one ordinary forward over the whole batch carries the gradient.

    Args:
        velocity: u(z, *, r, t) on the batch, with gradient.
        frozen: the same function on the rows with r < t alone, in their order.
        z: point of the path [B, ...].
        v: velocity to follow [B, ...]: e - x, or a guided one.
        r: start of the interval [B].
        t: end of the interval [B].
        jvp_scale: factor on the derivative's term, raised from 0 to 1 at the start of training.

    Returns:
        the three terms.

    Source: MeanFlow, arXiv 2505.13447, equations (6), (8), (11) and algorithm 1.
    """
    u = velocity(z, r=r, t=t)
    rows = (r < t).nonzero()[:, 0]
    derivative = torch.zeros_like(z)
    if len(rows):
        zs, rs, ts = z[rows], r[rows], t[rows]
        with torch.no_grad():
            tangents = (v[rows].detach(), torch.zeros_like(rs), torch.ones_like(ts))
            slope: Tensor = torch.func.jvp(lambda a, b, c: frozen(a, r=b, t=c), (zs, rs, ts), tangents)[1]
        derivative = derivative.index_copy(0, rows, slope.detach().to(derivative.dtype))
    target = (v - expand_time(t - r, v) * jvp_scale * derivative).detach()
    return MeanFlowTerms(u, derivative, target)


def meanflow_loss(
    velocity: Velocity,
    frozen: Velocity,
    z: Tensor,
    v: Tensor,
    r: Tensor,
    t: Tensor,
    *,
    power: float = 1.0,
    jvp_scale: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """The MeanFlow loss with adaptive weights.

    Args:
        velocity: as in `meanflow_terms`.
        frozen: as in `meanflow_terms`.
        z: point of the path [B, ...].
        v: velocity to follow [B, ...].
        r: start of the interval [B].
        t: end of the interval [B].
        power: p of `adaptive_weight`.
        jvp_scale: as in `meanflow_terms`.

    Returns:
        weighted loss per sample [B] and the plain squared error per sample [B].

    Source: MeanFlow, arXiv 2505.13447, equations (9) and (22).
    """
    terms = meanflow_terms(velocity, frozen, z, v, r, t, jvp_scale=jvp_scale)
    error = mean_square(terms.u, terms.target)
    return adaptive_weight(error, power=power), error.detach()


def alphaflow_loss(
    velocity: Velocity,
    frozen: Velocity,
    z: Tensor,
    v: Tensor,
    r: Tensor,
    t: Tensor,
    *,
    alpha: float,
    power: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """MeanFlow without a derivative: the average over [r, t] from a first part by v and the rest by u itself.

    With s = alpha r + (1 - alpha) t and z_s = z - (t - s) v the target is alpha v + (1 - alpha) u(z_s, r, s), u
    without gradient. At alpha = 1 this is flow matching with two times; as alpha goes to 0 the gradient becomes
    that of `meanflow_loss`: where r < t the difference shrinks with alpha, so it is divided by it.

    Args:
        velocity: u(z, *, r, t) on the batch, with gradient.
        frozen: the same function on the rows with r < t alone, in their order.
        z: point of the path [B, ...].
        v: velocity to follow [B, ...].
        r: start of the interval [B].
        t: end of the interval [B].
        alpha: share of the interval that is stepped along v, above 0 and at most 1.
        power: p of `adaptive_weight`.

    Returns:
        weighted loss per sample [B] and the plain squared error per sample [B].

    Source: Zhang et al., "AlphaFlow: Understanding and Improving MeanFlow Models", arXiv 2510.20771, the alpha-Flow
    objective; its adaptive weight alpha / (error + c) is the one for power 1 but for the constant.
    """
    u = velocity(z, r=r, t=t)
    target = v.detach().clone()
    rows = (r < t).nonzero()[:, 0]
    if len(rows) and alpha < 1:
        zs, vs, rs, ts = z[rows], v[rows].detach(), r[rows], t[rows]
        middle = alpha * rs + (1 - alpha) * ts
        with torch.no_grad():
            rest = frozen(zs - expand_time(ts - middle, zs) * vs, r=rs, t=middle)
        target.index_copy_(0, rows, (alpha * vs + (1 - alpha) * rest).to(target.dtype))
    error = mean_square(u, target)
    share = torch.where(r < t, alpha, 1.0).to(error)
    return adaptive_weight(error / share.square(), power=power) * share, error.detach()
