"""What runs on the nodes of a Ray cluster: a model, loaded once, that dubs what it is given.

Knows nothing of Ray: `jobs.cluster` makes an actor of it.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfv2a.errors import DeviceFaultError, StartError
from mfv2a.jobs.plan import Item
from mfv2a.jobs.report import absolute
from mfv2a.jobs.telling import WarningsTo
from mfv2a.records import ItemResult
from mfv2a.register import model_names

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
            ("result", (number, ItemResult)), ("detail", text), ("warning", text), and, where nothing can go on,
            ("fault", (text, hint)).

        Raises:
            DeviceFaultError: the device failed: this actor can use it no longer.
        """
        said: deque[tuple[str, str]] = deque()  # besides results, by several threads
        numbers = {_key(item): number for number, item in chunk}

        def told(result: ItemResult) -> tuple[str, Any]:
            return "result", (numbers[str(result.source), int(result.settings.get("variant", 1))], result)

        def rest() -> Iterator[tuple[str, str]]:
            while said:
                yield said.popleft()

        self._started.expect([item for _, item in chunk])
        try:
            with (
                _warnings_to(lambda text: said.append(("warning", text))),
                self._started.batch([item for _, item in chunk], lambda text: said.append(("detail", text))) as batch,
            ):
                try:
                    for result in batch:
                        yield from rest()
                        yield told(result)
                        if self._stopping.is_set():
                            yield from (told(each) for each in batch.wind_up() if each is not result)
                            return
                except DeviceFaultError:
                    yield from (told(each) for each in batch.wind_up())
                    raise
                yield from rest()
        except DeviceFaultError:
            raise
        except StartError as error:
            yield "fault", (str(error), error.hint)


@contextmanager
def _warnings_to(tell: Callable[[str], None]) -> Iterator[None]:
    """Keeps the tool's warnings for the driver: nobody sees what an actor writes."""
    handler, logger = WarningsTo(tell), logging.getLogger("mfv2a")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _key(item: Item) -> tuple[str, int]:
    return str(item.source), item.variant


def options_from_root(options: DubOptions) -> DubOptions:
    """The options with paths from the root; a model of one's own is named by a path, too."""
    cache = None if options.cache is None else absolute(options.cache)
    named = Path(options.sound.model).expanduser()
    model = str(absolute(named)) if named.exists() and options.sound.model not in model_names() else options.sound.model
    return replace(options, out=absolute(options.out), cache=cache, sound=replace(options.sound, model=model))


def item_from_root(item: Item) -> Item:
    """The item with paths from the root: an actor works in another folder."""
    return replace(
        item,
        source=absolute(item.source),
        output=absolute(item.output),
        wav=None if item.wav is None else absolute(item.wav),
        others=tuple(map(absolute, item.others)),
        onsets=None if item.onsets is None else absolute(item.onsets),
        info=replace(item.info, path=absolute(item.info.path)),
    )
