"""A worker process of a pool, as its parent sees it."""

from __future__ import annotations

from typing import Any

from mfv2a.jobs.plan import Item


class Hand:
    """A worker process, seen from the parent.

    Attributes:
        device: where its networks run.
        process: of the worker; pipe: to it.
        held: numbers of the clips that it has, with the clips.
        alone: it gets clips that were tried before, one group at a time.
        asked: it has asked for something, so it could be started.
    """

    def __init__(self, device: str, process: Any, pipe: Any) -> None:
        self.device, self.process, self.pipe = device, process, pipe
        self.held: dict[int, Item] = {}
        self.alone = self.asked = False
