"""Shapes -> one array for the rasteriser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mfv2a.scenes.placement import Placement
from mfv2a.scenes.shapes import CAPSULE, Floats, Shape

FIELDS = ("color", "alpha", "scale", "contrast", "u", "v", "soft", "cut", "warp", "phase", "shade", "rough")
NUM_FIELDS = 6 + 3 + len(FIELDS) - 1


@dataclass(frozen=True, slots=True)
class Packed:
    """Shapes as the kernel reads them: values [K, P, NUM_FIELDS] float32, kinds [P], textures [P]."""

    values: NDArray[np.float32]
    kinds: NDArray[np.int64]
    textures: NDArray[np.int64]


def _wide(value: object, moments: int) -> Floats:
    """A number, an array over time or one over time and items as [K or 1, n]."""
    array = np.asarray(value, np.float64)
    if array.ndim == 1 and len(array) not in (1, moments):
        raise ValueError(f"{len(array)} values at {moments} moments: items are the second axis")
    return array[:, None] if array.ndim == 1 and len(array) == moments else np.atleast_2d(array)


def _geometry(shape: Shape, moments: int, place: Placement) -> list[Floats]:
    g = [_wide(value, moments) for value in shape.geometry]
    if not shape.placed:
        return g
    x, y = place.point(g[0], g[1])
    if shape.kind == CAPSULE:
        x2, y2 = place.point(g[2], g[3])
        return [x, y, x2, y2, g[4] * place.scale, g[5] * place.scale]
    return [x, y, g[2] * place.scale, g[3] * place.scale, place.turn(g[4]), g[5] * place.scale]


def pack(shapes: Sequence[Shape], moments: int, place: Placement) -> Packed:
    """Bring all shapes at all moments into one array, placed in the picture.

    Args:
        shapes: in drawing order.
        moments: K.
        place: where the subject stands.

    Returns:
        The packed shapes, P = all items of all groups.
    """
    blocks, kinds, textures = [], [], []
    for shape in shapes:
        geometry = _geometry(shape, moments, place)
        paint = shape.paint
        looks = [_wide(getattr(paint, name), moments) for name in FIELDS[1:]]
        if shape.placed:
            looks[1] = looks[1] / place.scale
            looks[5] = looks[5] * place.scale
            looks[10] = looks[10] * place.scale
        columns = geometry + [np.full((1, 1), channel) for channel in paint.color] + looks
        width = max(column.shape[1] for column in columns)
        block = np.empty((moments, width, NUM_FIELDS), np.float32)
        for i, column in enumerate(columns):
            block[:, :, i] = column
        blocks.append(block)
        kinds += [shape.kind] * width
        textures += [paint.texture] * width
    values = np.concatenate(blocks, axis=1) if blocks else np.zeros((moments, 0, NUM_FIELDS), np.float32)
    return Packed(values, np.asarray(kinds, np.int64), np.asarray(textures, np.int64))
