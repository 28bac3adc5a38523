"""Scenes seen from elsewhere: what happens takes a part of the picture only, at any place of it, or comes nearer.

    python scripts/places.py --first-seed 60000 --scenes 4096 --out data/places     # goes on with what is missing

A file for every 64 scenes, with the motion of four views of each: as it is drawn, small at a random place before a
margin that is still, small where all around something else moves (`scripts/calm.py`), and nearer, with a part of the
picture out of sight; beside it the onset curve and the class. Several of these commands may draw into one folder, with
seeds of their own.
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
from mfv2a.media.motion import MOTION_FPS, MOTION_SIZE_PX, motion_features
from mfv2a.scenes import LABELS, make_scene

SHARD = 64
SMALLEST, LARGEST, STRETCH = 0.42, 0.95, 0.25
NEAREST, LEAST_NEAR = 0.72, 0.95
MARGINS = ("edge", "black", "gray")
MARGIN_SHARES = (0.55, 0.25, 0.2)
GRAYS = (20, 200)

Frames = NDArray[np.uint8]


class Views(NamedTuple):
    """What is known of scenes.

    Attributes:
        motion: [N, 4, T, F], of the scene as it is, small, small amid what moves, and nearer.
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
    window = round(side * rng.uniform(NEAREST, LEAST_NEAR))
    left, top = (int(rng.integers(0, side - window + 1)) for _ in range(2))
    cut = (np.ascontiguousarray(f[top : top + window, left : left + window]) for f in frames)
    return np.stack([cv2.resize(f, (side, side), interpolation=cv2.INTER_LINEAR) for f in cut]).astype(np.uint8)


def draw(seeds: range) -> Views:
    """The views of scenes."""
    motion, onset, label = [], [], []
    for seed in seeds:
        scene, rng = make_scene(seed), np.random.default_rng(seed)
        frames = scene.render(MOTION_FPS, MOTION_SIZE_PX, MOTION_SIZE_PX, gray=True)
        views = (frames, small(frames, rng), amid(frames, rng), nearer(frames, rng))
        motion.append(np.stack([motion_features(view) for view in views]).astype(np.float16))
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
