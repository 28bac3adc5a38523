"""The files that a batch will make: their names, and what of them is there already.

Only names, sizes and the report are looked at; nothing is written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfv2a.errors import ConfigError, MediaError
from mfv2a.jobs.discover import VIDEO_SUFFIXES, Found
from mfv2a.jobs.report import Report, absolute
from mfv2a.records import ItemResult

if TYPE_CHECKING:
    from mfv2a.jobs.plan import Item, PlanOptions


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
    for path in (item.output, item.wav):
        if path is None or not os.path.lexists(path):
            continue
        maker = report.source_of(path)
        if maker is None:
            return MediaError(path, "already there, and not made by mfv2a", hint="move it away, or use --overwrite")
        if maker != absolute(item.source) and maker.exists():
            return MediaError(path, f"already there, made from {maker}", hint="use another --out, or --overwrite")
    return None


def already_done(
    found: Found, options: PlanOptions, report: Report, settings: Mapping[str, Any], facts: Mapping[str, int]
) -> ItemResult | None:
    """The skipped result of a video whose record says that this very output is there, else None.

    Args:
        found: the video.
        options: what decides the outputs.
        report: what earlier runs did.
        settings: everything that decides this output; its "variant" says which one.
        facts: size and time of the video now.
    """
    variant = settings.get("variant", 1)
    record = report.last(found.source, variant)
    if record is None or record.get("status") not in ("ok", "skipped") or not isinstance(record.get("name"), str):
        return None
    details = record.get("details", {})
    output = options.out / record["name"]
    same = (
        Path(record["name"]) == output_name(found.relative, output.suffix, variant)
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


def refuse_collisions(items: Sequence[Item], settled: Sequence[ItemResult], found: Sequence[Found]) -> None:
    """Refuses outputs that two sources share, and outputs that are inputs.

    Raises:
        ConfigError: there are such.
    """
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
