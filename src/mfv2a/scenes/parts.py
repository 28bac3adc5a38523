"""Things that many families need: paints for skin, wood and metal; limbs, hands and tools; flying bits.

All in the family's own units, y down.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike

from mfv2a.scenes.curves import since_last
from mfv2a.scenes.shapes import Floats, Paint, Shape, box, capsule, ellipse
from mfv2a.scenes.textures import INDEX


def paint(
    rng: Generator,
    *,
    hue: tuple[float, float] = (0.0, 1.0),
    colorful: tuple[float, float] = (0.0, 0.7),
    light: tuple[float, float] = (0.1, 0.95),
    textures: tuple[str, ...] = (
        "haze",
        "grit",
        "wood",
        "weave",
        "stripes",
        "speckle",
        "plaid",
        "marble",
        "skin",
        "brushed",
    ),
    scale: tuple[float, float] = (0.6, 4.0),
    contrast: tuple[float, float] = (0.12, 0.75),
) -> Paint:
    """A random look within ranges of hue (turns), colourfulness, lightness, texture."""
    color = colorsys.hsv_to_rgb(rng.uniform(*hue) % 1.0, rng.uniform(*colorful), rng.uniform(*light))
    return Paint(
        color=color,
        texture=INDEX[str(rng.choice(textures))],
        scale=float(np.exp(rng.uniform(np.log(scale[0]), np.log(scale[1])))),
        contrast=float(rng.uniform(*contrast)),
        u=float(rng.random()),
        v=float(rng.random()),
        shade=float(rng.uniform(0.0, 0.8)),
    )


def skin(rng: Generator) -> Paint:
    """Skin of any tone, sometimes a glove."""
    if rng.random() < 0.12:
        return paint(rng, textures=("weave", "grit", "haze"))
    return paint(
        rng, hue=(0.02, 0.09), colorful=(0.25, 0.6), light=(0.3, 0.98), textures=("skin", "haze"), contrast=(0.05, 0.3)
    )


def cloth(rng: Generator) -> Paint:
    """A sleeve, a shirt, a trouser leg."""
    return paint(rng, textures=("weave", "stripes", "plaid", "haze", "grit", "bricks"), light=(0.08, 0.9))


def wood(rng: Generator) -> Paint:
    """Planks and handles."""
    return paint(
        rng,
        hue=(0.05, 0.13),
        colorful=(0.2, 0.7),
        light=(0.25, 0.85),
        textures=("wood", "bark", "haze"),
        contrast=(0.15, 0.6),
    )


def metal(rng: Generator) -> Paint:
    """Steel, iron, brass."""
    warm = rng.random() < 0.25
    return paint(
        rng,
        hue=(0.1, 0.14) if warm else (0.5, 0.7),
        colorful=(0.3, 0.7) if warm else (0.0, 0.12),
        light=(0.2, 0.9),
        textures=("brushed", "haze", "speckle", "skin"),
        contrast=(0.05, 0.5),
    )


def stone(rng: Generator) -> Paint:
    """Rock, concrete."""
    return paint(
        rng,
        hue=(0.05, 0.2),
        colorful=(0.0, 0.2),
        textures=("pebbles", "grit", "skin", "marble", "speckle"),
        contrast=(0.2, 0.7),
    )


def arm(
    shoulder: tuple[ArrayLike, ArrayLike],
    hand: tuple[ArrayLike, ArrayLike],
    rng: Generator,
    *,
    thick: float = 0.09,
    sleeve: float = 0.6,
) -> list[Shape]:
    """A fore-arm from `shoulder` to `hand`, sleeved for a share of its length, with a fist at the end."""
    bare, dressed = skin(rng), cloth(rng)
    (x1, y1), (x2, y2) = shoulder, hand
    x1, y1, x2, y2 = np.asarray(x1), np.asarray(y1), np.asarray(x2), np.asarray(y2)
    mx, my = x1 + sleeve * (x2 - x1), y1 + sleeve * (y2 - y1)
    limbs = [capsule(x1, y1, x2, y2, thick, 0.62 * thick, bare)]
    if sleeve > 0.05:
        limbs.append(capsule(x1, y1, mx, my, 1.2 * thick, 1.0 * thick, dressed))
    return [*limbs, *fist((x2, y2), np.arctan2(y2 - y1, x2 - x1), 0.95 * thick, bare)]


def fist(at: tuple[ArrayLike, ArrayLike], angle: ArrayLike, size: float, look: Paint) -> list[Shape]:
    """A closed hand of radius `size`: a palm and four finger ridges."""
    x, y, angle = np.asarray(at[0]), np.asarray(at[1]), np.asarray(angle)
    cos, sin = np.cos(angle), np.sin(angle)
    shapes = [ellipse(x, y, 1.15 * size, 0.95 * size, look, angle=angle)]
    for k in range(4):
        side = (k - 1.5) * 0.42 * size
        fx, fy = x + 0.55 * size * cos - side * sin, y + 0.55 * size * sin + side * cos
        shapes.append(ellipse(fx, fy, 0.5 * size, 0.22 * size, look.lit(0.85 + 0.1 * (k % 2)), angle=angle))
    return shapes


def open_hand(
    at: tuple[ArrayLike, ArrayLike], angle: ArrayLike, size: float, look: Paint, *, spread: float = 0.35
) -> list[Shape]:
    """A flat hand whose palm is at `at` and whose fingers point along `angle`."""
    x, y, angle = np.asarray(at[0]), np.asarray(at[1]), np.asarray(angle)
    shapes = [ellipse(x, y, 1.1 * size, 0.85 * size, look, angle=angle)]
    for k in range(4):
        a = angle + (k - 1.5) * spread * 0.5
        bx, by = x + 0.8 * size * np.cos(a), y + 0.8 * size * np.sin(a)
        reach = size * (1.15 - 0.15 * abs(k - 1.5))
        shapes.append(
            capsule(bx, by, bx + reach * np.cos(a), by + reach * np.sin(a), 0.23 * size, 0.16 * size, look.lit(0.95))
        )
    thumb = angle + 1.1
    shapes.append(
        capsule(x, y, x + 1.3 * size * np.cos(thumb), y + 1.3 * size * np.sin(thumb), 0.28 * size, 0.2 * size, look)
    )
    return shapes


@dataclass(frozen=True, slots=True, kw_only=True)
class Throw:
    """How bits are thrown.

    Attributes:
        count: bits a moment.
        speed: units per second.
        life_s: how long they are seen.
        size: radius.
        fall: gravity, units per second squared.
        upward: 1 throws up, 0 all around, -1 down.
    """

    count: int = 8
    speed: float = 1.2
    life_s: float = 0.5
    size: float = 0.012
    fall: float = 2.5
    upward: float = 1.0


def flying_bits(
    rng: Generator, t: Floats, times_s: Floats, at: tuple[Floats, Floats], look: Paint, throw: Throw
) -> Shape:
    """Chips, sparks or splashes thrown from points at the latest of the given moments.

    Args:
        rng: a fresh generator with a fixed seed at every call, so that t decides alone.
        t: [K] moments.
        times_s: [N] when they start.
        at: x [N] or [1] and y, where they start.
        look: their paint.
        throw: how.

    Returns:
        One group of `throw.count` ellipses.
    """
    count, upward = throw.count, throw.upward
    number = max(1, len(times_s))
    angle = rng.uniform(-np.pi, np.pi, (number, count))
    pace = throw.speed * rng.uniform(0.3, 1.0, (number, count))
    vx, vy = pace * np.cos(angle), pace * np.sin(angle)
    vy = np.where(upward != 0, (1 - abs(upward)) * vy - upward * np.abs(vy), vy)
    age, index = since_last(t, times_s)
    age = age[:, None]
    x0, y0 = np.broadcast_to(at[0], number)[index][:, None], np.broadcast_to(at[1], number)[index][:, None]
    alive = np.where((age >= 0) & (age < throw.life_s), 1.0 - age / throw.life_s, 0.0) ** 0.5
    age = np.minimum(age, throw.life_s)
    x = x0 + vx[index] * age
    y = y0 + vy[index] * age + 0.5 * throw.fall * age**2
    sizes = throw.size * rng.uniform(0.5, 1.5, (1, count))
    return ellipse(x, y, sizes, sizes, look.but(alpha=alive * np.asarray(look.alpha)))


def fixed(seed: int) -> Generator:
    """A generator for use inside a drawing: the same at every call."""
    return np.random.default_rng(seed)


def table(rng: Generator, y: float, look: Paint, *, deep: float = 1.2) -> Shape:
    """A bench, floor or desk whose edge is at height y and which fills what is below."""
    return box(0.0, y + deep, 6.0, deep, look, angle=float(rng.normal(0, 0.01)))


def whole(look: Paint, *, y: float = 0.5, half: float = 1.5) -> Shape:
    """A sheet as wide as any picture, in picture units."""
    return box(0.9, y, 2.6, half, look, placed=False)
