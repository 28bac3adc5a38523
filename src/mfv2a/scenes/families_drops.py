"""Things that fall: drops of water, glasses, boxes."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from mfv2a.scenes import materials
from mfv2a.scenes.curves import (
    events_at,
    rhythm,
    since_last,
)
from mfv2a.scenes.parts import (
    fixed,
    flying_bits,
    metal,
    paint,
    table,
)
from mfv2a.scenes.script import Burst, Grains, Hits, Modes, Noise, Script
from mfv2a.scenes.shapes import Floats, Shape, box, capsule, ellipse
from mfv2a.scenes.slow import control_times


def drips(rng: Generator, duration_s: float) -> Script:
    """Drops fall from a tap into water and rings spread."""
    beat = rhythm(rng, duration_s, fastest_s=0.18, slowest_s=1.5)
    drop, water, tap = (
        paint(rng, colorful=(0.0, 0.3), light=(0.6, 1.0), contrast=(0.0, 0.2)),
        paint(rng, hue=(0.5, 0.65), textures=("ripples", "haze")),
        metal(rng),
    )
    high, gravity, flat = float(rng.uniform(0.35, 0.8)), float(rng.uniform(4.0, 8.0)), float(rng.uniform(0.25, 0.6))
    fall_s, size, seed = np.sqrt(2 * high / gravity), float(rng.uniform(0.025, 0.055)), int(rng.integers(1 << 30))

    def draw(t: Floats) -> list[Shape]:
        age, index = since_last(t, beat.times_s)
        nxt = np.searchsorted(beat.times_s, t, side="right")
        wait = (
            np.where(nxt < len(beat), beat.times_s[np.minimum(nxt, max(0, len(beat) - 1))] - t, 99.0)
            if len(beat)
            else np.full(len(t), 99.0)
        )
        fallen = 0.5 * gravity * np.clip(fall_s - wait, 0.0, None) ** 2
        hang = np.clip(1.0 - (wait - fall_s) / 0.25, 0.0, 1.0)
        y = -high + fallen
        speed = gravity * np.clip(fall_s - wait, 0.0, None)
        shapes = []
        for k, lag in enumerate((0.0, 0.12)):
            late = np.minimum(np.maximum(age - lag, 0.0), 9.0)
            ring = 0.02 + 0.28 * (1 - np.exp(-late / 0.5))
            on = np.where(age > lag, 0.7 * np.exp(-late / 0.35), 0.0)
            shapes.append(
                ellipse(0.0, 0.0, ring, flat * ring, water.lit(1.7 if k == 0 else 0.6).but(alpha=on, soft=0.01))
            )
            shapes.append(ellipse(0.0, 0.0, 0.8 * ring, 0.8 * flat * ring, water.but(alpha=on, soft=0.01)))
        shapes.append(
            capsule(
                0.0,
                y - size * (1 + 0.15 * speed),
                0.0,
                y - size,
                0.5 * size * hang,
                size * hang,
                drop.but(alpha=(hang > 0) * 1.0),
            )
        )
        shapes.append(
            flying_bits(
                fixed(seed),
                t,
                beat.times_s,
                (np.zeros(1), np.zeros(1)),
                drop,
                count=7,
                speed=0.8,
                life_s=0.3,
                size=0.4 * size,
                fall=5.0,
            )
        )
        return shapes

    def still(t: Floats) -> list[Shape]:
        return [
            table(fixed(seed), -0.15, water),
            capsule(-0.5, -high - 0.12, 0.0, -high - 0.12, 0.05, 0.05, tap),
            capsule(0, -high - 0.12, 0, -high - 0.04, 0.05, 0.04, tap),
        ]

    t = control_times(duration_s)
    plink = Modes(
        np.exp(rng.uniform(np.log(600), np.log(2600), 3)),
        np.array([0.05, 0.03, 0.02]) * float(rng.uniform(0.6, 1.6)),
        np.array([1.0, 0.5, 0.3]),
    )
    voices = (
        Hits(beat.times_s, beat.gains, plink, (Burst(1500.0, 8000.0, 0.004, 0.5),), spread=0.6),
        Noise(np.full(len(t), 0.002), 200.0, 3000.0),
    )
    return Script(
        label="dripping", events=events_at(beat, "dripping"), draw=draw, still=still, voices=voices, level_db=-10.0,
        focus=((0.0, -high), (0.0, 0.1)), size=(0.6, 1.6), tilt=0.05,
    )  # fmt: skip


def falls(rng: Generator, duration_s: float) -> Script:
    """Something falls: glass shatters, a box thuds."""
    label = str(rng.choice(["glass_break", "thud"]))
    beat = rhythm(rng, duration_s, fastest_s=1.1, slowest_s=3.0, lead_s=0.6, kinds=("single", "irregular", "regular"))
    gravity, high, seed, n = (
        float(rng.uniform(4, 9)),
        float(rng.uniform(0.6, 1.1)),
        int(rng.integers(1 << 30)),
        len(beat),
    )
    glass = (
        paint(rng, colorful=(0.0, 0.3), light=(0.6, 1.0), contrast=(0.0, 0.3)).but(alpha=0.85)
        if label == "glass_break"
        else paint(rng)
    )
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
        falling = box(
            x[k],
            y,
            0.7 * size,
            size,
            glass.but(alpha=shown * np.asarray(glass.alpha)),
            angle=turn[k] * np.minimum(wait, 2.0),
            corner=0.2 * size,
        )
        age, last = since_last(t, beat.times_s)
        if label == "glass_break":
            shards = flying_bits(
                fixed(seed),
                t,
                beat.times_s,
                (x, np.full(max(1, n), -0.02)),
                glass,
                count=22,
                speed=1.6,
                life_s=0.9,
                size=0.022,
                fall=4.0,
            )
            return [falling, shards]
        hop = 0.06 * np.exp(-np.minimum(age, 9) / 0.12) * np.abs(np.sin(2 * np.pi * 4 * np.minimum(age, 9)))
        lying = box(x[last], -0.7 * size - hop, size, 0.7 * size, glass.but(alpha=(age < 100) * 1.0), corner=0.2 * size)
        dust = flying_bits(
            fixed(seed),
            t,
            beat.times_s,
            (x, np.zeros(max(1, n))),
            floor.but(soft=0.02),
            count=8,
            speed=0.6,
            life_s=0.5,
            size=0.03,
            fall=0.0,
        )
        return [lying, falling, dust]

    def still(t: Floats) -> list[Shape]:
        return [table(fixed(seed), 0.0, floor)]

    t = control_times(duration_s)
    if label == "glass_break":
        rate = np.zeros(len(t))
        for hit in beat.times_s:
            rate += np.where(t >= hit, 130.0 * np.exp(-np.maximum(t - hit, 0) / 0.18), 0.0)
        voices = (
            Hits(beat.times_s, beat.gains, materials.body(rng, "glass"), (Burst(1800.0, 10000.0, 0.04, 1.2),)),
            Grains(rate, 0.16, 2500.0, 7500.0, 0.02, 0.2),
        )
    else:
        thump = (Burst(50.0, float(rng.uniform(300, 900)), float(rng.uniform(0.03, 0.08)), 1.0),)
        voices = (Hits(beat.times_s, beat.gains, materials.body(rng, "floor"), thump),)  # type: ignore[assignment]
    return Script(
        label=label, events=events_at(beat, label, x[:n], 0.0), draw=draw, still=still, voices=voices, level_db=-5.0,
        focus=((-0.35, -0.6), (0.35, 0.0)), size=(0.4, 1.1), tilt=0.05,
    )  # fmt: skip
