"""What the public video encoders are given: how many frames a second, in what segments, and how large.

Knows pixels and rates; not files, decoders or the encoders themselves.

Source: MMAudio, arXiv 2412.15322, section 3 and appendix; what the paper leaves open is as its public inference
behaves, to the frame and to the pixel.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mfv2a.errors import ConfigError

CLIP_FPS, CLIP_PX = 8.0, 384
SYNC_FPS, SYNC_PX = 25.0, 224
SEGMENT, STRIDE, FEATURES = 16, 8, 8
"""Frames of a sync segment, frames from one to the next, features of one."""


def shrink_clip(frames: Tensor) -> Tensor:
    """Frames for CLIP: [T, H, W, 3] uint8 to [T, 384, 384, 3] uint8, the aspect ratio not kept."""
    return _resize(frames, CLIP_PX, CLIP_PX)


def shrink_sync(frames: Tensor) -> Tensor:
    """Frames for Synchformer: [T, H, W, 3] uint8 to [T, 224, 224, 3] uint8, the middle of the picture."""
    height, width = frames.shape[1:3]
    short = min(height, width)
    rows, columns = (SYNC_PX if side == short else int(SYNC_PX * side / short) for side in (height, width))
    top, left = round((rows - SYNC_PX) / 2), round((columns - SYNC_PX) / 2)  # halves to even
    return _resize(frames, rows, columns)[:, top : top + SYNC_PX, left : left + SYNC_PX].contiguous()


def _resize(frames: Tensor, rows: int, columns: int) -> Tensor:
    """Antialiased bicubic resize of [T, H, W, 3] uint8 to [T, rows, columns, 3], rounded after each axis."""
    from torchvision.transforms.v2.functional import InterpolationMode, resize

    if frames.dtype != torch.uint8:
        raise ConfigError(f"frames must be bytes, not {frames.dtype}")
    out: Tensor = resize(
        frames.permute(0, 3, 1, 2), [rows, columns], interpolation=InterpolationMode.BICUBIC, antialias=True
    )
    return out.permute(0, 2, 3, 1)
