"""Flashes: fireworks, pistols, cameras."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from mfv2a.scenes import materials
from mfv2a.scenes.curves import (
    events_at,
    random_swing,
    rhythm,
    since_last,
    strike_track,
)
from mfv2a.scenes.parts import (
    arm,
    fixed,
    flying_bits,
    metal,
    paint,
    skin,
)
from mfv2a.scenes.script import Burst, Grains, Hits, Script
from mfv2a.scenes.shapes import Floats, Shape, box, capsule, ellipse
from mfv2a.scenes.slow import control_times


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
            shapes.append(
                flying_bits(
                    fixed(seed + k),
                    t,
                    own,
                    (x[turns == k], y[turns == k]),
                    fire,
                    count=26,
                    speed=pace,
                    life_s=life,
                    fall=0.15,
                    upward=0.0,
                    size=0.014,
                )
            )
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

    boom = (
        Burst(40.0, float(rng.uniform(400, 1500)), float(rng.uniform(0.12, 0.35)), 1.0),
        Burst(500.0, 6000.0, 0.05, 0.5),
    )
    crackle = np.interp(control_times(duration_s), [0, duration_s], [0, 0])
    for time_s in beat.times_s:
        since = control_times(duration_s) - time_s
        crackle = crackle + np.where(since > 0.1, 45.0 * np.exp(-np.maximum(since, 0) / 0.4), 0.0)
    voices = (
        Hits(beat.times_s, beat.gains, materials.body(rng, "floor"), boom),
        Grains(crackle, 0.06, 2000.0, 7000.0, 0.004, 0.9),
    )
    return Script(
        label="fireworks", events=events_at(beat, "fireworks", x, y), draw=draw, voices=voices, level_db=-3.0, light=light,
        focus=((-0.6, -0.55), (0.6, 0.1)), size=(0.5, 1.1), backdrop=(0, 16), bystanders=False, night=True,
    )  # fmt: skip


def _gun(rng: Generator, duration_s: float) -> Script:
    beat = rhythm(rng, duration_s, fastest_s=0.2, slowest_s=2.0)
    steel, seed, flame = (
        metal(rng).lit(0.5),
        int(rng.integers(1 << 30)),
        paint(rng, hue=(0.08, 0.15), light=(0.97, 1.0), contrast=(0.0, 0.1)),
    )
    kick_by, smoke = (
        float(rng.uniform(0.15, 0.5)),
        paint(rng, colorful=(0.0, 0.05), light=(0.7, 0.9), textures=("clouds", "haze")),
    )

    def draw(t: Floats) -> list[Shape]:
        age, _ = since_last(t, beat.times_s)
        age = np.minimum(age, 9.0)
        kick = kick_by * np.where(age < 0.03, age / 0.03, np.exp(-(age - 0.03) / 0.12))
        a = -0.02 - kick
        hx, hy = -0.3 - 0.15 * kick, 0.05 - 0.12 * kick
        mx, my = hx + 0.3 * np.cos(a), hy - 0.07 + 0.3 * np.sin(a)
        on = (age < 0.06) * 1.0
        flash = [
            ellipse(mx + 0.1, my, 0.12, 0.06, flame.but(alpha=on, soft=0.03)),
            ellipse(mx + 0.05, my, 0.05, 0.1, flame.but(alpha=on, soft=0.02)),
        ]
        grey = smoke.but(alpha=0.4 * np.exp(-age / 0.3) * (age < 5), soft=0.05)
        puff = ellipse(
            mx + 0.15 + 0.3 * (1 - np.exp(-age / 0.3)),
            my - 0.1 * age,
            0.05 + 0.15 * (1 - np.exp(-age / 0.3)),
            0.05 + 0.1 * (1 - np.exp(-age / 0.3)),
            grey,
        )
        body = [
            capsule(hx, hy - 0.07, mx, my, 0.032, 0.028, steel),
            capsule(hx, hy - 0.05, hx - 0.03, hy + 0.07, 0.035, 0.035, steel),
        ]
        return [puff, *body, *arm((hx - 0.7, hy + 0.12), (hx, hy), fixed(seed), thick=0.075), *flash]

    def light(t: Floats) -> Floats:
        age, _ = since_last(t, beat.times_s)
        return 1.0 + 0.35 * (age < 0.06)

    bang = (
        Burst(150.0, 9000.0, float(rng.uniform(0.02, 0.06)), 1.0),
        Burst(60.0, 900.0, float(rng.uniform(0.1, 0.3)), 0.7),
    )
    voice = Hits(beat.times_s, beat.gains, None, bang)
    return Script(
        label="gunshot", events=events_at(beat, "gunshot", 0.0, 0.0), draw=draw, voices=(voice,), level_db=-2.0, light=light,
        focus=((-0.4, -0.15), (0.2, 0.1)), size=(0.3, 1.2), tilt=0.2,
    )  # fmt: skip


def cameras(rng: Generator, duration_s: float) -> Script:
    """A camera in someone's hands clicks and flashes."""
    beat = rhythm(rng, duration_s, fastest_s=0.5, slowest_s=2.2)
    press = strike_track(beat, random_swing(rng, heavy=0.1))
    shell, glass, hand, seed = (
        paint(rng, light=(0.05, 0.4)),
        paint(rng, light=(0.05, 0.3)),
        skin(rng),
        int(rng.integers(1 << 30)),
    )
    bright, power = (
        paint(rng, colorful=(0.0, 0.1), light=(0.98, 1.0), contrast=(0.0, 0.05)),
        float(rng.uniform(0.0, 0.7)),
    )

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

    click = Hits(
        beat.times_s,
        beat.gains,
        materials.body(rng, "tick"),
        (*materials.contact(rng, "plastic"), Burst(900.0, 5000.0, 0.01, 0.4)),
    )
    back = Hits(
        beat.times_s + float(rng.uniform(0.05, 0.11)),
        0.6 * beat.gains,
        materials.body(rng, "plastic"),
        materials.contact(rng, "plastic"),
    )
    return Script(
        label="camera_shutter", events=events_at(beat, "camera_shutter", 0.22, -0.2), draw=draw, voices=(click, back), level_db=-12.0,
        light=light, focus=((-0.3, -0.25), (0.35, 0.2)), size=(0.35, 1.3), tilt=0.2,
    )  # fmt: skip
