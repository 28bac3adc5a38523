"""A folder of videos -> the same folder with sound.

Finds, plans, dubs and reports; it does not know how any of that looks on a terminal: a listener is told.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mfv2a.errors import ConfigError, StartError
from mfv2a.jobs.discover import find_videos
from mfv2a.jobs.plan import Item, Plan, PlanOptions, plan_batch
from mfv2a.jobs.report import DISK_FULL, Report, absolute
from mfv2a.jobs.sound import SoundOptions
from mfv2a.media.mux import AudioCodec
from mfv2a.records import ItemResult

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class DubOptions:
    """What `dub_videos` shall do.

    Attributes:
        out: the output folder.
        sound: what makes the sound.
        prompt: what should be heard, where a clip has no sidecar; "" for what is seen.
        audio_codec: "auto" or the codec in the output files.
        also_wav: write NAME.wav beside each output.
        overwrite: do again what is done, and replace files that the tool did not make.
        dry_run: only tell what would be done.
    """

    out: Path
    sound: SoundOptions = field(default_factory=SoundOptions)
    prompt: str = ""
    audio_codec: AudioCodec = "auto"
    also_wav: bool = False
    overwrite: bool = False
    dry_run: bool = False


@dataclass(slots=True)
class Summary:
    """What a batch came to.

    Attributes:
        ok: files dubbed.
        skipped: files that an earlier run had done.
        failed: files that could not be done.
        planned: files that would be dubbed, in a dry run.
        uncertain: dubbed or skipped files in which little was recognised.
        audio_s: seconds of sound made.
        wall_s: seconds it took.
    """

    ok: int = 0
    skipped: int = 0
    failed: int = 0
    planned: int = 0
    uncertain: int = 0
    audio_s: float = 0.0
    wall_s: float = 0.0

    def add(self, result: ItemResult) -> None:
        """Counts one result."""
        setattr(self, result.status, getattr(self, result.status) + 1)
        if result.status != "failed" and result.details.get("uncertain"):
            self.uncertain += 1
        if result.status == "ok":
            self.audio_s += float(result.details.get("duration_s", 0.0))


class Listener(Protocol):
    """Is told how a batch goes."""

    def begin(self, info: Any, sample_rate_hz: int, plan: Plan) -> None:
        """The model and the plan are known; nothing has been written."""

    def stage(self, item: Item, name: str) -> None:
        """A stage of an item begins; may be called from another thread."""

    def result(self, result: ItemResult, record: Mapping[str, Any]) -> None:
        """One file is settled and its line is in the report."""

    def note(self, text: str) -> None:
        """A sentence for people."""

    def detail(self, text: str) -> None:
        """More than most people want: tracebacks, ffmpeg's words."""


def dub_videos(arguments: Sequence[str], options: DubOptions, listener: Listener, summary: Summary) -> None:
    """Gives every video that the arguments name a sound.

    Args:
        arguments: files, folders and globs.
        options: what to do.
        listener: is told how it goes.
        summary: counted up as results come, so that it is right even when the batch is cut off.

    Raises:
        ConfigError: something that cannot work, found before anything was written.
        StartError: nothing could begin, or nothing can go on.
    """
    from mfv2a.loader import describe_model
    from mfv2a.media.ffmpeg import find_ffmpeg

    start = time.perf_counter()
    try:
        info = describe_model(options.sound.model)
        listener.detail(f"ffmpeg: {find_ffmpeg()}")
        _check_out(options.out)
        discovery = find_videos(arguments, options.out)
        for note in discovery.notes:
            listener.note(note)
        report = Report(options.out)
        plan = plan_batch(discovery, _plan_options(options, info), report)
        listener.begin(info, options.sound.rate_hz(info), plan)
        if options.dry_run:
            for result in plan.settled:
                summary.add(result)
            summary.planned = len(plan.items)
            return
        _make_folder(options.out)
        _dub_all(plan, options, report, listener, summary)
    finally:
        summary.wall_s = time.perf_counter() - start


def _dub_all(plan: Plan, options: DubOptions, report: Report, listener: Listener, summary: Summary) -> None:
    def settle(result: ItemResult) -> None:
        summary.add(result)
        listener.result(result, report.append(result))

    for result in plan.settled:
        settle(result)
    if not plan.items:
        return
    from mfv2a.jobs.batch import run_batch
    from mfv2a.jobs.stages import DubStages
    from mfv2a.loader import load_pipeline

    sound = options.sound
    pipeline = load_pipeline(sound.model, device=sound.device, dtype=sound.dtype)
    stages = DubStages(pipeline, sound, options.out, listener.stage)
    for result in run_batch(plan.items, stages, batch_size=sound.batch_size, tell=listener.detail):
        settle(result)


def _plan_options(options: DubOptions, info: Any) -> PlanOptions:
    return PlanOptions(
        out=options.out,
        prompt=" ".join(options.prompt.split()),
        seed=options.sound.seed,
        sample_rate_hz=options.sound.rate_hz(info),
        audio_codec=options.audio_codec,
        also_wav=options.also_wav,
        overwrite=options.overwrite,
        settings={**options.sound.settings(info), "audio_codec": options.audio_codec},
    )


def _check_out(out: Path) -> None:
    """Refuses an output folder that can never be one, before anything runs."""
    for path in (absolute(out), *absolute(out).parents):
        if os.path.lexists(path):
            if not path.is_dir():
                raise ConfigError(f"--out {out}: {path} is not a folder", hint="choose another --out")
            return


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        full = error.errno in DISK_FULL
        raise StartError(
            f"--out {out} cannot be made: {'the disk is full' if full else error.strerror}",
            hint="free some space" if full else "choose another --out",
        ) from error
