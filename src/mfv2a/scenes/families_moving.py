"""Machines and rubbing hands: sound that lasts while something moves and follows its speed."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from mfv2a.scenes.curves import (
    Track,
    track,
)
from mfv2a.scenes.parts import (
    arm,
    cloth,
    fixed,
    metal,
    paint,
    table,
    wood,
)
from mfv2a.scenes.script import Grains, Noise, Script, Tone, Voice
from mfv2a.scenes.shapes import Curve, Drawing, Floats, Paint, Shape, box, capsule, ellipse
from mfv2a.scenes.slow import control_times, loudness, wobble


def _speed_curve(rng: Generator, duration_s: float) -> Track:
    """A machine's speed in 0..1: steady, starting, stopping, or changing."""
    kind = str(rng.choice(["steady", "steady", "start", "stop", "change"]))
    steady = float(rng.uniform(0.6, 1.0))
    middle = float(rng.uniform(0.3, 0.6)) * duration_s
    ramp = float(rng.uniform(0.6, 2.0))
    if kind == "steady":
        return track([(-1.0, steady, 1.0), (duration_s + 9.0, steady, 1.0)])
    before, after = {"start": (0.0, 1.0), "stop": (1.0, 0.0)}.get(kind, (steady, float(rng.uniform(0.25, 1.0))))
    return track(
        [(-1.0, before, 1.0), (middle, before, 1.0), (middle + ramp, after, 0.0), (duration_s + 9.0, after, 1.0)]
    )


def _turns(speed: Track, duration_s: float, most_hz: float) -> Curve:
    """Turns made until t, for a wheel whose rate is most_hz at speed 1."""
    grid = control_times(duration_s + 2.0)
    way = np.cumsum(speed.at(grid)) * (grid[1] - grid[0]) * most_hz

    def at(t: Floats) -> Floats:
        return np.asarray(np.interp(t, grid, way), np.float64)

    return at


def rotors(rng: Generator, duration_s: float) -> Script:
    """A fan, a helicopter rotor or a shaking engine with its wheel."""
    label = str(rng.choice(["fan", "helicopter", "engine"]))
    speed = _speed_curve(rng, duration_s)
    turns = _turns(speed, duration_s, float(rng.uniform(0.7, 4.5)))
    draw, still = _engine(rng, speed, turns) if label == "engine" else _blades(rng, turns, fan=label == "fan")
    return Script(
        label=label, draw=draw, still=still, voices=_machine_voices(rng, label, speed, duration_s, turns),
        level_db=-19.0, intensity=loudness(speed.at(control_times(duration_s))),
        focus=((-0.45, -0.3), (0.45, 0.35)), size=(0.35, 1.4), tilt=0.15,
    )  # fmt: skip


def _blades(rng: Generator, turns: Curve, *, fan: bool) -> tuple[Drawing, Drawing]:
    """Blades around the origin: of a fan seen from the front, or of a helicopter seen from the side."""
    blades, steel, hub, shell = int(rng.integers(2, 7)), metal(rng).but(shade=0.5), paint(rng), paint(rng)
    radius, wide = float(rng.uniform(0.3, 0.5)), float(rng.uniform(0.03, 0.1))
    flat = float(rng.uniform(0.75, 1.0)) if fan else 0.18

    def draw(t: Floats) -> list[Shape]:
        a = 2 * np.pi * (turns(t)[:, None] + np.arange(blades)[None, :] / blades)
        x, y = radius * np.cos(a), flat * radius * np.sin(a)
        shapes: list[Shape] = []
        if not fan:
            bob = 0.01 * np.sin(2 * np.pi * 0.6 * t)
            shapes = [ellipse(0.0, 0.24 + bob, 0.26, 0.14, shell), capsule(0.0, 0.15, 0.0, 0.0, 0.02, 0.02, hub)]
            shapes.append(capsule(0.15, 0.2 + bob, 0.62, 0.12 + bob, 0.05, 0.025, shell))
        spread = capsule(0.12 * x, 0.12 * y, x, y, 0.5 * wide, wide if fan else 0.5 * wide, steel)
        return [*shapes, spread, ellipse(0.0, 0.0, 0.07, 0.07 * max(flat, 0.4), hub)]

    def still(t: Floats) -> list[Shape]:
        cage = ellipse(0, 0, radius * 1.1, radius * 1.1 * flat, shell.lit(0.5))
        return [capsule(0, 0, 0, 1.2, 0.04, 0.06, shell), cage] if fan else []

    return draw, still


