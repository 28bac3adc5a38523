"""Loudness by EBU R 128: measure it, reach it, and keep peaks below the ceiling.

Sound is float32 [S] mono or [S, channels]. Levelling is a gain for each sample, so that parts of a mix can be
levelled alike. This file does not know what the sound is of.

Sources: ITU-R BS.1770-4 (K-weighting, gates, true peak at four times the rate), EBU R 128 (ceiling of -1 dBTP).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mfv2a.media.audio import resample

CEILING_DBTP = -1.0
MAX_GAIN_DB = 20.0
MAX_SQUEEZE_DB = 6.0  # a peak is not pressed down by more: a hit shall stay a hit
BLOCK_S = 0.4  # the meter's block
OVERSAMPLING = 4
LOOKAHEAD_S = 0.005
_MARGIN_DB = 0.1  # a gain that moves lifts what lies between the samples a little
_CLOSE_LU = 0.05
_ROUNDS = 4
_CHUNK_S = 30.0

Held = Literal["", "silent", "gain", "peak"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Levelling:
    """How to bring a sound to its loudness.

    Attributes:
        gain: factor of each sample [S].
        gain_db: its part that is the same for all samples.
        loudness_lufs: what comes out; -inf for what is too quiet to be measured.
        true_peak_dbtp: what comes out; -inf for silence.
        held: why the target is not reached: "silent" (nothing to raise), "gain" (it would take more gain than
            allowed), "peak" (peaks would be pressed down too far); "" where it is.
    """

    gain: NDArray[np.float32]
    gain_db: float
    loudness_lufs: float
    true_peak_dbtp: float
    held: Held


def measure_lufs(samples: NDArray[np.float32], sample_rate_hz: int) -> float:
    """Integrated loudness in LUFS; what is shorter than a block of 400 ms is measured as one block, ungated.

    Args:
        samples: [S] or [S, channels], up to 5 channels.
        sample_rate_hz: of the samples.

    Returns:
        -inf for silence and for what never rises above the meter's gate of -70 LUFS.
    """
    from pyloudnorm import Meter

    if not np.any(samples):
        return -math.inf
    block_s = min(BLOCK_S, (len(samples) - 1e-6) / sample_rate_hz)  # a hair less, for the meter rounds
    # Not its default filters, which are near those of BS.1770; these are those.
    meter = Meter(sample_rate_hz, filter_class="DeMan", block_size=block_s)
    return float(meter.integrated_loudness(samples))


def true_peak_dbtp(samples: NDArray[np.float32], sample_rate_hz: int) -> float:
    """The largest magnitude at four times the rate, in dBTP; -inf for silence."""
    return _decibels(float(np.max(_envelope(samples, sample_rate_hz), initial=0.0)))


def limit_peaks(samples: NDArray[np.float32], sample_rate_hz: int) -> NDArray[np.float32]:
    """Gain [S] that keeps true peaks below the ceiling and is 1 away from them.

    Each sample takes the smallest gain that is needed within 5 ms, averaged over 5 ms on either side: the gain is
    down before the peak comes, and never above what the peak needs.
    """
    envelope = _envelope(samples, sample_rate_hz)
    ceiling = 10 ** ((CEILING_DBTP - _MARGIN_DB) / 20)
    if not np.any(envelope > ceiling):
        return np.ones(len(samples), dtype=np.float32)
    needed = np.minimum(1.0, ceiling / np.maximum(envelope, 1e-9))
    reach = max(1, round(LOOKAHEAD_S * sample_rate_hz))
    return _mean_near(_least_near(needed, reach), reach).astype(np.float32)


def level_sound(
    samples: NDArray[np.float32], sample_rate_hz: int, target_lufs: float, *, max_gain_db: float = MAX_GAIN_DB
) -> Levelling:
    """Bring a sound to a loudness, with true peaks below -1 dBTP.

    Args:
        samples: [S] or [S, channels], may exceed [-1, 1].
        sample_rate_hz: of the samples.
        target_lufs: integrated loudness that is wanted.
        max_gain_db: no sound is raised by more.
    """
    loudness = measure_lufs(samples, sample_rate_hz)
    peak_db = true_peak_dbtp(samples, sample_rate_hz)
    if not math.isfinite(loudness):
        limits = limit_peaks(samples, sample_rate_hz)
        return Levelling(gain=limits, gain_db=0.0, loudness_lufs=loudness, true_peak_dbtp=peak_db, held="silent")
    most_db = {"gain": max_gain_db, "peak": CEILING_DBTP + MAX_SQUEEZE_DB - peak_db}
    top_db = min(most_db.values())
    gain_db = min(target_lufs - loudness, top_db)
    for _ in range(_ROUNDS):
        raised = samples * np.float32(10 ** (gain_db / 20))
        limits = limit_peaks(raised, sample_rate_hz)
        levelled = _times(raised, limits)
        loudness = measure_lufs(levelled, sample_rate_hz)
        miss_db = target_lufs - loudness
        if abs(miss_db) < _CLOSE_LU or (miss_db > 0 and gain_db >= top_db):
            break
        gain_db = min(gain_db + miss_db, top_db)
    held: Held = "" if miss_db < 2 * _CLOSE_LU else "gain" if most_db["gain"] <= most_db["peak"] else "peak"
    return Levelling(
        gain=limits * np.float32(10 ** (gain_db / 20)),
        gain_db=gain_db,
        loudness_lufs=loudness,
        true_peak_dbtp=true_peak_dbtp(levelled, sample_rate_hz),
        held=held,
    )


def apply_gain(samples: NDArray[np.float32], gain: NDArray[np.float32]) -> NDArray[np.float32]:
    """Multiply a sound [S] or [S, channels] by a gain for each sample [S], within [-1, 1]."""
    return np.clip(_times(samples, gain), -1.0, 1.0)


def _times(samples: NDArray[np.float32], gain: NDArray[np.float32]) -> NDArray[np.float32]:
    return samples * (gain if samples.ndim == 1 else gain[:, None])


def _decibels(value: float) -> float:
    return 20 * math.log10(value) if value > 0 else -math.inf


def _envelope(samples: NDArray[np.float32], sample_rate_hz: int) -> NDArray[np.float32]:
    """Largest true magnitude of all channels around each sample: [S]."""
    wide = samples[:, None] if samples.ndim == 1 else samples
    chunk, lap = round(_CHUNK_S * sample_rate_hz), round(0.01 * sample_rate_hz)
    parts = [np.zeros(0, dtype=np.float32)]
    for start in range(0, len(wide), chunk):
        first, last = max(0, start - lap), min(len(wide), start + chunk + lap)
        fine = np.abs(resample(wide[first:last], sample_rate_hz, OVERSAMPLING * sample_rate_hz)).max(axis=1)
        magnitude = np.maximum(fine.reshape(-1, OVERSAMPLING).max(axis=1), np.abs(wide[first:last]).max(axis=1))
        parts.append(magnitude[start - first : start - first + min(chunk, len(wide) - start)])
    return np.concatenate(parts)


def _least_near(values: NDArray[np.float32], reach: int) -> NDArray[np.float32]:
    """Minimum over `reach` values on either side, by windows that double."""
    total, width = 2 * reach + 1, 1
    least = np.pad(values, reach, constant_values=1.0)
    while width < total:
        step = min(width, total - width)
        least = np.minimum(least[:-step], least[step:])
        width += step
    return least


def _mean_near(values: NDArray[np.float32], reach: int) -> NDArray[np.float64]:
    """Mean over `reach` values on either side; at the ends the last value goes on."""
    sums = np.cumsum(np.pad(values.astype(np.float64), (reach + 1, reach), mode="edge"))
    return (sums[2 * reach + 1 :] - sums[: -2 * reach - 1]) / (2 * reach + 1)
