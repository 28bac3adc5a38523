"""One worker process of several: asks for videos, dubs them as a single process would, and tells what became of them.

Whoever started it plans, holds the folder's lock and writes the report. Between them goes a pipe:

    to the parent     ("want",)  ("stage", number, name)  ("claim", number)  ("result", number, result)
                      ("detail", text)  ("warning", text)  ("fault", message, hint, kind)
    to the worker     ("take", [(number, item), ...])  ("claimed", [errno, reason, file])  ("pause",)  ("end",)

A worker whose parent is gone ends at once: nobody holds the folder for it any more.
"""

from __future__ import annotations

import logging
import os
import queue
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from mfv2a.errors import DeviceFaultError, Mfv2aError, StartError
from mfv2a.jobs.plan import Item
from mfv2a.jobs.telling import WarningsTo
from mfv2a.records import ItemResult

if TYPE_CHECKING:
    from mfv2a.jobs.dub import DubOptions
    from mfv2a.jobs.start import Started

ORPHANED = 3
SICK = 5  # the device failed: a new process may use it, this one cannot


class _StopError(BaseException):
    """The parent wants the worker to finish what is being written, and to end."""


class _Stop:
    """The parent's SIGTERM as an exception, once, in the main thread; while a message is on its way, after it."""

    def __init__(self) -> None:
        self._held = self._came = False

    def come(self, *_: object) -> None:
        """The handler of the signal."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if self._held:
            self._came = True
        else:
            raise _StopError

    def __enter__(self) -> None:
        """From here on the signal waits."""
        self._held = True

    def __exit__(self, *error: object) -> None:
        """Raises what has come meanwhile."""
        self._held = False
        if self._came:
            self._came = False
            raise _StopError


def run_worker(pipe: Connection, options: DubOptions, device: str, cores: int) -> None:
    """The life of a worker process.

    Args:
        pipe: to the parent.
        options: how to dub.
        device: where the networks run.
        cores: that this worker may use.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal: the parent decides
    if hasattr(signal, "SIGHUP"):  # as does a terminal's end
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stop = _Stop()
    signal.signal(signal.SIGTERM, stop.come)
    code = 0
    with suppress(_StopError):  # also one that comes while this ends
        try:
            code = _Worker(pipe, replace(options, sound=replace(options.sound, device=device)), cores, stop).work()
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with suppress(OSError):
        pipe.close()
    os._exit(code)  # a thread that was given up because it hangs in a library would keep the process


class _Worker:
    def __init__(self, pipe: Connection, options: DubOptions, cores: int, stop: _Stop) -> None:
        self._pipe, self._options, self._cores, self._stop = pipe, options, cores, stop
        self._sending, self._claiming = threading.Lock(), threading.Lock()
        self._given: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
        self._claimed: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
        self._numbers: dict[tuple[str, int], int] = {}
        self._told: ItemResult | None = None
        self._ended = False

    def work(self) -> int:
        """Dubs until the parent has no more; gives the status with which the process shall end."""
        threading.Thread(target=self._listen, daemon=True, name="mfv2a-worker-ear").start()
        logging.getLogger("mfv2a").addHandler(WarningsTo(lambda text: self.send("warning", text)))
        try:
            import torch

            from mfv2a.jobs.start import Started

            torch.set_num_threads(max(1, self._cores))
            started = Started(self._options, self._begin, cores=self._cores)
            while not self._ended:
                self._round(started)
        except Exception as error:  # noqa: BLE001 - raised again unless it is known
            return self._give_up(error)
        return 0

    def _give_up(self, error: Exception) -> int:
        """Tells what ends this worker; of a device that failed, that it is this worker's end alone."""
        from mfv2a.jobs.faults import of_the_machine

        known = of_the_machine(error) or error
        if isinstance(known, DeviceFaultError):
            self.send("warning", f"--device {self._options.sound.device}: {known}; a new process takes over")
            return SICK
        if not isinstance(known, Mfv2aError):
            raise error
        self.send("fault", str(known), known.hint, type(known).__name__)
        return 0

    def _round(self, started: Started) -> None:
        """Dubs until the parent says that it is enough for now."""
        with started.batch(self._items(started), lambda text: self.send("detail", text)) as batch:
            try:
                for result in batch:
                    self._tell(result)
            except (_StopError, StartError):
                for result in batch.wind_up():
                    self._tell(result)
                raise

    def _items(self, started: Started) -> Iterator[Item]:
        while True:
            self.send("want")
            word, *rest = self._given.get()
            if word != "take":
                self._ended = word == "end"
                return
            (group,) = rest
            self._numbers |= {_key(item): number for number, item in group}
            started.expect([item for _, item in group])
            for _, item in group:
                yield item

    def _begin(self, item: Item, stage: str) -> None:
        number = self._numbers[_key(item)]
        if stage == "mux":  # nothing is written before the parent has it on its list
            with self._claiming:
                self.send("claim", number)
                _, *refused = self._claimed.get()
            if refused:
                raise OSError(*refused)
        else:
            self.send("stage", number, stage)

    def _tell(self, result: ItemResult) -> None:
        """Tells a result, once: the batch gives the last one again if it is stopped before the next is asked for."""
        with self._stop:
            if result is not self._told:
                self._put("result", self._numbers[str(result.source), result.settings.get("variant", 1)], result)
                self._told = result

    def send(self, *message: object) -> None:
        """Tells the parent, by whole messages; ends the process if it is gone."""
        if threading.current_thread() is threading.main_thread():  # the only one that a signal reaches
            with self._stop:
                self._put(*message)
        else:
            self._put(*message)

    def _put(self, *message: object) -> None:
        try:
            with self._sending:
                self._pipe.send(message)
        except OSError:
            os._exit(ORPHANED)

    def _listen(self) -> None:
        while True:
            try:
                message = self._pipe.recv()
            except (EOFError, OSError):
                os._exit(ORPHANED)
            (self._claimed if message[0] == "claimed" else self._given).put(message)


def _key(item: Item) -> tuple[str, int]:
    return str(item.source), item.variant
