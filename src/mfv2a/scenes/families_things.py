"""Things that bounce, tick and slam: balls, clocks, doors."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from mfv2a.scenes import materials
from mfv2a.scenes.curves import (
    Rhythm,
    events_at,
    rhythm,
    since_last,
    track,
)
from mfv2a.scenes.parts import (
    arm,
    fixed,
    metal,
    paint,
    skin,
    table,
    wood,
)
from mfv2a.scenes.script import Burst, Hits, Modes, Script
from mfv2a.scenes.shapes import Floats, Paint, Shape, box, capsule, ellipse

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
    look, floor, shadow, seed = (
        paint(rng, contrast=(0.2, 0.9)),
        paint(rng),
        Paint(color=(0.05, 0.05, 0.05), contrast=0.0),
        int(rng.integers(1 << 30)),
    )
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
        dark = ellipse(
            x + 0.2 * height,
            0.01,
            radius * (1 + height),
            0.3 * radius,
            shadow.but(alpha=0.6 / (1 + 4 * height), soft=0.02),
        )
        if not dribble:
            return [dark, ball]
        push = -height - 2.0 * radius
        hand = np.minimum(push, -peaks[index] - 1.2 * radius) - 0.02
        return [
            dark,
            ball,
            *arm((x - 0.45, hand - 0.2), (x - 0.02, hand), fixed(seed), thick=0.07),
            ellipse(x, hand, 0.09, 0.035, palm),
        ]

    def still(t: Floats) -> list[Shape]:
        return [table(fixed(seed), 0.0, floor)]

    where = xs[heard]
    voice = Hits(beat.times_s, beat.gains, *_ball_sound(rng, label))
    return Script(
        label=label, events=events_at(beat, label, where, 0.0), draw=draw, still=still, voices=(voice,), level_db=-6.0,
        focus=((float(xs.min(initial=0.0)), -0.6), (float(xs.max(initial=0.0)), 0.0)), size=(0.5, 1.5), tilt=0.1,
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
    return Modes(hz, np.array([0.05, 0.09, 0.06, 0.05, 0.03]), np.array([1.0, 0.4, 0.25, 0.2, 0.1])), (
        Burst(150.0, 2500.0, 0.015, 0.5),
    )


def clocks(rng: Generator, duration_s: float) -> Script:
    """A second hand jumps, a pendulum swings, or a metronome beats."""
    kind = str(rng.choice(["hand", "pendulum", "metronome"]))
    label = "metronome" if kind == "metronome" else "clock_tick"
    period = 1.0 if kind == "hand" else float(rng.uniform(0.45, 1.2) if kind == "pendulum" else rng.uniform(0.27, 0.9))
    first = float(rng.uniform(0.12, 0.12 + period))
    times = np.arange(first, max(first, duration_s - 0.08), period)
    times = times[times < duration_s - 0.08]
    beat = Rhythm(
        times, np.clip(0.85 + 0.06 * rng.normal(size=len(times)) - 0.1 * (np.arange(len(times)) % 2), 0.3, 1.0)
    )
    face, case, dark, brass = paint(rng, light=(0.6, 1.0)), wood(rng), paint(rng, light=(0.02, 0.25)), metal(rng)
    wide, size, turned = float(rng.uniform(0.2, 0.7)), float(rng.uniform(0.05, 0.12)), float(rng.uniform(0, 6))

    def draw(t: Floats) -> list[Shape]:
        if kind == "hand":
            age, index = since_last(t, beat.times_s)
            count = np.where(age < 100, index + 1, 0)
            settle = np.where(
                age < 100, np.exp(-np.minimum(age, 9.0) / 0.05) * np.cos(2 * np.pi * 9.0 * np.minimum(age, 9.0)), 0.0
            )
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
    voice = Hits(
        beat.times_s,
        beat.gains,
        materials.body(rng, "tick" if kind != "metronome" else "board"),
        materials.contact(rng, "plastic"),
        spread=0.15,
    )
    return Script(
        label=label, events=events_at(beat, label, *where), draw=draw, still=still, voices=(voice,), level_db=-18.0 if kind != "metronome" else -9.0,
        focus=((-0.3, -0.4), (0.3, 0.4)), size=(0.5, 1.3), tilt=0.03,
    )  # fmt: skip


def doors(rng: Generator, duration_s: float) -> Script:
    """A door swings open slowly and slams."""
    beat = rhythm(rng, duration_s, fastest_s=1.4, slowest_s=3.5, lead_s=0.8, kinds=("single", "single", "irregular"))
    door, frame, beyond, knob = wood(rng), wood(rng).lit(0.7), paint(rng, light=(0.05, 0.6)), metal(rng)
    keys = [(-1.0, float(rng.uniform(0.5, 1.2)), 0.0)]
    for i, hit in enumerate(beat.times_s):
        gap = hit - max(keys[-1][0], 0.0)
        quick = min(float(rng.uniform(0.2, 0.5)), 0.5 * gap)
        keys += [
            (hit - quick, 0.5 + 0.6 * float(beat.strengths[i]), 0.0),
            (hit, 0.0, 2.2),
            (hit + 0.04, 0.035, -2.0),
            (hit + 0.09, 0.0, 2.0),
        ]
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

    slam = (
        Burst(60.0, float(rng.uniform(700, 1600)), float(rng.uniform(0.05, 0.12)), 1.0),
        Burst(1000.0, 6000.0, 0.012, 0.4),
    )
    voice = Hits(beat.times_s, beat.gains, materials.body(rng, "door"), slam)
    return Script(
        label="door_slam", events=events_at(beat, "door_slam", 0.2, 0.0), draw=draw, still=still, voices=(voice,), level_db=-4.0,
        focus=((-0.28, -0.5), (0.28, 0.5)), size=(0.5, 1.1), tilt=0.02,
    )  # fmt: skip
