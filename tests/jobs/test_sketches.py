"""What is drawn of a sound."""

from __future__ import annotations

import numpy as np
import pytest

from mfv2a.jobs.gallery import _height
from mfv2a.jobs.sketches import SHADES, draw_spectrogram

RATE_HZ = 32_000


def tone(hertz: float, seconds: float = 2.0) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)).astype(np.float32)


@pytest.mark.parametrize("hertz", [500.0, 2000.0, 6000.0, 12000.0])
def test_a_tone_lies_where_the_axis_says(hertz: float) -> None:
    picture, top_hz = draw_spectrogram(tone(hertz), RATE_HZ, 2.0)
    assert picture.shape == (64, 400)
    assert top_hz == (16_000 if hertz > 8000 else 8000)
    row = int(picture[:, 200].argmax())
    assert abs((1 - (row + 0.5) / 64) - _height(hertz, top_hz)) < 0.04


def test_a_hit_lies_at_its_time_and_shades_are_few() -> None:
    wave = np.zeros(4 * RATE_HZ, np.float32)
    wave[RATE_HZ : RATE_HZ + 800] = np.random.default_rng(0).uniform(-0.5, 0.5, 800)
    picture, _ = draw_spectrogram(wave, RATE_HZ, 4.0)
    loud = np.flatnonzero(picture.max(axis=0) > 200)
    assert abs(loud.mean() - 101) < 4
    assert len(np.unique(picture)) <= SHADES


def test_silence_is_black_and_what_the_sound_lacks_is_silence() -> None:
    assert not draw_spectrogram(np.zeros(1000, np.float32), RATE_HZ, 1.0)[0].any()
    half, _ = draw_spectrogram(tone(1000, 1.0), RATE_HZ, 2.0)
    assert half[:, 100].max() == 255
    assert half[:, 300].max() == 0


@pytest.mark.parametrize("seconds", [0.01, 0.1, 180.0])
def test_any_length_gives_the_same_size(seconds: float) -> None:
    assert draw_spectrogram(tone(440, seconds), RATE_HZ, seconds)[0].shape == (64, 400)
