"""What several takes of one video share: made once, and forgotten when the last of them has it.

This module does not know what is made.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Generic, TypeVar

from mfv2a.jobs.plan import Item
from mfv2a.media.patience import Turn

Made = TypeVar("Made")


class Shared(Generic[Made]):
    """What is made once for several items of one video: kept until the last of them has taken it, then forgotten.

    Items of one video wait for each other; those of others do not.
    """

    def __init__(self, items: Iterable[Item] = ()) -> None:
        self._takers: dict[Path, int] = {}
        self._turns: dict[Path, Turn] = {}
        self._kept: dict[Path, Made] = {}
        self._lock = threading.Lock()
        self.expect(items)

    def expect(self, items: Iterable[Item]) -> None:
        """Says which items will come, all of one video at once."""
        for source, number in Counter(item.source for item in items).items():
            if number > 1:
                self._takers[source] = number
                self._turns[source] = Turn()

    def take(self, item: Item, make: Callable[[], Made]) -> Made:
        """The thing for an item: made now, unless an item of the same video has made it."""
        turn = self._turns.get(item.source)
        if turn is None:
            return make()
        try:
            with turn:
                if item.source not in self._kept:
                    self._kept[item.source] = make()
                return self._kept[item.source]
        finally:
            self._leave(item.source)

    def _leave(self, source: Path) -> None:
        """One item less will come; with the last one, though it failed, all of its video is forgotten."""
        with self._lock:
            self._takers[source] = self._takers.get(source, 0) - 1
            if self._takers[source] <= 0:
                del self._takers[source]
                self._turns.pop(source, None)
                self._kept.pop(source, None)