def _engine(rng: Generator, speed: Track, turns: Curve) -> tuple[Drawing, Drawing]:
    """A shaking block with a piston and a spoked wheel."""
    spokes, steel, hub, shell = int(rng.integers(2, 7)), metal(rng), paint(rng), paint(rng)
    radius, seed, shake_hz = float(rng.uniform(0.18, 0.3)), int(rng.integers(1 << 30)), float(rng.uniform(6.0, 11.0))

    def draw(t: Floats) -> list[Shape]:
        s, turn = speed.at(t), turns(t)
        jx, jy = 0.008 * np.sin(2 * np.pi * shake_hz * t), 0.012 * np.sin(2 * np.pi * (shake_hz + 1.7) * t + 1.0)
        cx, cy = 0.1 + s * jx, 0.1 + s * jy
        a = 2 * np.pi * (turn[:, None] + np.arange(spokes)[None, :] / spokes)
        x, y = cx[:, None] + radius * np.cos(a), cy[:, None] + radius * np.sin(a)
        return [
            box(cx - 0.45, cy, 0.3, 0.28, shell, corner=0.03),
            box(cx - 0.55, cy - 0.38 + 0.1 * np.sin(4 * np.pi * turn), 0.06, 0.12, steel),
            ellipse(cx, cy, 1.05 * radius, 1.05 * radius, hub.lit(0.7)),
            capsule(cx[:, None], cy[:, None], x, y, 0.04, 0.03, steel),
            ellipse(x, y, 0.04, 0.04, hub.lit(1.4)),
        ]

    def still(t: Floats) -> list[Shape]:
        return [table(fixed(seed), 0.4, hub.lit(0.6))]

    return draw, still


def _machine_voices(rng: Generator, label: str, speed: Track, duration_s: float, turns: Curve) -> tuple[Voice, ...]:
    t = control_times(duration_s)
    s = speed.at(t)
    if label == "fan":
        hum = float(rng.uniform(70, 180))
        partials = tuple(float(rng.uniform(0.1, 1.0)) / k for k in range(1, 8))
        air = 0.05 * s**1.5 * (1 + 0.15 * np.sin(2 * np.pi * 4 * turns(t)))
        return (
            Noise(air, 120.0, float(rng.uniform(1500, 5000)), 3.0),
            Tone(hum * (0.3 + 0.7 * s), 0.02 * s, partials, 0.0, 0.002),
        )
    if label == "helicopter":
        beat_hz = float(rng.uniform(9, 17))
        phase = np.cumsum(beat_hz * (0.2 + 0.8 * s)) * (t[1] - t[0])
        chop = (0.5 + 0.5 * np.cos(2 * np.pi * phase)) ** 3
        return (
            Noise(0.16 * s * (0.12 + chop), 50.0, float(rng.uniform(400, 900)), 2.5),
            Noise(0.03 * s * (0.3 + chop), 600.0, 5000.0, 2.0),
            Tone(180.0 * (0.4 + 0.6 * s), 0.01 * s, (1.0, 0.6, 0.4, 0.3), 0.0, 0.004),
        )  # fmt: skip
    base = float(rng.uniform(28, 75))
    partials = tuple(float(rng.uniform(0.2, 1.0)) / k**0.8 for k in range(1, 26))
    level = 0.06 * np.where(s > 0.02, 0.35 + 0.65 * s, 0.0)
    rattle = Grains(60.0 * s, 0.03, 400.0, 3000.0, 0.008, 0.6)
    return (
        Tone(base * (0.5 + 0.8 * s), level, partials, 0.0, 0.012),
        Noise(0.02 * s, 200.0, 4000.0, 3.0, 0.1, 15.0),
        rattle,
    )


