"""Several devices at one list: a worker process each, one queue of videos, results as from a single process.

A worker that dies is replaced. The clips that it held are tried once more, each alone, so that the one that kills
workers takes no other with it; a clip that was held twice by a dying worker has failed.
"""

from __future__ import annotations

import errno
import logging
import multiprocessing
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from itertools import count, groupby
from typing import TYPE_CHECKING, Any

from mfv2a.errors import ConfigError, Mfv2aError, StartError
from mfv2a.jobs.ahead import Awaited
from mfv2a.jobs.failures import failed
from mfv2a.jobs.hand import Hand
from mfv2a.jobs.plan import Item
from mfv2a.jobs.worker import SICK, run_worker
from mfv2a.media.temporary import remove_parts
from mfv2a.records import ItemResult

if TYPE_CHECKING:
    from mfv2a.jobs.dub import DubOptions

log = logging.getLogger(__name__)
WIND_UP_S, CLOSE_S = 60.0, 5.0
SOON_S = 1.0  # how long to wait until it is known whether there are fewer videos than devices
FRESH = 8  # videos kept ready for each worker
FAULTS = 5  # of one device, with no clip made between them, until the run is given up
STILLBORN = 3  # workers of one device that die before they ask for anything, until the run is given up

Group = list[tuple[int, Item]]


