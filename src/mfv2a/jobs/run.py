"""Plans are carried out: results settled as they come, the batch ended when it has to end.

Videos are looked at a few ahead of those that are dubbed. What a run does on its way out, whatever ends it, is here:
what is being written is finished and told, nothing new begins. This module does not know how a clip is dubbed.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfv2a.errors import StartError
from mfv2a.jobs.ahead import Awaited, known_soon
from mfv2a.jobs.crew import Crew
from mfv2a.jobs.heartbeat import Heartbeat
from mfv2a.jobs.lock import FolderLock
from mfv2a.jobs.outputs import left_beside
from mfv2a.jobs.plan import Group, Item, Planner
from mfv2a.jobs.report import Report
from mfv2a.jobs.reported import names_beside
from mfv2a.jobs.telling import Listener, Summary
from mfv2a.records import ItemResult

if TYPE_CHECKING:
    from mfv2a.jobs.batch import Batch
    from mfv2a.jobs.cluster import RayPool
    from mfv2a.jobs.dub import DubOptions
    from mfv2a.jobs.pool import Pool

WRITER_S = 10.0
PLANNED_AHEAD = 64  # videos that are looked at before their turn comes
TOLD = 5  # files in one sentence
SOON_S = 1.0  # how long to wait until it is known whether there are only few videos
FETCHED_AHEAD = 4  # the same, where they have to be fetched


class Run:
    """The results of a plan on their way into the report.

    Args:
        planner: counts what is to be done.
        plans: of it, video after video, as they come.
        options: how.
        report: where results go.
        lock: of the output folder.
        listener: is told how it goes.
        summary: counted up as results come.
    """

    def __init__(
        self,
        planner: Planner,
        plans: Iterator[Group | Awaited],
        options: DubOptions,
        report: Report,
        lock: FolderLock,
        listener: Listener,
        summary: Summary,
    ) -> None:
        self._planner, self._plans = planner, plans
        self._options, self._report, self._lock = options, report, lock
        self._listener, self._summary = listener, summary
        self._settled = 0
        self._held: Counter[Path] = Counter()
        self._open: ItemResult | None = None
        self._told: ItemResult | None = None
        self._counted: ItemResult | None = None
        self._written: tuple[ItemResult, Mapping[str, Any]] | None = None
        self._writer = Crew(1)
        self._heart: Heartbeat | None = None
        self._there: set[Path] = set()
        self._stale: list[Path] = []

    def carry_out(self) -> None:
        """Dubs what is to be dubbed, and tells what is settled already as its turn comes.

        Raises:
            StartError: nothing could begin, or nothing can go on.
        """
        with ExitStack() as stack:
            stack.callback(self._writer.close, WRITER_S)
            if self._options.heartbeat is not None:
                self._heart = stack.enter_context(Heartbeat(self._options.heartbeat, self._counts))
            groups = self._to_dub()
            first, _ = known_soon(groups, 1)
            if first:
                self._listener.loading()
                with start_batch(chain(first, groups), self._options, self._begin, self._listener.detail) as batch:
                    self._dub(batch)
        if self._stale:
            told = ", ".join(map(str, self._stale[:TOLD])) + (" ..." if len(self._stale) > TOLD else "")
            self._listener.note(f"of earlier takes, and not of the new ones that they lie beside: {told}")
        if self._has_failed_enough() and self._settled < self._planner.total:
            self._summary.not_begun = self._planner.total - self._settled
            self._listener.note(
                f"stopped after {self._summary.failed} failures (--max-failures {self._options.max_failures}): "
                f"{self._summary.not_begun} of {self._planner.total} were not done; run the same command again to go on"
            )

    def _to_dub(self) -> Iterator[list[Item] | Awaited]:
        """The outputs to be made, those of one video together; what is known already is settled on the way."""
        for group in self._plans:
            if isinstance(group, Future):
                yield group
                continue
            if group and self._options.mirror is not None:
                self._held[group[0].source] = len(group)
            for each in group:
                if isinstance(each, ItemResult):
                    self._settle(each)
                if self._has_failed_enough():
                    return
            items = [each for each in group if isinstance(each, Item)]
            if items:
                yield items

    def _dub(self, batch: Batch | Pool | RayPool) -> None:
        try:
            for result in batch:
                self._settle(result)
                if self._has_failed_enough():
                    break
        except BaseException:
            with suppress(StartError):  # the first fault counts
                self._wind_up(batch)
            raise
        self._wind_up(batch)

    def _wind_up(self, batch: Batch | Pool | RayPool) -> None:
        """What is being written is finished; the result that was being told when the end came is told."""
        if self._open is not None:
            self._settle(self._open)
        for result in batch.wind_up():
            self._settle(result)

    def _settle(self, result: ItemResult) -> None:
        """Writes and tells a result, once: an interrupt, which only the main thread feels, cuts no line."""
        if result is self._told:
            return
        self._open = result
        if result.status == "skipped":
            record = self._write(result)
        else:
            record = self._writer.submit(lambda: self._write(result)).result()
        self._told, self._open = result, None
        self._listener.result(result, record)
        if self._options.mirror is not None:
            self._held[result.source] -= 1
            if self._held[result.source] <= 0:
                del self._held[result.source]
                self._options.mirror.let_go(result.source)

    def _write(self, result: ItemResult) -> Mapping[str, Any]:
        """Counts a result and adds its line to the report, unless that was done before."""
        if self._written is not None and self._written[0] is result:
            return self._written[1]
        if result is not self._counted:
            self._counted = result
            self._summary.add(result)
            self._settled += 1
        if self._heart is not None:
            self._heart.settled(result.source, result.settings.get("variant", 1))
        self._summary.replaced += result.status == "ok" and result.output in self._there
        self._stale += left_beside(result, self._report)
        record = self._report.append(result)
        if result.output is not None:
            self._lock.tell(result.output, *(self._options.out / name for name in names_beside(result.details)))
        self._written = (result, record)
        return record

    def _has_failed_enough(self) -> bool:
        most = self._options.max_failures
        return most is not None and self._summary.failed >= most

    def _begin(self, item: Item, stage: str) -> None:
        """A stage begins; called by several threads."""
        if stage in ("mux", "handed over"):  # an actor of a cluster writes without asking again
            if os.path.lexists(item.output):
                self._there.add(item.output)
            for path in item.files:
                self._lock.claim(path, item.source, beside=path != item.output)
        if self._heart is not None:
            self._heart.stage(item.source, stage, item.variant)
        self._listener.stage(item, stage)

    def _counts(self) -> dict[str, Any]:
        summary = self._summary
        return {
            "total": self._planner.total,
            "settled": self._settled,
            "ok": summary.ok,
            "skipped": summary.skipped + summary.left_alone,
            "failed": summary.failed,
        }


def start_batch(
    groups: Iterator[list[Item] | Awaited], options: DubOptions, begin: Any, tell: Any
) -> Batch | Pool | RayPool:
    """Loads the model and starts the crew; with several devices, starts a worker process for each.

    Args:
        groups: what is to be dubbed, video after video, as they come; asked for by the caller's thread alone.
        options: how.
        begin: is told when a stage of an item begins.
        tell: takes details.

    Raises:
        StartError: the model could not be loaded, or there is no place for the cache.
        ConfigError: a GPU shall decode, and none does here.
    """
    from mfv2a.jobs.start import MOST_WORKERS, Started, count_cores, split_devices

    if options.ray is not None:
        from mfv2a.jobs.cluster import RayPool

        return RayPool(groups, options, begin=begin, tell=tell)
    devices = split_devices(options.sound.device)
    if len(devices) > 1:
        from mfv2a.jobs.pool import Pool

        return Pool(groups, options, devices, begin=begin, tell=tell, cores=count_cores())
    cores = count_cores()
    first, are_all = known_soon(groups, options.workers or min(cores, MOST_WORKERS), SOON_S)
    most = sum(map(len, first)) if are_all else None
    started = Started(replace(options, sound=replace(options.sound, device=devices[0])), begin, cores=cores, most=most)
    return started.batch(started.expected(chain(first, groups)), tell)
