"""Synchformer as Woosh looks through it: a feature a frame, 24 frames a second, and nothing before the first.

The encoder is `synchformer.py`'s, with MMAudio's weights; windows and rate differ. It does not know videos.

Source: the technical report of Woosh, arXiv 2604.01929; what it leaves open is as the public inference behaves.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mfv2a.errors import ConfigError
from mfv2a.models.pieces import Pieces
from mfv2a.models.synchformer import Synchformer

WOOSH_FPS, WOOSH_PX = 24.0, 224
"""Frames a second, and the side to which the whole picture is squeezed."""


class WooshSync:
    """Frames as they come -> features, one a frame.

    A segment's worth of mid-grey is put before the first frame, so that segment s of 16 frames ends with frame 8 s - 1
    and speaks for the frames 8 s to 8 s + 7; frames at the end that fill no segment are seen by none.

    Args:
        net: the encoder; the public one takes 224 x 224.
        count: frames T in all; where fewer come, the last one is repeated.
        at_once: segments encoded at a time, which bounds the memory.
    """

    def __init__(self, net: Synchformer, count: int, *, at_once: int = 8) -> None:
        c = net.config
        self._net, self._count, self._at_once = net, count, at_once
        overlap = c.segment - c.stride
        self._pieces = Pieces(c.stride * at_once + overlap, c.stride * at_once, self._wanted(count))
        self._parts: list[Tensor] = []
        self._began = False

    def add(self, frames: NDArray[np.uint8]) -> None:
        """Takes the next frames.

        Args:
            frames: [t, H, W, 3] uint8 at 24 a second.

        Raises:
            ConfigError: they are no bytes.
        """
        if frames.dtype != np.uint8:
            raise ConfigError(f"frames must be bytes, not {frames.dtype}")
        if len(frames) and not self._began:
            frames = np.concatenate([np.zeros((self._net.config.segment, *frames.shape[1:]), np.uint8), frames])
            self._began = True
        for piece in self._pieces.add(frames):
            self._encode(piece)

    def shorten(self, count: int) -> None:
        """Says that there are so many frames in all, and no more."""
        self._count = count
        self._pieces.shorten(self._wanted(count))

    def _wanted(self, count: int) -> int:
        """Frames that are looked at, those before the first included; of the last few none fills a segment."""
        c = self._net.config
        return c.segment + c.stride * (count // c.stride)

    def features(self) -> Tensor:
        """All features [T, D].

        Raises:
            ConfigError: no frame came.
        """
        for piece in self._pieces.rest():
            self._encode(piece)
        return torch.cat(self._parts)[: self._count]

    def _encode(self, piece: NDArray[np.uint8]) -> None:
        pixels = torch.from_numpy(piece).permute(0, 3, 1, 2) / 127.5 - 1
        if not self._parts:
            pixels[: self._net.config.segment] = 0
        self._parts.append(self._net.encode(pixels[None], chunk=self._at_once)[0])


def encode_woosh(net: Synchformer, frames: Tensor, *, at_once: int = 8) -> Tensor:
    """Features of a video that is there as a whole; see `WooshSync`.

    Args:
        net: the encoder.
        frames: [T, H, W, 3] uint8 at 24 a second.
        at_once: segments encoded at a time.

    Returns:
        [1, T, D].

    Raises:
        ConfigError: there are no frames, or they are no bytes.
    """
    sync = WooshSync(net, len(frames), at_once=at_once)
    sync.add(frames.numpy())
    return sync.features()[None]
