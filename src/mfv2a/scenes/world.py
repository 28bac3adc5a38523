"""Around a script: the place of the subject, backdrop, camera, sensor and silent bystanders.

This is where one script becomes many films. Knows no sound.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from mfv2a.scenes.bystanders import Bystander, invite
from mfv2a.scenes.curves import since_last
from mfv2a.scenes.parts import paint
from mfv2a.scenes.placement import Placement
from mfv2a.scenes.script import Script
from mfv2a.scenes.shapes import Floats, Shape, box, ellipse
from mfv2a.scenes.slow import Wobble, wobble
from mfv2a.scenes.textures import NAMES

SOURCE_FPS = ((25.0, 0.42), (30.0, 0.3), (24.0, 0.1), (50.0, 0.05), (60.0, 0.07), (15.0, 0.04), (20.0, 0.02))


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """A camera that looks at the subject.

    Attributes:
        anchor: picture position that zooming and turning leave in place.
        sway: (amplitude, wobble) of dx, dy, turn and zoom.
        drift: constant pan, picture units per second, around the middle of the scene.
        jolt: amplitude of the shake that a hit gives the camera.
        hits_s: [N] when.
        cuts_s: [n] when the framing changes.
        framings: n + 1 of (zoom, dx, dy).
    """

    anchor: tuple[float, float]
    sway: tuple[tuple[float, Wobble], ...]
    drift: tuple[float, float, float]
    middle_s: float
    jolt: float
    hits_s: Floats
    cuts_s: Floats
    framings: tuple[tuple[float, float, float], ...]

    def pose(self, t: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Shift x, shift y, turn (radians) and zoom at the moments t [K]."""
        dx, dy, turn, zoom = (gain * w.at(t) if gain else np.zeros(len(t)) for gain, w in self.sway)
        late = np.clip(t - self.middle_s, -4.0, 4.0)
        dx, dy, zoom = dx + self.drift[0] * late, dy + self.drift[1] * late, zoom + self.drift[2] * late
        if self.jolt:
            age, _ = since_last(t, self.hits_s)
            dy = dy + self.jolt * np.exp(-np.minimum(age, 9.0) / 0.07) * np.sin(2 * np.pi * 11.0 * np.minimum(age, 9.0))
        frame = np.asarray(self.framings)[np.searchsorted(self.cuts_s, t, side="right")]
        return dx + frame[:, 1], dy + frame[:, 2], turn, np.exp(zoom) * frame[:, 0]

    def views(self, t: Floats, aspect: float, width_px: int, height_px: int) -> Floats:
        """[K, 6] picture position of each pixel: x0, per column, per row, y0, per column, per row."""
        dx, dy, turn, zoom = self.pose(t)
        cos, sin = np.cos(turn) / zoom, np.sin(turn) / zoom
        px, py = aspect / width_px, 1.0 / height_px
        fx, fy = 0.5 * px - self.anchor[0], 0.5 * py - self.anchor[1]
        x0 = self.anchor[0] + dx + cos * fx - sin * fy
        y0 = self.anchor[1] + dy + sin * fx + cos * fy
        return np.stack([x0, cos * px, -sin * py, y0, sin * px, cos * py], axis=1)

    def seen(self, t: Floats, x: Floats, y: Floats, aspect: float) -> tuple[Floats, Floats]:
        """Fractions of the frame at which points (x, y) [K] of the picture are seen at the moments t [K]."""
        dx, dy, turn, zoom = self.pose(t)
        ux, uy = x - self.anchor[0] - dx, y - self.anchor[1] - dy
        cos, sin = np.cos(turn) * zoom, np.sin(turn) * zoom
        return (self.anchor[0] + cos * ux + sin * uy) / aspect, self.anchor[1] - sin * ux + cos * uy


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensor:
    """What filming adds.

    Attributes:
        source_fps: rate of the camera; other rates than the output's skip or repeat moments, as real files do.
        shutter: exposed share of a frame.
        gain, lift: contrast and black level.
        flicker: (amplitude, Hz) of the light.
        vignette: darkening of the corners.
        noise: grey levels of noise.
        coarse: whether neighbouring pixels share noise (as after compression).
        blur: side weight of the 3 x 3 smoothing.
    """

    source_fps: float
    shutter: float
    gain: float
    lift: float
    flicker: tuple[float, float]
    vignette: float
    noise: float
    coarse: bool
    blur: float


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """All that surrounds one script; `backdrops` holds one list of shapes a framing."""

    aspect: float
    place: Placement
    backdrops: tuple[tuple[Shape, ...], ...]
    camera: Camera
    sensor: Sensor
    bystanders: tuple[Bystander, ...]


def build_world(rng: Generator, script: Script, duration_s: float, aspect: float | None) -> World:
    """Draw everything around a script."""
    if aspect is None:
        aspect = float(rng.choice([16 / 9, 4 / 3, 1.0, 9 / 16, 1.85], p=[0.5, 0.2, 0.1, 0.12, 0.08]))
    place = _place(rng, script, aspect)
    camera = _camera(rng, script, place, duration_s, aspect)
    backdrops = tuple(tuple(_backdrop(rng, script, aspect)) for _ in camera.framings)
    bystanders = invite(rng) if script.bystanders else ()
    return World(
        aspect=aspect, place=place, backdrops=backdrops, camera=camera, sensor=_sensor(rng), bystanders=bystanders
    )


