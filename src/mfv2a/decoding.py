"""Latent -> sound block by block: what a long clip needs of memory does not grow with it.

The blocks are those that `Pipeline.decode_latent`, `vocode` and `finish` would give as a whole: the same windows, fades
and filters, each decoded once.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mfv2a.models.resampling import resample
from mfv2a.models.vocoders import cut_for
from mfv2a.models.woosh_autoencoder import WooshAutoencoder
from mfv2a.pipeline import Pipeline, Work
from mfv2a.timeline import Window, blended, crossfaded

RESAMPLE_S = 10.0
HALO = 4096  # samples on either side that a resampling filter may reach over; it needs under 800 from 192 to 8 kHz


def wave_blocks(pipeline: Pipeline, latent: Tensor, seconds: dict[str, float]) -> Iterator[Tensor]:
    """The waveform of a latent, at the model's rate.

    Args:
        pipeline: the model.
        latent: [N, C] of `Pipeline.sample`.
        seconds: takes the time of "vae", that is of all before the vocoder.

    Yields:
        Blocks [s] that follow each other.
    """
    mean, std = pipeline.statistics  # before the decoders: it may need the generator
    if isinstance(pipeline.vae, WooshAutoencoder):
        yield from pipeline.decode_wave(latent)
        return
    raw = latent * std + mean
    windows = pipeline.spec.plan(len(raw))

    def parts() -> Iterator[Tensor]:
        for window in windows:
            start = time.perf_counter()
            piece = raw[window.start : window.stop]
            piece = torch.nn.functional.pad(piece, (0, 0, 0, window.length - len(piece)))
            part = pipeline.vae.decode(piece[None])[0].T
            settle(pipeline.device)
            seconds["vae"] = seconds.get("vae", 0.0) + time.perf_counter() - start
            yield part

    mel = blended(parts(), [Window(2 * window.start, 2 * window.length) for window in windows])
    vocoder = pipeline.vocoder
    assert vocoder is not None, "every autoencoder but Woosh's makes a mel"
    cut = cut_for(vocoder, pipeline.info.sample_rate_hz)
    yield from crossfaded(lambda part: vocoder(part[None])[0], (rows.T for rows in mel), frames=2 * len(raw), **cut)


def settle(device: torch.device) -> None:
    """Waits until a GPU has done what it was given: until then no time that it took is known."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


@torch.inference_mode()
def fill(
    blocks: Iterable[Tensor], keep: Callable[[NDArray[np.float32]], None], work: Work, sample_rate_hz: int
) -> float:
    """Hands blocks of a work's wave on as arrays, `Work.swelled`; gives their `Work.peak`."""
    peak, start = 0.0, 0
    for made in blocks:
        block = work.swelled(made, sample_rate_hz, start=start)
        peak = max(peak, work.peak(block, sample_rate_hz, start=start))
        start += len(block)
        keep(block.float().cpu().numpy())
    return peak


def finished_blocks(
    pipeline: Pipeline, work: Work, wave: NDArray[np.float32], *, peak: float, sample_rate_hz: int
) -> Iterator[NDArray[np.float32]]:
    """What `Pipeline.finish` makes of a wave: held down, resampled, exactly round(duration x rate) samples.

    Args:
        pipeline: the model.
        work: what the wave was made for.
        wave: [S] at the model's rate.
        peak: its `Work.peak`.
        sample_rate_hz: of the result.

    Yields:
        Blocks [s] in [-1, 1].
    """
    gain, left = work.gain(peak), round(work.duration_s * sample_rate_hz)
    for block in _resampled(wave, pipeline.info.sample_rate_hz, sample_rate_hz, gain):
        part = block[:left]
        left -= len(part)
        yield np.clip(part, -1.0, 1.0)
        if not left:
            return
    yield np.zeros(left, dtype=np.float32)


def _resampled(wave: NDArray[np.float32], old_hz: int, new_hz: int, gain: float) -> Iterator[NDArray[np.float32]]:
    """The wave times a gain at another rate, block by block: each with its neighbourhood, which is cut off after."""
    common = math.gcd(old_hz, new_hz)
    old, new = old_hz // common, new_hz // common
    step = math.ceil(RESAMPLE_S * old_hz / old) * old
    halo = math.ceil(HALO / old) * old if old != new else 0
    change = partial(resample, old_hz=old_hz, new_hz=new_hz)
    for start in range(0, len(wave), step):
        first, last = max(0, start - halo), min(len(wave), start + step + halo)
        part = torch.from_numpy(np.array(wave[first:last])) * gain
        made = part if old == new else change(part)
        begin = (start - first) * new // old
        end = None if start + step >= len(wave) else begin + step * new // old
        yield made[begin:end].numpy()
