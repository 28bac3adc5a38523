"""Intervals of figures of whole sets: how far they reach, and where they end."""

from __future__ import annotations

import numpy as np
import pytest

from mfv2a.evaluation.bootstrap import normal_interval, reach, set_estimate

DRAWN = np.random.default_rng(0).normal(5.0, 2.0, 200)


def test_an_interval_of_few_sounds_reaches_as_far_as_students_and_not_as_the_normal_one() -> None:
    low, high = normal_interval(5.0, DRAWN, 6)
    wanted = reach(6) * DRAWN.std(ddof=1)
    assert (low, high) == (pytest.approx(5.0 - wanted), pytest.approx(5.0 + wanted))


def test_an_interval_ends_at_the_least_that_a_figure_can_be() -> None:
    bounded, free = set_estimate(0.5, DRAWN, 6, least=0.0), set_estimate(0.5, DRAWN, 6)
    assert bounded.low == 0.0
    assert free.low is not None
    assert free.low < 0
    assert bounded.high == free.high
