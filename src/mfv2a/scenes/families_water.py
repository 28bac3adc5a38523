"""Water that fills the picture: rain, sea, streams, waterfalls; the sound follows what is seen to move."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from mfv2a.scenes.parts import (
    paint,
    stone,
    whole,
)
from mfv2a.scenes.script import Grains, Noise, Script
from mfv2a.scenes.shapes import Floats, Shape, box, capsule, ellipse
from mfv2a.scenes.slow import Swell, control_times, loudness
from mfv2a.scenes.textures import INDEX, texture


def rain(rng: Generator, duration_s: float) -> Script:
    """Streaks of rain before a backdrop, splashes below."""
    swell, n = Swell(rng, duration_s, low=0.25), int(np.exp(rng.uniform(np.log(40), np.log(150))))
    heavy = (np.log(n) - np.log(40)) / (np.log(150) - np.log(40))
    speed, slant, length = float(rng.uniform(1.6, 4.0)), float(rng.normal(0, 0.2)), float(rng.uniform(0.03, 0.12))
    drop = paint(rng, colorful=(0.0, 0.15), light=(0.7, 1.0), contrast=(0.0, 0.1)).but(shade=0.0)
    x0, y0, pace, rank = (
        rng.uniform(-0.4, 2.3, (1, n)),
        rng.random((1, n)),
        rng.uniform(0.7, 1.3, (1, n)),
        np.linspace(0, 1, n)[None, :],
    )
    floor_y, splash_n, wide = float(rng.uniform(0.6, 0.95)), n // 3 + 3, float(rng.uniform(0.003, 0.007))
    sx, sy, sp = (
        rng.uniform(-0.1, 1.9, (1, splash_n)),
        rng.uniform(floor_y, 1.05, (1, splash_n)),
        rng.uniform(2.0, 6.0, (1, splash_n)),
    )

    def draw(t: Floats) -> list[Shape]:
        level = swell.at(t)[:, None]
        tt = t[:, None]
        fall = y0 * 1.4 + speed * pace * tt
        y = fall % 1.4 - 0.2
        x = x0 + slant * y + 0.37 * np.floor(fall / 1.4)
        x = (x + 0.4) % 2.7 - 0.4
        alpha = np.where(rank < level, 0.75, 0.0)
        streaks = capsule(x, y, x + slant * length, y + length * pace, wide, wide, drop.but(alpha=alpha), placed=False)
        beat = sp * tt + 7.0 * x0[:, :1] + np.arange(splash_n)[None, :] * 0.37
        age = beat % 1.0
        hop = np.floor(beat)
        px = (sx + 0.61 * hop) % 2.0 - 0.1
        on = np.where(np.linspace(0, 1, splash_n)[None, :] < level, 0.7 * (1 - age), 0.0)
        rings = ellipse(px, sy, 0.004 + 0.02 * age, 0.002 + 0.008 * age, drop.but(alpha=on), placed=False)
        return [streaks, rings]

    level = swell.at(control_times(duration_s))
    tin = rng.random() < 0.4
    patter = Grains(
        level * (60 + 500 * heavy),
        0.10,
        700 if tin else 1200,
        6500 if not tin else 4500,
        0.012 if tin else 0.004,
        0.3 if tin else 0.8,
    )
    hiss = Noise(
        0.05 * level * (0.3 + heavy), float(rng.uniform(400, 1200)), float(rng.uniform(5500, 9000)), 2.0, 0.15, 6.0
    )
    return Script(
        label="rain", draw=draw, intensity=loudness(level), voices=(hiss, patter), level_db=float(-34 + 12 * heavy), full_picture=True, parts=2, restless=0.5,
    )  # fmt: skip


def sea(rng: Generator, duration_s: float) -> Script:
    """Waves roll to the shore and break."""
    period, horizon = float(rng.uniform(2.2, 6.0)), float(rng.uniform(0.1, 0.45))
    phase = float(rng.uniform(0, period))
    water = paint(
        rng, hue=(0.45, 0.65), colorful=(0.1, 0.6), textures=("ripples",), contrast=(0.3, 0.8), scale=(0.5, 1.5)
    )
    foam = paint(
        rng, colorful=(0.0, 0.08), light=(0.85, 1.0), textures=("foam", "grit"), contrast=(0.1, 0.4), scale=(1.0, 3.0)
    )
    sand, sky = (
        paint(rng, hue=(0.08, 0.14), textures=("grit", "skin")),
        paint(rng, hue=(0.5, 0.65), textures=("clouds",), contrast=(0.05, 0.4), scale=(0.2, 0.6)),
    )
    shore, reach = float(rng.uniform(0.7, 1.05)), float(rng.uniform(0.08, 0.25))
    flow = float(rng.uniform(0.03, 0.12))
    tilt = float(rng.normal(0, 0.06))

    def breaking(t: Floats) -> Floats:
        u = ((t + phase) / period) % 1.0
        return np.asarray(np.where(u < 0.35, (u / 0.35) ** 2, np.exp(-(u - 0.35) / 0.25)))

    def draw(t: Floats) -> list[Shape]:
        shapes = [whole(water.but(v=-flow * t, warp=0.02, phase=0.25 * t), y=horizon + 1.5)]
        for k in range(3):
            u = ((t + phase) / period + k / 3.0) % 1.0
            y = horizon + (shore - horizon) * u**1.6
            thick = 0.006 + 0.03 * u**2 * (shore - horizon)
            shapes.append(
                box(0.9, y, 2.6, thick * 2, water.lit(0.6).but(alpha=0.8 * u, soft=0.01), angle=tilt, placed=False)
            )
        u = ((t + phase) / period) % 1.0
        front = shore - reach + reach * np.sin(np.pi * np.minimum(1.0, u * 1.25)) ** 0.8
        strength = breaking(t)
        shapes.append(whole(sand, y=shore + 1.5))
        shapes.append(
            box(0.9, front - 0.15, 2.6, 0.15, water.but(alpha=0.75, v=-2 * flow * t), angle=tilt, placed=False)
        )
        crest = foam.but(cut=0.62 - 0.4 * strength, alpha=0.95, rough=0.03, u=0.05 * np.sin(t), v=1.2 * front)
        shapes.append(box(0.9, front - 0.03, 2.6, 0.035 + 0.05 * strength, crest, angle=tilt, placed=False))
        return shapes

    t = control_times(duration_s)
    crash = breaking(t)
    voices = (
        Noise(0.10 * (0.12 + crash), 120.0, float(rng.uniform(2500, 6000)), 3.5, 0.15, 3.0),
        Noise(0.05 * crash**2, 1200.0, 8500.0, 1.0, 0.2, 8.0), Noise(0.03 * np.ones(len(t)), 60.0, 500.0, 3.0, 0.3, 0.7),
    )  # fmt: skip

    def still(t: Floats) -> list[Shape]:
        return [whole(sky)]

    return Script(
        label="sea_waves",
        draw=draw,
        still=still,
        voices=voices,
        level_db=-23.0,
        full_picture=True,
        parts=1,
        restless=0.5,
    )


def running_water(rng: Generator, duration_s: float) -> Script:
    """A stream over stones or a waterfall."""
    label = str(rng.choice(["stream", "waterfall"]))
    swell = Swell(rng, duration_s, low=0.6)
    steep = label == "waterfall"
    names = ("streaks", "flames") if steep else ("ripples", "streaks", "haze")
    water = paint(
        rng,
        hue=(0.48, 0.62),
        colorful=(0.0, 0.4),
        light=(0.4, 1.0),
        textures=names,
        contrast=(0.3, 0.9),
        scale=(0.6, 2.0),
    )
    glint = paint(
        rng,
        colorful=(0.0, 0.1),
        light=(0.85, 1.0),
        textures=("ripples", "foam") if not steep else ("streaks",),
        contrast=(0.1, 0.3),
        scale=(0.8, 2.5),
    )
    speed, side, angle = (
        float(rng.uniform(0.5, 1.6) if steep else rng.uniform(0.12, 0.6)),
        float(rng.choice([-1, 1])),
        float(rng.normal(0, 0.15)),
    )
    half, middle, x = float(rng.uniform(0.25, 0.6)), float(rng.uniform(0.45, 0.75)), float(rng.uniform(0.4, 1.2))
    rocks = stone(rng)
    rx, ry, rs = (
        rng.uniform(0.0, 1.8, (1, 7)),
        middle + rng.uniform(-0.9, 0.9, (1, 7)) * half,
        rng.uniform(0.02, 0.12, (1, 7)),
    )

    def draw(t: Floats) -> list[Shape]:
        way = speed * swell.way(t)
        if steep:
            sheet = water.but(v=-way * np.asarray(water.scale))
            veil = glint.but(v=-1.35 * way * np.asarray(glint.scale), cut=0.55, alpha=0.8)
            mist = glint.but(texture=INDEX["clouds"], v=-0.3 * way, u=0.1 * way, cut=0.35, alpha=0.6, scale=1.5)
            return [
                box(x, 0.4, half, 0.9, sheet, placed=False, angle=0.3 * angle), box(x, 0.4, half, 0.9, veil, placed=False, angle=0.3 * angle),
                ellipse(x, 0.98, 1.5 * half, 0.18, mist.but(soft=0.08), placed=False),
            ]  # fmt: skip
        sheet = water.but(u=-side * way * np.asarray(water.scale), warp=0.02, phase=0.6 * way)
        veil = glint.but(u=-side * 1.4 * way * np.asarray(glint.scale), warp=0.03, phase=-0.8 * way, cut=0.6, alpha=0.7)
        ribbon = {"angle": angle, "placed": False}
        return [
            box(0.9, middle, 2.6, half, sheet.but(rough=0.04), **ribbon), box(0.9, middle, 2.6, half, veil, **ribbon),  # type: ignore[arg-type]
            ellipse(rx, ry, 1.4 * rs, rs, rocks, placed=False),
        ]  # fmt: skip

    level = swell.at(control_times(duration_s))
    if steep:
        voices: tuple[Noise | Grains, ...] = (
            Noise(0.1 * level, float(rng.uniform(150, 400)), float(rng.uniform(4000, 8500)), 2.0, 0.06, 5.0),
        )
    else:
        bubbles = Grains(level * float(rng.uniform(40, 160)), 0.05, 350.0, 2200.0, 0.018, 0.05)
        voices = (Noise(0.03 * level, 350.0, float(rng.uniform(2500, 6000)), 2.0, 0.25, 7.0), bubbles)
    return Script(
        label=label, draw=draw, intensity=loudness(level), voices=voices, level_db=-20.0 if steep else -27.0, full_picture=True, parts=1, restless=0.6,
        backdrop=texture("foliage", "pebbles", "grass", "bark", "haze"),
    )  # fmt: skip
