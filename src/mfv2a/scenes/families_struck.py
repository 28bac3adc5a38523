"""Tools that strike: hammers, drum sticks, axes and knives, knocking fists, gongs and bells."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from mfv2a.scenes import materials
from mfv2a.scenes.curves import Rhythm, Track, random_swing, rhythm, since_last, strike_track, track
from mfv2a.scenes.parts import arm, cloth, fist, fixed, flying_bits, metal, paint, skin, stone, table, wood
from mfv2a.scenes.script import Event, Floats, Hits, Modes, Paint, Script, Shape, box, capsule, ellipse


def events_at(beat: Rhythm, label: str, x: float | Floats = 0.0, y: float | Floats = 0.0) -> tuple[Event, ...]:
    """One event a moment, at x, y in the family's units."""
    xs, ys = np.broadcast_to(x, len(beat)), np.broadcast_to(y, len(beat))
    rows = zip(beat.times_s, beat.strengths, xs, ys, strict=True)
    return tuple(Event(float(t), label, float(s), float(px), float(py)) for t, s, px, py in rows)


def hammer(rng: Generator, duration_s: float) -> Script:
    """A hand swings a hammer onto wood, metal or stone."""
    label = str(rng.choice(["hammer_wood", "hammer_metal", "hammer_stone"]))
    beat = rhythm(rng, duration_s, fastest_s=0.24, slowest_s=1.8)
    lift = strike_track(beat, random_swing(rng, heavy=float(rng.uniform(0.2, 1.0))))
    reach, rest_angle, spread = float(rng.uniform(0.5, 0.9)), float(rng.uniform(-0.3, 0.5)), float(rng.uniform(0.5, 1.2))
    grip, flex = float(rng.uniform(0.45, 0.7)), float(rng.uniform(0.1, 0.8))
    handle, head, bits = wood(rng), metal(rng), {"hammer_wood": wood(rng), "hammer_metal": metal(rng).lit(3.0), "hammer_stone": stone(rng)}[label]
    size, seed, shows_bits = float(rng.uniform(0.05, 0.13)), int(rng.integers(1 << 30)), rng.random() < 0.6
    target = {"hammer_wood": wood, "hammer_metal": metal, "hammer_stone": stone}[label](rng)
    ex, ey = -reach * np.cos(rest_angle), -reach * np.sin(rest_angle) - size
    thick = float(rng.uniform(0.06, 0.11))
    give = float(rng.uniform(0.0, 0.02))

    def draw(t: Floats) -> list[Shape]:
        height = lift.at(t)
        a = rest_angle - spread * height
        hx, hy = ex + grip * reach * np.cos(a), ey + grip * reach * np.sin(a)
        b = a - flex * spread * height
        tx, ty = hx + (1 - grip) * reach * np.cos(b), hy + (1 - grip) * reach * np.sin(b)
        px, py = -np.sin(b), np.cos(b)
        age, _ = since_last(t, beat.times_s)
        sink = give * np.exp(-np.minimum(age, 9.0) / 0.06)
        shapes = [box(0.0, 0.07 + sink, 0.16, 0.07, target, corner=0.01)]
        shapes.append(capsule(hx - 0.06 * np.cos(b), hy - 0.06 * np.sin(b), tx, ty, 0.022, 0.02, handle))
        shapes.append(box(tx + 0.15 * size * px, ty + 0.15 * size * py, 0.6 * size, 1.25 * size, head, angle=b, corner=0.1 * size))
        shapes += arm((ex, ey), (hx, hy), fixed(seed), thick=thick)
        if shows_bits:
            shapes.append(flying_bits(fixed(seed + 1), t, beat.times_s, (np.zeros(1), np.zeros(1)), bits, size=0.012))
        return shapes

    bench = paint(rng)

    def still(t: Floats) -> list[Shape]:
        return [table(fixed(seed), 0.14, bench)]

    voice = Hits(beat.times_s, beat.gains, materials.body(rng, label[7:]), materials.contact(rng, label[7:]))
    return Script(
        label=label, events=events_at(beat, label), draw=draw, still=still, voices=(voice,), level_db=-4.0,
        focus=((0.0, 0.0), (-0.3, -0.35)), size=(0.25, 1.3), tilt=0.8,
    )  # fmt: skip


