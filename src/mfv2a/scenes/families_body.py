"""People and animals: steps, typing, claps, barks, chirps."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from mfv2a.scenes import materials
from mfv2a.scenes.curves import Rhythm, Track, control_times, random_swing, rhythm, since_last, strike_track, track, wobble
from mfv2a.scenes.families_struck import events_at
from mfv2a.scenes.parts import cloth, fixed, open_hand, paint, skin, stone, table, wood
from mfv2a.scenes.script import Burst, Floats, Hits, Paint, Script, Shape, Tone, box, capsule, ellipse

GROUND = {"footsteps_gravel": stone, "footsteps_wood": wood, "footsteps_snow": stone}


def footsteps(rng: Generator, duration_s: float) -> Script:
    """Legs walk or run past the camera, or the camera follows them; gravel, boards or snow."""
    label = str(rng.choice(sorted(GROUND)))
    step_s = float(np.exp(rng.uniform(np.log(0.3), np.log(0.85))))
    beat = rhythm(rng, duration_s, fastest_s=step_s, slowest_s=step_s * 1.05, kinds=("regular",))
    stride = float(rng.uniform(0.18, 0.34))
    follows = bool(rng.random() < 0.6)
    leg, high, dress, shoe, ground = float(rng.uniform(0.5, 0.75)), float(rng.uniform(0.05, 0.14)), cloth(rng), paint(rng), GROUND[label](rng)
    if label == "footsteps_snow":
        ground = ground.but(color=(0.9, 0.92, 0.96), contrast=0.15)
    legs_only, seed, body = rng.random() < 0.5, int(rng.integers(1 << 30)), cloth(rng)
    walked = _progress(beat, step_s)
    swing = float(rng.uniform(0.36, 0.44) if step_s > 0.42 else rng.uniform(0.5, 0.6))

    def foot(t: Floats, side: int) -> tuple[Floats, Floats, Floats]:
        """Position along the way (in strides), height and pitch of one foot."""
        p = (walked.at(t) - side) / 2.0
        whole = np.floor(p + 1e-9)
        u = np.clip((p - whole - 1.0 + swing) / swing, 0.0, 1.0)
        ahead = u * u * (3.0 - 2.0 * u) * 0.55 + 0.45 * u
        lift = high * np.sin(np.pi * np.minimum(1.0, u * 1.0)) * (1.0 + 0.6 * (1 - u))
        pitch = np.where(u < 0.5, 0.9 * np.sin(2 * np.pi * u), -0.35 * np.sin(np.pi * (u - 0.5) * 2))
        return 2.0 * (whole + ahead), lift, np.where(u >= 1.0, 0.0, pitch)

    def draw(t: Floats) -> list[Shape]:
        steps = walked.at(t)
        hip_x = stride * (steps - 0.55)
        shift = hip_x if follows else 0.5 * stride * max(1, len(beat))
        hip_y = -leg * 0.97 + 0.02 * np.cos(2 * np.pi * steps)
        shapes: list[Shape] = []
        if follows:
            shapes.append(box(0.0, 0.45, 6.0, 0.45, ground.but(u=np.asarray(shift) * ground.scale)))
        for side in (0, 1):
            along, lift, pitch = foot(t, side)
            fx, fy = stride * (along + side) - shift, -lift - 0.05
            shapes += _leg(hip_x - shift, hip_y, fx, fy, pitch, leg, dress.lit(1.0 if side else 0.75), shoe.lit(1.0 if side else 0.8))
        if not legs_only:
            lean = 0.06
            shapes.append(capsule(hip_x - shift, hip_y, hip_x - shift + lean, hip_y - 0.5, 0.14, 0.16, body))
            shapes.append(ellipse(hip_x - shift + lean, hip_y - 0.78, 0.1, 0.12, body.lit(1.5)))
        return shapes

    def still(t: Floats) -> list[Shape]:
        return [] if follows else [table(fixed(seed), 0.0, ground)]

    where = np.full(len(beat), 0.55 * stride) if follows else stride * (np.arange(len(beat)) - 0.5 * max(1, len(beat)))
    voice = Hits(beat.times_s, beat.gains, *_step_sound(rng, label), spread=0.5)
    top = -leg if legs_only else -leg - 0.6
    return Script(
        label=label, events=events_at(beat, label, where, 0.0), draw=draw, still=still, voices=(voice,), level_db=-12.0,
        focus=((-0.25, 0.05), (0.25, 0.5 * top)), size=(0.3, 1.2), tilt=0.05,
    )  # fmt: skip


def _progress(beat: Rhythm, step_s: float) -> Track:
    """Steps made over time: k at contact k; in longer gaps the walker stands still on both feet."""
    first = float(beat.times_s[0]) if len(beat) else 0.0
    keys = [(min(-1.0, first - 2.0), -1.0, 1.0), (first - step_s, -1.0, 1.0)]
    for k, time_s in enumerate(beat.times_s):
        if time_s - keys[-1][0] > 1.35 * step_s:
            keys.append((float(time_s) - 1.1 * step_s, keys[-1][1], 1.0))
        keys.append((float(time_s), float(k), 1.0))
    return track(keys)


def _leg(hx, hy, fx, fy, pitch, leg, dress, shoe):  # type: ignore[no-untyped-def]
    """Thigh, shin and shoe; the knee bends forward."""
    dx, dy = fx - hx, fy - hy
    away = np.minimum(np.hypot(dx, dy), 0.999 * leg)
    bend = np.sqrt(np.maximum((0.5 * leg) ** 2 - (0.5 * away) ** 2, 0.0))
    kx, ky = hx + 0.5 * dx + bend * dy / np.maximum(away, 1e-3), hy + 0.5 * dy - bend * dx / np.maximum(away, 1e-3)
    toe_x, toe_y = fx + 0.13 * np.cos(pitch), fy + 0.02 + 0.13 * np.sin(pitch)
    return [
        capsule(hx, hy, kx, ky, 0.085, 0.065, dress),
        capsule(kx, ky, fx, fy, 0.062, 0.045, dress),
        capsule(fx - 0.03, fy + 0.015, toe_x, toe_y, 0.045, 0.032, shoe),
    ]


def _step_sound(rng: Generator, label: str):  # type: ignore[no-untyped-def]
    if label == "footsteps_wood":
        return materials.body(rng, "floor"), materials.contact(rng, "wood")
    if label == "footsteps_snow":
        crunch = Burst(float(rng.uniform(250, 600)), float(rng.uniform(2000, 4000)), float(rng.uniform(0.05, 0.11)), 1.0, 0.004, 140.0)
        return None, (crunch, Burst(60.0, 300.0, 0.04, 0.5))
    crunch = Burst(float(rng.uniform(900, 1800)), float(rng.uniform(6000, 9000)), float(rng.uniform(0.05, 0.12)), 1.0, 0.0, float(rng.uniform(120, 320)))
    return None, (crunch, Burst(80.0, 400.0, 0.03, 0.5))


def typing(rng: Generator, duration_s: float) -> Script:
    """Fingers press the keys of a keyboard."""
    beat = rhythm(rng, duration_s, fastest_s=0.075, slowest_s=0.3, kinds=("irregular", "bursts", "bursts", "pattern"))
    rows, columns = 4, int(rng.integers(9, 13))
    pitch = float(rng.uniform(0.07, 0.1))
    board, keys, hand, seed = paint(rng, contrast=(0.0, 0.2)), paint(rng, contrast=(0.0, 0.15)), skin(rng), int(rng.integers(1 << 30))
    fingers = rng.integers(0, 8, len(beat))
    row = rng.integers(0, rows, len(beat))
    tracks = [strike_track(beat.pick(fingers == f), random_swing(rng, heavy=0.0)) for f in range(8)]
    drift = [wobble(rng, fastest_hz=0.8) for _ in range(2)]
    depth = float(rng.uniform(0.02, 0.07))
    home = (np.arange(8) - 3.5 + np.where(np.arange(8) > 3, 0.8, -0.8)) * pitch * 0.95

    def draw(t: Floats) -> list[Shape]:
        shapes: list[Shape] = []
        age, index = since_last(t, beat.times_s)
        if len(beat):
            down = np.where(age < 0.08, 1.0, 0.0)
            shapes.append(box(home[fingers][index], (row[index] - 1.5) * pitch, 0.44 * pitch, 0.44 * pitch, keys.lit(0.55).but(alpha=down)))
        for side in (0, 1):
            shift = 0.02 * drift[side].at(t)
            px = float(home[4 * side : 4 * side + 4].mean()) + shift
            py = 0.33 + 0.5 * shift
            shapes.append(capsule(px + (side - 0.5) * 0.25, py + 0.55, px, py + 0.02, 0.08, 0.07, hand))
            shapes.append(ellipse(px, py, 0.13, 0.1, hand))
            for f in range(4 * side, 4 * side + 4):
                h = tracks[f].at(t)
                tip_y = 0.0 - depth * h + 0.3 * shift
                kx, ky = home[f] + 0.5 * (px - home[f]) * 0.5, 0.5 * (tip_y + py) - 0.6 * depth * h - 0.03
                shapes.append(capsule(px + (home[f] - px) * 0.8, py - 0.05, kx + 0.5 * (home[f] - kx), ky, 0.032, 0.03, hand.lit(0.92)))
                shapes.append(capsule(kx + 0.5 * (home[f] - kx), ky, home[f], tip_y, 0.03, 0.024, hand))
        return shapes

    def still(t: Floats) -> list[Shape]:
        x = (np.arange(columns * rows) % columns - 0.5 * (columns - 1)) * pitch
        y = (np.arange(columns * rows) // columns - 1.5) * pitch
        base = box(0.0, 0.02, 0.55 * columns * pitch, 0.62 * rows * pitch, board, corner=0.02)
        return [base, box(x[None, :], y[None, :], 0.42 * pitch, 0.42 * pitch, keys, corner=0.1 * pitch)]

    voice = Hits(beat.times_s, beat.gains, materials.body(rng, "plastic"), materials.contact(rng, "plastic"), spread=0.5)
    return Script(
        label="typing", events=events_at(beat, "typing", home[fingers], 0.0), draw=draw, still=still, voices=(voice,),
        level_db=-16.0, focus=((-0.3, -0.1), (0.3, 0.25)), size=(0.6, 1.7), tilt=0.3,
    )  # fmt: skip


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
            shapes += [capsule(ex, ey, x, y, 0.085, 0.055, look), capsule(ex, ey, 0.45 * (x + ex), 0.5 * (y + ey), 0.1, 0.09, sleeve)]
            shapes += open_hand((x, y), angle, size, look.lit(1.0 if side > 0 else 0.9), spread=0.3)
        return shapes

    base = float(np.exp(rng.uniform(np.log(500), np.log(1100))))
    slap = (Burst(base, base * float(rng.uniform(2.5, 5)), float(rng.uniform(0.012, 0.03)), 1.0), Burst(1500.0, 7500.0, 0.006, 0.6))
    voice = Hits(beat.times_s, beat.gains, None, slap, spread=0.5)
    return Script(
        label="hand_claps", events=events_at(beat, "hand_claps"), draw=draw, voices=(voice,), level_db=-5.0,
        focus=((-0.35, -0.1), (0.35, 0.2)), size=(0.25, 1.2), tilt=0.3,
    )  # fmt: skip


def dogs(rng: Generator, duration_s: float) -> Script:
    """A dog barks: the jaw opens and the head jerks with every bark."""
    beat = rhythm(rng, duration_s, fastest_s=0.26, slowest_s=1.3, kinds=("bursts", "irregular", "regular", "single", "pattern"))
    fur, dark, mouth = paint(rng, hue=(0.03, 0.12), colorful=(0.0, 0.6)), paint(rng, light=(0.02, 0.12)), paint(rng, hue=(0.97, 1.0), colorful=(0.4, 0.7))
    sway, jerk, gape = [wobble(rng) for _ in range(2)], float(rng.uniform(0.05, 0.16)), float(rng.uniform(0.4, 0.8))
    length = float(rng.uniform(0.12, 0.24))

    def draw(t: Floats) -> list[Shape]:
        age, index = since_last(t, beat.times_s)
        force = beat.strengths[index] if len(beat) else 0.0
        age = np.minimum(age, 9.0)
        open_ = force * np.where(age < 0.04, (age / 0.04) ** 0.5, np.exp(-(age - 0.04) / 0.07))
        kick = force * np.where(age < 0.05, age / 0.05, np.exp(-(age - 0.05) / 0.1))
        hx, hy = 0.03 * sway[0].at(t) + jerk * kick, 0.02 * sway[1].at(t) - 0.8 * jerk * kick
        a = -0.1 - 0.3 * kick
        low = a + 0.12 + gape * open_
        sx, sy = hx + 0.12 * np.cos(a), hy + 0.12 * np.sin(a) + 0.02
        return [
            ellipse(-0.45 + 0.3 * hx, 0.42 + 0.2 * hy, 0.42, 0.3, fur.lit(0.9)),
            capsule(-0.3 + 0.3 * hx, 0.3, hx - 0.06, hy + 0.06, 0.2, 0.13, fur),
            capsule(sx, sy + 0.03, sx + 0.8 * length * np.cos(low), sy + 0.03 + 0.8 * length * np.sin(low), 0.05, 0.035, fur.lit(0.85)),
            capsule(sx, sy + 0.02, sx + 0.7 * length * np.cos(0.5 * (a + low)), sy + 0.02 + 0.7 * length * np.sin(0.5 * (a + low)), 0.03, 0.02, mouth.but(alpha=open_ > 0.1)),
            ellipse(hx, hy, 0.16, 0.14, fur, angle=a),
            capsule(sx, sy, sx + length * np.cos(a), sy + length * np.sin(a), 0.065, 0.045, fur.lit(1.1)),
            ellipse(sx + length * np.cos(a), sy + length * np.sin(a) - 0.02, 0.03, 0.025, dark),
            ellipse(hx + 0.05, hy - 0.05, 0.02, 0.02, dark),
            capsule(hx - 0.07, hy - 0.09, hx - 0.12 - 0.05 * kick, hy + 0.06 - 0.18 * kick, 0.05, 0.04, fur.lit(0.6)),
        ]

    return Script(
        label="dog_bark", events=events_at(beat, "dog_bark", 0.2, 0.0), draw=draw, voices=_barks(rng, beat, duration_s), level_db=-5.0,
        focus=((-0.25, -0.15), (0.4, 0.3)), size=(0.35, 1.5), tilt=0.15,
    )  # fmt: skip


def _barks(rng: Generator, beat: Rhythm, duration_s: float):  # type: ignore[no-untyped-def]
    """A falling, rough, vowel-like tone and a breath for each bark."""
    t = control_times(duration_s)
    age, index = since_last(t, beat.times_s)
    age = np.minimum(age, 9.0)
    gain = beat.gains[index] if len(beat) else np.zeros(len(t))
    base, long_s = float(np.exp(rng.uniform(np.log(180), np.log(650)))), float(rng.uniform(0.05, 0.1))
    level = gain * np.where(age < 0.012, age / 0.012, np.exp(-((np.maximum(age - 0.012, 0) / long_s) ** 1.6)))
    level = np.where(age < 8.0, np.maximum(level, np.where(age < 0.006, 0.5 * gain, 0.0)), 0.0)
    hz = base * (0.75 + 0.5 * np.exp(-((age - 0.03) ** 2) / 0.003))
    formant = float(rng.uniform(2.0, 4.0))
    partials = tuple(float(np.exp(-((k - formant) ** 2) / 5.0) + 0.25 / k) for k in range(1, 15))
    rasp = Hits(beat.times_s, 0.5 * beat.gains, None, (Burst(1.5 * base, 9.0 * base, 0.8 * long_s, 1.0, 0.004),))
    return (Tone(hz, level, partials, 0.15, 0.05), rasp)


def birds(rng: Generator, duration_s: float) -> Script:
    """A bird on a branch chirps; the beak opens and the head bobs with each note."""
    beat = rhythm(rng, duration_s, fastest_s=0.13, slowest_s=1.2, kinds=("bursts", "bursts", "irregular", "pattern", "single"))
    feather, beak, dark, branch = paint(rng), paint(rng, hue=(0.08, 0.15), colorful=(0.3, 0.9)), paint(rng, light=(0.02, 0.1)), wood(rng)
    sway, jerk, gape = [wobble(rng) for _ in range(2)], float(rng.uniform(0.015, 0.06)), float(rng.uniform(0.5, 0.9))
    note_s = float(rng.uniform(0.04, 0.1))
    wing = feather.lit(0.7)

    def draw(t: Floats) -> list[Shape]:
        age, index = since_last(t, beat.times_s)
        age = np.minimum(age, 9.0)
        open_ = np.where(age < 0.03, age / 0.03, np.exp(-np.maximum(age - note_s, 0.0) / 0.03))
        hx, hy = 0.12 + 0.015 * sway[0].at(t) + 0.4 * jerk * open_, -0.22 + 0.01 * sway[1].at(t) - jerk * open_
        a = -0.05 - 0.3 * open_
        up, low = a - 0.5 * gape * open_, a + 0.15 + 0.6 * gape * open_
        bx, by = hx + 0.09, hy
        tail = -0.35 + 0.12 * open_
        return [
            capsule(-0.15, 0.02, -0.15 + 0.3 * np.cos(np.pi - tail), 0.02 + 0.3 * np.sin(np.pi - tail), 0.05, 0.03, wing),
            ellipse(0.0, -0.02, 0.2 + 0.01 * open_, 0.14 + 0.008 * open_, feather, angle=-0.5),
            ellipse(-0.05, 0.0, 0.14, 0.08, wing, angle=-0.3),
            capsule(bx, by + 0.01, bx + 0.1 * np.cos(low), by + 0.01 + 0.1 * np.sin(low), 0.022, 0.004, beak.lit(0.8)),
            capsule(bx, by, bx + 0.12 * np.cos(up), by + 0.12 * np.sin(up), 0.026, 0.004, beak),
            ellipse(hx, hy, 0.1, 0.095, feather.lit(1.1), angle=a),
            ellipse(hx + 0.04, hy - 0.02, 0.015, 0.015, dark),
        ]

    def still(t: Floats) -> list[Shape]:
        return [capsule(-3.0, 0.2, 3.0, 0.1, 0.05, 0.03, branch), capsule(0.02, 0.1, 0.03, 0.17, 0.01, 0.01, dark)]

    return Script(
        label="bird_chirp", events=events_at(beat, "bird_chirp", 0.25, -0.22), draw=draw, still=still,
        voices=(_chirps(rng, beat, note_s, duration_s),), level_db=-10.0, focus=((-0.25, -0.3), (0.3, 0.15)), size=(0.3, 1.5),
        tilt=0.2,
    )  # fmt: skip


def _chirps(rng: Generator, beat: Rhythm, note_s: float, duration_s: float) -> Tone:
    """Gliding whistles, one a beat, of a few kinds."""
    t = control_times(duration_s)
    age, index = since_last(t, beat.times_s)
    age = np.minimum(age, 9.0)
    kinds, number = int(rng.integers(1, 4)), max(1, len(beat))
    kind = rng.integers(0, kinds, number)[index]
    base = np.exp(rng.uniform(np.log(2200), np.log(4800), kinds))[kind]
    glide = rng.uniform(-0.5, 0.5, kinds)[kind]
    trill, depth = rng.uniform(15, 45, kinds)[kind], (rng.random(kinds) < 0.4)[kind] * 0.12
    u = np.clip(age / (1.4 * note_s), 0.0, 1.0)
    hz = base * (1.0 + glide * u + depth * np.sin(2 * np.pi * trill * age))
    gain = beat.gains[index] if len(beat) else np.zeros(len(t))
    level = gain * np.where(age < 1.4 * note_s, np.sin(np.pi * np.clip(u, 0.0, 1.0)) ** 0.5, 0.0)
    return Tone(hz, level, (1.0, 0.15, 0.05), 0.02, 0.003)
