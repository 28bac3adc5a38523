"""Found videos -> what a batch will do with each: dub it, skip it, or say why it cannot be done.

All that can be known before a network is loaded is decided here: output names, prompts, codecs, seeds, and
what an earlier run has already done. Nothing is written and torch is not needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mfv2a.errors import ConfigError, MediaError, Mfv2aError
from mfv2a.jobs.carried import PromptFrom
from mfv2a.jobs.choice import ChoiceOptions
from mfv2a.jobs.delivery import DeliveryOptions
from mfv2a.jobs.discover import Discovery, Found
from mfv2a.jobs.outputs import already_done, content_facts, find_stranger, output_name, refuse_collisions
from mfv2a.jobs.prompts import Row, choose_prompt
from mfv2a.jobs.report import Report, absolute
from mfv2a.jobs.seed import clip_seed, content_key
from mfv2a.jobs.settled import Settled
from mfv2a.jobs.shards import refuse_foreign
from mfv2a.media.mux import AudioCodec, MuxPlan, plan_mux
from mfv2a.media.patience import OverdueError, Patience, patient
from mfv2a.media.tracks import audible_track, check_beside, sound_tracks
from mfv2a.media.video import probe_video
from mfv2a.records import ItemResult, VideoInfo

KeepAudio = Literal["replace", "mix", "second-track", "skip"]
_CODEC_RATES_HZ: Mapping[str, tuple[int, ...]] = {
    "opus": (8000, 12000, 16000, 24000, 48000),
    "aac": (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000),
}


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


@dataclass(frozen=True, slots=True)
class Plan:
    """What a batch will do.

    Attributes:
        items: to be dubbed, in order.
        settled: results that are known already: skipped, or failed before dubbing.
    """

    items: tuple[Item, ...]
    settled: Settled


def plan_batch(discovery: Discovery, options: PlanOptions, report: Report) -> Plan:
    """Decides what happens to each found video.

    Args:
        discovery: the inputs.
        options: what decides the outputs.
        report: what earlier runs did in the output folder.

    Returns:
        The videos to dub, and the results already settled.

    Raises:
        ConfigError: two sources map to one output, an output is an input, or no video can take the asked
        codec.
    """
    items: list[Item] = []
    settled = Settled(report)
    for path, reason in discovery.missing:
        settled.add(failed(path, MediaError(path, reason, hint="check the path")))
    refused: list[ConfigError] = []
    for found in discovery.found:
        try:
            with patient(Patience(options.timeout_s)):
                planned = _plan_clip(found, options, report)
        except ConfigError as error:  # this container cannot hold that codec; others may
            refused.append(error)
            settled.add(failed(found.source, error, settings=options.settings))
        except (MediaError, OverdueError) as error:
            settled.add(failed(found.source, error, settings=options.settings))
        except OSError as error:
            settled.add(failed(found.source, unreadable(found.source, error), settings=options.settings))
        else:
            for each in planned:
                if isinstance(each, Item):
                    items.append(each)
                else:
                    settled.add(each)
    if refused and len(refused) == len(discovery.found):
        raise refused[0]
    refuse_collisions(items, settled.outputs(), (*discovery.found, *discovery.others))
    refuse_foreign(items, discovery.others)
    kept: list[Item] = []
    for item in items:
        stranger = None if options.overwrite else find_stranger(item, report)
        if stranger is None:
            kept.append(item)
        else:
            settled.add(failed(item.source, stranger, settings=item.settings))
    return Plan(tuple(kept), settled)


def failed(source: Path, error: Exception, **fields: Any) -> ItemResult:
    """The result of a video that could not be done.

    Args:
        source: the input.
        error: why.
        **fields: further fields of the result.
    """
    hint = error.hint if isinstance(error, Mfv2aError) else ""
    message = str(error)
    if isinstance(error, MediaError):
        hint = hint or "leave this file out, or convert it to MP4 and try again"
    if isinstance(error, MediaError) and absolute(error.path) != absolute(source):
        message = f"{error.path}: {message}"
    if not isinstance(error, Mfv2aError):  # a fault of the tool, told with its type
        message = f"{type(error).__name__}: {message}"
        hint = "this looks like a fault of mfv2a; run again with --verbose and report it"
    return ItemResult(source=source, output=None, status="failed", error=" ".join(message.split()), hint=hint, **fields)


def unreadable(path: Path, error: OSError) -> MediaError:
    """The error of a file that the system refuses to read."""
    return MediaError(path, f"cannot be read: {error.strerror or error}", hint="check the file and its permissions")


def _plan_clip(found: Found, options: PlanOptions, report: Report) -> list[Item | ItemResult]:
    """What becomes of one video: an entry for each of its outputs, or one if it is left alone."""
    stat = found.source.stat()
    row = options.rows.get(found.source)
    own = _row_settings(row)
    prompt, origin = choose_prompt(found.source, row, options.prompt_from, options.prompt)
    settings = {**options.settings, **own, "prompt": prompt}
    facts: dict[str, Any] = {"size_bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    if options.verify_content:
        facts |= content_facts(found.source)
    wanted = {number: settings if number == 1 else {**settings, "variant": number} for number in _variants(options)}
    done: dict[int, ItemResult | None] = dict.fromkeys(wanted)
    if not options.overwrite:
        done = {number: already_done(found, options, report, each, facts) for number, each in wanted.items()}
    if all(done.values()):
        return [result for result in done.values() if result is not None]
    info = probe_video(found.source)
    heard = None if options.keep_audio == "replace" else audible_track(info)
    if heard is not None and options.keep_audio == "skip":
        return [_left_alone(found.source, settings, facts)]
    mux = _plan_mux(info, options)
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
            prompt=prompt,
            negative_prompt=own.get("negative_prompt", options.negative_prompt),
            seed=clip_seed(own.get("seed", options.seed), key, variant - 1),
            settings=wanted[variant],
            details={**facts, "content_key": key, "prompt_from": origin},
            variant=variant,
            mix_track=heard if options.keep_audio == "mix" else None,
            mix_gain_db=options.mix_gain_db,
            beside=beside,
            others=options.choice.others(output),
            onsets=options.delivery.onset_path(output),
            split_shots=options.split_shots,
        )

    return [done[number] or plan(number) for number in wanted]


def _variants(options: PlanOptions) -> range:
    return range(1, options.variants + 1)


def _left_alone(source: Path, settings: Mapping[str, Any], facts: Mapping[str, Any]) -> ItemResult:
    details = {**facts, "left_alone": "it has sound of its own"}
    return ItemResult(source=source, output=None, status="skipped", settings=settings, details=details)


def _plan_mux(info: VideoInfo, options: PlanOptions) -> MuxPlan:
    mux = plan_mux(info, options.audio_codec)
    rates_hz = _CODEC_RATES_HZ.get(mux.codec)
    if rates_hz and options.sample_rate_hz not in rates_hz:
        known = ", ".join(str(rate) for rate in rates_hz)
        raise ConfigError(f"{mux.codec} cannot hold {options.sample_rate_hz} Hz", hint=f"--sample-rate: one of {known}")
    return mux


def _row_settings(row: Row | None) -> dict[str, Any]:
    """What a row of the table decides in place of the options for all."""
    if row is None:
        return {}
    said = {"negative_prompt": row.negative_prompt or None, "seed": row.seed}
    return {name: value for name, value in said.items() if value is not None}
