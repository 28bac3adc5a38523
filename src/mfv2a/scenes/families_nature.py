"""Fire, wind and calm; the sound follows what is seen to move."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from mfv2a.scenes.curves import (
    rhythm,
)
from mfv2a.scenes.parts import (
    fixed,
    flying_bits,
    paint,
    whole,
    wood,
)
from mfv2a.scenes.script import Burst, Grains, Hits, Noise, Script
from mfv2a.scenes.shapes import Floats, Shape, capsule, ellipse
from mfv2a.scenes.slow import Swell, control_times, loudness, wobble
from mfv2a.scenes.textures import texture


def fire(rng: Generator, duration_s: float) -> Script:
    """Flames flicker over logs; sparks fly when a log cracks."""
    beat = rhythm(rng, duration_s, fastest_s=0.15, slowest_s=2.0, kinds=("irregular", "bursts", "single"))
    swell, n, seed = Swell(rng, duration_s, low=0.5, quick=0.8), int(rng.integers(5, 11)), int(rng.integers(1 << 30))
    flame = paint(
        rng,
        hue=(0.03, 0.13),
        colorful=(0.6, 1.0),
        light=(0.8, 1.0),
        textures=("flames", "haze"),
        contrast=(0.2, 0.5),
        scale=(0.8, 2.0),
    ).but(shade=-0.5)
    spark, log = paint(rng, hue=(0.08, 0.15), light=(0.95, 1.0), contrast=(0.0, 0.1)), wood(rng).lit(0.6)
    x, tall, rate = rng.normal(0, 0.16, (1, n)), rng.uniform(0.15, 0.5, (1, n)), rng.uniform(1.5, 4.0, (1, n))
    turn, wide = rng.uniform(0, 6, (1, n)), float(rng.uniform(0.06, 0.12))

    def draw(t: Floats) -> list[Shape]:
        level, tt = swell.at(t)[:, None], t[:, None]
        lick = (
            0.75 + 0.25 * np.sin(2 * np.pi * rate * tt + turn) + 0.15 * np.sin(2 * np.pi * 2.7 * rate * tt + 2 * turn)
        )
        high = tall * lick * (0.5 + 0.6 * level)
        sway = 0.05 * np.sin(2 * np.pi * 0.8 * rate * tt + 3 * turn)
        rising = flame.but(v=1.2 * t, u=0.1 * np.sin(t), rough=0.04, alpha=0.75)
        tongues = capsule(x, 0.0, 0.6 * x + sway, -high, wide, 0.12 * wide, rising)
        inner = capsule(
            0.7 * x, 0.02, 0.4 * x + sway, -0.55 * high, 0.6 * wide, 0.1 * wide, rising.lit(1.6).but(alpha=0.7)
        )
        pops = flying_bits(
            fixed(seed),
            t,
            beat.times_s,
            (np.zeros(1), np.full(1, -0.05)),
            spark,
            count=12,
            speed=1.0,
            life_s=0.7,
            size=0.008,
            fall=-0.3,
        )
        return [tongues, inner, pops]

    def still(t: Floats) -> list[Shape]:
        return [
            capsule(-0.3, 0.06, 0.28, 0.0, 0.05, 0.05, log),
            capsule(-0.26, -0.02, 0.3, 0.07, 0.05, 0.04, log.lit(0.8)),
        ]

    def light(t: Floats) -> Floats:
        return 0.92 + 0.12 * swell.at(t) * (1 + 0.4 * np.sin(2 * np.pi * 5.3 * t + 1.7 * np.sin(3.1 * t)))

    level = swell.at(control_times(duration_s))
    crack = (Burst(800.0, 8500.0, float(rng.uniform(0.004, 0.015)), 1.0),)
    voices = (
        Noise(0.035 * level, 60.0, float(rng.uniform(400, 1200)), 3.0, 0.35, 5.0), Noise(0.006 * level, 1500.0, 8000.0, 1.0, 0.3, 9.0),
        Grains(level * float(rng.uniform(8, 45)), 0.08, 1200.0, 7500.0, 0.002, 0.95), Hits(beat.times_s, 0.45 * beat.gains, None, crack, spread=0.6),
    )  # fmt: skip
    return Script(
        label="fire", draw=draw, still=still, voices=voices, level_db=-26.0,
        focus=((-0.3, -0.4), (0.3, 0.1)), size=(0.5, 1.7), light=light, tilt=0.05, parts=1,
    )  # fmt: skip


def wind(rng: Generator, duration_s: float) -> Script:
    """Branches, leaves and grass bend in gusts."""
    swell, n = Swell(rng, duration_s, low=0.1, quick=0.5), int(rng.integers(12, 36))
    stem, leaf = (
        wood(rng).lit(0.6),
        paint(
            rng,
            hue=(0.15, 0.4),
            colorful=(0.3, 0.8),
            textures=("foliage", "grass", "haze"),
            contrast=(0.3, 0.9),
            scale=(1.0, 4.0),
        ),
    )
    grassy = rng.random() < 0.4
    x, turn = rng.uniform(-0.7, 0.7, (1, n)), rng.uniform(0, 6, (1, n))
    y = rng.uniform(0.05, 0.5, (1, n)) if grassy else rng.uniform(-0.5, 0.2, (1, n))
    size, rate = rng.uniform(0.08, 0.2, (1, n)), rng.uniform(0.5, 1.6, (1, n))
    power, side = float(rng.uniform(0.05, 0.16)), float(rng.choice([-1, 1]))

    def bend(t: Floats) -> Floats:
        level, tt = swell.at(t)[:, None], t[:, None]
        return np.asarray(
            side
            * power
            * level
            * (1.0 + 0.9 * np.sin(2 * np.pi * rate * tt + turn) + 0.3 * np.sin(2 * np.pi * 3.1 * rate * tt))
        )

    def draw(t: Floats) -> list[Shape]:
        b = bend(t)
        tones = leaf.but(rough=0.05)
        if grassy:
            blades = capsule(x, y + 0.3, x + 2.2 * b, y + 0.3 - 2.4 * size, 0.02, 0.004, tones.but(rough=0.0))
            return [
                blades,
                capsule(
                    x + 0.05,
                    y + 0.32,
                    x + 0.05 + 1.8 * b,
                    y + 0.32 - 2.0 * size,
                    0.018,
                    0.004,
                    tones.lit(0.7).but(rough=0.0),
                ),
            ]
        trunk = capsule(0.0, 0.9, 0.5 * b[:, :1], -0.2, 0.06, 0.03, stem)
        crown = ellipse(x + b * (1.2 - y), y + 0.2 * np.abs(b), size, 0.8 * size, tones, angle=2.0 * b)
        dark = ellipse(x * 0.8 + 0.7 * b * (1.2 - y), y + 0.06, size, 0.8 * size, tones.lit(0.6), angle=1.5 * b)
        return [dark, trunk, crown]

    level = swell.at(control_times(duration_s))
    howl = float(rng.uniform(250, 700))
    voices = (
        Noise(0.07 * level**1.5, 80.0, howl * 1.6, 3.0, 0.25, 2.0), Noise(0.03 * level**2, float(rng.uniform(1200, 2500)), float(rng.uniform(5000, 8500)), 1.5, 0.3, 6.0),
        Noise(0.012 * level**1.5, howl, howl * 1.5, 0.0, 0.4, 1.5),
    )  # fmt: skip
    return Script(
        label="wind", draw=draw, intensity=loudness(level**1.5), voices=voices, level_db=-23.0, focus=((-0.5, -0.4), (0.5, 0.5)), size=(0.6, 1.6), parts=1,
        backdrop=texture("clouds", "haze", "foliage", "grass"), tilt=0.05, bystanders=False,
    )  # fmt: skip


def calm(rng: Generator, duration_s: float) -> Script:
    """Nothing happens: a still or drifting picture, slow swaying, clouds; room tone or soft air."""
    outside = bool(rng.random() < 0.45)
    label = "calm_outdoors" if outside else "quiet_room"
    kind = str(rng.choice(["still", "clouds", "sway", "drift"] if outside else ["still", "still", "sway", "drift"]))
    cloud = paint(
        rng, colorful=(0.0, 0.15), light=(0.5, 1.0), textures=("clouds", "haze"), contrast=(0.1, 0.5), scale=(0.2, 0.6)
    )
    pace, things = float(rng.uniform(0.003, 0.02)), [paint(rng) for _ in range(int(rng.integers(0, 5)))]
    spots, sizes, slow = (
        rng.uniform(0.0, 1.0, (5, 2)),
        rng.uniform(0.05, 0.25, (5, 2)),
        [wobble(rng, fastest_hz=0.25) for _ in range(5)],
    )
    amount = {"still": 0.0, "clouds": 0.0, "sway": 0.035, "drift": 0.012}[kind]

    def draw(t: Floats) -> list[Shape]:
        shapes: list[Shape] = []
        if kind == "clouds":
            shapes.append(whole(cloud.but(u=pace * t, cut=0.3, alpha=0.9), y=0.1, half=0.45))
        for look, (x, y), (a, b), w in zip(things, spots, sizes, slow, strict=False):
            shift = amount * w.at(t)
            shapes.append(
                ellipse(1.6 * x + shift, 0.3 + 0.8 * y + 0.3 * shift, a, b, look, angle=2.0 * shift, placed=False)
            )
        return shapes

    ones = np.ones(len(control_times(duration_s)))
    if outside:
        voices = (
            Noise(ones, 90.0, float(rng.uniform(400, 1500)), 3.0, 0.15, 0.4),
            Noise(0.15 * ones, 500.0, 4000.0, 3.0, 0.1, 1.0),
        )
    else:
        voices = (
            Noise(ones, 60.0, float(rng.uniform(250, 900)), 4.0, 0.05, 0.3),
            Noise(0.1 * ones, 300.0, 6000.0, 3.0),
        )
    return Script(
        label=label, draw=draw, voices=voices, level_db=float(rng.uniform(-64.0, -50.0)), full_picture=True, parts=1,
        restless=0.7,
    )  # fmt: skip
