"""Things on their own: balls, clocks, shots, drops, doors, breaking and falling objects, cameras."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from mfv2a.scenes import materials
from mfv2a.scenes.curves import Rhythm, control_times, random_swing, rhythm, since_last, strike_track, track
from mfv2a.scenes.families_struck import events_at
from mfv2a.scenes.parts import arm, fixed, flying_bits, metal, paint, skin, stone, table, wood
from mfv2a.scenes.script import Burst, Floats, Grains, Hits, Modes, Noise, Paint, Script, Shape, box, capsule, ellipse

BALLS = {"ball_rubber": (0.6, 0.82), "ball_basketball": (0.68, 0.82), "ball_marble": (0.45, 0.75)}


def balls(rng: Generator, duration_s: float) -> Script:
    """Balls drop and bounce lower and lower, or one is dribbled."""
    label = str(rng.choice(sorted(BALLS)))
    dribble = label == "ball_basketball" and rng.random() < 0.5
    arcs = _dribbled(rng, duration_s) if dribble else _dropped(rng, duration_s, BALLS[label])
    times, peaks, xs = arcs
    inside = (times > 0.05) & (times < duration_s - 0.08)
    speed = np.sqrt(np.maximum(peaks, 1e-4))
    incoming = np.concatenate([[speed[0]], speed[:-1]]) if len(speed) else speed
    strengths = np.clip(incoming / max(float(incoming.max(initial=1e-3)), 1e-3), 0.0, 1.0) if len(times) else times
    heard = inside & (strengths > 0.12)
    beat = Rhythm(times[heard], np.clip(strengths[heard], 0.2, 1.0))
    radius = float(rng.uniform(0.03, 0.06) if label == "ball_marble" else rng.uniform(0.06, 0.14))
    look, floor, shadow, seed = paint(rng, contrast=(0.2, 0.9)), paint(rng), Paint(color=(0.05, 0.05, 0.05), contrast=0.0), int(rng.integers(1 << 30))
    spin, squash = float(rng.normal(0, 4)), 0.0 if label == "ball_marble" else float(rng.uniform(0.0, 0.3))
    palm = skin(rng)

    def draw(t: Floats) -> list[Shape]:
        if len(times) == 0:
            return [ellipse(0.0, -radius, radius, radius, look)]
        index = np.clip(np.searchsorted(times, t, side="right") - 1, 0, len(times) - 2)
        u = (t - times[index]) / np.maximum(times[index + 1] - times[index], 1e-6)
        u = np.clip(u, 0.0, 1.0)
        height = 4.0 * peaks[index] * u * (1.0 - u)
        x = xs[index] + (xs[index + 1] - xs[index]) * u
        flat = 1.0 - squash * np.exp(-((height / 0.02) ** 1.0)) * np.minimum(1.0, peaks[index] * 4)
        ball = ellipse(x, -height - radius * flat, radius / flat, radius * flat, look, angle=spin * t)
        dark = ellipse(x + 0.2 * height, 0.01, radius * (1 + height), 0.3 * radius, shadow.but(alpha=0.6 / (1 + 4 * height), soft=0.02))
        if not dribble:
            return [dark, ball]
        push = -height - 2.0 * radius
        hand = np.minimum(push, -peaks[index] - 1.2 * radius) - 0.02
        return [dark, ball, *arm((x - 0.45, hand - 0.2), (x - 0.02, hand), fixed(seed), thick=0.07), ellipse(x, hand, 0.09, 0.035, palm)]

    def still(t: Floats) -> list[Shape]:
        return [table(fixed(seed), 0.0, floor)]

    where = xs[heard]
    voice = Hits(beat.times_s, beat.gains, *_ball_sound(rng, label))
    return Script(
        label=label, events=events_at(beat, label, where, 0.0), draw=draw, still=still, voices=(voice,), level_db=-6.0,
        focus=((float(xs.min(initial=0.0)), -0.6), (float(xs.max(initial=0.0)), 0.0)), size=(0.4, 1.2), tilt=0.1,
    )  # fmt: skip


def _dribbled(rng: Generator, duration_s: float) -> tuple[Floats, Floats, Floats]:
    beat = rhythm(rng, duration_s, fastest_s=0.4, slowest_s=0.9, kinds=("regular", "changing", "pattern"))
    gap = float(np.median(np.diff(beat.times_s))) if len(beat) > 1 else 0.6
    before = np.arange(beat.times_s[0] - gap, -2 * gap, -gap)[::-1] if len(beat) else np.zeros(0)
    times = np.concatenate([before, beat.times_s, [beat.times_s[-1] + gap]]) if len(beat) else np.array([0.0, 1.0])
    gaps = np.diff(times, append=times[-1] + gap)
    return times, np.clip(0.9 * gaps, 0.2, 0.7), np.cumsum(rng.normal(0, 0.03, len(times)))


def _dropped(rng: Generator, duration_s: float, bounce: tuple[float, float]) -> tuple[Floats, Floats, Floats]:
    """Several drops one after another: contact times, the height of the arc after each, and where."""
    gravity = float(rng.uniform(2.0, 6.0))
    times, peaks, xs = [], [], []
    start = float(rng.uniform(-0.2, min(1.0, 0.3 * duration_s)))
    while start < duration_s:
        high, keep, x = float(rng.uniform(0.35, 0.9)), float(rng.uniform(*bounce)), float(rng.uniform(-0.5, 0.5))
        pace = float(rng.normal(0, 0.12))
        fall = np.sqrt(2 * high / gravity)
        times.append(start - fall)
        peaks.append(high)
        xs.append(x - pace * fall)
        when = start + fall
        for _ in range(int(rng.integers(4, 16))):
            times.append(when)
            high *= keep**2
            peaks.append(high)
            xs.append(x)
            air = 2 * np.sqrt(2 * high / gravity)
            if air < 0.05:
                break
            when += air
            x += pace * air
        rest = float(rng.uniform(0.4, 2.5))
        times.append(when)
        peaks.append(0.0)
        xs.append(x)
        start = when + rest + np.sqrt(2.0 / gravity)
    order = np.argsort(times)
    table_ = np.stack([times, peaks, xs], axis=1)[order]
    return table_[:, 0], table_[:, 1], table_[:, 2]


def _ball_sound(rng: Generator, label: str) -> tuple[Modes, tuple[Burst, ...]]:
    if label == "ball_marble":
        return materials.body(rng, "stone"), materials.contact(rng, "plastic")
    if label == "ball_rubber":
        hz = np.array([1.0, 1.9, 3.1]) * float(rng.uniform(110, 260))
        return Modes(hz, np.array([0.035, 0.02, 0.012]), np.array([1.0, 0.4, 0.2])), (Burst(200.0, 2200.0, 0.01, 0.7),)
    base = float(rng.uniform(70, 110))
    hz = np.concatenate([[base], float(rng.uniform(380, 620)) * np.array([1.0, 1.52, 2.1, 2.7])])
    return Modes(hz, np.array([0.05, 0.09, 0.06, 0.05, 0.03]), np.array([1.0, 0.4, 0.25, 0.2, 0.1])), (Burst(150.0, 2500.0, 0.015, 0.5),)


def clocks(rng: Generator, duration_s: float) -> Script:
    """A second hand jumps, a pendulum swings, or a metronome beats."""
    kind = str(rng.choice(["hand", "pendulum", "metronome"]))
    label = "metronome" if kind == "metronome" else "clock_tick"
    period = 1.0 if kind == "hand" else float(rng.uniform(0.45, 1.2) if kind == "pendulum" else rng.uniform(0.27, 0.9))
    first = float(rng.uniform(0.12, 0.12 + period))
    times = np.arange(first, max(first, duration_s - 0.08), period)
    times = times[times < duration_s - 0.08]
    beat = Rhythm(times, np.clip(0.85 + 0.06 * rng.normal(size=len(times)) - 0.1 * (np.arange(len(times)) % 2), 0.3, 1.0))
    face, case, dark, brass = paint(rng, light=(0.6, 1.0)), wood(rng), paint(rng, light=(0.02, 0.25)), metal(rng)
    wide, size, turned = float(rng.uniform(0.2, 0.7)), float(rng.uniform(0.05, 0.12)), float(rng.uniform(0, 6))

    def draw(t: Floats) -> list[Shape]:
        if kind == "hand":
            age, index = since_last(t, beat.times_s)
            count = np.where(age < 100, index + 1, 0)
            settle = np.where(age < 100, np.exp(-np.minimum(age, 9.0) / 0.05) * np.cos(2 * np.pi * 9.0 * np.minimum(age, 9.0)), 0.0)
            a = turned + (count - settle * 0.0) * (np.pi / 30) + 0.04 * settle
            return [capsule(-0.08 * np.sin(a), 0.08 * np.cos(a), 0.36 * np.sin(a), -0.36 * np.cos(a), 0.02, 0.01, dark)]
        swing = wide * np.cos(np.pi * (t - first) / period)
        if kind == "metronome":
            swing = wide * np.sin(np.clip(1.25 * np.sin(np.pi * (t - first) / period + np.pi / 2), -1, 1) * np.pi / 2)
            tip = (0.75 * np.sin(swing), 0.35 - 0.75 * np.cos(swing))
            weight = (0.5 * np.sin(swing), 0.35 - 0.5 * np.cos(swing))
            return [capsule(0.0, 0.35, *tip, 0.012, 0.01, brass), box(*weight, 0.05, 0.04, dark, angle=swing)]
        x, y = 0.75 * np.sin(swing), -0.45 + 0.75 * np.cos(swing)
        return [capsule(0.0, -0.45, x, y, 0.012, 0.012, brass), ellipse(x, y, size, size, brass.lit(1.2), angle=-swing)]

    def still(t: Floats) -> list[Shape]:
        if kind == "hand":
            a = np.arange(12)[None, :] * np.pi / 6
            ticks = ellipse(0.38 * np.sin(a), 0.38 * np.cos(a), 0.015, 0.015, dark)
            hands = [capsule(0, 0, 0.2, -0.12, 0.02, 0.015, dark), capsule(0, 0, -0.05, 0.3, 0.015, 0.01, dark)]
            return [ellipse(0, 0, 0.5, 0.5, case), ellipse(0, 0, 0.44, 0.44, face), ticks, *hands]
        if kind == "metronome":
            return [box(0.0, 0.1, 0.24, 0.35, case, corner=0.05)]
        return [box(0.0, 0.0, 0.45, 0.75, case.lit(0.5)), ellipse(0, -0.55, 0.22, 0.22, face)]

    turn = turned + (np.arange(len(beat)) + 1) * np.pi / 30
    where = (0.3 * np.sin(turn), -0.3 * np.cos(turn)) if kind == "hand" else (0.0, 0.2)
    voice = Hits(beat.times_s, beat.gains, materials.body(rng, "tick" if kind != "metronome" else "board"), materials.contact(rng, "plastic"), spread=0.15)
    return Script(
        label=label, events=events_at(beat, label, *where), draw=draw, still=still, voices=(voice,), level_db=-18.0 if kind != "metronome" else -9.0,
        focus=((-0.3, -0.4), (0.3, 0.4)), size=(0.4, 1.1), tilt=0.03,
    )  # fmt: skip


def explosions(rng: Generator, duration_s: float) -> Script:
    """Fireworks burst in a dark sky, or a pistol is fired."""
    return _fireworks(rng, duration_s) if rng.random() < 0.5 else _gun(rng, duration_s)


def _fireworks(rng: Generator, duration_s: float) -> Script:
    beat = rhythm(rng, duration_s, fastest_s=0.25, slowest_s=2.2, kinds=("irregular", "bursts", "single", "irregular"))
    n = len(beat)
    x, y, seed = rng.uniform(-0.6, 0.6, n), rng.uniform(-0.55, -0.1, n), int(rng.integers(1 << 30))
    fire = paint(rng, colorful=(0.3, 1.0), light=(0.9, 1.0), contrast=(0.0, 0.1)).but(shade=0.0, soft=0.004)
    pace, life = float(rng.uniform(0.25, 0.7)), float(rng.uniform(0.5, 1.3))

    def draw(t: Floats) -> list[Shape]:
        if n == 0:
            return []
        turns = np.arange(n) % 3
        shapes: list[Shape] = []
        for k in range(3):
            own = beat.times_s[turns == k]
            if len(own) == 0:
                continue
            shapes.append(flying_bits(fixed(seed + k), t, own, (x[turns == k], y[turns == k]), fire, count=26, speed=pace, life_s=life, fall=0.15, upward=0.0, size=0.014))
            ahead = np.searchsorted(own, t, side="right")
            wait = np.where(ahead < len(own), own[np.minimum(ahead, len(own) - 1)] - t, 9.0)
            u = np.clip(1.0 - wait / 0.9, 0.0, 1.0)
            px, py = x[turns == k][np.minimum(ahead, len(own) - 1)], y[turns == k][np.minimum(ahead, len(own) - 1)]
            sy = 0.6 + (py - 0.6) * (1 - (1 - u) ** 2)
            shapes.append(capsule(px, sy, px, sy + 0.06 * (1 - u) + 0.01, 0.008, 0.004, fire.but(alpha=(u > 0) * 0.9)))
        return shapes

    def light(t: Floats) -> Floats:
        age, _ = since_last(t, beat.times_s)
        return 1.0 + 0.9 * np.exp(-np.minimum(age, 9.0) / 0.15)

    boom = (Burst(40.0, float(rng.uniform(400, 1500)), float(rng.uniform(0.12, 0.35)), 1.0), Burst(500.0, 6000.0, 0.05, 0.5))
    crackle = np.interp(control_times(duration_s), [0, duration_s], [0, 0])
    for time_s in beat.times_s:
        since = control_times(duration_s) - time_s
        crackle = crackle + np.where(since > 0.1, 45.0 * np.exp(-np.maximum(since, 0) / 0.4), 0.0)
    voices = (Hits(beat.times_s, beat.gains, materials.body(rng, "floor"), boom), Grains(crackle, 0.06, 2000.0, 7000.0, 0.004, 0.9))
    return Script(
        label="fireworks", events=events_at(beat, "fireworks", x, y), draw=draw, voices=voices, level_db=-3.0, light=light,
        focus=((-0.6, -0.55), (0.6, 0.1)), size=(0.5, 1.1), backdrop=(0, 16), bystanders=False, night=True,
    )  # fmt: skip


def _gun(rng: Generator, duration_s: float) -> Script:
    beat = rhythm(rng, duration_s, fastest_s=0.2, slowest_s=2.0)
    steel, seed, flame = metal(rng).lit(0.5), int(rng.integers(1 << 30)), paint(rng, hue=(0.08, 0.15), light=(0.97, 1.0), contrast=(0.0, 0.1))
    kick_by, smoke = float(rng.uniform(0.15, 0.5)), paint(rng, colorful=(0.0, 0.05), light=(0.7, 0.9), textures=("clouds", "haze"))

    def draw(t: Floats) -> list[Shape]:
        age, _ = since_last(t, beat.times_s)
        age = np.minimum(age, 9.0)
        kick = kick_by * np.where(age < 0.03, age / 0.03, np.exp(-(age - 0.03) / 0.12))
        a = -0.02 - kick
        hx, hy = -0.3 - 0.15 * kick, 0.05 - 0.12 * kick
        mx, my = hx + 0.3 * np.cos(a), hy - 0.07 + 0.3 * np.sin(a)
        on = (age < 0.06) * 1.0
        flash = [ellipse(mx + 0.1, my, 0.12, 0.06, flame.but(alpha=on, soft=0.03)), ellipse(mx + 0.05, my, 0.05, 0.1, flame.but(alpha=on, soft=0.02))]
        grey = smoke.but(alpha=0.4 * np.exp(-age / 0.3) * (age < 5), soft=0.05)
        puff = ellipse(mx + 0.15 + 0.3 * (1 - np.exp(-age / 0.3)), my - 0.1 * age, 0.05 + 0.15 * (1 - np.exp(-age / 0.3)), 0.05 + 0.1 * (1 - np.exp(-age / 0.3)), grey)
        body = [capsule(hx, hy - 0.07, mx, my, 0.032, 0.028, steel), capsule(hx, hy - 0.05, hx - 0.03, hy + 0.07, 0.035, 0.035, steel)]
        return [puff, *body, *arm((hx - 0.7, hy + 0.12), (hx, hy), fixed(seed), thick=0.075), *flash]

    def light(t: Floats) -> Floats:
        age, _ = since_last(t, beat.times_s)
        return 1.0 + 0.35 * (age < 0.06)

    bang = (Burst(150.0, 9000.0, float(rng.uniform(0.02, 0.06)), 1.0), Burst(60.0, 900.0, float(rng.uniform(0.1, 0.3)), 0.7))
    voice = Hits(beat.times_s, beat.gains, None, bang)
    return Script(
        label="gunshot", events=events_at(beat, "gunshot", 0.0, 0.0), draw=draw, voices=(voice,), level_db=-2.0, light=light,
        focus=((-0.4, -0.15), (0.2, 0.1)), size=(0.3, 1.2), tilt=0.2,
    )  # fmt: skip


def drips(rng: Generator, duration_s: float) -> Script:
    """Drops fall from a tap into water and rings spread."""
    beat = rhythm(rng, duration_s, fastest_s=0.18, slowest_s=1.5)
    drop, water, tap = paint(rng, colorful=(0.0, 0.3), light=(0.6, 1.0), contrast=(0.0, 0.2)), paint(rng, hue=(0.5, 0.65), textures=("ripples", "haze")), metal(rng)
    high, gravity, flat = float(rng.uniform(0.35, 0.8)), float(rng.uniform(4.0, 8.0)), float(rng.uniform(0.25, 0.6))
    fall_s, size, seed = np.sqrt(2 * high / gravity), float(rng.uniform(0.018, 0.04)), int(rng.integers(1 << 30))

    def draw(t: Floats) -> list[Shape]:
        age, index = since_last(t, beat.times_s)
        nxt = np.searchsorted(beat.times_s, t, side="right")
        wait = np.where(nxt < len(beat), beat.times_s[np.minimum(nxt, max(0, len(beat) - 1))] - t, 99.0) if len(beat) else np.full(len(t), 99.0)
        fallen = 0.5 * gravity * np.clip(fall_s - wait, 0.0, None) ** 2
        hang = np.clip(1.0 - (wait - fall_s) / 0.25, 0.0, 1.0)
        y = -high + fallen
        speed = gravity * np.clip(fall_s - wait, 0.0, None)
        shapes = []
        for k, lag in enumerate((0.0, 0.12)):
            late = np.minimum(np.maximum(age - lag, 0.0), 9.0)
            ring = 0.02 + 0.28 * (1 - np.exp(-late / 0.5))
            on = np.where(age > lag, 0.7 * np.exp(-late / 0.35), 0.0)
            shapes.append(ellipse(0.0, 0.0, ring, flat * ring, water.lit(1.7 if k == 0 else 0.6).but(alpha=on, soft=0.01)))
            shapes.append(ellipse(0.0, 0.0, 0.8 * ring, 0.8 * flat * ring, water.but(alpha=on, soft=0.01)))
        shapes.append(capsule(0.0, y - size * (1 + 0.15 * speed), 0.0, y - size, 0.5 * size * hang, size * hang, drop.but(alpha=(hang > 0) * 1.0)))
        shapes.append(flying_bits(fixed(seed), t, beat.times_s, (np.zeros(1), np.zeros(1)), drop, count=7, speed=0.8, life_s=0.3, size=0.4 * size, fall=5.0))
        return shapes

    def still(t: Floats) -> list[Shape]:
        return [table(fixed(seed), -0.15, water), capsule(-0.5, -high - 0.12, 0.0, -high - 0.12, 0.05, 0.05, tap), capsule(0, -high - 0.12, 0, -high - 0.04, 0.05, 0.04, tap)]

    t = control_times(duration_s)
    plink = Modes(np.exp(rng.uniform(np.log(600), np.log(2600), 3)), np.array([0.05, 0.03, 0.02]) * float(rng.uniform(0.6, 1.6)), np.array([1.0, 0.5, 0.3]))
    voices = (Hits(beat.times_s, beat.gains, plink, (Burst(1500.0, 8000.0, 0.004, 0.5),), spread=0.6), Noise(np.full(len(t), 0.002), 200.0, 3000.0))
    return Script(
        label="dripping", events=events_at(beat, "dripping"), draw=draw, still=still, voices=voices, level_db=-10.0,
        focus=((0.0, -high), (0.0, 0.1)), size=(0.4, 1.3), tilt=0.05,
    )  # fmt: skip


def doors(rng: Generator, duration_s: float) -> Script:
    """A door swings open slowly and slams."""
    beat = rhythm(rng, duration_s, fastest_s=1.4, slowest_s=3.5, lead_s=0.8, kinds=("single", "single", "irregular"))
    door, frame, beyond, knob = wood(rng), wood(rng).lit(0.7), paint(rng, light=(0.05, 0.6)), metal(rng)
    keys = [(-1.0, float(rng.uniform(0.5, 1.2)), 0.0)]
    for i, hit in enumerate(beat.times_s):
        gap = hit - max(keys[-1][0], 0.0)
        quick = min(float(rng.uniform(0.2, 0.5)), 0.5 * gap)
        keys += [(hit - quick, 0.5 + 0.6 * float(beat.strengths[i]), 0.0), (hit, 0.0, 2.2), (hit + 0.04, 0.035, -2.0), (hit + 0.09, 0.0, 2.0)]
        if i + 1 < len(beat):
            keys.append((hit + 0.3 * (beat.times_s[i + 1] - hit), 0.0, 0.0))
    angle = track(keys)

    def draw(t: Floats) -> list[Shape]:
        a = angle.at(t)
        half = 0.24 * np.cos(a)
        grow = 1.0 + 0.16 * np.sin(a)
        return [
            box(-0.24 + half, 0.0, np.maximum(half, 0.015), 0.55 * grow, door, corner=0.005),
            box(-0.24 + half, -0.22, 0.7 * half, 0.2 * grow, door.lit(0.82)),
            box(-0.24 + half, 0.25, 0.7 * half, 0.18 * grow, door.lit(0.82)),
            ellipse(-0.24 + 1.82 * half, 0.03, 0.022, 0.022, knob),
        ]

    def still(t: Floats) -> list[Shape]:
        return [box(0.0, 0.0, 0.29, 0.6, frame), box(0.0, 0.0, 0.245, 0.555, beyond)]

    slam = (Burst(60.0, float(rng.uniform(700, 1600)), float(rng.uniform(0.05, 0.12)), 1.0), Burst(1000.0, 6000.0, 0.012, 0.4))
    voice = Hits(beat.times_s, beat.gains, materials.body(rng, "door"), slam)
    return Script(
        label="door_slam", events=events_at(beat, "door_slam", 0.2, 0.0), draw=draw, still=still, voices=(voice,), level_db=-4.0,
        focus=((-0.28, -0.5), (0.28, 0.5)), size=(0.5, 1.1), tilt=0.02,
    )  # fmt: skip


def falls(rng: Generator, duration_s: float) -> Script:
    """Something falls: glass shatters, a box thuds."""
    label = str(rng.choice(["glass_break", "thud"]))
    beat = rhythm(rng, duration_s, fastest_s=1.1, slowest_s=3.0, lead_s=0.6, kinds=("single", "irregular", "regular"))
    gravity, high, seed, n = float(rng.uniform(4, 9)), float(rng.uniform(0.6, 1.1)), int(rng.integers(1 << 30)), len(beat)
    glass = paint(rng, colorful=(0.0, 0.3), light=(0.6, 1.0), contrast=(0.0, 0.3)).but(alpha=0.85) if label == "glass_break" else paint(rng)
    x, size, turn = rng.uniform(-0.35, 0.35, max(1, n)), float(rng.uniform(0.06, 0.15)), rng.normal(0, 2.5, max(1, n))
    floor = paint(rng)

    def draw(t: Floats) -> list[Shape]:
        if n == 0:
            return []
        nxt = np.searchsorted(beat.times_s, t, side="right")
        k = np.minimum(nxt, n - 1)
        wait = np.where(nxt < n, beat.times_s[k] - t, 99.0)
        fall_s = np.sqrt(2 * high / gravity)
        y = -size - high + 0.5 * gravity * np.clip(fall_s - wait, 0.0, None) ** 2
        shown = (wait < fall_s + 0.5) * 1.0
        falling = box(x[k], y, 0.7 * size, size, glass.but(alpha=shown * np.asarray(glass.alpha)), angle=turn[k] * np.minimum(wait, 2.0), corner=0.2 * size)
        age, last = since_last(t, beat.times_s)
        if label == "glass_break":
            shards = flying_bits(fixed(seed), t, beat.times_s, (x, np.full(max(1, n), -0.02)), glass, count=22, speed=1.6, life_s=0.9, size=0.022, fall=4.0)
            return [falling, shards]
        hop = 0.06 * np.exp(-np.minimum(age, 9) / 0.12) * np.abs(np.sin(2 * np.pi * 4 * np.minimum(age, 9)))
        lying = box(x[last], -0.7 * size - hop, size, 0.7 * size, glass.but(alpha=(age < 100) * 1.0), corner=0.2 * size)
        dust = flying_bits(fixed(seed), t, beat.times_s, (x, np.zeros(max(1, n))), floor.but(soft=0.02), count=8, speed=0.6, life_s=0.5, size=0.03, fall=0.0)
        return [lying, falling, dust]

    def still(t: Floats) -> list[Shape]:
        return [table(fixed(seed), 0.0, floor)]

    t = control_times(duration_s)
    if label == "glass_break":
        rate = np.zeros(len(t))
        for hit in beat.times_s:
            rate += np.where(t >= hit, 130.0 * np.exp(-np.maximum(t - hit, 0) / 0.18), 0.0)
        voices = (Hits(beat.times_s, beat.gains, materials.body(rng, "glass"), (Burst(1800.0, 10000.0, 0.04, 1.2),)), Grains(rate, 0.16, 2500.0, 7500.0, 0.02, 0.2))
    else:
        thump = (Burst(50.0, float(rng.uniform(300, 900)), float(rng.uniform(0.03, 0.08)), 1.0),)
        voices = (Hits(beat.times_s, beat.gains, materials.body(rng, "floor"), thump),)  # type: ignore[assignment]
    return Script(
        label=label, events=events_at(beat, label, x[:n], 0.0), draw=draw, still=still, voices=voices, level_db=-5.0,
        focus=((-0.35, -0.6), (0.35, 0.0)), size=(0.4, 1.1), tilt=0.05,
    )  # fmt: skip


def cameras(rng: Generator, duration_s: float) -> Script:
    """A camera in someone's hands clicks and flashes."""
    beat = rhythm(rng, duration_s, fastest_s=0.5, slowest_s=2.2)
    press = strike_track(beat, random_swing(rng, heavy=0.1))
    shell, glass, hand, seed = paint(rng, light=(0.05, 0.4)), paint(rng, light=(0.05, 0.3)), skin(rng), int(rng.integers(1 << 30))
    bright, power = paint(rng, colorful=(0.0, 0.1), light=(0.98, 1.0), contrast=(0.0, 0.05)), float(rng.uniform(0.0, 0.7))

    def draw(t: Floats) -> list[Shape]:
        h = press.at(t)
        age, _ = since_last(t, beat.times_s)
        on = np.exp(-np.minimum(age, 9.0) / 0.03)
        dip = 0.012 * np.exp(-np.minimum(age, 9.0) / 0.08)
        return [
            box(0.0, dip, 0.34, 0.2, shell, corner=0.04), ellipse(0.02, 0.03 + dip, 0.14, 0.14, shell.lit(1.5)),
            ellipse(0.02, 0.03 + dip, 0.1, 0.1, glass), box(-0.2, -0.13 + dip, 0.08, 0.045, shell.lit(2.0)),
            box(-0.2, -0.13 + dip, 0.08, 0.045, bright.but(alpha=on)), ellipse(-0.2, -0.13, 0.3, 0.22, bright.but(alpha=0.6 * on, soft=0.15)),
            capsule(0.45, 0.3, 0.3, -0.12 + dip, 0.1, 0.05, hand), capsule(0.32, -0.16 - 0.09 * h, 0.22, -0.2 - 0.07 * h, 0.032, 0.026, hand.lit(0.92)),
            capsule(-0.5, 0.35, -0.3, 0.1 + dip, 0.1, 0.06, hand),
        ]  # fmt: skip

    def light(t: Floats) -> Floats:
        age, _ = since_last(t, beat.times_s)
        return 1.0 + power * np.exp(-np.minimum(age, 9.0) / 0.04)

    click = Hits(beat.times_s, beat.gains, materials.body(rng, "tick"), (*materials.contact(rng, "plastic"), Burst(900.0, 5000.0, 0.01, 0.4)))
    back = Hits(beat.times_s + float(rng.uniform(0.05, 0.11)), 0.6 * beat.gains, materials.body(rng, "plastic"), materials.contact(rng, "plastic"))
    return Script(
        label="camera_shutter", events=events_at(beat, "camera_shutter", 0.22, -0.2), draw=draw, voices=(click, back), level_db=-12.0,
        light=light, focus=((-0.3, -0.25), (0.35, 0.2)), size=(0.35, 1.3), tilt=0.2,
    )  # fmt: skip
