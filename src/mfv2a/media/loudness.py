"""Loudness by EBU R 128: measure it, reach it, and keep peaks below the ceiling.

Sound is float32 [S] mono or [S, channels]. Levelling is a gain for each sample, so that parts of a mix can be
levelled alike. A long sound is read in pieces, each several times, and gains are kept on disk where a folder is given:
what is needed of memory does not grow with it. This file does not know what the sound is of.

Sources: ITU-R BS.1770-4 (K-weighting, gates, true peak at four times the rate), EBU R 128 (ceiling of -1 dBTP).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mfv2a.media.blend import Blend, Sound, let_go, pieces
from mfv2a.media.resampling import resample
from mfv2a.media.spool import kept

CEILING_DBTP = -1.0
MAX_GAIN_DB = 20.0
MAX_SQUEEZE_DB = 6.0  # a peak is not pressed down by more: a hit shall stay a hit
BLOCK_S = 0.4  # the meter's block
OVERSAMPLING = 4
LOOKAHEAD_S = 0.005
_LAP_S = 0.01  # more than the resampler's filter reaches
_MARGIN_DB = 0.25  # a gain that moves lifts what lies between the samples a little
_CLOSE_LU = 0.05
_ROUNDS = 4
_CHUNK_S = 8.0
_STEP_S = BLOCK_S / 4  # from one of the meter's blocks to the next
_LEAD_S = 1  # until the meter's filters have forgotten what was before
_METER_S = 12  # whole seconds: pieces begin where blocks begin, at any rate
_GATE_LUFS, _GATE_LU = -70.0, -10.0
_SEATS = {4: (0, 1, None, 2, 3), 6: (0, 1, 2, 4, 5)}  # of quadrophonic and of 5.1 sound; the meter knows five, by place

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


def measure_lufs(samples: Sound, sample_rate_hz: int) -> float:
    """Integrated loudness in LUFS; what is shorter than a block of 400 ms is measured as one block, ungated.

    Args:
        samples: [S] or [S, channels], up to 5 channels.
        sample_rate_hz: of the samples.

    Returns:
        -inf for silence and for what never rises above the meter's gate of -70 LUFS.
    """
    blocks = np.array(list(_block_loudness(samples, sample_rate_hz)))
    loud = blocks[blocks >= _GATE_LUFS]
    loud = loud[loud > _mean_lufs(loud) + _GATE_LU]
    return _mean_lufs(loud)


def measure_channels_lufs(samples: NDArray[np.float32], sample_rate_hz: int) -> float:
    """Integrated loudness of all channels of a file, as BS.1770 weighs them: surrounds by 1.41, LFE not at all.

    Args:
        samples: [S, channels] in the order that files have them (left, right, centre, LFE, surrounds); of more than six
            their mean is measured.
        sample_rate_hz: of the samples.

    Returns:
        LUFS; -inf for silence and for what never rises above the meter's gate of -70 LUFS.
    """
    channels = samples.shape[1]
    if channels > max(_SEATS):
        return measure_lufs(samples.mean(axis=1), sample_rate_hz)
    if channels in _SEATS:
        nothing = np.zeros(len(samples), np.float32)
        places = [nothing if place is None else samples[:, place] for place in _SEATS[channels]]
        return measure_lufs(np.stack(places, axis=1), sample_rate_hz)
    return measure_lufs(samples, sample_rate_hz)


def _block_loudness(samples: Sound, sample_rate_hz: int) -> Iterator[float]:
    """The loudness of the meter's blocks in LUFS, of long sound in pieces."""
    from pyloudnorm import Meter

    for start_s in range(0, max(1, math.ceil(len(samples) / sample_rate_hz)), _METER_S):
        lead_s = min(_LEAD_S, start_s)
        last_s = start_s + _METER_S + BLOCK_S - _STEP_S
        piece = samples[(start_s - lead_s) * sample_rate_hz : round(last_s * sample_rate_hz)]
        let_go(samples)
        if start_s and len(piece) < (lead_s + BLOCK_S - _STEP_S / 2) * sample_rate_hz:
            return  # the blocks of the piece before reach to the end
        if not np.any(piece):
            yield -math.inf
            continue
        block_s = min(BLOCK_S, (len(piece) - 1e-6) / sample_rate_hz)  # a hair less, for the meter rounds
        # Not its default filters, which are near those of BS.1770; these are those.
        meter = Meter(sample_rate_hz, filter_class="DeMan", block_size=block_s)
        meter.integrated_loudness(piece)
        yield from meter.blockwise_loudness[round(lead_s / _STEP_S) :]


def _mean_lufs(blocks: NDArray[np.float64]) -> float:
    """Blocks averaged by their energy; -inf for none."""
    return 10 * math.log10(float(np.mean(10 ** (blocks / 10)))) if len(blocks) else -math.inf


def true_peak_dbtp(samples: Sound, sample_rate_hz: int) -> float:
    """The largest magnitude at four times the rate, in dBTP; -inf for silence."""
    lap = round(_LAP_S * sample_rate_hz)
    largest = 0.0
    for _, piece in pieces(samples, round(_CHUNK_S * sample_rate_hz), lap):
        largest = max(largest, float(np.max(_envelope(piece, sample_rate_hz), initial=0.0)))
    return _decibels(largest)


