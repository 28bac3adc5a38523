"""Slow curves: smooth random movement, swelling intensity, and the control clock of continuous sounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from mfv2a.scenes.script import CONTROL_HZ
from mfv2a.scenes.shapes import Floats


@dataclass(frozen=True, slots=True)
class Wobble:
    """A sum of sines: frequencies hz [n], gains [n], phases [n]."""

    hz: Floats
    gains: Floats
    phases: Floats

    def at(self, t: Floats) -> Floats:
        """Values at the moments t [K]."""
        waves = np.sin(2.0 * np.pi * np.multiply.outer(t, self.hz) + self.phases)
        return np.asarray(waves @ self.gains)


def wobble(rng: Generator, *, slowest_hz: float = 0.1, fastest_hz: float = 0.6, count: int = 3) -> Wobble:
    """A slow, smooth, random movement within about -1..1."""
    hz = rng.uniform(slowest_hz, fastest_hz, count)
    gain = rng.uniform(0.4, 1.0, count)
    return Wobble(hz, gain / gain.sum(), rng.uniform(0.0, 2.0 * np.pi, count))


def control_times(duration_s: float) -> Floats:
    """The moments of the control curves of a scene, [M]."""
    return np.arange(int(np.ceil(duration_s * CONTROL_HZ)) + 2) / CONTROL_HZ


class Swell:
    """A slowly changing intensity between `low` and 1, and the way travelled at that speed.

    Args:
        rng: source of chance.
        duration_s: length that is covered.
        low: least intensity; every fifth swell is steady.
        quick: fastest change in Hz.
    """

    def __init__(self, rng: Generator, duration_s: float, *, low: float, quick: float = 0.35) -> None:
        self._low = low if rng.random() < 0.8 else 1.0
        self._wobble = wobble(rng, slowest_hz=0.05, fastest_hz=quick)
        self._grid = control_times(duration_s + 1.0)
        self._way = np.cumsum(self.at(self._grid)) * (self._grid[1] - self._grid[0])

    def at(self, t: Floats) -> Floats:
        """Intensity at t."""
        return np.asarray(self._low + (1.0 - self._low) * (0.5 + 0.5 * np.clip(1.3 * self._wobble.at(t), -1, 1)))

    def way(self, t: Floats) -> Floats:
        """Integral of the intensity from 0 to t."""
        return np.asarray(np.interp(t, self._grid, self._way), np.float64)


def loudness(level: Floats) -> float:
    """RMS of a level curve."""
    return float(np.sqrt(np.mean(np.asarray(level) ** 2)))