def _strokes(rng: Generator, duration_s: float) -> tuple[Track, Floats]:
    """To-and-fro strokes in phases with pauses: position -1..1, and control-rate speed (1: a usual stroke)."""
    keys, time_s, side = [(-1.0, 0.0, 0.0)], float(rng.uniform(0.0, 0.8)), 1.0
    keys.append((time_s, 0.0, 0.0))
    stroke = float(np.exp(rng.uniform(np.log(0.16), np.log(0.75))))
    while time_s < duration_s + 1.0:
        for _ in range(int(rng.integers(3, 14))):
            time_s += stroke * float(rng.normal(1.0, 0.07))
            keys.append((time_s, side * float(rng.uniform(0.75, 1.0)), 0.0))
            side = -side
        if rng.random() < 0.6:
            time_s += float(rng.uniform(0.3, 1.6))
            keys.append((time_s, keys[-1][1], 0.0))
    path = track(keys)
    t = control_times(duration_s)
    speed = np.abs(path.at(t + 0.01) - path.at(t - 0.01)) / 0.02
    return path, np.asarray(speed * 0.2)


def rubbing(rng: Generator, duration_s: float) -> Script:
    """A saw, a scrubbing brush or a scraper goes to and fro; the sound follows its speed."""
    label = str(rng.choice(["sawing", "scrubbing", "scraping"]))
    path, speed = _strokes(rng, duration_s)
    work = paint(rng) if label == "scraping" else wood(rng)

    def still(t: Floats) -> list[Shape]:
        return [] if label == "sawing" else [box(0.0, 0.0, 1.6, 1.0, work)]

    band = {"sawing": (500, 3500, 7000), "scrubbing": (250, 1500, 4500), "scraping": (1500, 4500, 9000)}[label]
    low, high = float(rng.uniform(0.5, 1.5)) * band[0], float(rng.uniform(band[1], band[2]))
    level = 0.07 * speed**1.2
    voices: tuple[Voice, ...] = (
        Noise(level, low, high, 1.5, 0.2, 30.0),
        Grains(90.0 * speed, 0.04, low, high, 0.004, 0.8),
    )
    if label == "sawing":
        voices = (*voices, Noise(0.6 * level, float(rng.uniform(250, 500)), 900.0, 0.0, 0.2, 20.0))
    return Script(
        label=label, draw=_rubbing_hand(rng, label, path, work), still=still, voices=voices, level_db=-19.0,
        intensity=loudness(np.minimum(speed, 2.0)), focus=((-0.4, -0.2), (0.25, 0.2)), size=(0.4, 1.6), tilt=0.5,
    )  # fmt: skip


def _rubbing_hand(rng: Generator, label: str, path: Track, work: Paint) -> Drawing:
    """An arm that moves its tool along the path."""
    seed, tool, grip = int(rng.integers(1 << 30)), cloth(rng) if label == "scrubbing" else metal(rng), wood(rng)
    swing, tilt = float(rng.uniform(0.1, 0.22)), float(rng.normal(0, 0.3))
    slope = 0.25 + tilt if label == "sawing" else tilt
    round_ = label == "scrubbing" and rng.random() < 0.4

    def draw(t: Floats) -> list[Shape]:
        p = path.at(t)
        x, y = swing * p * np.cos(slope), swing * p * np.sin(slope)
        if label == "sawing":
            x, y = x - 0.02, y - 0.05
            hx, hy = x - 0.42 * np.cos(slope), y - 0.42 * np.sin(slope)
            handle = box(hx, hy, 0.06, 0.075, grip, angle=slope, corner=0.03)
            limb = arm((hx - 0.5, hy - 0.35), (hx, hy), fixed(seed), thick=0.08)
            return [box(x, y, 0.38, 0.045, tool, angle=slope), handle, box(0.06, 0.22, 0.16, 0.2, work), *limb]
        if label == "scraping":
            hx, hy = x - 0.08, y - 0.07
            blade = box(x + 0.08, y - 0.01, 0.09, 0.05, tool, angle=slope + 0.2)
            limb = arm((hx - 0.5, hy - 0.3), (hx, hy), fixed(seed), thick=0.075)
            return [blade, capsule(x, y - 0.03, hx, hy, 0.025, 0.03, grip), *limb]
        if round_:
            y = y + 0.5 * swing * np.sqrt(np.maximum(0.0, 1.0 - p * p))
        limb = arm((x - 0.45, y - 0.4), (x, y - 0.03), fixed(seed), thick=0.08)
        return [box(x, y, 0.12, 0.06, tool, corner=0.03), *limb]

    return draw


