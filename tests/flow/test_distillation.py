"""Distillation is the objective of an average velocity along the teacher's, with all that it is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from mfv2a.flow.objective import alphaflow_loss, distill_loss, meanflow_loss

Z = torch.randn(3, 5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
R, T = torch.tensor([0.0, 0.2, 0.5]).double(), torch.tensor([1.0, 0.7, 0.5]).double()


def velocity(z: Tensor, *, r: Tensor, t: Tensor) -> Tensor:
    return z * (1 + r + t * t)[:, None, None]


@pytest.mark.parametrize("power", [0.0, 0.5])
@pytest.mark.parametrize(("loss", "setting"), [(meanflow_loss, "jvp_scale"), (alphaflow_loss, "alpha")])
def test_distillation_passes_its_ramp_and_its_power_on(
    loss: Callable[..., tuple[Tensor, Tensor]], setting: str, power: float
) -> None:
    teacher = velocity(Z, r=T, t=T)
    found = {}
    for value in (0.3, 1.0):
        options = {"power": power, setting: value}
        found[value], _ = distill_loss(velocity, velocity, velocity, Z, R, T, **options)
        assert torch.equal(found[value], loss(velocity, velocity, Z, teacher, R, T, **options)[0])
    assert not torch.allclose(found[0.3], found[1.0])
