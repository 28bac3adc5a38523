"""Flashes: fireworks, pistols, cameras."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from mfv2a.scenes import materials
from mfv2a.scenes.curves import (
    Rhythm,
    events_at,
    random_swing,
    rhythm,
    since_last,
    strike_track,
    until_next,
)
from mfv2a.scenes.parts import (
    Throw,
    arm,
    fixed,
    flying_bits,
    metal,
    paint,
    skin,
)
from mfv2a.scenes.script import Burst, Grains, Hits, Script
from mfv2a.scenes.shapes import Drawing, Floats, Shape, box, capsule, ellipse
from mfv2a.scenes.slow import control_times
from mfv2a.scenes.textures import texture


def explosions(rng: Generator, duration_s: float) -> Script:
    """Fireworks burst in a dark sky, or a pistol is fired."""
    return _fireworks(rng, duration_s) if rng.random() < 0.5 else _gun(rng, duration_s)


def _fireworks(rng: Generator, duration_s: float) -> Script:
    beat = rhythm(rng, duration_s, fastest_s=0.25, slowest_s=2.2, kinds=("irregular", "bursts", "single", "irregular"))
    n = len(beat)
    x, y = rng.uniform(-0.6, 0.6, n), rng.uniform(-0.55, -0.1, n)
    rockets = [_rocket(rng, beat.times_s[k::3], x[k::3], y[k::3]) for k in range(3)]
    bright = float(rng.uniform(0.2, 1.2))

    def draw(t: Floats) -> list[Shape]:
        return [shape for rocket in rockets for shape in rocket(t)]

    def light(t: Floats) -> Floats:
        age, _ = since_last(t, beat.times_s)
        return np.asarray(1.0 + bright * np.exp(-np.minimum(age, 9.0) / 0.15))

    boom = Burst(40.0, float(rng.uniform(400, 1500)), float(rng.uniform(0.12, 0.35)), 1.0)
    t = control_times(duration_s)
    crackle = np.zeros(len(t))
    for time_s in beat.times_s:
        crackle += np.where(t > time_s + 0.1, 45.0 * np.exp(-np.maximum(t - time_s, 0) / 0.4), 0.0)
    voices = (
        Hits(beat.times_s, beat.gains, materials.body(rng, "floor"), (boom, Burst(500.0, 6000.0, 0.05, 0.5))),
        Grains(crackle, 0.06, 2000.0, 7000.0, 0.004, 0.9),
    )
    return Script(
        label="fireworks", events=events_at(beat, "fireworks", x, y), draw=draw, voices=voices, level_db=-3.0,
        light=light, focus=((-0.6, -0.55), (0.6, 0.1)), size=(0.5, 1.2), backdrop=texture("haze", "clouds"),
        bystanders=False, night=True,
    )  # fmt: skip


def _rocket(rng: Generator, times_s: Floats, x: Floats, y: Floats) -> Drawing:
    """Rockets that rise and burst at the given times and places, one after another."""
    fire = paint(rng, colorful=(0.3, 1.0), light=(0.9, 1.0), contrast=(0.0, 0.1)).but(shade=0.0, soft=0.004)
    pace, life_s, seed = float(rng.uniform(0.25, 0.8)), float(rng.uniform(0.5, 1.3)), int(rng.integers(1 << 30))
    size = float(rng.uniform(0.01, 0.022))

    def draw(t: Floats) -> list[Shape]:
        if len(times_s) == 0:
            return []
        throw = Throw(count=30, speed=pace, life_s=life_s, fall=0.15, upward=0.0, size=size)
        stars = flying_bits(fixed(seed), t, times_s, (x, y), fire, throw)
        wait, k = until_next(t, times_s)
        u = np.clip(1.0 - wait / 0.9, 0.0, 1.0)
        high = 0.6 + (y[k] - 0.6) * (1 - (1 - u) ** 2)
        trail = capsule(x[k], high, x[k], high + 0.06 * (1 - u) + 0.01, 0.008, 0.004, fire.but(alpha=(u > 0) * 0.9))
        return [stars, trail]

    return draw


def _gun(rng: Generator, duration_s: float) -> Script:
    beat = rhythm(rng, duration_s, fastest_s=0.2, slowest_s=2.0)
    bright = float(rng.uniform(0.0, 0.5))

    def light(t: Floats) -> Floats:
        return np.asarray(1.0 + bright * (since_last(t, beat.times_s)[0] < 0.06))

    bang = (
        Burst(150.0, 9000.0, float(rng.uniform(0.02, 0.06)), 1.0),
        Burst(60.0, 900.0, float(rng.uniform(0.1, 0.3)), 0.7),
    )
    return Script(
        label="gunshot", events=events_at(beat, "gunshot"), draw=_pistol(rng, beat), level_db=-2.0, light=light,
        voices=(Hits(beat.times_s, beat.gains, None, bang),),
        focus=((-0.4, -0.15), (0.2, 0.1)), size=(0.35, 1.4), tilt=0.3,
    )  # fmt: skip


def _pistol(rng: Generator, beat: Rhythm) -> Drawing:
    """A hand with a pistol that kicks, flashes and smokes at each beat."""
    steel, seed, kick_by = metal(rng).lit(0.5), int(rng.integers(1 << 30)), float(rng.uniform(0.15, 0.5))
    flame = paint(rng, hue=(0.08, 0.15), light=(0.97, 1.0), contrast=(0.0, 0.1))
    smoke = paint(rng, colorful=(0.0, 0.05), light=(0.7, 0.9), textures=("clouds", "haze"))

    def draw(t: Floats) -> list[Shape]:
        age = np.minimum(since_last(t, beat.times_s)[0], 9.0)
        kick = kick_by * np.where(age < 0.03, age / 0.03, np.exp(-(age - 0.03) / 0.12))
        a, hx, hy = -0.02 - kick, -0.3 - 0.15 * kick, 0.05 - 0.12 * kick
        mx, my = hx + 0.3 * np.cos(a), hy - 0.07 + 0.3 * np.sin(a)
        flash = flame.but(alpha=(age < 0.06) * 1.0, soft=0.03)
        spread = 1 - np.exp(-age / 0.3)
        grey = smoke.but(alpha=0.4 * np.exp(-age / 0.3) * (age < 5), soft=0.05)
        return [
            ellipse(mx + 0.15 + 0.3 * spread, my - 0.1 * age, 0.05 + 0.15 * spread, 0.05 + 0.1 * spread, grey),
            capsule(hx, hy - 0.07, mx, my, 0.032, 0.028, steel),
            capsule(hx, hy - 0.05, hx - 0.03, hy + 0.07, 0.035, 0.035, steel),
            *arm((hx - 0.7, hy + 0.12), (hx, hy), fixed(seed), thick=0.075),
            ellipse(mx + 0.1, my, 0.12, 0.06, flash),
            ellipse(mx + 0.05, my, 0.05, 0.1, flash),
        ]

    return draw


def cameras(rng: Generator, duration_s: float) -> Script:
    """A camera in someone's hands clicks and flashes."""
    beat = rhythm(rng, duration_s, fastest_s=0.5, slowest_s=2.2)
    press, power = strike_track(beat, random_swing(rng, heavy=0.1)), float(rng.uniform(0.0, 0.7))
    shell, glass, hand = paint(rng, light=(0.05, 0.4)), paint(rng, light=(0.05, 0.3)), skin(rng)
    bright = paint(rng, colorful=(0.0, 0.1), light=(0.98, 1.0), contrast=(0.0, 0.05))

    def draw(t: Floats) -> list[Shape]:
        h, age = press.at(t), np.minimum(since_last(t, beat.times_s)[0], 9.0)
        on, dip = np.exp(-age / 0.03), 0.012 * np.exp(-age / 0.08)
        finger = capsule(0.32, -0.16 - 0.09 * h, 0.22, -0.2 - 0.07 * h, 0.032, 0.026, hand.lit(0.92))
        return [
            box(0.0, dip, 0.34, 0.2, shell, corner=0.04),
            ellipse(0.02, 0.03 + dip, 0.14, 0.14, shell.lit(1.5)),
            ellipse(0.02, 0.03 + dip, 0.1, 0.1, glass),
            box(-0.2, -0.13 + dip, 0.08, 0.045, shell.lit(2.0)),
            box(-0.2, -0.13 + dip, 0.08, 0.045, bright.but(alpha=on)),
            ellipse(-0.2, -0.13, 0.3, 0.22, bright.but(alpha=0.6 * on, soft=0.15)),
            capsule(0.45, 0.3, 0.3, -0.12 + dip, 0.1, 0.05, hand),
            finger,
            capsule(-0.5, 0.35, -0.3, 0.1 + dip, 0.1, 0.06, hand),
        ]

    def light(t: Floats) -> Floats:
        return np.asarray(1.0 + power * np.exp(-np.minimum(since_last(t, beat.times_s)[0], 9.0) / 0.04))

    snap = (*materials.contact(rng, "plastic"), Burst(900.0, 5000.0, 0.01, 0.4))
    click = Hits(beat.times_s, beat.gains, materials.body(rng, "tick"), snap)
    later_s, touch = beat.times_s + float(rng.uniform(0.05, 0.11)), materials.contact(rng, "plastic")
    back = Hits(later_s, 0.6 * beat.gains, materials.body(rng, "plastic"), touch)
    return Script(
        label="camera_shutter", events=events_at(beat, "camera_shutter", 0.22, -0.2), draw=draw, voices=(click, back),
        level_db=-12.0, light=light, focus=((-0.3, -0.25), (0.35, 0.2)), size=(0.4, 1.5), tilt=0.2,
    )  # fmt: skip
