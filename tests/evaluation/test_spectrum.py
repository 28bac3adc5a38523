"""Mel bands of the judges: a wide one counts no more than a narrow one."""

from __future__ import annotations

import numpy as np

from mfv2a.evaluation.spectrum import log_mel, mel_bands

RATE = 16_000


def test_each_mel_filter_sums_to_one() -> None:
    filters = mel_bands(RATE, window=1024, bands=80, low_hz=20.0, high_hz=8000.0)
    np.testing.assert_allclose(filters.sum(axis=0), 1, rtol=1e-5)


def test_white_noise_is_as_loud_in_each_mel_band() -> None:
    noise = (0.1 * np.random.default_rng(0).standard_normal(8 * RATE)).astype(np.float32)
    means = np.exp(log_mel(noise, RATE)[4:-4]).mean(axis=0)
    np.testing.assert_allclose(means, means.mean(), rtol=0.15)