def limit_peaks(samples: Sound, sample_rate_hz: int, *, folder: Path | None = None) -> NDArray[np.float32]:
    """Gain [S] that keeps true peaks below the ceiling and is 1 away from them.

    Each sample takes the smallest gain that is needed within 5 ms, averaged over 5 ms on either side: the gain is
    down before the peak comes, and never above what the peak needs.

    Args:
        samples: [S] or [S, channels], may exceed [-1, 1].
        sample_rate_hz: of the samples.
        folder: on whose disk the gain is kept; None for memory.
    """
    return kept(_limits(samples, sample_rate_hz), folder)


def _limits(samples: Sound, sample_rate_hz: int) -> Iterator[NDArray[np.float32]]:
    reach = max(1, round(LOOKAHEAD_S * sample_rate_hz))
    chunk, left = round(_CHUNK_S * sample_rate_hz), len(samples)
    ceiling = 10 ** ((CEILING_DBTP - _MARGIN_DB) / 20)
    for before, piece in pieces(samples, chunk, round(_LAP_S * sample_rate_hz) + 2 * reach):
        envelope = _envelope(piece, sample_rate_hz)
        length = min(chunk, left)
        left -= length
        if np.any(envelope > ceiling):
            needed = np.minimum(1.0, ceiling / np.maximum(envelope, 1e-9))
            gain = _mean_near(_least_near(needed, reach), reach).astype(np.float32)
            yield gain[before : before + length]
        else:
            yield np.ones(length, dtype=np.float32)


def level_sound(
    samples: Sound,
    sample_rate_hz: int,
    target_lufs: float,
    *,
    max_gain_db: float = MAX_GAIN_DB,
    folder: Path | None = None,
) -> Levelling:
    """Bring a sound to a loudness, with true peaks below -1 dBTP.

    Args:
        samples: [S] or [S, channels], may exceed [-1, 1].
        sample_rate_hz: of the samples.
        target_lufs: integrated loudness that is wanted.
        max_gain_db: no sound is raised by more.
        folder: on whose disk the gain is kept; None for memory.
    """
    loudness = measure_lufs(samples, sample_rate_hz)
    peak_db = true_peak_dbtp(samples, sample_rate_hz)
    if not math.isfinite(loudness):
        limits = limit_peaks(samples, sample_rate_hz, folder=folder)
        return Levelling(gain=limits, gain_db=0.0, loudness_lufs=loudness, true_peak_dbtp=peak_db, held="silent")
    most_db = {"gain": max_gain_db, "peak": CEILING_DBTP + MAX_SQUEEZE_DB - peak_db}
    top_db = min(most_db.values())
    gain_db = min(target_lufs - loudness, top_db)
    for _ in range(_ROUNDS):
        raised = Blend((samples, 10 ** (gain_db / 20)))
        limits = limit_peaks(raised, sample_rate_hz, folder=folder)
        levelled = Blend((raised, limits))
        loudness = measure_lufs(levelled, sample_rate_hz)
        miss_db = target_lufs - loudness
        if abs(miss_db) < _CLOSE_LU or (miss_db > 0 and gain_db >= top_db):
            break
        gain_db = min(gain_db + miss_db, top_db)
    held: Held = "" if miss_db < 2 * _CLOSE_LU else "gain" if most_db["gain"] <= most_db["peak"] else "peak"
    factor = np.float32(10 ** (gain_db / 20))
    return Levelling(
        gain=kept((piece * factor for _, piece in pieces(limits)), folder),
        gain_db=gain_db,
        loudness_lufs=loudness,
        true_peak_dbtp=true_peak_dbtp(levelled, sample_rate_hz),
        held=held,
    )


def apply_gain(samples: Sound, gain: NDArray[np.float32], *, folder: Path | None = None) -> NDArray[np.float32]:
    """Multiply a sound [S] or [S, channels] by a gain for each sample [S], within [-1, 1].

    Args:
        samples: the sound.
        gain: of each sample.
        folder: on whose disk the result is kept; None for memory.
    """
    return kept((np.clip(piece, -1.0, 1.0) for _, piece in pieces(Blend((samples, gain)))), folder)


def _decibels(value: float) -> float:
    return 20 * math.log10(value) if value > 0 else -math.inf


def _envelope(samples: NDArray[np.float32], sample_rate_hz: int) -> NDArray[np.float32]:
    """Largest true magnitude of all channels around each sample: [S]."""
    if not len(samples):
        return np.zeros(0, dtype=np.float32)
    wide = samples[:, None] if samples.ndim == 1 else samples
    fine = np.abs(resample(wide, sample_rate_hz, OVERSAMPLING * sample_rate_hz)).max(axis=1)
    largest: NDArray[np.float32] = np.maximum(fine.reshape(-1, OVERSAMPLING).max(axis=1), np.abs(wide).max(axis=1))
    return largest


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
