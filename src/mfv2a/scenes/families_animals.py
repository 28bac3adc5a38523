"""Animals that call: dogs and birds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

from mfv2a.scenes.curves import (
    Rhythm,
    events_at,
    rhythm,
    since_last,
)
from mfv2a.scenes.parts import (
    paint,
    wood,
)
from mfv2a.scenes.script import Burst, Hits, Script, Tone, Voice
from mfv2a.scenes.shapes import Floats, Paint, Shape, capsule, ellipse
from mfv2a.scenes.slow import control_times, wobble


def dogs(rng: Generator, duration_s: float) -> Script:
    """A dog barks: the jaw opens and the head jerks with every bark."""
    kinds = ("bursts", "irregular", "regular", "single", "pattern")
    beat = rhythm(rng, duration_s, fastest_s=0.26, slowest_s=1.3, kinds=kinds)
    sway, jerk, gape = [wobble(rng) for _ in range(2)], float(rng.uniform(0.05, 0.16)), float(rng.uniform(0.4, 0.8))
    head = _dog_head(rng)

    def draw(t: Floats) -> list[Shape]:
        age, index = since_last(t, beat.times_s)
        force = beat.strengths[index] if len(beat) else np.zeros(len(t))
        age = np.minimum(age, 9.0)
        open_ = force * np.where(age < 0.04, (age / 0.04) ** 0.5, np.exp(-(age - 0.04) / 0.07))
        kick = force * np.where(age < 0.05, age / 0.05, np.exp(-(age - 0.05) / 0.1))
        hx, hy = 0.03 * sway[0].at(t) + jerk * kick, 0.02 * sway[1].at(t) - 0.8 * jerk * kick
        return head(hx, hy, kick, gape * open_)

    return Script(
        label="dog_bark", events=events_at(beat, "dog_bark", 0.2, 0.0), draw=draw, voices=_barks(rng, beat, duration_s),
        level_db=-5.0, focus=((-0.25, -0.15), (0.4, 0.3)), size=(0.4, 1.8), tilt=0.15,
    )  # fmt: skip


def _dog_head(rng: Generator) -> Callable[[Floats, Floats, Floats, Floats], list[Shape]]:
    """Body, neck and head at x [K], y [K], thrown up by kick [K], the jaw open by gape [K] radians."""
    fur, dark = paint(rng, hue=(0.03, 0.12), colorful=(0.0, 0.6)), paint(rng, light=(0.02, 0.12))
    mouth, length = paint(rng, hue=(0.97, 1.0), colorful=(0.4, 0.7)), float(rng.uniform(0.12, 0.24))

    def draw(x: Floats, y: Floats, kick: Floats, gape: Floats) -> list[Shape]:
        a = -0.1 - 0.3 * kick
        low = a + 0.12 + gape
        sx, sy = x + 0.12 * np.cos(a), y + 0.12 * np.sin(a) + 0.02

        def jaw(angle: Floats, reach: float, drop: float, r1: float, r2: float, look: Paint) -> Shape:
            end = (sx + reach * length * np.cos(angle), sy + drop + reach * length * np.sin(angle))
            return capsule(sx, sy + drop, *end, r1, r2, look)

        return [
            ellipse(-0.45 + 0.3 * x, 0.42 + 0.2 * y, 0.42, 0.3, fur.lit(0.9)),
            capsule(-0.3 + 0.3 * x, 0.3, x - 0.06, y + 0.06, 0.2, 0.13, fur),
            jaw(low, 0.8, 0.03, 0.05, 0.035, fur.lit(0.85)),
            jaw(0.5 * (a + low), 0.7, 0.02, 0.03, 0.02, mouth.but(alpha=gape > 0.05)),
            ellipse(x, y, 0.16, 0.14, fur, angle=a),
            jaw(a, 1.0, 0.0, 0.065, 0.045, fur.lit(1.1)),
            ellipse(sx + length * np.cos(a), sy + length * np.sin(a) - 0.02, 0.03, 0.025, dark),
            ellipse(x + 0.05, y - 0.05, 0.02, 0.02, dark),
            capsule(x - 0.07, y - 0.09, x - 0.12 - 0.05 * kick, y + 0.06 - 0.18 * kick, 0.05, 0.04, fur.lit(0.6)),
        ]

    return draw


def _barks(rng: Generator, beat: Rhythm, duration_s: float) -> tuple[Voice, ...]:
    """A falling, rough, vowel-like tone and a breath for each bark."""
    t = control_times(duration_s)
    age, index = since_last(t, beat.times_s)
    age = np.minimum(age, 9.0)
    gain = beat.gains[index] if len(beat) else np.zeros(len(t))
    base, long_s = float(np.exp(rng.uniform(np.log(180), np.log(650)))), float(rng.uniform(0.05, 0.1))
    level = gain * np.where(age < 0.012, age / 0.012, np.exp(-((np.maximum(age - 0.012, 0) / long_s) ** 1.6)))
    level = np.where(age < 8.0, np.maximum(level, np.where(age < 0.006, 0.5 * gain, 0.0)), 0.0)
    hz = base * (0.75 + 0.5 * np.exp(-((age - 0.03) ** 2) / 0.003))
    formant = float(rng.uniform(2.0, 4.0))
    partials = tuple(float(np.exp(-((k - formant) ** 2) / 5.0) + 0.25 / k) for k in range(1, 15))
    rasp = Hits(beat.times_s, 0.5 * beat.gains, None, (Burst(1.5 * base, 9.0 * base, 0.8 * long_s, 1.0, 0.004),))
    return (Tone(hz, level, partials, 0.15, 0.05), rasp)


def birds(rng: Generator, duration_s: float) -> Script:
    """A bird on a branch chirps; the beak opens and the head bobs with each note."""
    beat = rhythm(
        rng, duration_s, fastest_s=0.13, slowest_s=1.2, kinds=("bursts", "bursts", "irregular", "pattern", "single")
    )
    feather, beak, dark, branch = (
        paint(rng),
        paint(rng, hue=(0.08, 0.15), colorful=(0.3, 0.9)),
        paint(rng, light=(0.02, 0.1)),
        wood(rng),
    )
    sway, jerk, gape = [wobble(rng) for _ in range(2)], float(rng.uniform(0.015, 0.06)), float(rng.uniform(0.5, 0.9))
    note_s = float(rng.uniform(0.04, 0.1))
    wing = feather.lit(0.7)

    def draw(t: Floats) -> list[Shape]:
        age = np.minimum(since_last(t, beat.times_s)[0], 9.0)
        open_ = np.where(age < 0.03, age / 0.03, np.exp(-np.maximum(age - note_s, 0.0) / 0.03))
        hx, hy = 0.12 + 0.015 * sway[0].at(t) + 0.4 * jerk * open_, -0.22 + 0.01 * sway[1].at(t) - jerk * open_
        a = -0.05 - 0.3 * open_
        up, low = a - 0.5 * gape * open_, a + 0.15 + 0.6 * gape * open_
        bx, by = hx + 0.09, hy
        tail = -0.35 + 0.12 * open_
        return [
            capsule(
                -0.15, 0.02, -0.15 + 0.3 * np.cos(np.pi - tail), 0.02 + 0.3 * np.sin(np.pi - tail), 0.05, 0.03, wing
            ),
            ellipse(0.0, -0.02, 0.2 + 0.01 * open_, 0.14 + 0.008 * open_, feather, angle=-0.5),
            ellipse(-0.05, 0.0, 0.14, 0.08, wing, angle=-0.3),
            capsule(bx, by + 0.01, bx + 0.1 * np.cos(low), by + 0.01 + 0.1 * np.sin(low), 0.022, 0.004, beak.lit(0.8)),
            capsule(bx, by, bx + 0.12 * np.cos(up), by + 0.12 * np.sin(up), 0.026, 0.004, beak),
            ellipse(hx, hy, 0.1, 0.095, feather.lit(1.1), angle=a),
            ellipse(hx + 0.04, hy - 0.02, 0.015, 0.015, dark),
        ]

    def still(t: Floats) -> list[Shape]:
        return [capsule(-3.0, 0.2, 3.0, 0.1, 0.05, 0.03, branch), capsule(0.02, 0.1, 0.03, 0.17, 0.01, 0.01, dark)]

    return Script(
        label="bird_chirp", events=events_at(beat, "bird_chirp", 0.25, -0.22), draw=draw, still=still,
        voices=(_chirps(rng, beat, note_s, duration_s),), level_db=-10.0,
        focus=((-0.25, -0.3), (0.3, 0.15)), size=(0.4, 2.0), tilt=0.2,
    )  # fmt: skip


def _chirps(rng: Generator, beat: Rhythm, note_s: float, duration_s: float) -> Tone:
    """Gliding whistles, one a beat, of a few kinds."""
    t = control_times(duration_s)
    age, index = since_last(t, beat.times_s)
    age = np.minimum(age, 9.0)
    kinds, number = int(rng.integers(1, 4)), max(1, len(beat))
    kind = rng.integers(0, kinds, number)[index]
    base = np.exp(rng.uniform(np.log(2200), np.log(4800), kinds))[kind]
    glide = rng.uniform(-0.5, 0.5, kinds)[kind]
    trill, depth = rng.uniform(15, 45, kinds)[kind], (rng.random(kinds) < 0.4)[kind] * 0.12
    u = np.clip(age / (1.4 * note_s), 0.0, 1.0)
    hz = base * (1.0 + glide * u + depth * np.sin(2 * np.pi * trill * age))
    gain = beat.gains[index] if len(beat) else np.zeros(len(t))
    level = gain * np.where(age < 1.4 * note_s, np.sin(np.pi * np.clip(u, 0.0, 1.0)) ** 0.5, 0.0)
    return Tone(hz, level, (1.0, 0.15, 0.05), 0.02, 0.003)
