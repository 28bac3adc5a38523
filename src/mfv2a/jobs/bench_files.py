"""Reports of `mfv2a bench` kept in files, and two of them compared: what was faster then, what is now."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mfv2a.errors import ConfigError
from mfv2a.jobs.machine import IDENTITY
from mfv2a.media.whole import write_whole

PROGRAM = ("version", "torch")
WORK = ("nfe", "cfg_strength", "renoise")
SAME = ("model", "digest", "random_weights", "picture", "duration_s", "sample_rate_hz")


def read_report(path: Path) -> dict[str, Any]:
    """A report that `--save` wrote.

    Raises:
        ConfigError: it is missing, or no such report.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", hint="mfv2a bench --save FILE.json writes one") from error
    except ValueError as error:
        raise ConfigError(f"{path} is not JSON: {error}") from error
    if not isinstance(found, dict) or not {"entries", *IDENTITY, *SAME} <= found.keys():
        raise ConfigError(f"{path} is no report of mfv2a bench", hint="mfv2a bench --save FILE.json writes one")
    entries, options = found["entries"], found.get("options", {})
    if not (isinstance(entries, list) and entries and all(map(_is_entry, entries)) and isinstance(options, dict)):
        raise ConfigError(f"{path} is damaged: a setting of it lacks its times", hint="measure it again")
    return found


def _is_entry(entry: Any) -> bool:
    """Whether a setting has what a comparison asks for: a name, and the seconds of every stage in every repeat."""
    if not isinstance(entry, dict) or not isinstance(entry.get("setting"), str):
        return False
    stages, runs = entry.get("seconds"), entry.get("repeats")
    if not (isinstance(stages, dict) and isinstance(runs, list) and runs):
        return False
    return all(isinstance(run, dict) and all(_is_seconds(run.get(stage)) for stage in stages) for run in runs)


def _is_seconds(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def save_report(report: Mapping[str, Any], path: Path) -> None:
    """Keep a report; the file appears whole or not at all.

    Raises:
        MediaError: it cannot be written.
    """
    write_whole(path, json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False, default=str) + "\n")


def check_comparable(before: Mapping[str, Any], now: Mapping[str, Any], path: Path) -> None:
    """Refuse to compare times of different machines, models or clips.

    Raises:
        ConfigError: they differ; the first difference is named.
    """
    if before.get("clip", now.get("clip")) != now.get("clip"):
        words = f"{path} was measured on another clip, {before.get('video')}"
        raise ConfigError(words, hint="times are compared on the same clip alone")
    for name in (*IDENTITY, *SAME):
        if before[name] != now[name]:
            words = f"{path} was measured with {name.replace('_', ' ')} {before[name]!r}, this run with {now[name]!r}"
            raise ConfigError(words, hint="times are compared on the same machine, model and clip alone")


def check_shared(before: Mapping[str, Any], settings: Sequence[str]) -> None:
    """Refuse a comparison of settings that are all others.

    Raises:
        ConfigError: none is in both.
    """
    earlier = [entry["setting"] for entry in before["entries"]]
    if not set(earlier) & set(settings):
        told = ", ".join(earlier)
        raise ConfigError("both reports have no setting in common", hint=f"the other one has: {told}")


def compare_reports(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[dict[str, Any]]:
    """How long each stage takes now, as a share of then.

    Args:
        before: a report.
        now: a report of the same machine, model and clip.

    Returns:
        a record a setting that both have: its name, what was asked otherwise (then and now), and by stage the ratio of
        the medians (below 1 is faster now), of the fastest runs, and the ends of its spread: the tenth percentile now
        over the ninetieth then, and the reverse.

    Raises:
        ConfigError: they share no setting.
    """
    earlier = {entry["setting"]: entry for entry in before["entries"]}
    check_shared(before, [entry["setting"] for entry in now["entries"]])
    programs = ({name: each[name] for name in PROGRAM if name in each} for each in (before, now))
    options = _changed(*programs) | _changed(before.get("options", {}), now.get("options", {}))
    return [
        {
            "setting": entry["setting"],
            "stages": _ratios(earlier[entry["setting"]], entry),
            "changed": options | _changed(*({name: each.get(name) for name in WORK} for each in (then, entry))),
        }
        for entry in now["entries"]
        if (then := earlier.get(entry["setting"])) is not None
    ]


def _changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, list[Any]]:
    """What was asked otherwise then: the value then and now."""
    then, known = (json.loads(json.dumps(dict(each))) for each in (before, now))  # a tuple is a list in a file
    return {name: [then[name], value] for name, value in known.items() if name in then and then[name] != value}


def _ratios(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, dict[str, float | None]]:
    return {
        stage: _ratio([run[stage] for run in before["repeats"]], [run[stage] for run in now["repeats"]])
        for stage in now["seconds"]
        if stage in before["seconds"] and stage != "other"  # which is a small difference of sums
    }


def _ratio(before: Sequence[float], now: Sequence[float]) -> dict[str, float | None]:
    def over(above: float, below: float) -> float | None:
        return above / below if below > 0 else None

    low, middle, high = (np.percentile(now, part) for part in (10, 50, 90))
    old_low, old_middle, old_high = (np.percentile(before, part) for part in (10, 50, 90))
    return {
        "ratio": over(float(middle), float(old_middle)),
        "fastest": over(min(now), min(before)),
        "low": over(float(low), float(old_high)),
        "high": over(float(high), float(old_low)),
    }