def _place(rng: Generator, script: Script, aspect: float) -> Placement:
    if script.full_picture:
        return Placement(0.0, 0.0, 1.0, 0.0, False)
    low, high = script.size
    scale = float(np.exp(rng.uniform(np.log(low), np.log(high)))) * min(1.0, 0.55 + 0.45 * aspect)
    mirror = bool(rng.random() < 0.5)
    origin = Placement(0.0, 0.0, scale, float(rng.normal(0.0, 0.5)) * script.tilt, mirror)
    points = np.asarray(script.focus, np.float64)
    xs, ys = origin.point(points[:, 0], points[:, 1])
    x = _fit(rng, float(xs.min()), float(xs.max()), aspect)
    y = _fit(rng, float(ys.min()), float(ys.max()), 1.0)
    return Placement(x, y, scale, origin.angle, mirror)


def _fit(rng: Generator, low: float, high: float, length: float) -> float:
    """An offset that keeps [low, high] within the middle of a side of the given length, if it fits at all."""
    start, end = 0.14 * length - low, 0.86 * length - high
    if end <= start:
        return 0.5 * (start + end)
    return start + (end - start) * float(rng.beta(1.3, 1.3))


def _camera(rng: Generator, script: Script, place: Placement, duration_s: float, aspect: float) -> Camera:
    steady = script.restless * float(rng.choice([0.0, 0.3, 1.0, 2.2], p=[0.4, 0.25, 0.25, 0.1]))
    low_hz, high_hz, count = (0.5, 5.0, 5) if rng.random() < 0.35 else (0.1, 0.9, 3)
    sway = tuple(
        (gain * steady, wobble(rng, slowest_hz=low_hz, fastest_hz=high_hz, count=count))
        for gain in (0.009, 0.009, 0.007, 0.012)
    )
    drift = [0.0, 0.0, 0.0]
    if rng.random() < 0.25 * script.restless:
        drift = [float(rng.normal(0, 0.012)), float(rng.normal(0, 0.007)), float(rng.normal(0, 0.015))]
    cuts = np.sort(rng.uniform(0.15, 0.85, int(rng.integers(1, 3)))) * duration_s if rng.random() < 0.1 else np.zeros(0)
    framings = [(1.0, 0.0, 0.0)]
    for _ in cuts:
        framings.append(
            (float(np.exp(rng.uniform(-0.25, 0.4))), float(rng.normal(0, 0.03)), float(rng.normal(0, 0.03)))
        )
    x, y = place.point(*(np.mean(np.asarray(script.focus), axis=0)))
    anchor = (0.5 * aspect, 0.5) if script.full_picture else (float(x), float(y))
    hits = np.asarray([event.time_s for event in script.events])
    jolt = float(rng.uniform(0.002, 0.008)) if rng.random() < 0.15 * script.restless else 0.0
    return Camera(
        anchor=anchor, sway=sway, drift=(drift[0], drift[1], drift[2]), middle_s=0.5 * duration_s,
        jolt=jolt, hits_s=hits, cuts_s=cuts, framings=tuple(framings),
    )  # fmt: skip


def _sensor(rng: Generator) -> Sensor:
    rates, odds = zip(*SOURCE_FPS, strict=True)
    flat = rng.random() < 0.3
    return Sensor(
        source_fps=float(rng.choice(rates, p=odds)),
        shutter=float(rng.uniform(0.15, 0.95)),
        gain=float(rng.uniform(0.3, 0.6) if flat else rng.uniform(0.65, 1.1)),
        lift=float(rng.uniform(0.0, 0.3) if flat else rng.uniform(0.0, 0.05)),
        flicker=(float(rng.exponential(0.008)) if rng.random() < 0.4 else 0.0, float(rng.uniform(0.5, 11.0))),
        vignette=float(rng.uniform(0.0, 0.2) if rng.random() < 0.5 else 0.0),
        noise=float(rng.exponential(1.6)) if rng.random() < 0.8 else 0.0,
        coarse=bool(rng.random() < 0.5),
        blur=float(rng.uniform(0.03, 0.25) if rng.random() < 0.5 else 0.0),
    )


def _backdrop(rng: Generator, script: Script, aspect: float) -> list[Shape]:
    """A wall, perhaps a floor, a gradient and some furniture; in picture units."""
    names = tuple(NAMES[i] for i in script.backdrop) or (
        "haze", "grit", "wood", "bricks", "tiles", "foliage", "grass", "pebbles", "marble", "weave", "stripes", "room",
        "bokeh", "speckle", "clouds", "skin", "brushed", "plaid", "shelves", "bark",
    )  # fmt: skip
    middle = 0.5 * aspect
    wall = paint(
        rng, textures=names, scale=(0.4, 2.5), contrast=(0.05, 0.85), light=(0.01, 0.2) if script.night else (0.15, 0.9)
    )
    shapes = [
        box(
            middle,
            0.5,
            4.0,
            3.0,
            wall.but(shade=float(rng.uniform(0, 1.5))),
            angle=float(rng.normal(0, 0.05)),
            placed=False,
        )
    ]
    if rng.random() < 0.4 and not script.night:
        haze = paint(rng, textures=("haze", "clouds"), scale=(0.2, 0.8), contrast=(0.2, 0.9)).but(
            alpha=float(rng.uniform(0.2, 0.6))
        )
        shapes.append(box(middle, 0.5, 4.0, 3.0, haze, placed=False))
    if script.backdrop:
        return shapes
    for _ in range(int(rng.choice([0, 0, 1, 2, 4, 7]))):
        look = paint(rng, textures=names)
        x, y = float(rng.uniform(-0.2, aspect + 0.2)), float(rng.uniform(-0.1, 1.1))
        a, b = float(rng.uniform(0.03, 0.3)), float(rng.uniform(0.03, 0.35))
        if rng.random() < 0.65:
            shapes.append(box(x, y, a, b, look, angle=float(rng.normal(0, 0.1)), placed=False))
        else:
            shapes.append(ellipse(x, y, a, b, look.but(rough=0.03 * float(rng.random())), placed=False))
    return shapes