def strings(rng: Generator, duration_s: float) -> Script:
    """A bow moves over the strings of a cello or violin; one note a stroke."""
    keys, notes, time_s, side = [(-1.0, 0.8, 0.0)], [], float(rng.uniform(0.1, 1.0)), -1.0
    keys.append((time_s, 0.8, 0.0))
    base = float(np.exp(rng.uniform(np.log(90), np.log(420))))
    scale = base * 2.0 ** (np.array([0, 2, 4, 5, 7, 9, 11, 12]) / 12.0)
    while time_s < duration_s:
        long_s = float(np.exp(rng.uniform(np.log(0.3), np.log(1.6))))
        notes.append((time_s, long_s, float(rng.choice(scale))))
        time_s += long_s
        keys.append((time_s, 0.8 * side, 0.0))
        side = -side
        if rng.random() < 0.25:
            time_s += float(rng.uniform(0.2, 1.0))
            keys.append((time_s, keys[-1][1], 0.0))
    path, seed, body, hair, dark, sway = (
        track(keys),
        int(rng.integers(1 << 30)),
        wood(rng),
        metal(rng).lit(1.5),
        paint(rng, light=(0.02, 0.2)),
        wobble(rng),
    )
    slant = float(rng.uniform(-0.2, 0.2))

    def draw(t: Floats) -> list[Shape]:
        p, shift = path.at(t), 0.015 * sway.at(t)
        x, y = 0.35 * p + shift, 0.05 + 0.35 * p * slant
        bow = capsule(x - 0.45, y - 0.45 * slant, x + 0.45, y + 0.45 * slant, 0.012, 0.012, hair)
        fiddle = [
            ellipse(shift, 0.25, 0.24, 0.22, body),
            ellipse(shift, -0.1, 0.18, 0.17, body),
            box(shift, -0.5, 0.03, 0.4, dark),
        ]
        thread = box(shift[:, None] + (np.arange(4)[None, :] - 1.5) * 0.013, -0.15, 0.002, 0.6, hair)
        return [*fiddle, thread, bow, *arm((x + 0.75, y + 0.5), (x + 0.45, y + 0.45 * slant), fixed(seed), thick=0.07)]

    t = control_times(duration_s)
    hz, level = np.full(len(t), base), np.zeros(len(t))
    for start, long_s, pitch in notes:
        inside = (t >= start) & (t < start + long_s)
        hz[t >= start] = pitch
        level[inside] = 0.08 * np.sin(np.pi * (t[inside] - start) / long_s) ** 0.5
    hz = hz * (1.0 + 0.006 * np.sin(2 * np.pi * float(rng.uniform(4.5, 6.5)) * t))
    formant = float(rng.uniform(2, 6))
    partials = tuple(float(1.0 / k + 0.4 * np.exp(-((k - formant) ** 2) / 3.0)) for k in range(1, 22))
    return Script(
        label="bowed_strings", draw=draw, voices=(Tone(hz, level, partials, 0.06, 0.001),), level_db=-21.0,
        focus=((-0.35, -0.35), (0.35, 0.35)), size=(0.45, 1.3), tilt=0.5,
    )  # fmt: skip
