"""One clip through the pipeline, from file to dubbed file, each stage timed."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from torch import Tensor

from mfv2a.errors import MediaError
from mfv2a.jobs.plan import Item
from mfv2a.jobs.report import absolute
from mfv2a.jobs.sight import see_video
from mfv2a.jobs.sound import SoundOptions, level_dbfs
from mfv2a.jobs.sounding import LONG_S, decode_sound
from mfv2a.jobs.track import Track, make_track
from mfv2a.media.audio import write_audio
from mfv2a.media.hardware import DecodeDevice
from mfv2a.media.mux import CHANGED, CHANGED_HINT, mux_audio, stamp
from mfv2a.media.patience import check_patience
from mfv2a.media.tracks import read_track
from mfv2a.records import Audio, ItemResult

if TYPE_CHECKING:
    from mfv2a.jobs.cache import FeatureCache
    from mfv2a.pipeline import Pipeline, Seen, Work

Made = TypeVar("Made")
UNCERTAIN_BELOW = 0.35  # confidence under which a clip counts as not understood


class Shared(Generic[Made]):
    """What is made once for several items of one video: kept until the last of them has taken it.

    Items of one video wait for each other; those of others do not.
    """

    def __init__(self, items: Iterable[Item] = ()) -> None:
        self._takers: dict[Path, int] = {}
        self._turns: dict[Path, threading.Lock] = {}
        self._kept: dict[Path, Made] = {}
        self.expect(items)

    def expect(self, items: Iterable[Item]) -> None:
        """Says which items will come, all of one video at once."""
        for source, number in Counter(item.source for item in items).items():
            if number > 1:
                self._takers[source] = number
                self._turns[source] = threading.Lock()

    def take(self, item: Item, make: Callable[[], Made]) -> Made:
        """The thing for an item: made now, unless an item of the same video has made it."""
        turn = self._turns.get(item.source)
        if turn is None:
            return make()
        with turn:
            self._takers[item.source] -= 1
            made = self._kept.pop(item.source) if item.source in self._kept else make()
            if self._takers[item.source] > 0:
                self._kept[item.source] = made
            return made


class DubStages:
    """The stages of a batch on real files and a real pipeline.

    The variants of a video share its features: only their noise differs. All methods may be
    called by several threads; on a device other than the CPU its networks run one at a time.

    Args:
        pipeline: the model.
        sound: how to make the sound.
        out: the output folder.
        begin: is told when a stage of an item begins.
        decoder_threads: of each video decoder; 0 for as many as there are cores.
        decode_device: where videos are decoded.
        cache: of what was seen, None for none.
        deliver: brings an output to where it belongs, once it is whole.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        sound: SoundOptions,
        out: Path,
        begin: Callable[[Item, str], None],
        decoder_threads: int = 0,
        decode_device: DecodeDevice = "cpu",
        cache: FeatureCache | None = None,
        deliver: Callable[[ItemResult], None] | None = None,
    ) -> None:
        self._pipeline = pipeline
        self._sound = sound
        self._out = out
        self._begin = begin
        self._rate_hz = sound.rate_hz(pipeline.info)
        self._decoder_threads, self._decode_device = decoder_threads, decode_device
        self._cache, self._deliver = cache, deliver
        self._device: AbstractContextManager[Any] = nullcontext() if pipeline.device.type == "cpu" else threading.Lock()
        self._works: Shared[Work] = Shared()

    def expect(self, items: Iterable[Item]) -> None:
        """Says which items will come, all of one video at once, so that it is known what they share."""
        self._works.expect(items)

    def prepare(self, item: Item, seconds: dict[str, float]) -> Work:
        """File -> features, window plan and noise seed; adds the seconds of decoding and of the encoders."""
        self._begin(item, "decode")
        try:
            work = self._works.take(item, lambda: self._look(item, seconds))
        except MediaError:
            _check_unchanged(item)  # if it has changed, that is the reason
            raise
        self._begin(item, "sample")  # it waits until its turn comes, with others
        return work if work.seed == item.seed else replace(work, seed=item.seed)

    def _look(self, item: Item, seconds: dict[str, float]) -> Work:
        """The work of a video and its prompt."""
        seen = self._see(item, seconds)
        start = time.perf_counter()
        with self._device:
            work = self._pipeline.prepare(
                seen,
                prompt=item.prompt,
                negative_prompt=item.negative_prompt,
                duration_s=item.info.duration_s,
                seed=item.seed,
            )
        seconds["features"] = seconds.get("features", 0.0) + time.perf_counter() - start
        return work

    def _see(self, item: Item, seconds: dict[str, float]) -> Seen:
        """What is seen in a video: what was seen before, if that is kept."""
        start = time.perf_counter()
        key = None if self._cache is None else self._cache.key(item.info)
        if self._cache is not None and key is not None and (kept := self._cache.get(key)) is not None:
            seconds["cache"] = time.perf_counter() - start
            return kept
        seen = see_video(
            item.info,
            self._pipeline,
            semantics=self._sound.semantics,
            threads=self._decoder_threads,
            decode_device=self._decode_device,
            turn=self._device,
            seconds=seconds,
            begin=lambda stage: self._begin(item, stage),
        )
        if self._cache is not None and key is not None:
            _check_unchanged(item)  # else these may not be the features of what the key was made of
            self._cache.put(key, seen)
        return seen

    def windows(self, work: Work) -> int:
        """How many windows a work has."""
        return len(work.windows)

    def sample(self, works: Sequence[Work], batch_size: int) -> list[Tensor]:
        """Works -> latents [N, C]."""
        with self._device:
            return self._pipeline.sample(works, replace(self._sound.sampler(), batch_size=batch_size))

    def finish(self, item: Item, work: Work, latent: Tensor, seconds: dict[str, float]) -> ItemResult:
        """Latent -> dubbed file and the facts of it."""
        self._begin(item, "sound")
        start = time.perf_counter()
        with self._device:
            audio = decode_sound(
                self._pipeline, work, latent, sample_rate_hz=self._rate_hz, folder=item.output.parent, seconds=seconds
            )
        check_patience()
        self._begin(item, "mux")
        start = time.perf_counter()
        track = self._lay(item, work, audio)
        _write_output(item, track)
        seconds["mux"] = time.perf_counter() - start
        result = ItemResult(
            source=item.source,
            output=item.output,
            status="ok",
            settings=item.settings,
            seconds=seconds,
            details=_describe(item, work, track, seconds, self._out),
        )
        if self._deliver is not None:
            start = time.perf_counter()
            self._deliver(result)
            seconds["upload"] = time.perf_counter() - start
        return result

    def _lay(self, item: Item, work: Work, audio: Audio) -> Track:
        """New sound -> the track of the file: over the source's sound if that is mixed, at its loudness."""
        folder = item.output.parent if audio.duration_s > LONG_S else None
        source = None
        if item.mix_track is not None:
            source = read_track(item.info, item.mix_track, audio.sample_rate_hz, folder=folder)
        return make_track(
            audio,
            loudness_lufs=self._sound.loudness_lufs,
            quiet=work.quiet,
            source=source,
            mix_gain_db=item.mix_gain_db,
            with_stem=item.wav is not None,
            folder=folder,
        )


