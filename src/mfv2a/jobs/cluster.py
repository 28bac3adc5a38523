"""A Ray cluster at one list: actors that load the model once, and get videos as long as there are any.

The driver plans, holds the folder's lock and writes the report; videos and outputs lie on storage that all nodes see
under the same names. An actor that is lost, with its node or alone, is replaced where there is room; the clips that it
held are tried once more, each alone, and have failed if they are lost again.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import replace
from itertools import count, groupby
from typing import TYPE_CHECKING, Any

from mfv2a.disk import cannot_write
from mfv2a.errors import ConfigError, Mfv2aError, StartError
from mfv2a.jobs.actor import Dubber, Numbered, item_from_root, options_from_root
from mfv2a.jobs.address import LOCAL, connect
from mfv2a.jobs.ahead import Awaited
from mfv2a.jobs.failures import failed
from mfv2a.jobs.plan import Item
from mfv2a.media.temporary import remove_parts
from mfv2a.records import ItemResult

if TYPE_CHECKING:
    from mfv2a.jobs.dub import DubOptions

log = logging.getLogger(__name__)
CHUNK = 16  # clips that an actor is given at a time
WAIT_S, WIND_UP_S, START_S = 1.0, 60.0, 600.0
STILLBORN = 3  # actors that die before any is ready, until the run is given up
DEVICES = ("auto", "all", "cuda", "cpu")


class _Hand:
    """An actor, seen from the driver: the clips that it holds by number, and what is awaited of it."""

    def __init__(self, actor: Any, awaited: Any) -> None:
        self.actor, self.awaited = actor, awaited
        self.held: dict[int, Item] = {}
        self.is_ready = False


class RayPool:
    """Clips on their way through a Ray cluster; to be used as `jobs.batch.Batch` is.

    Args:
        groups: the videos, the items of each together: they go to one actor; or what to wait for until the next is
            known.
        options: how to dub; its `ray` is the address, its `ray_cpus` the cores of an actor.
        begin: is told when an item is handed over.
        tell: takes details.

    Raises:
        ConfigError: Ray is not installed, or a single GPU is asked for.
        StartError: there is no such cluster, or it has no room for an actor, or no GPU where one is asked for.
    """

    def __init__(
        self,
        groups: Iterator[list[Item] | Awaited],
        options: DubOptions,
        *,
        begin: Callable[[Item, str], None],
        tell: Callable[[str], None],
    ) -> None:
        if options.sound.device not in DEVICES:
            raise ConfigError(
                f"--device {options.sound.device} does not go with --ray: the cluster chooses its GPUs",
                hint="use auto, cuda or cpu",
            )
        self._ray = connect(options.ray or LOCAL)
        self._options = options_from_root(options)
        self._begin, self._tell = begin, tell
        self._groups, self._numbers = groups, count()
        self._fresh: deque[list[Numbered]] = deque()
        self._all_known, self._known = False, 0
        self._again: deque[list[Numbered]] = deque()
        self._tried: set[int] = set()
        self._open = 0
        self._settled: deque[ItemResult] = deque()
        try:
            self._most, self._resources, self._device = self._room()
        except StartError:
            self._ray.shutdown()
            raise
        self._coming: Awaited | None = None
        self._hands: list[_Hand] = []
        self._feed()
        self._last_news, self._stillborn = time.monotonic(), 0

    def __enter__(self) -> RayPool:
        """Itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Ends what is still running."""
        self.close()

    def __iter__(self) -> Iterator[ItemResult]:
        """The results, as they come.

        Raises:
            StartError: nothing can go on: no actor comes up, or the disk is full.
        """
        while self._open > 0 or not self._all_known:
            while self._settled:
                yield self._settled[0]  # taken away when it is told: an interrupt loses nothing
                self._settled.popleft()
                self._open -= 1
            self._feed()
            if self._open > 0:
                self._hear()
            elif self._coming is not None:
                wait([self._coming], timeout=WAIT_S)

    def wind_up(self) -> Iterator[ItemResult]:
        """Begins nothing more, and gives the results of the clips that are being written."""
        self._fresh.clear()
        self._again.clear()
        self._all_known = True
        for hand in self._hands:
            hand.actor.stop.remote()
        end_s = time.monotonic() + WIND_UP_S
        while any(hand.held for hand in self._hands) and time.monotonic() < end_s:
            with suppress(StartError):
                self._hear(stopping=True)
        while self._settled:
            yield self._settled.popleft()

    def close(self) -> None:
        """Ends all work at once, and leaves the cluster."""
        for hand in self._hands:
            self._ray.kill(hand.actor)
        self._hands.clear()
        self._ray.shutdown()

    def _room(self) -> tuple[int, dict[str, float], str]:
        """How many actors there is room for, what each takes, and its device."""
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        cpus = self._options.ray_cpus
        by_gpu = sum(int(node.get("GPU", 0)) for node in nodes)
        device = self._options.sound.device
        if by_gpu and device != "cpu":
            return by_gpu, {"num_gpus": 1, "num_cpus": 1}, "cuda"
        if device not in ("auto", "cpu"):
            raise StartError(f"--device {device}: the Ray cluster has no GPU", hint="use --device cpu, or auto")
        by_cpu = sum(int(node.get("CPU", 0)) // cpus for node in nodes)
        if not by_cpu:
            raise StartError(f"no node of the Ray cluster has {cpus} cores", hint="use a smaller --ray-cpus")
        return by_cpu, {"num_gpus": 0, "num_cpus": cpus}, "cpu"

    def _hire(self) -> _Hand:
        cores = max(1, int(self._resources["num_cpus"])) if self._device == "cpu" else self._options.ray_cpus
        make = self._ray.remote(Dubber).options(**self._resources, max_concurrency=2)
        actor = make.remote(self._options, self._device, cores)
        return _Hand(actor, actor.ready.remote())

    def _hear(self, *, stopping: bool = False) -> None:
        """Waits a moment for news of an actor, and gives what asks for it more."""
        awaited = {hand.awaited: hand for hand in self._hands if hand.awaited is not None}
        if not awaited:
            raise StartError("the Ray cluster has no actor left", hint="run the same command again: it goes on")
        there, _ = self._ray.wait(list(awaited), num_returns=1, timeout=WAIT_S, fetch_local=False)
        if not there:
            if not any(hand.is_ready for hand in self._hands) and time.monotonic() - self._last_news > START_S:
                raise StartError(f"no actor came up within {START_S:.0f} s", hint="see `ray status`")
            return
        self._last_news = time.monotonic()
        hand = awaited[there[0]]
        try:
            self._take(hand, stopping)
        except self._ray.exceptions.RayError as error:
            self._bury(hand, error, stopping)

    def _take(self, hand: _Hand, stopping: bool) -> None:
        """Takes what an actor has to say; gives it more where it is through."""
        if not hand.is_ready:
            self._ray.get(hand.awaited)
            hand.is_ready = True
            self._give(hand, stopping)
            return
        try:
            word, said = self._ray.get(next(hand.awaited))
        except StopIteration:
            hand.held.clear()  # of a batch that was stopped: they were not begun
            self._give(hand, stopping)
            return
        if word == "result":
            number, result = said
            item = hand.held.pop(number)
            self._settled.append(replace(result, source=item.source, output=item.output if result.output else None))
        elif word == "detail":
            self._tell(said)
        elif word == "warning":
            log.warning("%s", said)
        else:
            raise StartError(said[0], hint=said[1])

    def _give(self, hand: _Hand, stopping: bool) -> None:
        chunk = [] if stopping else self._next_chunk()
        if not chunk:
            hand.awaited = None
            return
        for _, item in chunk:
            try:
                self._begin(item, "handed over")
            except OSError as error:  # of the file that lists what is being written
                raise cannot_write(self._options.out, error) from error
        hand.held = dict(chunk)
        sent = [(number, item_from_root(item)) for number, item in chunk]
        hand.awaited = hand.actor.dub.options(num_returns="streaming").remote(sent)

    def _feed(self) -> None:
        """Gives what is known by now to actors that have nothing; for more videos than actors there are more."""
        self._look_ahead()
        while len(self._hands) < min(self._most, self._known):
            self._hands.append(self._hire())
        for hand in self._hands:
            if self._fresh and hand.is_ready and hand.awaited is None:
                self._give(hand, stopping=False)

    def _look_ahead(self) -> None:
        """Keeps two chunks for each actor ready."""
        while not self._all_known and len(self._fresh) < 2 * CHUNK * self._most:
            group = next(self._groups, None)
            if isinstance(group, Future):
                self._coming = group
                return
            if group is None:
                self._all_known = True
            else:
                self._fresh.append([(next(self._numbers), item) for item in group])
                self._open += len(group)
                self._known += 1

    def _next_chunk(self) -> list[Numbered]:
        """What an actor is given next: of few clips that are left, each actor gets some."""
        if self._again:
            return self._again.popleft()
        self._look_ahead()
        most = max(1, min(CHUNK, len(self._fresh) // (2 * self._most)))
        chunk: list[Numbered] = []
        while self._fresh and len(chunk) < most:
            chunk += self._fresh.popleft()
        return chunk

    def _bury(self, hand: _Hand, error: Exception, stopping: bool) -> None:
        """What becomes of the clips of an actor that is lost, or whose device is."""
        self._hands.remove(hand)
        with suppress(self._ray.exceptions.RayError):
            self._ray.kill(hand.actor)  # one that raised holds its device still
        for item in hand.held.values():
            remove_parts(*item.files)
        rest = [pair for pair in hand.held.items() if pair[0] not in self._tried]
        lost = [item for number, item in hand.held.items() if number in self._tried]
        self._tell(f"an actor was lost ({type(error).__name__}); {len(rest)} clips are tried again")
        if not hand.is_ready and not any(each.is_ready for each in self._hands):
            self._stillborn += 1
            if self._stillborn >= STILLBORN:
                raise StartError(f"no actor can be started: {_last_line(error)}", hint="see --verbose")
        self._tried |= {number for number, _ in rest}
        self._again.extend(list(group) for _, group in groupby(rest, key=lambda pair: pair[1].source))
        for item in lost:
            reason = Mfv2aError(
                "the actor that had this clip was lost, twice", hint="leave this file out, or run it alone"
            )
            self._settled.append(failed(item.source, reason, settings=item.settings, details=item.details))
        if stopping:
            return
        idle = next((each for each in self._hands if each.is_ready and each.awaited is None), None)
        if idle is not None:
            self._give(idle, stopping)
        self._hands.append(self._hire())


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
