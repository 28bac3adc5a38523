"""The camera's inside: backdrop under the lens, sub-frames, blur, vignette, noise -> uint8 frames."""

# numba infers the types of its kernels.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np
from numba import njit

from mfv2a.scenes.render import draw_shapes

NOISE_SIDE = 128
"""Side of the table of sensor noise."""


@njit(cache=True, fastmath=True, nogil=True)
def _lay_backdrop(base, backdrop, view, bview):
    """Copy the backdrop [Hb, Wb, C], laid out by bview (x0, per column, y0, per row), as the camera sees it."""
    height, width, channels = base.shape
    flat, source = base.reshape(height, width * channels), backdrop.reshape(len(backdrop), backdrop.shape[1] * channels)
    rows, columns = np.float32(backdrop.shape[0] - 2), np.float32(backdrop.shape[1] - 2)
    zero = np.float32(0.0)
    du, dv = np.float32(view[1] / bview[1]), np.float32(view[4] / bview[3])
    for j in range(height):
        u0 = np.float32((view[0] + view[2] * j - bview[0]) / bview[1])
        v0 = np.float32((view[3] + view[5] * j - bview[2]) / bview[3])
        for i in range(width):
            u = min(max(u0 + du * np.float32(i), zero), columns)
            v = min(max(v0 + dv * np.float32(i), zero), rows)
            x, y = np.uint32(u), np.uint32(v)
            au, av = u - np.float32(x), v - np.float32(y)
            upper, lower, left, right = source[y], source[y + 1], x * channels, (x + 1) * channels
            for ch in range(channels):
                top = upper[left + ch] + au * (upper[right + ch] - upper[left + ch])
                low = lower[left + ch] + au * (lower[right + ch] - lower[left + ch])
                flat[j, i * channels + ch] = top + av * (low - top)


@njit(cache=True, fastmath=True, nogil=True)
def _blur(image, scratch, side):
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
def _add(total, image, share, first):
    """Total += share * image, or total = share * image."""
    to, of = total.reshape(total.size), image.reshape(image.size)
    if first:
        for k in range(to.size):
            to[k] = share * of[k]
    else:
        for k in range(to.size):
            to[k] += share * of[k]


@njit(cache=True, fastmath=True, nogil=True)
def _expose(out, image, gain, lift, vignette, noise, grain, offset):
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


@njit(cache=True, nogil=True)
def _count_still(values):
    """How many of the first shapes in [S, P, NUM_FIELDS] are the same in all S sub-frames."""
    for k in range(values.shape[1]):
        for s in range(1, len(values)):
            for n in range(values.shape[2]):
                if values[s, k, n] != values[0, k, n]:
                    return k
    return values.shape[1]


@njit(cache=True, fastmath=True, nogil=True)
def expose_frames(
    values, kinds, textures, bank, backdrops, which, bview, views, gains, sensor, grain, offsets, luma, out
):
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
    fixed, canvas, total = np.empty_like(base), np.empty_like(base), np.empty_like(base)
    share = np.float32(1.0 / parts)
    for f in range(frames):
        if f == 0 or which[f] != which[f - 1] or (views[f] != views[f - 1]).any():
            _lay_backdrop(base, backdrops[which[f]], views[f], bview)
        first = f * parts
        still = _count_still(values[first : first + parts])
        total[:] = base
        draw_shapes(total, values[first, :still], kinds, textures, bank, views[f], luma)
        if still < len(kinds):
            fixed[:] = total
            for s in range(parts):
                canvas[:] = fixed
                moving = values[first + s, still:]
                draw_shapes(canvas, moving, kinds[still:], textures[still:], bank, views[f], luma)
                _add(total, canvas, share, s == 0)
        if sensor[3] > 0.0:
            _blur(total, canvas, np.float32(sensor[3]))
        gain, lift, vignette = np.float32(gains[f]), np.float32(sensor[0]), np.float32(sensor[1])
        _expose(out[f], total, gain, lift, vignette, np.float32(sensor[2]), grain, offsets[f])
