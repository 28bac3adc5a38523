"""A clip's timeline: how a model's sequences lie on it, windows, the noise field under them, and how they join.

Windows of one clip overlap and share one noise field, so that where they meet they nearly agree.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mfv2a.errors import ConfigError

WINDOW = 250
OVERLAP = 50
FADE = 10
NOISE_BLOCK = 50


class Window(NamedTuple):
    """A stretch of the timeline, in latents.

    Attributes:
        start: first latent.
        length: number of latents.
    """

    start: int
    length: int

    @property
    def stop(self) -> int:
        """One past the last latent."""
        return self.start + self.length


class Lengths(NamedTuple):
    """Lengths of a window's sequences.

    Attributes:
        latents: N; clip: semantic vectors V; sync: sync features Y.
    """

    latents: int
    clip: int
    sync: int


@dataclass(frozen=True, kw_only=True)
class SequenceSpec:
    """How the sequences of a model lie on a clip's timeline.

    Attributes:
        sample_rate_hz: of its sound; latent_samples: samples that a latent stands for.
        clip_rate_hz: semantic vectors a second; sync_rate_hz: sync features a second.
        segment: frames, at the rate of the sync features, that the sync encoder looks at together; 1 if a feature
            stands for its own frame.
        stride: features of a segment, and frames from one segment to the next; windows begin where segments do.
        closed: a latent stands at the end of the sound, too, as the spectra of centred windows do.
        window_s: longest stretch sampled in one go; hop_s: seconds from one window to the next.
    """

    sample_rate_hz: int = 16000
    latent_samples: int = 512
    clip_rate_hz: float = 1.0
    sync_rate_hz: float = 25.0
    segment: int = 1
    stride: int = 1
    closed: bool = False
    window_s: float = 8.0
    hop_s: float = 6.4

    def windowed(self, window_s: float) -> SequenceSpec:
        """The same with windows of another length, a fifth of which overlaps; they begin where sync segments do.

        Raises:
            ConfigError: the length is no more than a segment.
        """
        step_s = self.stride / self.sync_rate_hz
        hop_s = step_s * int(0.8 * window_s / step_s + 1e-9)
        if hop_s < step_s or window_s * self.sync_rate_hz < self.segment:
            raise ConfigError(
                f"window_s = {window_s:g} is too short", hint="correct it in the register that names the model"
            )
        return replace(self, window_s=window_s, hop_s=hop_s)

    @property
    def latent_rate_hz(self) -> float:
        """Latents a second."""
        return self.sample_rate_hz / self.latent_samples

    def latents(self, duration_s: float) -> int:
        """Latents N of a sound, one at least; its last one may reach past the end."""
        return max(1, math.ceil(duration_s * self.sample_rate_hz / self.latent_samples)) + self.closed

    def plan(self, num_latents: int) -> tuple[Window, ...]:
        """Windows over a timeline of N latents; see `plan_windows`."""
        return plan_windows(num_latents, window=self.latents(self.window_s), hop=self.hop_s * self.latent_rate_hz)

    def lengths(self, window: Window, duration_s: float) -> Lengths:
        """Lengths of a window's sequences.

        Args:
            window: one of `plan`.
            duration_s: of the clip, which decides those of a window that is the only one.
        """
        if self.segment == 1:
            seconds = window.length / self.latent_rate_hz
            features = round(window.length * self.sync_rate_hz / self.latent_rate_hz)
        else:
            seconds = min(duration_s, self.window_s) if window.start == 0 else self.window_s
            segments = math.floor((seconds * self.sync_rate_hz - self.segment) / self.stride) + 1
            features = max(1, segments) * self.stride
        return Lengths(window.length, max(1, int(seconds * self.clip_rate_hz)), max(1, features))

    def clip_at(self, window: Window) -> int:
        """The semantic vector that stands for what is seen when a window begins."""
        return int((window.start + 0.5) / self.latent_rate_hz * self.clip_rate_hz)  # starts are rounded to latents

    def sync_at(self, window: Window) -> int:
        """The sync feature with which a window begins: the first of a segment."""
        return self.stride * round(window.start * self.sync_rate_hz / self.latent_rate_hz / self.stride)

    def extent(self, duration_s: float) -> Lengths:
        """Lengths of the sequences over all windows of a clip."""
        windows = self.plan(self.latents(duration_s))
        last = self.lengths(windows[-1], duration_s)
        return Lengths(windows[-1].stop, self.clip_at(windows[-1]) + last.clip, self.sync_at(windows[-1]) + last.sync)


def plan_windows(num_latents: int, *, window: int = WINDOW, hop: float = WINDOW - OVERLAP) -> tuple[Window, ...]:
    """Windows that cover a timeline.

    Args:
        num_latents: N of the clip, at least 1.
        window: length of each; a clip no longer than it gets one window of its own length.
        hop: latents from one window to the next, which need not be whole: each window starts at the nearest latent.
            The last window may reach past the end of the clip.
    """
    windows = [Window(0, min(num_latents, window))]
    while windows[-1].stop < num_latents:
        windows.append(Window(round(len(windows) * hop), window))
    return tuple(windows)


def noise_field(seed: int | str, start: int, length: int, channels: int) -> Tensor:
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
    return torch.cat(list(blended(parts, windows)))


def blended(parts: Iterable[Tensor], windows: Sequence[Window]) -> Iterator[Tensor]:
    """`blend` as its parts come: pieces [n, C] of the timeline, in order."""
    pending = zip(parts, windows, strict=True)
    tail, window = next(pending)
    begun = window.start  # where the tail lies
    for part, window in pending:
        overlap = begun + len(tail) - window.start
        fade = min(FADE, overlap)
        lead = (overlap - fade) // 2
        ramp = torch.linspace(0, 1, fade + 2, device=part.device, dtype=part.dtype)[1:-1, None]
        middle, seam = slice(lead, lead + fade), window.start + lead
        joined = tail[window.start - begun :][middle] * (1 - ramp) + part[middle] * ramp
        yield tail[: seam - begun]
        tail, begun = torch.cat([joined, part[lead + fade :]]), seam
    yield tail


def crossfade(
    decode: Callable[[Tensor], Tensor], mel: Tensor, *, chunk: int, overlap: int, hop: int, agree: bool = False
) -> Tensor:
    """Decode a long mel [M, F] piece by piece, joined by fades, in bounded memory.

    Args:
        decode: mel [M, F'] -> wave [F' * hop].
        mel: log-mel.
        chunk: frames a piece; a mel no longer than this is decoded in one go.
        overlap: frames shared by neighbours.
        hop: samples a frame.
        agree: neighbours have the same phases where they meet, so that the fades add up to one; else their squares do.
    """
    frames = mel.shape[1]
    waves = crossfaded(decode, [mel], frames=frames, chunk=chunk, overlap=overlap, hop=hop, agree=agree)
    return torch.cat(list(waves))


def crossfaded(
    decode: Callable[[Tensor], Tensor],
    mels: Iterable[Tensor],
    *,
    frames: int,
    chunk: int,
    overlap: int,
    hop: int,
    agree: bool = False,
) -> Iterator[Tensor]:
    """`crossfade` of a mel that comes bit by bit: pieces of the wave, in order.

    Args:
        decode: mel [M, F'] -> wave [F' * hop].
        mels: pieces [M, f] of the log-mel; what goes beyond `frames` is left out.
        frames: of the whole mel.
        chunk: frames decoded in one go.
        overlap: frames shared by neighbours.
        hop: samples a frame.
        agree: see `crossfade`.
    """
    coming, step = iter(mels), chunk - overlap
    have = next(coming)
    faded: Tensor | None = None  # the end of the piece before, that is still to be added to
    for start in range(0, max(1, frames - overlap), step):
        wanted = min(chunk, frames - start)
        while have.shape[1] < wanted:
            have = torch.cat([have, next(coming)], dim=1)
        wave, last = decode(have[:, :wanted]), start + chunk >= frames
        have = have[:, step:]
        if faded is None and last:
            yield wave
            return
        wave = wave.clone()
        ramp = torch.linspace(0, torch.pi / 2, overlap * hop, device=wave.device).sin()
        ramp = ramp.square() if agree else ramp
        if faded is not None:
            wave[: len(ramp)] *= ramp
            wave[: len(faded)] += faded[: len(wave)]
        if last:
            yield wave
            return
        wave[-len(ramp) :] *= ramp.flip(0)
        faded = wave[step * hop :]
        yield wave[: step * hop]


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
