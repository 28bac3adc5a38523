"""The words a scene is written in: events, voices that sound, and the script that joins them with a drawing.

A family writes a `Script` in its own units (the subject is about one unit tall, the origin is where things touch, y
points down); `world` places it in a picture; `film` and `render` draw it; `sound` plays it. This file knows neither
pixels nor samples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mfv2a.scenes.shapes import Drawing, Floats, no_shapes

CONTROL_HZ = 200.0
"""Rate of the slow curves that drive continuous sounds."""


@dataclass(frozen=True, slots=True)
class Event:
    """A contact that sounds, and that is seen: but for one of fifty, whose place lies outside the picture.

    Attributes:
        time_s: moment of contact, which is also the onset of its sound.
        label: one of `LABELS`.
        strength: 0 (just audible) to 1 (as hard as this scene gets).
        x, y: where: in a script in the family's own units, in a scene as fractions of the picture from its left top.
    """

    time_s: float
    label: str
    strength: float
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Modes:
    """A body that rings: a sum of decaying partials.

    Attributes:
        hz, decay_s, gain: one value a partial; `decay_s` is the time to 1/e.
    """

    hz: Floats
    decay_s: Floats
    gain: Floats


@dataclass(frozen=True, slots=True)
class Burst:
    """A short noise.

    Attributes:
        low_hz, high_hz: its band.
        decay_s: time to 1/e.
        gain: against the partials.
        attack_s: rise time.
        grain_hz: 0 for smooth noise, else clicks per second (gravel, crunching).
    """

    low_hz: float
    high_hz: float
    decay_s: float
    gain: float = 1.0
    attack_s: float = 0.0
    grain_hz: float = 0.0


@dataclass(frozen=True, slots=True)
class Hits:
    """Struck sounds at given moments.

    Attributes:
        times_s: [N] onsets.
        gains: [N] linear peak gains.
        modes: what rings, or None.
        bursts: noises that go with each hit.
        spread: how much hits differ from one another (0..1).
    """

    times_s: Floats
    gains: Floats
    modes: Modes | None = None
    bursts: tuple[Burst, ...] = ()
    spread: float = 0.3


@dataclass(frozen=True, slots=True)
class Noise:
    """A steady noise whose level follows a curve.

    Attributes:
        level: [M] linear RMS gain at CONTROL_HZ.
        low_hz, high_hz: band edges, each falling softly.
        slope_db: fall per octave within the band.
        flutter: depth of slow random level changes (0..1), flutter_hz their speed.
        flutter_hz: upper frequency of the flutter.
    """

    level: Floats
    low_hz: float
    high_hz: float
    slope_db: float = 3.0
    flutter: float = 0.0
    flutter_hz: float = 4.0


@dataclass(frozen=True, slots=True)
class Grains:
    """Many small random hits (drops, crackles, pebbles), their density following a curve.

    Attributes:
        rate: [M] grains per second at CONTROL_HZ.
        gain: peak of a typical grain.
        low_hz, high_hz: range of their pitch.
        decay_s: typical time to 1/e.
        noisy: 0 for tonal blips, 1 for noise clicks.
    """

    rate: Floats
    gain: float
    low_hz: float
    high_hz: float
    decay_s: float
    noisy: float = 0.5


@dataclass(frozen=True, slots=True)
class Tone:
    """A pitched voice that glides.

    Attributes:
        hz: [M] pitch at CONTROL_HZ.
        level: [M] linear gain.
        partials: gain of each harmonic.
        breath: share of noise following the level.
        jitter: random pitch deviation (fraction).
    """

    hz: Floats
    level: Floats
    partials: tuple[float, ...] = (1.0,)
    breath: float = 0.0
    jitter: float = 0.0


Voice = Hits | Noise | Grains | Tone


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What one scene shows and plays, before it is placed in a picture.

    Attributes:
        label: what is heard, one of `LABELS`.
        events: visible contacts with x, y in the family's own units.
        draw: moving shapes.
        still: fixed shapes, drawn once behind the moving ones.
        voices: what sounds.
        level_db: peak (struck) or RMS (steady) level aimed at, before a random change of a few dB.
        focus: points (x, y) of the subject that must stay in the picture.
        size: range of the subject's scale (1: the subject's unit is the picture's height).
        light: gain of the whole picture over time (flashes), or None.
        full_picture: the scene is given in picture units (rain, waves) and is not placed.
        tilt: largest turn of the subject in radians.
        backdrop: texture indices that fit behind, empty for any.
        bystanders: whether silent moving distractors may be added.
        restless: how much the camera may move (0 none, 1 usual).
        night: whether the backdrop must be dark.
        intensity: RMS of the curve that drives a steady sound; it lowers level_db when little moves.
        parts: sub-frames drawn for motion blur.
    """

    label: str
    events: tuple[Event, ...] = ()
    draw: Drawing = no_shapes
    still: Drawing = no_shapes
    voices: tuple[Voice, ...] = ()
    level_db: float = -6.0
    focus: tuple[tuple[float, float], ...] = ((0.0, 0.0),)
    size: tuple[float, float] = (0.3, 1.1)
    light: Callable[[Floats], Floats] | None = None
    full_picture: bool = False
    tilt: float = 0.12
    backdrop: tuple[int, ...] = ()
    bystanders: bool = True
    restless: float = 1.0
    night: bool = False
    intensity: float = 1.0
    parts: int = 3
