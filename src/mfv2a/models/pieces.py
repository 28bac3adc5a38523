"""Frames as they come, cut into the pieces that an encoder looks at; a long video is never there as a whole."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mfv2a.errors import ConfigError


class Pieces:
    """Frames as they come, cut into pieces of one size that may overlap.

    Args:
        size: frames of a piece; the last one may have fewer.
        step: frames from the start of a piece to that of the next.
        count: frames in all: more are left out, and where there are fewer the last one is repeated.
    """

    def __init__(self, size: int, step: int, count: int) -> None:
        self._size, self._step, self._left = size, step, count
        self._taken = 0
        self._held = self._last = np.zeros((0, 0), np.uint8)
        self._given = False

    def add(self, frames: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
        """Takes the next frames [t, ...]; gives the pieces that they complete."""
        frames = frames[: self._left]
        if not len(frames):
            return
        self._left -= len(frames)
        self._taken += len(frames)
        self._last = frames[-1:]
        held = np.concatenate([self._held, frames]) if len(self._held) else frames
        first = 0
        while len(held) - first >= self._size:
            self._given = True
            yield held[first : first + self._size]
            first += self._step
        self._held = held[first:].copy()  # what is left must not keep all of it in memory

    def shorten(self, count: int) -> None:
        """Says that there are so many frames in all, and no more."""
        self._left = max(0, count - self._taken)

    def rest(self) -> Iterator[NDArray[np.uint8]]:
        """The pieces that are left; the overlap with the last one is none.

        Raises:
            ConfigError: no frame came.
        """
        if not len(self._last):
            raise ConfigError("features need a frame at least")
        yield from self.add(np.repeat(self._last, self._left, axis=0))
        if len(self._held) > (self._size - self._step if self._given else 0):
            yield self._held
