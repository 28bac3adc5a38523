"""Classifier-free guidance: at sampling with a rescaled unconditional branch, and inside the training target."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mfv2a.flow.path import expand_time

Velocity = Callable[..., Tensor]


def projection_scale(conditional: Tensor, unconditional: Tensor) -> Tensor:
    """The scalar s that brings s * unconditional closest to the conditional prediction, per sample.

    s = <u_c, u_0> / (||u_0||^2 + 1e-8), over all axes but the first, in float32.

    Args:
        conditional: u_c [B, ...].
        unconditional: u_0 [B, ...].

    Returns:
        [B] float32.

    Source: scalar rescaling of CFG for one-step video-to-audio, arXiv 2509.06389; the same scalar as
    CFG-Zero*, arXiv 2503.18886.
    """
    c, u = conditional.float().flatten(1), unconditional.float().flatten(1)
    return (c * u).sum(1) / (u.square().sum(1) + 1e-8)


def combine(conditional: Tensor, unconditional: Tensor, strength: float | Tensor, *, rescale: bool = True) -> Tensor:
    """Guided velocity s u_0 + w (u_c - s u_0), with s = 1 when not rescaled.

    Args:
        conditional: u_c [B, ...].
        unconditional: u_0 [B, ...].
        strength: w, for all samples or one each [B]; 1 gives u_c.
        rescale: use `projection_scale`.

    Returns:
        [B, ...] in the dtype of the conditional prediction.
    """
    c, u = conditional.float(), unconditional.float()
    if rescale:
        u = projection_scale(c, u).reshape(-1, *[1] * (c.dim() - 1)) * u
    return (u + _each(strength, c) * (c - u)).to(conditional.dtype)


def match_deviation(guided: Tensor, conditional: Tensor, z: Tensor, t: Tensor) -> Tensor:
    """A guided velocity whose data prediction spreads as much as the conditional one's.

    A velocity u at z predicts the data z - t u, of which one step from t = 1 is the whole output. Guidance makes it
    spread more; here its deviation over all axes but the first is brought back to the conditional prediction's, its
    mean is left: x = m + (x_w - m) std(x_c) / std(x_w), and the velocity is (z - x) / t.

    Args:
        guided: u_w [B, ...].
        conditional: u_c [B, ...].
        z: where they were taken [B, ...].
        t: when [B], above 0.

    Returns:
        [B, ...] in the dtype of the guided velocity.

    Source: Lin et al., "Common Diffusion Noise Schedules and Sample Steps are Flawed", arXiv 2305.08891, equations (15)
    and (16) with phi = 1, here on the predicted data.
    """
    time = expand_time(t, z).float()
    made, wanted = z.float() - time * guided.float(), z.float() - time * conditional.float()
    axes = tuple(range(1, z.dim()))
    mean = made.mean(axes, keepdim=True)
    scale = wanted.std(axes, keepdim=True) / (made.std(axes, keepdim=True) + 1e-8)
    return ((z.float() - mean - (made - mean) * scale) / time).to(guided.dtype)


def guide(doubled: Velocity, strength: float | Tensor, *, rescale: bool = True, match: bool = False) -> Velocity:
    """A guided velocity from one that evaluates both branches in one doubled batch.

    Args:
        doubled: u(z, *, r, t) on a batch of 2B whose first half is conditional, second half unconditional.
        strength: w, as in `combine`.
        rescale: as in `combine`.
        match: bring the deviation of what is predicted back to that of the conditional branch, `match_deviation`.

    Returns:
        u(z, *, r, t) on a batch of B.
    """

    def guided(z: Tensor, *, r: Tensor, t: Tensor) -> Tensor:
        both = doubled(torch.cat([z, z]), r=torch.cat([r, r]), t=torch.cat([t, t]))
        conditional, unconditional = both.chunk(2)
        mixed = combine(conditional, unconditional, strength, rescale=rescale)
        return match_deviation(mixed, conditional, z, t) if match else mixed

    return guided


def _each(weight: float | Tensor, like: Tensor) -> float | Tensor:
    """A weight of each sample [B] as one that multiplies samples [B, ...]; one number stays as it is."""
    return expand_time(weight.to(like), like) if isinstance(weight, Tensor) else weight


def guided_target(
    v: Tensor, conditional: Tensor, unconditional: Tensor, *, omega: float | Tensor, kappa: float
) -> Tensor:
    """Velocity to train on so that guidance is baked into the network.

    v_hat = omega v + kappa u(z, t, t | c) + (1 - omega - kappa) u(z, t, t | empty); the effective strength is
    omega / (1 - kappa).

    Args:
        v: e - x [B, ...].
        conditional: the network's own instantaneous velocity with conditions, no gradient [B, ...].
        unconditional: the same without conditions [B, ...].
        omega: weight of the sample's velocity, for all samples or one each [B].
        kappa: weight of the conditional prediction.

    Source: MeanFlow, arXiv 2505.13447, appendix on improved CFG, equation (21).
    """
    share = _each(omega, v)
    return share * v + kappa * conditional + (1 - share - kappa) * unconditional