def _check_unchanged(item: Item) -> None:
    """Refuses a source that is another one than when the batch was planned: still being written, or replaced.

    Raises:
        MediaError: it has changed or vanished.
    """
    if stamp(item.source) != (item.details["size_bytes"], item.details["mtime_ns"]):
        raise MediaError(item.source, CHANGED, hint=CHANGED_HINT)


def _write_output(item: Item, track: Track) -> None:
    """Writes the sound file, if asked for, then the dubbed video, which marks the item as done."""
    _check_unchanged(item)
    item.output.parent.mkdir(parents=True, exist_ok=True)
    if item.wav is not None and track.stem is not None:
        write_audio(item.wav, track.stem)
    try:
        mux_audio(item.info, track.audio, item.output, item.mux, beside=item.beside)
    except BaseException:
        if item.wav is not None:
            item.wav.unlink(missing_ok=True)
        raise


def _describe(item: Item, work: Work, track: Track, seconds: Mapping[str, float], out: Path) -> dict[str, Any]:
    """The facts of a dubbed file for the report."""
    audio = track.audio
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
        **track.facts,
    }
    if "cache" in seconds:
        details["cached_features"] = True
    if item.mix_track is not None or item.beside:
        details["source_sound"] = "mixed" if item.mix_track is not None else "second track"
    if item.wav is not None:
        details["wav"] = absolute(item.wav).relative_to(absolute(out)).as_posix()
        details["wav_bytes"] = item.wav.stat().st_size
    return details
