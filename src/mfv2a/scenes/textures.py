"""A bank of tileable textures: what cloth, bricks, leaves, water and rooms look like from afar.

Made from seeds, in numpy, once a process. Knows nothing of scenes.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Image = NDArray[np.float64]

SIDE_PX = 256
LEVELS = 5

NAMES = (
    "haze", "grit", "wood", "bricks", "tiles", "foliage", "grass", "pebbles", "marble", "weave",
    "stripes", "room", "bokeh", "speckle", "ripples", "flames", "clouds", "skin", "brushed", "streaks",
    "foam", "plaid", "shelves", "bark",
)  # fmt: skip
INDEX = {name: i for i, name in enumerate(NAMES)}


def texture(*names: str) -> tuple[int, ...]:
    """Indices of the named textures."""
    return tuple(INDEX[name] for name in names)


def _grid() -> tuple[Image, Image]:
    axis = np.arange(SIDE_PX) / SIDE_PX
    x, y = np.meshgrid(axis, axis)
    return x, y


def _noise(rng: Generator, fall: float, *, stretch: float = 1.0, low: float = 0.0) -> Image:
    """Noise with power falling as frequency**-fall, stretched along x; tileable because made by FFT."""
    fy = np.fft.fftfreq(SIDE_PX)[:, None] * SIDE_PX
    fx = np.fft.rfftfreq(SIDE_PX)[None, :] * SIDE_PX
    radius = np.hypot(fx * stretch, fy / stretch)
    gain = np.where(radius > low, np.maximum(radius, 1.0) ** (-fall / 2.0), 0.0)
    gain[0, 0] = 0.0
    return _even(np.fft.irfft2(np.fft.rfft2(rng.normal(size=(SIDE_PX, SIDE_PX))) * gain, s=(SIDE_PX, SIDE_PX)))


def _even(image: Image) -> Image:
    """Mean 0.5, most values within 0..1."""
    return np.asarray(np.clip(0.5 + 0.22 * (image - image.mean()) / (image.std() + 1e-9), 0.0, 1.0))


def _stamp(rng: Generator, image: Image, patch: Image, value: float) -> None:
    """Blend `value` into the wrapped image somewhere, where patch is 1."""
    cx, cy = rng.integers(0, SIDE_PX, 2)
    rows = (cy + np.arange(patch.shape[0])) % SIDE_PX
    cols = (cx + np.arange(patch.shape[1])) % SIDE_PX
    window = np.ix_(rows, cols)
    image[window] += patch * (value - image[window])


def _leaves(rng: Generator, count: int, long_px: tuple[float, float], thin: float, upright: float) -> Image:
    image = 0.3 * _noise(rng, 2.0)
    for depth in range(count):
        a = rng.uniform(*long_px)
        b = a * thin * rng.uniform(0.6, 1.3)
        angle = rng.uniform(0, np.pi) if rng.random() > upright else np.pi / 2 + rng.normal(0, 0.25)
        reach = int(a) + 2
        y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
        u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        patch = np.clip(2.0 * (1.0 - np.hypot(u / a, v / b)), 0.0, 1.0)
        light = (0.15 + 0.75 * depth / count) * rng.uniform(0.6, 1.25)
        _stamp(rng, image, patch, light)
    return _even(image)


def _cells(rng: Generator, count: int) -> Image:
    x, y = _grid()
    points = rng.random((count, 2))
    tone = rng.random(count)
    nearest, second, value = np.full(x.shape, 9.0), np.full(x.shape, 9.0), np.zeros(x.shape)
    for (px, py), shade in zip(points, tone, strict=True):
        dx, dy = np.abs(x - px), np.abs(y - py)
        away = np.hypot(np.minimum(dx, 1 - dx), np.minimum(dy, 1 - dy))
        closer = away < nearest
        second = np.where(closer, nearest, np.minimum(second, away))
        value = np.where(closer, shade, value)
        nearest = np.where(closer, away, nearest)
    return _even(np.clip((second - nearest) * np.sqrt(count) * 2.5, 0, 1) * (0.4 + 0.6 * value))


def _masonry(rng: Generator, rows: int, columns: int, shift: float, joint: float) -> Image:
    x, y = _grid()
    row = np.floor(y * rows)
    along = x * columns + shift * (row % 2)
    fx, fy = along % 1.0, (y * rows) % 1.0
    inside = (fx > joint) & (fy > joint * 1.6)
    tone = rng.random((rows, columns))[row.astype(int) % rows, np.floor(along).astype(int) % columns]
    return _even(np.where(inside, 0.45 + 0.35 * tone, 0.1) + 0.25 * (_noise(rng, 1.5) - 0.5))


def _blocks(rng: Generator, count: int, wide: tuple[int, int], tall: tuple[int, int]) -> Image:
    image = 0.5 + 0.15 * (_noise(rng, 2.5) - 0.5)
    for _ in range(count):
        h, w = int(rng.integers(*tall)), int(rng.integers(*wide))
        patch = np.full((h, w), rng.uniform(0.7, 1.0))
        _stamp(rng, image, patch, rng.random())
    return _even(image + 0.05 * (_noise(rng, 0.5) - 0.5))


def _disks(rng: Generator, count: int, size_px: tuple[float, float]) -> Image:
    image = 0.3 * _noise(rng, 3.0)
    for _ in range(count):
        r = rng.uniform(*size_px)
        reach = int(r) + 2
        y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
        patch = np.clip(r - np.hypot(x, y), 0.0, 1.0) * rng.uniform(0.3, 0.8)
        _stamp(rng, image, patch, rng.uniform(0.3, 1.0))
    return _even(image)


def _waves(rng: Generator, count: int, bend: float) -> Image:
    x, y = _grid()
    warp = bend * (_noise(rng, 4.2) - 0.5)
    total = np.zeros(x.shape)
    for _ in range(count):
        kx, ky = int(rng.integers(-3, 4)), int(rng.integers(4, 14))
        total += np.sin(2 * np.pi * (kx * x + ky * (y + warp) + rng.random())) / np.sqrt(ky)
    return _even(np.sign(total) * np.abs(total) ** 1.3)


def _wood(rng: Generator, lines: float) -> Image:
    _, y = _grid()
    rings = np.sin(2 * np.pi * (lines * y + 2.2 * _noise(rng, 4.0, stretch=3.0)))
    planks = (np.floor(y * 4) * 0.37) % 1.0
    return _even(rings + 1.2 * planks + 1.5 * (_noise(rng, 1.0, stretch=4.0) - 0.5) - 2.0 * ((y * 4) % 1.0 < 0.03))


def _paintings(rng: Generator) -> list[Image]:
    x, y = _grid()
    stripes = np.sign(np.sin(2 * np.pi * (7 * x + 0.0 * y))) + 0.6 * np.sign(np.sin(2 * np.pi * 3 * x))
    weave = np.sin(2 * np.pi * 32 * x) * np.sign(np.sin(2 * np.pi * 16 * y)) + 0.6 * (_noise(rng, 1.0) - 0.5)
    plaid = np.sign(np.sin(10 * np.pi * x)) + np.sign(np.sin(10 * np.pi * y)) + np.sin(46 * np.pi * x)
    foam = np.abs(_noise(rng, 2.2) - 0.5) ** 0.5
    return [
        _noise(rng, 3.0), _noise(rng, 0.8), _wood(rng, 10.0), _masonry(rng, 10, 5, 0.5, 0.06),
        _masonry(rng, 6, 6, 0.0, 0.05), _leaves(rng, 420, (6, 16), 0.45, 0.0), _leaves(rng, 500, (12, 36), 0.09, 0.9),
        _cells(rng, 170), _even(np.sin(2 * np.pi * (3 * x + 2.2 * _noise(rng, 4.4)))), _even(weave),
        _even(stripes + 0.4 * (_noise(rng, 1.5) - 0.5)), _blocks(rng, 60, (20, 110), (20, 110)),
        _disks(rng, 90, (6, 26)), _disks(rng, 700, (1.2, 4.0)), _waves(rng, 6, 0.12),
        _noise(rng, 2.4, stretch=0.6), _noise(rng, 3.8, low=1.0), _even(_noise(rng, 2.0) + 0.6 * _noise(rng, 0.6)),
        _noise(rng, 1.2, stretch=5.0), _noise(rng, 1.4, stretch=0.2), _even(-foam),
        _even(plaid), _blocks(rng, 170, (5, 18), (24, 48)), _noise(rng, 1.6, stretch=0.4),
    ]  # fmt: skip


@lru_cache(maxsize=1)
def texture_bank() -> NDArray[np.uint8]:
    """All textures, [LEVELS, len(NAMES), SIDE_PX, SIDE_PX]; level k is smoothed for 2**k texels a pixel."""
    sharp = np.stack(_paintings(np.random.default_rng(20240607)))
    f2 = np.fft.fftfreq(SIDE_PX)[:, None] ** 2 + np.fft.rfftfreq(SIDE_PX)[None, :] ** 2
    spectra = np.fft.rfft2(sharp)
    levels = []
    for level in range(LEVELS):
        spread = 0.5 * 2.0**level if level else 0.0
        smooth = np.fft.irfft2(spectra * np.exp(-2.0 * (np.pi * spread) ** 2 * f2), s=(SIDE_PX, SIDE_PX))
        levels.append(np.clip(np.round(smooth * 255.0), 0, 255).astype(np.uint8))
    bank = np.stack(levels)
    bank.setflags(write=False)
    return bank