def drums(rng: Generator, duration_s: float) -> Script:
    """Sticks or hands play one to four drums or cymbals, seen from the front or from above."""
    label = str(rng.choice(["snare_drum", "tom_drums", "hand_drum", "cymbal"]))
    beat = rhythm(rng, duration_s, fastest_s=0.11, slowest_s=0.9, kinds=("regular", "irregular", "bursts", "changing", "pattern", "pattern"))
    count = 1 if label in ("snare_drum", "hand_drum") and rng.random() < 0.7 else int(rng.integers(1, 5))
    xs = (np.arange(count) - 0.5 * (count - 1)) * float(rng.uniform(0.42, 0.6))
    ys = rng.uniform(-0.06, 0.06, count)
    which = rng.integers(0, count, len(beat))
    side = np.arange(len(beat)) % 2 if rng.random() < 0.85 else np.zeros(len(beat), int)
    swing = random_swing(rng, heavy=0.1)
    seed, from_above, by_hand = int(rng.integers(1 << 30)), bool(rng.random() < 0.35), label == "hand_drum"
    shells, skins = [paint(rng) for _ in range(count)], [paint(rng, light=(0.5, 1.0)) for _ in range(count)]
    brass = metal(rng)
    hands = [_drum_arm(rng, beat.pick(side == k), which[side == k], xs, ys, swing, k, by_hand) for k in (0, 1)]
    radius = float(rng.uniform(0.15, 0.22))
    flat = 0.85 if from_above else 0.3

    def draw(t: Floats) -> list[Shape]:
        shapes: list[Shape] = []
        for k in range(count):
            age, _ = since_last(t, beat.times_s[which == k])
            ring = np.exp(-np.minimum(age, 9.0) / 0.35) * np.sin(2 * np.pi * 3.1 * np.minimum(age, 9.0))
            if label == "cymbal":
                shapes.append(ellipse(xs[k], ys[k], radius * 1.2, 0.25 * radius + 0.5 * radius * from_above, brass, angle=0.25 * ring))
            else:
                bounce = 0.01 * ring
                shapes.append(ellipse(xs[k], ys[k] + bounce, radius, flat * radius, skins[k].lit(1.0)))
        for hand in hands:
            shapes += hand(t)
        return shapes

    def still(t: Floats) -> list[Shape]:
        shapes = []
        for k in range(count):
            if label == "cymbal":
                shapes.append(capsule(xs[k], ys[k], xs[k], 1.2, 0.012, 0.012, brass))
            elif not from_above:
                shapes.append(box(xs[k], ys[k] + 0.16, radius, 0.16, shells[k]))
            else:
                shapes.append(ellipse(xs[k], ys[k], radius * 1.1, flat * radius * 1.1, shells[k]))
        return shapes

    voices = tuple(
        Hits(beat.times_s[which == k], beat.gains[which == k], *materials.drum(rng, label, k / max(1, count - 1)))
        for k in range(count)
    )
    return Script(
        label=label, events=events_at(beat, label, xs[which], ys[which]), draw=draw, still=still, voices=voices,
        level_db=-5.0, focus=((float(xs[0]), 0.0), (float(xs[-1]), -0.25)), size=(0.35, 1.25), tilt=0.2,
    )  # fmt: skip


