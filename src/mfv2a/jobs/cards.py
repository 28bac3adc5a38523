"""Lines of a report -> what a page says of each clip: plain JSON, whatever the report held.

A report may be damaged, edited, from another version or another machine: nothing in it is trusted to be of the type
that it should be. This module knows neither HTML nor how pictures are made.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mfv2a.evaluation.onsets import match_onsets
from mfv2a.jobs.remake import remake_command, unsaid
from mfv2a.jobs.report import absolute
from mfv2a.jobs.reported import read_reports
from mfv2a.jobs.sketches import Sketch
from mfv2a.media.store import is_url
from mfv2a.records import ModelInfo

TOLERANCE_S = 0.1
MOST_MARKS, MOST_TEXT, MOST_DEPTH = 2000, 4000, 4
LEAST_SCORE = 0.02  # of a tag that is told
MOST_NUMBER = 1 << 53  # JavaScript has no larger whole ones
ORDER = ("failed", "missing", "uncertain", "ok", "left")
"""States of a clip, those that want to be looked at first."""
RERUN_HINT = "run the same command again: what is missing is made again"
_TOLD = frozenset(  # what a card has a place of its own for
    {
        *("size_bytes", "mtime_ns", "duration_s", "confidence", "uncertain", "recognized", "strikes_s", "quiet"),
        *("clip_seed", "output_bytes", "rtf", "rms_dbfs", "peak_dbfs", "prompt_from", "left_alone", "wav"),
        *("wav_bytes", "licence", "content_key", "asked", "place"),
    }
)


def last_records(out: Path) -> list[dict[str, Any]]:
    """The newest record of each source and take, from all reports in a folder, in the order they first came.

    Args:
        out: the output folder.
    """
    latest: dict[tuple[str, Any], dict[str, Any]] = {}
    for record in read_reports(out):
        latest[record["source"], _variant(record)] = record
    return list(latest.values())


def state_of(record: Mapping[str, Any], out: Path) -> str:
    """What became of a clip, one of ORDER; looks whether its file is there."""
    if record.get("status") == "failed":
        return "failed"
    if record.get("name") is None:
        return "left"
    path = output_path(record, out)
    if path is None or not _is_file(path):
        return "missing"
    return "uncertain" if _map(record.get("details")).get("uncertain") is True else "ok"


def output_path(record: Mapping[str, Any], out: Path) -> Path | None:
    """Where the file of a record is now, the folder possibly moved; None if the record names none."""
    name = record.get("name")
    return out / name if isinstance(name, str) and name and "\0" not in name else None


def make_card(record: Mapping[str, Any], out: Path, sketch: Sketch | None) -> dict[str, Any]:
    """All that the page says of one clip, JSON-ready, but for the pictures.

    Args:
        record: a line of the report.
        out: the output folder, absolute.
        sketch: what was seen and heard of the output, None for a clip without one.
    """
    settings, details = _map(record.get("settings")), _map(record.get("details"))
    state, source, name = state_of(record, out), str(record["source"]), record.get("name")
    model = find_info(_text(settings.get("model")))
    facts = {} if sketch is None else dict(sketch.facts)
    command, seed = remake_command({**record, "settings": settings, "details": details}, out, model)
    prompt = settings.get("prompt")
    card = {
        "name": _text(name) if state != "failed" and isinstance(name, str) else _place(source, details),
        "source": _text(source),
        "state": state,
        "error": _text(record.get("error")) if state == "failed" else "",
        "hint": _text(record.get("hint")) if state == "failed" else "",
        "prompt": _text(prompt),
        "promptFrom": _text(details.get("prompt_from")),
        "negative": _text(settings.get("negative_prompt")),
        "model": _text(settings.get("model")),
        "licence": _text(details.get("licence")) or (model.licence if model else ""),
        "seed": plain(settings.get("seed"), MOST_DEPTH),
        "take": _variant(record),
        "duration": _number(details.get("duration_s")),
        "confidence": _number(details.get("confidence")),
        "quiet": details.get("quiet") is True,
        "seen": [_text(each) for each in _list(details.get("recognized"))[:10]],
        "strikes": _numbers(details.get("strikes_s")),
        "stages": {_text(stage): value for stage, each in _seconds(record) if (value := _number(each)) is not None},
        "rtf": _number(details.get("rtf")),
        "level": _number(details.get("rms_dbfs")),
        "peak": _number(details.get("peak_dbfs")),
        "time": _text(record.get("time")),
        "candidate": [_number(details.get("candidate")), len(_list(details.get("candidates")))],
        "stillHeard": [_text(each) for each in _list(details.get("still_heard"))[:10]],
        "cuts": _numbers(details.get("cuts_s")),
        "command": command,
        "nextSeed": seed if state in ("ok", "uncertain") else seed - 1,  # what is not there is tried again as it was
        "unsaid": [*map(_text, unsaid(settings)), *_overruled(source, details)],
        "more": _more(settings, details),
        **_sketched(facts, details),
    }
    if state == "missing":
        card |= {"error": "the dubbed file is not there any more", "hint": RERUN_HINT}
    if state == "left":
        card["error"] = f"left alone: {_text(details.get('left_alone')) or 'nothing was made'}"
    return card | _files(record, out, state, details)


def _place(source: str, details: Mapping[str, Any]) -> str:
    """A video's place in the tree that was dubbed, for a clip that has no output; its name where none is told."""
    return _text(details.get("place")) or Path(source).name


