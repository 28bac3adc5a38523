"""Rows of a step: from which source they are, and what they hang on."""

from __future__ import annotations

import pytest
import torch

from mfv2a.data.dataset import Source, StepDataset


def drawn(*weights: float, rows: int = 2, seed: int = 0) -> dict[str, torch.Tensor]:
    sources = [Source(lambda rng: {"value": rng.normal(size=3)}, weight) for weight in weights]
    return StepDataset(sources, batch_size=rows, seed=seed)[0]


def test_each_seed_draws_rows_of_its_own() -> None:
    assert not torch.equal(drawn(1.0)["value"], drawn(1.0, seed=1)["value"])


def test_sources_have_the_shares_of_their_weights() -> None:
    assert drawn(1.0, 3.0, rows=2000)["source"].double().mean().item() == pytest.approx(0.75, abs=0.03)
