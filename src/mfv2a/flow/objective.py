"""Training losses: flow matching, MeanFlow, alpha-Flow, distillation, the energy score of one step.

Each takes a velocity callable and gives a loss per sample.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
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

    Source: MeanFlow, arXiv 2505.13447, equation (22), but of the mean over the D numbers of a sample, not of the sum:
    eps here is the paper's c / D, and with p below 1 the loss is smaller by the constant D^(1 - p).
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
    velocity: Velocity,
    frozen: Velocity,
    z: Tensor,
    v: Tensor,
    r: Tensor,
    t: Tensor,
    *,
    rows: Tensor | None = None,
    jvp_scale: float = 1.0,
) -> MeanFlowTerms:
    """Prediction and target of the MeanFlow identity u = v - (t - r) du/dt.

    The derivative is needed only where r < t and carries no gradient, so it comes from one Jacobian-vector
    product over those rows; one ordinary forward over the whole batch carries the gradient.

    Args:
        velocity: u(z, *, r, t) on the batch, with gradient.
        frozen: the same function on `rows` alone, in their order.
        z: point of the path [B, ...].
        v: velocity to follow [B, ...]: e - x, or a guided one.
        r: start of the interval [B].
        t: end of the interval [B].
        rows: where to take the derivative: all rows with r < t and, at will, others, which it does not change; just
            those with r < t if None.
        jvp_scale: factor on the derivative's term, raised from 0 to 1 at the start of training.

    Returns:
        the three terms.

    Source: MeanFlow, arXiv 2505.13447, equations (6), (8), (11) and algorithm 1.
    """
    u = velocity(z, r=r, t=t)
    rows = (r < t).nonzero()[:, 0] if rows is None else rows
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
    rows: Tensor | None = None,
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
        rows: as in `meanflow_terms`.
        power: p of `adaptive_weight`.
        jvp_scale: as in `meanflow_terms`.

    Returns:
        weighted loss per sample [B] and the plain squared error per sample [B].

    Source: MeanFlow, arXiv 2505.13447, equations (9) and (22).
    """
    terms = meanflow_terms(velocity, frozen, z, v, r, t, rows=rows, jvp_scale=jvp_scale)
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
    rows: Tensor | None = None,
    power: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """MeanFlow without a derivative: the average over [r, t] from a first part by v and the rest by u itself.

    With s = alpha r + (1 - alpha) t and z_s = z - (t - s) v the target is alpha v + (1 - alpha) u(z_s, r, s), u
    without gradient. At alpha = 1 this is flow matching with two times; as alpha goes to 0 the gradient becomes
    that of `meanflow_loss`: where r < t the difference shrinks with alpha, so it is divided by it.

    Args:
        velocity: u(z, *, r, t) on the batch, with gradient.
        frozen: as in `meanflow_terms`.
        z: point of the path [B, ...].
        v: velocity to follow [B, ...].
        r: start of the interval [B].
        t: end of the interval [B].
        alpha: share of the interval that is stepped along v, above 0 and at most 1.
        rows: as in `meanflow_terms`.
        power: p of `adaptive_weight`.

    Returns:
        weighted loss per sample [B] and the plain squared error per sample [B].

    Source: Zhang et al., "AlphaFlow: Understanding and Improving MeanFlow Models", arXiv 2510.20771, the alpha-Flow
    objective; its adaptive weight alpha / (error + c) is the one for power 1 but for the constant.
    """
    u = velocity(z, r=r, t=t)
    target = v.detach().clone()
    rows = (r < t).nonzero()[:, 0] if rows is None else rows
    if len(rows) and alpha < 1:
        zs, vs, rs, ts = z[rows], v[rows].detach(), r[rows], t[rows]
        middle = alpha * rs + (1 - alpha) * ts
        with torch.no_grad():
            rest = frozen(zs - expand_time(ts - middle, zs) * vs, r=rs, t=middle)
        mixed = torch.where(expand_time(rs < ts, zs).bool(), alpha * vs + (1 - alpha) * rest, vs)
        target.index_copy_(0, rows, mixed.to(target.dtype))
    error = mean_square(u, target)
    share = torch.where(r < t, alpha, 1.0).to(error)
    return adaptive_weight(error / share.square(), power=power) * share, error.detach()


