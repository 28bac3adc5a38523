"""Results that are known before anything is dubbed, however many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

from mfv2a.errors import MediaError
from mfv2a.jobs.outputs import skipped
from mfv2a.jobs.report import Report
from mfv2a.records import ItemResult


class Settled(Sequence[ItemResult]):
    """Results that are known before anything is dubbed.

    Of a video that is done only its names are kept: the rest is read from the report when it is asked for, so that
    a folder with very many of them does not fill the memory.

    Args:
        report: what earlier runs did.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._entries: list[ItemResult | tuple[Path, str, int]] = []

    def add(self, result: ItemResult) -> None:
        """Takes in one result."""
        if result.status == "skipped" and result.output is not None:
            self._entries.append((result.source, str(result.output), int(result.settings.get("variant", 1))))
        else:
            self._entries.append(result)

    def outputs(self) -> Iterator[tuple[str, Path]]:
        """The files that are there already, each with its source."""
        for entry in self._entries:
            if isinstance(entry, tuple):
                yield entry[1], entry[0]
            elif entry.output is not None:
                yield str(entry.output), entry.source

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, index: int) -> ItemResult: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[ItemResult]: ...
    def __getitem__(self, index: int | slice) -> ItemResult | Sequence[ItemResult]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        entry = self._entries[index]
        if isinstance(entry, ItemResult):
            return entry
        source, output, variant = entry
        record = self._report.last(source, variant)
        if record is None:
            raise MediaError(source, "its line in the report has vanished", hint="run the same command again")
        return skipped(source, Path(output), record)
