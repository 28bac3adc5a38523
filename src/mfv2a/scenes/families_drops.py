"""Things that fall: drops of water, glasses, boxes."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from mfv2a.scenes import materials
from mfv2a.scenes.curves import Rhythm, events_at, rhythm, since_last, until_next
from mfv2a.scenes.parts import Throw, fixed, flying_bits, metal, paint, table
from mfv2a.scenes.script import Burst, Grains, Hits, Modes, Noise, Script, Voice
from mfv2a.scenes.shapes import Drawing, Floats, Shape, box, capsule, ellipse
from mfv2a.scenes.slow import control_times


def drips(rng: Generator, duration_s: float) -> Script:
    """Drops fall from a tap into water and rings spread."""
    beat = rhythm(rng, duration_s, fastest_s=0.18, slowest_s=1.5)
    water, tap = paint(rng, hue=(0.5, 0.65), textures=("ripples", "haze")), metal(rng)
    high, seed = float(rng.uniform(0.35, 0.8)), int(rng.integers(1 << 30))
    rings, drop = _rings(rng, beat), _falling_drop(rng, beat, high)

    def draw(t: Floats) -> list[Shape]:
        return [*rings(t), *drop(t)]

    def still(t: Floats) -> list[Shape]:
        spout = capsule(0, -high - 0.12, 0, -high - 0.04, 0.05, 0.04, tap)
        return [table(fixed(seed), -0.15, water), capsule(-0.5, -high - 0.12, 0, -high - 0.12, 0.05, 0.05, tap), spout]

    hz = np.exp(rng.uniform(np.log(600), np.log(2600), 3))
    plink = Modes(hz, np.array([0.05, 0.03, 0.02]) * float(rng.uniform(0.6, 1.6)), np.array([1.0, 0.5, 0.3]))
    trickle = Noise(np.full(len(control_times(duration_s)), 0.002), 200.0, 3000.0)
    voices = (Hits(beat.times_s, beat.gains, plink, (Burst(1500.0, 8000.0, 0.004, 0.5),), 0.6), trickle)
    return Script(
        label="dripping", events=events_at(beat, "dripping"), draw=draw, still=still, voices=voices, level_db=-10.0,
        focus=((0.0, -high), (0.0, 0.1)), size=(0.6, 1.6), tilt=0.05,
    )  # fmt: skip


def _rings(rng: Generator, beat: Rhythm) -> Drawing:
    """Two rings that spread from the origin after each drop."""
    look, flat = paint(rng, hue=(0.5, 0.65), textures=("ripples", "haze")), float(rng.uniform(0.25, 0.6))

    def draw(t: Floats) -> list[Shape]:
        age, shapes = since_last(t, beat.times_s)[0], []
        for lag, tone in ((0.0, 1.8), (0.12, 0.5)):
            late = np.clip(age - lag, 0.0, 9.0)
            r, on = 0.02 + 0.28 * (1 - np.exp(-late / 0.5)), np.where(age > lag, 0.8 * np.exp(-late / 0.35), 0.0)
            shapes.append(ellipse(0.0, 0.0, r, flat * r, look.lit(tone).but(alpha=on, soft=0.01)))
            shapes.append(ellipse(0.0, 0.0, 0.8 * r, 0.8 * flat * r, look.but(alpha=on, soft=0.01)))
        return shapes

    return draw


def _falling_drop(rng: Generator, beat: Rhythm, high: float) -> Drawing:
    """Drops that grow at the tap, fall, reach the origin at each beat and splash."""
    look = paint(rng, colorful=(0.0, 0.3), light=(0.6, 1.0), contrast=(0.0, 0.2))
    gravity, size, seed = float(rng.uniform(4.0, 8.0)), float(rng.uniform(0.025, 0.055)), int(rng.integers(1 << 30))
    fall_s = float(np.sqrt(2 * high / gravity))
    origin = (np.zeros(1), np.zeros(1))

    def draw(t: Floats) -> list[Shape]:
        wait = until_next(t, beat.times_s)[0]
        since = np.clip(fall_s - wait, 0.0, None)
        grown = np.clip(1.0 - (wait - fall_s) / 0.25, 0.0, 1.0)
        y, tail = -high + 0.5 * gravity * since**2 - size, size * 0.15 * gravity * since
        drop = capsule(0.0, y - tail, 0.0, y, 0.5 * size * grown, size * grown, look.but(alpha=(grown > 0) * 1.0))
        throw = Throw(count=9, speed=0.9, life_s=0.3, size=0.5 * size, fall=5.0)
        splash = flying_bits(fixed(seed), t, beat.times_s, origin, look, throw)
        return [drop, splash]

    return draw


def falls(rng: Generator, duration_s: float) -> Script:
    """Something falls: glass shatters, a box thuds."""
    glass = bool(rng.random() < 0.5)
    label = "glass_break" if glass else "thud"
    beat = rhythm(rng, duration_s, fastest_s=1.1, slowest_s=3.0, lead_s=0.6, kinds=("single", "irregular", "regular"))
    x, floor, seed = rng.uniform(-0.35, 0.35, len(beat)), paint(rng), int(rng.integers(1 << 30))
    draw = _falling_thing(rng, beat, x, glass=glass)

    def still(t: Floats) -> list[Shape]:
        return [table(fixed(seed), 0.0, floor)]

    return Script(
        label=label, events=events_at(beat, label, x, 0.0), draw=draw, still=still,
        voices=_crash(rng, beat, duration_s) if glass else _thud(rng, beat), level_db=-5.0,
        focus=((-0.35, -0.6), (0.35, 0.0)), size=(0.45, 1.4), tilt=0.05,
    )  # fmt: skip


def _falling_thing(rng: Generator, beat: Rhythm, x: Floats, *, glass: bool) -> Drawing:
    """A glass that falls and bursts, or a box that falls, hops once and lies."""
    brittle = paint(rng, colorful=(0.0, 0.3), light=(0.6, 1.0), contrast=(0.0, 0.3)).but(alpha=0.85)
    look, dust = brittle if glass else paint(rng), paint(rng).but(soft=0.02)
    gravity, high, size = float(rng.uniform(4, 9)), float(rng.uniform(0.6, 1.1)), float(rng.uniform(0.06, 0.18))
    turn, seed, opaque = rng.normal(0, 2.5, max(1, len(beat))), int(rng.integers(1 << 30)), 0.85 if glass else 1.0
    fall_s = float(np.sqrt(2 * high / gravity))
    at = (x, np.full(len(beat), -0.02))

    def draw(t: Floats) -> list[Shape]:
        if len(beat) == 0:
            return []
        wait, k = until_next(t, beat.times_s)
        y = -size - high + 0.5 * gravity * np.clip(fall_s - wait, 0.0, None) ** 2
        shown = look.but(alpha=(wait < fall_s + 0.5) * opaque)
        thing = box(x[k], y, 0.7 * size, size, shown, angle=turn[k] * np.minimum(wait, 2.0), corner=0.2 * size)
        bits = fixed(seed)
        if glass:
            shards = flying_bits(
                bits, t, beat.times_s, at, look, Throw(count=22, speed=1.6, life_s=0.9, size=0.022, fall=4.0)
            )
            return [thing, shards]
        age, last = since_last(t, beat.times_s)
        hop = 0.06 * np.exp(-np.minimum(age, 9) / 0.12) * np.abs(np.sin(2 * np.pi * 4 * np.minimum(age, 9)))
        lying = box(x[last], -0.7 * size - hop, size, 0.7 * size, look.but(alpha=(age < 100) * 1.0), corner=0.2 * size)
        cloud = flying_bits(bits, t, beat.times_s, at, dust, Throw(speed=0.6, size=0.03, fall=0.0))
        return [lying, thing, cloud]

    return draw


def _crash(rng: Generator, beat: Rhythm, duration_s: float) -> tuple[Voice, ...]:
    t = control_times(duration_s)
    rate = np.zeros(len(t))
    for hit_s in beat.times_s:
        rate += np.where(t >= hit_s, 130.0 * np.exp(-np.maximum(t - hit_s, 0) / 0.18), 0.0)
    burst = Hits(beat.times_s, beat.gains, materials.body(rng, "glass"), (Burst(1800.0, 10000.0, 0.04, 1.2),))
    return (burst, Grains(rate, 0.16, 2500.0, 7500.0, 0.02, 0.2))


def _thud(rng: Generator, beat: Rhythm) -> tuple[Voice, ...]:
    thump = Burst(50.0, float(rng.uniform(300, 900)), float(rng.uniform(0.03, 0.08)), 1.0)
    return (Hits(beat.times_s, beat.gains, materials.body(rng, "floor"), (thump,)),)
