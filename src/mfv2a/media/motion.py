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

MOTION_FPS = 25.0
MOTION_SIZE_PX = 112
GRID = 4
DIRECTIONS = 8
FINE_DIRECTIONS = 16
CELLS = GRID * GRID
MOTION_DIM = CELLS * (DIRECTIONS + 2) + 8


def use_one_thread() -> None:
    """Keep OpenCV to one thread in this process: worker processes are parallel already."""
    cv2.setNumThreads(1)


def _cell_index(size_px: int) -> NDArray[np.int64]:
    """Cell number of each pixel of a square picture, flattened."""
    line = np.arange(size_px) * GRID // size_px
    return (line[:, None] * GRID + line[None, :]).ravel()


def _direction_sums(
    magnitude: NDArray[np.float32], angle: NDArray[np.float32], cell: NDArray[np.int64], bins: int, cells: int
) -> NDArray[np.float32]:
    """Flow magnitude summed by cell and direction, each pixel shared by its two nearest directions: [cells, bins]."""
    position = angle * np.float32(bins / (2 * np.pi))
    low = position.astype(np.int64)
    share = (position - low).astype(np.float32)
    low %= bins
    size = cells * bins
    first = np.bincount(cell * bins + low, magnitude * (1 - share), size)
    second = np.bincount(cell * bins + (low + 1) % bins, magnitude * share, size)
    return (first + second).astype(np.float32).reshape(cells, bins)


class MotionMeter:
    """Turns gray frames at 25 fps into motion features, chunk by chunk, in constant memory.

    Feature row k compares frame k - 1 with frame k; row 0 is zero. Columns, F = 168:
    16 cells x 8 directions of flow (square root of the mean magnitude, px per frame), 16 cells of absolute
    frame difference, 16 cells of signed difference, then 8 global ones: impact (summed deceleration over 16
    directions), start (summed acceleration), camera motion x and y, mean flow, 95th percentile of flow, mean
    absolute difference, mean signed difference.
    """

    def __init__(self) -> None:
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._pixel_cell = _cell_index(MOTION_SIZE_PX)
        self._flow_cell = _cell_index(MOTION_SIZE_PX // 2)
        self._whole = np.zeros_like(self._flow_cell)
        self._last: NDArray[np.uint8] | None = None
        self._fine = np.zeros(FINE_DIRECTIONS, np.float32)

    def measure(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Rows of the next frames: uint8 [t, 112, 112] -> float32 [t, F]."""
        rows = np.zeros((len(frames), MOTION_DIM), np.float32)
        for row, frame in zip(rows, frames, strict=True):
            if self._last is not None:
                row[:] = self._compare(self._last, frame)
            self._last = np.ascontiguousarray(frame)
        return rows

    def _compare(self, before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.float32]:
        if np.array_equal(before, after):
            # A repeated frame (slow source): no motion was seen; the last directions stay for the next change.
            return np.zeros(MOTION_DIM, np.float32)
        # DIS computes flow on a coarser grid and interpolates: every second pixel loses nothing.
        dense = self._flow.calc(before, np.ascontiguousarray(after), None)  # type: ignore[call-overload]
        flow = dense[1::2, 1::2].reshape(-1, 2)
        camera = np.median(flow, axis=0)
        dx, dy = (flow - camera).T
        magnitude = np.hypot(dx, dy)
        angle = np.mod(np.arctan2(dy, dx), np.float32(2 * np.pi))
        pixels = len(magnitude)
        cells = _direction_sums(magnitude, angle, self._flow_cell, DIRECTIONS, CELLS) / (pixels / CELLS)
        fine = _direction_sums(magnitude, angle, self._whole, FINE_DIRECTIONS, 1)[0] / pixels
        change = fine - self._fine
        self._fine = fine
        difference = (after.astype(np.float32) - before.astype(np.float32)).ravel() / 255
        cell_pixels = len(difference) / CELLS
        absolute = np.bincount(self._pixel_cell, np.abs(difference), CELLS) / cell_pixels
        signed = np.bincount(self._pixel_cell, difference, CELLS) / cell_pixels
        overall = (
            np.sqrt(np.maximum(-change, 0).sum()),
            np.sqrt(np.maximum(change, 0).sum()),
            np.tanh(camera[0] / 4),
            np.tanh(camera[1] / 4),
            np.sqrt(magnitude.mean()),
            np.sqrt(np.percentile(magnitude, 95)) / 2,
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
