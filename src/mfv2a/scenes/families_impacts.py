"""Something strikes something, of any shape, from any side: what all blows have in common."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

from mfv2a.scenes import materials
from mfv2a.scenes.curves import events_at, random_swing, rhythm, since_last, strike_track
from mfv2a.scenes.parts import Throw, arm, fist, fixed, flying_bits, open_hand, paint, skin, table
from mfv2a.scenes.script import Burst, Hits, Modes, Script
from mfv2a.scenes.shapes import Floats, Shape, box, capsule, ellipse
from mfv2a.scenes.slow import wobble

Body = Callable[[Floats, Floats, Floats, Floats], list[Shape]]
"""Shapes of a moving thing at x [K], y [K], angle [K] and magnification [K]."""


def impacts(rng: Generator, duration_s: float) -> Script:
    """A random thing hits another: along a line, around a pivot, or towards the camera."""
    heavy, side = float(rng.random()), float(rng.uniform(-np.pi, np.pi))
    beat = rhythm(rng, duration_s, fastest_s=0.13 + 0.25 * heavy, slowest_s=1.9)
    lift = strike_track(beat, random_swing(rng, heavy=heavy))
    mover, path, target = _mover(rng), _path(rng, side), _target(rng, side)
    give, seed = float(rng.uniform(0.0, 0.04)) * float(rng.random() < 0.6), int(rng.integers(1 << 30))
    bits = paint(rng) if rng.random() < 0.3 else None
    floor = paint(rng) if rng.random() < 0.3 else None
    sway, drift = [wobble(rng) for _ in range(2)], float(rng.uniform(0.0, 0.03))

    def draw(t: Floats) -> list[Shape]:
        h = lift.at(t)
        age = np.minimum(since_last(t, beat.times_s)[0], 9.0)
        sink = give * np.exp(-age / 0.12) * np.cos(2 * np.pi * 6.0 * age) * (age < 8.0)
        loose = np.minimum(1.0, 3.0 * h) * drift
        x, y, angle, size = path(h)
        struck = target(-sink * np.cos(side), -sink * np.sin(side))
        shapes = struck + mover(x + loose * sway[0].at(t), y + loose * sway[1].at(t), angle, size)
        if bits is not None:
            shapes.append(
                flying_bits(fixed(seed), t, beat.times_s, (np.zeros(1), np.zeros(1)), bits, Throw(upward=0.3))
            )
        return shapes

    def still(t: Floats) -> list[Shape]:
        return [] if floor is None else [table(fixed(seed), 0.15, floor)]

    voice = Hits(beat.times_s, beat.gains, *_any_sound(rng, heavy))
    return Script(
        label="impact", events=events_at(beat, "impact"), draw=draw, still=still, voices=(voice,), level_db=-6.0,
        focus=((0.0, 0.0), (0.2 * np.cos(side), 0.2 * np.sin(side))), size=(0.3, 1.6), tilt=3.0,
    )  # fmt: skip


def _path(rng: Generator, side: float) -> Callable[[Floats], tuple[Floats, Floats, Floats, Floats]]:
    """A way to the origin from direction `side`: height [K] to x, y, angle and magnification [K]."""
    kind = str(rng.choice(["line", "line", "pivot", "pivot", "depth"]))
    far, curl, grow = float(rng.uniform(0.12, 0.6)), float(rng.normal(0, 0.4)), float(rng.uniform(0.3, 1.0))
    reach, spread = float(rng.uniform(0.35, 0.9)), float(rng.uniform(0.3, 1.3))

    def at(h: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        if kind == "pivot":
            a = side + spread * h
            x, y = reach * (np.cos(a) - np.cos(side)), reach * (np.sin(a) - np.sin(side))
            return x, y, a + np.pi / 2, np.ones(len(h))
        if kind == "line":
            return far * h * np.cos(side), far * h * np.sin(side), side + curl * h, np.ones(len(h))
        near = 0.3 * far
        return near * h * np.cos(side), near * h * np.sin(side), side + 0.5 * curl * h, 1.0 + grow * h

    return at


def _mover(rng: Generator) -> Body:
    """A random striking thing whose striking point is the origin."""
    kind = str(rng.choice(["blob", "block", "stick", "limb", "mallet", "hand", "foot"]))
    look, other, seed = paint(rng), paint(rng), int(rng.integers(1 << 30))
    a, b = float(rng.uniform(0.04, 0.2)), float(rng.uniform(0.04, 0.2))
    long, rough = float(rng.uniform(0.25, 0.7)), float(rng.uniform(0.0, 0.03))
    bare = skin(rng)

    def draw(x: Floats, y: Floats, angle: Floats, size: Floats) -> list[Shape]:
        c, s = np.cos(angle), np.sin(angle)
        ex, ey = x + size * long * c, y + size * long * s
        if kind == "blob":
            return [ellipse(x + a * size * c, y + a * size * s, a * size, b * size, look.but(rough=rough), angle=angle)]
        if kind == "block":
            return [box(x + a * size * c, y + a * size * s, a * size, b * size, look, angle=angle, corner=0.2 * a)]
        if kind == "stick":
            return [
                *fist((ex, ey), angle, 0.3 * a + 0.03, bare),
                capsule(x, y, ex, ey, 0.02 * size, 0.025 * size, look),
            ]
        if kind == "mallet":
            stick = capsule(x, y, ex, ey, 0.02 * size, 0.025 * size, other)
            return [stick, box(x, y, 0.6 * a * size, b * size, look, angle=angle, corner=0.02)]
        if kind == "hand":
            palm = open_hand((x + 0.08 * c, y + 0.08 * s), angle + np.pi, 0.08, bare)
            return [capsule(x + 0.1 * c, y + 0.1 * s, ex, ey, 0.06 * size, 0.08 * size, other), *palm]
        if kind == "foot":
            shoe = capsule(x, y, x + 0.16 * size * c - 0.1 * s, y + 0.16 * size * s + 0.1 * c, 0.05, 0.07, other)
            return [capsule(x + 0.1 * c, y + 0.1 * s, ex, ey, 0.07 * size, 0.1 * size, look), shoe]
        return arm((ex, ey), (x + 0.05 * c, y + 0.05 * s), fixed(seed), thick=0.04 + 0.3 * a)

    return draw


def _target(rng: Generator, side: float) -> Callable[[Floats, Floats], list[Shape]]:
    """A random thing that is struck at the origin from direction `side`; moved by dx [K], dy [K]."""
    kind = str(rng.choice(["block", "round", "wall", "none"]))
    look = paint(rng)
    a, b = float(rng.uniform(0.05, 0.3)), float(rng.uniform(0.05, 0.3))
    depth = 2.0 if kind == "wall" else a
    c, s = float(np.cos(side)), float(np.sin(side))

    def draw(dx: Floats, dy: Floats) -> list[Shape]:
        x, y = dx - depth * c, dy - depth * s
        if kind == "none":
            return []
        if kind == "round":
            return [ellipse(x, y, a, b, look, angle=side)]
        return [box(x, y, depth, 3.0 if kind == "wall" else b, look, angle=side)]

    return draw


def _any_sound(rng: Generator, heavy: float) -> tuple[Modes | None, tuple[Burst, ...]]:
    """Any struck sound; heavy things sound lower."""
    kinds = ("plastic", "wood", "stone", "metal", "glass", "board", "log", "door", "floor")
    place = int(np.clip(heavy * 6 + rng.integers(0, 4), 0, len(kinds) - 1))
    touch = str(rng.choice(["metal", "wood", "stone", "felt", "hand", "plastic"]))
    if rng.random() < 0.15:
        return None, materials.contact(rng, "hand")
    return materials.body(rng, kinds[place]), materials.contact(rng, touch)
