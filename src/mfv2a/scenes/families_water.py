"""Water that fills the picture: rain, sea, streams, waterfalls; the sound follows what is seen to move."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

from mfv2a.scenes.parts import paint, stone, whole
from mfv2a.scenes.script import Grains, Noise, Script, Voice
from mfv2a.scenes.shapes import Drawing, Floats, Paint, Shape, box, capsule, ellipse
from mfv2a.scenes.slow import Swell, control_times, loudness
from mfv2a.scenes.textures import INDEX, texture


def rain(rng: Generator, duration_s: float) -> Script:
    """Streaks of rain before a backdrop, splashes below."""
    swell, heavy = Swell(rng, duration_s, low=0.25), float(rng.random())
    count = int(40 * (150 / 40) ** heavy)
    drop = paint(rng, colorful=(0.0, 0.15), light=(0.7, 1.0), contrast=(0.0, 0.1)).but(shade=0.0)
    streaks, splashes = _streaks(rng, count), _splashes(rng, count // 3 + 3)

    def draw(t: Floats) -> list[Shape]:
        level = swell.at(t)[:, None]
        x, y, x2, y2, wide, rank = streaks(t)
        lines = capsule(x, y, x2, y2, wide, wide, drop.but(alpha=np.where(rank < level, 0.75, 0.0)), placed=False)
        x, y, age, rank = splashes(t)
        fading = drop.but(alpha=np.where(rank < level, 0.7 * (1 - age), 0.0))
        return [lines, ellipse(x, y, 0.004 + 0.02 * age, 0.002 + 0.008 * age, fading, placed=False)]

    level = swell.at(control_times(duration_s))
    low, high = float(rng.uniform(400, 1200)), float(rng.uniform(5500, 9000))
    hiss = Noise(0.05 * level * (0.3 + heavy), low, high, 2.0, 0.15, 6.0)
    rate = level * (60 + 500 * heavy)
    tin = rng.random() < 0.4
    patter = Grains(rate, 0.1, 700, 4500, 0.012, 0.3) if tin else Grains(rate, 0.1, 1200, 6500, 0.004, 0.8)
    return Script(
        label="rain", draw=draw, voices=(hiss, patter), level_db=-34 + 12 * heavy, intensity=loudness(level),
        full_picture=True, parts=2, restless=0.5,
    )  # fmt: skip


def _streaks(rng: Generator, count: int) -> Callable[[Floats], tuple[Floats, Floats, Floats, Floats, float, Floats]]:
    """Falling lines: a function of t [K] giving x, y, x2, y2 [K, n], half width and rank [1, n]."""
    speed, slant, length = float(rng.uniform(1.6, 4.0)), float(rng.normal(0, 0.2)), float(rng.uniform(0.03, 0.12))
    x0, y0 = rng.uniform(-0.4, 2.3, (1, count)), rng.random((1, count))
    pace, rank, wide = rng.uniform(0.7, 1.3, (1, count)), np.linspace(0, 1, count)[None, :], rng.uniform(0.003, 0.007)

    def at(t: Floats) -> tuple[Floats, Floats, Floats, Floats, float, Floats]:
        fall = y0 * 1.4 + speed * pace * t[:, None]
        y = fall % 1.4 - 0.2
        x = (x0 + slant * y + 0.37 * np.floor(fall / 1.4) + 0.4) % 2.7 - 0.4
        return x, y, x + slant * length, y + length * pace, float(wide), rank

    return at


def _splashes(rng: Generator, count: int) -> Callable[[Floats], tuple[Floats, Floats, Floats, Floats]]:
    """Drops that burst on the ground: a function of t [K] giving x, y, age 0..1 [K, n] and rank [1, n]."""
    x0, phase = rng.uniform(-0.1, 1.9, (1, count)), rng.uniform(0.0, 1.0, (1, count))
    y, rate = rng.uniform(float(rng.uniform(0.6, 0.95)), 1.05, (1, count)), rng.uniform(2.0, 6.0, (1, count))

    def at(t: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        turns = rate * t[:, None] + phase
        x = (x0 + 0.61 * np.floor(turns)) % 2.0 - 0.1
        return x, y, turns % 1.0, np.linspace(0, 1, count)[None, :]

    return at


def sea(rng: Generator, duration_s: float) -> Script:
    """Waves roll to the shore and break."""
    period, phase = float(rng.uniform(2.2, 6.0)), float(rng.uniform(0, 6.0))
    sky = paint(rng, hue=(0.5, 0.65), textures=("clouds",), contrast=(0.05, 0.4), scale=(0.2, 0.6))

    def wave(t: Floats) -> Floats:
        return ((t + phase) / period) % 1.0

    def breaking(u: Floats) -> Floats:
        return np.asarray(np.where(u < 0.35, (u / 0.35) ** 2, np.exp(-(u - 0.35) / 0.25)))

    rollers = _rollers(rng)

    def draw(t: Floats) -> list[Shape]:
        return rollers(t, wave(t), breaking(wave(t)))

    def still(t: Floats) -> list[Shape]:
        return [whole(sky)]

    t = control_times(duration_s)
    crash = breaking(wave(t))
    voices = (
        Noise(0.10 * (0.12 + crash), 120.0, float(rng.uniform(2500, 6000)), 3.5, 0.15, 3.0),
        Noise(0.05 * crash**2, 1200.0, 8500.0, 1.0, 0.2, 8.0),
        Noise(0.03 * np.ones(len(t)), 60.0, 500.0, 3.0, 0.3, 0.7),
    )
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


def _rollers(rng: Generator) -> Callable[[Floats, Floats, Floats], list[Shape]]:
    """Sea, swell, sand and the breaking front: a function of t, the wave's phase and its strength, each [K]."""
    water = paint(
        rng, hue=(0.45, 0.65), colorful=(0.1, 0.6), textures=("ripples",), contrast=(0.3, 0.8), scale=(0.5, 1.5)
    )
    sand = paint(rng, hue=(0.08, 0.14), textures=("grit", "skin"))
    foam = paint(rng, colorful=(0.0, 0.08), light=(0.85, 1.0), textures=("foam", "grit"), contrast=(0.1, 0.4))
    horizon, shore, reach = float(rng.uniform(0.1, 0.45)), float(rng.uniform(0.7, 1.05)), float(rng.uniform(0.08, 0.25))
    flow, tilt = float(rng.uniform(0.03, 0.12)), float(rng.normal(0, 0.06))

    def band(y: Floats, half: Floats | float, look: Paint) -> Shape:
        return box(0.9, y, 2.6, half, look, angle=tilt, placed=False)

    def draw(t: Floats, wave: Floats, strength: Floats) -> list[Shape]:
        shapes = [whole(water.but(v=-flow * t, warp=0.02, phase=0.25 * t), y=horizon + 1.5)]
        for k in range(3):
            u = (wave + k / 3.0) % 1.0
            half = 2 * (0.006 + 0.03 * u**2 * (shore - horizon))
            dark = water.lit(0.6).but(alpha=0.8 * u, soft=0.01)
            shapes.append(band(horizon + (shore - horizon) * u**1.6, half, dark))
        front = shore - reach + reach * np.sin(np.pi * np.minimum(1.0, wave * 1.25)) ** 0.8
        crest = foam.but(cut=0.62 - 0.4 * strength, alpha=0.95, rough=0.03, u=0.05 * np.sin(t), v=1.2 * front)
        wash = band(front - 0.15, 0.15, water.but(alpha=0.75, v=-2 * flow * t))
        return [*shapes, whole(sand, y=shore + 1.5), wash, band(front - 0.03, 0.035 + 0.05 * strength, crest)]

    return draw


