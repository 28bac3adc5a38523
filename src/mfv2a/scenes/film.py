"""From a scene to frames: lays the backdrops, moves the camera, runs the rasteriser."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mfv2a.scenes.bystanders import draw_bystanders
from mfv2a.scenes.exposure import NOISE_SIDE, expose_frames
from mfv2a.scenes.packing import pack
from mfv2a.scenes.placement import Placement
from mfv2a.scenes.render import LUMA, draw_shapes
from mfv2a.scenes.script import Script
from mfv2a.scenes.shapes import Shape
from mfv2a.scenes.textures import texture_bank
from mfv2a.scenes.world import World

MARGIN = 0.3
"""How far the backdrop reaches beyond the picture, in picture heights."""

CHUNK_BYTES = 64 << 20
"""Pixels held at a time."""


@lru_cache(maxsize=2)
def _grain(coarse: bool) -> NDArray[np.float32]:
    """A noise table of unit deviation; coarse noise is shared by neighbours, as compression leaves it."""
    noise = np.random.default_rng(7 + coarse).normal(size=(NOISE_SIDE, NOISE_SIDE))
    if coarse:
        for axis in (0, 1):
            noise = noise + np.roll(noise, 1, axis) + np.roll(noise, 2, axis)
    return np.asarray(noise / noise.std(), np.float32)


def film_times(frames: int, fps: float, source_fps: float) -> NDArray[np.float64]:
    """When the camera's frames start that an output at `fps` shows: the first source frame at or after each k / fps."""
    wanted = np.arange(frames) / fps
    return np.asarray(np.ceil(wanted * source_fps - 1e-6) / source_fps)


@dataclass(frozen=True, slots=True)
class Reel:
    """What is to be filmed: a script in its world, for duration_s, with the seed of the sensor's noise."""

    seed: int
    duration_s: float
    script: Script
    world: World


def shoot(
    reel: Reel, fps: float, width_px: int, height_px: int, *, gray: bool, as_filmed: bool, own_rate: bool
) -> Iterator[NDArray[np.uint8]]:
    """Film a scene.

    Args:
        reel: what.
        fps: frames per second.
        width_px: frame width.
        height_px: frame height.
        gray: one luma channel.
        as_filmed: with the camera's contrast, noise, blur and frame rate.
        own_rate: the camera has a rate of its own; False for one that films at `fps`.

    Yields:
        The frames in order, some at a time: [T, H, W, 3] or, gray, [T, H, W] uint8.
    """
    script, world, sensor = reel.script, reel.world, reel.world.sensor
    frames, channels, parts = max(1, round(reel.duration_s * fps)), 1 if gray else 3, script.parts
    rate = sensor.source_fps if as_filmed and own_rate else fps
    starts = film_times(frames, fps, rate)
    inner = (np.arange(parts) + 0.5) / parts * sensor.shutter / rate
    views = world.camera.views(starts + inner.mean(), world.aspect, width_px, height_px)
    which = np.searchsorted(world.camera.cuts_s, starts, side="right")
    moments = np.add.outer(starts, inner)
    gains = _gains(reel, starts, moments, sensor.gain if as_filmed else 1.0)
    backdrops, bview = _lay_backdrops(script, world, width_px, height_px, channels)
    offsets = np.random.default_rng((reel.seed, 5)).integers(0, NOISE_SIDE, (frames, 2))
    lift, noise, blur = (sensor.lift, sensor.noise, sensor.blur) if as_filmed else (0.0, min(sensor.noise, 1.0), 0.0)
    finish = np.array([lift, sensor.vignette, noise, blur])
    step = max(1, min(frames, CHUNK_BYTES // (width_px * height_px * channels)))
    for first in range(0, frames, step):
        some = slice(first, min(frames, first + step))
        t = moments[some].ravel()
        packed = pack(draw_bystanders(world.bystanders, world.aspect, t) + script.draw(t), len(t), world.place)
        out = np.empty((some.stop - first, height_px, width_px, channels), np.uint8)
        expose_frames(
            packed.values, packed.kinds, packed.textures, texture_bank(), backdrops, which[some], bview, views[some],
            gains[some], finish, _grain(sensor.coarse), offsets[some], LUMA, out,
        )  # fmt: skip
        yield out[..., 0] if gray else out


def _gains(reel: Reel, starts: NDArray[np.float64], moments: NDArray[np.float64], gain: float) -> NDArray[np.float64]:
    """Brightness of each frame [T]: contrast, flicker and the script's own light, averaged over the exposure [T, S]."""
    sensor = reel.world.sensor
    gains = gain * (1.0 + sensor.flicker[0] * np.sin(2 * np.pi * sensor.flicker[1] * starts))
    if reel.script.light is not None:
        gains = gains * reel.script.light(moments.ravel()).reshape(moments.shape).mean(axis=1)
    return np.asarray(gains)


def _lay_backdrops(
    script: Script, world: World, width_px: int, height_px: int, channels: int
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """All backdrops [N, rows, columns, C] and their layout [4]: x0, per column, y0, per row."""
    px, py = world.aspect / width_px, 1.0 / height_px
    columns, rows = int((world.aspect + 2 * MARGIN) / px) + 2, int((1.0 + 2 * MARGIN) / py) + 2
    bview = np.array([-MARGIN, px, -MARGIN, py])
    still = script.still(np.zeros(1))
    layers = [
        _paint_backdrop([*shapes, *still], world.place, (rows, columns, channels), bview) for shapes in world.backdrops
    ]
    return np.stack(layers), bview


def _paint_backdrop(
    shapes: Sequence[Shape], place: Placement, size: tuple[int, int, int], bview: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Draw fixed shapes once on a larger canvas.

    Args:
        shapes: what stands still, in order.
        place: where the subject stands.
        size: (rows, columns, channels).
        bview: [4] x0, dx/dcolumn, y0, dy/drow.

    Returns:
        [rows, columns, channels] float32.
    """
    canvas = np.full(size, 0.4, np.float32)
    packed = pack(shapes, 1, place)
    view = np.array([bview[0], bview[1], 0.0, bview[2], 0.0, bview[3]])
    draw_shapes(canvas, packed.values[0], packed.kinds, packed.textures, texture_bank(), view, LUMA)
    return canvas