def distill_loss(
    velocity: Velocity,
    frozen: Velocity,
    teacher: Velocity,
    z: Tensor,
    r: Tensor,
    t: Tensor,
    *,
    alpha: float | None = None,
    rows: Tensor | None = None,
    power: float = 1.0,
    jvp_scale: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """The average of a teacher's velocity: MeanFlow, or alpha-Flow, along the teacher's path instead of e - x.

    With v_T(z, t) the teacher's velocity, guided where it is, the target is v_T - (t - r) du/dt, the derivative along
    (v_T, dr = 0, dt = 1). Its fixed point is the average of v_T over the teacher's own trajectory through z, so that
    one step lands where the teacher's solver would with many; where r = t the student is the teacher. Because v_T is a
    function of z and t, not a sample, the target has no variance that the pair (x, e) would bring.

    Args:
        velocity: u(z, *, r, t) on the batch, with gradient.
        frozen: as in `meanflow_terms`.
        teacher: v_T as a velocity u(z, *, r, t), called with r = t and without gradient.
        z: point of the path [B, ...].
        r: start of the interval [B].
        t: end of the interval [B].
        alpha: None for MeanFlow's target by the derivative; else alpha-Flow's, which steps this share along v_T.
        rows: as in `meanflow_terms`.
        power: p of `adaptive_weight`.
        jvp_scale: as in `meanflow_terms`.

    Returns:
        weighted loss per sample [B] and the plain squared error per sample [B].

    Source: Sabour et al., "Align Your Flow", arXiv 2506.14603, the Eulerian map distillation, whose teacher is guided
    likewise; Boffi et al., "Flow Map Matching", arXiv 2406.07507, Eulerian map distillation, dX/ds + v . grad X = 0;
    written for u with X(z, t -> r) = z - (t - r) u, it is the identity of MeanFlow, arXiv 2505.13447, equation (6).
    """
    with torch.no_grad():
        v = teacher(z, r=t, t=t)
    if alpha is None:
        return meanflow_loss(velocity, frozen, z, v, r, t, rows=rows, power=power, jvp_scale=jvp_scale)
    return alphaflow_loss(velocity, frozen, z, v, r, t, alpha=alpha, rows=rows, power=power)


def energy_score(one: Tensor, other: Tensor, true: Tensor, distance: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """How far two draws are from what is true, less how far they are from each other, per sample [B].

    (d(x, y) + d(x', y) - d(x, x')) / 2, with d a Euclidean norm of the difference or a sum of such norms of linear
    parts of it, is a proper scoring rule: on average, draws from the distribution of what is true make it least. The
    mean of all answers, which a squared difference rewards, does not.

    Args:
        one: a draw x [B, ...].
        other: one with noise of its own, x' [B, ...].
        true: y [B, ...].
        distance: d, of two such tensors to [B].

    Source: Gneiting and Raftery, "Strictly proper scoring rules, prediction, and estimation", JASA 2007, section 4.3;
    as the loss of a sampler of few steps: De Bortoli et al., "Distributional Diffusion Models with Scoring Rules",
    arXiv 2502.02483.
    """
    return (distance(one, true) + distance(other, true) - distance(one, other)) / 2


SPANS = (1, 4, 16)
"""Frames of the stretches of latents that `sequence_distance` looks at, beside single values and the whole."""


def sequence_distance(a: Tensor, b: Tensor) -> Tensor:
    """Distance of sequences [B, N, C] for the energy score, on several scales of time: [B].

    The mean of root mean squares of the difference: of single values, of stretches of frames, of the means over these
    stretches and over all frames. Means count the fourth root of their length, halfway between the square root, by
    which noise would count alike on each scale, and one, by which what lasts would.
    """
    gap = (a - b).float().transpose(1, 2)  # [B, C, N]
    frames = gap.shape[-1]
    terms = [_root(gap.square()).mean((1, 2))]
    for span in (*(span for span in SPANS if span < frames), frames):
        if span < frames:
            terms.append(_root(F.avg_pool1d(gap.square(), span).mean(1)).mean(1))
        if span > 1:
            terms.append(_root(F.avg_pool1d(gap, span).square().mean(1)).mean(1) * span**0.25)
    return torch.stack(terms).mean(0)


def _root(square: Tensor) -> Tensor:
    """A root with a gradient where there is no difference."""
    return (square + 1e-6).sqrt()
