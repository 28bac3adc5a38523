"""Frames -> motion that means the same in drawn and in filmed video.

Colours and textures of a drawing say nothing about filmed pictures; what moves, where, and what stops does.
Dense inverse search (DIS) optical flow minus its median (the camera) is binned by direction in coarse cells
("directograms"), next to frame differences. This room does not know what the features are used for.

Source: DIS flow, Kroeger et al., arXiv 1603.03590 (OpenCV's implementation); directograms and impact envelopes
after Davis and Agrawala, "Visual Rhythm and Beat", ACM TOG 2018.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mfv2a.media.times import HELD_S

MOTION_FPS = 25.0
CLOCK_SLACK_S = 1.5e-3  # containers round times to a millisecond
MOTION_SIZE_PX = 112
GRID = 4
DIRECTIONS = 8
FINE_DIRECTIONS = 16
CELLS = GRID * GRID
MOTION_DIM = CELLS * (DIRECTIONS + 2) + 8


def use_one_thread() -> None:
    """Keep OpenCV to one thread in this process: worker processes are parallel already."""
    cv2.setNumThreads(1)


_SIDE = MOTION_SIZE_PX // 2  # of the flow that is looked at
_PIXELS = _SIDE * _SIDE
_LINE = np.arange(_SIDE) * GRID // _SIDE
_FLOW_BIN = (_LINE[:, None] * GRID + _LINE[None, :]).ravel() * FINE_DIRECTIONS  # first bin of each pixel's cell
# _POOL @ picture @ _POOL.T are the sums of its cells.
_POOL = np.kron(np.eye(GRID, dtype=np.float32), np.ones(MOTION_SIZE_PX // GRID, np.float32))
_CELL_PIXELS = MOTION_SIZE_PX**2 // CELLS


def _direction_sums(flow: NDArray[np.float32], magnitude: NDArray[np.float32]) -> NDArray[np.float64]:
    """Flow magnitude summed by cell and direction, each pixel shared by its two nearest directions.

    Args:
        flow: x and y, [2, pixels].
        magnitude: its lengths, [pixels].

    Returns:
        [cells, 16].
    """
    position = cv2.phase(flow[0], flow[1]).ravel() * np.float32(FINE_DIRECTIONS / (2 * np.pi))
    direction = position.astype(np.int64)
    share = magnitude * (position - direction).astype(np.float32)
    last, size = FINE_DIRECTIONS - 1, CELLS * FINE_DIRECTIONS  # 16 directions: the remainder is a bit mask
    sums = np.bincount(_FLOW_BIN + (direction & last), magnitude - share, size)
    sums += np.bincount(_FLOW_BIN + ((direction + 1) & last), share, size)
    return np.asarray(sums, np.float64).reshape(CELLS, FINE_DIRECTIONS)


def _between(values: NDArray[np.float32], rank: float) -> np.float32:
    """The value of a rank among sorted ones, from 0 to their number less 1, linearly between neighbours."""
    low = int(rank)
    near = np.partition(values, (low, low + 1))[low : low + 2]
    return np.float32(near[0] + (near[1] - near[0]) * (rank - low))


class MotionMeter:
    """Turns gray frames into motion features at 25 a second, chunk by chunk, in constant memory.

    Feature row k compares frame k - 1 with frame k; row 0 is zero. Where it is told when they were filmed, frames are
    compared as far apart as that: what moves between two of them counts as much as it would in 1 / 25 s, belongs to the
    middle of the time between them, and rows lie linearly between such middles. What stays for more than 0.25 s stands
    still until it changes at once. Columns, F = 168:
    16 cells x 8 directions of flow (square root of the mean magnitude, px per frame), 16 cells of absolute
    frame difference, 16 cells of signed difference, then 8 global ones: impact (summed deceleration over 16
    directions), start (summed acceleration), camera motion x and y, mean flow, 95th percentile of flow, mean
    absolute difference, mean signed difference.
    """

    def __init__(self) -> None:
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._last: tuple[NDArray[np.uint8], float] | None = None
        self._fine = np.zeros(FINE_DIRECTIONS, np.float32)
        self._count = 0
        self._earlier = self._later = (0.0, np.zeros(MOTION_DIM, np.float32))

    def measure(self, frames: NDArray[np.uint8], times_s: NDArray[np.float64] | None = None) -> NDArray[np.float32]:
        """Rows of the next frames.

        Args:
            frames: uint8 [t, 112, 112], one for each 1 / 25 s.
            times_s: [t], when their source frames were filmed: at those ticks or later, until the next source frame
                comes. None for frames of 25 a second.

        Returns:
            float32 [t, F].
        """
        if times_s is None:
            times_s = (self._count + np.arange(len(frames))) / MOTION_FPS
        rows = np.zeros((len(frames), MOTION_DIM), np.float32)
        for row, frame, time_s in zip(rows, frames, times_s, strict=True):
            row[:] = self._next(frame, float(time_s))
        return rows

    def _next(self, frame: NDArray[np.uint8], time_s: float) -> NDArray[np.float32]:
        """The row of the next tick, whose source frame was filmed at a time."""
        tick_s = self._count / MOTION_FPS
        self._count += 1
        if self._last is None:
            self._last = np.ascontiguousarray(frame), time_s
        before, before_s = self._last
        apart_s = time_s - before_s
        if apart_s > 0:
            held = apart_s > HELD_S
            alike = held or abs(apart_s - 1 / MOTION_FPS) < CLOCK_SLACK_S
            row = self._compare(before, frame, 1.0 if alike else 1 / MOTION_FPS / apart_s)
            middle_s = tick_s if held else (before_s + time_s + 1 / MOTION_FPS) / 2
            self._earlier, self._later = self._later, (middle_s, row)
            self._last = np.ascontiguousarray(frame), time_s
        elif time_s < tick_s - CLOCK_SLACK_S:
            return np.zeros(MOTION_DIM, np.float32)  # the picture stands
        return self._between_rows(tick_s)

    def _between_rows(self, tick_s: float) -> NDArray[np.float32]:
        """What moves at a tick, by the two last comparisons."""
        (earlier_s, earlier), (later_s, later) = self._earlier, self._later
        if later_s <= max(earlier_s, tick_s + CLOCK_SLACK_S):
            return later
        share = np.float32(np.clip((tick_s - earlier_s) / (later_s - earlier_s), 0, 1))
        return np.asarray(earlier + share * (later - earlier), np.float32)

    def _compare(self, before: NDArray[np.uint8], after: NDArray[np.uint8], pace: float) -> NDArray[np.float32]:
        """Motion between two frames, times `pace`."""
        if np.array_equal(before, after):
            # A repeated frame (slow source): no motion was seen; the last directions stay for the next change.
            return np.zeros(MOTION_DIM, np.float32)
        # DIS computes flow on a coarser grid and interpolates: every second pixel loses nothing.
        dense = self._flow.calc(before, np.ascontiguousarray(after), None)  # type: ignore[call-overload]
        if pace != 1:
            dense *= np.float32(pace)
        flow = np.empty((2, _PIXELS), np.float32)
        for way in range(2):
            flow[way].reshape(_SIDE, _SIDE)[:] = dense[1::2, 1::2, way]
        camera = np.array([_between(way, (_PIXELS - 1) / 2) for way in flow])
        flow -= camera[:, None]
        magnitude = np.sqrt(flow[0] * flow[0] + flow[1] * flow[1])
        directions = _direction_sums(flow, magnitude)
        fine = (directions.sum(0) / _PIXELS).astype(np.float32)
        change = fine - self._fine
        self._fine = fine
        # Half as many directions: each takes the half of both that lie beside it.
        beside = directions[:, 1::2]
        cells = (directions[:, ::2] + (beside + np.roll(beside, 1, 1)) / 2) / (_PIXELS / CELLS)
        difference = (after.astype(np.float32) - before) * np.float32(pace)
        absolute, signed = (
            (_POOL @ picture @ _POOL.T).ravel() / (255 * _CELL_PIXELS) for picture in (np.abs(difference), difference)
        )
        overall = (
            np.sqrt(np.maximum(-change, 0).sum()),
            np.sqrt(np.maximum(change, 0).sum()),
            np.tanh(camera[0] / 4),
            np.tanh(camera[1] / 4),
            np.sqrt(magnitude.mean()),
            np.sqrt(_between(magnitude, 0.95 * (_PIXELS - 1))) / 2,
            np.sqrt(absolute.mean()) * 2,
            np.cbrt(signed.mean()),
        )
        parts = (np.sqrt(cells).ravel(), 2 * np.sqrt(absolute), np.cbrt(signed), np.array(overall))
        return np.concatenate(parts).astype(np.float32)


def mirror_motion(motion: NDArray[np.float32]) -> NDArray[np.float32]:
    """Motion features of the mirrored picture, left for right.

    Args:
        motion: [T, 168].

    Returns:
        [T, 168].
    """
    flow_columns = CELLS * DIRECTIONS
    flow = motion[:, :flow_columns].reshape(-1, GRID, GRID, DIRECTIONS)[:, :, ::-1]
    flow = flow[..., (DIRECTIONS // 2 - np.arange(DIRECTIONS)) % DIRECTIONS]  # angle -> pi - angle
    cells = motion[:, flow_columns : flow_columns + 2 * CELLS].reshape(-1, 2, GRID, GRID)[..., ::-1]
    overall = motion[:, flow_columns + 2 * CELLS :].copy()
    overall[:, 2] *= -1  # the camera's way to the right
    rows = len(motion)
    return np.concatenate([flow.reshape(rows, -1), cells.reshape(rows, -1), overall], 1)


def motion_features(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Motion features of a whole clip.

    Args:
        frames: gray uint8 [T, 112, 112] at 25 frames per second.

    Returns:
        float32 [T, 168].
    """
    return MotionMeter().measure(frames)
