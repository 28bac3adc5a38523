"""A clip's timeline of latents: windows, the noise field under them, and how they join.

Windows of one clip overlap and share one noise field, so that where they meet they nearly agree.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

LATENT_RATE_HZ = 31.25
SYNC_RATE_HZ = 25.0
WINDOW = 250
OVERLAP = 50
FADE = 10
NOISE_BLOCK = 50


class Window(NamedTuple):
    """A stretch of the timeline, in latents.

    Attributes:
        start: first latent; a multiple of 5, where video frames of 25 per second fall on latents.
        length: number of latents.
    """

    start: int
    length: int

    @property
    def stop(self) -> int:
        """One past the last latent."""
        return self.start + self.length


def plan_windows(num_latents: int, *, window: int = WINDOW, overlap: int = OVERLAP) -> tuple[Window, ...]:
    """Windows that cover a timeline.

    Args:
        num_latents: N of the clip, at least 1.
        window: length of each; a clip no longer than it gets one window of its own length.
        overlap: latents shared by neighbours. The last window may reach past the end of the clip.
    """
    if num_latents <= window:
        return (Window(0, num_latents),)
    count = -(-(num_latents - overlap) // (window - overlap))
    return tuple(Window(k * (window - overlap), window) for k in range(count))


def noise_field(seed: int, start: int, length: int, channels: int) -> Tensor:
    """Standard normal noise [length, C] at latents start, start + 1 ... of a clip's endless noise field.

    A function of (seed, absolute latent index) alone, so that windows share it and results do not depend on how
    a clip was cut or batched.
    """
    first, last = start // NOISE_BLOCK, (start + length - 1) // NOISE_BLOCK
    blocks = []
    for block in range(first, last + 1):
        digest = hashlib.sha256(f"{seed}/{block}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
        blocks.append(torch.randn(NOISE_BLOCK, channels, generator=generator))
    offset = start - first * NOISE_BLOCK
    return torch.cat(blocks)[offset : offset + length]


def blend(parts: Sequence[Tensor], windows: Sequence[Window]) -> Tensor:
    """Join windows [length, C] into one timeline [N, C]: a linear cross-fade in the middle of each overlap.

    Args:
        parts: one tensor a window, in order.
        windows: where they lie.
    """
    out = parts[0]
    for part, window in zip(parts[1:], windows[1:], strict=True):
        overlap = len(out) - window.start
        fade = min(FADE, overlap)
        lead = (overlap - fade) // 2
        ramp = torch.linspace(0, 1, fade + 2, device=part.device, dtype=part.dtype)[1:-1, None]
        middle = slice(lead, lead + fade)
        joined = out[window.start :][middle] * (1 - ramp) + part[middle] * ramp
        out = torch.cat([out[: window.start + lead], joined, part[lead + fade :]])
    return out


def crossfade(decode: Callable[[Tensor], Tensor], mel: Tensor, *, chunk: int, overlap: int, hop: int) -> Tensor:
    """Decode a long mel [M, F] piece by piece, joined by equal-power fades, in bounded memory.

    Args:
        decode: mel [M, F'] -> wave [F' * hop].
        mel: log-mel.
        chunk: frames a piece; a mel no longer than this is decoded in one go.
        overlap: frames shared by neighbours.
        hop: samples a frame.
    """
    frames = mel.shape[1]
    if frames <= chunk:
        return decode(mel)
    out = mel.new_zeros(frames * hop)
    ramp = torch.linspace(0, torch.pi / 2, overlap * hop, device=mel.device).sin()
    for start in range(0, frames - overlap, chunk - overlap):
        wave = decode(mel[:, start : start + chunk]).clone()
        if start > 0:
            wave[: len(ramp)] *= ramp
        if start + chunk < frames:
            wave[-len(ramp) :] *= ramp.flip(0)
        out[start * hop : start * hop + len(wave)] += wave
    return out


def find_strikes(curve: NDArray[np.floating], threshold: float) -> list[int]:
    """Frames where something strikes: local maxima above a threshold, at least 3 frames apart.

    Args:
        curve: probability [Y] that something strikes in a frame.
        threshold: least height of a strike.
    """
    found: list[int] = []
    for k in np.flatnonzero(curve > threshold):
        low, high = max(0, k - 2), min(len(curve), k + 3)
        if curve[k] == curve[low:high].max() and (not found or k - found[-1] > 2):
            found.append(int(k))
    return found
