"""What moves the weights of a run, and what follows them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mfv2a.config import OptimizerConfig
from mfv2a.training.ema import EMA
from mfv2a.training.state import step_generator
from mfv2a.training.team import Team
from training.team_cases import OBJECTIVES, start


def test_the_optimizer_is_the_configured_one(tmp_path: Path) -> None:
    training = start(tmp_path, OBJECTIVES["flow-matching"], Team())
    configured = OptimizerConfig(beta2=0.9, eps=1e-4, weight_decay=0.03)
    (group,) = replace(training, config=replace(training.config, optimizer=configured)).optimizer.param_groups
    assert (group["betas"][1], group["eps"], group["weight_decay"]) == (0.9, 1e-4, 0.03)


def test_parts_of_a_batch_count_by_their_rows(tmp_path: Path) -> None:
    """Eight rows in three parts are three, three and two: loss and gradient are those of the whole."""
    found = []
    for parts in (1, 3):
        training = start(tmp_path / str(parts), OBJECTIVES["flow-matching"], Team(), accumulate=parts)
        loss, numbers = training._gradient(next(iter(training.batches(0))))
        gradient = torch.cat([w.grad.flatten() for w in training.task.network.parameters() if w.grad is not None])
        found.append((loss, numbers["mse"], gradient))
    (loss, mse, gradient), expected = found[1], found[0]
    assert (loss, mse) == pytest.approx(expected[:2], rel=1e-5)
    assert torch.allclose(gradient, expected[2], rtol=1e-4, atol=1e-8)


def test_each_step_of_each_seed_has_noise_of_its_own() -> None:
    def draw(seed: int, step: int) -> float:
        return torch.rand((), generator=step_generator(seed, step), dtype=torch.float64).item()

    assert len({draw(seed, step) for seed in range(3) for step in range(3)}) == 9
    assert draw(1, 2) == draw(1, 2)


def test_whole_numbers_of_a_network_are_copied_into_its_average() -> None:
    network = torch.nn.BatchNorm1d(2)
    average = EMA(network, 0.9)
    network(torch.randn(4, 2, generator=torch.Generator().manual_seed(0)))
    average.update(network, 1000)
    assert average.state["num_batches_tracked"].item() == 1
