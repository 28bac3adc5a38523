"""From noise to data in one or more steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from mfv2a.errors import ConfigError
from mfv2a.flow.guidance import Velocity


def sample(
    velocity: Velocity,
    noise: Tensor,
    *,
    steps: int = 1,
    time_dtype: torch.dtype = torch.float32,
    renoise: Sequence[float] = (),
    fresh: Callable[[int], Tensor] | None = None,
) -> Tensor:
    """Carry noise to data along an average velocity, or along an instantaneous one by Euler's method.

    Each step is z <- z - (t - r) u(z, r, t) on an even grid from t = 1 to 0. An instantaneous velocity
    ignores r, and the step is then Euler's.

    With shares rho, noise is topped up before each step: from t to t' = min(t + rho (t - r), 1), by
    z <- s z + sqrt(t'^2 - (t s)^2) e with s = (1 - t') / (1 - t), which keeps z on the path (1 - t') x + t' e.

    Args:
        velocity: u(z, *, r, t) with r and t of shape [B].
        noise: e [B, ...].
        steps: number of steps; each costs one evaluation of `velocity`.
        time_dtype: of t and r; float64 for a network that turns its clock, so that 1 - t is rounded once.
        renoise: rho of each step, 0 to 1; () for none. The first has no effect, for nothing is above t = 1.
        fresh: makes the noise [B, ...] of a step by its number; needed with `renoise`.

    Returns:
        x [B, ...].

    Raises:
        ConfigError: fewer than one step, or not a share for each.

    Source: MeanFlow, arXiv 2505.13447, algorithm 2; renoising as in Woosh, arXiv 2604.01929.
    """
    if steps < 1:
        raise ConfigError(f"steps must be at least 1, not {steps}")
    if renoise and (len(renoise) != steps or fresh is None):
        raise ConfigError(f"renoising needs fresh noise and {steps} shares, not {len(renoise)}")
    times = torch.linspace(1.0, 0.0, steps + 1, dtype=time_dtype, device=noise.device)
    z = noise
    for k, (t, r) in enumerate(pairwise(times)):
        if renoise and fresh is not None and renoise[k] > 0 and t < 1:
            z, t = _top_up(z, t, r, renoise[k], fresh(k))
        z = z - (t - r).to(z.dtype) * velocity(z, r=r.expand(len(z)), t=t.expand(len(z)))
    return z


def spread(shares: Sequence[float], steps: int) -> tuple[float, ...]:
    """Shares rho made for one number of steps, for another: interpolated over the way from noise to data."""
    if len(shares) in (0, steps):
        return tuple(shares)
    places = np.linspace(0, len(shares) - 1, steps)
    return tuple(np.interp(places, range(len(shares)), shares).tolist())


def _top_up(z: Tensor, t: Tensor, r: Tensor, share: float, fresh: Tensor) -> tuple[Tensor, Tensor]:
    """The state at a later time of the path, and that time."""
    later = (t + share * (t - r)).clamp(max=1.0)
    scale = (1 - later) / (1 - t + 1e-12)
    spread = (later.square() - (t * scale).square()).clamp(min=0).sqrt()
    return scale.to(z.dtype) * z + spread.to(z.dtype) * fresh.to(z), later


def ignore_interval(velocity: Velocity) -> Velocity:
    """An instantaneous velocity v(z, *, t) in the place of an average one: the end of the interval is not looked at."""

    def instantaneous(z: Tensor, *, r: Tensor, t: Tensor) -> Tensor:
        return velocity(z, t=t)

    return instantaneous


def at_instant(velocity: Velocity) -> Velocity:
    """A network with two times that learned the instantaneous velocity alone: both are set to the later one."""

    def instantaneous(z: Tensor, *, r: Tensor, t: Tensor) -> Tensor:
        return velocity(z, r=t, t=t)

    return instantaneous
