"""Something that is made one after the other, a few ahead of whoever takes it.

A thread of its own makes it. This module does not know what is made.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

Made = TypeVar("Made")


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

    def _put(self, made: Made) -> bool:
        """Waits for room; False if nobody wants more."""
        with self._news:
            while len(self._made) >= self._most and not self._unwanted:
                self._news.wait()
            self._made.append(made)
            if len(self._made) == 1:
                self._news.notify()
            return not self._unwanted
