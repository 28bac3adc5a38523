"""Things that bounce, tick and slam: balls, clocks, doors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

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
from mfv2a.scenes.shapes import Drawing, Floats, Paint, Shape, box, capsule, ellipse

BALLS = {"ball_rubber": (0.6, 0.82), "ball_basketball": (0.68, 0.82), "ball_marble": (0.45, 0.75)}


@dataclass(frozen=True, slots=True)
class _Flight:
    """Arcs between the ground contacts of a ball.

    Attributes:
        times_s: [N] contacts, ascending.
        peaks: [N] height of the arc that follows.
        x: [N] where.
        lifted: [N] whether the arc begins as a quiet lift instead of a jump.
    """

    times_s: Floats
    peaks: Floats
    x: Floats
    lifted: NDArray[np.bool_]

    def at(self, t: Floats) -> tuple[Floats, Floats, Floats]:
        """Position, height and height of the present arc at the moments t [K]."""
        index = np.clip(np.searchsorted(self.times_s, t, side="right") - 1, 0, len(self.times_s) - 2)
        start = self.times_s[index]
        u = np.clip((t - start) / np.maximum(self.times_s[index + 1] - start, 1e-6), 0.0, 1.0)
        arc, lift = 4.0 * u * (1.0 - u), np.clip(2.0 * u, 0.0, 1.0)
        shape = np.where(self.lifted[index] & (u < 0.5), lift * lift * (3.0 - 2.0 * lift), arc)
        return self.x[index] + (self.x[index + 1] - self.x[index]) * u, self.peaks[index] * shape, self.peaks[index]

    def beat(self, duration_s: float) -> tuple[Rhythm, Floats]:
        """Contacts that are heard, and where they are."""
        speed = np.sqrt(np.concatenate([[0.0], self.peaks[:-1]]))
        strengths = speed / max(float(speed.max(initial=0.0)), 1e-3)
        heard = (self.times_s > 0.05) & (self.times_s < duration_s - 0.08) & (strengths > 0.12)
        return Rhythm(self.times_s[heard], np.clip(strengths[heard], 0.2, 1.0)), self.x[heard]


def balls(rng: Generator, duration_s: float) -> Script:
    """Balls drop and bounce lower and lower, or one is dribbled."""
    label = str(rng.choice(sorted(BALLS)))
    dribble = label == "ball_basketball" and rng.random() < 0.5
    flight = _dribbled(rng, duration_s) if dribble else _dropped(rng, duration_s, BALLS[label])
    beat, x = flight.beat(duration_s)
    floor, seed = paint(rng), int(rng.integers(1 << 30))
    ball = _ball(rng, flight, label, dribble=bool(dribble))

    def still(t: Floats) -> list[Shape]:
        return [table(fixed(seed), 0.0, floor)]

    return Script(
        label=label, events=events_at(beat, label, x, 0.0), draw=ball, still=still, level_db=-6.0,
        voices=(Hits(beat.times_s, beat.gains, *_ball_sound(rng, label)),),
        focus=((float(flight.x.min()), -0.6), (float(flight.x.max()), 0.0)), size=(0.5, 1.5), tilt=0.1,
    )  # fmt: skip


def _ball(rng: Generator, flight: _Flight, label: str, *, dribble: bool) -> Drawing:
    """A spinning ball, its shadow, and a hand above it when it is dribbled."""
    small = label == "ball_marble"
    r = float(rng.uniform(0.03, 0.06) if small else rng.uniform(0.06, 0.14))
    look, palm, seed = paint(rng, contrast=(0.2, 0.9)), skin(rng), int(rng.integers(1 << 30))
    spin, squash = float(rng.normal(0, 4)), 0.0 if small else float(rng.uniform(0.0, 0.3))
    shadow = Paint(color=(0.05, 0.05, 0.05), contrast=0.0, soft=0.02)

    def draw(t: Floats) -> list[Shape]:
        x, high, peak = flight.at(t)
        flat = 1.0 - squash * np.exp(-high / 0.02) * np.minimum(1.0, peak * 4)
        dark = ellipse(x + 0.2 * high, 0.01, r * (1 + high), 0.3 * r, shadow.but(alpha=0.6 / (1 + 4 * high)))
        shapes = [dark, ellipse(x, -high - r * flat, r / flat, r * flat, look, angle=spin * t)]
        if not dribble:
            return shapes
        hand = np.minimum(-high - 2.0 * r, -peak - 1.2 * r) - 0.02
        limb = arm((x - 0.45, hand - 0.2), (x - 0.02, hand), fixed(seed), thick=0.07)
        return [*shapes, *limb, ellipse(x, hand, 0.09, 0.035, palm)]

    return draw


def _dribbled(rng: Generator, duration_s: float) -> _Flight:
    beat = rhythm(rng, duration_s, fastest_s=0.4, slowest_s=0.9, kinds=("regular", "changing", "pattern"))
    gap = float(np.median(np.diff(beat.times_s))) if len(beat) > 1 else 0.6
    first = float(beat.times_s[0]) if len(beat) else 0.3
    before = np.arange(first - gap, -2 * gap, -gap)[::-1]
    times = np.concatenate([before, beat.times_s])
    times = np.concatenate([times, times[-1] + gap * np.arange(1, 3)])
    peaks = np.clip(0.9 * np.diff(times, append=times[-1] + gap), 0.2, 0.7)
    return _Flight(times, peaks, np.cumsum(rng.normal(0, 0.03, len(times))), np.zeros(len(times), np.bool_))


def _dropped(rng: Generator, duration_s: float, bounce: tuple[float, float]) -> _Flight:
    """Drops one after another: each is lifted, falls and bounces lower and lower."""
    gravity = float(rng.uniform(2.0, 6.0))
    rows: list[tuple[float, float, float, float]] = []
    top_s = float(rng.uniform(-0.2, min(1.0, 0.3 * duration_s)))
    while top_s < duration_s or len(rows) < 2:
        high, keep, x = float(rng.uniform(0.35, 0.9)), float(rng.uniform(*bounce)), float(rng.uniform(-0.5, 0.5))
        pace, fall_s = float(rng.normal(0, 0.12)), float(np.sqrt(2 * high / gravity))
        rows.append((top_s - fall_s, high, x - 2 * pace * fall_s, 1.0))
        when = top_s + fall_s
        for _ in range(int(rng.integers(4, 16))):
            high *= keep**2
            rows.append((when, high, x, 0.0))
            air = 2 * float(np.sqrt(2 * high / gravity))
            when += air
            x += pace * air
            if air < 0.05:
                break
        rows.append((when, 0.0, x, 0.0))
        top_s = when + float(rng.uniform(0.4, 2.5)) + float(np.sqrt(2 * 0.9 / gravity))
    table_ = np.asarray(sorted(rows))
    return _Flight(table_[:, 0], table_[:, 1], table_[:, 2], table_[:, 3] > 0.5)


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
    period = {"hand": 1.0, "pendulum": float(rng.uniform(0.45, 1.2)), "metronome": float(rng.uniform(0.27, 0.9))}[kind]
    first = float(rng.uniform(0.12, 0.12 + period))
    times = np.arange(first, max(first, duration_s - 0.08), period)
    uneven = 0.06 * rng.normal(size=len(times)) - 0.1 * (np.arange(len(times)) % 2)
    beat = Rhythm(times, np.clip(0.85 + uneven, 0.3, 1.0))
    at: tuple[float | Floats, float | Floats] = (0.0, 0.2)
    if kind == "hand":
        turned = float(rng.uniform(0, 2 * np.pi))
        draw, still = _clock_face(rng, beat, turned)
        tip = turned + (np.arange(len(beat)) + 1) * np.pi / 30
        at = (np.asarray(0.3 * np.sin(tip)), np.asarray(-0.3 * np.cos(tip)))
    else:
        draw, still = _pendulum(rng, first, period, upright=kind == "metronome")
    ticking = kind != "metronome"
    modes, touch = materials.body(rng, "tick" if ticking else "board"), materials.contact(rng, "plastic")
    label = "clock_tick" if ticking else "metronome"
    return Script(
        label=label, events=events_at(beat, label, *at), draw=draw, still=still,
        voices=(Hits(beat.times_s, beat.gains, modes, touch, 0.15),), level_db=-18.0 if ticking else -9.0,
        focus=((-0.3, -0.4), (0.3, 0.4)), size=(0.5, 1.4), tilt=0.03,
    )  # fmt: skip


def _clock_face(rng: Generator, beat: Rhythm, turned: float) -> tuple[Drawing, Drawing]:
    """A second hand that jumps and trembles at each beat, and the dial."""
    face, case, dark = paint(rng, light=(0.6, 1.0)), wood(rng), paint(rng, light=(0.02, 0.25))
    thick = float(rng.uniform(0.012, 0.03))

    def draw(t: Floats) -> list[Shape]:
        age, index = since_last(t, beat.times_s)
        age, count = np.minimum(age, 9.0), np.where(age < 100, index + 1, 0)
        a = turned + count * np.pi / 30 + 0.04 * np.exp(-age / 0.05) * np.cos(2 * np.pi * 9.0 * age) * (count > 0)
        tip = (0.36 * np.sin(a), -0.36 * np.cos(a))
        return [capsule(-0.08 * np.sin(a), 0.08 * np.cos(a), *tip, thick, 0.5 * thick, dark)]

    def still(t: Floats) -> list[Shape]:
        a = np.arange(12)[None, :] * np.pi / 6
        marks = ellipse(0.38 * np.sin(a), 0.38 * np.cos(a), 0.015, 0.015, dark)
        hands = [capsule(0, 0, 0.2, -0.12, 0.02, 0.015, dark), capsule(0, 0, -0.05, 0.3, 0.015, 0.01, dark)]
        return [ellipse(0, 0, 0.5, 0.5, case), ellipse(0, 0, 0.44, 0.44, face), marks, *hands]

    return draw, still


def _pendulum(rng: Generator, first_s: float, period_s: float, *, upright: bool) -> tuple[Drawing, Drawing]:
    """A pendulum, hanging or upright as in a metronome, at its turning points at first_s + k * period_s."""
    brass, dark, case, face = metal(rng), paint(rng, light=(0.02, 0.25)), wood(rng), paint(rng, light=(0.6, 1.0))
    wide, size = float(rng.uniform(0.2, 0.7)), float(rng.uniform(0.05, 0.12))

    def draw(t: Floats) -> list[Shape]:
        turn = np.cos(np.pi * (t - first_s) / period_s)
        if upright:
            a = wide * np.sin(np.clip(1.25 * turn, -1, 1) * np.pi / 2)
            s, c = np.sin(a), np.cos(a)
            rod = capsule(0.0, 0.35, 0.75 * s, 0.35 - 0.75 * c, 0.012, 0.01, brass)
            return [rod, box(0.5 * s, 0.35 - 0.5 * c, 0.05, 0.04, dark, angle=a)]
        x, y = 0.75 * np.sin(wide * turn), -0.45 + 0.75 * np.cos(wide * turn)
        weight = ellipse(x, y, size, size, brass.lit(1.2), angle=-wide * turn)
        return [capsule(0.0, -0.45, x, y, 0.012, 0.012, brass), weight]

    def still(t: Floats) -> list[Shape]:
        if upright:
            return [box(0.0, 0.1, 0.24, 0.35, case, corner=0.05)]
        return [box(0.0, 0.0, 0.45, 0.75, case.lit(0.5)), ellipse(0, -0.55, 0.22, 0.22, face)]

    return draw, still


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
        label="door_slam", events=events_at(beat, "door_slam", 0.2, 0.0), draw=draw, still=still, voices=(voice,),
        level_db=-4.0, focus=((-0.28, -0.5), (0.28, 0.5)), size=(0.5, 1.1), tilt=0.02,
    )  # fmt: skip
