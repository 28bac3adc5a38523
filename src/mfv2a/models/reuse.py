"""Features of pictures that hardly differ from one that was encoded: taken over from it, and told with what error.

Knows arrays and a callable that encodes them; not which network that is or where the pictures come from.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mfv2a.records import Reused

PATCH_PX = 16
"""Side of the patches that are compared: about one of the encoders' own."""
Pictures = NDArray[np.uint8]


def picture_difference(first: Pictures, second: Pictures) -> float:
    """How much two pictures, or two stacks of as many, differ where they differ most.

    It is the mean absolute difference of a patch of 16 x 16 px over its pixels and colours, the largest of all
    patches: grain raises it evenly by a few levels, a small thing that moves by tens.

    Args:
        first: [..., H, W, 3] uint8.
        second: of the same shape.

    Returns:
        In levels, 0 to 255; 0 only if all pixels are equal.
    """
    if np.array_equal(first, second):
        return 0.0
    difference = np.maximum(first, second) - np.minimum(first, second)
    height, width = difference.shape[-3:-1]
    rows, columns = np.arange(0, height, PATCH_PX), np.arange(0, width, PATCH_PX)
    lines = difference.sum(-1, dtype=np.uint16)
    patches = np.add.reduceat(np.add.reduceat(lines, rows, -2, dtype=np.uint32), columns, -1, dtype=np.uint32)
    heights, widths = np.diff([*rows, height]), np.diff([*columns, width])
    return float((patches / (3 * heights[:, None] * widths)).max())


def cut_segments(frames: Pictures, segment: int, stride: int) -> Pictures:
    """Segments [n, segment, H, W, 3] of frames [t, H, W, 3]; frames at the end that fill none are left out.

    Args:
        frames: in order.
        segment: frames of one.
        stride: frames from one to the next.
    """
    starts = range(0, len(frames) - segment + 1, stride)
    if not starts:
        return np.zeros((0, segment, *frames.shape[1:]), np.uint8)
    return np.stack([frames[start : start + segment] for start in starts])


class Reuse:
    """Features of pictures as they come; one that is near the last encoded one gets its features.

    Args:
        name: of the features, for the facts.
        tolerance: largest `picture_difference` from the last encoded picture; 0 for equal ones alone.
        encode: pictures [n, ..., H, W, 3] uint8 -> features [n, ...].
    """

    def __init__(self, name: str, tolerance: float, encode: Callable[[Pictures], Tensor]) -> None:
        self._name, self._tolerance, self._encode = name, tolerance, encode
        self._last: Pictures | None = None  # encoded last
        self._features: Tensor | None = None  # of it, [1, ...]
        self._seen = self._reused = 0
        self._worst: tuple[float, Pictures, Tensor] | None = None

    def features(self, pictures: Pictures) -> Tensor:
        """Features [n, ...] of the next pictures [n, ..., H, W, 3], or of stacks of pictures."""
        fresh: list[int] = []
        places: list[int] = []  # of each picture's features among the last one's and the fresh ones
        differences: list[float] = []
        for k, picture in enumerate(pictures):
            difference = np.inf if self._last is None else picture_difference(picture, self._last)
            if difference > self._tolerance:
                fresh.append(k)
                self._last = picture
            places.append(len(fresh))
            differences.append(difference)
        known = [] if self._features is None else [self._features]
        made = torch.cat(known + ([self._encode(pictures[fresh])] if fresh else []))
        places = places if known else [place - 1 for place in places]
        found = made[places]
        self._account(pictures, found, set(fresh), differences)
        self._features = made[-1:].clone()
        self._last = None if self._last is None else self._last.copy()  # not the whole array that it is part of
        return found

    def _account(self, pictures: Pictures, found: Tensor, fresh: set[int], differences: list[float]) -> None:
        self._seen += len(pictures)
        for k in range(len(pictures)):
            if k in fresh:
                continue
            self._reused += 1
            if self._worst is None or differences[k] > self._worst[0]:
                self._worst = (differences[k], pictures[k : k + 1].copy(), found[k : k + 1].clone())

    def facts(self) -> Reused:
        """How much was taken over, and the error, measured where pictures differed most: that one is encoded now."""
        if self._worst is None:
            return Reused(name=self._name, seen=self._seen)
        difference, picture, given = self._worst
        true = self._encode(picture).float()
        error = float((given.float() - true).norm() / true.norm().clamp_min(1e-12)) if difference > 0 else 0.0
        return Reused(name=self._name, seen=self._seen, reused=self._reused, difference=difference, error=error)