def _drum_arm(rng, beat, which, xs, ys, swing, side, by_hand):  # type: ignore[no-untyped-def]
    """A drawing of one stick or hand that follows its own share of the beat."""
    lift = strike_track(beat, swing)
    lean = 1.0 if side else -1.0
    keys_x = [(-1.0, float(xs[which[0]]) if len(which) else lean * 0.3, 0.0)]
    keys_y = [(-1.0, float(ys[which[0]]) if len(which) else 0.0, 0.0)]
    for i, k in enumerate(which):
        if i:
            keys_x.append((float(beat.times_s[i - 1]) + 0.03, keys_x[-1][1], 0.0))
            keys_y.append((float(beat.times_s[i - 1]) + 0.03, keys_y[-1][1], 0.0))
        keys_x.append((float(beat.times_s[i]) - 0.03, float(xs[k]) + lean * 0.05, 0.0))
        keys_y.append((float(beat.times_s[i]) - 0.03, float(ys[k]), 0.0))
    path_x, path_y = track(keys_x), track(keys_y)
    look, stick_look, seed = skin(rng), wood(rng), int(rng.integers(1 << 30))
    length, high = float(rng.uniform(0.28, 0.42)), float(rng.uniform(0.12, 0.4))
    tilt = float(rng.uniform(0.15, 0.5))

    def draw(t: Floats) -> list[Shape]:
        height, x, y = lift.at(t), path_x.at(t), path_y.at(t)
        if by_hand:
            hx, hy = x + lean * 0.05, y - high * height - 0.02
            wrist = (x + lean * (0.3 + 0.0 * height), y + 0.12 - 0.75 * high * height)
            return [*arm(wrist, (hx, hy), fixed(seed), thick=0.06, sleeve=0.0)]
        grip_x, grip_y = x + lean * length * 0.75, y - 0.08 - 0.35 * high * height
        angle = np.arctan2(y - grip_y, x - grip_x) + lean * (tilt + 1.1) * high / length * height * 0.8
        tip_x, tip_y = grip_x + length * np.cos(angle), grip_y + length * np.sin(angle)
        contact_fix = 1.0 - np.minimum(1.0, 4.0 * height)
        tip_y = tip_y + contact_fix * (y - tip_y)
        tip_x = tip_x + contact_fix * (x - tip_x)
        shapes = arm((grip_x + lean * 0.3, grip_y + 0.3), (grip_x, grip_y), fixed(seed), thick=0.055, sleeve=0.4)
        return [*shapes, capsule(grip_x, grip_y, tip_x, tip_y, 0.013, 0.01, stick_look), *fist((grip_x, grip_y), angle, 0.05, look)]

    return draw


def chopping(rng: Generator, duration_s: float) -> Script:
    """A knife rocks through vegetables on a board, or an axe splits logs."""
    label = str(rng.choice(["knife_chop", "axe_chop"]))
    axe = label == "axe_chop"
    beat = rhythm(rng, duration_s, fastest_s=0.9 if axe else 0.14, slowest_s=2.5 if axe else 0.7)
    lift = strike_track(beat, random_swing(rng, heavy=1.0 if axe else 0.1))
    seed, steel, handle, food, board = int(rng.integers(1 << 30)), metal(rng), wood(rng), paint(rng, hue=(0.0, 0.4), colorful=(0.4, 0.9)), wood(rng)
    spread = float(rng.uniform(1.2, 2.0)) if axe else float(rng.uniform(0.25, 0.6))
    reach = float(rng.uniform(0.6, 0.85)) if axe else float(rng.uniform(0.4, 0.6))
    where = rng.normal(0.0, 0.04, max(1, len(beat)))

    def draw(t: Floats) -> list[Shape]:
        h = lift.at(t)
        age, index = since_last(t, beat.times_s)
        if not axe:
            a = 0.12 - spread * h
            px, py = 0.28, 0.02 - 0.02 * h
            gx, gy = px - reach * np.cos(a), py - reach * np.sin(a) - 0.08
            mx, my = 0.5 * (px + gx), 0.5 * (py + gy)
            blade = box(mx + 0.02, my - 0.01, 0.5 * reach, 0.05, steel, angle=np.arctan2(py - gy, px - gx), corner=0.01)
            pieces = ellipse(0.02 + 0.3 * np.arange(4)[None, :] / 4, 0.03, 0.04, 0.03, food)
            return [pieces, blade, *arm((gx - 0.42, gy - 0.25), (gx, gy), fixed(seed), thick=0.07)]
        a = -0.15 - spread * h
        ex, ey = -reach * 0.85, 0.1
        tx, ty = ex + reach * 0.85 * np.cos(a + 0.15), ey - 0.1 + reach * 0.85 * np.sin(a + 0.15)
        gx, gy = ex + 0.35 * reach * np.cos(a + 0.1), ey - 0.05 + 0.35 * reach * np.sin(a + 0.1)
        split = 0.05 * np.exp(-np.minimum(age, 9.0) / 0.4) * (1 - np.exp(-np.minimum(age, 9.0) / 0.03))
        logs = [box(k * (0.07 + split), 0.16, 0.065, 0.15, board, angle=k * 2.5 * split, corner=0.01) for k in (-1, 1)]
        tool = [capsule(gx, gy, tx, ty, 0.02, 0.018, handle), box(tx, ty, 0.045, 0.09, steel, angle=a + 0.15, corner=0.01)]
        chips = flying_bits(fixed(seed + 1), t, beat.times_s, (np.zeros(1), np.zeros(1)), board, count=10, size=0.016)
        return [*logs, *tool, *arm((ex - 0.15, ey - 0.2), (gx, gy), fixed(seed), thick=0.08), chips]

    def still(t: Floats) -> list[Shape]:
        return [table(fixed(seed), 0.3 if axe else 0.06, board.lit(0.8))]

    hits = Hits(beat.times_s, beat.gains, materials.body(rng, "log" if axe else "board"), materials.contact(rng, "wood"))
    x = np.zeros(len(beat)) if axe else 0.1 + where[: len(beat)]
    return Script(
        label=label, events=events_at(beat, label, x, 0.02), draw=draw, still=still, voices=(hits,), level_db=-7.0,
        focus=((-0.3, -0.3), (0.1, 0.05)), size=(0.35, 1.2), tilt=0.2,
    )  # fmt: skip


