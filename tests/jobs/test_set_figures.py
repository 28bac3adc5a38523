"""Figures of sets of sounds and of the difference of two: what the draws of clips can tell, and what they cannot."""

from __future__ import annotations

import numpy as np
import pytest

from mfv2a.evaluation.bootstrap import Estimate
from mfv2a.jobs.figures import compare


def estimate(value: float, drawn: np.ndarray) -> Estimate:
    return Estimate(value=value, low=None, high=None, clips=40, undefined=0, drawn=drawn, units=40)


@pytest.mark.parametrize(("name", "sign"), [("frechet_yamnet", 1), ("kernel_yamnet", 1), ("inception_yamnet", -1)])
def test_the_share_that_is_better_agrees_with_the_interval_though_draws_are_biased(name: str, sign: int) -> None:
    spread = np.random.default_rng(0).normal(0.0, 1.0, 200)
    # In the draws A, which is better by 10, is worse by 5: its bias is the larger one.
    first, second = estimate(20.0 - sign * 10.0, 20.0 + sign * 5.0 + spread), estimate(20.0, np.full(200, 20.0))
    row = compare({name: first}, {name: second})[name]
    assert row["difference"] == pytest.approx(-sign * 10.0)
    assert max(sign * row["low"], sign * row["high"]) < 0
    assert row["share_a_better"] == 1.0


def test_the_share_of_means_counts_the_draws_as_they_are() -> None:
    drawn = np.concatenate([np.full(30, 0.1), np.full(10, -0.1)])
    row = compare({"stoi": estimate(0.5, drawn)}, {"stoi": estimate(0.3, np.zeros(40))})["stoi"]
    assert row["share_a_better"] == 0.75
