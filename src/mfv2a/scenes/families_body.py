"""People: steps, typing, claps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mfv2a.scenes import materials
from mfv2a.scenes.curves import (
    Rhythm,
    Track,
    events_at,
    random_swing,
    rhythm,
    since_last,
    strike_track,
    track,
)
from mfv2a.scenes.parts import (
    cloth,
    fixed,
    open_hand,
    paint,
    skin,
    stone,
    table,
    wood,
)
from mfv2a.scenes.script import Burst, Hits, Modes, Script
from mfv2a.scenes.shapes import Drawing, Floats, Paint, Shape, box, capsule, ellipse
from mfv2a.scenes.slow import wobble

AHEAD = 0.55
"""How far before the hip a foot lands, in strides."""

GROUND = {"footsteps_gravel": stone, "footsteps_wood": wood, "footsteps_snow": stone}


def footsteps(rng: Generator, duration_s: float) -> Script:
    """Legs walk or run past the camera, or the camera follows them; gravel, boards or snow."""
    label = str(rng.choice(sorted(GROUND)))
    step_s = float(np.exp(rng.uniform(np.log(0.3), np.log(0.85))))
    beat = rhythm(rng, duration_s, fastest_s=step_s, slowest_s=step_s * 1.05, kinds=("regular",))
    stride, leg, follows = float(rng.uniform(0.18, 0.34)), float(rng.uniform(0.5, 0.75)), bool(rng.random() < 0.6)
    ground, seed, legs_only = GROUND[label](rng), int(rng.integers(1 << 30)), bool(rng.random() < 0.5)
    if label == "footsteps_snow":
        ground = ground.but(color=(0.9, 0.92, 0.96), contrast=0.15)
    middle = 0.5 * max(1, len(beat))
    walked = _progress(beat, step_s)
    walker = _walker(rng, walked, stride, leg, quick=step_s < 0.42, legs_only=legs_only)

    def draw(t: Floats) -> list[Shape]:
        shift = stride * ((walked.at(t) - AHEAD) if follows else np.full(len(t), middle))
        floor = [box(0.0, 0.45, 6.0, 0.45, ground.but(u=shift * np.asarray(ground.scale)))] if follows else []
        return [*floor, *walker(t, shift)]

    def still(t: Floats) -> list[Shape]:
        return [] if follows else [table(fixed(seed), 0.0, ground)]

    where = np.full(len(beat), AHEAD * stride) if follows else stride * (np.arange(len(beat)) - middle)
    modes, bursts = _step_sound(rng, label)
    top = -leg if legs_only else -leg - 0.6
    return Script(
        label=label, events=events_at(beat, label, where, 0.0), draw=draw, still=still,
        voices=(Hits(beat.times_s, beat.gains, modes, bursts, 0.5),), level_db=-12.0,
        focus=((-0.25, 0.05), (0.25, 0.5 * top)), size=(0.5, 1.6), tilt=0.05,
    )  # fmt: skip


def _walker(
    rng: Generator, walked: Track, stride: float, leg: float, *, quick: bool, legs_only: bool
) -> Callable[[Floats, Floats], list[Shape]]:
    """Legs, and perhaps a body, seen from the side at the moments t [K], moved back by shift [K]."""
    swing = float(rng.uniform(0.5, 0.6) if quick else rng.uniform(0.36, 0.44))
    high, dress, shoe, body = float(rng.uniform(0.05, 0.14)), cloth(rng), paint(rng), cloth(rng)

    def foot(t: Floats, side: int) -> tuple[Floats, Floats, Floats]:
        """Position along the way in strides, height and pitch of one foot."""
        p = (walked.at(t) - side) / 2.0
        turn = np.floor(p + 1e-9)
        u = np.clip((p - turn - 1.0 + swing) / swing, 0.0, 1.0)
        ahead = u * u * (3.0 - 2.0 * u) * 0.55 + 0.45 * u
        pitch = np.where(u < 0.5, 0.9 * np.sin(2 * np.pi * u), -0.35 * np.sin(2 * np.pi * (u - 0.5)))
        return 2.0 * (turn + ahead), high * np.sin(np.pi * u) * (1.6 - 0.6 * u), np.where(u >= 1.0, 0.0, pitch)

    def draw(t: Floats, shift: Floats) -> list[Shape]:
        steps = walked.at(t)
        hx, hy = stride * (steps - AHEAD) - shift, -leg * 0.97 + 0.02 * np.cos(2 * np.pi * steps)
        shapes: list[Shape] = []
        for side in (0, 1):
            along, lift, pitch = foot(t, side)
            tone = 1.0 if side else 0.75
            ankle = (stride * (along + side) - shift, -lift - 0.05)
            shapes += _leg((hx, hy), ankle, pitch, leg, dress.lit(tone), shoe.lit(tone))
        if not legs_only:
            shapes.append(capsule(hx, hy, hx + 0.06, hy - 0.5, 0.14, 0.16, body))
            shapes.append(ellipse(hx + 0.06, hy - 0.78, 0.1, 0.12, body.lit(1.5)))
        return shapes

    return draw


def _progress(beat: Rhythm, step_s: float) -> Track:
    """Steps made over time: k at contact k; in longer gaps the walker stands still on both feet."""
    first = float(beat.times_s[0]) if len(beat) else 0.0
    keys = [(min(-1.0, first - 2.0), -1.0, 1.0), (first - step_s, -1.0, 1.0)]
    for k, time_s in enumerate(beat.times_s):
        if time_s - keys[-1][0] > 1.35 * step_s:
            keys.append((float(time_s) - 1.1 * step_s, keys[-1][1], 1.0))
        keys.append((float(time_s), float(k), 1.0))
    return track(keys)


def _leg(
    hip: tuple[Floats, Floats], ankle: tuple[Floats, Floats], pitch: Floats, leg: float, dress: Paint, shoe: Paint
) -> list[Shape]:
    """Thigh, shin and shoe; the knee bends forward."""
    (hx, hy), (fx, fy) = hip, ankle
    dx, dy = fx - hx, fy - hy
    away = np.clip(np.hypot(dx, dy), 1e-3, 0.999 * leg)
    bend = np.sqrt((0.5 * leg) ** 2 - (0.5 * away) ** 2) / away
    kx, ky = hx + 0.5 * dx + bend * dy, hy + 0.5 * dy - bend * dx
    toe = (fx + 0.13 * np.cos(pitch), fy + 0.02 + 0.13 * np.sin(pitch))
    return [
        capsule(hx, hy, kx, ky, 0.085, 0.065, dress),
        capsule(kx, ky, fx, fy, 0.062, 0.045, dress),
        capsule(fx - 0.03, fy + 0.015, *toe, 0.045, 0.032, shoe),
    ]


def _step_sound(rng: Generator, label: str) -> tuple[Modes | None, tuple[Burst, ...]]:
    if label == "footsteps_wood":
        return materials.body(rng, "floor"), materials.contact(rng, "wood")
    decay_s = float(rng.uniform(0.05, 0.12))
    if label == "footsteps_snow":
        crunch = Burst(float(rng.uniform(250, 600)), float(rng.uniform(2000, 4000)), decay_s, 1.0, 0.004, 140.0)
        return None, (crunch, Burst(60.0, 300.0, 0.04, 0.5))
    low, high, grain_hz = float(rng.uniform(900, 1800)), float(rng.uniform(6000, 9000)), float(rng.uniform(120, 320))
    return None, (Burst(low, high, decay_s, 1.0, 0.0, grain_hz), Burst(80.0, 400.0, 0.03, 0.5))


def typing(rng: Generator, duration_s: float) -> Script:
    """Fingers press the keys of a keyboard."""
    beat = rhythm(rng, duration_s, fastest_s=0.075, slowest_s=0.3, kinds=("irregular", "bursts", "bursts", "pattern"))
    rows, columns, pitch = 4, int(rng.integers(9, 13)), float(rng.uniform(0.07, 0.1))
    board, keys = paint(rng, contrast=(0.0, 0.2)), paint(rng, contrast=(0.0, 0.15))
    fingers, row = rng.integers(0, 8, len(beat)), rng.integers(0, rows, len(beat))
    home = (np.arange(8) - 3.5 + np.where(np.arange(8) > 3, 0.8, -0.8)) * pitch * 0.95
    hands = [_typing_hand(rng, beat, fingers, home, side) for side in (0, 1)]

    def draw(t: Floats) -> list[Shape]:
        shapes: list[Shape] = []
        if len(beat):
            age, index = since_last(t, beat.times_s)
            pressed = keys.lit(0.55).but(alpha=np.where(age < 0.08, 1.0, 0.0))
            x, y = home[fingers][index], (row[index] - 1.5) * pitch
            shapes.append(box(x, y, 0.44 * pitch, 0.44 * pitch, pressed))
        return [*shapes, *hands[0](t), *hands[1](t)]

    def still(t: Floats) -> list[Shape]:
        place = np.arange(columns * rows)[None, :]
        x, y = (place % columns - 0.5 * (columns - 1)) * pitch, (place // columns - 1.5) * pitch
        base = box(0.0, 0.02, 0.55 * columns * pitch, 0.62 * rows * pitch, board, corner=0.02)
        return [base, box(x, y, 0.42 * pitch, 0.42 * pitch, keys, corner=0.1 * pitch)]

    modes, touch = materials.body(rng, "plastic"), materials.contact(rng, "plastic")
    return Script(
        label="typing", events=events_at(beat, "typing", home[fingers], 0.0), draw=draw, still=still,
        voices=(Hits(beat.times_s, beat.gains, modes, touch, 0.5),), level_db=-16.0,
        focus=((-0.3, -0.1), (0.3, 0.25)), size=(0.7, 2.0), tilt=0.3,
    )  # fmt: skip


def _typing_hand(rng: Generator, beat: Rhythm, fingers: NDArray[np.int64], home: Floats, side: int) -> Drawing:
    """One hand whose four fingers lift and strike at the beats that are theirs."""
    own = range(4 * side, 4 * side + 4)
    lifts = [strike_track(beat.pick(fingers == f), random_swing(rng, heavy=0.0)) for f in own]
    look, drift, depth = skin(rng), wobble(rng, fastest_hz=0.8), float(rng.uniform(0.03, 0.1))
    middle = float(home[4 * side : 4 * side + 4].mean())

    def draw(t: Floats) -> list[Shape]:
        shift = 0.02 * drift.at(t)
        px, py = middle + shift, 0.33 + 0.5 * shift
        wrist = capsule(px + (side - 0.5) * 0.25, py + 0.55, px, py + 0.02, 0.08, 0.07, look)
        shapes = [wrist, ellipse(px, py, 0.13, 0.1, look)]
        for f, lift in zip(own, lifts, strict=True):
            h = lift.at(t)
            tip = 0.3 * shift - depth * h
            kx, ky = 0.875 * home[f] + 0.125 * px, 0.5 * (tip + py) - 0.6 * depth * h - 0.03
            shapes.append(capsule(0.2 * px + 0.8 * home[f], py - 0.05, kx, ky, 0.032, 0.03, look.lit(0.92)))
            shapes.append(capsule(kx, ky, home[f], tip, 0.03, 0.024, look))
        return shapes

    return draw


def claps(rng: Generator, duration_s: float) -> Script:
    """Two hands clap."""
    beat = rhythm(rng, duration_s, fastest_s=0.19, slowest_s=1.0)
    lift = strike_track(beat, random_swing(rng, heavy=0.15))
    look, sleeve = skin(rng), cloth(rng)
    wide, size = float(rng.uniform(0.15, 0.45)), float(rng.uniform(0.07, 0.13))
    upright, sways = float(rng.uniform(0.4, 1.2)), wobble(rng)
    shows_body = bool(rng.random() < 0.5)

    def draw(t: Floats) -> list[Shape]:
        h, sway = lift.at(t), 0.02 * sways.at(t)
        shapes: list[Shape] = []
        if shows_body:
            shapes += [ellipse(sway, 0.5, 0.34, 0.6, sleeve.lit(0.8)), ellipse(1.3 * sway, -0.45, 0.14, 0.18, look)]
        for side in (-1.0, 1.0):
            x, y = side * (0.5 * size + wide * h) + sway, 0.12 * wide * h
            ex, ey = side * 0.55 + sway, 0.5 + 0.1 * h
            angle = np.arctan2(y - ey, x - ex) * 0.35 - 0.65 * (np.pi / 2) * np.ones(len(t)) + side * (upright - 0.8)
            shapes += [
                capsule(ex, ey, x, y, 0.085, 0.055, look),
                capsule(ex, ey, 0.45 * (x + ex), 0.5 * (y + ey), 0.1, 0.09, sleeve),
            ]
            shapes += open_hand((x, y), angle, size, look.lit(1.0 if side > 0 else 0.9), spread=0.3)
        return shapes

    base = float(np.exp(rng.uniform(np.log(500), np.log(1100))))
    slap = (
        Burst(base, base * float(rng.uniform(2.5, 5)), float(rng.uniform(0.012, 0.03)), 1.0),
        Burst(1500.0, 7500.0, 0.006, 0.6),
    )
    voice = Hits(beat.times_s, beat.gains, None, slap, spread=0.5)
    return Script(
        label="hand_claps", events=events_at(beat, "hand_claps"), draw=draw, voices=(voice,), level_db=-5.0,
        focus=((-0.35, -0.1), (0.35, 0.2)), size=(0.35, 1.5), tilt=0.3,
    )  # fmt: skip
