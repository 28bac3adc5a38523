"""What moves the weights of a run, and what follows them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from mfv2a.config import OptimizerConfig
from mfv2a.training.ema import EMA
from mfv2a.training.team import Team
from training.team_cases import OBJECTIVES, start


def test_the_optimizer_is_the_configured_one(tmp_path: Path) -> None:
    training = start(tmp_path, OBJECTIVES["flow-matching"], Team())
    configured = OptimizerConfig(beta2=0.9, eps=1e-4, weight_decay=0.03)
    (group,) = replace(training, config=replace(training.config, optimizer=configured)).optimizer.param_groups
    assert (group["betas"][1], group["eps"], group["weight_decay"]) == (0.9, 1e-4, 0.03)


def test_whole_numbers_of_a_network_are_copied_into_its_average() -> None:
    network = torch.nn.BatchNorm1d(2)
    average = EMA(network, 0.9)
    network(torch.randn(4, 2, generator=torch.Generator().manual_seed(0)))
    average.update(network, 1000)
    assert average.state["num_batches_tracked"].item() == 1
