"""Threads that work off tasks. One that hangs for ever can be given up: another takes its place.

The threads are daemons: a library that never returns must not keep the process from ending. This file does not
know what a task does.
"""

from __future__ import annotations

import itertools
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from queue import PriorityQueue
from typing import TypeVar

Made = TypeVar("Made")
THREAD_NAME = "mfv2a-crew"
Task = Callable[[], None]


class Crew:
    """A number of threads and the tasks that wait for them, the urgent ones first.

    Args:
        size: threads.
        begin: each thread's first act.
    """

    def __init__(self, size: int, *, begin: Callable[[], None] = lambda: None) -> None:
        self._begin = begin
        self._tasks: PriorityQueue[tuple[int, int, Task | None]] = PriorityQueue()
        self._order = itertools.count()
        self._threads: list[threading.Thread] = []
        for _ in range(size):
            self._add_thread()

    def submit(self, make: Callable[[], Made], *, urgent: bool = False) -> Future[Made]:
        """Lets a thread make something.

        Args:
            make: the task.
            urgent: comes before all that are not.
        """
        future: Future[Made] = Future()

        def task() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                made = make()
            except BaseException as error:  # noqa: BLE001 - told to whoever waits for the future
                _let_go(error)
                with suppress(InvalidStateError):  # given up meanwhile
                    future.set_exception(error)
            else:
                with suppress(InvalidStateError):
                    future.set_result(made)

        self._tasks.put((0 if urgent else 1, next(self._order), task))
        return future

    def give_up(self, future: Future[Made], error: Exception) -> None:
        """Settles a task that does not return as failed; its thread is lost, another one begins."""
        with suppress(InvalidStateError):
            future.set_exception(error)
            self._add_thread()

    def close(self, wait_s: float) -> None:
        """Lets the threads end after the tasks that they are at; waits for them, but not for ever."""
        for _ in self._threads:
            self._tasks.put((-1, next(self._order), None))
        end_s = time.monotonic() + wait_s
        for thread in self._threads:
            thread.join(max(0.0, end_s - time.monotonic()))

    def _add_thread(self) -> None:
        thread = threading.Thread(target=self._work, name=f"{THREAD_NAME}-{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        self._begin()
        while True:
            _, _, task = self._tasks.get()
            if task is None:
                return
            task()
            del task  # with all that it holds


def _let_go(error: BaseException) -> None:
    """Empties the frames that an error came through: they hold what was worked on, as long as the error is kept."""
    if error.__traceback__ is not None:
        error.__traceback__ = error.__traceback__.tb_next  # the task's own frame holds the future that holds the error
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        traceback.clear_frames(link.__traceback__)
        link = link.__cause__ or link.__context__
