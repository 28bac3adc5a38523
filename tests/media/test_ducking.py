"""The gain of a side-chain is its closed form: exponentials in dB, down while the other sound is heard, up after."""

from __future__ import annotations

import numpy as np
import pytest

from mfv2a.media.ducking import (
    ATTACK_S,
    BLOCK_S,
    HOLD_S,
    PIECE_BLOCKS,
    RELEASE_S,
    THRESHOLD_DBFS,
    duck_gain,
    is_heard_in,
)

RATE = 8000


def decibels(gain: np.ndarray) -> np.ndarray:
    return 20 * np.log10(gain.astype(np.float64))


def test_the_gain_falls_and_rises_by_its_time_constants() -> None:
    other = np.zeros(4 * RATE, np.float32)
    other[RATE : 2 * RATE] = 0.5  # heard from 1 s on, to 2 s and a moment longer
    path = decibels(duck_gain(other, RATE, 12.0))
    seconds = np.arange(1, len(path) + 1) / RATE
    end_s = 2.0 + HOLD_S
    down = seconds[RATE : round(end_s * RATE)] - 1.0
    np.testing.assert_allclose(path[:RATE], 0.0, atol=1e-5)
    np.testing.assert_allclose(path[RATE : round(end_s * RATE)], -12 * (1 - np.exp(-down / ATTACK_S)), atol=1e-3)
    up = seconds[round(end_s * RATE) :] - end_s
    np.testing.assert_allclose(path[round(end_s * RATE) :], -12 * np.exp(-up / RELEASE_S), atol=1e-3)


def test_a_sound_that_comes_back_is_met_from_where_the_gain_is() -> None:
    other = np.zeros(3 * RATE, np.float32)
    other[: RATE // 2] = other[RATE : RATE + RATE // 2] = 0.5
    gain = duck_gain(other, RATE, 20.0)
    assert np.abs(np.diff(decibels(gain))).max() < 20 / (ATTACK_S * RATE) + 1e-3  # it never jumps
    assert gain.max() <= 1
    assert decibels(gain).min() >= -20 - 1e-4


@pytest.mark.parametrize(("level_db", "heard"), [(THRESHOLD_DBFS - 1, False), (THRESHOLD_DBFS + 1, True)])
def test_what_lies_below_the_threshold_is_not_heard(level_db: float, heard: bool) -> None:
    other = np.full((RATE, 2), 10 ** (level_db / 20), np.float32)
    other[:, 1] = 0  # one channel is enough
    assert is_heard_in(other, RATE).all() == is_heard_in(other, RATE).any() == heard
    assert (duck_gain(other, RATE, 6.0).min() < 0.99) == heard


def test_a_hold_counts_blocks_and_odd_lengths_fit() -> None:
    other = np.zeros(1001, np.float32)
    other[0] = 1
    assert is_heard_in(other, 1000).sum() == round(HOLD_S / BLOCK_S) + 1
    assert len(duck_gain(other, 1000, 6.0)) == 1001
    assert duck_gain(np.zeros(0, np.float32), 1000, 6.0).shape == (0,)


def test_what_comes_late_in_a_long_sound_is_heard_at_its_place() -> None:
    place = PIECE_BLOCKS + 1000  # beyond the first piece that is read at once
    block = round(BLOCK_S * RATE)
    other = np.zeros((place + 2000) * block, np.float32)
    other[place * block] = 0.5
    heard = np.flatnonzero(is_heard_in(other, RATE))
    assert heard.tolist() == list(range(place, place + round(HOLD_S / BLOCK_S) + 1))


def test_a_long_stretch_is_worked_out_piece_by_piece_without_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    other = np.zeros(3 * RATE, np.float32)
    other[RATE : 2 * RATE] = 0.5
    whole = duck_gain(other, RATE, 12.0)
    monkeypatch.setattr("mfv2a.media.ducking.PIECE_SAMPLES", 100)
    np.testing.assert_allclose(duck_gain(other, RATE, 12.0), whole, rtol=1e-5)
