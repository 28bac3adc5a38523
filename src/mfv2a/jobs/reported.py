"""What the reports in an output folder say: those of whole runs and of shards, line by line.

Of a source and variant the line with the latest time counts. This module does not write any.
"""

from __future__ import annotations

import heapq
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

REPORT_NAME = "report.jsonl"
_SHARD_REPORT = re.compile(r"report-([1-9][0-9]*)-of-([1-9][0-9]*)\.jsonl")


def shard_of(name: str) -> tuple[int, int] | None:
    """Number and count of the shard whose report has this name; None if it is of no shard."""
    found = _SHARD_REPORT.fullmatch(name)
    shard = (int(found[1]), int(found[2])) if found else (1, 0)
    return shard if shard[0] <= shard[1] else None


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """Reads the lines of a report, oldest first.

    Lines that are cut, damaged or not ours are passed over; a report that is not there, or no file, has no lines.

    Args:
        path: a report.jsonl.

    Returns:
        One record a line.
    """
    return (record for _, record in _lines(path))


def read_reports(folder: Path) -> Iterator[dict[str, Any]]:
    """Reads the lines of all reports in a folder together, oldest first."""
    return (record for _, _, record in dated_lines(report_paths(folder)))


def dated_lines(paths: Sequence[Path]) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """The lines of several reports together, in the order of their times; of the same time those of later paths last.

    Yields:
        The number of the path, where the line begins in bytes, and its record.
    """
    by_time = [_dated(number, path) for number, path in enumerate(paths)]
    return ((number, place, record) for _, number, place, record in heapq.merge(*by_time, key=lambda line: line[0]))


def _dated(number: int, path: Path) -> Iterator[tuple[str, int, int, dict[str, Any]]]:
    """The lines of a report with their times, which never fall: it was written in its order, whatever clocks say."""
    latest = ""
    for place, record in _lines(path):
        latest = max(latest, str(record.get("time", "")))
        yield latest, number, place, record


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The records of a report and where their lines begin, in bytes."""
    try:
        if not path.is_file():  # a device could be read for ever
            return
        file = path.open("rb")
    except OSError:
        return
    with file:
        place = 0
        for line in file:
            record = parse_record(line)
            if record is not None:
                yield place, record
            place += len(line)


def parse_record(line: bytes) -> dict[str, Any] | None:
    """The record of a line, None if it is cut, damaged or not ours."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not (isinstance(record, dict) and "mfv2a" in record and isinstance(record.get("source"), str)):
        return None
    # Of what is no mapping nothing is known.
    record |= {name: {} for name in ("settings", "details", "seconds") if not isinstance(record.get(name), dict)}
    made = record["details"].get("made", [])
    if not (isinstance(made, list) and all(isinstance(each, dict) for each in made)):
        del record["details"]["made"]
    return record


def written_files(folder: Path) -> set[str]:
    """The files that the reports in this folder say the tool wrote.

    Args:
        folder: a folder that may hold a report.jsonl.

    Returns:
        Absolute paths, symlinks kept; empty when there is no report.
    """
    return {
        made
        for record in read_reports(folder)
        for made in made_files(record, os.path.abspath(folder))  # noqa: PTH100 - symlinks are kept
    }


def report_paths(folder: Path) -> list[Path]:
    """The reports in a folder, that of whole runs and those of shards, the one written last at the end."""
    dated = []
    of_shards = (path for path in sorted(folder.glob("report-*.jsonl")) if shard_of(path.name))
    for path in (folder / REPORT_NAME, *of_shards):
        with suppress(OSError):
            if path.is_file():
                dated.append((path.stat().st_mtime_ns, path))
    return [path for _, path in sorted(dated)]


def made_files(record: Mapping[str, Any], folder: str) -> Iterator[str]:
    """The files that a record says were made, as normal paths; of a failure none."""
    if record.get("status") == "failed":
        return
    for name in (record.get("name"), *names_beside(record.get("details", {}))):
        if isinstance(name, str):
            yield os.path.normpath(os.path.join(folder, name))  # noqa: PTH118 - a hundred thousand Paths are slow


def names_beside(details: Mapping[str, Any]) -> Iterator[str]:
    """Names of the files that were made beside an output, relative to the output folder, by its record's details."""
    names = (details.get("wav"), *(made.get("name") for made in details.get("made", ())))
    yield from (name for name in names if isinstance(name, str))
