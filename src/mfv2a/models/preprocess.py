"""What the public video encoders are given: which frames, how large, and how many latents they stand for.

Knows times, pixels and seconds; not files, decoders or the encoders themselves.

Source: MMAudio, arXiv 2412.15322, section 3 and appendix; what the paper leaves open is as its public inference
behaves, to the frame and to the pixel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mfv2a.errors import ConfigError
from mfv2a.models.mel import MelConfig

CLIP_FPS, CLIP_PX = 8.0, 384
SYNC_FPS, SYNC_PX = 25.0, 224
SEGMENT, STRIDE, FEATURES = 16, 8, 8
"""Frames of a sync segment, frames from one to the next, features of one."""


class Lengths(NamedTuple):
    """Lengths of a clip's sequences.

    Attributes:
        latents: N; samples: of the sound, a little more than asked for.
        clip: CLIP frames V; sync: sync features Y.
    """

    latents: int
    samples: int
    clip: int
    sync: int


def sequence_lengths(duration_s: float, mel: MelConfig) -> Lengths:
    """Lengths that the public networks use for a clip.

    Args:
        duration_s: of the clip, as `cut_duration` gives it.
        mel: the codec's front end; a latent is two of its frames.

    Raises:
        ConfigError: shorter than one sync segment (0.64 s).
    """
    segments = math.floor((duration_s * SYNC_FPS - SEGMENT) / STRIDE) + 1
    if segments < 1:
        raise ConfigError(f"{duration_s:g} s is too short", hint=f"at least {SEGMENT / SYNC_FPS:g} s are needed")
    latents = math.ceil(duration_s * mel.sample_rate_hz / mel.hop / 2)
    return Lengths(latents, latents * mel.hop * 2, int(duration_s * CLIP_FPS), segments * FEATURES)


def choose_frames(times_s: Sequence[float], fps: float, *, start_s: float = 0.0, end_s: float = math.inf) -> list[int]:
    """Source frames for a stream of `fps`: for each place of the stream the first frame at or after its time.

    Sources that are slower repeat frames; a first frame that comes late fills the start.

    Args:
        times_s: presentation times of the decoded frames, ascending.
        fps: frames a second of the stream.
        start_s: where the part that is used begins; places count from 0 all the same.
        end_s: where it ends, a frame at that time included.

    Returns:
        index into `times_s` of each frame of the stream, about fps * duration + 1 of them.
    """
    chosen: list[int] = []
    # The reference adds up 1 / fps, and its rounding decides frames that lie on a place: three times 0.04 is not 0.12.
    place, step = 0.0, 1 / fps
    for index, time in enumerate(times_s):
        if time > end_s:
            break
        if time < start_s:
            continue
        while time >= place:
            chosen.append(index)
            place += step
    return chosen


def cut_duration(asked_s: float, num_clip: int, num_sync: int) -> float:
    """Seconds that both streams cover: what was asked, or the shorter stream's length.

    Args:
        asked_s: wanted length.
        num_clip: frames that `choose_frames` found at `CLIP_FPS`.
        num_sync: the same at `SYNC_FPS`.

    Returns:
        duration; the streams are then cut to int(duration * fps) frames.
    """
    return min(asked_s, num_clip / CLIP_FPS, num_sync / SYNC_FPS)


def clip_frames(frames: Tensor) -> Tensor:
    """Frames for CLIP: [T, H, W, 3] uint8 to [T, 3, 384, 384] float32 in [0, 1], the aspect ratio not kept."""
    return shrink_clip(frames).permute(0, 3, 1, 2).float() / 255


def sync_frames(frames: Tensor) -> Tensor:
    """Frames for Synchformer: [T, H, W, 3] uint8 to [T, 3, 224, 224] float32 in [-1, 1], the middle of the picture."""
    return shrink_sync(frames).permute(0, 3, 1, 2).float() / 255 * 2 - 1


def shrink_clip(frames: Tensor) -> Tensor:
    """`clip_frames` in bytes, to be kept: [T, H, W, 3] to [T, 384, 384, 3]."""
    return _resize(frames, CLIP_PX, CLIP_PX)


def shrink_sync(frames: Tensor) -> Tensor:
    """`sync_frames` in bytes, to be kept: [T, H, W, 3] to [T, 224, 224, 3]."""
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
