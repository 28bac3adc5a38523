"""Frames -> motion that means the same in drawn and in filmed video.

Colours and textures of a drawing say nothing about filmed pictures; what moves, where, and what stops does.
Dense inverse search (DIS) optical flow minus its median (the camera) is binned by direction in coarse cells
("directograms"), next to frame differences. This room does not know what the features are used for.

Source: DIS flow, Kroeger et al., arXiv 1603.03590 (OpenCV's implementation); directograms and impact envelopes
after Davis and Agrawala, "Visual Rhythm and Beat", ACM TOG 2018.
"""

from __future__ import annotations

import math
from collections import deque

import cv2
import numpy as np
from numpy.typing import NDArray

from mfv2a.media.cadence import Cadence
from mfv2a.media.times import APART_SLACK_S, HELD_S, SHOWN_S

MOTION_FPS = 25.0
_SLACK = APART_SLACK_S * MOTION_FPS  # of a tick
_NEAR = 1e-6
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
    """Turns gray frames into motion features at 25 a second, chunk by chunk; it keeps a few frames.

    Feature row k is what moved in the 1 / 25 s before k / 25 s, in the mean; row 0 is zero. Of 25 frames a second that
    is frame k compared with frame k - 1. Of others, what moves between two frames moves at one pace from the time of
    the first to that of the second, and counts as much as it would in 1 / 25 s. What stays for more than 0.25 s, or
    for 0.09 s and three times as long as the two frames before, stands still until it changes at once. Frames that
    repeat the one before are left out (`media.cadence`). Columns, F = 168:
    16 cells x 8 directions of flow (square root of the mean magnitude, px per frame), 16 cells of absolute
    frame difference, 16 cells of signed difference, then 8 global ones: impact (summed deceleration over 16
    directions), start (summed acceleration), camera motion x and y, mean flow, 95th percentile of flow, mean
    absolute difference, mean signed difference.
    """

    def __init__(self) -> None:
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._cadence = Cadence()
        self._taken = 0
        self._last: tuple[NDArray[np.uint8], float] | None = None  # a frame and its time, here and below in ticks
        self._fine = np.zeros(FINE_DIRECTIONS, np.float32)
        self._apart = deque([math.inf], 2)  # how far the frames before lay from each other
        self._end = 0.0  # until when it is told what moved
        self._rows: dict[int, NDArray[np.float32]] = {}  # of ticks before which something moved
        self._given = 0

    def measure(
        self, frames: NDArray[np.uint8], times_s: NDArray[np.float64] | None = None, count: int | None = None
    ) -> NDArray[np.float32]:
        """Rows that are known with the next frames.

        Args:
            frames: uint8 [t, 112, 112].
            times_s: [t], when they were filmed, each 3 ms or more after the one before; None for frames of 25 a second.
            count: rows that there shall be in all, with the last frames; None while more are to come.

        Returns:
            float32 [n, F], n of any size.
        """
        if times_s is None:
            times_s = (self._taken + np.arange(len(frames))) / MOTION_FPS
        self._taken += len(frames)
        for frame, time_s in self._cadence.add(frames, times_s):
            self._take(frame, time_s)
        if count is None:
            return self._known(0 if self._last is None else int(self._last[1] + _NEAR) + 1)
        for frame, time_s in self._cadence.rest():
            self._take(frame, time_s)
        return self._known(count)

    def _known(self, end: int) -> NDArray[np.float32]:
        """The rows up to one of them that were not given yet."""
        rows = np.zeros((max(0, end - self._given), MOTION_DIM), np.float32)
        for number in range(len(rows)):
            moved = self._rows.pop(self._given + number, None)
            if moved is not None:
                rows[number] = moved
        self._given += len(rows)
        return rows

    def _take(self, frame: NDArray[np.uint8], time_s: float) -> None:
        """Compare the next frame with the one before; say when that moved."""
        ticks = time_s * MOTION_FPS
        if abs(ticks - round(ticks)) < _SLACK:
            ticks = float(round(ticks))
        if self._last is not None:
            before, before_ticks = self._last
            apart = ticks - before_ticks
            if apart > self._longest() + _SLACK:
                tick = math.ceil(ticks)
                self._moved(self._compare(before, frame, 1.0), tick - 1, tick)
            else:
                self._moved(self._compare(before, frame, 1 / apart), max(before_ticks, self._end), ticks)
            self._apart.append(apart)
        self._last = frame, ticks

    def _longest(self) -> float:
        """How many ticks a frame may stay without being held."""
        return min(HELD_S * MOTION_FPS, max(SHOWN_S * MOTION_FPS, 3 * max(self._apart)))

    def _moved(self, row: NDArray[np.float32], start: float, end: float) -> None:
        """Add what moved from one time to another to the rows of the ticks after it."""
        for tick in range(int(start + _NEAR) + 1, math.ceil(end - _NEAR) + 1):
            share = min(end, tick) - max(start, tick - 1)
            part = row if share > 1 - _NEAR else np.float32(share) * row
            self._rows[tick] = self._rows[tick] + part if tick in self._rows else part
        self._end = max(self._end, end)

    def _compare(self, before: NDArray[np.uint8], after: NDArray[np.uint8], pace: float) -> NDArray[np.float32]:
        """Motion between two frames, times `pace`."""
        if np.array_equal(before, after):
            # Nothing moved; the last directions stay for the next change.
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
    return MotionMeter().measure(frames, count=len(frames))
