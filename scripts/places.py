"""Scenes seen from elsewhere, or at other rates: what happens takes a part of the picture only, or is filmed slower.

    python scripts/places.py --first-seed 60000 --scenes 4096 --out data/places     # goes on with what is missing

A file for every 64 scenes, with the motion of six views of each: as it is drawn, small at a random place before a
margin that is still, small where all around something else moves (`scripts/calm.py`), nearer, with a part of the
picture out of sight, with 8 to 16 pictures a second, in some files each of them several times, and with 24 to 60;
beside it the onset curve and the class. Several of these commands may draw into one folder, with seeds of their own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from calm import calm_frames, draw_files
from numpy.typing import NDArray

from mfv2a.data.targets import onset_curve
from mfv2a.media.grids import NEAREST
from mfv2a.media.motion import MOTION_FPS, MOTION_SIZE_PX, MotionMeter, motion_features
from mfv2a.media.times import CLOCK_SLACK_S
from mfv2a.scenes import LABELS, Scene, make_scene

SHARD = 64
SMALLEST, LARGEST, STRETCH = 0.42, 0.95, 0.25
MOST_NEAR, LEAST_NEAR = 0.72, 0.95
MARGINS = ("edge", "black", "gray")
MARGIN_SHARES = (0.55, 0.25, 0.2)
GRAYS = (20, 200)
SLOW, USUAL = (8.0, 10.0, 12.0, 15.0, 16.0), (24.0, 24000 / 1001, 30.0, 30000 / 1001, 60.0)
REPEATED_SHARE, REPEATED = 0.4, (24.0, 25.0, 30.0)
CODING = 0.25  # mean deviation of a repeated picture's pixels

Frames = NDArray[np.uint8]


class Views(NamedTuple):
    """What is known of scenes.

    Attributes:
        motion: [N, 6, T, F], of the scene as it is, small, small amid what moves, nearer, filmed slowly, and otherwise.
        onset: onset curves [N, T]; label: classes [N].
    """

    motion: NDArray[np.float16]
    onset: NDArray[np.float16]
    label: NDArray[np.int64]


def _place(rng: np.random.Generator, side: int) -> tuple[int, int, int, int]:
    """Left, top, width and height of a random part of a picture, in pixels."""
    zoom, stretch = rng.uniform(SMALLEST, LARGEST), np.exp(rng.uniform(-STRETCH, STRETCH))
    width, height = (int(np.clip(round(side * part), 40, side)) for part in (zoom * stretch, zoom / stretch))
    return int(rng.integers(0, side - width + 1)), int(rng.integers(0, side - height + 1)), width, height


def _shrunk(frames: Frames, width: int, height: int) -> Iterator[NDArray[np.uint8]]:
    """The frames [T, H, W], smaller."""
    for frame in frames:
        small = cv2.resize(np.ascontiguousarray(frame), (width, height), interpolation=cv2.INTER_AREA)
        yield np.asarray(small, np.uint8)


def small(frames: Frames, rng: np.random.Generator) -> Frames:
    """The frames [T, H, W] as a part of the picture at a random place, before a margin that does not move."""
    side = frames.shape[1]
    left, top, width, height = _place(rng, side)
    margin = rng.choice(MARGINS, p=MARGIN_SHARES)
    kind = cv2.BORDER_REPLICATE if margin == "edge" else cv2.BORDER_CONSTANT
    value = float(rng.integers(*GRAYS)) if margin == "gray" else 0.0
    around = (top, side - height - top, left, side - width - left)
    shown = (cv2.copyMakeBorder(frame, *around, kind, value=value) for frame in _shrunk(frames, width, height))
    return np.stack(list(shown)).astype(np.uint8)


def amid(frames: Frames, rng: np.random.Generator) -> Frames:
    """The frames [T, H, W] as a part of the picture at a random place, all around other things that move."""
    left, top, width, height = _place(rng, frames.shape[1])
    pictures = []
    for around, frame in zip(calm_frames(rng, len(frames)), _shrunk(frames, width, height), strict=True):
        around[top : top + height, left : left + width] = frame
        pictures.append(around)
    return np.stack(pictures)


def nearer(frames: Frames, rng: np.random.Generator) -> Frames:
    """A window of the frames [T, H, W], as large as they were."""
    side = frames.shape[1]
    window = round(side * rng.uniform(MOST_NEAR, LEAST_NEAR))
    left, top = (int(rng.integers(0, side - window + 1)) for _ in range(2))
    cut = (np.ascontiguousarray(f[top : top + window, left : left + window]) for f in frames)
    return np.stack([cv2.resize(f, (side, side), interpolation=cv2.INTER_LINEAR) for f in cut]).astype(np.uint8)


def filmed(scene: Scene, fps: float, shown_fps: float | None = None, coding: float = 0.0) -> NDArray[np.float32]:
    """Motion [T, F] of a scene as it is filmed, by the pictures that `mfv2a dub` takes of such a file.

    Args:
        scene: what is filmed.
        fps: pictures a second.
        shown_fps: those of a file that shows each of them until the next one comes; None for a file of `fps`.
        coding: deviation of a repeated picture's pixels from those that it repeats.
    """
    pictures = scene.render(fps, MOTION_SIZE_PX, MOTION_SIZE_PX, gray=True, own_rate=False)
    rate = shown_fps or fps
    times = np.arange(round(scene.duration_s * rate)) / rate
    apart = max(1, int(np.ceil((NEAREST / MOTION_FPS - CLOCK_SLACK_S) * rate)))
    times = times[::apart]
    shown = np.minimum((times * fps + 1e-6).astype(int), len(pictures) - 1)
    frames = pictures[shown]
    if coding:
        again = np.flatnonzero(np.diff(shown) == 0) + 1
        noise = np.random.default_rng(scene.seed).normal(0, coding, frames[again].shape)
        frames[again] = np.clip(np.rint(frames[again] + noise), 0, 255)
    return MotionMeter().measure(frames, times, round(scene.duration_s * MOTION_FPS))


def _at_rates(scene: Scene, rng: np.random.Generator) -> list[NDArray[np.float32]]:
    """Motion of a scene that is filmed slowly, and as films are."""
    shown = float(rng.choice(REPEATED)) if rng.random() < REPEATED_SHARE else None
    slow = filmed(scene, float(rng.choice(SLOW)), shown, float(rng.exponential(CODING)) if shown else 0.0)
    return [slow, filmed(scene, float(rng.choice(USUAL)))]


def draw(seeds: range) -> Views:
    """The views of scenes."""
    motion, onset, label = [], [], []
    for seed in seeds:
        scene, rng = make_scene(seed), np.random.default_rng(seed)
        frames = scene.render(MOTION_FPS, MOTION_SIZE_PX, MOTION_SIZE_PX, gray=True)
        views = (frames, small(frames, rng), amid(frames, rng), nearer(frames, rng))
        seen = [motion_features(view) for view in views] + _at_rates(scene, np.random.default_rng((seed, 1)))
        motion.append(np.stack(seen).astype(np.float16))
        onset.append(onset_curve([event.time_s for event in scene.events], len(frames)).astype(np.float16))
        label.append(LABELS.index(scene.label))
    return Views(np.stack(motion), np.stack(onset), np.array(label))


def read_views(folder: Path) -> Views:
    """All views of a folder."""
    shards = [np.load(path) for path in sorted(folder.glob("*.npz"))]
    if not shards:
        sys.exit(f"{folder}: there are no views; draw them with scripts/places.py")
    return Views(*(np.concatenate([shard[name] for shard in shards]) for name in Views._fields))


def main() -> None:
    """Draw what is missing."""
    draw_files((__doc__ or "").splitlines()[0], "scenes", SHARD, lambda seeds: draw(seeds)._asdict())


if __name__ == "__main__":
    main()
