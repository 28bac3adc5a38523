"""Moving pictures in which nothing strikes: what sways, boils, drifts, talks, glitters, before a camera in a hand.

    python scripts/calm.py --first-seed 0 --clips 2048 --out data/calm     # goes on with what is missing

A file for every 64 clips with their motion; of a third of them only every second or third picture is taken. No event
is drawn in them: a sync encoder that was shown only events, and scenes that are still but for them, takes any small
motion for one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mfv2a.media.motion import MOTION_FPS, MOTION_SIZE_PX, MotionMeter, use_one_thread
from mfv2a.scenes.textures import NAMES, SIDE_PX, texture_bank

SHARD, FRAMES = 64, 200
SLOW_SHARE = 1 / 3
SIDE = MOTION_SIZE_PX
MOST_PATCHES, MOST_CUTS = 4, 3
CUT_SHARE, BARE_SHARE, GLITTER_SHARE, CODED_SHARE, HELD_SHARE = 0.25, 0.12, 0.25, 0.5, 0.3

Frames = NDArray[np.uint8]
Image = NDArray[np.float32]
Curve = NDArray[np.float64]


def wander(rng: Generator, count: int, low_hz: float, high_hz: float, rows: int = 1) -> Curve:
    """Random curves without a beat [rows, count], as good as all between two frequencies; unit deviation."""
    hz = np.fft.rfftfreq(4 * count, 1 / MOTION_FPS)
    gain = (hz > low_hz) / (1 + (hz / high_hz) ** 4)
    noise = rng.normal(size=(rows, len(hz))) + 1j * rng.normal(size=(rows, len(hz)))
    curves = np.fft.irfft(noise * gain, axis=1)
    return np.asarray((curves / (curves.std(1, keepdims=True) + 1e-9))[:, :count])


def swelling(rng: Generator, count: int, depth: float = 0.6) -> Curve:
    """How strong something is as it comes and goes, [count]; 1 in the middle."""
    return np.asarray(np.exp(depth * wander(rng, count, 0.0, rng.uniform(0.1, 0.6))[0]))


def surface(rng: Generator) -> Image:
    """A texture [256, 256], 0 to 255, of random contrast and brightness."""
    bank = texture_bank()
    image = bank[rng.integers(0, 3), rng.integers(len(NAMES))].astype(np.float32)
    image = np.roll(image, tuple(rng.integers(0, SIDE_PX, 2)), (0, 1))
    middle, contrast = rng.uniform(50, 200), rng.uniform(0.15, 1.0)
    return np.asarray(np.clip(middle + contrast * (image - image.mean()), 0, 255), np.float32)


def sway(rng: Generator, count: int) -> Curve:
    """Shifts in pixels, turn and growth [4, count] of what hangs, stands in the wind or is held."""
    reach = np.exp(rng.uniform(np.log(0.4), np.log(9.0)))
    pace = np.exp(rng.uniform(np.log(0.25), np.log(2.5)))
    phase = 2 * np.pi * pace * np.arange(count) / MOTION_FPS + 1.5 * wander(rng, count, 0.0, 0.3 * pace)[0]
    wave = np.sin(phase) * swelling(rng, count) * reach
    angle = rng.uniform(0, 2 * np.pi)
    turn = wave * rng.normal(0, 0.012)
    return np.stack([wave * np.cos(angle), wave * np.sin(angle), turn, np.zeros(count)])


def drift(rng: Generator, count: int) -> Curve:
    """The same of what wanders about, quickly or slowly."""
    quick = np.exp(rng.uniform(np.log(0.15), np.log(3.0)))
    reach = np.exp(rng.uniform(np.log(0.6), np.log(12.0))) / (1 + quick)
    curves = wander(rng, count, 0.0, quick, 4) * swelling(rng, count)
    return np.asarray(curves * np.array([reach, reach, 0.03, 0.03])[:, None])


def glide(rng: Generator, count: int) -> Curve:
    """The same of what passes by at a steady pace, in or out of the picture."""
    pace = np.exp(rng.uniform(np.log(0.1), np.log(3.0)))
    angle, start = rng.uniform(0, 2 * np.pi), rng.uniform(0, count)
    path = (np.arange(count) - start) * pace + 0.5 * wander(rng, count, 0.0, 1.0)[0]
    return np.stack([path * np.cos(angle), path * np.sin(angle), np.zeros(count), np.zeros(count)])


def spin(rng: Generator, count: int) -> Curve:
    """The same of what turns on and on."""
    turn = np.cumsum(rng.normal(0, 0.04) * swelling(rng, count, 0.4))
    return np.stack([np.zeros(count), np.zeros(count), turn, 0.03 * wander(rng, count, 0.0, 0.5)[0]])


def talk(rng: Generator, count: int) -> Curve:
    """The same of a mouth, or of hands that speak: quick, small, with rests."""
    speaking = 1 / (1 + np.exp(-4 * (wander(rng, count, 0.0, 0.5)[0] + rng.uniform(-0.3, 1.0))))
    shifts = wander(rng, count, 1.0, rng.uniform(2.5, 5.0), 4) * speaking
    scale = np.array([0.5, rng.uniform(0.5, 2.5), 0.01, rng.uniform(0.02, 0.12)])
    return np.asarray(shifts * scale[:, None])


Motion = Callable[[Generator, int], Curve]
MOTIONS: tuple[Motion, ...] = (sway, sway, drift, drift, glide, spin, talk)


class Boiling:
    """A surface that bends as water, smoke or leaves do: fields of shifts that change each for itself."""

    def __init__(self, rng: Generator, count: int) -> None:
        cells = int(rng.integers(3, 15))
        fields = 6
        self._fields = rng.normal(size=(fields, 2, cells, cells))
        quick = np.exp(rng.uniform(np.log(0.3), np.log(6.0)))
        reach = np.exp(rng.uniform(np.log(0.3), np.log(5.0)))
        self._curves = wander(rng, count, 0.0, quick, fields) * swelling(rng, count, 0.4) * reach / np.sqrt(fields)
        pace = np.exp(rng.uniform(np.log(0.02), np.log(3.0)))
        angle = rng.uniform(0, 2 * np.pi)
        self._flow = pace * np.array([np.cos(angle), np.sin(angle)])
        self._grid = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE))).astype(np.float32)

    def bend(self, image: Image, number: int) -> Image:
        """The texture [256, 256] as it lies in frame `number`, [112, 112]."""
        field = np.einsum("f,fkxy->kxy", self._curves[:, number], self._fields).astype(np.float32)
        shift = [cv2.resize(part, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) for part in field]
        x, y = ((self._grid[k] + shift[k] + np.float32(self._flow[k] * number)) % SIDE_PX for k in range(2))
        return np.asarray(cv2.remap(image, x, y, cv2.INTER_LINEAR, None, cv2.BORDER_WRAP), np.float32)


def _moved(image: Image, moves: Curve, number: int, centre: tuple[float, float]) -> Image:
    """A texture, shifted, turned and grown about a place of the picture: [112, 112]."""
    right, down, turn, growth = moves[:, number]
    middle, grown = (SIDE_PX / 2, SIDE_PX / 2), float(np.exp(growth))
    matrix: Curve = np.asarray(cv2.getRotationMatrix2D(middle, float(np.degrees(turn)), grown), np.float64)
    matrix[:, 2] += np.array([centre[0] + right, centre[1] + down]) - SIDE_PX / 2
    return np.asarray(
        cv2.warpAffine(image, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP), np.float32
    )


class Patch:
    """Something that moves before the rest: a texture in a soft or sharp ellipse, or one that bends in its place."""

    def __init__(self, rng: Generator, count: int) -> None:
        self._image = surface(rng)
        wide, tall = np.exp(rng.uniform(np.log(5), np.log(45), 2))
        self._centre = (float(rng.uniform(0, SIDE)), float(rng.uniform(0, SIDE)))
        y, x = np.mgrid[:SIDE_PX, :SIDE_PX].astype(np.float32) - SIDE_PX / 2
        soft = rng.uniform(0.03, 0.5)
        radius = np.hypot(x / wide, y / tall)
        self._mask = np.clip((1 - radius) / soft, 0, 1).astype(np.float32)
        self._boiling = Boiling(rng, count) if rng.random() < 0.35 else None
        motion = MOTIONS[rng.integers(len(MOTIONS))]
        self._moves = motion(rng, count) if self._boiling is None else np.zeros((4, count))

    def lay(self, picture: Image, number: int) -> Image:
        """The picture with it."""
        mask = _moved(self._mask, self._moves, number, self._centre)
        if self._boiling is None:
            image = _moved(self._image, self._moves, number, self._centre)
        else:
            image = self._boiling.bend(self._image, number)
        return np.asarray(picture + mask * (image - picture))


class Composition:
    """A backdrop, what moves before it, the light and the hand that holds the camera, for so many frames."""

    def __init__(self, rng: Generator, count: int) -> None:
        self._back = surface(rng)
        self._boiling = Boiling(rng, count) if rng.random() < 0.2 else None
        shake = np.exp(rng.uniform(np.log(0.02), np.log(1.2))) * wander(rng, count, 0.3, rng.uniform(1, 5), 4)
        held = rng.random() < HELD_SHARE
        walk = (drift, glide, sway)[rng.integers(3)](rng, count) * (0.0 if held else 0.5)
        self._camera = walk + (0.0 if held else 1.0) * shake * np.array([1, 1, 0.004, 0.004])[:, None]
        patches = 0 if rng.random() < BARE_SHARE else int(rng.integers(1, MOST_PATCHES + 1))
        self._patches = [Patch(rng, count) for _ in range(patches)]
        flicker = np.exp(rng.uniform(np.log(0.001), np.log(0.03))) * wander(rng, count, 0.0, rng.uniform(0.3, 8))[0]
        self._light = 1 + flicker
        self._glitter = int(rng.integers(20, 400)) if rng.random() < GLITTER_SHARE else 0
        if self._glitter:
            box = np.sort(rng.uniform(0, SIDE, (2, 2)), 0)
            self._spots = rng.uniform(box[0], box[1] + 2, (self._glitter, 2))
            self._shine = wander(rng, count, 0.0, rng.uniform(1, 8), self._glitter) - rng.uniform(0.5, 2.0)

    def frame(self, number: int) -> Image:
        """The picture of frame `number`, [112, 112]."""
        if self._boiling is None:
            picture = _moved(self._back, self._camera, number, (SIDE / 2, SIDE / 2))
        else:
            picture = self._boiling.bend(self._back, number)
        if self._glitter:
            spots, shine = self._spots.astype(int).clip(0, SIDE - 1), np.maximum(self._shine[:, number], 0)
            np.add.at(picture, (spots[:, 1], spots[:, 0]), (90 * shine).astype(np.float32))
        for patch in self._patches:
            picture = patch.lay(picture, number)
        if self._boiling is not None:
            picture = self._shift(picture, number)
        return np.asarray(picture * np.float32(self._light[number]), np.float32)

    def _shift(self, picture: Image, number: int) -> Image:
        """The whole picture as the camera moves."""
        right, down = self._camera[:2, number]
        matrix = np.array([[1, 0, right], [0, 1, down]], np.float32)
        moved = cv2.warpAffine(picture, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        return np.asarray(moved, np.float32)


def calm_frames(rng: Generator, count: int) -> Iterator[Frames]:
    """The gray frames [112, 112] of a clip in which nothing strikes; with cuts, noise and a codec's blocks in some."""
    cuts = sorted(rng.choice(np.arange(10, count - 10), rng.integers(1, MOST_CUTS + 1), replace=False))
    starts = [0, *(cuts if rng.random() < CUT_SHARE else []), count]
    noise, quality = rng.exponential(2.0), int(rng.integers(25, 85))
    coded = rng.random() < CODED_SHARE
    for first, end in pairwise(starts):
        composition = Composition(rng, end - first)
        for number in range(end - first):
            picture = composition.frame(number) + noise * rng.standard_normal((SIDE, SIDE), np.float32)
            shown = np.clip(picture, 0, 255).astype(np.uint8)
            if coded:
                packed = cv2.imencode(".jpg", shown, (cv2.IMWRITE_JPEG_QUALITY, quality))[1]
                shown = np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE), np.uint8)
            yield shown