class Pool:
    """Clips on their way through several worker processes; to be used as `jobs.batch.Batch` is.

    Args:
        groups: the videos, the items of each together: they go to one worker; or what to wait for until the next is
            known. Asked for by the caller's thread alone.
        options: how to dub.
        devices: of the workers.
        begin: is told when a stage of an item begins; called by several threads.
        tell: takes details.
        cores: that all of them share.
    """

    def __init__(
        self,
        groups: Iterator[list[Item] | Awaited],
        options: DubOptions,
        devices: Sequence[str],
        *,
        begin: Callable[[Item, str], None],
        tell: Callable[[str], None],
        cores: int,
    ) -> None:
        self._options, self._begin, self._tell = options, begin, tell
        self._cores = max(1, cores // len(devices))
        self._groups, self._numbers = groups, count()
        self._fresh: deque[Group] = deque()
        self._again: deque[Group] = deque()
        self._idle: list[Hand] = []
        self._most = FRESH * len(devices)
        self._tried: set[int] = set()
        self._open = 0
        self._stopping = self._all_known = False
        self._lock = threading.RLock()
        self._news = threading.Condition(self._lock)
        self._inbox: deque[tuple[Hand, tuple[Any, ...]]] = deque()
        self._stillborn, self._faults = 0, Counter[str]()
        self._context = multiprocessing.get_context("spawn")
        self._hands: list[Hand] = []
        self._vacant, self._hired, self._known = deque(devices), 0, 0
        self._coming: Awaited | None = None
        self._look_ahead(SOON_S)

    def __enter__(self) -> Pool:
        """Itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Ends what is still running."""
        self.close()

    def __iter__(self) -> Iterator[ItemResult]:
        """The results, as they come.

        Raises:
            StartError: nothing can go on: no worker starts, or the disk is full.
        """
        while self._open > 0 or not self._all_known:
            self._look_ahead()
            with self._news:
                if not self._inbox:
                    self._news.wait(1.0)
                if not self._inbox:
                    continue
                hand, message = self._inbox[0]  # taken away when it is settled: an interrupt loses nothing
            yield from self._settle(hand, message)
            self._inbox.popleft()

    def wind_up(self) -> Iterator[ItemResult]:
        """Begins nothing more, and gives the results of the clips that are being written."""
        with self._lock:
            self._stopping = True
            hands = list(self._hands)
        for hand in hands:
            hand.process.terminate()
        end_s = time.monotonic() + WIND_UP_S
        for hand in hands:
            hand.process.join(max(0.0, end_s - time.monotonic()))
        with self._news:
            self._news.wait_for(lambda: not self._hands, timeout=CLOSE_S)
        while self._inbox:
            _, message = self._inbox.popleft()
            if message[0] == "result":
                yield message[2]

    def close(self) -> None:
        """Ends all work at once."""
        with self._lock:
            self._stopping = True
            hands = list(self._hands)
        for hand in hands:
            hand.process.kill()
        for hand in hands:
            hand.process.join(CLOSE_S)

    def _look_ahead(self, wait_s: float = 0.0) -> None:
        """Keeps some videos ready, and gives them to the workers that were waiting for more to be known.

        Args:
            wait_s: how long to wait until there are as many as devices.
        """
        end_s = time.monotonic() + wait_s
        while not self._all_known and len(self._fresh) < self._most:
            group = next(self._groups, None)
            if isinstance(group, Future):
                left_s = end_s - time.monotonic() if self._known < len(self._vacant) else 0.0
                if wait([group], timeout=max(0.0, left_s)).done:
                    continue
                if group is not self._coming:
                    self._coming = group
                    group.add_done_callback(self._wake)
                break
            with self._lock:
                if group is None:
                    self._all_known = True
                else:
                    self._known += 1
                    self._fresh.append([(next(self._numbers), item) for item in group])
                    self._open += len(group)
        with self._lock:
            idle, self._idle = self._idle, []
        for hand in idle:
            with suppress(OSError):  # it has died meanwhile: what it was given is tried again
                self._answer(hand)
        while self._vacant and self._hired < max(1, self._known):
            self._hired += 1
            self._hire(self._vacant.popleft())

    def _wake(self, _: object) -> None:
        """Another video is known."""
        with self._news:
            self._news.notify_all()

    def _hire(self, device: str) -> None:
        """Starts a worker and listens to it."""
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=run_worker, args=(theirs, self._options, device, self._cores), name=f"mfv2a {device}", daemon=True
        )
        process.start()
        theirs.close()
        hand = Hand(device, process, ours)
        with self._lock:
            self._hands.append(hand)
        threading.Thread(target=self._listen, args=(hand,), name="mfv2a-pool-ear", daemon=True).start()

    def _listen(self, hand: Hand) -> None:
        """In a thread of its own: answers a worker, and keeps what the caller shall settle."""
        try:
            with suppress(EOFError, OSError):
                while True:
                    self._hear(hand, hand.pipe.recv())
        finally:  # whatever ended the talk: a worker that nobody answers would wait for ever
            hand.process.join(CLOSE_S)
            hand.process.kill()
            hand.process.join()
            with self._news:
                self._hands.remove(hand)
                self._inbox.append((hand, ("gone",)))
                self._news.notify_all()

    def _hear(self, hand: Hand, message: tuple[Any, ...]) -> None:
        word = message[0]
        if word == "want":
            self._answer(hand)
        elif word in ("stage", "claim") and message[1] not in hand.held:  # a clip that was given up, and wakes
            if word == "claim":
                hand.pipe.send(("claimed", errno.ECANCELED, "given up meanwhile", None))
        elif word == "stage":
            self._begin(hand.held[message[1]], message[2])
        elif word == "claim":
            try:
                self._begin(hand.held[message[1]], "mux")
            except OSError as error:  # of the file that lists what is being written: the clip's failure
                hand.pipe.send(("claimed", error.errno, error.strerror, error.filename))
            else:
                hand.pipe.send(("claimed",))
        elif word == "detail":
            self._tell(message[1])
        elif word == "warning":
            log.warning("%s", message[1])
        else:
            with self._news:
                if word == "result":
                    hand.held.pop(message[1], None)
                self._inbox.append((hand, message))
                self._news.notify_all()

    def _answer(self, hand: Hand) -> None:
        """Gives a worker the next videos, lets it first finish those that it has, or sends it home."""
        with self._lock:
            if hand not in self._hands:
                return
            hand.asked = True
            if self._stopping:
                hand.pipe.send(("end",))
                return
            if hand.held and (hand.alone or self._again):
                hand.pipe.send(("pause",))
                return
            hand.alone = bool(self._again)
            waiting = self._again or self._fresh
            if waiting:
                group = waiting.popleft()
                hand.held |= dict(group)
                hand.pipe.send(("take", group))
            elif hand.held or self._all_known:
                hand.pipe.send(("pause" if hand.held else "end",))
            else:
                self._idle.append(hand)
                self._news.notify_all()

    def _settle(self, hand: Hand, message: tuple[Any, ...]) -> Iterator[ItemResult]:
        if message[0] == "result":
            yield message[2]
            self._open -= 1
            if message[2].status == "ok":
                self._faults[hand.device] = 0
        elif message[0] == "fault":
            raise (ConfigError if message[3] == "ConfigError" else StartError)(message[1], hint=message[2])
        elif message[0] == "gone":
            yield from self._bury(hand)

    def _bury(self, hand: Hand) -> Iterator[ItemResult]:
        """What becomes of the clips that an ended worker held; another takes its place if there is work left."""
        for item in hand.held.values():
            remove_parts(*item.files)
        lost = [(number, item) for number, item in hand.held.items() if number in self._tried]
        with self._lock:
            rest = [(number, item) for number, item in hand.held.items() if number not in self._tried]
            self._tried |= {number for number, _ in rest}
            self._again.extend(list(group) for _, group in groupby(rest, key=lambda pair: pair[1].source))
            hand.held.clear()
            work = bool(self._again or self._fresh or not self._all_known)
        code = hand.process.exitcode
        end = f"was killed by signal {-code}" if code is not None and code < 0 else f"ended with status {code}"
        end = "met a fault of its device" if code == SICK else end
        if rest or lost:
            self._tell(f"the worker on {hand.device} {end}; {len(rest)} clips are tried again")
        self._stillborn = 0 if hand.asked else self._stillborn + 1
        if self._stillborn >= STILLBORN:
            raise StartError(f"no worker can be started on {hand.device}: it {end}", hint="run with a single --device")
        self._faults[hand.device] += code == SICK
        if self._faults[hand.device] >= FAULTS:
            raise StartError(f"{hand.device} fails again and again", hint="leave it out of --device, or restart it")
        if work and not self._stopping:
            self._hire(hand.device)
        for _, item in lost:
            error = Mfv2aError(
                f"the worker process {end} while this clip was on its way, twice",
                hint="leave this file out, or run it alone with --workers 1 to see whether it is the one",
            )
            yield failed(item.source, error, settings=item.settings, details=item.details)
            self._open -= 1
