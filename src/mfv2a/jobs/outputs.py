"""The files that a batch will make: their names, and what of them is there already.

Only names, sizes and the report are looked at; nothing is written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfv2a.errors import ConfigError, MediaError
from mfv2a.jobs.discover import VIDEO_SUFFIXES, Found
from mfv2a.jobs.report import Report, absolute
from mfv2a.jobs.reported import names_beside
from mfv2a.jobs.seed import content_key, whole_digest
from mfv2a.media.containers import CONTAINERS
from mfv2a.media.mux import MuxPlan, plan_mux
from mfv2a.media.standin import is_stand_in
from mfv2a.media.store import is_url
from mfv2a.media.video import probe_video
from mfv2a.records import ItemResult, VideoInfo

if TYPE_CHECKING:
    from mfv2a.jobs.plan import Item, PlanOptions

LONGEST_NAME = 255  # bytes, on almost all file systems
_CODEC_RATES_HZ: Mapping[str, tuple[int, ...]] = {
    "opus": (8000, 12000, 16000, 24000, 48000),
    "aac": (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000),
}


def choose_mux(info: VideoInfo, options: PlanOptions) -> MuxPlan:
    """How the sound goes into the container of a video.

    Raises:
        ConfigError: the container cannot hold the codec that is asked for, or the codec not the rate.
    """
    mux = plan_mux(info, options.audio_codec)
    rates_hz = _CODEC_RATES_HZ.get(mux.codec)
    if rates_hz and options.sample_rate_hz not in rates_hz:
        known = ", ".join(str(rate) for rate in rates_hz)
        raise ConfigError(f"{mux.codec} cannot hold {options.sample_rate_hz} Hz", hint=f"--sample-rate: one of {known}")
    return mux


def output_name(relative: Path, suffix: str, variant: int = 1) -> Path:
    """Names an output: the source's own name where its suffix may stay, in the case it was written.

    Args:
        relative: the place of the source in the output tree.
        suffix: of the container that will be written.
        variant: from 1; from the second on the number stands before the suffix.
    """
    if relative.suffix.lower() == suffix.lower():
        name = relative
    elif relative.suffix.lower() in VIDEO_SUFFIXES:
        name = relative.with_suffix(suffix)
    else:
        name = relative.with_name(relative.name + suffix)
    return name if variant == 1 else name.with_name(f"{name.stem}.{variant}{name.suffix}")


def find_stranger(item: Item, report: Report) -> MediaError | None:
    """The error of an output that would replace what the tool did not make, or made from another source."""
    for path in item.files:
        if not os.path.lexists(path):
            continue
        maker = report.source_of(path)
        if maker is None:
            return MediaError(path, "already there, and not made by mfv2a", hint="move it away, or use --overwrite")
        named = (report.name_of(item.source), str(absolute(item.source)))  # the latter of a killed run
        is_mine = maker in named or _is_file(maker, item.source)
        has_gone, record = _has_gone(maker), report.record_of(path)
        is_left = record is None and str(absolute(path)) in report.claimed  # by a killed run, wherever its source was
        if not is_mine and not (has_gone and (is_left or _is_of(item, record))):
            told = f"{maker}, which is there no longer" if has_gone else maker
            return MediaError(path, f"already there, made from {told}", hint="use another --out, or --overwrite")
        if path == item.output and _was_changed(item, report):
            return MediaError(path, "changed since mfv2a made it", hint="move it away, or use --overwrite")
    return None


def _has_gone(maker: str) -> bool:
    """Whether a source that a report names is no longer where it was; what lies behind a URL is not asked for."""
    return not is_url(maker) and not os.path.lexists(maker)


def _is_file(maker: str, source: Path) -> bool:
    """Whether a source that a report names is this very file, under another name: behind a link."""
    try:
        return not is_url(maker) and Path(maker).samefile(source)
    except OSError:
        return False


def _is_of(item: Item, record: Mapping[str, Any] | None) -> bool:
    """Whether a record is about the very video of an item, wherever it lay then."""
    details = dict((record or {}).get("details") or {})
    return all(details.get(name) == item.details[name] for name in ("size_bytes", "content_key"))


def find_long_name(item: Item) -> MediaError | None:
    """The error of an output, or a file beside it, whose name would be longer than a name can be."""
    for path in item.files:
        if len(os.fsencode(path.name)) > LONGEST_NAME:
            hint = "shorten the name of the video, or leave out --onsets, --also-wav, --keep-all or --variants"
            return MediaError(path, "the name would be too long", hint=hint)
    return None


def left_beside(result: ItemResult, report: Report) -> list[Path]:
    """Files of an earlier take that lie beside an output that has just been made, and are not of the new one.

    Args:
        result: of the new one, which the report does not know yet.
        report: what was made before.
    """
    record = {} if result.output is None else report.record_of(result.output) or {}
    name, now = record.get("name"), set(names_beside(result.details))
    if result.status != "ok" or not isinstance(name, str) or report.folder / name != result.output:
        return []
    earlier = (report.folder / each for each in names_beside(dict(record.get("details") or {})) if each not in now)
    return [path for path in earlier if path.exists()]


def _was_changed(item: Item, report: Report) -> bool:
    """Whether somebody has put another whole video in the place of an output; one that is cut is made again."""
    record = report.record_of(item.output) or {}
    stated = dict(record.get("details") or {}).get("output_bytes")
    is_claimed = str(absolute(item.output)) in report.claimed  # a killed run may have put another there
    if not isinstance(stated, int) or is_claimed or _size_bytes(item.output) in (-1, stated):
        return False
    if is_stand_in(item.output):  # in a store nothing is ever half written
        return True
    try:
        probe_video(item.output)
    except MediaError:
        return False
    return True


def asked_of(found: Found, options: PlanOptions) -> dict[str, Any]:
    """For the report: a video's place where it lies in a folder, and what is asked for that no setting tells.

    Args:
        found: the video.
        options: what decides the outputs.
    """
    asked = {
        "also_wav": options.also_wav,
        "onsets": "" if options.delivery.onsets == "off" else options.delivery.onsets,
        "keep_all": options.choice.keep_all,
        "variants": options.variants if options.variants > 1 else 0,
    }
    wanted = {name: value for name, value in asked.items() if value}
    place = {"place": found.relative.as_posix()} if len(found.relative.parts) > 1 else {}
    return place | ({"asked": wanted} if wanted else {})


def already_done(
    found: Found, options: PlanOptions, report: Report, settings: Mapping[str, Any], facts: Mapping[str, Any]
) -> ItemResult | None:
    """The skipped result of a video whose record says that this very output is there, else None.

    Args:
        found: the video.
        options: what decides the outputs.
        report: what earlier runs did.
        settings: everything that decides this output; its "variant" says which one.
        facts: size and time of the video now; with "sha256" what it holds counts, and not its time.
    """
    variant = settings.get("variant", 1)
    result = _done_by(report.last(found.source, variant), found, options, settings, facts)
    return result or _done_by(_record_of_moved(found, options, report, variant), found, options, settings, facts)


def _done_by(
    record: Mapping[str, Any] | None,
    found: Found,
    options: PlanOptions,
    settings: Mapping[str, Any],
    facts: Mapping[str, Any],
) -> ItemResult | None:
    """The skipped result of a video by one record, see `already_done`."""
    if record is None or record.get("status") not in ("ok", "skipped") or not isinstance(record.get("name"), str):
        return None
    details = record.get("details", {})
    output = options.out / record["name"]
    same = (
        Path(record["name"]) == output_name(found.relative, output.suffix, settings.get("variant", 1))
        and _is_unchanged(found.source, details, facts)
        and _are_same(record.get("settings"), settings)
        and _size_bytes(output) == details.get("output_bytes")
        and (not options.also_wav or _size_bytes(output.with_suffix(".wav")) == details.get("wav_bytes"))
        and _has_all_beside(options, details)
    )
    if not same:
        return None
    return skipped(found.source, output, record)


def _record_of_moved(found: Found, options: PlanOptions, report: Report, variant: int) -> Mapping[str, Any] | None:
    """The record of what this video's output was made from, where that is gone from where it was, or is this file."""
    usual = (container.suffixes[0] for container in CONTAINERS.values()) if report.knows_outputs else ()
    for suffix in dict.fromkeys((found.relative.suffix, *usual)):
        record = report.record_of(options.out / output_name(found.relative, suffix, variant))
        maker = "" if record is None else str(record["source"])
        named = maker in (report.name_of(found.source), str(absolute(found.source)))  # then its last line counts
        if maker and not named and (_has_gone(maker) or _is_file(maker, found.source)):
            return record
    return None