def running_water(rng: Generator, duration_s: float) -> Script:
    """A stream over stones or a waterfall."""
    steep = bool(rng.random() < 0.5)
    swell = Swell(rng, duration_s, low=0.6)
    draw = _waterfall(rng, swell) if steep else _stream(rng, swell)
    level = swell.at(control_times(duration_s))
    if steep:
        roar = Noise(0.1 * level, float(rng.uniform(150, 400)), float(rng.uniform(4000, 8500)), 2.0, 0.06, 5.0)
        voices: tuple[Voice, ...] = (roar,)
    else:
        bubbles = Grains(level * float(rng.uniform(40, 160)), 0.05, 350.0, 2200.0, 0.018, 0.05)
        voices = (Noise(0.03 * level, 350.0, float(rng.uniform(2500, 6000)), 2.0, 0.25, 7.0), bubbles)
    return Script(
        label="waterfall" if steep else "stream", draw=draw, voices=voices, level_db=-20.0 if steep else -27.0,
        intensity=loudness(level), full_picture=True, parts=1, restless=0.6,
        backdrop=texture("foliage", "pebbles", "grass", "bark", "haze"),
    )  # fmt: skip


def _waterfall(rng: Generator, swell: Swell) -> Drawing:
    """Falling sheets and mist below."""
    water = paint(
        rng,
        hue=(0.48, 0.62),
        colorful=(0.0, 0.4),
        light=(0.4, 1.0),
        textures=("streaks", "flames"),
        contrast=(0.3, 0.9),
    )
    glint = paint(rng, colorful=(0.0, 0.1), light=(0.85, 1.0), textures=("streaks",), contrast=(0.1, 0.3))
    speed, half, x = float(rng.uniform(0.5, 1.6)), float(rng.uniform(0.25, 0.6)), float(rng.uniform(0.4, 1.2))
    angle = float(rng.normal(0, 0.05))

    def draw(t: Floats) -> list[Shape]:
        way = speed * swell.way(t)
        sheet = water.but(v=-way * np.asarray(water.scale))
        veil = glint.but(v=-1.35 * way * np.asarray(glint.scale), cut=0.55, alpha=0.8)
        mist = glint.but(texture=INDEX["clouds"], v=-0.3 * way, u=0.1 * way, cut=0.35, alpha=0.6, scale=1.5, soft=0.08)
        layers = [box(x, 0.4, half, 0.9, look, placed=False, angle=angle) for look in (sheet, veil)]
        return [*layers, ellipse(x, 0.98, 1.5 * half, 0.18, mist, placed=False)]

    return draw


