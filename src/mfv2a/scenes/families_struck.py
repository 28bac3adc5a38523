"""Tools and fists that strike: hammers, knives, axes, knocks on a door."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from mfv2a.scenes import materials
from mfv2a.scenes.curves import Rhythm, Track, events_at, random_swing, rhythm, since_last, strike_track
from mfv2a.scenes.parts import Throw, arm, cloth, fixed, flying_bits, metal, paint, skin, stone, table, wood
from mfv2a.scenes.script import Hits, Script
from mfv2a.scenes.shapes import Drawing, Floats, Shape, box, capsule, ellipse

ORIGIN = (np.zeros(1), np.zeros(1))


def hammer(rng: Generator, duration_s: float) -> Script:
    """A hand swings a hammer onto wood, metal or stone."""
    label = str(rng.choice(["hammer_wood", "hammer_metal", "hammer_stone"]))
    beat = rhythm(rng, duration_s, fastest_s=0.24, slowest_s=1.8)
    lift = strike_track(beat, random_swing(rng, heavy=float(rng.uniform(0.2, 1.0))))
    material = {"hammer_wood": wood, "hammer_metal": metal, "hammer_stone": stone}[label]
    target, bits, bench = material(rng), material(rng).lit(3.0 if label == "hammer_metal" else 1.0), paint(rng)
    seed, shows_bits, give = int(rng.integers(1 << 30)), rng.random() < 0.6, float(rng.uniform(0.0, 0.02))
    wide = float(rng.uniform(0.08, 0.3))
    swung = _swung_hammer(rng, lift)

    def draw(t: Floats) -> list[Shape]:
        age, _ = since_last(t, beat.times_s)
        sink = give * np.exp(-np.minimum(age, 9.0) / 0.06)
        shapes = [box(0.0, 0.07 + sink, wide, 0.07, target, corner=0.01), *swung(t)]
        if shows_bits:
            shapes.append(flying_bits(fixed(seed), t, beat.times_s, ORIGIN, bits, Throw()))
        return shapes

    def still(t: Floats) -> list[Shape]:
        return [table(fixed(seed), 0.14, bench)]

    voice = Hits(beat.times_s, beat.gains, materials.body(rng, label[7:]), materials.contact(rng, label[7:]))
    return Script(
        label=label, events=events_at(beat, label), draw=draw, still=still, voices=(voice,), level_db=-4.0,
        focus=((0.0, 0.0), (-0.3, -0.35)), size=(0.32, 1.5), tilt=0.8,
    )  # fmt: skip


def _swung_hammer(rng: Generator, lift: Track) -> Drawing:
    """An arm, sometimes with the body behind it, and the hammer in its hand; the head meets the origin at height 0."""
    reach, rest, spread = float(rng.uniform(0.5, 0.9)), float(rng.uniform(-0.3, 0.5)), float(rng.uniform(0.5, 1.2))
    grip, flex = float(rng.uniform(0.45, 0.7)), float(rng.uniform(0.1, 0.8))
    size, thick, seed = float(rng.uniform(0.05, 0.13)), float(rng.uniform(0.06, 0.11)), int(rng.integers(1 << 30))
    handle, head, shirt, face = wood(rng), metal(rng), cloth(rng), skin(rng)
    with_body, heave = rng.random() < 0.4, float(rng.uniform(0.0, 0.12))
    ex0, ey0 = -reach * np.cos(rest), -reach * np.sin(rest) - size

    def draw(t: Floats) -> list[Shape]:
        h = lift.at(t)
        ex, ey = ex0 - 0.4 * heave * h, ey0 - heave * h
        a = rest - spread * h
        b = a - flex * spread * h
        hx, hy = ex + grip * reach * np.cos(a), ey + grip * reach * np.sin(a)
        tx, ty = hx + (1 - grip) * reach * np.cos(b), hy + (1 - grip) * reach * np.sin(b)
        px, py = tx - 0.15 * size * np.sin(b), ty + 0.15 * size * np.cos(b)
        shapes: list[Shape] = []
        if with_body:
            x, y = ex - 0.3 - 0.3 * heave * h, ey + 0.15 - 0.6 * heave * h
            shapes += [ellipse(x, y + 0.1, 0.26, 0.5, shirt), ellipse(x + 0.08, y - 0.5, 0.13, 0.16, face)]
            shapes.append(capsule(x + 0.1, y - 0.2, ex, ey, 1.3 * thick, 1.1 * thick, shirt.lit(1.1)))
        shapes.append(capsule(hx - 0.06 * np.cos(b), hy - 0.06 * np.sin(b), tx, ty, 0.022, 0.02, handle))
        shapes.append(box(px, py, 0.6 * size, 1.25 * size, head, angle=b, corner=0.1 * size))
        return [*shapes, *arm((ex, ey), (hx, hy), fixed(seed), thick=thick)]

    return draw


def chopping(rng: Generator, duration_s: float) -> Script:
    """A knife rocks through vegetables on a board, or an axe splits logs."""
    label = str(rng.choice(["knife_chop", "axe_chop"]))
    axe = label == "axe_chop"
    beat = rhythm(rng, duration_s, fastest_s=0.9 if axe else 0.14, slowest_s=2.5 if axe else 0.7)
    lift = strike_track(beat, random_swing(rng, heavy=1.0 if axe else 0.1))
    seed, ground = int(rng.integers(1 << 30)), wood(rng)

    def still(t: Floats) -> list[Shape]:
        return [table(fixed(seed), 0.3 if axe else 0.06, ground)]

    modes, touch = materials.body(rng, "log" if axe else "board"), materials.contact(rng, "wood")
    x = np.zeros(len(beat)) if axe else 0.1 + rng.normal(0.0, 0.04, len(beat))
    draw = _axe(rng, beat, lift) if axe else _knife(rng, lift)
    return Script(
        label=label, events=events_at(beat, label, x, 0.02), draw=draw, still=still,
        voices=(Hits(beat.times_s, beat.gains, modes, touch),), level_db=-7.0,
        focus=((-0.3, -0.3), (0.1, 0.05)), size=(0.45, 1.5), tilt=0.3,
    )  # fmt: skip


def _knife(rng: Generator, lift: Track) -> Drawing:
    seed, steel, food = int(rng.integers(1 << 30)), metal(rng), paint(rng, hue=(0.0, 0.4), colorful=(0.4, 0.9))
    spread, reach = float(rng.uniform(0.25, 0.6)), float(rng.uniform(0.4, 0.6))

    def draw(t: Floats) -> list[Shape]:
        h = lift.at(t)
        a = 0.12 - spread * h
        px, py = 0.28, 0.02 - 0.02 * h
        gx, gy = px - reach * np.cos(a), py - reach * np.sin(a) - 0.08
        x, y = 0.5 * (px + gx) + 0.02, 0.5 * (py + gy) - 0.01
        blade = box(x, y, 0.5 * reach, 0.05, steel, angle=np.arctan2(py - gy, px - gx), corner=0.01)
        pieces = ellipse(0.02 + 0.3 * np.arange(4)[None, :] / 4, 0.03, 0.04, 0.03, food)
        return [pieces, blade, *arm((gx - 0.42, gy - 0.25), (gx, gy), fixed(seed), thick=0.07)]

    return draw


def _axe(rng: Generator, beat: Rhythm, lift: Track) -> Drawing:
    seed, steel, handle, timber = int(rng.integers(1 << 30)), metal(rng), wood(rng), wood(rng)
    spread, reach = float(rng.uniform(1.2, 2.0)), float(rng.uniform(0.6, 0.85))

    def draw(t: Floats) -> list[Shape]:
        a = -0.15 - spread * lift.at(t)
        age, _ = since_last(t, beat.times_s)
        ex, ey = -reach * 0.85, 0.1
        tx, ty = ex + reach * 0.85 * np.cos(a + 0.15), ey - 0.1 + reach * 0.85 * np.sin(a + 0.15)
        gx, gy = ex + 0.35 * reach * np.cos(a + 0.1), ey - 0.05 + 0.35 * reach * np.sin(a + 0.1)
        split = 0.05 * np.exp(-np.minimum(age, 9.0) / 0.4) * (1 - np.exp(-np.minimum(age, 9.0) / 0.03))
        logs = [box(k * (0.07 + split), 0.16, 0.065, 0.15, timber, angle=k * 2.5 * split) for k in (-1, 1)]
        head = box(tx, ty, 0.045, 0.09, steel, angle=a + 0.15, corner=0.01)
        chips = flying_bits(fixed(seed + 1), t, beat.times_s, ORIGIN, timber, Throw(count=10, size=0.016))
        hands = arm((ex - 0.15, ey - 0.2), (gx, gy), fixed(seed), thick=0.08)
        return [*logs, capsule(gx, gy, tx, ty, 0.02, 0.018, handle), head, *hands, chips]

    return draw


def knocking(rng: Generator, duration_s: float) -> Script:
    """A fist knocks on a door in short groups."""
    kinds = ("bursts", "bursts", "regular", "pattern", "single")
    beat = rhythm(rng, duration_s, fastest_s=0.15, slowest_s=0.5, kinds=kinds)
    lift = strike_track(beat, random_swing(rng, heavy=0.1))
    seed, door, frame, far = int(rng.integers(1 << 30)), wood(rng), wood(rng), float(rng.uniform(0.1, 0.3))
    thick, lean = float(rng.uniform(0.06, 0.1)), float(rng.uniform(-0.3, 0.5))

    def draw(t: Floats) -> list[Shape]:
        h = lift.at(t)
        hand = (-0.06 - far * h, 0.3 * lean * far * h)
        return arm((-0.55 - 0.3 * far * h, 0.32), hand, fixed(seed), thick=thick)

    def still(t: Floats) -> list[Shape]:
        panel = box(0.5, -0.2, 0.32, 0.25, door.lit(0.8))
        return [box(0.5, 0.0, 0.5, 2.0, door), box(0.03, 0.0, 0.03, 2.0, frame.lit(0.7)), panel]

    hits = Hits(beat.times_s, beat.gains, materials.body(rng, "door"), materials.contact(rng, "wood"))
    return Script(
        label="door_knock", events=events_at(beat, "door_knock"), draw=draw, still=still, voices=(hits,), level_db=-8.0,
        focus=((0.0, 0.0), (-0.3, 0.1)), size=(0.45, 1.6), tilt=0.5,
    )  # fmt: skip
