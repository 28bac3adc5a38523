"""Latent -> sound of a clip: in memory while it is short, else block by block into a file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from mfv2a.decoding import fill, finished_blocks, wave_blocks
from mfv2a.media.patience import check_patience
from mfv2a.media.spool import Spool, forget
from mfv2a.records import Audio

if TYPE_CHECKING:
    from mfv2a.pipeline import Pipeline, Work

LONG_S = 60.0
"""Seconds from which a sound is kept in a file instead of in memory: at 48 kHz a minute is 11 MB."""


@torch.inference_mode()
def decode_sound(
    pipeline: Pipeline,
    work: Work,
    latent: torch.Tensor,
    *,
    sample_rate_hz: int,
    folder: Path,
    seconds: dict[str, float],
) -> Audio:
    """The sound of a latent, exactly round(duration x rate) samples; that of a long clip lies in a nameless file.

    Args:
        pipeline: the model.
        work: what the latent was sampled for.
        latent: [N, C] of `Pipeline.sample`.
        sample_rate_hz: of the result.
        folder: on whose disk long sounds are kept; made if need be.
        seconds: takes the time of "vae" and "vocoder".

    Raises:
        OSError: a long sound cannot be kept there.
        StoppedError, OverdueError: the work shall end (see `media.patience`).
    """
    start = time.perf_counter()
    if work.duration_s <= LONG_S:
        mel = pipeline.decode_latent(latent)
        seconds["vae"] = time.perf_counter() - start
        audio = pipeline.finish(work, pipeline.vocode(mel), sample_rate_hz=sample_rate_hz)
    else:
        audio = _decode_long(pipeline, work, latent, sample_rate_hz, folder, seconds)
    seconds["vocoder"] = time.perf_counter() - start - seconds.setdefault("vae", 0.0)
    return audio


def _decode_long(
    pipeline: Pipeline, work: Work, latent: torch.Tensor, rate_hz: int, folder: Path, seconds: dict[str, float]
) -> Audio:
    folder.mkdir(parents=True, exist_ok=True)
    with Spool(folder) as raw, Spool(folder) as finished:

        def keep(block: NDArray[np.float32]) -> None:
            check_patience()
            raw.append(block)

        peak = fill(wave_blocks(pipeline, latent, seconds), keep)
        wave = raw.array()
        for block in finished_blocks(pipeline, work, wave, peak=peak, sample_rate_hz=rate_hz):
            check_patience()
            finished.append(block)
            forget(wave)
        return Audio(samples=finished.array(), sample_rate_hz=rate_hz)
