"""Instruments that are struck: drums, cymbals, gongs, bells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mfv2a.scenes import materials
from mfv2a.scenes.curves import Rhythm, events_at, random_swing, rhythm, since_last, strike_track, track
from mfv2a.scenes.parts import arm, cloth, fist, fixed, metal, paint, skin, wood
from mfv2a.scenes.script import Hits, Script
from mfv2a.scenes.shapes import Drawing, Floats, Shape, box, capsule, ellipse

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Kit:
    """Drums at x [n], y [n]; which [N] is struck at each beat, by which hand [N]."""

    label: str
    x: Floats
    y: Floats
    which: Indices
    hand: Indices
    from_above: bool


def drums(rng: Generator, duration_s: float) -> Script:
    """Sticks or hands play one to four drums or cymbals, seen from the front or from above."""
    label = str(rng.choice(["snare_drum", "tom_drums", "hand_drum", "cymbal"]))
    kinds = ("regular", "irregular", "bursts", "changing", "pattern", "pattern")
    beat = rhythm(rng, duration_s, fastest_s=0.11, slowest_s=0.9, kinds=kinds)
    single = label in ("snare_drum", "hand_drum") and rng.random() < 0.7
    count = 1 if single else int(rng.integers(1, 5))
    xs = (np.arange(count) - 0.5 * (count - 1)) * float(rng.uniform(0.42, 0.6))
    hand = np.arange(len(beat)) % 2 if rng.random() < 0.85 else np.zeros(len(beat), np.int64)
    which = rng.integers(0, count, len(beat))
    kit = _Kit(label, xs, rng.uniform(-0.06, 0.06, count), which, hand, bool(rng.random() < 0.35))
    heads, still = _drum_heads(rng, kit, beat)
    arms = [_drum_arm(rng, kit, beat, side) for side in (0, 1)]

    def draw(t: Floats) -> list[Shape]:
        return [*heads(t), *arms[0](t), *arms[1](t)]

    voices = tuple(
        Hits(beat.times_s[which == k], beat.gains[which == k], *materials.drum(rng, label, k / max(1, count - 1)))
        for k in range(count)
    )
    return Script(
        label=label, events=events_at(beat, label, xs[which], kit.y[which]), draw=draw, still=still, voices=voices,
        level_db=-5.0, focus=((float(xs[0]), 0.0), (float(xs[-1]), -0.25)), size=(0.5, 1.5), tilt=0.3,
    )  # fmt: skip


def _drum_heads(rng: Generator, kit: _Kit, beat: Rhythm) -> tuple[Drawing, Drawing]:
    """The heads or cymbals, which tremble when struck, and what stands still below."""
    count = len(kit.x)
    shells, skins = [paint(rng) for _ in range(count)], [paint(rng, light=(0.5, 1.0)) for _ in range(count)]
    brass, radius = metal(rng), float(rng.uniform(0.15, 0.22))
    flat = 0.85 if kit.from_above else 0.3

    def draw(t: Floats) -> list[Shape]:
        shapes: list[Shape] = []
        for k, (x, y) in enumerate(zip(kit.x, kit.y, strict=True)):
            age = np.minimum(since_last(t, beat.times_s[kit.which == k])[0], 9.0)
            ring = np.exp(-age / 0.35) * np.sin(2 * np.pi * 3.1 * age)
            if kit.label == "cymbal":
                shapes.append(ellipse(x, y, 1.2 * radius, (0.4 + flat) * 0.6 * radius, brass, angle=0.25 * ring))
            else:
                shapes.append(ellipse(x, y + 0.01 * ring, radius, flat * radius, skins[k]))
        return shapes

    def still(t: Floats) -> list[Shape]:
        shapes: list[Shape] = []
        for x, y, shell in zip(kit.x, kit.y, shells, strict=True):
            if kit.label == "cymbal":
                shapes.append(capsule(x, y, x, 1.2, 0.012, 0.012, brass))
            elif kit.from_above:
                shapes.append(ellipse(x, y, 1.1 * radius, 1.1 * flat * radius, shell))
            else:
                shapes.append(box(x, y + 0.16, radius, 0.16, shell))
        return shapes

    return draw, still


def _drum_arm(rng: Generator, kit: _Kit, beat: Rhythm, side: int) -> Drawing:
    """One stick or hand that follows its own share of the beat and wanders between the drums."""
    own, targets = beat.pick(kit.hand == side), kit.which[kit.hand == side]
    lift, lean = strike_track(own, random_swing(rng, heavy=0.1)), 1.0 if side else -1.0
    start = int(targets[0]) if len(targets) else 0
    keys_x, keys_y = [(-1.0, float(kit.x[start]), 0.0)], [(-1.0, float(kit.y[start]), 0.0)]
    for time_s, k in zip(own.times_s, targets, strict=True):
        keys_x += [(float(time_s) - 0.03, float(kit.x[k]) + 0.05 * lean, 0.0)]
        keys_y += [(float(time_s) - 0.03, float(kit.y[k]), 0.0)]
        keys_x.append((float(time_s) + 0.03, keys_x[-1][1], 0.0))
        keys_y.append((float(time_s) + 0.03, keys_y[-1][1], 0.0))
    path_x, path_y = track(keys_x), track(keys_y)
    look, wooden, seed = skin(rng), wood(rng), int(rng.integers(1 << 30))
    length, high, tilt = float(rng.uniform(0.28, 0.45)), float(rng.uniform(0.2, 0.55)), float(rng.uniform(1.2, 1.6))

    def draw(t: Floats) -> list[Shape]:
        h, x, y = lift.at(t), path_x.at(t), path_y.at(t)
        if kit.label == "hand_drum":
            elbow = (x + 0.3 * lean, y + 0.12 - 0.75 * high * h)
            return arm(elbow, (x + 0.05 * lean, y - high * h - 0.02), fixed(seed), thick=0.06, sleeve=0.0)
        gx, gy = x + lean * length * 0.75, y - 0.08 - 0.35 * high * h
        angle = np.arctan2(y - gy, x - gx) + lean * tilt * 0.8 * high / length * h
        near = np.maximum(0.0, 1.0 - 4.0 * h)
        tx, ty = gx + length * np.cos(angle), gy + length * np.sin(angle)
        stick = capsule(gx, gy, tx + near * (x - tx), ty + near * (y - ty), 0.013, 0.01, wooden)
        limb = arm((gx + 0.3 * lean, gy + 0.3), (gx, gy), fixed(seed), thick=0.055, sleeve=0.4)
        return [*limb, stick, *fist((gx, gy), angle, 0.05, look)]

    return draw


def bells(rng: Generator, duration_s: float) -> Script:
    """A mallet strikes a gong that then sways, or a bell swings and its clapper strikes at the turns."""
    return _gong(rng, duration_s) if rng.random() < 0.5 else _bell(rng, duration_s)


def _gong(rng: Generator, duration_s: float) -> Script:
    beat = rhythm(rng, duration_s, fastest_s=0.8, slowest_s=3.0, kinds=("single", "irregular", "regular"))
    lift = strike_track(beat, random_swing(rng, heavy=0.9))
    brass, pole, felt, seed = metal(rng), wood(rng), cloth(rng), int(rng.integers(1 << 30))
    radius, far, sway = float(rng.uniform(0.22, 0.42)), float(rng.uniform(0.25, 0.5)), float(rng.uniform(0.02, 0.12))

    def draw(t: Floats) -> list[Shape]:
        h = lift.at(t)
        age = np.minimum(since_last(t, beat.times_s)[0], 30.0)
        swing = sway * np.exp(-age / 2.5) * np.sin(2 * np.pi * 0.9 * age)
        gx, gy = swing * 1.2, 0.02 * np.abs(swing)
        mx, my = -0.05 - far * h + np.where(h < 0.02, gx, 0.0), 0.08 + 0.3 * far * h
        disk = ellipse(gx, gy, radius, radius * (1.0 - 0.3 * np.abs(swing)), brass)
        boss = ellipse(gx, gy, 0.3 * radius, 0.3 * radius, brass.lit(1.25))
        ropes = [capsule(k * 0.2, -0.6, gx + k * 0.2, gy - 0.8 * radius, 0.008, 0.008, pole) for k in (-1, 1)]
        stick = [capsule(mx - 0.35, my + 0.2, mx, my, 0.015, 0.015, pole), ellipse(mx, my, 0.06, 0.05, felt)]
        limb = arm((mx - 0.7, my + 0.5), (mx - 0.35, my + 0.2), fixed(seed), thick=0.07)
        return [*ropes, disk, boss, *stick, *limb]

    def still(t: Floats) -> list[Shape]:
        return [box(0.0, -0.62, 0.5, 0.03, pole), box(-0.5, 0.0, 0.03, 0.7, pole), box(0.5, 0.0, 0.03, 0.7, pole)]

    hits = Hits(beat.times_s, beat.gains, materials.body(rng, "gong"), materials.contact(rng, "felt"))
    return Script(
        label="gong", events=events_at(beat, "gong", -0.05, 0.05), draw=draw, still=still, voices=(hits,),
        level_db=-6.0, focus=((-0.35, -0.2), (0.25, 0.2)), size=(0.4, 1.3),
    )  # fmt: skip


def _bell(rng: Generator, duration_s: float) -> Script:
    period, wide = float(rng.uniform(0.7, 2.2)), float(rng.uniform(0.35, 1.1))
    phase = float(rng.uniform(0, period))
    turns = np.arange(-1, int(2 * duration_s / period) + 2) * 0.5 * period + phase
    heard = (turns > min(0.2, 0.3 * duration_s)) & (turns < duration_s - 0.08)
    side = np.where(np.arange(len(turns)) % 2 == 1, 1.0, -1.0)[heard]
    beat = Rhythm(turns[heard], np.clip(0.8 + 0.1 * rng.normal(size=len(side)), 0.4, 1.0))
    brass, dark, size = metal(rng), metal(rng).lit(0.5), float(rng.uniform(0.12, 0.22))

    def draw(t: Floats) -> list[Shape]:
        c = np.cos(2 * np.pi * (t - phase) / period)
        a = wide * c
        b = a + 0.35 * np.sign(c) * np.abs(c) ** 6 - 0.2 * np.sin(2 * np.pi * (t - phase) / period)
        x, y = size * np.sin(a), size * np.cos(a)
        cx, cy = 3.3 * size * np.sin(b), 3.3 * size * np.cos(b) - 0.3
        return [
            capsule(0.0, -0.3, cx, cy, 0.01, 0.01, dark),
            ellipse(cx, cy, 0.3 * size, 0.3 * size, dark),
            capsule(0.3 * x, 0.3 * y - 0.3, 2.0 * x, 2.0 * y - 0.3, 0.55 * size, 1.1 * size, brass),
            box(2.6 * x, 2.6 * y - 0.3, 1.45 * size, 0.35 * size, brass.lit(1.15), angle=-a, corner=0.2 * size),
        ]

    voice = Hits(beat.times_s, beat.gains, materials.body(rng, "bell"), materials.contact(rng, "metal"))
    return Script(
        label="bell", events=events_at(beat, "bell", 0.3 * wide * side, 0.1), draw=draw, voices=(voice,), level_db=-7.0,
        focus=((-0.3, -0.25), (0.3, 0.4)), size=(0.35, 1.3),
    )  # fmt: skip
