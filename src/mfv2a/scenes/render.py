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
    color, scratch = np.zeros(3, np.float32), np.zeros((2, width), np.float32)
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
        _fill(canvas, p, kind, bank[level, textures[k]], ragged, color, view, edge, texel, lookup, window, scratch)


@njit(cache=True, fastmath=True, nogil=True)
def _measure_row(out, kind, x0, dx, y0, dy, a, b, r1, r2):  # simple loops from 0, so that they vectorise
    """Signed distances from a shape's outline along a row: pixel i lies at (x0 + dx i, y0 + dy i) in its own axes.

    A CAPSULE has its length in a; r1, r2 are its radii; a BOX has its corner radius in r2.
    """
    zero, one = np.float32(0.0), np.float32(1.0)
    ia, ib, small, taper = one / a, one / b, min(a, b), (r2 - r1) / a
    if kind == BOX:
        for i in range(len(out)):
            at = np.float32(i)
            qx, qy = abs(x0 + dx * at) - a + r2, abs(y0 + dy * at) - b + r2
            ox, oy = max(qx, zero), max(qy, zero)
            out[i] = np.sqrt(ox * ox + oy * oy) + min(max(qx, qy), zero) - r2
    elif kind == CAPSULE:
        for i in range(len(out)):
            at = np.float32(i)
            x, y = x0 + dx * at, y0 + dy * at
            along = min(max(x, zero), a)
            out[i] = np.sqrt((x - along) * (x - along) + y * y) - r1 - taper * along
    else:
        for i in range(len(out)):
            at = np.float32(i)
            x, y = (x0 + dx * at) * ia, (y0 + dy * at) * ib
            out[i] = (np.sqrt(x * x + y * y) - one) * small


@njit(cache=True, fastmath=True, nogil=True)
def _cover_row(row, p, edge, ragged, u, du, v, dv):
    """Turn a row of distances into how much of each pixel is covered, in place."""
    zero, half, one, two = np.float32(0.0), np.float32(0.5), np.float32(1.0), np.float32(2.0)
    alpha, rough, slope = p[9], p[19], half / edge
    if rough > zero:
        zoom = np.float32(1.7)
        for i in range(len(row)):
            if abs(row[i]) < edge + rough:
                at = np.float32(i)
                row[i] += rough * (two * _nearest(ragged, zoom * (u + du * at), zoom * (v + dv * at)) - one)
    for i in range(len(row)):
        row[i] = min(max(half - row[i] * slope, zero), one) * alpha


@njit(cache=True, fastmath=True, nogil=True)
def _texture_row(tones, cover, p, image, lookup, u, du, v, dv):
    """Texture values of a row where it is covered: nearest (lookup 0), interpolated (1), with a finer octave too (2).

    The loops are apart because the compiler would otherwise compute every kind for every pixel.
    """
    zero = np.float32(0.0)
    warp, wave = p[16] * np.float32(SIDE_PX), p[17]
    if warp > zero:
        for i in range(len(cover)):
            if cover[i] > zero:
                at = np.float32(i)
                tu, tv = u + du * at, v + dv * at
                tu += warp * _sine(tv * np.float32(2.0 / SIDE_PX) + wave)
                tv += warp * np.float32(0.6) * _sine(tu * np.float32(1.0 / SIDE_PX) - np.float32(1.3) * wave)
                tones[i] = _smooth(image, tu, tv)
    elif lookup == 0:
        for i in range(len(cover)):
            if cover[i] > zero:
                at = np.float32(i)
                tones[i] = _nearest(image, u + du * at, v + dv * at)
    else:
        for i in range(len(cover)):
            if cover[i] > zero:
                at = np.float32(i)
                tones[i] = _smooth(image, u + du * at, v + dv * at)
    if lookup == 2:
        zoom, share = np.float32(5.3), np.float32(0.35)
        for i in range(len(cover)):
            if cover[i] > zero:
                at = np.float32(i)
                tones[i] += share * (_smooth(image, zoom * (v + dv * at), zoom * (u + du * at)) - np.float32(0.5))


@njit(cache=True, fastmath=True, nogil=True)
def _blend_row(row, cover, tones, p, color, light, dlight):
    """Blend a row of a shape into the picture's row [W, C]; the light at pixel i is light + dlight i."""
    zero, half, one = np.float32(0.0), np.float32(0.5), np.float32(1.0)
    contrast, cut = np.float32(2.0) * p[11], p[15]
    if cut > zero:
        for i in range(len(cover)):
            cover[i] *= min(max((tones[i] - cut) * np.float32(6.0), zero), one)
    for i in range(len(cover)):
        tones[i] = (one + contrast * (tones[i] - half)) * (one + light + dlight * np.float32(i))
    for ch in range(row.shape[1]):
        c = color[ch]
        for i in range(len(cover)):
            row[i, ch] += cover[i] * (c * tones[i] - row[i, ch])


@njit(cache=True, fastmath=True, nogil=True)
def _fill(canvas, p, kind, image, ragged, color, view, edge, texel, lookup, window, scratch):
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
    cover, tones = scratch[0, : right - left], scratch[1, : right - left]
    for j in range(top, bottom):
        dx = np.float32(view[0] + view[2] * j + view[1] * left) - x
        dy = np.float32(view[3] + view[5] * j + view[4] * left) - y
        x0, y0 = dx * c + dy * s, dy * c - dx * s
        u, v = x0 * texel + p[12] * side, y0 * texel + p[13] * side
        _measure_row(cover, kind, x0, lx, y0, ly, a, b, r1, r2)
        _cover_row(cover, p, edge, ragged, u, lx * texel, v, ly * texel)
        _texture_row(tones, cover, p, image, lookup, u, lx * texel, v, ly * texel)
        _blend_row(canvas[j, left:right], cover, tones, p, color, shade * (sun_x * dx + sun_y * dy), dlight)
