"""Something that is made one after the other, a few ahead of whoever takes it.

A thread of its own makes it. This module does not know what is made.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

Made = TypeVar("Made")
_LOOK_S = 0.5  # how often the thread asks whether anybody still wants more


class Ahead(Generic[Made], Iterator[Made]):
    """What `source` gives, made by a thread of its own; what it raises is raised where it is taken.

    Args:
        source: what is to be made, in order.
        most: how many may wait to be taken.
    """

    def __init__(self, source: Iterable[Made], most: int) -> None:
        self._made: queue.Queue[tuple[bool, Made | BaseException | None]] = queue.Queue(most)
        self._unwanted = threading.Event()
        self._over = False
        self._thread = threading.Thread(target=self._make, args=(source,), name="mfv2a-ahead", daemon=True)
        self._thread.start()

    def __next__(self) -> Made:
        """The next one; waits until it is there."""
        if self._over:
            raise StopIteration
        more, made = self._made.get()
        if more:
            return made  # type: ignore[return-value]
        self._over = True
        if isinstance(made, BaseException):
            raise made
        raise StopIteration

    def close(self) -> None:
        """Nothing more is taken: the thread ends after the one that it is at."""
        self._unwanted.set()

    def _make(self, source: Iterable[Made]) -> None:
        end: BaseException | None = None
        try:
            for made in source:
                if not self._put((True, made)):
                    return
        except BaseException as error:  # noqa: BLE001 - raised again where it is taken
            end = error
        self._put((False, end))

    def _put(self, entry: tuple[bool, Made | BaseException | None]) -> bool:
        """Waits for room; False if nobody wants more."""
        while not self._unwanted.is_set():
            try:
                self._made.put(entry, timeout=_LOOK_S)
            except queue.Full:
                continue
            return True
        return False
