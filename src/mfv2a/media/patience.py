"""How long the work on one file may take, and whether it shall go on at all.

Whoever starts the work says so once, for its thread; what decodes asks at every frame, what waits for ffmpeg asks
while it waits. This file does not know why the work shall end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import TypeVar

from mfv2a.errors import DeviceFaultError, Mfv2aError

ASK_S = 0.5  # how often who waits for its turn asks whether to go on
HANGS_S = 5.0  # after its time is over, until work that does not end by itself is taken to hang
DEVICE_HANGS_S = 30.0  # the same of what has a device: nobody else can use it then
TIMEOUT_HINT = "leave this file out, or allow more with --timeout"

Done = TypeVar("Done")


class StoppedError(Exception):
    """The batch ended while a clip was being worked on."""


class OverdueError(Mfv2aError):
    """One file took longer than is allowed."""

    exit_code = 3


class Patience:
    """The end of the work on one file, by time or by word.

    Args:
        seconds: how long it may take from `begin` on; None for as long as it likes.
        stop: when set, no new step begins; one that has begun to write goes on.
        kill: when set, what writes ends, too.
    """

    def __init__(
        self, seconds: float | None = None, stop: threading.Event | None = None, kill: threading.Event | None = None
    ) -> None:
        self.seconds = seconds
        self._stop, self._kill = stop or threading.Event(), kill or threading.Event()
        self._spent_s = 0.0
        self._began_s: float | None = None

    def begin(self) -> None:
        """The clock runs."""
        self._began_s = time.monotonic()

    def rest(self) -> None:
        """The clock stands still until the next `begin`."""
        self._spent_s, self._began_s = self.spent_s, None

    @property
    def spent_s(self) -> float:
        """Seconds that the clock has run."""
        began_s = self._began_s
        return self._spent_s + (0.0 if began_s is None else time.monotonic() - began_s)

    def is_overdue(self, grace_s: float = 0.0) -> bool:
        """Whether it has taken longer than allowed, and `grace_s` seconds more."""
        return self.seconds is not None and self.spent_s > self.seconds + grace_s

    def overdue(self) -> OverdueError:
        """The error of a file that took too long."""
        return OverdueError(f"took longer than --timeout {self.seconds:g} s allows", hint=TIMEOUT_HINT)

    def check(self) -> None:
        """Ask whether to go on with the next step.

        Raises:
            StoppedError: the batch ends.
            OverdueError: it took too long.
        """
        if self._stop.is_set():
            raise StoppedError
        self.check_writing()

    def check_writing(self) -> None:
        """Ask whether to go on with what is being written.

        Raises:
            StoppedError: the batch ends at once.
            OverdueError: it took too long.
        """
        if self._kill.is_set():
            raise StoppedError
        if self.is_overdue():
            raise self.overdue()


_current: ContextVar[Patience | None] = ContextVar("patience", default=None)


@contextmanager
def patient(patience: Patience) -> Iterator[None]:
    """Let the work of this thread ask `patience` while the block runs."""
    token = _current.set(patience)
    patience.begin()
    try:
        yield
    finally:
        patience.rest()
        _current.reset(token)


class Turn:
    """A lock whose wait is not counted as work: the clock of the thread's `patience` stands still until it has it.

    Who holds it beyond the time that is allowed for its work, and does not end, is waited for no longer.

    Args:
        of_device: it is the turn at a device. Who holds that and does not end takes it from all the others: no fault of
            theirs.
    """

    def __init__(self, *, of_device: bool = False) -> None:
        self._lock = threading.Lock()
        self._of_device = of_device
        self._holder: Patience | None = None

    def __enter__(self) -> None:
        """Wait for it.

        Raises:
            StoppedError: the batch ends at once.
            OverdueError: who has it hangs.
            DeviceFaultError: the same, where it is the turn at a device.
        """
        patience = _current.get()
        if patience is not None:
            patience.rest()
        try:
            while not self._lock.acquire(timeout=ASK_S):
                if patience is not None:
                    patience.check_writing()
                self._look_at(self._holder)
        finally:
            if patience is not None:
                patience.begin()
        self._holder = patience

    def _look_at(self, holder: Patience | None) -> None:
        """Whoever has it must end some time after that was due."""
        if holder is None or not holder.is_overdue(DEVICE_HANGS_S if self._of_device else HANGS_S):
            return
        if not self._of_device:
            raise holder.overdue()
        hint = "run the same command again: what is done is skipped; --timeout says how long one call may take"
        raise DeviceFaultError(f"the device does not answer: a call has not ended in {holder.spent_s:.0f} s", hint=hint)

    def __exit__(self, *error: object) -> None:
        """Hand it on."""
        self._holder = None
        self._lock.release()


def check_patience() -> None:
    """Ask whether this thread's work goes on; outside of `patient` it does."""
    patience = _current.get()
    if patience is not None:
        patience.check()


def check_writing() -> None:
    """Ask whether what this thread writes shall be ended; outside of `patient` it shall not."""
    patience = _current.get()
    if patience is not None:
        patience.check_writing()


def done_aside(work: Callable[[], Done]) -> Done:
    """Does what cannot be told to end in a thread of its own, and leaves it to itself when time is over.

    Args:
        work: knows nothing of patience itself; what it raises is raised here.

    Raises:
        StoppedError: the batch ends.
        OverdueError: it took too long.
    """
    done: Future[Done] = Future()

    def carry_out() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            done.set_exception(error)

    threading.Thread(target=carry_out, name="mfv2a-aside", daemon=True).start()
    while not wait([done], timeout=ASK_S).done:
        check_patience()
    return done.result()


def done_within(seconds: float | None, work: Callable[[], Done]) -> Done:
    """Does what asks `patience` and may hang all the same; it is left to itself when time is over.

    Args:
        seconds: how long it may take, None for as long as it likes.
        work: what it raises is raised here.

    Raises:
        OverdueError: it took too long.
    """
    with patient(Patience(seconds)):
        if seconds is None:
            return work()
        context = copy_context()
        return done_aside(lambda: context.run(work))
