"""What things are made of, as sound: partials, their decays, and the noise of the contact.

Every call draws another piece of the same material.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from mfv2a.scenes.script import Burst, Modes
from mfv2a.scenes.shapes import Floats

MEMBRANE = np.array([1.0, 1.594, 2.136, 2.296, 2.653, 2.918, 3.156, 3.5, 3.6, 4.06])
BAR = np.array([1.0, 2.756, 5.404, 8.933, 13.34])
CHURCH = np.array([0.5, 1.0, 1.19, 1.5, 2.0, 2.51, 2.66, 3.01, 4.17, 5.43, 6.8])


def _log(rng: Generator, low: float, high: float, size: int | None = None) -> Floats:
    return np.asarray(np.exp(rng.uniform(np.log(low), np.log(high), size)))


def _modes(hz: Floats, decay_s: Floats, gain: Floats) -> Modes:
    return Modes(np.asarray(hz, np.float64), np.asarray(decay_s, np.float64), np.asarray(gain, np.float64))


def _spread(rng: Generator, count: int, low: float, high: float, decay: tuple[float, float], tilt: float) -> Modes:
    """`count` random partials; higher ones decay faster and are weaker by `tilt` per octave."""
    hz = np.sort(_log(rng, low, high, count))
    octaves = np.log2(hz / hz[0])
    decay_s = _log(rng, *decay, count) * 2.0 ** (-0.45 * octaves)
    gain = rng.uniform(0.3, 1.0, count) * 10.0 ** (-tilt * octaves / 20.0)
    return _modes(hz, decay_s, gain)


def body(rng: Generator, name: str) -> Modes:
    """A struck body: wood, metal, stone, board, log, door, gong, bell, glass, tick, plastic, floor.

    Raises:
        KeyError: another name.
    """
    if name == "metal":
        return _spread(
            rng, int(rng.integers(9, 22)), float(_log(rng, 350, 1200)), float(_log(rng, 4500, 9000)), (0.12, 0.7), 1.0
        )
    if name == "wood":
        return _spread(
            rng, int(rng.integers(3, 7)), float(_log(rng, 180, 600)), float(_log(rng, 1200, 3000)), (0.02, 0.06), 3.0
        )
    if name == "stone":
        return _spread(
            rng, int(rng.integers(4, 9)), float(_log(rng, 1100, 2200)), float(_log(rng, 5000, 8000)), (0.008, 0.03), 0.5
        )
    if name == "board":
        return _spread(rng, 4, float(_log(rng, 250, 500)), 1800.0, (0.012, 0.03), 4.0)
    if name == "log":
        return _spread(rng, 5, float(_log(rng, 90, 200)), 1400.0, (0.03, 0.08), 4.0)
    if name == "door":
        return _spread(rng, 6, float(_log(rng, 90, 180)), 900.0, (0.03, 0.09), 3.5)
    if name == "gong":
        return _spread(rng, 26, float(_log(rng, 70, 160)), 2600.0, (1.2, 3.5), 2.0)
    if name == "bell":
        base = float(_log(rng, 220, 1400))
        hz = base * CHURCH * rng.normal(1.0, 0.004, len(CHURCH))
        return _modes(hz, float(_log(rng, 0.7, 2.5)) / CHURCH**0.7, rng.uniform(0.3, 1.0, len(CHURCH)) / CHURCH**0.4)
    if name == "glass":
        return _spread(rng, 14, float(_log(rng, 1800, 2800)), 7800.0, (0.05, 0.25), 0.3)
    if name == "tick":
        return _spread(rng, 4, float(_log(rng, 1500, 3000)), 6500.0, (0.003, 0.01), 1.0)
    if name == "plastic":
        return _spread(rng, 4, float(_log(rng, 500, 1200)), 4500.0, (0.004, 0.012), 2.0)
    if name != "floor":
        raise KeyError(name)
    return _spread(rng, 4, float(_log(rng, 70, 130)), 500.0, (0.03, 0.08), 5.0)


def contact(rng: Generator, name: str) -> tuple[Burst, ...]:
    """The noise of touching: metal, wood, stone, felt, hand, plastic."""
    bands = {
        "metal": (1500, 9000, 0.004, 0.5), "wood": (400, 5000, 0.006, 0.8), "stone": (1200, 9000, 0.012, 1.3),
        "felt": (60, 700, 0.02, 0.4), "hand": (500, 4500, 0.012, 1.0), "plastic": (1200, 8000, 0.004, 1.2),
    }  # fmt: skip
    low, high, decay_s, gain = bands[name]
    return (
        Burst(
            low * float(_log(rng, 0.7, 1.4)),
            high * float(_log(rng, 0.7, 1.2)),
            decay_s * float(_log(rng, 0.6, 1.8)),
            gain * float(rng.uniform(0.5, 1.5)),
        ),
    )


def drum(rng: Generator, label: str, position: float) -> tuple[Modes, tuple[Burst, ...]]:
    """A drum or cymbal; position 0 is the highest, 1 the lowest of a set."""
    if label == "cymbal":
        modes = _spread(rng, 40, float(_log(rng, 280, 600)), 9500.0, (0.4, 1.5), -1.0)
        return modes, (Burst(3500.0, 11000.0, float(rng.uniform(0.2, 0.7)), 1.4),)
    if label == "snare_drum":
        base, ring = float(_log(rng, 150, 240)), float(rng.uniform(0.04, 0.1))
        rattle = Burst(
            float(_log(rng, 900, 1800)),
            float(_log(rng, 6500, 10000)),
            float(rng.uniform(0.06, 0.16)),
            float(rng.uniform(0.8, 1.6)),
        )
        return _modes(base * MEMBRANE[:6], ring / MEMBRANE[:6] ** 0.5, 0.8 / MEMBRANE[:6]), (rattle,)
    if label == "hand_drum":
        base, ring = float(_log(rng, 130, 320)), float(rng.uniform(0.06, 0.18))
        slap = Burst(700.0, 4500.0, float(rng.uniform(0.008, 0.02)), float(rng.uniform(0.3, 0.9)))
        return _modes(base * MEMBRANE[:7], ring / MEMBRANE[:7] ** 0.8, 1.0 / MEMBRANE[:7] ** 0.8), (slap,)
    base = float(_log(rng, 150, 230)) * 0.45**position
    ring = float(rng.uniform(0.15, 0.35))
    return _modes(base * MEMBRANE, ring / MEMBRANE**0.6, 1.0 / MEMBRANE**1.2), (Burst(300.0, 3500.0, 0.008, 0.5),)
