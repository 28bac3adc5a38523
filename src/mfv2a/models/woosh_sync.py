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
from mfv2a.models.reuse import Reuse, cut_segments
from mfv2a.models.synchformer import Synchformer
from mfv2a.records import Reused

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
        reuse: largest difference between segments that share their features, None for no sharing.
    """

    def __init__(self, net: Synchformer, count: int, *, at_once: int = 8, reuse: float | None = None) -> None:
        c = net.config
        self._net, self._count, self._at_once = net, count, at_once
        overlap = c.segment - c.stride
        self._pieces = Pieces(c.stride * at_once + overlap, c.stride * at_once, self._wanted(count))
        self._parts: list[Tensor] = []
        self._began = False
        self._reuse = None if reuse is None else Reuse("sync", reuse, self._segments)

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

    def reused(self) -> tuple[Reused, ...]:
        """How much was taken over from segments that hardly differ; () if that was not asked for."""
        return () if self._reuse is None else (self._reuse.facts(),)

    def _encode(self, piece: NDArray[np.uint8]) -> None:
        c, first = self._net.config, not self._parts
        if self._reuse is not None and not first:
            self._parts.append(self._reuse.features(cut_segments(piece, c.segment, c.stride)).flatten(0, 1))
            return
        # The grey before the first frame is no picture's: its segments are encoded, whatever comes.
        grey = c.segment // c.stride * c.stride if self._reuse is not None else 0
        own = piece[: grey + c.segment - c.stride] if grey else piece
        pixels = _pixels(own)
        if first:
            pixels[: c.segment] = 0
        self._parts.append(self._net.encode(pixels[None], chunk=self._at_once)[0])
        if grey and len(piece) >= grey + c.segment:
            self._encode(piece[grey:])

    def _segments(self, segments: NDArray[np.uint8]) -> Tensor:
        """Features [n, 8, D] of segments [n, 16, H, W, 3]."""
        return self._net.encode_segments(_pixels(segments), chunk=self._at_once)


def _pixels(frames: NDArray[np.uint8]) -> Tensor:
    """Frames [..., H, W, 3] as [..., 3, H, W] float32 in [-1, 1]."""
    return torch.from_numpy(frames).movedim(-1, -3) / 127.5 - 1
