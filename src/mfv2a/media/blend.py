"""Sounds laid over each other at their gains, worked out only where they are read.

So a long mix needs no more memory than the piece of it that is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mfv2a.media.spool import forget

PIECE_SAMPLES = 1 << 19


class Sound(Protocol):
    """What can be read piece by piece: an array [S] or [S, channels], or a blend."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(samples,) or (samples, channels)."""

    def __len__(self) -> int: ...

    def __getitem__(self, where: slice, /) -> NDArray[np.float32]: ...


class Blend:
    """Sounds added up, each times a number or a gain for each sample.

    What is shorter than the result goes on with silence. Mono goes to every channel; what has more channels than the
    result is averaged.

    Args:
        parts: sound [S] or [S, channels] and factor, a number or [S], of each.
        channels: of the result; None for those of the widest.
        length: of the result in samples; None for that of the first.
    """

    def __init__(
        self,
        *parts: tuple[Sound, float | NDArray[np.float32]],
        channels: int | None = None,
        length: int | None = None,
    ) -> None:
        self._parts = parts
        samples = len(parts[0][0]) if length is None else length
        wide = channels or max(1 if len(sound.shape) == 1 else sound.shape[1] for sound, _ in parts)
        self.shape: tuple[int, ...] = (samples,) if wide == 1 else (samples, wide)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, where: slice, /) -> NDArray[np.float32]:
        """A piece, [s] or [s, channels]; not limited to [-1, 1]."""
        first, last, _ = where.indices(len(self))
        total = np.zeros((max(0, last - first), *self.shape[1:]), dtype=np.float32)
        for sound, factor in self._parts:
            piece = _fitted(sound[first:last], total.ndim, self.shape[-1])
            gain = factor[first:last] if isinstance(factor, np.ndarray) else np.float32(factor)
            if isinstance(gain, np.ndarray) and total.ndim == 2:
                gain = gain[:, None]
            total[: len(piece)] += piece * gain
        return total

    def let_go(self) -> None:
        """Lets go of the memory that the parts have taken while they were read."""
        for sound, factor in self._parts:
            let_go(sound)
            forget(factor)


def _fitted(piece: NDArray[np.float32], dimensions: int, channels: int) -> NDArray[np.float32]:
    """A piece [s] or [s, channels] that can be added to one of so many dimensions and channels."""
    wide = piece if piece.ndim == 2 else piece[:, None]
    if wide.shape[1] > 1 and (dimensions == 1 or wide.shape[1] != channels):
        wide = wide.mean(axis=1, keepdims=True, dtype=np.float32)
    return wide if dimensions == 2 else wide[:, 0]


def let_go(sound: Sound) -> None:
    """Lets go of the memory that a sound has taken while it was read, if it lies in a file."""
    if isinstance(sound, Blend):
        sound.let_go()
    else:
        forget(sound)


def pieces(sound: Sound, length: int = PIECE_SAMPLES, lap: int = 0) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """A sound piece by piece, at least one piece.

    Args:
        sound: [S] or [S, channels].
        length: samples of a piece.
        lap: samples that a piece reaches over into its neighbours on either side.

    Yields:
        How many samples of the piece lie before its place, and the piece [s] or [s, channels].
    """
    for start in range(0, max(1, len(sound)), length):
        first = max(0, start - lap)
        yield start - first, sound[first : min(len(sound), start + length + lap)]
        let_go(sound)