def _are_same(recorded: object, settings: Mapping[str, Any]) -> bool:
    """Whether a record's settings are these, as JSON has them: a tuple is a list there."""
    return bool(recorded == settings) or recorded == json.loads(json.dumps(settings))


def _has_all_beside(options: PlanOptions, details: Mapping[str, Any]) -> bool:
    """Whether what is asked for beside an output was made with it and is there."""
    asked = {"candidate"} if options.choice.keep_all else set()
    asked |= {"candidate wav"} if options.choice.keep_all and options.also_wav else set()
    asked |= {f"onsets {options.delivery.onsets}"} if options.delivery.onsets != "off" else set()
    made = [each for each in details.get("made", []) if each.get("kind") in asked]
    return {each["kind"] for each in made} == asked and all(
        _size_bytes(options.out / str(each.get("name"))) == each.get("bytes") for each in made
    )


def skipped(source: Path, output: Path, record: Mapping[str, Any]) -> ItemResult:
    """The result of a video that is done, from its record."""
    return ItemResult(
        source=source,
        output=output,
        status="skipped",
        settings=record["settings"],
        seconds=record.get("seconds", {}),
        details=record.get("details", {}),
    )


def content_facts(source: Path) -> dict[str, Any]:
    """What is compared where the content shall be verified: it is read as a whole."""
    return {"sha256": whole_digest(source)}


def _is_unchanged(source: Path, details: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    """Whether a video is the one that a record is about; one without a digest is known by its content key."""
    if "sha256" not in facts:
        return all(details.get(name) == facts[name] for name in ("size_bytes", "mtime_ns"))
    if details.get("size_bytes") != facts["size_bytes"]:
        return False
    if "sha256" in details:
        return bool(details["sha256"] == facts["sha256"])
    return bool(details.get("content_key") == content_key(source))


def _size_bytes(path: Path) -> int:
    """The size of a file, -1 if it is not there; a recorded None therefore matches nothing."""
    try:
        return path.stat().st_size
    except OSError:
        return -1