def _stream(rng: Generator, swell: Swell) -> Drawing:
    """Water that flows along a bed between stones."""
    water = paint(
        rng, hue=(0.48, 0.62), colorful=(0.0, 0.4), light=(0.4, 1.0), textures=("ripples", "streaks", "haze"),
        contrast=(0.3, 0.9), scale=(0.6, 2.0),
    )  # fmt: skip
    glint = paint(rng, colorful=(0.0, 0.1), light=(0.85, 1.0), textures=("ripples", "foam"), contrast=(0.1, 0.3))
    speed, side, angle = float(rng.uniform(0.12, 0.6)), float(rng.choice([-1, 1])), float(rng.normal(0, 0.15))
    half, middle, rocks = float(rng.uniform(0.25, 0.6)), float(rng.uniform(0.45, 0.75)), stone(rng)
    rx, ry = rng.uniform(0.0, 1.8, (1, 7)), middle + rng.uniform(-0.9, 0.9, (1, 7)) * half
    size = rng.uniform(0.02, 0.12, (1, 7))

    def draw(t: Floats) -> list[Shape]:
        way = speed * swell.way(t)
        sheet = water.but(u=-side * way * np.asarray(water.scale), warp=0.02, phase=0.6 * way, rough=0.04)
        veil = glint.but(u=-side * 1.4 * way * np.asarray(glint.scale), warp=0.03, phase=-0.8 * way, cut=0.6, alpha=0.7)
        layers = [box(0.9, middle, 2.6, half, look, angle=angle, placed=False) for look in (sheet, veil)]
        return [*layers, ellipse(rx, ry, 1.4 * size, size, rocks, placed=False)]

    return draw
