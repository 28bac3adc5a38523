"""report.jsonl: what a batch did, one JSON object a line, appended and never rewritten.

The last line of a source and variant wins, so a reader needs no other state, and a crash costs at most one cut
line. This module does not know how a sound is made; it keeps what `jobs.batch` tells it.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mfv2a import __version__
from mfv2a.errors import StartError
from mfv2a.records import ItemResult

REPORT_NAME = "report.jsonl"
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def encode_json(record: Mapping[str, Any]) -> bytes:
    """Writes one record as one line of UTF-8 JSON.

    A file name that is no valid UTF-8 holds lone surrogates; written as JSON escapes they survive the way
    back.

    Args:
        record: anything `json` can write; paths become strings, other objects their `str`.

    Returns:
        The line with its newline.
    """
    text = json.dumps(record, ensure_ascii=False, default=str, allow_nan=False)
    return text.encode("utf-8", "backslashreplace") + b"\n"


def absolute(path: Path) -> Path:
    """The path from the root, `..` removed, symlinks kept: two names of one file stay two names."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - Path.resolve() would follow symlinks


def result_record(result: ItemResult, folder: Path) -> dict[str, Any]:
    """Turns a result into the JSON object of its report line.

    Args:
        result: what became of one source.
        folder: the output folder; `name` in the record is relative to it, so that a moved folder stays
        readable.

    Returns:
        A JSON-ready dict.
    """
    output = None if result.output is None else absolute(result.output)
    name = None
    if output is not None:
        root = absolute(folder)
        name = output.relative_to(root).as_posix() if output.is_relative_to(root) else str(output)
    return {
        "source": str(absolute(result.source)),
        "output": None if output is None else str(output),
        "name": name,
        "status": result.status,
        "error": result.error,
        "hint": result.hint,
        "settings": dict(result.settings),
        "seconds": {stage: round(value, 4) for stage, value in result.seconds.items()},
        "details": dict(result.details),
        "mfv2a": __version__,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """Reads the lines of a report, oldest first.

    Lines that are cut, damaged or not ours are passed over; a report that is not there, or no file, has no lines.

    Args:
        path: a report.jsonl.

    Yields:
        One record a line.
    """
    try:
        if not path.is_file():  # a device could be read for ever
            return
        file = path.open("rb")
    except OSError:
        return
    with file:
        for line in file:
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict) and "mfv2a" in record and isinstance(record.get("source"), str):
                yield record


def written_files(folder: Path) -> set[Path]:
    """The files that the report in this folder says the tool wrote.

    Args:
        folder: a folder that may hold a report.jsonl.

    Returns:
        Absolute paths, symlinks kept; empty when there is no report.
    """
    return {path for record in read_records(folder / REPORT_NAME) for path in _made_files(record, folder)}


def _made_files(record: Mapping[str, Any], folder: Path) -> Iterator[Path]:
    if record.get("status") == "failed":
        return
    for name in (record.get("name"), record.get("details", {}).get("wav")):
        if isinstance(name, str):
            yield absolute(folder / name)


class Report:
    """The report of one output folder.

    Attributes:
        folder: the output folder; it need not exist before the first `append`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / REPORT_NAME
        self._last: dict[tuple[str, int], dict[str, Any]] = {}
        self._source_of: dict[Path, Path] = {}
        for record in read_records(self._path):
            self._remember(record)

    def last(self, source: Path, variant: int = 1) -> Mapping[str, Any] | None:
        """The newest record of a source and variant, None if the report does not know it."""
        return self._last.get((str(absolute(source)), variant))

    def source_of(self, output: Path) -> Path | None:
        """The source that this file was made from, None if the tool is not known to have made it."""
        return self._source_of.get(absolute(output))

    def append(self, result: ItemResult) -> dict[str, Any]:
        """Adds one line and makes sure that it is on the disk.

        Args:
            result: what became of one source.

        Returns:
            The record as it was written.

        Raises:
            StartError: the report cannot be written; going on would lose track of what is done.
        """
        record = result_record(result, self.folder)
        try:
            self._append_line(encode_json(record))
        except OSError as error:
            full = error.errno in DISK_FULL
            reason = "the disk is full" if full else error.strerror or str(error)
            hint = "free some space" if full else "make the folder writable or choose another --out"
            raise StartError(f"{self._path}: {reason}", hint=f"{hint}, then run the same command again") from error
        self._remember(record)
        return record

    def _remember(self, record: dict[str, Any]) -> None:
        """Takes a record in; what an earlier one says was made stays ours even when a later try failed."""
        settings = record.get("settings")
        variant = settings.get("variant") if isinstance(settings, dict) else None
        self._last[record["source"], variant if isinstance(variant, int) else 1] = record
        for path in _made_files(record, self.folder):
            self._source_of[path] = Path(record["source"])

    def _append_line(self, line: bytes) -> None:
        with self._path.open("ab+") as file:
            if file.tell() > 0:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # a crash cut the last line: start a fresh one
                    line = b"\n" + line
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
