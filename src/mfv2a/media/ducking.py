"""A sound that gives way while another is heard: the gain of a side-chain, as mixing desks do it.

Sound is float32 [S] or [S, channels]; the result is a gain for each sample. This file does not know what is mixed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mfv2a.media.blend import PIECE_SAMPLES, Sound, pieces
from mfv2a.media.spool import kept

THRESHOLD_DBFS = -40.0
"""Peak level of the other sound from which it counts as heard: room tone of a recording lies below, voices above."""
ATTACK_S = 0.02
RELEASE_S = 0.25
"""Time constants: after so long all but 1/e of the way down and up is gone, in dB."""
HOLD_S = 0.15
"""For so long after it was heard last the other sound still counts as heard: words have gaps."""
BLOCK_S = 0.005  # in which the level is measured
PIECE_BLOCKS = 2000


def duck_gain(other: Sound, sample_rate_hz: int, depth_db: float, *, folder: Path | None = None) -> NDArray[np.float32]:
    """Gain of a sound that gives way to another.

    Args:
        other: the sound that is to be heard, [S] or [S, channels].
        sample_rate_hz: of both.
        depth_db: how far it gives way, positive.
        folder: on whose disk the gain is kept; None for memory.

    Returns:
        [S], 1 where nothing else is heard, falling to -depth_db while it is.
    """
    return kept(_gains(other, sample_rate_hz, depth_db), folder)


def _gains(other: Sound, sample_rate_hz: int, depth_db: float) -> Iterator[NDArray[np.float32]]:
    block = max(1, round(BLOCK_S * sample_rate_hz))
    level_db = 0.0
    yield np.zeros(0, np.float32)
    for first, last, is_heard in _runs(is_heard_in(other, sample_rate_hz), block, len(other)):
        target_db, constant_s = (-depth_db, ATTACK_S) if is_heard else (0.0, RELEASE_S)
        for start in range(first, last, PIECE_SAMPLES):
            times_s = np.arange(1, min(PIECE_SAMPLES, last - start) + 1) / sample_rate_hz
            path_db = target_db + (level_db - target_db) * np.exp(-times_s / constant_s)
            yield (10 ** (path_db / 20)).astype(np.float32)
            level_db = float(path_db[-1])


def is_heard_in(other: Sound, sample_rate_hz: int) -> NDArray[np.bool_]:
    """Whether a sound is heard in each block of 5 ms, or was a moment ago: [ceil(S / block)]."""
    block = max(1, round(BLOCK_S * sample_rate_hz))
    threshold = 10 ** (THRESHOLD_DBFS / 20)
    loud = np.zeros(-(-len(other) // block), bool)
    for number, (_, piece) in enumerate(pieces(other, PIECE_BLOCKS * block)):
        edges = np.arange(0, len(piece), block)
        if len(edges):
            peaks = np.maximum.reduceat(np.abs(piece).reshape(len(piece), -1).max(axis=1), edges)
            loud[number * PIECE_BLOCKS : number * PIECE_BLOCKS + len(edges)] = peaks > threshold
    hold = round(HOLD_S / BLOCK_S)
    numbers = np.arange(len(loud))
    last = np.maximum.accumulate(np.where(loud, numbers, -hold - 1))
    return numbers - last <= hold


def _runs(heard: NDArray[np.bool_], block: int, length: int) -> list[tuple[int, int, bool]]:
    """Stretches of samples in which a sound is, or is not, heard: first, end, whether."""
    if not len(heard):
        return []
    edges = [0, *(np.flatnonzero(np.diff(heard)) + 1).tolist(), len(heard)]
    return [(first * block, min(length, last * block), bool(heard[first])) for first, last in itertools.pairwise(edges)]
