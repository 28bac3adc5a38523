"""Water, fire, wind and quiet: scenes that fill the picture; their sound follows what is seen to move."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from mfv2a.scenes.curves import control_times, rhythm, since_last, wobble
from mfv2a.scenes.families_struck import events_at
from mfv2a.scenes.parts import fixed, flying_bits, paint, stone, wood
from mfv2a.scenes.script import Burst, Floats, Grains, Hits, Noise, Paint, Script, Shape, box, capsule, ellipse
from mfv2a.scenes.textures import INDEX, texture

HALF_WIDTH = 1.2
"""Half width, in picture units, of things that must fill any picture."""


class Swell:
    """A slowly changing intensity between `low` and 1, and the way travelled at that speed."""

    def __init__(self, rng: Generator, duration_s: float, *, low: float, quick: float = 0.35) -> None:
        self.low = low if rng.random() < 0.8 else 1.0
        self._wobble = wobble(rng, slowest_hz=0.05, fastest_hz=quick)
        self._grid = control_times(duration_s + 1.0)
        self._way = np.cumsum(self.at(self._grid)) * (self._grid[1] - self._grid[0])

    def at(self, t: Floats) -> Floats:
        """Intensity at t."""
        return np.asarray(self.low + (1.0 - self.low) * (0.5 + 0.5 * np.clip(1.3 * self._wobble.at(t), -1, 1)))

    def way(self, t: Floats) -> Floats:
        """Integral of the intensity from 0 to t."""
        return np.interp(t, self._grid, self._way)


def loudness(level: Floats) -> float:
    """RMS of a level curve."""
    return float(np.sqrt(np.mean(np.asarray(level) ** 2)))


def _whole(look: Paint, *, y: float = 0.5, half: float = 1.5) -> Shape:
    return box(0.9, y, 2.6, half, look, placed=False)


def rain(rng: Generator, duration_s: float) -> Script:
    """Streaks of rain before a backdrop, splashes below."""
    swell, n = Swell(rng, duration_s, low=0.25), int(np.exp(rng.uniform(np.log(40), np.log(150))))
    heavy = (np.log(n) - np.log(40)) / (np.log(150) - np.log(40))
    speed, slant, length = float(rng.uniform(1.6, 4.0)), float(rng.normal(0, 0.2)), float(rng.uniform(0.03, 0.12))
    drop = paint(rng, colorful=(0.0, 0.15), light=(0.7, 1.0), contrast=(0.0, 0.1)).but(shade=0.0)
    x0, y0, pace, rank = rng.uniform(-0.4, 2.3, (1, n)), rng.random((1, n)), rng.uniform(0.7, 1.3, (1, n)), np.linspace(0, 1, n)[None, :]
    floor_y, splash_n, wide = float(rng.uniform(0.6, 0.95)), n // 3 + 3, float(rng.uniform(0.003, 0.007))
    sx, sy, sp = rng.uniform(-0.1, 1.9, (1, splash_n)), rng.uniform(floor_y, 1.05, (1, splash_n)), rng.uniform(2.0, 6.0, (1, splash_n))

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
    patter = Grains(level * (60 + 500 * heavy), 0.10, 700 if tin else 1200, 6500 if not tin else 4500, 0.012 if tin else 0.004, 0.3 if tin else 0.8)
    hiss = Noise(0.05 * level * (0.3 + heavy), float(rng.uniform(400, 1200)), float(rng.uniform(5500, 9000)), 2.0, 0.15, 6.0)
    return Script(
        label="rain", draw=draw, intensity=loudness(level), voices=(hiss, patter), level_db=float(-34 + 12 * heavy), full_picture=True, parts=2, restless=0.5,
    )  # fmt: skip


def sea(rng: Generator, duration_s: float) -> Script:
    """Waves roll to the shore and break."""
    period, horizon = float(rng.uniform(2.2, 6.0)), float(rng.uniform(0.1, 0.45))
    phase = float(rng.uniform(0, period))
    water = paint(rng, hue=(0.45, 0.65), colorful=(0.1, 0.6), textures=("ripples",), contrast=(0.3, 0.8), scale=(0.5, 1.5))
    foam = paint(rng, colorful=(0.0, 0.08), light=(0.85, 1.0), textures=("foam", "grit"), contrast=(0.1, 0.4), scale=(1.0, 3.0))
    sand, sky = paint(rng, hue=(0.08, 0.14), textures=("grit", "skin")), paint(rng, hue=(0.5, 0.65), textures=("clouds",), contrast=(0.05, 0.4), scale=(0.2, 0.6))
    shore, reach = float(rng.uniform(0.7, 1.05)), float(rng.uniform(0.08, 0.25))
    flow = float(rng.uniform(0.03, 0.12))
    tilt = float(rng.normal(0, 0.06))

    def breaking(t: Floats) -> Floats:
        u = ((t + phase) / period) % 1.0
        return np.asarray(np.where(u < 0.35, (u / 0.35) ** 2, np.exp(-(u - 0.35) / 0.25)))

    def draw(t: Floats) -> list[Shape]:
        shapes = [_whole(water.but(v=-flow * t, warp=0.02, phase=0.25 * t), y=horizon + 1.5)]
        for k in range(3):
            u = ((t + phase) / period + k / 3.0) % 1.0
            y = horizon + (shore - horizon) * u**1.6
            thick = 0.006 + 0.03 * u**2 * (shore - horizon)
            shapes.append(box(0.9, y, 2.6, thick * 2, water.lit(0.6).but(alpha=0.8 * u, soft=0.01), angle=tilt, placed=False))
        u = ((t + phase) / period) % 1.0
        front = shore - reach + reach * np.sin(np.pi * np.minimum(1.0, u * 1.25)) ** 0.8
        strength = breaking(t)
        shapes.append(_whole(sand, y=shore + 1.5))
        shapes.append(box(0.9, front - 0.15, 2.6, 0.15, water.but(alpha=0.75, v=-2 * flow * t), angle=tilt, placed=False))
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
        return [_whole(sky)]

    return Script(label="sea_waves", draw=draw, still=still, voices=voices, level_db=-23.0, full_picture=True, parts=1, restless=0.5)


def running_water(rng: Generator, duration_s: float) -> Script:
    """A stream over stones or a waterfall."""
    label = str(rng.choice(["stream", "waterfall"]))
    swell = Swell(rng, duration_s, low=0.6)
    steep = label == "waterfall"
    names = ("streaks", "flames") if steep else ("ripples", "streaks", "haze")
    water = paint(rng, hue=(0.48, 0.62), colorful=(0.0, 0.4), light=(0.4, 1.0), textures=names, contrast=(0.3, 0.9), scale=(0.6, 2.0))
    glint = paint(rng, colorful=(0.0, 0.1), light=(0.85, 1.0), textures=("ripples", "foam") if not steep else ("streaks",), contrast=(0.1, 0.3), scale=(0.8, 2.5))
    speed, side, angle = float(rng.uniform(0.5, 1.6) if steep else rng.uniform(0.12, 0.6)), float(rng.choice([-1, 1])), float(rng.normal(0, 0.15))
    half, middle, x = float(rng.uniform(0.25, 0.6)), float(rng.uniform(0.45, 0.75)), float(rng.uniform(0.4, 1.2))
    rocks = stone(rng)
    rx, ry, rs = rng.uniform(0.0, 1.8, (1, 7)), middle + rng.uniform(-0.9, 0.9, (1, 7)) * half, rng.uniform(0.02, 0.12, (1, 7))

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
        voices: tuple[Noise | Grains, ...] = (Noise(0.1 * level, float(rng.uniform(150, 400)), float(rng.uniform(4000, 8500)), 2.0, 0.06, 5.0),)
    else:
        bubbles = Grains(level * float(rng.uniform(40, 160)), 0.05, 350.0, 2200.0, 0.018, 0.05)
        voices = (Noise(0.03 * level, 350.0, float(rng.uniform(2500, 6000)), 2.0, 0.25, 7.0), bubbles)
    return Script(
        label=label, draw=draw, intensity=loudness(level), voices=voices, level_db=-20.0 if steep else -27.0, full_picture=True, parts=1, restless=0.6,
        backdrop=texture("foliage", "pebbles", "grass", "bark", "haze"),
    )  # fmt: skip


def fire(rng: Generator, duration_s: float) -> Script:
    """Flames flicker over logs; sparks fly when a log cracks."""
    beat = rhythm(rng, duration_s, fastest_s=0.15, slowest_s=2.0, kinds=("irregular", "bursts", "single"))
    swell, n, seed = Swell(rng, duration_s, low=0.5, quick=0.8), int(rng.integers(5, 11)), int(rng.integers(1 << 30))
    flame = paint(rng, hue=(0.03, 0.13), colorful=(0.6, 1.0), light=(0.8, 1.0), textures=("flames", "haze"), contrast=(0.2, 0.5), scale=(0.8, 2.0)).but(shade=-0.5)
    spark, log = paint(rng, hue=(0.08, 0.15), light=(0.95, 1.0), contrast=(0.0, 0.1)), wood(rng).lit(0.6)
    x, tall, rate = rng.normal(0, 0.16, (1, n)), rng.uniform(0.15, 0.5, (1, n)), rng.uniform(1.5, 4.0, (1, n))
    turn, wide = rng.uniform(0, 6, (1, n)), float(rng.uniform(0.06, 0.12))

    def draw(t: Floats) -> list[Shape]:
        level, tt = swell.at(t)[:, None], t[:, None]
        lick = 0.75 + 0.25 * np.sin(2 * np.pi * rate * tt + turn) + 0.15 * np.sin(2 * np.pi * 2.7 * rate * tt + 2 * turn)
        high = tall * lick * (0.5 + 0.6 * level)
        sway = 0.05 * np.sin(2 * np.pi * 0.8 * rate * tt + 3 * turn)
        rising = flame.but(v=1.2 * t, u=0.1 * np.sin(t), rough=0.04, alpha=0.75)
        tongues = capsule(x, 0.0, 0.6 * x + sway, -high, wide, 0.12 * wide, rising)
        inner = capsule(0.7 * x, 0.02, 0.4 * x + sway, -0.55 * high, 0.6 * wide, 0.1 * wide, rising.lit(1.6).but(alpha=0.7))
        pops = flying_bits(fixed(seed), t, beat.times_s, (np.zeros(1), np.full(1, -0.05)), spark, count=12, speed=1.0, life_s=0.7, size=0.008, fall=-0.3)
        return [tongues, inner, pops]

    def still(t: Floats) -> list[Shape]:
        return [capsule(-0.3, 0.06, 0.28, 0.0, 0.05, 0.05, log), capsule(-0.26, -0.02, 0.3, 0.07, 0.05, 0.04, log.lit(0.8))]

    def light(t: Floats) -> Floats:
        return 0.92 + 0.12 * swell.at(t) * (1 + 0.4 * np.sin(2 * np.pi * 5.3 * t + 1.7 * np.sin(3.1 * t)))

    level = swell.at(control_times(duration_s))
    crack = (Burst(800.0, 8500.0, float(rng.uniform(0.004, 0.015)), 1.0),)
    voices = (
        Noise(0.035 * level, 60.0, float(rng.uniform(400, 1200)), 3.0, 0.35, 5.0), Noise(0.006 * level, 1500.0, 8000.0, 1.0, 0.3, 9.0),
        Grains(level * float(rng.uniform(8, 45)), 0.08, 1200.0, 7500.0, 0.002, 0.95), Hits(beat.times_s, 0.45 * beat.gains, None, crack, spread=0.6),
    )  # fmt: skip
    return Script(
        label="fire", events=events_at(beat, "fire", 0.0, -0.05), draw=draw, still=still, voices=voices, level_db=-26.0,
        focus=((-0.3, -0.4), (0.3, 0.1)), size=(0.5, 1.7), light=light, tilt=0.05, parts=1,
    )  # fmt: skip


def wind(rng: Generator, duration_s: float) -> Script:
    """Branches, leaves and grass bend in gusts."""
    swell, n = Swell(rng, duration_s, low=0.1, quick=0.5), int(rng.integers(12, 36))
    stem, leaf = wood(rng).lit(0.6), paint(rng, hue=(0.15, 0.4), colorful=(0.3, 0.8), textures=("foliage", "grass", "haze"), contrast=(0.3, 0.9), scale=(1.0, 4.0))
    grassy = rng.random() < 0.4
    x, turn = rng.uniform(-0.7, 0.7, (1, n)), rng.uniform(0, 6, (1, n))
    y = rng.uniform(0.05, 0.5, (1, n)) if grassy else rng.uniform(-0.5, 0.2, (1, n))
    size, rate = rng.uniform(0.08, 0.2, (1, n)), rng.uniform(0.5, 1.6, (1, n))
    power, side = float(rng.uniform(0.05, 0.16)), float(rng.choice([-1, 1]))

    def bend(t: Floats) -> Floats:
        level, tt = swell.at(t)[:, None], t[:, None]
        return np.asarray(side * power * level * (1.0 + 0.9 * np.sin(2 * np.pi * rate * tt + turn) + 0.3 * np.sin(2 * np.pi * 3.1 * rate * tt)))

    def draw(t: Floats) -> list[Shape]:
        b = bend(t)
        tones = leaf.but(rough=0.05)
        if grassy:
            blades = capsule(x, y + 0.3, x + 2.2 * b, y + 0.3 - 2.4 * size, 0.02, 0.004, tones.but(rough=0.0))
            return [blades, capsule(x + 0.05, y + 0.32, x + 0.05 + 1.8 * b, y + 0.32 - 2.0 * size, 0.018, 0.004, tones.lit(0.7).but(rough=0.0))]
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
    cloud = paint(rng, colorful=(0.0, 0.15), light=(0.5, 1.0), textures=("clouds", "haze"), contrast=(0.1, 0.5), scale=(0.2, 0.6))
    pace, things = float(rng.uniform(0.003, 0.02)), [paint(rng) for _ in range(int(rng.integers(0, 5)))]
    spots, sizes, slow = rng.uniform(0.0, 1.0, (5, 2)), rng.uniform(0.05, 0.25, (5, 2)), [wobble(rng, fastest_hz=0.25) for _ in range(5)]
    amount = {"still": 0.0, "clouds": 0.0, "sway": 0.035, "drift": 0.012}[kind]

    def draw(t: Floats) -> list[Shape]:
        shapes: list[Shape] = []
        if kind == "clouds":
            shapes.append(_whole(cloud.but(u=pace * t, cut=0.3, alpha=0.9), y=0.1, half=0.45))
        for look, (x, y), (a, b), w in zip(things, spots, sizes, slow, strict=False):
            shift = amount * w.at(t)
            shapes.append(ellipse(1.6 * x + shift, 0.3 + 0.8 * y + 0.3 * shift, a, b, look, angle=2.0 * shift, placed=False))
        return shapes

    ones = np.ones(len(control_times(duration_s)))
    if outside:
        voices = (Noise(ones, 90.0, float(rng.uniform(400, 1500)), 3.0, 0.15, 0.4), Noise(0.15 * ones, 500.0, 4000.0, 3.0, 0.1, 1.0))
    else:
        voices = (Noise(ones, 60.0, float(rng.uniform(250, 900)), 4.0, 0.05, 0.3), Noise(0.1 * ones, 300.0, 6000.0, 3.0))
    return Script(
        label=label, draw=draw, voices=voices, level_db=float(rng.uniform(-64.0, -50.0)), full_picture=True, parts=1,
        restless=0.7,
    )  # fmt: skip