def knocking(rng: Generator, duration_s: float) -> Script:
    """A fist knocks on a door in short groups."""
    beat = rhythm(rng, duration_s, fastest_s=0.15, slowest_s=0.5, kinds=("bursts", "bursts", "regular", "pattern", "single"))
    lift = strike_track(beat, random_swing(rng, heavy=0.1))
    seed, door, frame, far = int(rng.integers(1 << 30)), wood(rng), wood(rng), float(rng.uniform(0.1, 0.3))
    thick, lean = float(rng.uniform(0.06, 0.1)), float(rng.uniform(-0.3, 0.5))

    def draw(t: Floats) -> list[Shape]:
        h = lift.at(t)
        hx, hy = -0.06 - far * h, 0.3 * lean * far * h
        return arm((-0.55 - 0.3 * far * h, 0.32), (hx, hy), fixed(seed), thick=thick)

    def still(t: Floats) -> list[Shape]:
        return [box(0.5, 0.0, 0.5, 2.0, door), box(0.03, 0.0, 0.03, 2.0, frame.lit(0.7)), box(0.5, -0.2, 0.32, 0.25, door.lit(0.8))]

    hits = Hits(beat.times_s, beat.gains, materials.body(rng, "door"), materials.contact(rng, "wood"))
    return Script(
        label="door_knock", events=events_at(beat, "door_knock"), draw=draw, still=still, voices=(hits,), level_db=-8.0,
        focus=((0.0, 0.0), (-0.3, 0.1)), size=(0.4, 1.3), tilt=0.3,
    )  # fmt: skip


def bells(rng: Generator, duration_s: float) -> Script:
    """A mallet strikes a gong that then sways, or a bell swings and its clapper strikes at the turns."""
    label = str(rng.choice(["gong", "bell"]))
    return _gong(rng, duration_s) if label == "gong" else _bell(rng, duration_s)


