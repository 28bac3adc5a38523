"""report.jsonl: what a batch did, one JSON object a line, appended and never rewritten.

The last line of a source and variant wins, so a reader needs no other state, and a crash costs at most one cut
line. This module does not know how a sound is made; it keeps what `jobs.batch` tells it.
"""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mfv2a import __version__
from mfv2a.disk import is_disk_full
from mfv2a.errors import StartError
from mfv2a.jobs.lines import Lines
from mfv2a.jobs.reported import REPORT_NAME, dated_lines, made_files, parse_record, report_paths
from mfv2a.records import ItemResult

_RECENT = 256  # records that are asked for again soon: when a video is planned, and when it is settled
_FILES = 1 << 20  # a place is told as byte * _FILES + number of the file, in one int


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


def result_record(result: ItemResult, folder: Path, named: Callable[[str], str] = str) -> dict[str, Any]:
    """Turns a result into the JSON object of its report line.

    Args:
        result: what became of one source.
        folder: the output folder; `name` in the record is relative to it, so that a moved folder stays
        readable.
        named: what people know a path as.

    Returns:
        A JSON-ready dict.
    """
    output = None if result.output is None else os.path.abspath(result.output)  # noqa: PTH100 - as in `absolute`
    name = output
    if output is not None:
        root = os.path.join(os.path.abspath(folder), "")  # noqa: PTH100, PTH118 - a hundred thousand Paths are slow
        name = output.removeprefix(root).replace(os.sep, "/") if output.startswith(root) else output
    return {
        "source": named(os.path.abspath(result.source)),  # noqa: PTH100
        "output": None if output is None else named(output),
        "name": name,
        "status": result.status,
        "error": result.error,
        "hint": result.hint,
        "settings": dict(result.settings),
        "seconds": {stage: round(value, 4) for stage, value in result.seconds.items()},
        "details": dict(result.details),
        "mfv2a": __version__,
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }


class Report:
    """The report of one output folder. Of each line only its place is kept, so that it may be long.

    What other runs into the folder reported is known, too: that of a whole run, and those of shards.

    Args:
        folder: the output folder; it need not exist before the first `append`.
        name: of the file that this run writes.
        named: what people know a source as, which is what the lines say.
    """

    def __init__(self, folder: Path, name: str = REPORT_NAME, named: Callable[[str], str] = str) -> None:
        self.folder = folder
        self._named = named
        self._recent: dict[int, dict[str, Any] | None] = {}
        self._lock = threading.Lock()
        self._path = folder / name
        self._root = str(absolute(folder))
        self._last: dict[str | tuple[str, int], int] = {}
        self._source_of: dict[str, str] = {}
        self._place_of: dict[str, int] = {}
        self.claimed: set[str] = set()  # outputs at which runs were when they were killed
        paths = report_paths(folder)
        self._paths = [self._path, *(path for path in paths if path != self._path)]
        self._files = [Lines(path) for path in self._paths]
        self._made: dict[str | tuple[str, int], int] = {}
        for number, place, record in dated_lines(paths):  # of the same time those of the file written last come last
            self._remember(record, place, self._paths.index(paths[number]))

    def last(self, source: Path, variant: int = 1) -> Mapping[str, Any] | None:
        """The newest record of a source and variant, None if the report does not know it."""
        return self._read(self._last.get(self._key_of(source, variant)))

    def made(self, source: Path, variant: int = 1) -> Mapping[str, Any] | None:
        """The newest record of a source and variant whose output was made: `last`, unless later tries failed."""
        key = self._key_of(source, variant)
        return self._read(self._made.get(key, self._last.get(key)))

    def _key_of(self, source: Path, variant: int) -> str | tuple[str, int]:
        return _key(self._named(os.path.abspath(source)), variant)  # noqa: PTH100

    def _read(self, place: int | None) -> Mapping[str, Any] | None:
        if place is None:
            return None
        with self._lock:
            if place in self._recent:
                return self._recent[place]
        try:
            record = parse_record(self._files[place % _FILES].read(place // _FILES))
        except OSError:
            return None
        with self._lock:
            self._recent[place] = record
            if len(self._recent) > _RECENT:
                del self._recent[next(iter(self._recent))]
        return record

    def statuses(self) -> dict[str, int]:
        """How many files, by source and take, the report knows in which status."""
        counts: Counter[str] = Counter()
        latest = set(self._last.values())
        counts.update(
            str(record.get("status"))
            for number, place, record in dated_lines(self._paths)
            if place * _FILES + number in latest
        )
        return dict(sorted(counts.items()))

    def source_of(self, output: Path) -> str | None:
        """What this file was made from, as people know it; None if the tool is not known to have made it."""
        return self._source_of.get(str(absolute(output)))

    @property
    def knows_outputs(self) -> bool:
        """Whether anything was made in the folder."""
        return bool(self._place_of)

    def record_of(self, output: Path) -> Mapping[str, Any] | None:
        """The newest record that says that this file was made; None if there is none."""
        return self._read(self._place_of.get(str(absolute(output))))

    def name_of(self, source: Path) -> str:
        """What people know a source as."""
        return self._named(os.path.abspath(source))  # noqa: PTH100 - as in `absolute`

    def claim(self, output: str, source: str) -> None:
        """Takes a file in as ours that a run was about to write when it was killed."""
        self._source_of.setdefault(output, source)
        self.claimed.add(output)

    def begin(self) -> None:
        """Makes the file, though there may be nothing to say in it.

        Raises:
            StartError: it cannot be made.
        """
        try:
            self._path.touch()
        except OSError as error:
            raise StartError(f"{self._path}: {error.strerror or error}", hint="make the folder writable") from error

    def append(self, result: ItemResult) -> dict[str, Any]:
        """Adds one line and makes sure that it is on the disk.

        What was skipped the last time, too, is not written again: a folder that is done can be run over for ever.

        Args:
            result: what became of one source.

        Returns:
            The record as it was written.

        Raises:
            StartError: the report cannot be written; going on would lose track of what is done.
        """
        record = result_record(result, self.folder, self._named)
        if result.status == "skipped" and self._knows(result, record):
            return record
        try:
            place = self._files[0].add(encode_json(record), lasting=result.status != "skipped")
        except OSError as error:
            full = is_disk_full(error)
            reason = "the disk is full" if full else error.strerror or str(error)
            hint = "free some space" if full else "make the folder writable or choose another --out"
            raise StartError(f"{self._path}: {reason}", hint=f"{hint}, then run the same command again") from error
        self._remember(record, place)
        return record

    def _knows(self, result: ItemResult, record: Mapping[str, Any]) -> bool:
        """Whether the last line says the same but for its time."""
        last = self.last(result.source, _variant(record))
        return last is not None and {**last, "time": ""} == {**record, "time": ""}

    def _remember(self, record: dict[str, Any], place: int, number: int = 0) -> None:
        """Takes a record in; what an earlier one says was made stays ours even when a later try failed."""
        source: str = record["source"]
        key = _key(source, _variant(record))
        if record.get("status") != "failed":
            self._made.pop(key, None)
        elif key in self._last:  # a failure, or the last of several
            self._made.setdefault(key, self._last[key])
        self._last[key] = place * _FILES + number
        for path in made_files(record, self._root):
            self._source_of[path], self._place_of[path] = source, self._last[key]


def _variant(record: Mapping[str, Any]) -> int:
    settings = record.get("settings")
    variant = settings.get("variant") if isinstance(settings, dict) else None
    return variant if isinstance(variant, int) else 1


def _key(source: str, variant: int) -> str | tuple[str, int]:
    return source if variant == 1 else (source, variant)
