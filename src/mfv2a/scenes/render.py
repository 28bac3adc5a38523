"""The rasteriser: packed shapes, a camera and a sensor -> uint8 frames.

Knows pixels and nothing of families or sounds. numba compiles these loops once and keeps them on disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mfv2a.scenes.placement import Placement
from mfv2a.scenes.shapes import BOX, CAPSULE, Shape
from mfv2a.scenes.textures import LEVELS, SIDE_PX, texture_bank

Pixels = NDArray[np.float32]

FIELDS = ("color", "alpha", "scale", "contrast", "u", "v", "soft", "cut", "warp", "phase", "shade", "rough")
NUM_FIELDS = 6 + 3 + len(FIELDS) - 1
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
NOISE_SIDE = 128


@dataclass(frozen=True, slots=True)
class Packed:
    """Shapes as the kernel reads them: values [K, P, NUM_FIELDS] float32, kinds [P], textures [P]."""

    values: NDArray[np.float32]
    kinds: NDArray[np.int64]
    textures: NDArray[np.int64]


def _wide(value: object, moments: int) -> NDArray[np.float64]:
    array = np.asarray(value, np.float64)
    return array[:, None] if array.ndim == 1 and len(array) == moments else np.atleast_2d(array)


def _geometry(shape: Shape, moments: int, place: Placement) -> list[NDArray[np.float64]]:
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


@njit(cache=True, fastmath=True, nogil=True, inline="always")
def _smooth(image, u, v):  # type: ignore[no-untyped-def]
    """Texture value 0..1 at (u, v) texels, interpolated."""
    fu, fv = np.floor(u), np.floor(v)
    au, av = u - fu, v - fv
    x0, y0 = int(fu) & (SIDE_PX - 1), int(fv) & (SIDE_PX - 1)
    x1, y1 = (x0 + 1) & (SIDE_PX - 1), (y0 + 1) & (SIDE_PX - 1)
    top = np.float32(image[y0, x0]) + au * (np.float32(image[y0, x1]) - np.float32(image[y0, x0]))
    low = np.float32(image[y1, x0]) + au * (np.float32(image[y1, x1]) - np.float32(image[y1, x0]))
    return (top + av * (low - top)) * np.float32(1.0 / 255.0)


@njit(cache=True, fastmath=True, nogil=True, inline="always")
def _nearest(image, u, v):  # type: ignore[no-untyped-def]
    """Texture value 0..1 of the nearest texel; fine where a pixel spans several texels."""
    half = np.float32(0.5)
    return np.float32(
        image[int(np.floor(v + half)) & (SIDE_PX - 1), int(np.floor(u + half)) & (SIDE_PX - 1)]
    ) * np.float32(1.0 / 255.0)


@njit(cache=True, fastmath=True, nogil=True, inline="always")
def _sine(turns):  # type: ignore[no-untyped-def]
    """A sine of `turns` full turns by parabolas (error below 0.06)."""
    x = turns - np.floor(turns)
    y = np.float32(1.0) - np.float32(2.0) * x
    return np.float32(4.0) * y * (np.float32(1.0) - abs(y))


@njit(cache=True, fastmath=True, nogil=True)
def _bounds(kind, p, view, height, width, pad):  # type: ignore[no-untyped-def]
    """Pixel rectangle [top, bottom) x [left, right) that a shape can touch."""
    if kind == CAPSULE:
        r = max(p[4], p[5]) + pad
        x_low, x_high = min(p[0], p[2]) - r, max(p[0], p[2]) + r
        y_low, y_high = min(p[1], p[3]) - r, max(p[1], p[3]) + r
    else:
        c, s = abs(np.cos(p[4])), abs(np.sin(p[4]))
        rx, ry = p[2] * c + p[3] * s + pad, p[2] * s + p[3] * c + pad
        x_low, x_high, y_low, y_high = p[0] - rx, p[0] + rx, p[1] - ry, p[1] + ry
    det = view[1] * view[5] - view[2] * view[4]
    left, right, top, bottom = 1e9, -1e9, 1e9, -1e9
    for corner in range(4):
        wx = (x_low if corner & 1 else x_high) - view[0]
        wy = (y_low if corner & 2 else y_high) - view[3]
        i = (wx * view[5] - wy * view[2]) / det
        j = (wy * view[1] - wx * view[4]) / det
        left, right, top, bottom = min(left, i), max(right, i), min(top, j), max(bottom, j)
    return max(0, int(top)), min(height, int(bottom) + 2), max(0, int(left)), min(width, int(right) + 2)


@njit(cache=True, fastmath=True, nogil=True)
def draw_shapes(canvas, values, kinds, textures, bank, view, luma):  # type: ignore[no-untyped-def]
    """Paint P shapes over canvas [H, W, C] in order.

    Args:
        canvas: float32, changed in place.
        values: [P, NUM_FIELDS].
        kinds: [P] shape kinds.
        textures: [P] texture indices.
        bank: the texture bank.
        view: [6] x0, dx/dcolumn, dx/drow, y0, dy/dcolumn, dy/drow: picture position of pixel (row, column).
        luma: [3] weights used when C is 1.
    """
    height, width, channels = canvas.shape
    pixel = np.float32(0.5 * (np.sqrt(view[1] ** 2 + view[4] ** 2) + np.sqrt(view[2] ** 2 + view[5] ** 2)))
    color = np.zeros(3, np.float32)
    for k in range(len(kinds)):
        p = values[k]
        if p[9] <= 0.003:
            continue
        kind = kinds[k]
        edge = np.float32(max(0.6 * pixel, p[14]))
        top, bottom, left, right = _bounds(kind, p, view, height, width, edge + p[19])
        if top >= bottom or left >= right:
            continue
        if channels == 1:
            color[0] = luma[0] * p[6] + luma[1] * p[7] + luma[2] * p[8]
        else:
            color[0], color[1], color[2] = p[6], p[7], p[8]
        texel = p[10] * np.float32(SIDE_PX)
        finest = texel * pixel
        level = 0 if finest <= 1.0 else min(LEVELS - 1, int(np.log2(finest) + 0.5))
        ragged = bank[min(LEVELS - 1, level + 1), 0]
        # Magnified textures get a second, finer octave; minified ones need no interpolation.
        lookup = 2 if finest < 0.4 else (1 if level == 0 else 0)
        _fill(
            canvas,
            p,
            kind,
            bank[level, textures[k]],
            ragged,
            color,
            view,
            edge,
            texel,
            lookup,
            top,
            bottom,
            left,
            right,
        )


@njit(cache=True, fastmath=True, nogil=True)
def _fill(canvas, p, kind, image, ragged, color, view, edge, texel, lookup, top, bottom, left, right):  # type: ignore[no-untyped-def]
    """Paint one shape within a pixel rectangle."""
    channels = canvas.shape[2]
    zero, half, one, two = np.float32(0.0), np.float32(0.5), np.float32(1.0), np.float32(2.0)
    x, y, a, b, r1, r2 = p[0], p[1], p[2], p[3], p[4], p[5]
    length = one
    if kind == CAPSULE:
        length = max(np.sqrt((a - x) ** 2 + (b - y) ** 2), np.float32(1e-6))
        c, s = (a - x) / length, (b - y) / length
    else:
        c, s = np.cos(r1), np.sin(r1)
        a, b = max(a, np.float32(1e-6)), max(b, np.float32(1e-6))
    small, ia, ib = min(a, b), one / a, one / b
    taper, big = (r2 - r1) / length, one / max(r1, r2, np.float32(1e-6))
    widest = one / max(a, b)
    alpha, contrast, cut, warp, wave, rough = p[9], two * p[11], p[15], p[16] * np.float32(SIDE_PX), p[17], p[19]
    shade = np.float32(0.7) * p[18]
    off_u, off_v = p[12] * np.float32(SIDE_PX), p[13] * np.float32(SIDE_PX)
    slope, limit, c0 = half / edge, edge + rough, color[0]
    step_x, step_y = np.float32(view[1]), np.float32(view[4])
    start_x, start_y = np.float32(view[0]) - x, np.float32(view[3]) - y
    light = zero
    for j in range(top, bottom):
        row_x, row_y = start_x + np.float32(view[2]) * j, start_y + np.float32(view[5]) * j
        for i in range(left, right):
            dx, dy = row_x + step_x * i, row_y + step_y * i
            lx, ly = dx * c + dy * s, dy * c - dx * s
            if kind == BOX:
                qx, qy = abs(lx) - a, abs(ly) - b
                if qx > limit or qy > limit:
                    continue
                ox, oy = max(qx + r2, zero), max(qy + r2, zero)
                d = np.sqrt(ox * ox + oy * oy) + min(max(qx, qy) + r2, zero) - r2
                light = -(np.float32(0.3) * lx * ia + half * ly * ib)
            elif kind == CAPSULE:
                along = min(max(lx, zero), length)
                d = np.sqrt((lx - along) ** 2 + ly * ly) - r1 - taper * along
                light = -c * ly * big
            else:
                nx, ny = lx * ia, ly * ib
                d = (np.sqrt(nx * nx + ny * ny) - one) * small
                light = -(np.float32(0.35) * dx + np.float32(0.8) * dy) * widest
            if d > limit:
                continue
            tu, tv = lx * texel + off_u, ly * texel + off_v
            if warp > zero:
                tu += warp * _sine(tv * np.float32(2.0 / SIDE_PX) + wave)
                tv += warp * np.float32(0.6) * _sine(tu * np.float32(1.0 / SIDE_PX) - np.float32(1.3) * wave)
            if rough > zero and d > -limit:
                d += rough * (two * _nearest(ragged, np.float32(1.7) * tu, np.float32(1.7) * tv) - one)
            cover = min(max(half - d * slope, zero), one) * alpha
            if cover <= zero:
                continue
            if lookup == 0:
                value = _nearest(image, tu, tv)
            else:
                value = _smooth(image, tu, tv)
                if lookup == 2:
                    value += np.float32(0.35) * (_smooth(image, np.float32(5.3) * tv, np.float32(5.3) * tu) - half)
            if cut > zero:
                cover *= min(max((value - cut) * np.float32(6.0), zero), one)
            bright = (one + contrast * (value - half)) * (one + shade * light)
            if channels == 1:
                canvas[j, i, 0] += cover * (c0 * bright - canvas[j, i, 0])
            else:
                for ch in range(3):
                    canvas[j, i, ch] += cover * (color[ch] * bright - canvas[j, i, ch])


@njit(cache=True, fastmath=True, nogil=True)
def _lay_backdrop(base, backdrop, view, bview):  # type: ignore[no-untyped-def]
    """Copy the backdrop [Hb, Wb, C], laid out by bview (x0, per column, y0, per row), as the camera sees it."""
    height, width, channels = base.shape
    rows, columns = np.float32(backdrop.shape[0] - 2), np.float32(backdrop.shape[1] - 2)
    zero = np.float32(0.0)
    du, dv = np.float32(view[1] / bview[1]), np.float32(view[4] / bview[3])
    for j in range(height):
        u0 = np.float32((view[0] + view[2] * j - bview[0]) / bview[1])
        v0 = np.float32((view[3] + view[5] * j - bview[2]) / bview[3])
        for i in range(width):
            u = min(max(u0 + du * i, zero), columns)
            v = min(max(v0 + dv * i, zero), rows)
            x0, y0 = int(u), int(v)
            au, av = u - np.float32(x0), v - np.float32(y0)
            for ch in range(channels):
                p00, p01 = backdrop[y0, x0, ch], backdrop[y0, x0 + 1, ch]
                p10, p11 = backdrop[y0 + 1, x0, ch], backdrop[y0 + 1, x0 + 1, ch]
                top, low = p00 + au * (p01 - p00), p10 + au * (p11 - p10)
                base[j, i, ch] = top + av * (low - top)


@njit(cache=True, fastmath=True, nogil=True)
def _blur(image, scratch, side):  # type: ignore[no-untyped-def]
    """Smooth image [H, W, C] in place with the kernel (side, 1 - 2 side, side) along both axes."""
    height, width, channels = image.shape
    wide = width * channels
    flat, temp = image.reshape(height, wide), scratch.reshape(height, wide)
    middle = np.float32(1.0) - np.float32(2.0) * side
    for j in range(height):
        above, below = max(j - 1, 0), min(j + 1, height - 1)
        for k in range(wide):
            temp[j, k] = middle * flat[j, k] + side * (flat[above, k] + flat[below, k])
    for j in range(height):
        for k in range(channels, wide - channels):
            flat[j, k] = middle * temp[j, k] + side * (temp[j, k - channels] + temp[j, k + channels])


@njit(cache=True, fastmath=True, nogil=True)
def _add(total, image, share, first):  # type: ignore[no-untyped-def]
    """Total += share * image, or total = share * image."""
    to, of = total.reshape(total.size), image.reshape(image.size)
    if first:
        for k in range(to.size):
            to[k] = share * of[k]
    else:
        for k in range(to.size):
            to[k] += share * of[k]


@njit(cache=True, fastmath=True, nogil=True)
def _expose(out, image, gain, lift, vignette, noise, grain, offset):  # type: ignore[no-untyped-def]
    """Write one frame: gain and lift, darker corners, sensor noise from the table grain, 8 bits."""
    height, width, channels = image.shape
    for j in range(height):
        y = np.float32(2.0 * j / height - 1.0)
        row = (j + offset[0]) % NOISE_SIDE
        for i in range(width):
            x = np.float32(2.0 * i / width - 1.0)
            fall = np.float32(1.0) - vignette * (x * x + y * y)
            speck = noise * grain[row, (i + offset[1]) % NOISE_SIDE]
            for ch in range(channels):
                value = np.float32(255.0) * (lift + gain * image[j, i, ch] * fall) + speck
                out[j, i, ch] = np.uint8(min(max(value + np.float32(0.5), np.float32(0.0)), np.float32(255.0)))


@njit(cache=True, fastmath=True, nogil=True)
def expose_frames(
    values, kinds, textures, bank, backdrops, which, bview, views, gains, sensor, grain, offsets, luma, out
):  # type: ignore[no-untyped-def]
    """Render T frames of S sub-frames each into out [T, H, W, C] uint8.

    Args:
        values: [T * S, P, NUM_FIELDS] packed shapes.
        kinds: [P] shape kinds.
        textures: [P] texture indices.
        bank: texture bank.
        backdrops: [N, Hb, Wb, C] float32.
        which: [T] backdrop of each frame.
        bview: [4] layout of the backdrops.
        views: [T, 6] camera of each frame.
        gains: [T] brightness.
        sensor: [4] lift, vignette, noise in grey levels, blur kernel side.
        grain: [NOISE_SIDE, NOISE_SIDE] noise table.
        offsets: [T, 2] where the table starts.
        luma: [3] luma weights.
        out: [T, H, W, C].
    """
    frames, height, width, channels = out.shape
    parts = len(values) // frames
    base = np.empty((height, width, channels), np.float32)
    canvas = np.empty((height, width, channels), np.float32)
    total = np.empty((height, width, channels), np.float32)
    share = np.float32(1.0 / parts)
    for f in range(frames):
        if f > 0 and which[f] == which[f - 1] and (views[f] == views[f - 1]).all():
            pass
        else:
            _lay_backdrop(base, backdrops[which[f]], views[f], bview)
        if parts == 1:
            total[:] = base
            draw_shapes(total, values[f], kinds, textures, bank, views[f], luma)
        else:
            for s in range(parts):
                canvas[:] = base
                draw_shapes(canvas, values[f * parts + s], kinds, textures, bank, views[f], luma)
                _add(total, canvas, share, s == 0)
        if sensor[3] > 0.0:
            _blur(total, canvas, np.float32(sensor[3]))
        _expose(
            out[f],
            total,
            np.float32(gains[f]),
            np.float32(sensor[0]),
            np.float32(sensor[1]),
            np.float32(sensor[2]),
            grain,
            offsets[f],
        )


def paint_backdrop(
    shapes: Sequence[Shape], place: Placement, size: tuple[int, int, int], bview: NDArray[np.float64]
) -> Pixels:
    """Draw fixed shapes once on a larger canvas.

    Args:
        shapes: what stands still, in order.
        place: where the subject stands.
        size: (rows, columns, channels).
        bview: [4] x0, dx/dcolumn, y0, dy/drow.

    Returns:
        [rows, columns, channels] float32.
    """
    canvas = np.full(size, 0.4, np.float32)
    packed = pack(shapes, 1, place)
    view = np.array([bview[0], bview[1], 0.0, bview[2], 0.0, bview[3]])
    draw_shapes(canvas, packed.values[0], packed.kinds, packed.textures, texture_bank(), view, LUMA)
    return canvas
