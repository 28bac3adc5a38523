"""Shapes that move, and their look: the words in which a family draws.

Units are the family's own, y points down. Every value may be a number, an array [K] over time, or [K, n] over time and
items. This file knows no pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.floating[Any]]

ELLIPSE, BOX, CAPSULE = 0, 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Paint:
    """How a shape looks; every value may be a number, an array [K] over time or [K, n] over time and items.

    Attributes:
        color: linear red, green and blue in 0..1.
        texture: index into the texture bank (fixed in time).
        scale: texture tiles per unit of length.
        contrast: strength of the texture, 0 (flat) to 1.
        alpha: opacity.
        u, v: texture offset in tiles; moving it makes the surface flow.
        soft: width of the edge in units of length.
        cut: 0, or the texture value below which the shape is transparent (flames, foam, leaves).
        warp: amplitude of a wavy displacement of the texture, in tiles.
        phase: its phase in turns.
        shade: light from above, 0 (flat) to 1 (round).
        rough: raggedness of the outline in units of length.
    """

    color: tuple[float, float, float] = (0.5, 0.5, 0.5)
    texture: int = 0
    scale: ArrayLike = 1.0
    contrast: ArrayLike = 0.3
    alpha: ArrayLike = 1.0
    u: ArrayLike = 0.0
    v: ArrayLike = 0.0
    soft: ArrayLike = 0.0
    cut: ArrayLike = 0.0
    warp: ArrayLike = 0.0
    phase: ArrayLike = 0.0
    shade: ArrayLike = 0.2
    rough: ArrayLike = 0.0

    def but(self, **changes: object) -> Paint:
        """The same paint with some values changed."""
        return replace(self, **changes)  # type: ignore[arg-type]

    def lit(self, gain: float) -> Paint:
        """The same paint, brighter or darker."""
        r, g, b = self.color
        return replace(self, color=(min(1.0, r * gain), min(1.0, g * gain), min(1.0, b * gain)))


@dataclass(frozen=True, slots=True)
class Shape:
    """A group of n like shapes over K moments.

    Attributes:
        kind: ELLIPSE (x, y, half width, half height, angle, 0), BOX (the same, last is corner radius) or
            CAPSULE (x, y, x2, y2, radius, radius2).
        geometry: those six, each a number, an array [K] or an array broadcastable to [K, n].
        paint: its look.
        placed: False for shapes given in picture units (backdrop, rain) that ignore the subject's placement.
    """

    kind: int
    geometry: tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike, ArrayLike, ArrayLike]
    paint: Paint
    placed: bool = True


def ellipse(
    x: ArrayLike, y: ArrayLike, a: ArrayLike, b: ArrayLike, paint: Paint, *, angle: ArrayLike = 0.0, placed: bool = True
) -> Shape:
    """An ellipse with half axes a, b, turned by `angle` radians (clockwise as seen)."""
    return Shape(ELLIPSE, (x, y, a, b, angle, 0.0), paint, placed)


def box(
    x: ArrayLike,
    y: ArrayLike,
    a: ArrayLike,
    b: ArrayLike,
    paint: Paint,
    *,
    angle: ArrayLike = 0.0,
    corner: ArrayLike = 0.0,
    placed: bool = True,
) -> Shape:
    """A rectangle with half sides a, b."""
    return Shape(BOX, (x, y, a, b, angle, corner), paint, placed)


def capsule(
    x1: ArrayLike,
    y1: ArrayLike,
    x2: ArrayLike,
    y2: ArrayLike,
    r1: ArrayLike,
    r2: ArrayLike,
    paint: Paint,
    *,
    placed: bool = True,
) -> Shape:
    """A limb from (x1, y1) to (x2, y2), r1 thick at its start and r2 at its end."""
    return Shape(CAPSULE, (x1, y1, x2, y2, r1, r2), paint, placed)


Drawing = Callable[[Floats], list[Shape]]
"""Shapes at the moments t [K] in seconds; called with any t, so it must be a pure function."""


Curve = Callable[[Floats], Floats]
"""A value at the moments t [K] in seconds."""


def no_shapes(t: Floats) -> list[Shape]:
    """Draw nothing."""
    return []
