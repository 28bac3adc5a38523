"""How well what is heard falls on what is seen to strike.

Knows neither videos nor networks: times and curves are given to it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mfv2a.evaluation.onsets import envelope_correlation, match_onsets
from mfv2a.evaluation.spectrum import Floats

NEAR = np.array([0.25, 0.5, 0.25])
"""A frame counts half for its neighbours: a hit between two frames belongs to both."""
HITS_SHARE = 0.8
"""Weight of hits that fall on strikes; the rest is that of the curves, which tells apart sounds with the same hits."""


def synchrony(onsets_s: Sequence[float], strikes_s: Sequence[float], envelope: Floats, curve: Floats) -> float:
    """How well a sound falls on what is seen.

    Args:
        onsets_s: when something begins to sound.
        strikes_s: when something is seen to strike.
        envelope: strength of hitting in the sound [T].
        curve: how likely something is seen to strike [T'], on the same frame grid.

    Returns:
        Up to 1: F1 of hits within 100 ms of strikes, and the correlation of the two curves.
    """
    hits = match_onsets(onsets_s, strikes_s).f1
    return HITS_SHARE * hits + (1 - HITS_SHARE) * blurred_correlation(envelope, curve)


def blurred_correlation(envelope: Floats, curve: Floats) -> float:
    """Correlation of two curves [T] and [T'], cut to the shorter, each blurred by a frame to either side; -1 to 1."""
    length = min(len(envelope), len(curve))
    if not length:
        return 0.0
    first, second = (
        np.convolve(np.asarray(each[:length], np.float64), NEAR, mode="full")[1:-1].astype(np.float32)
        for each in (envelope, curve)
    )
    return envelope_correlation(first, second)
