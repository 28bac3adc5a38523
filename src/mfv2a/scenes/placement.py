"""Where a subject stands in the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mfv2a.scenes.shapes import Floats


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a subject is put: scaled, turned, mirrored, moved (picture units: height 1)."""

    x: float
    y: float
    scale: float
    angle: float
    mirror: bool

    def point(self, x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
        """Subject units -> picture units."""
        sx = -np.asarray(x) if self.mirror else np.asarray(x)
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return self.x + self.scale * (cos * sx - sin * np.asarray(y)), self.y + self.scale * (
            sin * sx + cos * np.asarray(y)
        )

    def turn(self, angle: Floats) -> Floats:
        """A shape's angle after placement."""
        return np.asarray((-angle if self.mirror else angle) + self.angle)