def _gong(rng: Generator, duration_s: float) -> Script:
    beat = rhythm(rng, duration_s, fastest_s=0.8, slowest_s=3.0, kinds=("single", "irregular", "regular"))
    lift = strike_track(beat, random_swing(rng, heavy=0.9))
    brass, pole, felt, seed = metal(rng), wood(rng), cloth(rng), int(rng.integers(1 << 30))
    radius, far, sway = float(rng.uniform(0.22, 0.42)), float(rng.uniform(0.25, 0.5)), float(rng.uniform(0.02, 0.12))

    def draw(t: Floats) -> list[Shape]:
        h = lift.at(t)
        age, index = since_last(t, beat.times_s)
        age = np.minimum(age, 30.0)
        swing = sway * np.exp(-age / 2.5) * np.sin(2 * np.pi * 0.9 * age)
        gx, gy = swing * 1.2, 0.02 * np.abs(swing)
        mx, my = -0.05 - far * h + np.where(h < 0.02, gx, 0.0), 0.08 + 0.3 * far * h
        gong = [ellipse(gx, gy, radius, radius * (1.0 - 0.3 * np.abs(swing)), brass), ellipse(gx, gy, 0.3 * radius, 0.3 * radius, brass.lit(1.25))]
        ropes = [capsule(k * 0.2, -0.6, gx + k * 0.2, gy - 0.8 * radius, 0.008, 0.008, pole) for k in (-1, 1)]
        stick = [capsule(mx - 0.35, my + 0.2, mx, my, 0.015, 0.015, pole), ellipse(mx, my, 0.06, 0.05, felt)]
        return [*ropes, *gong, *stick, *arm((mx - 0.7, my + 0.5), (mx - 0.35, my + 0.2), fixed(seed), thick=0.07)]

    def still(t: Floats) -> list[Shape]:
        return [box(0.0, -0.62, 0.5, 0.03, pole), box(-0.5, 0.0, 0.03, 0.7, pole), box(0.5, 0.0, 0.03, 0.7, pole)]

    hits = Hits(beat.times_s, beat.gains, materials.body(rng, "gong"), materials.contact(rng, "felt"))
    return Script(
        label="gong", events=events_at(beat, "gong", -0.05, 0.05), draw=draw, still=still, voices=(hits,), level_db=-6.0,
        focus=((-0.35, -0.2), (0.25, 0.2)), size=(0.4, 1.1),
    )  # fmt: skip


def _bell(rng: Generator, duration_s: float) -> Script:
    period, wide = float(rng.uniform(0.7, 2.2)), float(rng.uniform(0.35, 1.1))
    phase = float(rng.uniform(0, period))
    turns = np.arange(-1, int(2 * duration_s / period) + 2) * 0.5 * period + phase
    turns = turns[(turns > 0.2) & (turns < duration_s - 0.08)]
    beat = Rhythm(turns, np.clip(0.8 + 0.1 * rng.normal(size=len(turns)), 0.4, 1.0))
    brass, dark, hits = metal(rng), metal(rng).lit(0.5), materials.body(rng, "bell")
    size = float(rng.uniform(0.12, 0.22))

    def draw(t: Floats) -> list[Shape]:
        a = wide * np.cos(2 * np.pi * (t - phase) / period)
        snap = np.sin(2 * np.pi * (t - phase) / period)
        b = a + 0.35 * np.sign(np.cos(2 * np.pi * (t - phase) / period)) * np.abs(np.cos(2 * np.pi * (t - phase) / period)) ** 6 - 0.2 * snap
        s, c = np.sin(a), np.cos(a)
        body = [
            capsule(0.3 * size * s, 0.3 * size * c - 0.3, 2.0 * size * s, 2.0 * size * c - 0.3, 0.55 * size, 1.1 * size, brass),
            box(2.6 * size * s, 2.6 * size * c - 0.3, 1.45 * size, 0.35 * size, brass.lit(1.15), angle=-a, corner=0.2 * size),
        ]
        clapper = [ellipse(3.3 * size * np.sin(b), 3.3 * size * np.cos(b) - 0.3, 0.3 * size, 0.3 * size, dark)]
        return [capsule(0, -0.3, 3.2 * size * np.sin(b), 3.2 * size * np.cos(b) - 0.3, 0.01, 0.01, dark), *clapper, *body]

    sides = np.where(np.arange(len(turns)) % 2 == 0, 1.0, -1.0)
    voice = Hits(beat.times_s, beat.gains, hits, materials.contact(rng, "metal"))
    return Script(
        label="bell", events=events_at(beat, "bell", 0.3 * wide * sides, 0.1), draw=draw, voices=(voice,), level_db=-7.0,
        focus=((-0.3, -0.25), (0.3, 0.4)), size=(0.35, 1.1),
    )  # fmt: skip
