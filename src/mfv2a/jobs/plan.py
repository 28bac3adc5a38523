"""Found videos -> what a batch will do with each: dub it, skip it, or say why it cannot be done.

All that can be known before a network is needed is decided here: output names, prompts, codecs, seeds, and
what an earlier run has already done. One video after the other is opened, when it is asked for: a batch begins with
the first while the last is still to be looked at. Nothing is written and torch is not needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from mfv2a.errors import ConfigError, MediaError, Mfv2aError, StartError
from mfv2a.jobs.carried import PromptFrom
from mfv2a.jobs.choice import ChoiceOptions
from mfv2a.jobs.clashes import find_suspects, refuse_collisions, refuse_foreign
from mfv2a.jobs.delivery import DeliveryOptions
from mfv2a.jobs.discover import Discovery, Found
from mfv2a.jobs.failures import failed, unreadable
from mfv2a.jobs.outputs import (
    already_done,
    asked_of,
    choose_mux,
    content_facts,
    find_long_name,
    find_stranger,
    output_name,
)
from mfv2a.jobs.prompts import Row, settings_of
from mfv2a.jobs.report import Report
from mfv2a.jobs.seed import clip_seed, content_key
from mfv2a.media.mux import AudioCodec, MuxPlan
from mfv2a.media.patience import OverdueError, StoppedError, done_within
from mfv2a.media.tracks import audible_track, check_beside, sound_tracks
from mfv2a.media.video import probe_video
from mfv2a.records import ItemResult, VideoInfo

KeepAudio = Literal["replace", "mix", "second-track", "skip"]
MOST_HELD = 1000  # videos whose refusal of the codec is kept back, since it may be that of all


def is_here(source: Path) -> None:
    """Nothing has to be done to look at a video: it is on this disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """What decides the outputs of a batch.

    Attributes:
        out: the output folder.
        prompt: text for every clip that has none of its own.
        seed: the run's seed.
        sample_rate_hz: rate of the sound in the files.
        audio_codec: codec asked for.
        also_wav: write NAME.wav beside each output.
        overwrite: do again what is done, and replace files that the tool did not write.
        settings: everything else that decides an output (model, digest, steps ...), JSON-ready.
        negative_prompt: what should not be heard, where the table does not say.
        rows: what the table of prompts says, by source.
        prompt_from: what else is asked for a clip's prompt: its name or its tags.
        keep_audio: what becomes of sound that a source brings along and that can be heard.
        mix_gain_db: gain of the new sound where the source's is mixed under it.
        variants: outputs of each video, each with its own noise.
        verify_content: know a video that is done by what it holds, and not by its time.
        timeout_s: how long looking at one video may take, None for as long as it likes.
        fetch: makes sure that a video is on this disk.
        choice: how a sound is chosen.
        delivery: how it is handed on.
        split_shots: see and sample each shot of a video on its own.
    """

    out: Path
    prompt: str
    seed: int
    sample_rate_hz: int
    audio_codec: AudioCodec
    also_wav: bool
    overwrite: bool
    settings: Mapping[str, Any]
    negative_prompt: str = ""
    rows: Mapping[Path, Row] = field(default_factory=dict)
    prompt_from: PromptFrom = "none"
    keep_audio: KeepAudio = "replace"
    mix_gain_db: float = 0.0
    variants: int = 1
    verify_content: bool = False
    timeout_s: float | None = None
    fetch: Callable[[Path], None] = is_here
    choice: ChoiceOptions = field(default_factory=ChoiceOptions)
    delivery: DeliveryOptions = field(default_factory=DeliveryOptions)
    split_shots: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One video to dub.

    Attributes:
        source: the input, as the user named it.
        output: the file to make.
        wav: the sound file to make beside it, if asked for.
        info: the probe.
        mux: how the sound goes into the container.
        prompt: what should be heard, "" for what is seen.
        seed: seed of this clip's noise.
        settings: everything that decides the output.
        details: facts for the report that are known before dubbing.
        negative_prompt: what should not be heard.
        variant: number of this output among those of the video, from 1.
        mix_track: stream index of the source's sound that is mixed under the new one, None for none.
        mix_gain_db: gain of the new sound in that mix.
        beside: stream indices of the source's sound that is copied beside the new one.
        others: files of the candidates that are kept beside the best, by rank.
        onsets: list of hits to write beside it.
        split_shots: see and sample each shot of the video on its own.
    """

    source: Path
    output: Path
    wav: Path | None
    info: VideoInfo
    mux: MuxPlan
    prompt: str
    seed: int
    settings: Mapping[str, Any]
    details: Mapping[str, Any]
    negative_prompt: str = ""
    variant: int = 1
    mix_track: int | None = None
    mix_gain_db: float = 0.0
    beside: tuple[int, ...] = ()
    others: tuple[Path, ...] = ()
    onsets: Path | None = None
    split_shots: bool = False

    @property
    def files(self) -> tuple[Path, ...]:
        """All files to make."""
        wavs = () if self.wav is None else (self.wav, *(path.with_suffix(".wav") for path in self.others))
        return (self.output, *wavs, *self.others, *(() if self.onsets is None else (self.onsets,)))


Group = list[Item | ItemResult]
"""What becomes of one video: each of its outputs to be made, or what is known of it already."""


class Planner:
    """What becomes of each video that was found: iterate over it once, in a thread if need be.

    Outputs that would meet are looked for at once, by their names, and the videos in question opened; all others are
    opened as they are asked for.

    Args:
        discovery: the inputs.
        options: what decides the outputs.
        report: what earlier runs did in the output folder.

    Attributes:
        total: outputs and failures there will be, as far as is known: exact once the last video was looked at.
        planned: how many are to be made, so far.
        wordless: how many of these got no words of their own, so far.

    Raises:
        ConfigError: two sources map to one output, or an output is an input.
    """

    def __init__(self, discovery: Discovery, options: PlanOptions, report: Report) -> None:
        self._discovery, self._options, self._report = discovery, options, report
        self.total = len(discovery.found) * options.variants + len(discovery.missing)
        self.planned = self.wordless = 0
        suspects, inside = find_suspects(discovery, options)
        self._early = {number: self._look(discovery.found[number]) for number in sorted(suspects)}
        early = [each for group, _ in self._early.values() for each in group]
        done = [(each.output, each.source) for each in early if isinstance(each, ItemResult) and each.output]
        refuse_collisions([each for each in early if isinstance(each, Item)], done, inside)
        refuse_foreign(discovery, options)

    def __iter__(self) -> Iterator[Group]:
        """The videos, in order of their discovery.

        Raises:
            ConfigError: no video can take the asked codec; nothing was given before that.
        """
        held: list[Group] = [
            [failed(path, MediaError(path, reason, hint=hint))] for path, reason, hint in self._discovery.missing
        ]
        refused: list[ConfigError] = []
        for number, found in enumerate(self._discovery.found):
            group, refusal = self._early.pop(number) if number in self._early else self._look(found)
            held.append(self._admit(group))
            if refusal is not None and len(refused) == number < MOST_HELD:
                refused.append(refusal)
                continue
            yield from held
            held.clear()
        if refused and len(refused) == len(self._discovery.found):
            raise refused[0]
        yield from held

    def _look(self, found: Found) -> tuple[Group, ConfigError | None]:
        """Opens one video, if need be; the error is told where its container cannot hold the codec."""
        try:
            return done_within(self._options.timeout_s, partial(_plan_clip, found, self._options, self._report)), None
        except ConfigError as error:  # this container cannot hold that codec; others may
            return [self._failed(found, error)], error
        except (StartError, StoppedError):
            raise
        except Exception as error:  # noqa: BLE001 - even a fault of the tool leaves the other files to be done
            return [self._failed(found, unreadable(found.source, error) if isinstance(error, OSError) else error)], None

    def _failed(self, found: Found, error: Exception) -> ItemResult:
        """The result of a video that cannot be planned: with all that was asked of it."""
        settings: dict[str, Any] = {}
        with suppress(Mfv2aError, OSError):  # its words may be what cannot be read, and hang as it does
            settings, _ = ({}, "") if isinstance(error, OverdueError) else settings_of(found.source, self._options)
        details = asked_of(found, self._options)
        return failed(found.source, error, settings={**self._options.settings, **settings}, details=details)

    def _admit(self, group: Group) -> Group:
        """The group without outputs that would replace what is not ours; counts it."""
        admitted: Group = []
        for each in group:
            if isinstance(each, ItemResult):
                admitted.append(each)
                continue
            stranger = find_long_name(each)
            if stranger is None and not self._options.overwrite:
                stranger = find_stranger(each, self._report)
            if stranger is not None:
                admitted.append(failed(each.source, stranger, settings=each.settings, details=each.details))
                continue
            self.planned += 1
            self.wordless += each.details.get("prompt_from") in ("", "option")
            admitted.append(each)
        self.total += len(group) - self._options.variants
        return admitted


def _plan_clip(found: Found, options: PlanOptions, report: Report) -> Group:
    """What becomes of one video: an entry for each of its outputs, or one if it is left alone."""
    stat = found.source.stat()
    own, origin = settings_of(found.source, options)
    settings = {**options.settings, **own}
    facts: dict[str, Any] = {"size_bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    if options.verify_content:
        options.fetch(found.source)
        facts |= content_facts(found.source)
    wanted = {
        number: settings if number == 1 else {**settings, "variant": number}
        for number in range(1, options.variants + 1)
    }
    done: dict[int, ItemResult | None] = dict.fromkeys(wanted)
    if not options.overwrite:
        done = {number: already_done(found, options, report, each, facts) for number, each in wanted.items()}
    if all(done.values()):
        return [result for result in done.values() if result is not None]
    options.fetch(found.source)
    info = probe_video(found.source)
    heard = None if options.keep_audio == "replace" else audible_track(info)
    if heard is not None and options.keep_audio == "skip":
        return [_left_alone(found.source, settings, facts)]
    mux = choose_mux(info, options)
    beside = sound_tracks(info) if heard is not None and options.keep_audio == "second-track" else ()
    check_beside(info, mux, beside)
    key = content_key(found.source)

    def plan(variant: int) -> Item:
        output = options.out / output_name(found.relative, mux.suffix, variant)
        return Item(
            source=found.source,
            output=output,
            wav=output.with_suffix(".wav") if options.also_wav else None,
            info=info,
            mux=mux,
            prompt=own["prompt"],
            negative_prompt=own.get("negative_prompt", options.negative_prompt),
            seed=clip_seed(own.get("seed", options.seed), key, variant - 1),
            settings=wanted[variant],
            details={**facts, **asked_of(found, options), "content_key": key, "prompt_from": origin},
            variant=variant,
            mix_track=heard if options.keep_audio == "mix" else None,
            mix_gain_db=options.mix_gain_db,
            beside=beside,
            others=options.choice.others(output),
            onsets=options.delivery.onset_path(output),
            split_shots=options.split_shots,
        )

    return [done[number] or plan(number) for number in wanted]


def _left_alone(source: Path, settings: Mapping[str, Any], facts: Mapping[str, Any]) -> ItemResult:
    details = {**facts, "left_alone": "it has sound of its own"}
    return ItemResult(source=source, output=None, status="skipped", settings=settings, details=details)
