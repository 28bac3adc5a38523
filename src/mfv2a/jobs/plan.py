"""Found videos -> what a batch will do with each: dub it, skip it, or say why it cannot be done.

All that can be known before a network is loaded is decided here: output names, prompts, codecs, seeds, and
what an earlier run has already done. Nothing is written and torch is not needed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfv2a.errors import ConfigError, MediaError, Mfv2aError
from mfv2a.jobs.discover import VIDEO_SUFFIXES, Discovery, Found
from mfv2a.jobs.report import Report, absolute
from mfv2a.jobs.seed import clip_seed, content_key
from mfv2a.jobs.sidecar import read_sidecar
from mfv2a.media.mux import AudioCodec, MuxPlan, plan_mux
from mfv2a.media.video import probe_video
from mfv2a.records import ItemResult, VideoInfo

_CODEC_RATES_HZ: Mapping[str, tuple[int, ...]] = {
    "opus": (8000, 12000, 16000, 24000, 48000),
    "aac": (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """What decides the outputs of a batch.

    Attributes:
        out: the output folder.
        prompt: text for every clip that has no sidecar.
        seed: the run's seed.
        sample_rate_hz: rate of the sound in the files.
        audio_codec: codec asked for.
        also_wav: write NAME.wav beside each output.
        overwrite: do again what is done, and replace files that the tool did not write.
        settings: everything else that decides an output (model, digest, steps ...), JSON-ready.
    """

    out: Path
    prompt: str
    seed: int
    sample_rate_hz: int
    audio_codec: AudioCodec
    also_wav: bool
    overwrite: bool
    settings: Mapping[str, Any]


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


@dataclass(frozen=True, slots=True)
class Plan:
    """What a batch will do.

    Attributes:
        items: to be dubbed, in order.
        settled: results that are known already: skipped, or failed before dubbing.
    """

    items: tuple[Item, ...]
    settled: tuple[ItemResult, ...]


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
    settled = [failed(path, MediaError(path, reason, hint="check the path")) for path, reason in discovery.missing]
    refused: list[ConfigError] = []
    for found in discovery.found:
        try:
            planned = _plan_one(found, options, report)
        except ConfigError as error:  # this container cannot hold that codec; others may
            refused.append(error)
            settled.append(failed(found.source, error, settings=options.settings))
        except MediaError as error:
            settled.append(failed(found.source, error, settings=options.settings))
        except OSError as error:
            settled.append(failed(found.source, unreadable(found.source, error), settings=options.settings))
        else:
            if isinstance(planned, Item):
                items.append(planned)
            else:
                settled.append(planned)
    if refused and len(refused) == len(discovery.found):
        raise refused[0]
    _refuse_collisions(items, settled, discovery.found)
    kept: list[Item] = []
    for item in items:
        stranger = None if options.overwrite else _find_stranger(item, report)
        if stranger is None:
            kept.append(item)
        else:
            settled.append(failed(item.source, stranger, settings=item.settings))
    return Plan(tuple(kept), tuple(settled))


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


def _plan_one(found: Found, options: PlanOptions, report: Report) -> Item | ItemResult:
    stat = found.source.stat()
    prompt = read_sidecar(found.source) or options.prompt
    settings = {**options.settings, "prompt": prompt}
    facts = {"size_bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    if not options.overwrite:
        done = _already_done(found, options, report, settings, facts)
        if done is not None:
            return done
    info = probe_video(found.source)
    mux = plan_mux(info, options.audio_codec)
    rates_hz = _CODEC_RATES_HZ.get(mux.codec)
    if rates_hz and options.sample_rate_hz not in rates_hz:
        known = ", ".join(str(rate) for rate in rates_hz)
        raise ConfigError(f"{mux.codec} cannot hold {options.sample_rate_hz} Hz", hint=f"--sample-rate: one of {known}")
    output = options.out / _with_suffix(found.relative, mux.suffix)
    wav = output.with_suffix(".wav") if options.also_wav else None
    key = content_key(found.source)
    return Item(
        source=found.source,
        output=output,
        wav=wav,
        info=info,
        mux=mux,
        prompt=prompt,
        seed=clip_seed(options.seed, key),
        settings=settings,
        details={**facts, "content_key": key},
    )


def _with_suffix(relative: Path, suffix: str) -> Path:
    """The name of an output: the source's own where the suffix may stay, in the case it was written."""
    if relative.suffix.lower() == suffix.lower():
        return relative
    if relative.suffix.lower() in VIDEO_SUFFIXES:
        return relative.with_suffix(suffix)
    return relative.with_name(relative.name + suffix)


def _find_stranger(item: Item, report: Report) -> MediaError | None:
    """The error of an output that would replace what the tool did not make, or made from another source."""
    for path in (item.output, item.wav):
        if path is None or not os.path.lexists(path):
            continue
        maker = report.source_of(path)
        if maker is None:
            return MediaError(path, "already there, and not made by mfv2a", hint="move it away, or use --overwrite")
        if maker != absolute(item.source) and maker.exists():
            return MediaError(path, f"already there, made from {maker}", hint="use another --out, or --overwrite")
    return None


def _already_done(
    found: Found, options: PlanOptions, report: Report, settings: Mapping[str, Any], facts: Mapping[str, int]
) -> ItemResult | None:
    """The skipped result of a video whose record says that this very output is there, else None."""
    record = report.last(found.source)
    if record is None or record.get("status") not in ("ok", "skipped") or not isinstance(record.get("name"), str):
        return None
    details = record.get("details", {})
    output = options.out / record["name"]
    same = (
        Path(record["name"]) == _with_suffix(found.relative, output.suffix)
        and all(details.get(name) == value for name, value in facts.items())
        and record.get("settings") == json.loads(json.dumps(settings))
        and _size_bytes(output) == details.get("output_bytes")
        and (not options.also_wav or _size_bytes(output.with_suffix(".wav")) == details.get("wav_bytes"))
    )
    if not same:
        return None
    return ItemResult(
        source=found.source,
        output=output,
        status="skipped",
        settings=record["settings"],
        seconds=record.get("seconds", {}),
        details=details,
    )


def _size_bytes(path: Path) -> int:
    """The size of a file, -1 if it is not there; a recorded None therefore matches nothing."""
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _refuse_collisions(items: Sequence[Item], settled: Sequence[ItemResult], found: Sequence[Found]) -> None:
    """Refuses outputs that two sources share, and outputs that are inputs."""
    inputs = {os.path.normcase(absolute(each.source)): each.source for each in found}
    outputs = [(path, item.source) for item in items for path in (item.output, item.wav) if path is not None]
    outputs += [(result.output, result.source) for result in settled if result.output is not None]
    taken: dict[str, Path] = {}
    for output, source in outputs:
        key = os.path.normcase(absolute(output))
        if key in inputs:
            raise ConfigError(
                f"{source} would be written over the input {inputs[key]}",
                hint="choose another --out; a source is never touched",
            )
        if key in taken:
            raise ConfigError(
                f"{taken[key]} and {source} would both become {output}",
                hint="dub them in two runs with different --out, or rename one",
            )
        taken[key] = source
