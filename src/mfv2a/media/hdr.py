"""HDR pictures as an ordinary screen would show them: a table from code values to code values.

Networks have learned from ordinary pictures; a PQ or HLG signal taken for one is gray and dim. Diffuse white
becomes white, brighter light is cut. Colours are not converted: BT.2020 taken for BT.709 is a little pale.

Sources: SMPTE ST 2084 (PQ), ARIB STD-B67 and ITU-R BT.2100 (HLG), BT.2408 (white at 203 cd/m2, 58 % of PQ and 75 %
of HLG), BT.1886 (the ordinary screen's exponent of 2.4).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

PQ, HLG = 16, 18  # FFmpeg's numbers of the transfer characteristics, those of ITU-T H.273
WHITE_NITS = 203.0
SCREEN_EXPONENT = 2.4


@lru_cache(maxsize=4)
def tone_table(transfer: int) -> NDArray[np.uint8] | None:
    """The table for a picture's transfer characteristics: [256] uint8, None where the picture is ordinary."""
    if transfer not in (PQ, HLG):
        return None
    signal = np.arange(256) / 255
    light = _pq_light(signal) if transfer == PQ else _hlg_light(signal)
    shown = np.clip(light, 0.0, 1.0) ** (1 / SCREEN_EXPONENT)
    return np.round(255 * shown).astype(np.uint8)


def _pq_light(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light of a PQ signal in [0, 1], diffuse white being 1."""
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    root = signal ** (1 / m2)
    nits = 10_000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)
    return np.asarray(nits / WHITE_NITS)


def _hlg_light(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light of an HLG signal in [0, 1] on a screen of 1000 cd/m2, diffuse white being 1."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    return np.asarray(1000 * scene**1.2 / WHITE_NITS)