def read_calm(folder: Path) -> NDArray[np.float16]:
    """The motion [N, T, F] of all clips of a folder."""
    shards = [np.load(path)["motion"] for path in sorted(folder.glob("*.npz"))]
    if not shards:
        sys.exit(f"{folder}: there are no clips; draw them with scripts/calm.py")
    return np.concatenate(shards)


def draw(seeds: range) -> dict[str, NDArray[np.float16]]:
    """The motion of clips."""
    motion = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        clip = np.stack(list(calm_frames(rng, FRAMES)))
        every = int(rng.integers(2, 4)) if rng.random() < SLOW_SHARE else 1
        times_s = np.arange(0, FRAMES, every) / MOTION_FPS
        motion.append(MotionMeter().measure(clip[::every], times_s, FRAMES).astype(np.float16))
    return {"motion": np.stack(motion)}


def draw_files(about: str, what: str, shard: int, draw: Callable[[range], Mapping[str, NDArray[Any]]]) -> None:
    """Read the words of a command that draws so many of something into files, and draw those that are missing.

    Args:
        about: what it does, on one line.
        what: is drawn, the name of the option.
        shard: how many go into a file.
        draw: seeds -> the arrays of their file.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--first-seed", type=int, required=True)
    parser.add_argument(f"--{what}", type=int, required=True, dest="count", help="how many; in whole files")
    parser.add_argument("--out", type=Path, required=True)
    words = parser.parse_args()
    words.out.mkdir(parents=True, exist_ok=True)
    use_one_thread()
    for first in range(words.first_seed, words.first_seed + words.count, shard):
        path = words.out / f"{first}.npz"
        if path.exists():
            continue
        part, arrays = path.with_suffix(".part"), dict[str, Any](draw(range(first, first + shard)))
        with part.open("wb") as file:
            np.savez(file, **arrays)
        part.rename(path)


def main() -> None:
    """Draw what is missing."""
    draw_files((__doc__ or "").splitlines()[0], "clips", SHARD, draw)


if __name__ == "__main__":
    main()
