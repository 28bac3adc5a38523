"""Synchformer as Woosh looks through it: a feature a frame, 24 frames a second, and nothing before the first.

The encoder is `synchformer.py`'s, with MMAudio's weights; windows and rate differ. It does not know videos.

Source: the technical report of Woosh, arXiv 2604.01929; what it leaves open is as the public inference behaves.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mfv2a.errors import ConfigError
from mfv2a.models.synchformer import Synchformer

WOOSH_FPS, WOOSH_PX = 24.0, 224
"""Frames a second, and the side to which the whole picture is squeezed."""


def encode_woosh(net: Synchformer, frames: Tensor, *, at_once: int = 8) -> Tensor:
    """Features of a video, one a frame.

    A segment's worth of mid-grey is put before the first frame, so that segment s of 16 frames ends with frame 8 s - 1
    and speaks for the frames 8 s to 8 s + 7; frames at the end that fill no segment are seen by none.

    Args:
        net: the encoder.
        frames: [T, H, W, 3] uint8 at 24 a second; the public model takes 224 x 224.
        at_once: segments encoded at a time, which bounds the memory.

    Returns:
        [1, T, D].

    Raises:
        ConfigError: there are no frames, or they are no bytes.
    """
    c = net.config
    if not len(frames):
        raise ConfigError("sync features need a frame at least")
    if frames.dtype != torch.uint8:
        raise ConfigError(f"frames must be bytes, not {frames.dtype}")
    total, parts = len(frames) // c.stride + 1, []
    for first in range(0, total, at_once):
        count = min(at_once, total - first)
        places = c.stride * first - c.segment + torch.arange(c.stride * (count - 1) + c.segment)
        pixels = frames[places.clamp(min=0)].permute(0, 3, 1, 2) / 127.5 - 1
        pixels[places < 0] = 0
        parts.append(net.encode(pixels[None], chunk=at_once))
    return torch.cat(parts, 1)[:, : len(frames)]