def find_info(name: str) -> ModelInfo | None:
    """What the register or a model's own file says of it, None if neither does; the hub is never asked."""
    return _info(name) if name else None


@lru_cache(maxsize=64)
def _info(name: str) -> ModelInfo | None:
    from mfv2a.errors import Mfv2aError
    from mfv2a.loader import describe_model
    from mfv2a.register import model_names

    try:
        return describe_model(name) if name in model_names() or Path(name).exists() else None
    except (Mfv2aError, OSError, ValueError):  # a model of one's own that is damaged by now, or a name that is none
        return None


def _sketched(facts: Mapping[str, Any], details: Mapping[str, Any]) -> dict[str, Any]:
    """What the sketch adds: what is heard, and how its hits agree with those seen."""
    onsets, strikes = _numbers(facts.get("onsets_s")), _numbers(details.get("strikes_s"))
    span = _number(facts.get("span_s"))
    if span is not None:
        strikes = [time for time in strikes if time < span]
    match = match_onsets(onsets, strikes, TOLERANCE_S)
    return {
        "onsets": onsets,
        "tags": [[_text(tag[0]), _number(tag[1])] for tag in _list(facts.get("tags")) if _is_heard(tag)],
        "span": span,
        "topHz": _number(facts.get("top_hz")),
        "hits": match.hits if strikes and "onsets_s" in facts else None,
        "problem": _text(facts.get("problem")),
    }


def _is_heard(tag: Any) -> bool:
    """Whether what the tagger tells of a sound is worth telling: of the best five some are next to nothing."""
    return len(_list(tag)) == 2 and (_number(tag[1]) or 0.0) >= LEAST_SCORE


def _files(record: Mapping[str, Any], out: Path, state: str, details: Mapping[str, Any]) -> dict[str, Any]:
    """The addresses that a card leads to: the file, the sound beside it, the source where it is still there."""
    output, source, wav = output_path(record, out), Path(str(record["source"])), details.get("wav")
    made = output is not None and state in ("ok", "uncertain")
    beside = out / wav if made and isinstance(wav, str) and "\0" not in wav else None
    return {
        "video": _addresses(output, out)[0] if made and output is not None else "",
        "wav": _addresses(beside, out)[0] if beside is not None and _is_file(beside) else "",
        "original": _addresses(source, out) if _is_file(source) else [],
        "remote": is_url(str(record["source"])),
    }


def _overruled(source: str, details: Mapping[str, Any]) -> list[str]:
    """A table's words that the command can only give as an option, where a text beside the video goes before that."""
    path = Path(source)
    beside = details.get("prompt_from") == "table" and bool(path.name) and _is_file(path.with_suffix(".txt"))
    return ["the words of the table (--prompts); the text beside the video goes before its --prompt"] if beside else []


def _is_file(path: Path) -> bool:
    """Whether there is a file of that name; none is where no file can have it."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _addresses(path: Path, out: Path) -> list[str]:
    """Addresses of a file for a page in `out`: relative, which survives a move of both, and absolute."""
    whole = absolute(path)
    try:
        relative = address(os.path.relpath(whole, out).replace(os.sep, "/"))
    except ValueError:  # another drive
        return [whole.as_uri()]
    return [relative, whole.as_uri()]


def address(path: str) -> str:
    """A path with slashes as part of an address: every byte but the plainest is escaped.

    A colon, too, so that no name can look like a scheme.
    """
    return quote(os.fsencode(path), safe="/")


def _more(settings: Mapping[str, Any], details: Mapping[str, Any]) -> dict[str, Any]:
    """What a card has no place for, as it is in the report, so that a newer version's facts are shown as well."""
    left = {name: value for name, value in details.items() if name not in _TOLD}
    return {"settings": plain(dict(settings)), "details": plain(left)}


def plain(value: Any, depth: int = 0) -> Any:
    """A value of a report as JSON that every reader takes: finite numbers, short texts, no deep nests."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if abs(value) < MOST_NUMBER else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return _text(value)
    if depth >= MOST_DEPTH:
        return "..."
    if isinstance(value, Mapping):
        return {_text(name): plain(each, depth + 1) for name, each in list(value.items())[:100]}
    if isinstance(value, list | tuple):
        return [plain(each, depth + 1) for each in value[:100]]
    return _text(str(value))


def _seconds(record: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    return iter(_map(record.get("seconds")).items())


def _variant(record: Mapping[str, Any]) -> int:
    variant = _map(record.get("settings")).get("variant")
    return variant if isinstance(variant, int) and 0 < variant < MOST_NUMBER else 1


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _text(value: Any) -> str:
    """A text, cut where it is very long; "" for anything else."""
    if not isinstance(value, str):
        return ""
    return value if len(value) <= MOST_TEXT else value[: MOST_TEXT - 1] + "…"


def _number(value: Any) -> float | None:
    """A finite number, rounded for people; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < MOST_NUMBER:  # nor NaN
        return None
    return round(float(value), 4)


def _numbers(value: Any) -> list[float]:
    found = (_number(each) for each in _list(value)[:MOST_MARKS])
    return [each for each in found if each is not None]
