"""The rasteriser: packed shapes -> a picture of float32.

Knows pixels and nothing of families or sounds. numba compiles these loops once and keeps them on disk.
"""

# numba infers the types of its kernels.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np
from numba import njit

from mfv2a.scenes.shapes import BOX, CAPSULE
from mfv2a.scenes.textures import LEVELS, SIDE_PX

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of red, green and blue in gray."""


@njit(cache=True, fastmath=True, nogil=True, inline="always")
def _smooth(image, u, v):
    """Texture value 0..1 at (u, v) texels, interpolated."""
    fu, fv = np.floor(u), np.floor(v)
    au, av = u - fu, v - fv
    x0, y0 = int(fu) & (SIDE_PX - 1), int(fv) & (SIDE_PX - 1)
    x1, y1 = (x0 + 1) & (SIDE_PX - 1), (y0 + 1) & (SIDE_PX - 1)
    top = np.float32(image[y0, x0]) + au * (np.float32(image[y0, x1]) - np.float32(image[y0, x0]))
    low = np.float32(image[y1, x0]) + au * (np.float32(image[y1, x1]) - np.float32(image[y1, x0]))
    return (top + av * (low - top)) * np.float32(1.0 / 255.0)


@njit(cache=True, fastmath=True, nogil=True, inline="always")
def _nearest(image, u, v):
    """Texture value 0..1 of the nearest texel; fine where a pixel spans several texels."""
    half = np.float32(0.5)
    return np.float32(
        image[int(np.floor(v + half)) & (SIDE_PX - 1), int(np.floor(u + half)) & (SIDE_PX - 1)]
    ) * np.float32(1.0 / 255.0)


@njit(cache=True, fastmath=True, nogil=True, inline="always")
def _sine(turns):
    """A sine of `turns` full turns by parabolas (error below 0.06)."""
    x = turns - np.floor(turns)
    y = np.float32(1.0) - np.float32(2.0) * x
    return np.float32(4.0) * y * (np.float32(1.0) - abs(y))


@njit(cache=True, fastmath=True, nogil=True)
def _bounds(kind, p, view, height, width, pad):
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
def draw_shapes(canvas, values, kinds, textures, bank, view, luma):
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
    color, distance = np.zeros(3, np.float32), np.empty(width, np.float32)
    for k in range(len(values)):
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
        window = (top, bottom, left, right)
        _fill(canvas, p, kind, bank[level, textures[k]], ragged, color, view, edge, texel, lookup, window, distance)


@njit(cache=True, fastmath=True, nogil=True)
def _tone(image, u, v, lookup):
    """Texture value: the nearest texel (lookup 0), interpolated (1), or interpolated with a finer octave (2)."""
    if lookup == 0:
        return _nearest(image, u, v)
    value = _smooth(image, u, v)
    if lookup == 2:
        value += np.float32(0.35) * (_smooth(image, np.float32(5.3) * v, np.float32(5.3) * u) - np.float32(0.5))
    return value


@njit(cache=True, fastmath=True, nogil=True)
def _measure_row(out, kind, left, right, x0, dx, y0, dy, a, b, r1, r2):  # simple loops, so that they vectorise
    """Signed distances from a shape's outline along a row: pixel i lies at (x0 + dx i, y0 + dy i) in its own axes.

    A CAPSULE has its length in a; r1, r2 are its radii; a BOX has its corner radius in r2.
    """
    zero, one = np.float32(0.0), np.float32(1.0)
    ia, ib, small, taper = one / a, one / b, min(a, b), (r2 - r1) / a
    if kind == BOX:
        for i in range(left, right):
            at = np.float32(i)
            qx, qy = abs(x0 + dx * at) - a + r2, abs(y0 + dy * at) - b + r2
            ox, oy = max(qx, zero), max(qy, zero)
            out[i] = np.sqrt(ox * ox + oy * oy) + min(max(qx, qy), zero) - r2
    elif kind == CAPSULE:
        for i in range(left, right):
            at = np.float32(i)
            x, y = x0 + dx * at, y0 + dy * at
            along = min(max(x, zero), a)
            out[i] = np.sqrt((x - along) * (x - along) + y * y) - r1 - taper * along
    else:
        for i in range(left, right):
            at = np.float32(i)
            x, y = (x0 + dx * at) * ia, (y0 + dy * at) * ib
            out[i] = (np.sqrt(x * x + y * y) - one) * small


@njit(cache=True, fastmath=True, nogil=True)
def _paint_row(row, p, distance, left, right, image, ragged, color, edge, lookup, u, du, v, dv, light, dlight):
    """Blend one row [W, C] of a shape; at pixel i the texture is at (u + du i, v + dv i), the light light + dlight i."""
    zero, half, one, two = np.float32(0.0), np.float32(0.5), np.float32(1.0), np.float32(2.0)
    alpha, contrast, cut, warp, wave, rough = p[9], two * p[11], p[15], p[16] * np.float32(SIDE_PX), p[17], p[19]
    slope, limit, c0, mono = half / edge, edge + rough, color[0], row.shape[1] == 1
    for i in range(left, right):
        d = distance[i]
        if d > limit:
            continue
        at = np.float32(i)
        tu, tv = u + du * at, v + dv * at
        if warp > zero:
            tu += warp * _sine(tv * np.float32(2.0 / SIDE_PX) + wave)
            tv += warp * np.float32(0.6) * _sine(tu * np.float32(1.0 / SIDE_PX) - np.float32(1.3) * wave)
        if rough > zero and d > -limit:
            d += rough * (two * _nearest(ragged, np.float32(1.7) * tu, np.float32(1.7) * tv) - one)
        cover = min(max(half - d * slope, zero), one) * alpha
        if cover <= zero:
            continue
        value = _tone(image, tu, tv, lookup)
        if cut > zero:
            cover *= min(max((value - cut) * np.float32(6.0), zero), one)
        bright = (one + contrast * (value - half)) * (one + light + dlight * at)
        if mono:
            row[i, 0] += cover * (c0 * bright - row[i, 0])
        else:
            for ch in range(3):
                row[i, ch] += cover * (color[ch] * bright - row[i, ch])


@njit(cache=True, fastmath=True, nogil=True)
def _fill(canvas, p, kind, image, ragged, color, view, edge, texel, lookup, window, distance):
    """Paint one shape within the pixel rectangle `window`; all that varies along a row does so linearly."""
    tiny, side = np.float32(1e-6), np.float32(SIDE_PX)
    x, y, a, b, r1, r2 = p[0], p[1], max(p[2], tiny), max(p[3], tiny), p[4], p[5]
    if kind == CAPSULE:
        a = max(np.sqrt((p[2] - x) ** 2 + (p[3] - y) ** 2), tiny)
        c, s = (p[2] - x) / a, (p[3] - y) / a
        sun_x, sun_y, size = c * s, -c * c, max(r1, r2, tiny)
    else:
        c, s = np.cos(r1), np.sin(r1)
        sun_x, sun_y, size = np.float32(-0.35), np.float32(-0.8), max(a, b)
    shade = np.float32(0.7) * p[18] / size
    step_x, step_y = np.float32(view[1]), np.float32(view[4])
    lx, ly = step_x * c + step_y * s, step_y * c - step_x * s
    dlight = shade * (sun_x * step_x + sun_y * step_y)
    top, bottom, left, right = window
    for j in range(top, bottom):
        dx, dy = np.float32(view[0] + view[2] * j) - x, np.float32(view[3] + view[5] * j) - y
        x0, y0 = dx * c + dy * s, dy * c - dx * s
        _measure_row(distance, kind, left, right, x0, lx, y0, ly, a, b, r1, r2)
        u, v, light = x0 * texel + p[12] * side, y0 * texel + p[13] * side, shade * (sun_x * dx + sun_y * dy)
        _paint_row(
            canvas[j], p, distance, left, right, image, ragged, color, edge, lookup,
            u, lx * texel, v, ly * texel, light, dlight,
        )  # fmt: skip
