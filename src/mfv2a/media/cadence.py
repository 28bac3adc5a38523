"""Films that show each picture more than once: 16 pictures a second in a file of 30, a drawing on twos.

What moves at a steady pace would stop and go in them. Made clips are often brought to the rate of their platform so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from mfv2a.media.times import APART_SLACK_S, HELD_S

MOST_REPEATS = 3  # 8 pictures a second in a file of 30; what stays for longer stands
STILL = 0.12  # of the change of its neighbours: a repeated picture changes by what its coding changes, and no more
LOOK = 3 * MOST_REPEATS + 2  # how far a picture's neighbours tell of it: its pause, the one beside it, what lies around

Frame = NDArray[np.uint8]


def find_repeats(changes: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which pictures are the one before once more.

    A picture is a repeat if it hardly changes between two that do, with three such between them at most. A pause of
    what moves looks the same, but lies between motion without pauses: so those beside it must be as long, but for one
    picture. Where there are none beside it, it must be of one picture.

    Args:
        changes: [t], how far each picture is from the one before, in any unit; below 0 for the first of all, which is
            new.

    Returns:
        [t]; what a picture is depends on `LOOK` others on each side at most.
    """
    count = len(changes)
    repeats = np.zeros(count, np.bool_)
    padded = np.pad(changes, MOST_REPEATS)
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * MOST_REPEATS + 1).max(1)
    moved = np.flatnonzero((changes >= STILL * around) & (changes > 0) | (changes < 0)).tolist()
    between = list(pairwise(moved))
    lengths = [-1, *(_pause(changes, first, last) for first, last in between), -1]
    for number, (first, last) in enumerate(between, 1):
        beside = [length for length in (lengths[number - 1], lengths[number + 1]) if length >= 0]
        if 0 < lengths[number] <= min(beside, default=0) + 1:
            repeats[first + 1 : last] = True
    return repeats


def _pause(changes: NDArray[np.float64], first: int, last: int) -> int:
    """How many pictures stay between two that move; -1 if there are more than can be repeats, or they move, too."""
    between = changes[first + 1 : last]
    moves = [change for change in changes[[first, last]] if change > 0]  # the first of all has none
    if len(between) > MOST_REPEATS or (len(between) and between.max() >= STILL * min(moves)):
        return -1
    return len(between)


class Cadence:
    """Leaves the repeats of a film out, a chunk of pictures at a time.

    What it gives does not depend on the chunks; it knows of a picture after `LOOK` more. Repeats of films so slow that
    without them a picture would count as held stay in.
    """

    def __init__(self) -> None:
        self._last: Frame | None = None
        self._changes: list[float] = []  # of pictures that were handed on, `LOOK` at most, and of those that wait
        self._waiting: deque[tuple[Frame, float]] = deque()
        self._given_s = 0.0

    def add(self, frames: Frame, times_s: NDArray[np.float64]) -> Iterator[tuple[Frame, float]]:
        """Take the next pictures [t, H, W] with their times in seconds [t]; give those that are known to be new."""
        for frame, time_s in zip(np.ascontiguousarray(frames), times_s, strict=True):
            self._changes.append(-1.0 if self._last is None else cv2.norm(frame, self._last, cv2.NORM_L1))
            self._last = frame
            self._waiting.append((frame, float(time_s)))
        yield from self._give(len(self._waiting) - LOOK)

    def rest(self) -> Iterator[tuple[Frame, float]]:
        """The new ones among those that are left."""
        yield from self._give(len(self._waiting))

    def _give(self, count: int) -> Iterator[tuple[Frame, float]]:
        if count <= 0:
            return
        first = len(self._changes) - len(self._waiting)
        repeats = find_repeats(np.array(self._changes))[first : first + count]
        del self._changes[: max(0, first + count - LOOK)]
        for repeat in repeats:
            frame, time_s = self._waiting.popleft()
            if not repeat or time_s - self._given_s > HELD_S / 2 + APART_SLACK_S:
                self._given_s = time_s
                yield frame, time_s
