"""How well what is heard falls on what is seen: an envelope of hitting against a curve of strikes.

Knows neither videos nor networks; both curves are given to it.
"""

from __future__ import annotations

import numpy as np

from mfv2a.evaluation.onsets import envelope_correlation
from mfv2a.evaluation.spectrum import Floats

NEAR = np.array([0.25, 0.5, 0.25])
"""A frame counts half for its neighbours: a hit between two frames belongs to both."""


def synchrony(envelope: Floats, curve: Floats) -> float:
    """Correlation of two curves on one frame grid, each blurred by a frame to either side.

    Args:
        envelope: strength of hitting in the sound [T].
        curve: how likely something is seen to strike [T'], cut to the shorter.

    Returns:
        -1 to 1; 0 where one of them is constant.
    """
    length = min(len(envelope), len(curve))
    blurred = [np.convolve(np.asarray(each[:length], np.float64), NEAR, mode="same") for each in (envelope, curve)]
    first, second = (each.astype(np.float32) for each in blurred)
    return envelope_correlation(first, second) if length else 0.0
