"""One clip through the pipeline, from file to dubbed file, each stage timed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mfv2a.jobs.batch import StoppedError
from mfv2a.jobs.plan import Item
from mfv2a.jobs.report import absolute
from mfv2a.jobs.sound import SoundOptions, level_dbfs
from mfv2a.media.audio import write_audio
from mfv2a.media.motion import MotionMeter
from mfv2a.media.mux import mux_audio
from mfv2a.media.video import decode_video
from mfv2a.records import Audio, Clip, ItemResult, VideoInfo

if TYPE_CHECKING:
    from mfv2a.pipeline import Pipeline, Work

UNCERTAIN_BELOW = 0.35  # confidence under which a clip counts as not understood


class DubStages:
    """The stages of a batch on real files and a real pipeline."""

    def __init__(self, pipeline: Pipeline, sound: SoundOptions, out: Path, begin: Callable[[Item, str], None]) -> None:
        self._pipeline = pipeline
        self._sound = sound
        self._out = out
        self._begin = begin
        self._rate_hz = sound.rate_hz(pipeline.info)

    def decode(self, item: Item, stop: threading.Event) -> Clip:
        """File -> frames and motion."""
        self._begin(item, "decode")
        return decode_clip(item.info, self._pipeline, stop)

    def prepare(self, item: Item, clip: Clip) -> Work:
        """Frames -> features, window plan and noise seed."""
        self._begin(item, "features")
        return self._pipeline.prepare(
            clip, prompt=item.prompt, negative_prompt=self._sound.negative_prompt, seed=item.seed
        )

    def windows(self, work: Work) -> int:
        """How many windows a work has."""
        return len(work.windows)

    def sample(self, works: Sequence[Work], batch_size: int) -> list[Tensor]:
        """Works -> latents [N, C]."""
        return self._pipeline.sample(works, replace(self._sound.sampler(), batch_size=batch_size))

    def finish(self, item: Item, work: Work, latent: Tensor, seconds: dict[str, float]) -> ItemResult:
        """Latent -> dubbed file and the facts of it."""
        self._begin(item, "sound")
        start = time.perf_counter()
        mel = self._pipeline.decode_mel(latent)
        seconds["vae"] = time.perf_counter() - start
        wave = self._pipeline.vocode(mel)
        audio = self._pipeline.finish(work, wave, sample_rate_hz=self._rate_hz)
        seconds["vocoder"] = time.perf_counter() - start - seconds["vae"]
        start = time.perf_counter()
        _write_output(item, audio)
        seconds["mux"] = time.perf_counter() - start
        return ItemResult(
            source=item.source,
            output=item.output,
            status="ok",
            settings=item.settings,
            seconds=seconds,
            details=_describe(item, work, audio, seconds, self._out),
        )


def decode_clip(info: VideoInfo, pipeline: Pipeline, stop: threading.Event | None = None) -> Clip:
    """Decodes a video once for all that the pipeline asks; motion is measured as the frames come.

    Args:
        info: the probe of the video.
        pipeline: says which frames it needs.
        stop: when set, decoding ends soon with StoppedError.

    Returns:
        The clip, with its motion features.

    Raises:
        MediaError: the file cannot be decoded.
        StoppedError: `stop` was set.
    """
    meter = MotionMeter()

    def add(frames: NDArray[np.uint8]) -> None:
        if stop is not None and stop.is_set():
            raise StoppedError
        meter.add(frames)

    requests = pipeline.frame_requests
    sinks = {"motion": add} if "motion" in requests else {}
    clip = decode_video(info.path, requests, info=info, on_frames=sinks)
    return replace(clip, motion=meter.features()) if sinks else clip


def _write_output(item: Item, audio: Audio) -> None:
    """Writes the sound file, if asked for, then the dubbed video, which marks the item as done."""
    item.output.parent.mkdir(parents=True, exist_ok=True)
    if item.wav is not None:
        write_audio(item.wav, audio)
    try:
        mux_audio(item.info, audio, item.output, item.mux)
    except BaseException:
        if item.wav is not None:
            item.wav.unlink(missing_ok=True)
        raise


def _describe(item: Item, work: Work, audio: Audio, seconds: Mapping[str, float], out: Path) -> dict[str, Any]:
    """The facts of a dubbed file for the report."""
    details = {
        **item.details,
        "duration_s": round(item.info.duration_s, 6),
        "windows": len(work.windows),
        "confidence": round(float(work.confidence), 4),
        "uncertain": bool(work.confidence < UNCERTAIN_BELOW),
        "recognized": list(work.recognized),
        "strikes_s": list(work.strikes_s),
        "quiet": work.quiet,
        "clip_seed": item.seed,
        "audio_codec": item.mux.codec,
        "samples": len(audio.samples),
        "sample_rate_hz": audio.sample_rate_hz,
        "output_bytes": item.output.stat().st_size,
        "rtf": round(sum(seconds.values()) / max(audio.duration_s, 1e-9), 4),
        **level_dbfs(audio.samples),
    }
    if item.wav is not None:
        details["wav"] = absolute(item.wav).relative_to(absolute(out)).as_posix()
        details["wav_bytes"] = item.wav.stat().st_size
    return details
