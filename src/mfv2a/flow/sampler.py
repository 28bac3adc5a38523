"""From noise to data in one or more steps."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from mfv2a.errors import ConfigError
from mfv2a.flow.guidance import Velocity


def sample(velocity: Velocity, noise: Tensor, *, steps: int = 1, time_dtype: torch.dtype = torch.float32) -> Tensor:
    """Carry noise to data along an average velocity, or along an instantaneous one by Euler's method.

    Each step is z <- z - (t - r) u(z, r, t) on an even grid from t = 1 to 0. An instantaneous velocity
    ignores r, and the step is then Euler's.

    Args:
        velocity: u(z, *, r, t) with r and t of shape [B].
        noise: e [B, ...].
        steps: number of steps; each costs one evaluation of `velocity`.
        time_dtype: of t and r; float64 for a network that turns its clock, so that 1 - t is rounded once.

    Returns:
        x [B, ...].

    Raises:
        ConfigError: fewer than one step.

    Source: MeanFlow, arXiv 2505.13447, algorithm 2.
    """
    if steps < 1:
        raise ConfigError(f"steps must be at least 1, not {steps}")
    times = torch.linspace(1.0, 0.0, steps + 1, dtype=time_dtype, device=noise.device)
    z = noise
    for t, r in pairwise(times):
        z = z - (t - r).to(z.dtype) * velocity(z, r=r.expand(len(z)), t=t.expand(len(z)))
    return z


def ignore_interval(velocity: Velocity) -> Velocity:
    """An instantaneous velocity v(z, *, t) in the place of an average one: the end of the interval is not looked at."""

    def instantaneous(z: Tensor, *, r: Tensor, t: Tensor) -> Tensor:
        return velocity(z, t=t)

    return instantaneous
