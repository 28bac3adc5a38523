"""Many clips through the stages at once: a crew of threads decodes and encodes, the caller samples, the crew writes.

A clip that fails is told as failed and the others go on; only a StartError, a full disk, a device that fails or an
interrupt ends the batch. This module knows neither the networks nor the files: the stages are given to it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from threading import Event

from mfv2a.disk import is_disk_full
from mfv2a.errors import DeviceFaultError, Mfv2aError, StartError
from mfv2a.jobs.ahead import Awaited
from mfv2a.jobs.crew import Crew
from mfv2a.jobs.entries import Entry, Stages
from mfv2a.jobs.faults import (
    DISK_HINT,
    MEMORY_HINT,
    ROOM_HINT,
    check_device,
    free_memory,
    is_device_fault,
    is_out_of_memory,
    tell_failure,
)
from mfv2a.jobs.grouping import BatchSize, sample_group
from mfv2a.jobs.plan import Item
from mfv2a.media.patience import HANGS_S, OverdueError, Patience, StoppedError, patient
from mfv2a.records import ItemResult

CLIPS_AHEAD = 2
"""Clips that are decoded, or being decoded, beyond one for each worker."""
PHASE_WAIT_S = 30.0
"""How long a phase waits for a further clip to be known, before it goes on without."""
PHASE_CLIPS = 64
"""Clips that pass each kind of stage together where stages share one place in memory."""
GRACE_S = HANGS_S  # after its time is over, until a clip that does not end by itself is given up
LOOK_S = 0.5  # how often overdue clips are looked for
WIND_UP_S = 60.0
CLOSE_S = 10.0

__all__ = ["Batch", "Stages", "StoppedError", "run_batch"]


class Batch:
    """Clips on their way through the stages; iterate over it for their results, and close it.

    Clips are decoded and encoded by the crew, in order, a few ahead; gathered until their windows fill a batch;
    sampled together by the caller's thread; and finished by the crew. How many are on their way is bounded, so that
    memory does not grow with their number.

    Args:
        items: the videos, or what to wait for until the next is known: what is there goes on meanwhile.
        stages: what happens to each.
        batch_size: windows sampled together.
        tell: takes details for people who asked for them: tracebacks, ffmpeg's words.
        workers: threads of the crew.
        timeout_s: how long the work on one clip may take, None for as long as it likes.
        phased: many clips are prepared before any is sampled, and all written before more are prepared, for stages
            that share one place in memory.
        begin: what each thread of the crew does first.
    """

    def __init__(
        self,
        items: Iterable[Item | Awaited],
        stages: Stages,
        *,
        batch_size: BatchSize,
        tell: Callable[[str], None],
        workers: int = 1,
        timeout_s: float | None = None,
        phased: bool = False,
        begin: Callable[[], None] = lambda: None,
    ) -> None:
        self._items = iter(items)
        self._stages, self._size, self._tell, self._timeout_s = stages, batch_size, tell, timeout_s
        self._stop, self._kill = Event(), Event()
        self._coming: Awaited | None = None
        self._phased = phased
        self._ahead, self._backlog = workers + CLIPS_AHEAD, 2 * workers + CLIPS_AHEAD
        self._ready: deque[Entry] = deque()
        self._group: list[Entry] = []
        self._finishing: deque[Entry] = deque()
        self._cramped: deque[Entry] = deque()
        self._crew = Crew(workers, begin=begin)

    def __enter__(self) -> Batch:
        """Itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Ends what is still running."""
        self.close()

    def __iter__(self) -> Iterator[ItemResult]:
        """The results: in order, but failures as soon as they are known.

        Raises:
            StartError: nothing can go on, for instance the disk is full; the item's own result comes first.
            DeviceFaultError: the device failed; the clips on their way have no result, they are to be made again.
        """
        while True:
            self._decode_ahead()
            if self._finishing and self._finishing[0].future.done():
                yield from self._settle(self._finishing[0])
            elif self._ready and self._ready[0].future.done() and len(self._finishing) < self._backlog:
                yield from self._gather(self._ready.popleft())
                if not self._phased and sum(each.windows for each in self._group) >= self._size.windows:
                    yield from self._sample()
            elif self._group and not self._ready and not (self._phased and self._finishing):
                if not self._awaits_more(PHASE_WAIT_S if self._phased else 0.0):
                    yield from self._sample()
            elif self._ready or self._finishing or self._coming is not None:
                self._wait()
            elif self._cramped:
                self._begin(self._cramped.popleft())
            else:
                return

    def wind_up(self) -> Iterator[ItemResult]:
        """Begins nothing more, and gives the results of the clips that are being written, as they are there."""
        self._stop.set()
        end_s = time.monotonic() + WIND_UP_S
        while self._finishing:
            futures = [entry.future for entry in self._finishing]
            done = wait(futures, timeout=max(0.0, end_s - time.monotonic()), return_when=FIRST_COMPLETED).done
            entry = next((each for each in self._finishing if each.future in done), self._finishing[0])
            self._finishing.remove(entry)
            if entry.future not in done:
                late = Mfv2aError(f"was not written within {WIND_UP_S:g} s of the interrupt", hint="run it again")
                yield self._failure(entry, late)
                continue
            try:
                result = entry.future.result()
            except (StoppedError, DeviceFaultError):
                continue
            except Exception as error:  # noqa: BLE001 - the batch is ending already; the clip's own fault is told
                if is_device_fault(error):
                    continue
                result = tell_failure(entry.item, error, self._tell, entry.seconds)
            if result is not None:
                yield result

    def close(self) -> None:
        """Ends all work at once; what is half written is removed."""
        self._stop.set()
        self._kill.set()
        self._crew.close(CLOSE_S)

    def _decode_ahead(self) -> None:
        while self._may_begin() and not self._stop.is_set():
            if self._coming is not None and not self._coming.done():
                return
            item = next(self._items, None)
            if isinstance(item, Future):
                self._coming = item
                continue
            self._coming = None
            if item is None:
                return
            self._begin(Entry(item, Patience(self._timeout_s, self._stop, self._kill), Future()))

    def _awaits_more(self, wait_s: float) -> bool:
        """Waits a while for the next clip, if it may begin now; whether there is one, or an end."""
        if self._coming is None or not self._may_begin():
            return False
        return bool(wait([self._coming], timeout=wait_s).done)

    def _begin(self, entry: Entry) -> None:
        entry.future = self._crew.submit(lambda: self._prepare(entry))
        self._ready.append(entry)

    def _may_begin(self) -> bool:
        """Whether another clip may be decoded now."""
        if self._phased:
            return not self._finishing and len(self._ready) + len(self._group) < PHASE_CLIPS
        return len(self._ready) < self._ahead

    def _prepare(self, entry: Entry) -> None:
        """In a thread of the crew: file -> work."""
        with patient(entry.patience):
            entry.patience.check()
            entry.work = self._stages.prepare(entry.item, entry.seconds)
            entry.windows = self._stages.windows(entry.work)

    def _finish(self, entry: Entry) -> ItemResult | None:
        """In a thread of the crew: latent -> file."""
        with patient(entry.patience):
            entry.patience.check()
            latent, entry.latent = entry.latent, None
            assert latent is not None
            return self._stages.finish(entry.item, entry.work, latent, entry.seconds)

    def _gather(self, entry: Entry) -> Iterator[ItemResult]:
        error = entry.future.exception()
        if error is None:
            self._group.append(entry)
        else:
            yield from self._fail(entry, error)

    def _sample(self) -> Iterator[ItemResult]:
        group, self._group = self._group, []
        try:
            sampled = sample_group(group, self._stages, self._size, self._tell)
        except DeviceFaultError:
            self._tell_fault(group)
            raise
        for entry, error in sampled:
            if error is not None:
                yield self._failure(entry, error)
            else:
                entry.future = self._crew.submit(lambda entry=entry: self._finish(entry), urgent=True)  # type: ignore[misc]
                self._finishing.append(entry)

    def _settle(self, entry: Entry) -> Iterator[ItemResult]:
        error = entry.future.exception()
        if error is None and entry.future.result() is None:
            self._finishing.popleft()
            self._group.append(entry)
            return
        if error is None:
            yield entry.future.result()  # given again by `wind_up` if an interrupt comes before the next is asked for
            self._finishing.popleft()
            return
        self._finishing.popleft()
        yield from self._fail(entry, error)

    def _fail(self, entry: Entry, error: BaseException) -> Iterator[ItemResult]:
        """Tells a clip's failure; what ends the batch is raised after it.

        For want of memory it is tried once more, when it has all of it: after the others.
        """
        if not isinstance(error, Exception):
            raise error
        try:
            check_device(error)
        except DeviceFaultError:
            self._tell_fault([entry])
            raise
        if is_out_of_memory(error) and not entry.again:
            self._tell(f"{entry.item.source}: out of memory: it is tried again alone, after the others")
            free_memory()
            patience = Patience(self._timeout_s, self._stop, self._kill)
            self._cramped.append(Entry(entry.item, patience, Future(), again=True))
            return
        yield self._failure(entry, error, ROOM_HINT)
        if isinstance(error, StartError):
            raise error
        if is_disk_full(error):
            raise StartError("the disk is full: the batch stops", hint=DISK_HINT) from error

    def _tell_fault(self, entries: Sequence[Entry]) -> None:
        self._tell("the device failed at " + ", ".join(str(entry.item.source) for entry in entries))

    def _wait(self) -> None:
        """Until the first clip of a queue is through its stage; clips that hang are given up meanwhile."""
        heads = [queue[0].future for queue in (self._ready, self._finishing) if queue]
        if len(self._finishing) >= self._backlog:  # no more is taken in before one of these is through
            heads = [self._finishing[0].future]
        if self._coming is not None and self._may_begin():
            heads.append(self._coming)
        wait(heads, timeout=None if self._timeout_s is None else LOOK_S, return_when=FIRST_COMPLETED)
        for entry in (*self._ready, *self._finishing):
            if not entry.future.done() and entry.patience.is_overdue(GRACE_S):
                self._crew.give_up(entry.future, entry.patience.overdue())

    def _failure(self, entry: Entry, error: Exception, memory_hint: str = MEMORY_HINT) -> ItemResult:
        if isinstance(error, OverdueError):
            self._tell(f"{entry.item.source}: given up after {entry.patience.spent_s:.1f} s")
        return tell_failure(entry.item, error, self._tell, entry.seconds, memory_hint)


def run_batch(
    items: Iterable[Item],
    stages: Stages,
    *,
    batch_size: int,
    tell: Callable[[str], None],
    workers: int = 1,
    timeout_s: float | None = None,
) -> Iterator[ItemResult]:
    """Dubs the items; see `Batch`.

    Yields:
        One result an item.

    Raises:
        StartError: nothing can go on, for instance the disk is full; the item's own result comes first.
    """
    size = BatchSize(batch_size)
    with Batch(items, stages, batch_size=size, tell=tell, workers=workers, timeout_s=timeout_s) as batch:
        yield from batch
