"""What the pipeline needs of a family's encoders, and how they hand frames to their networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mfv2a.records import Clip, FrameRequest
from mfv2a.work import Seen, Words

Shrink = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


class Encoders(Protocol):
    """What `Pipeline` needs of a family's encoders.

    Attributes:
        frame_requests: frames they want of a video, by name; "motion" frames become motion features.
        shrinkers: what scales the frames that were asked for whole, by name: [T, H, W, 3] to [T, S, S, 3].
        encode_blank: a prompt of no words has features of its own; else it counts as absent.
    """

    frame_requests: ClassVar[Mapping[str, FrameRequest]]
    shrinkers: ClassVar[Mapping[str, Shrink]]
    encode_blank: ClassVar[bool]

    def encode_text(self, prompts: Sequence[str]) -> list[Words]:
        """What the prompts say, one after the other."""

    def see(self, clip: Clip, *, duration_s: float, semantics: bool = True) -> Seen:
        """Features of a clip over its whole timeline.

        Args:
            clip: with the frames of `frame_requests`.
            duration_s: how far they shall reach.
            semantics: look for what is seen, too, and not only for when it moves.
        """


def fit_frames(frames: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """The first `count` frames; the last one repeated where there are fewer."""
    return frames[np.minimum(np.arange(count), len(frames) - 1)]


def unit_frames(frames: NDArray[np.uint8]) -> Tensor:
    """Frames [T, S, S, 3] uint8 as [T, 3, S, S] float32 in [0, 1]."""
    return torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255
