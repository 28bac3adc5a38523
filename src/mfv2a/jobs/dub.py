"""A folder of videos -> the same folder with sound.

Finds, plans, dubs and reports; it does not know how any of that looks on a terminal: a listener is told.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

from mfv2a.errors import ConfigError
from mfv2a.jobs.ahead import Ahead
from mfv2a.jobs.cache import DEFAULT_BYTES
from mfv2a.jobs.carried import PromptFrom
from mfv2a.jobs.choice import ChoiceOptions
from mfv2a.jobs.clashes import refuse_heartbeat
from mfv2a.jobs.delivery import DeliveryOptions
from mfv2a.jobs.discover import find_videos
from mfv2a.jobs.folder import check_folder, make_folder
from mfv2a.jobs.lock import FolderLock, locked
from mfv2a.jobs.matching import match_rows
from mfv2a.jobs.mirror import Mirror
from mfv2a.jobs.plan import Group, KeepAudio, Planner, PlanOptions, is_here
from mfv2a.jobs.prompts import Row, read_table
from mfv2a.jobs.report import Report, absolute
from mfv2a.jobs.reported import REPORT_NAME
from mfv2a.jobs.run import FETCHED_AHEAD, PLANNED_AHEAD, Run
from mfv2a.jobs.shards import Shard
from mfv2a.jobs.sound import SoundOptions
from mfv2a.jobs.telling import Listener, Summary
from mfv2a.media.hardware import DecodeDevice
from mfv2a.media.mux import AudioCodec
from mfv2a.records import ItemResult

MIX_GAINS_DB = (-60.0, 24.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class DubOptions:
    """What `dub_videos` shall do.

    Attributes:
        out: the output folder.
        sound: what makes the sound.
        prompt: what should be heard, where a clip has no prompt of its own; "" for what is seen.
        prompts: a table with prompt, negative prompt and seed of single clips (.csv, .jsonl), None for no table.
        prompt_from: what is asked for a clip's prompt where neither the table nor a sidecar says it.
        variants: outputs of each video, each with its own noise.
        keep_audio: what becomes of sound that a source brings along and that can be heard: "replace" it, "mix" the
            new sound with it, keep it as a "second-track", or "skip" the file.
        mix_gain_db: gain of the new sound in a mix; None for 0, the only choice without a mix.
        audio_codec: "auto" or the codec in the output files.
        also_wav: write NAME.wav beside each output.
        overwrite: do again what is done, and replace files that the tool did not make.
        dry_run: only tell what would be done.
        workers: clips that are decoded, encoded and written at the same time; None for as many as there are cores.
        batch_grows: sample more windows together than asked for, as far as the device's memory goes.
        verify_content: know a video that is done by what it holds, and not by its time.
        max_failures: stop after so many, None to go on whatever happens.
        timeout_s: how long the work on one clip may take, None for as long as it likes.
        heartbeat: a file that tells that the run is alive, None for none.
        decode_device: where videos are decoded.
        cache: folder that keeps what was seen in videos, None for none.
        cache_bytes: the most that it holds.
        ray, ray_cpus: address of a Ray cluster, "local" for one of this machine, None for none; cores of its actors.
        shard: which part of the videos is done, None for all.
        mirror: what of the folders here mirrors what lies behind URLs, None for nothing.
        choice: how the sound of a clip is chosen.
        delivery: how it is handed on.
        split_shots: see and sample each shot of a video on its own.
    """

    out: Path
    sound: SoundOptions = field(default_factory=SoundOptions)
    prompt: str = ""
    prompts: Path | None = None
    prompt_from: PromptFrom = "none"
    variants: int = 1
    keep_audio: KeepAudio = "replace"
    mix_gain_db: float | None = None
    audio_codec: AudioCodec = "auto"
    also_wav: bool = False
    overwrite: bool = False
    dry_run: bool = False
    workers: int | None = None
    batch_grows: bool = False
    verify_content: bool = False
    max_failures: int | None = None
    timeout_s: float | None = None
    heartbeat: Path | None = None
    decode_device: DecodeDevice = "auto"
    cache: Path | None = None
    cache_bytes: int = DEFAULT_BYTES
    ray: str | None = None
    ray_cpus: int = 2
    shard: Shard | None = None
    mirror: Mirror | None = None
    choice: ChoiceOptions = field(default_factory=ChoiceOptions)
    delivery: DeliveryOptions = field(default_factory=DeliveryOptions)
    split_shots: bool = False

    def __post_init__(self) -> None:
        for name, value in (("--workers", self.workers), ("--max-failures", self.max_failures)):
            if value is not None and value < 1:
                raise ConfigError(f"{name} {value} cannot work", hint="use 1 or more")
        if self.timeout_s is not None and not 0 < self.timeout_s < float("inf"):
            raise ConfigError(f"--timeout {self.timeout_s:g} cannot work", hint="use some seconds, such as 600")
        if self.variants < 1:
            raise ConfigError(f"--variants {self.variants} cannot work", hint="use 1 or more")
        if self.mix_gain_db is not None and self.keep_audio != "mix":
            raise ConfigError("--mix-gain without a mix", hint="add --keep-audio mix, or leave it out")
        if self.delivery.duck_db is not None and self.keep_audio != "mix":
            raise ConfigError("--duck without a mix", hint="add --keep-audio mix, or leave it out")
        low, high = MIX_GAINS_DB
        if self.mix_gain_db is not None and not low <= self.mix_gain_db <= high:
            raise ConfigError(f"--mix-gain {self.mix_gain_db:g} cannot work", hint=f"use {low:g} to {high:g} dB")

    def settings(self) -> dict[str, Any]:
        """What of all this decides an output, JSON-ready; what is as it ever was is left out."""
        settings: dict[str, Any] = {"audio_codec": self.audio_codec}
        if self.keep_audio != "replace":
            settings["keep_audio"] = self.keep_audio
        if self.keep_audio == "mix":
            settings["mix_gain_db"] = self.mix_gain_db or 0.0
        split = {"split_shots": True} if self.split_shots else {}
        return {**settings, **self.choice.settings(), **self.delivery.settings(), **split}


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

    start, summary.dry = time.perf_counter(), options.dry_run
    try:
        info = describe_model(options.sound.model)
        listener.detail(f"ffmpeg: {find_ffmpeg()}")
        check_folder(options.out)
        table = None if options.prompts is None else read_table(options.prompts)
        mirror = options.mirror or Mirror()
        discovery = find_videos(arguments, options.out, mirror.roots, mirror.faults)
        refuse_heartbeat(options.heartbeat, discovery, options)
        rows, notes = ({}, []) if table is None else match_rows(table, discovery.found, mirror.named)
        if options.shard is not None:
            discovery = options.shard.part(discovery)
        with ExitStack() as stack:
            # A folder that is there is taken before its report is read: another run may be writing both.
            is_there = not options.dry_run and options.out.is_dir()
            lock = stack.enter_context(_locked(options)) if is_there else None
            name = options.shard.report_name if options.shard else REPORT_NAME
            report = Report(options.out, name, str if options.mirror is None else options.mirror.named)
            if lock is not None:
                _recover(lock, report, listener)
            negatives = any(row.negative_prompt for row in rows.values())
            options.sound.check(info, pictures=True, negatives=negatives)
            planner = Planner(discovery, _plan_options(options, info, rows), report)
            plans = Ahead(planner, PLANNED_AHEAD if options.mirror is None else FETCHED_AHEAD)
            stack.callback(plans.close)
            first = list(islice(plans, 1))  # what cannot work at all is known before anything is made
            doubts = options.sound.doubts(info, negatives=negatives)
            _tell(listener, discovery.notes, table.notes if table else (), notes, doubts)
            listener.begin(info, options.sound.rate_hz(info), planner)
            if options.dry_run:
                _tell_plans(chain(first, plans), options, listener, summary)
            else:
                if lock is None:
                    stack.callback(make_folder(options.out))
                    lock = stack.enter_context(_locked(options))
                if options.shard is not None:
                    report.begin()  # a shard without videos is not one that never ran
                    if not planner.total:
                        listener.note(f"shard {options.shard.index}/{options.shard.count} has no video of its own")
                Run(planner, chain(first, plans.as_they_come()), options, report, lock, listener, summary).carry_out()
            if options.prompt_from != "none" and planner.wordless:
                listener.note(
                    f"--prompt-from {options.prompt_from}: no words in {planner.wordless} of {planner.planned}"
                )
    finally:
        summary.wall_s = time.perf_counter() - start


def _tell(listener: Listener, *notes: Iterable[str]) -> None:
    for note in chain.from_iterable(notes):
        listener.note(note)


def _tell_plans(plans: Iterator[Group], options: DubOptions, listener: Listener, summary: Summary) -> None:
    """What would be done."""
    named = str if options.mirror is None else options.mirror.named
    for each in chain.from_iterable(plans):
        if isinstance(each, ItemResult):
            summary.add(each)
            output = None if each.output is None else named(str(absolute(each.output)))
            record = {"source": named(str(absolute(each.source))), "output": output, "status": each.status}
            listener.result(each, record | {"error": each.error, "hint": each.hint})
        else:
            summary.planned += 1
            summary.replaced += os.path.lexists(each.output)
            listener.planned(each)
        if options.mirror is not None:
            options.mirror.let_go(each.source)


def _locked(options: DubOptions) -> AbstractContextManager[FolderLock]:
    return locked(options.out, None if options.shard is None else (options.shard.index, options.shard.count))


def _recover(lock: FolderLock, report: Report, listener: Listener) -> None:
    if unfinished := lock.recover(report):
        listener.note(f"an earlier run was cut off while it wrote {unfinished} of its files; they are made again")


def _plan_options(options: DubOptions, info: Any, rows: Mapping[Path, Row]) -> PlanOptions:
    return PlanOptions(
        out=options.out,
        prompt=" ".join(options.prompt.split()),
        negative_prompt=options.sound.negative_prompt,
        rows=rows,
        prompt_from=options.prompt_from,
        seed=options.sound.seed,
        sample_rate_hz=options.sound.rate_hz(info),
        audio_codec=options.audio_codec,
        also_wav=options.also_wav,
        overwrite=options.overwrite,
        keep_audio=options.keep_audio,
        mix_gain_db=options.mix_gain_db or 0.0,
        variants=options.variants,
        verify_content=options.verify_content,
        timeout_s=options.timeout_s,
        fetch=is_here if options.mirror is None else options.mirror.fetch,
        choice=options.choice,
        delivery=options.delivery,
        split_shots=options.split_shots,
        settings={**options.sound.settings(info), **options.settings()},
    )
