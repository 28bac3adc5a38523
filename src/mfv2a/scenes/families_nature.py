"""Fire, wind and calm; the sound follows what is seen to move."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from mfv2a.scenes.curves import rhythm
from mfv2a.scenes.parts import Throw, cloth, fixed, flying_bits, open_hand, paint, skin, whole, wood
from mfv2a.scenes.script import Burst, Grains, Hits, Noise, Script, Voice
from mfv2a.scenes.shapes import Curve, Drawing, Floats, Shape, capsule, ellipse
from mfv2a.scenes.slow import Swell, control_times, loudness, wobble
from mfv2a.scenes.textures import texture


def fire(rng: Generator, duration_s: float) -> Script:
    """Flames flicker over logs; sparks fly when a log cracks."""
    beat = rhythm(rng, duration_s, fastest_s=0.15, slowest_s=2.0, kinds=("irregular", "bursts", "single"))
    swell, seed = Swell(rng, duration_s, low=0.5, quick=0.8), int(rng.integers(1 << 30))
    spark, log = paint(rng, hue=(0.08, 0.15), light=(0.95, 1.0), contrast=(0.0, 0.1)), wood(rng).lit(0.6)
    tongues, at = _tongues(rng, swell), (np.zeros(1), np.full(1, -0.05))

    def draw(t: Floats) -> list[Shape]:
        throw = Throw(count=12, speed=1.0, life_s=0.7, size=0.008, fall=-0.3)
        return [*tongues(t), flying_bits(fixed(seed), t, beat.times_s, at, spark, throw)]

    def still(t: Floats) -> list[Shape]:
        second = capsule(-0.26, -0.02, 0.3, 0.07, 0.05, 0.04, log.lit(0.8))
        return [capsule(-0.3, 0.06, 0.28, 0.0, 0.05, 0.05, log), second]

    def light(t: Floats) -> Floats:
        flicker = 1 + 0.4 * np.sin(2 * np.pi * 5.3 * t + 1.7 * np.sin(3.1 * t))
        return np.asarray(0.92 + 0.12 * swell.at(t) * flicker)

    level = swell.at(control_times(duration_s))
    crack = (Burst(800.0, 8500.0, float(rng.uniform(0.004, 0.015)), 1.0),)
    voices = (
        Noise(0.035 * level, 60.0, float(rng.uniform(400, 1200)), 3.0, 0.35, 5.0),
        Noise(0.006 * level, 1500.0, 8000.0, 1.0, 0.3, 9.0),
        Grains(level * float(rng.uniform(8, 45)), 0.08, 1200.0, 7500.0, 0.002, 0.95),
        Hits(beat.times_s, 0.45 * beat.gains, None, crack, 0.6),
    )
    return Script(
        label="fire", draw=draw, still=still, voices=voices, level_db=-26.0, light=light,
        focus=((-0.3, -0.4), (0.3, 0.1)), size=(0.5, 1.7), tilt=0.05, parts=1,
    )  # fmt: skip


def _tongues(rng: Generator, swell: Swell) -> Drawing:
    """Flames that lick upwards around the origin."""
    flame = paint(
        rng, hue=(0.03, 0.13), colorful=(0.6, 1.0), light=(0.8, 1.0), textures=("flames", "haze"), contrast=(0.2, 0.5)
    ).but(shade=-0.5)
    n, wide = int(rng.integers(5, 11)), float(rng.uniform(0.06, 0.12))
    x, tall, rate = rng.normal(0, 0.16, (1, n)), rng.uniform(0.15, 0.5, (1, n)), rng.uniform(1.5, 4.0, (1, n))
    turn = rng.uniform(0, 2 * np.pi, (1, n))

    def draw(t: Floats) -> list[Shape]:
        beat = 2 * np.pi * rate * t[:, None]
        lick = 0.75 + 0.25 * np.sin(beat + turn) + 0.15 * np.sin(2.7 * beat + 2 * turn)
        high, sway = tall * lick * (0.5 + 0.6 * swell.at(t)[:, None]), 0.05 * np.sin(0.8 * beat + 3 * turn)
        outer = flame.but(v=1.2 * t, u=0.1 * np.sin(t), rough=0.04, alpha=0.75)
        inner = outer.lit(1.6).but(alpha=0.7)
        return [
            capsule(x, 0.0, 0.6 * x + sway, -high, wide, 0.12 * wide, outer),
            capsule(0.7 * x, 0.02, 0.4 * x + sway, -0.55 * high, 0.6 * wide, 0.1 * wide, inner),
        ]

    return draw


def wind(rng: Generator, duration_s: float) -> Script:
    """Branches, leaves and grass bend in gusts."""
    swell = Swell(rng, duration_s, low=0.1, quick=0.5)
    draw = _grass(rng, swell) if rng.random() < 0.4 else _crown(rng, swell)
    level, howl = swell.at(control_times(duration_s)), float(rng.uniform(250, 700))
    voices = (
        Noise(0.07 * level**1.5, 80.0, howl * 1.6, 3.0, 0.25, 2.0),
        Noise(0.03 * level**2, float(rng.uniform(1200, 2500)), float(rng.uniform(5000, 8500)), 1.5, 0.3, 6.0),
        Noise(0.012 * level**1.5, howl, howl * 1.5, 0.0, 0.4, 1.5),
    )
    return Script(
        label="wind", draw=draw, voices=voices, level_db=-23.0, intensity=loudness(level**1.5),
        focus=((-0.5, -0.4), (0.5, 0.5)), size=(0.6, 1.6), parts=1, tilt=0.05, bystanders=False,
        backdrop=texture("clouds", "haze", "foliage", "grass"),
    )  # fmt: skip


def _bend(rng: Generator, swell: Swell, count: int) -> Curve:
    """How far each of `count` leaves is blown at t: [K, count]."""
    turn, rate = rng.uniform(0, 2 * np.pi, (1, count)), rng.uniform(0.5, 1.6, (1, count))
    power = float(rng.uniform(0.05, 0.16)) * float(rng.choice([-1, 1]))

    def at(t: Floats) -> Floats:
        beat = 2 * np.pi * rate * t[:, None]
        flutter = 1.0 + 0.9 * np.sin(beat + turn) + 0.3 * np.sin(3.1 * beat)
        return np.asarray(power * swell.at(t)[:, None] * flutter)

    return at


def _grass(rng: Generator, swell: Swell) -> Drawing:
    n = int(rng.integers(30, 70))
    look, bend = paint(rng, hue=(0.15, 0.4), colorful=(0.3, 0.8), textures=("grass", "haze")), _bend(rng, swell, n)
    x, y, size = rng.uniform(-0.8, 0.8, (1, n)), np.sort(rng.uniform(0.3, 0.8, (1, n))), rng.uniform(0.2, 0.5, (1, n))

    def draw(t: Floats) -> list[Shape]:
        b = bend(t)
        blades = capsule(x, y, x + 2.2 * b, y - size, 0.02, 0.004, look)
        return [capsule(0.9 * x, y + 0.05, 0.9 * x + 1.8 * b, y - 0.8 * size, 0.02, 0.004, look.lit(0.7)), blades]

    return draw


def _crown(rng: Generator, swell: Swell) -> Drawing:
    n, stem = int(rng.integers(12, 30)), wood(rng).lit(0.6)
    leaf = paint(
        rng, hue=(0.15, 0.4), colorful=(0.3, 0.8), textures=("foliage", "grass", "haze"), contrast=(0.3, 0.9)
    ).but(rough=0.05)
    x, y, size = rng.uniform(-0.7, 0.7, (1, n)), rng.uniform(-0.5, 0.2, (1, n)), rng.uniform(0.08, 0.2, (1, n))
    bend = _bend(rng, swell, n)

    def draw(t: Floats) -> list[Shape]:
        b = bend(t)
        high = b * (1.2 - y)
        dark = ellipse(0.8 * x + 0.7 * high, y + 0.06, size, 0.8 * size, leaf.lit(0.6), angle=1.5 * b)
        trunk = capsule(0.0, 0.9, 0.5 * b[:, :1], -0.2, 0.06, 0.03, stem)
        return [dark, trunk, ellipse(x + high, y + 0.2 * np.abs(b), size, 0.8 * size, leaf, angle=2.0 * b)]

    return draw


def calm(rng: Generator, duration_s: float) -> Script:
    """Nothing happens: a still or drifting picture, slow swaying, soundless gestures; room tone or soft air."""
    outside = bool(rng.random() < 0.45)
    kinds = ["still", "clouds", "sway", "drift"] if outside else ["still", "still", "sway", "drift", "gesture"]
    kind = str(rng.choice(kinds))
    draw = {"clouds": _clouds, "gesture": _gesture}.get(kind, _furniture)(rng, kind)
    ones = np.ones(len(control_times(duration_s)))
    if outside:
        air = Noise(ones, 90.0, float(rng.uniform(400, 1500)), 3.0, 0.15, 0.4)
        voices: tuple[Voice, ...] = (air, Noise(0.15 * ones, 500.0, 4000.0, 3.0, 0.1, 1.0))
    else:
        hum = Noise(ones, 60.0, float(rng.uniform(250, 900)), 4.0, 0.05, 0.3)
        voices = (hum, Noise(0.1 * ones, 300.0, 6000.0, 3.0))
    return Script(
        label="calm_outdoors" if outside else "quiet_room", draw=draw, voices=voices, full_picture=True, parts=1,
        level_db=float(rng.uniform(-64.0, -50.0)),
    )  # fmt: skip


def _clouds(rng: Generator, kind: str) -> Drawing:
    look = paint(rng, colorful=(0.0, 0.15), light=(0.5, 1.0), textures=("clouds", "haze"), scale=(0.2, 0.6))
    pace = float(rng.uniform(0.003, 0.02))

    def draw(t: Floats) -> list[Shape]:
        return [whole(look.but(u=pace * t, cut=0.3, alpha=0.9), y=0.1, half=0.45)]

    return draw


def _furniture(rng: Generator, kind: str) -> Drawing:
    """Things that stand still, sway or drift."""
    amount = {"still": 0.0, "sway": 0.035}.get(kind, 0.012)
    things = [paint(rng) for _ in range(int(rng.integers(0, 5)))]
    spots, sizes = rng.uniform(0.0, 1.0, (5, 2)), rng.uniform(0.05, 0.25, (5, 2))
    slow = [wobble(rng, fastest_hz=0.25) for _ in range(5)]

    def draw(t: Floats) -> list[Shape]:
        shapes: list[Shape] = []
        for look, (x, y), (a, b), sway in zip(things, spots, sizes, slow, strict=False):
            d = amount * sway.at(t)
            shapes.append(ellipse(1.6 * x + d, 0.3 + 0.8 * y + 0.3 * d, a, b, look, angle=2.0 * d, placed=False))
        return shapes

    return draw


def _gesture(rng: Generator, kind: str) -> Drawing:
    """Hands that move smoothly and touch nothing."""
    looks, sleeves = [skin(rng) for _ in range(2)], [cloth(rng) for _ in range(2)]
    paths = [wobble(rng, slowest_hz=0.2, fastest_hz=1.2) for _ in range(6)]
    pause, x, y = wobble(rng, fastest_hz=0.25), float(rng.uniform(0.3, 1.3)), float(rng.uniform(0.4, 0.9))
    far, size = float(rng.uniform(0.05, 0.25)), float(rng.uniform(0.03, 0.09))

    def draw(t: Floats) -> list[Shape]:
        busy = 1.0 / (1.0 + np.exp(-6.0 * (pause.at(t) + 0.1)))
        shapes: list[Shape] = []
        for k, (look, sleeve) in enumerate(zip(looks, sleeves, strict=True)):
            side = 2 * k - 1
            hx = x + side * 0.18 + far * busy * paths[3 * k].at(t)
            hy = y + 0.8 * far * busy * paths[3 * k + 1].at(t)
            limb = capsule(x + side * 0.3, y + 0.5, hx, hy, 1.5 * size, size, sleeve, placed=False)
            hand = open_hand((hx, hy), -np.pi / 2 + busy * paths[3 * k + 2].at(t), size, look)
            shapes += [limb, *hand]
        return shapes

    return draw
