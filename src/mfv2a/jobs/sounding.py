"""Latent -> sound of a clip: in memory while it is short, else block by block into a file."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from mfv2a.decoding import fill, finished_blocks, settle, wave_blocks
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
    turn: AbstractContextManager[Any] | None = None,
) -> Audio:
    """The sound of a latent, exactly round(duration x rate) samples; that of a long clip lies in a nameless file.

    Args:
        pipeline: the model.
        work: what the latent was sampled for.
        latent: [N, C] of `Pipeline.sample`.
        sample_rate_hz: of the result.
        folder: on whose disk long sounds are kept; made if need be.
        seconds: takes the time of "vae" and "vocoder".
        turn: held while a network runs, and not while what it made is written.

    Raises:
        OSError: a long sound cannot be kept there.
        StoppedError, OverdueError: the work shall end (see `media.patience`).
    """
    turn = turn or nullcontext()
    if work.duration_s > LONG_S:
        return _decode_long(pipeline, work, latent, sample_rate_hz, folder, seconds, turn)
    with turn:
        start = time.perf_counter()
        mel = pipeline.decode_latent(latent)
        settle(pipeline.device)  # else the vocoder's time would hold the rest of this
        seconds["vae"] = time.perf_counter() - start
        audio = pipeline.finish(work, pipeline.vocode(mel), sample_rate_hz=sample_rate_hz)
        seconds["vocoder"] = time.perf_counter() - start - seconds["vae"]
    return audio


def _decode_long(
    pipeline: Pipeline,
    work: Work,
    latent: torch.Tensor,
    rate_hz: int,
    folder: Path,
    seconds: dict[str, float],
    turn: AbstractContextManager[Any],
) -> Audio:
    start, waited_s = time.perf_counter(), 0.0

    def in_turn(blocks: Iterator[torch.Tensor]) -> Iterator[torch.Tensor]:
        nonlocal waited_s
        while True:
            before = time.perf_counter()
            with turn:
                waited_s += time.perf_counter() - before
                block = next(blocks, None)
            if block is None:
                return
            yield block

    folder.mkdir(parents=True, exist_ok=True)
    with Spool(folder) as raw, Spool(folder) as finished:

        def keep(block: NDArray[np.float32]) -> None:
            check_patience()
            raw.append(block)

        blocks = in_turn(wave_blocks(pipeline, latent, seconds))
        peak = fill(blocks, keep, work, pipeline.info.sample_rate_hz)
        wave = raw.array()
        for block in finished_blocks(pipeline, work, wave, peak=peak, sample_rate_hz=rate_hz):
            check_patience()
            finished.append(block)
            forget(wave)
        seconds["vocoder"] = time.perf_counter() - start - waited_s - seconds.setdefault("vae", 0.0)
        return Audio(samples=finished.array(), sample_rate_hz=rate_hz)
