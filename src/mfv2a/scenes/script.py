"""The words a scene is written in: events, shapes that move, voices that sound.

A family writes a `Script` in its own units (the subject is about one unit tall, the origin is where things
touch, y points down); `world` places it in a picture; `render` draws it; `sound` plays it. This file knows
neither pixels nor samples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

ELLIPSE, BOX, CAPSULE = 0, 1, 2

CONTROL_HZ = 200.0
"""Rate of the slow curves that drive continuous sounds."""


@dataclass(frozen=True, slots=True)
class Event:
    """A visible contact that sounds.

    Attributes:
        time_s: moment of contact, which is also the onset of its sound.
        label: one of `LABELS`.
        strength: 0 (just audible) to 1 (as hard as this scene gets).
        x, y: where, as fractions of the picture from its left and top edge.
    """

    time_s: float
    label: str
    strength: float
    x: float
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Paint:
    """How a shape looks; every value may be a number, an array [K] over time or [K, n] over time and items.

    Attributes:
        color: linear red, green and blue in 0..1.
        texture: index into the texture bank (fixed in time).
        scale: texture tiles per unit of length.
        contrast: strength of the texture, 0 (flat) to 1.
        alpha: opacity.
        u, v: texture offset in tiles; moving it makes the surface flow.
        soft: width of the edge in units of length.
        cut: 0, or the texture value below which the shape is transparent (flames, foam, leaves).
        warp: amplitude of a wavy displacement of the texture, in tiles.
        phase: its phase in turns.
        shade: light from above, 0 (flat) to 1 (round).
        rough: raggedness of the outline in units of length.
    """

    color: tuple[float, float, float] = (0.5, 0.5, 0.5)
    texture: int = 0
    scale: ArrayLike = 1.0
    contrast: ArrayLike = 0.3
    alpha: ArrayLike = 1.0
    u: ArrayLike = 0.0
    v: ArrayLike = 0.0
    soft: ArrayLike = 0.0
    cut: ArrayLike = 0.0
    warp: ArrayLike = 0.0
    phase: ArrayLike = 0.0
    shade: ArrayLike = 0.2
    rough: ArrayLike = 0.0

    def but(self, **changes: object) -> Paint:
        """The same paint with some values changed."""
        return replace(self, **changes)  # type: ignore[arg-type]

    def lit(self, gain: float) -> Paint:
        """The same paint, brighter or darker."""
        r, g, b = self.color
        return replace(self, color=(min(1.0, r * gain), min(1.0, g * gain), min(1.0, b * gain)))


@dataclass(frozen=True, slots=True)
class Shape:
    """A group of n like shapes over K moments.

    Attributes:
        kind: ELLIPSE (x, y, half width, half height, angle, 0), BOX (the same, last is corner radius) or
            CAPSULE (x, y, x2, y2, radius, radius2).
        geometry: those six, each a number, an array [K] or an array broadcastable to [K, n].
        paint: its look.
        placed: False for shapes given in picture units (backdrop, rain) that ignore the subject's placement.
    """

    kind: int
    geometry: tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike, ArrayLike, ArrayLike]
    paint: Paint
    placed: bool = True


def ellipse(
    x: ArrayLike, y: ArrayLike, a: ArrayLike, b: ArrayLike, paint: Paint, *, angle: ArrayLike = 0.0, placed: bool = True
) -> Shape:
    """An ellipse with half axes a, b, turned by `angle` radians (clockwise as seen)."""
    return Shape(ELLIPSE, (x, y, a, b, angle, 0.0), paint, placed)


def box(
    x: ArrayLike,
    y: ArrayLike,
    a: ArrayLike,
    b: ArrayLike,
    paint: Paint,
    *,
    angle: ArrayLike = 0.0,
    corner: ArrayLike = 0.0,
    placed: bool = True,
) -> Shape:
    """A rectangle with half sides a, b."""
    return Shape(BOX, (x, y, a, b, angle, corner), paint, placed)


def capsule(
    x1: ArrayLike, y1: ArrayLike, x2: ArrayLike, y2: ArrayLike, r1: ArrayLike, r2: ArrayLike, paint: Paint, *, placed: bool = True
) -> Shape:
    """A limb from (x1, y1) to (x2, y2), r1 thick at its start and r2 at its end."""
    return Shape(CAPSULE, (x1, y1, x2, y2, r1, r2), paint, placed)


@dataclass(frozen=True, slots=True)
class Modes:
    """A body that rings: a sum of decaying partials.

    Attributes:
        hz, decay_s, gain: one value a partial; `decay_s` is the time to 1/e.
        attack_s: time for the body to speak; 0 for a hard contact.
    """

    hz: Floats
    decay_s: Floats
    gain: Floats
    attack_s: float = 0.0


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

Drawing = Callable[[Floats], list[Shape]]
"""Shapes at the moments t [K] in seconds; called with any t, so it must be a pure function."""


def no_shapes(t: Floats) -> list[Shape]:
    """Draw nothing."""
    return []


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What one scene shows and plays, before it is placed in a picture.

    Attributes:
        label: what is heard, one of `LABELS`.
        events: visible contacts with x, y in the family's own units (see `Contact`).
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
