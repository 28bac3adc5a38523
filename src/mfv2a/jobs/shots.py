"""A clip shot by shot: each is seen, sampled and decoded as a clip of its own; they are joined where the film is cut.

Nothing reaches over a cut: no frame, no feature, no window, no filter. What they share is the noise: each shot takes
its place in the clip's one field.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mfv2a.errors import MediaError
from mfv2a.jobs.drafts import Draft, Shot
from mfv2a.jobs.sight import frame_sinks
from mfv2a.jobs.sounding import LONG_S, decode_sound
from mfv2a.media.cuts import decode_shots
from mfv2a.media.hardware import DecodeDevice, choose_decoder
from mfv2a.media.patience import check_patience
from mfv2a.media.spool import forget, kept
from mfv2a.media.video import FrameSink
from mfv2a.records import Audio, VideoInfo

if TYPE_CHECKING:
    from torch import Tensor

    from mfv2a.pipeline import Pipeline, Work

log = logging.getLogger(__name__)
FADE_S = 0.005
"""A sound that is cut off clicks: it fades out before a cut and in after it, within its own shot."""
_BLOCK_SAMPLES = 1 << 18


def see_shots(
    info: VideoInfo,
    pipeline: Pipeline,
    *,
    semantics: bool = True,
    reuse: float | None = None,
    threads: int = 0,
    decode_device: DecodeDevice = "cpu",
    turn: AbstractContextManager[Any] | None = None,
    seconds: dict[str, float] | None = None,
    begin: Callable[[str], None] = lambda stage: None,
) -> list[Shot]:
    """Decodes a video once, finds its cuts meanwhile, and lets the encoders look at each shot; see `sight.see_video`.

    Args:
        info: the probe of the video.
        pipeline: says which frames it needs, and has the encoders.
        semantics: look for what is seen, too, and not only for when it moves.
        reuse: largest difference between pictures of a shot that share their features; None for no sharing.
        threads: of the decoder.
        decode_device: where the video is decoded.
        turn: held while a network runs.
        seconds: takes the wall time of "decode", with finding cuts, and of "features".
        begin: is told when the last frame is decoded, by "features".

    Returns:
        Its shots in order; at least one.

    Raises:
        MediaError: the file cannot be decoded.
        ConfigError: the package that finds cuts is not here, or a GPU shall decode and none does.
        StoppedError, OverdueError: the work shall end.
    """
    start, device = time.perf_counter(), choose_decoder(decode_device)
    look = partial(pipeline.look, semantics=semantics, reuse=reuse)
    watcher = _Watcher(info, pipeline, look, turn or nullcontext())
    decode = partial(decode_shots, info, pipeline.frame_requests, threads=threads)
    try:
        decode(watcher.begin, watcher.end, device=device)
    except MediaError:
        if device == "cpu" or decode_device == "cuda":
            raise
        log.warning("%s: could not be decoded on the GPU; the processor tries", info.path)
        watcher = _Watcher(info, pipeline, look, turn or nullcontext())
        decode(watcher.begin, watcher.end, device="cpu")
    begin("features")
    if seconds is not None:
        seconds |= {"decode": time.perf_counter() - start - watcher.looking_s, "features": watcher.looking_s}
    return watcher.shots


class _Watcher:
    """Looks at one shot after the other."""

    def __init__(
        self, info: VideoInfo, pipeline: Pipeline, look: Callable[[float], Any], turn: AbstractContextManager[Any]
    ) -> None:
        self.shots: list[Shot] = []
        self.looking_s = 0.0
        self._info, self._pipeline, self._begin_look, self._turn = info, pipeline, look, turn
        self._start_s = 0.0
        self._look: Any = None

    def begin(self, start_s: float) -> Mapping[str, FrameSink]:
        """A shot begins."""
        self._start_s = start_s
        with self._turn:
            self._look = self._begin_look(self._info.duration_s - start_s)
        return frame_sinks(self._pipeline, self._take)

    def end(self, end_s: float) -> None:
        """The shot is over."""
        before = time.perf_counter()
        with self._turn:
            self._look.shorten(end_s - self._start_s)
            self.shots.append(Shot(self._start_s, self._look.seen()))
        self.looking_s += time.perf_counter() - before

    def _take(self, name: str, wanted: NDArray[Any]) -> None:
        before = time.perf_counter()
        with self._turn:
            self._look.add(name, wanted)
        self.looking_s += time.perf_counter() - before


def works_of_shots(
    pipeline: Pipeline, shots: Sequence[Shot], *, prompt: str, negative_prompt: str, duration_s: float, seed: int
) -> tuple[Work, ...]:
    """Makes the shots of a clip ready to sample.

    Args:
        pipeline: the model.
        shots: what is seen in each.
        prompt: what should be heard, "" for what is seen.
        negative_prompt: what should not.
        duration_s: of the clip.
        seed: of the clip's noise.
    """
    ends_s = [*(shot.start_s for shot in shots[1:]), duration_s]
    works = [
        pipeline.prepare(
            shot.seen, prompt=prompt, negative_prompt=negative_prompt, duration_s=end_s - shot.start_s, seed=seed
        )
        for shot, end_s in zip(shots, ends_s, strict=True)
    ]
    rate_hz = pipeline.spec.latent_rate_hz
    return tuple(replace(work, offset=round(shot.start_s * rate_hz)) for work, shot in zip(works, shots, strict=True))


def sound_of_shots(
    pipeline: Pipeline,
    draft: Draft,
    latents: Sequence[Tensor],
    *,
    sample_rate_hz: int,
    folder: Path,
    seconds: dict[str, float],
    turn: AbstractContextManager[Any] | None = None,
) -> Audio:
    """The sound of a clip, exactly round(duration x rate) samples; that of a long one lies in a nameless file.

    Args:
        pipeline: the model.
        draft: the clip.
        latents: [N, C] of each shot.
        sample_rate_hz: of the result.
        folder: on whose disk long sounds are kept.
        seconds: takes the time of "vae" and "vocoder".
        turn: held while a network runs.

    Raises:
        OSError: a long sound cannot be kept there.
        StoppedError, OverdueError: the work shall end.
    """
    decode = partial(decode_sound, pipeline, sample_rate_hz=sample_rate_hz, folder=folder, turn=turn)
    if len(draft.works) == 1:
        return decode(draft.works[0], latents[0], seconds=seconds)
    places = [round(start_s * sample_rate_hz) for start_s in draft.starts_s]
    places.append(round(draft.duration_s * sample_rate_hz))

    def pieces() -> Iterator[NDArray[np.float32]]:
        for k, (work, latent) in enumerate(zip(draft.works, latents, strict=True)):
            check_patience()
            spent: dict[str, float] = {}
            audio = decode(work, latent, seconds=spent)
            for stage, time_s in spent.items():
                seconds[stage] = seconds.get(stage, 0.0) + time_s
            fade = round(FADE_S * sample_rate_hz)
            yield from edged(
                audio.samples,
                places[k + 1] - places[k],
                fade_in=fade if k > 0 else 0,
                fade_out=fade if k + 1 < len(draft.works) else 0,
            )

    is_long = draft.duration_s > LONG_S
    if is_long:
        folder.mkdir(parents=True, exist_ok=True)
    return Audio(samples=kept(pieces(), folder if is_long else None), sample_rate_hz=sample_rate_hz)


def edged(samples: NDArray[np.float32], length: int, *, fade_in: int, fade_out: int) -> Iterator[NDArray[np.float32]]:
    """A sound of a given length with its ends faded, block by block.

    Args:
        samples: [S]; a sample that is missing is silence.
        length: of the result in samples.
        fade_in: samples over which it rises from nothing, 0 for none.
        fade_out: samples over which it falls to nothing, 0 for none.
    """
    for first in range(0, length, _BLOCK_SAMPLES):
        last = min(length, first + _BLOCK_SAMPLES)
        block = np.zeros(last - first, np.float32)
        part = samples[first:last]
        block[: len(part)] = part
        forget(samples)
        places = np.arange(first, last, dtype=np.float32)
        if fade_in and first < fade_in:
            block *= np.minimum(1.0, (places + 0.5) / fade_in)
        if fade_out and last > length - fade_out:
            block *= np.minimum(1.0, (length - places - 0.5) / fade_out)
        yield block
