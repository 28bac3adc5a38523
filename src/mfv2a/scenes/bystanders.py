"""Silent moving things beside a subject: plants, passers-by, waving arms, curtains, screens. None has events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from mfv2a.scenes.parts import fixed, paint
from mfv2a.scenes.shapes import Floats, Paint, Shape, box, capsule, ellipse
from mfv2a.scenes.slow import wobble


@dataclass(frozen=True, slots=True)
class Bystander:
    """One silent moving thing: its kind, the seed of its movement, its look."""

    kind: str
    seed: int
    look: Paint


def invite(rng: Generator) -> tuple[Bystander, ...]:
    """None, one or two of them."""
    if rng.random() < 0.6:
        return ()
    kinds = rng.choice(sorted(_KINDS), int(rng.integers(1, 3)))
    return tuple(Bystander(str(kind), int(rng.integers(1 << 30)), paint(rng)) for kind in kinds)


def draw_bystanders(bystanders: tuple[Bystander, ...], aspect: float, t: Floats) -> list[Shape]:
    """Their shapes at the moments t [K], in picture units; most stand near the left or right edge."""
    shapes: list[Shape] = []
    for one in bystanders:
        rng = fixed(one.seed)
        x = float(rng.choice([rng.uniform(-0.05, 0.2), rng.uniform(0.8, 1.05)])) * aspect
        shapes += _KINDS[one.kind](rng, t, x, one.look, aspect)
    return shapes


def _plant(rng: Generator, t: Floats, x: float, look: Paint, aspect: float) -> list[Shape]:
    n, length = int(rng.integers(5, 14)), float(rng.uniform(0.2, 0.6))
    sway = np.stack([wobble(rng, fastest_hz=0.8).at(t) for _ in range(n)], axis=1) * rng.uniform(0.03, 0.25)
    angle = rng.normal(0.0, 0.5, (1, n)) + sway
    reach = length * rng.uniform(0.4, 1.0, (1, n))
    y = float(rng.uniform(0.7, 1.1))
    stem = look.but(texture=5, shade=0.4)
    x2, y2 = x + reach * np.sin(angle), y - reach * np.cos(angle)
    leaves = ellipse(x2, y2, 0.09 * length * 2, 0.045 * length * 2, stem.lit(1.2), angle=angle - 1.2, placed=False)
    return [capsule(x, y, x2, y2, 0.012, 0.006, stem, placed=False), leaves]


def _passer(rng: Generator, t: Floats, x: float, look: Paint, aspect: float) -> list[Shape]:
    speed = float(rng.choice([-1, 1])) * float(np.exp(rng.uniform(np.log(0.06), np.log(0.7)))) * aspect
    start_s = float(rng.uniform(-1.0, 6.0))
    size, y = float(rng.uniform(0.05, 0.22)), float(rng.uniform(0.1, 0.9))
    px = (-0.4 if speed > 0 else aspect + 0.4) + speed * (t - start_s)
    bob = 0.15 * size * np.sin(2 * np.pi * rng.uniform(0.5, 2.0) * t) * float(rng.random() < 0.5)
    if rng.random() < 0.5:
        head = ellipse(px, y - 1.6 * size + bob, 0.42 * size, 0.5 * size, look.lit(1.3), placed=False)
        return [ellipse(px, y + bob, 0.7 * size, 1.5 * size, look, placed=False), head]
    return [box(px, y, 1.8 * size, 0.7 * size, look, corner=0.3 * size, placed=False)]


def _waver(rng: Generator, t: Floats, x: float, look: Paint, aspect: float) -> list[Shape]:
    y, length = float(rng.uniform(0.4, 1.0)), float(rng.uniform(0.15, 0.4))
    sweep = rng.uniform(0.2, 0.9) * np.sin(2 * np.pi * rng.uniform(0.3, 1.6) * t + rng.uniform(0, 6))
    ease = 1.0 / (1.0 + np.exp(-8.0 * (0.3 + np.sin(2 * np.pi * t / rng.uniform(3, 9) + rng.uniform(0, 6)))))
    angle = rng.uniform(-0.6, 0.6) + sweep * ease
    x2, y2 = x + length * np.sin(angle), y - length * np.cos(angle)
    hand = ellipse(x2, y2, 0.17 * length, 0.13 * length, look.lit(1.3), angle=angle, placed=False)
    return [capsule(x, y, x2, y2, 0.12 * length, 0.07 * length, look, placed=False), hand]


def _cloth(rng: Generator, t: Floats, x: float, look: Paint, aspect: float) -> list[Shape]:
    phase = float(rng.uniform(0.1, 0.6)) * t
    wave = look.but(warp=float(rng.uniform(0.01, 0.04)), phase=phase, contrast=float(rng.uniform(0.2, 0.6)))
    swing = 0.02 * wobble(rng).at(t)
    return [
        box(
            x + swing, 0.4, float(rng.uniform(0.08, 0.2)), float(rng.uniform(0.3, 0.6)), wave, angle=swing, placed=False
        )
    ]


def _screen(rng: Generator, t: Floats, x: float, look: Paint, aspect: float) -> list[Shape]:
    step = np.floor(t * float(rng.uniform(0.3, 1.5)))
    drift = float(rng.uniform(-0.1, 0.1))
    picture = look.but(u=0.37 * step + drift * t, v=0.61 * step, contrast=0.6)
    a = float(rng.uniform(0.06, 0.16))
    return [box(x, float(rng.uniform(0.15, 0.6)), a, 0.6 * a, picture, placed=False)]


_Drawer = Callable[[Generator, Floats, float, Paint, float], list[Shape]]
_KINDS: dict[str, _Drawer] = {
    "plant": _plant,
    "passer": _passer,
    "waver": _waver,
    "cloth": _cloth,
    "screen": _screen,
}
