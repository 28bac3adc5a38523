"""What the pipeline needs of a family's encoders, and how frames reach their networks: as they come, piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mfv2a.records import Clip, FrameRequest
from mfv2a.work import Seen, Words

Shrink = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
STRIKE_FPS = 25.0
"""Frames a second of a curve of strikes."""


class Encoders(Protocol):
    """What `Pipeline` needs of a family's encoders.

    Attributes:
        frame_requests: frames they want of a video, by name; those of "motion", `timed`, become motion features.
        shrinkers: what scales the frames that were asked for whole, by name: [T, H, W, 3] to [T, S, S, 3].
        encode_blank: a prompt of no words has features of its own; else it counts as absent.
        ambience: a prompt for clips of which it is not known what they should sound like; "" where all clips are known.
    """

    frame_requests: ClassVar[Mapping[str, FrameRequest]]
    shrinkers: ClassVar[Mapping[str, Shrink]]
    encode_blank: ClassVar[bool]
    ambience: ClassVar[str]

    def encode_text(self, prompts: Sequence[str]) -> list[Words]:
        """What the prompts say, one after the other."""

    def look(self, duration_s: float, *, semantics: bool = True, reuse: float | None = None) -> Look:
        """Begins to look at a clip.

        Args:
            duration_s: how far its features shall reach.
            semantics: look for what is seen, too, and not only for when it moves.
            reuse: largest difference between pictures that share their features, in levels of 255 (see
                `mfv2a.models.reuse`); None to encode every picture.

        Raises:
            ConfigError: the model sees no pictures.
        """

    def strike_curve(self, seen: Seen) -> NDArray[np.float32] | None:
        """How likely something strikes [Y], `STRIKE_FPS` a second; None where nothing is seen to, or it cannot tell."""


class Look(Protocol):
    """Frames as they come -> features, so that no clip's frames are ever there at once."""

    def add(self, name: str, frames: NDArray[Any]) -> None:
        """Takes the next frames of a request: [t, S, S, 3] or [t, S, S] uint8; for "motion" its features [t, F]."""

    def shorten(self, duration_s: float) -> None:
        """Says that the clip ends earlier than was said when the look began."""

    def seen(self) -> Seen:
        """What all that came is, over the clip's whole timeline; nothing can be added after it."""


def see(encoders: Encoders, clip: Clip, duration_s: float, *, semantics: bool = True) -> Seen:
    """What a clip whose frames are all there is; see `Encoders.look`."""
    look = encoders.look(duration_s, semantics=semantics)
    for name, frames in clip.frames.items():
        look.add(name, frames)
    if clip.motion is not None:
        look.add("motion", clip.motion)
    return look.seen()


def unit_frames(frames: NDArray[np.uint8], device: torch.device) -> Tensor:
    """Frames [..., S, S, 3] uint8 as [..., 3, S, S] float32 in [0, 1], on a device: as bytes they get there sooner."""
    return torch.from_numpy(frames).to(device).movedim(-1, -3).float() / 255
