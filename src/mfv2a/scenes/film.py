"""From a scene to frames: lays the backdrops, moves the camera, runs the rasteriser."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mfv2a.scenes.render import LUMA, NOISE_SIDE, expose_frames, pack, paint_backdrop
from mfv2a.scenes.script import Script
from mfv2a.scenes.textures import texture_bank
from mfv2a.scenes.world import World

if TYPE_CHECKING:
    from mfv2a.scenes.scene import Scene

MARGIN = 0.3
"""How far the backdrop reaches beyond the picture, in picture heights."""

CHUNK_BYTES = 64 << 20
"""Packed shapes held at a time."""


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


def shoot(
    scene: Scene,
    script: Script,
    world: World,
    fps: float,
    width_px: int,
    height_px: int,
    *,
    gray: bool,
    as_filmed: bool,
) -> NDArray[np.uint8]:
    """Render a scene; see `Scene.render`."""
    frames = max(1, round(scene.duration_s * fps))
    sensor = world.sensor
    rate = sensor.source_fps if as_filmed else fps
    starts = film_times(frames, fps, rate)
    parts = script.parts
    inner = (np.arange(parts) + 0.5) / parts * sensor.shutter / rate
    rng = np.random.default_rng((scene.seed, 5))
    views = world.camera.views(starts + inner.mean(), world.aspect, width_px, height_px)
    which = np.searchsorted(world.camera.cuts_s, starts, side="right")
    gains = sensor.gain * (1.0 + sensor.flicker[0] * np.sin(2 * np.pi * sensor.flicker[1] * starts))
    if script.light is not None:
        gains = gains * script.light(np.add.outer(starts, inner).ravel()).reshape(frames, parts).mean(axis=1)
    channels = 1 if gray else 3
    backdrops, bview = _lay_backdrops(script, world, width_px, height_px, channels)
    offsets = rng.integers(0, NOISE_SIDE, (frames, 2))
    filter_ = np.array([sensor.lift, sensor.vignette, sensor.noise, sensor.blur if as_filmed else 0.0])
    if not as_filmed:
        filter_[2] = min(sensor.noise, 1.0)
    out = np.empty((frames, height_px, width_px, channels), np.uint8)
    step = max(1, min(frames, int(CHUNK_BYTES / (parts * 80 * 250))))
    for first in range(0, frames, step):
        some = slice(first, min(frames, first + step))
        t = np.add.outer(starts[some], inner).ravel()
        packed = pack(scene.shapes(t), len(t), world.place)
        expose_frames(
            packed.values, packed.kinds, packed.textures, texture_bank(), backdrops, which[some], bview, views[some],
            gains[some], filter_, _grain(sensor.coarse), offsets[some], LUMA, out[some],
        )  # fmt: skip
    return out[..., 0] if gray else out


def _lay_backdrops(
    script: Script, world: World, width_px: int, height_px: int, channels: int
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """All backdrops [N, rows, columns, C] and their layout [4]: x0, per column, y0, per row."""
    px, py = world.aspect / width_px, 1.0 / height_px
    columns, rows = int((world.aspect + 2 * MARGIN) / px) + 2, int((1.0 + 2 * MARGIN) / py) + 2
    bview = np.array([-MARGIN, px, -MARGIN, py])
    still = script.still(np.zeros(1))
    layers = [paint_backdrop([*shapes, *still], world.place, (rows, columns, channels), bview) for shapes in world.backdrops]
    return np.stack(layers), bview
