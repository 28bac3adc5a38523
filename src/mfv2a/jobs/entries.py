"""A clip on its way through a batch, and the stages that it passes; what they do with it is theirs."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

from mfv2a.jobs.plan import Item
from mfv2a.media.patience import Patience
from mfv2a.records import ItemResult


class Stages(Protocol):
    """What happens to one clip; `sample` takes several at once. All but `sample` are called by several threads.

    `prepare` and `finish` add the wall time of their own stages to `seconds`.
    """

    def prepare(self, item: Item, seconds: dict[str, float]) -> Any:
        """File -> work: features, window plan and noise seed; asks `media.patience` whether to go on."""

    def windows(self, work: Any) -> int:
        """How many windows a work has."""

    def sample(self, works: Sequence[Any], batch_size: int) -> Sequence[Any]:
        """Works -> the latents of each, at most `batch_size` windows at a time."""

    def finish(self, item: Item, work: Any, latent: Any, seconds: dict[str, float]) -> ItemResult | None:
        """Latents -> dubbed file, or None: the work shall be sampled once more."""


@dataclass(slots=True, eq=False)
class Entry:
    """One clip on its way."""

    item: Item
    patience: Patience
    future: Future[Any]
    work: Any = None
    windows: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    latent: Any = None
    again: bool = False  # it is tried a second time, with nothing beside it
