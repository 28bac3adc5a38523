"""What runs on the nodes of a Ray cluster: a model, loaded once, that dubs what it is given.

Knows nothing of Ray: `jobs.cluster` makes an actor of it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mfv2a.errors import StartError
from mfv2a.jobs.plan import Item
from mfv2a.records import ItemResult

if TYPE_CHECKING:
    from mfv2a.jobs.dub import DubOptions

Numbered = tuple[int, Item]


class Dubber:
    """What an actor is: a loaded model that dubs what it is given, with the code of a single process.

    Args:
        options: how to dub.
        device: where its networks run.
        cores: that it may use.
    """

    def __init__(self, options: DubOptions, device: str, cores: int) -> None:
        import torch

        from mfv2a.jobs.start import Started

        torch.set_num_threads(max(1, cores))
        chosen = replace(options, sound=replace(options.sound, device=device))
        self._started = Started(chosen, lambda item, stage: None, cores=cores)
        self._stopping = threading.Event()

    def ready(self) -> bool:
        """It is there, and its model is loaded."""
        return True

    def stop(self) -> None:
        """Lets `dub` finish what is being written, and end."""
        self._stopping.set()

    def dub(self, chunk: list[Numbered]) -> Iterator[tuple[str, Any]]:
        """Dubs videos.

        Yields:
            ("result", (number, ItemResult)), ("detail", text), and, where nothing can go on, ("fault", (text, hint)).
        """
        details: list[str] = []
        numbers = {_key(item): number for number, item in chunk}

        def told(result: ItemResult) -> tuple[str, Any]:
            return "result", (numbers[str(result.source), int(result.settings.get("variant", 1))], result)

        self._started.expect([item for _, item in chunk])
        try:
            with self._started.batch([item for _, item in chunk], details.append) as batch:
                for result in batch:
                    yield from (("detail", text) for text in details)
                    details.clear()
                    yield told(result)
                    if self._stopping.is_set():
                        yield from (told(each) for each in batch.wind_up() if each is not result)
                        return
        except StartError as error:
            yield "fault", (str(error), error.hint)


def _key(item: Item) -> tuple[str, int]:
    return str(item.source), item.variant
