"""Something that is made one after the other, a few ahead of whoever takes it.

A thread of its own makes it. This module does not know what is made.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, wait
from typing import Generic, TypeVar

Made = TypeVar("Made")
Awaited = Future[None]
"""Stands for what is not there yet: done as soon as it is worth asking again."""


class Ahead(Generic[Made], Iterator[Made]):
    """What `source` gives, made by a thread of its own; what it raises is raised where it is taken.

    The thread pauses when enough waits and goes on when half of that is taken: handing over single things, of which
    there may be a hundred thousand, would cost more than making them.

    Args:
        source: what is to be made, in order.
        most: how many may wait to be taken.
    """

    def __init__(self, source: Iterable[Made], most: int) -> None:
        self._most = most
        self._made: deque[Made] = deque()
        self._error: BaseException | None = None
        self._ended = self._unwanted = False
        self._news = threading.Condition()
        self._awaited: Awaited | None = None
        threading.Thread(target=self._make, args=(source,), name="mfv2a-ahead", daemon=True).start()

    def __next__(self) -> Made:
        """The next one; waits until it is there."""
        with self._news:
            while not self._made and not self._ended:
                self._news.wait()
            if self._made:
                made = self._made.popleft()
                if len(self._made) == self._most // 2:
                    self._news.notify()
                return made
            error, self._error = self._error, None
        if error is not None:
            raise error
        raise StopIteration

    def as_they_come(self) -> Iterator[Made | Awaited]:
        """Each as `next` gives it; where that would wait, something that can be waited for, and then asked again."""
        while True:
            with self._news:
                is_there = bool(self._made) or self._ended
                if not is_there and (self._awaited is None or self._awaited.done()):
                    self._awaited = Future()
                awaited = self._awaited
            if not is_there and awaited is not None:
                yield awaited
                continue
            try:
                made = next(self)
            except StopIteration:
                return
            yield made

    def close(self) -> None:
        """Nothing more is taken: the thread ends after the one that it is at."""
        with self._news:
            self._unwanted = True
            self._news.notify()

    def _make(self, source: Iterable[Made]) -> None:
        error: BaseException | None = None
        try:
            for made in source:
                if not self._put(made):
                    return
        except BaseException as raised:  # noqa: BLE001 - raised again where it is taken
            error = raised
        with self._news:
            self._error, self._ended = error, True
            self._news.notify()
            awaited, self._awaited = self._awaited, None
        if awaited is not None:
            awaited.set_result(None)

    def _put(self, made: Made) -> bool:
        """Waits for room; False if nobody wants more."""
        with self._news:
            while len(self._made) >= self._most and not self._unwanted:
                self._news.wait()
            self._made.append(made)
            if len(self._made) == 1:
                self._news.notify()
            awaited, self._awaited = self._awaited, None
            wanted = not self._unwanted
        if awaited is not None:  # without the lock: who waits may ask at once
            awaited.set_result(None)
        return wanted


def known_soon(coming: Iterator[Made | Awaited], most: int, wait_s: float | None = None) -> tuple[list[Made], bool]:
    """The first of what comes.

    Args:
        coming: of `Ahead.as_they_come`.
        most: so many, if there are.
        wait_s: how long to wait for them; None for as long as it takes.

    Returns:
        Them, and whether these are all.
    """
    end_s, known = time.monotonic() + (math.inf if wait_s is None else wait_s), list[Made]()
    while len(known) < most:
        each = next(coming, None)
        if each is None:
            return known, True
        if not isinstance(each, Future):
            known.append(each)
        elif not wait([each], timeout=None if wait_s is None else max(0.0, end_s - time.monotonic())).done:
            break
    return known, False
