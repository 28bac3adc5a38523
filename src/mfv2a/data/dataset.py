"""Items -> batches, each row a function of (seed, step, row) alone.

So resuming equals not having stopped, and a batch is the same however many processes share its rows.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mfv2a.data.manifest import check_complete, read_shards
from mfv2a.errors import Mfv2aError

Arrays = Mapping[str, NDArray[Any]]
Draw = Callable[[np.random.Generator], Arrays]


@dataclass(frozen=True)
class Source:
    """One source of items.

    Attributes:
        draw: makes or picks an item, all randomness from the generator given.
        weight: share of batches' rows, relative to the other sources.
    """

    draw: Draw
    weight: float = 1.0


class StepDataset(Dataset[dict[str, Tensor]]):
    """Batch number `step` of a run, or a part of its rows. Each row tells its number (`row`) and its source (`source`).

    Args:
        sources: where rows come from.
        batch_size: B.
        seed: of the run.
        rows: those to make, of 0 to B - 1; all if None.
    """

    def __init__(
        self, sources: Sequence[Source], *, batch_size: int, seed: int, rows: Sequence[int] | None = None
    ) -> None:
        self.sources, self.batch_size, self.seed = list(sources), batch_size, seed
        self.rows = range(batch_size) if rows is None else rows
        weights = np.array([source.weight for source in sources], np.float64)
        self.shares = weights / weights.sum()

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        """Stack the rows of one batch."""
        rows = [self._row(step, row) for row in self.rows]
        return {name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in rows[0]}

    def _row(self, step: int, row: int) -> Arrays:
        rng = np.random.default_rng([self.seed, step, row])
        source = int(rng.choice(len(self.sources), p=self.shares))
        return {**self.sources[source].draw(rng), "row": np.array(row), "source": np.array(source)}


class _Told(Dataset[dict[str, Tensor] | Mfv2aError]):
    """A dataset whose own errors come as values: of one that is raised in its process, torch keeps the words alone."""

    def __init__(self, dataset: StepDataset) -> None:
        self._dataset = dataset

    def __getitem__(self, step: int) -> dict[str, Tensor] | Mfv2aError:
        try:
            return self._dataset[step]
        except Mfv2aError as error:
            return error


def batches(dataset: StepDataset, *, first: int, steps: int, workers: int) -> Iterator[dict[str, Tensor]]:
    """The stream of batches of steps `first` to `steps`, made ahead by `workers` processes (0 = in this one).

    Raises:
        Mfv2aError: what the sources raise.
    """
    loader: DataLoader[dict[str, Tensor] | Mfv2aError] = DataLoader(
        _Told(dataset),
        batch_size=None,
        sampler=range(first, steps),
        num_workers=workers,
        prefetch_factor=4 if workers else None,
    )
    for batch in _iterated(loader):
        if isinstance(batch, Mfv2aError):
            raise batch
        yield batch


def _iterated(loader: DataLoader[Any]) -> Iterator[Any]:
    """The items of a loader. That one of its processes died is told where the next item is asked for.

    torch's handler of SIGCHLD would raise it at once, wherever this process is: in the middle of a step, whose weights
    are then half changed, or while they are saved.

    Raises:
        RuntimeError: that one of the loader's workers is gone, also where it died while an item was fetched from it,
            which torch tells as a lost connection.
    """
    may_set = hasattr(signal, "SIGCHLD") and threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGCHLD) if may_set else None
    items = iter(loader)
    if may_set:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL if before is None else before)
    while True:
        try:
            item = next(items, None)
        except (ConnectionError, EOFError, FileNotFoundError) as error:
            if not loader.num_workers or "DataLoader worker" in str(error):  # raised by what makes the batch
                raise
            raise RuntimeError("DataLoader worker was lost while an item was fetched from it") from error
        if item is None:
            return
        yield item


@dataclass(frozen=True)
class FeatureSet:
    """Stored features of one folder, in memory.

    Attributes:
        arrays: [items, ...] float16 by name.
        facts: of each item.
    """

    arrays: dict[str, NDArray[np.float16]]
    facts: list[dict[str, Any]]

    @classmethod
    def load(cls, folder: Path, names: Sequence[str]) -> FeatureSet:
        """Read a folder made by `mfv2a extract`.

        Raises:
            ConfigError: it is not complete, or damaged.
        """
        check_complete(folder)
        return cls(*read_shards(folder, names))

    def __len__(self) -> int:
        return len(self.facts)

    def crop(self, name: str, item: int, start: int, length: int) -> NDArray[np.float32]:
        """Rows `start` to `start + length` of one item's array, float32."""
        return self.arrays[name][item, start : start + length].astype(np.float32)
