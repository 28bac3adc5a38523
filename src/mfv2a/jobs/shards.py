"""One list of videos shared among runs that do not talk, such as the tasks of a Slurm array.

Which run a video belongs to hangs on its place in the output tree alone, without the suffix: it stays the same as
the list grows, wherever the folder lies, and sources that could become one output are in one run's hands. Each run
keeps a report of its own; `merge_reports` makes one of all.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from mfv2a.disk import cannot_write
from mfv2a.errors import ConfigError
from mfv2a.jobs.discover import Discovery, Videos, bare_name
from mfv2a.jobs.lock import locked
from mfv2a.jobs.report import Report, encode_json
from mfv2a.jobs.reported import REPORT_NAME, dated_lines, read_records, report_paths, shard_of
from mfv2a.media.temporary import part_path, remove_parts

_SHARD = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")
_MERGED = ".mfv2a-merged.json"  # which shards' reports earlier merges took in


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several runs that share a list.

    Attributes:
        index: of this run, from 1.
        count: of all runs.
    """

    index: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.index <= self.count:
            raise ConfigError(f"--shard {self} cannot work", hint="use 1/N to N/N, such as 2/8")

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """The shard of a word such as "2/8".

        Raises:
            ConfigError: it is none.
        """
        found = _SHARD.fullmatch(text)
        if found is None:
            raise ConfigError(f"--shard {text} cannot work", hint="use I/N, such as 2/8: the second of eight runs")
        return cls(int(found[1]), int(found[2]))

    @property
    def report_name(self) -> str:
        """The name of its report in the output folder."""
        return f"report-{self.index}-of-{self.count}.jsonl"

    def holds(self, relative: Path) -> bool:
        """Whether a place in the output tree is this run's: by the SHA-256 of its name without a video's suffix."""
        digest = hashlib.sha256(os.fsencode(Path(bare_name(str(relative))).as_posix())).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.index - 1

    def part(self, discovery: Discovery) -> Discovery:
        """What of a discovery is this run's; the rest is kept in mind as inputs that are never outputs."""
        mine, others = list[tuple[str, str]](), list[tuple[str, str]]()
        for name in discovery.found.names:
            (mine if self.holds(Path(name[1])) else others).append(name)
        return replace(
            discovery,
            found=Videos(mine),
            missing=tuple(each for each in discovery.missing if self.holds(Path(each[0].name))),
            others=Videos(others),
        )


@dataclass(frozen=True, slots=True)
class Merged:
    """What came of a merge.

    Attributes:
        path: the report.
        reports: the names of those that were taken in.
        lines: of the report now.
        statuses: how many of its files (by source and take) are in which status.
        missing: shards of which no report was there, neither now nor in an earlier merge.
    """

    path: Path
    reports: tuple[str, ...]
    lines: int
    statuses: dict[str, int]
    missing: tuple[str, ...]


def merge_reports(out: Path) -> Merged:
    """Makes one report of those of all shards, in the order of their times, and removes theirs.

    Whole or not at all: cut off at any moment and run again, it gives the same. What killed runs left half written is
    removed.

    Args:
        out: the output folder of the runs.

    Raises:
        ConfigError: there is no report.
        StartError: a run is writing there, or the report cannot be written.
    """
    if not out.is_dir():
        raise ConfigError(
            f"{out} is not a folder", hint="name the --out of the runs, on this disk: copy it from a store"
        )
    with locked(out) as lock:
        paths = sorted(report_paths(out), key=lambda path: (path.name != REPORT_NAME, path.name))
        if not paths:
            raise ConfigError(f"{out} holds no report", hint="name the --out of the runs")
        lock.recover(Report(out))
        path = out / REPORT_NAME
        names = tuple(each.name for each in paths if each.name != REPORT_NAME)
        lines = _write(path, paths) if names else sum(1 for _ in read_records(path))
        missing = _missing(out, names)
        for name in names:
            with suppress(FileNotFoundError):
                (out / name).unlink()
        report = Report(out)
        return Merged(path, names, lines, report.statuses(), missing)


def _write(path: Path, paths: Sequence[Path]) -> int:
    """Writes all records, oldest first, each once; returns how many."""
    remove_parts(path)
    part, lines, seen = part_path(path), 0, set[bytes]()
    try:
        with part.open("wb") as file:
            for _, _, record in dated_lines(paths):
                line = encode_json(record)
                digest = hashlib.blake2b(line, digest_size=12).digest()
                if digest not in seen:
                    seen.add(digest)
                    file.write(line)
                    lines += 1
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise cannot_write(path, error) from error
    return lines


def _read_merged(path: Path) -> dict[str, list[int]]:
    """Number of shards -> those merged before; of a file that is not there or damaged, none."""
    try:
        found: dict[str, list[int]] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {count: shards for count, shards in found.items() if count.isdecimal()} if isinstance(found, dict) else {}


def _missing(out: Path, names: Sequence[str]) -> tuple[str, ...]:
    """Which shards of the runs that wrote these reports have written none; remembers those that have.

    Without reports, of the runs that were merged last.
    """
    there: dict[int, set[int]] = {}
    for name in names:
        if (shard := shard_of(name)) is not None:
            there.setdefault(shard[1], set()).add(shard[0])
    path = out / _MERGED
    merged = _read_merged(path)
    if not there:
        there = {int(count): set[int]() for count in list(merged)[-1:]}
    for count, indices in there.items():
        indices |= set(merged.pop(str(count), ()))
    merged |= {str(count): sorted(indices) for count, indices in there.items()}  # the newest come last
    part = part_path(path)
    if names:
        with suppress(OSError):  # a merge that is not remembered is still one
            part.write_text(json.dumps(merged), encoding="utf-8")
            part.replace(path)
    return tuple(
        f"{index}/{count}"
        for count, indices in sorted(there.items())
        for index in range(1, count + 1)
        if index not in indices
    )
