"""Strikes: which frames of a curve they are, when they fall, and how sure one must be."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from mfv2a.encoders.compact import STRIKE_THRESHOLD, CompactLook
from mfv2a.records import UNCERTAIN_BELOW
from mfv2a.timeline import find_strikes
from mfv2a.work import Seen


def curve(frames: dict[int, float], *, low: float = 0.0) -> np.ndarray:
    """Fifty frames that are low but for some."""
    values = np.full(50, low, np.float32)
    values[list(frames)] = list(frames.values())
    return values


@pytest.mark.parametrize(
    ("frames", "strikes"),
    [
        ({10: 0.9, 11: 0.9}, [10]),
        ({10: 0.9, 12: 0.9}, [10]),
        ({10: 0.9, 13: 0.8}, [10, 13]),
        ({5: 0.6, 7: 0.9}, [7]),
        ({5: 0.9, 7: 0.6}, [5]),
    ],
)
def test_of_strikes_less_than_three_frames_apart_the_higher_or_first_one_counts(
    frames: dict[int, float], strikes: list[int]
) -> None:
    assert find_strikes(curve(frames), STRIKE_THRESHOLD) == strikes


def look(onset: np.ndarray) -> Seen:
    """What the embedded model sees where its sync encoder tells such a curve."""
    told = torch.zeros(len(onset), 64), torch.logit(torch.from_numpy(onset))
    sync: Any = SimpleNamespace(mean=torch.zeros(1), encode=lambda motion: told)
    seeing = CompactLook(sync, None)
    seeing.add("motion", np.zeros((len(onset), 168), np.float32))
    return seeing.seen()


def test_strikes_are_told_at_the_time_of_their_frame() -> None:
    seen = look(curve({20: 0.9, 33: 0.5}, low=0.01))
    assert seen.strikes_s == (0.8, 1.32)
    assert seen.confidence == pytest.approx(0.9)
    assert look(curve({20: 0.76, 33: 0.5}, low=0.01)).strikes_s == (0.8, 1.32)


def test_nothing_strikes_where_none_is_sure_and_confidence_is_less_than_its_height() -> None:
    seen = look(curve({20: 0.7, 33: 0.5}, low=0.01))
    assert seen.strikes_s == ()
    assert seen.confidence == pytest.approx(0.4 * 0.7)
    unsure = look(curve({20: 0.74, 33: 0.5}, low=0.01))
    assert unsure.strikes_s == ()
    assert unsure.confidence < UNCERTAIN_BELOW
