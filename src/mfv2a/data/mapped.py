"""Stored features read from disk item by item: sets that are larger than memory. Knows no network and no task."""

from __future__ import annotations

import bisect
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfv2a.errors import ConfigError


def find_shards(folder: Path) -> list[Path]:
    """The shards of a folder, in order.

    Raises:
        ConfigError: there are none.
    """
    paths = sorted(folder.glob("shard-*.safetensors"))
    if not paths:
        raise ConfigError(f"no features in {folder}", hint="make them with mfv2a extract")
    return paths


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A shard, open for reading.

    Raises:
        ConfigError: it cannot be read; raised in the block too.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as shard:
            yield shard
    except (OSError, SafetensorError) as error:
        raise ConfigError(f"{path} is damaged: {error}", hint="remove it and extract again") from error


@dataclass
class MappedSet:
    """A folder of shards (see `data/manifest.py`), mapped; each process opens the shards it reads.

    Attributes:
        paths: of the shards.
        ends: number of items up to the end of each.
        shapes: of an item's arrays, by name.
    """

    paths: list[Path]
    ends: list[int]
    shapes: dict[str, tuple[int, ...]]
    _open: dict[tuple[int, int], Any] = field(default_factory=dict, repr=False)

    @classmethod
    def open(cls, folder: Path) -> MappedSet:
        """Read the shards' headers.

        Raises:
            ConfigError: no shard there, a damaged one, or shards that do not hold the same arrays.
        """
        paths = find_shards(folder)
        ends, shapes = [0], dict[str, tuple[int, ...]]()
        for path in paths:
            with opened(path) as shard:
                full = {name: tuple(shard.get_slice(name).get_shape()) for name in shard.keys()}  # noqa: SIM118
            items = {shape[0] for shape in full.values()}
            found = {name: shape[1:] for name, shape in full.items()}
            if len(items) != 1 or found != (shapes or found):
                raise ConfigError(f"{path} holds other arrays than {paths[0]}", hint="make the features anew")
            shapes = found
            ends.append(ends[-1] + items.pop())
        return cls(paths, ends[1:], shapes)

    def __len__(self) -> int:
        return self.ends[-1]

    def __getstate__(self) -> dict[str, Any]:
        """Without the open files: another process opens its own."""
        return {**self.__dict__, "_open": {}}

    def read(self, name: str, item: int) -> NDArray[np.float32]:
        """One array of one item, float32."""
        shard = bisect.bisect_right(self.ends, item)
        first = self.ends[shard - 1] if shard else 0
        rows = self._shard(shard).get_slice(name)[item - first : item - first + 1]
        array: NDArray[np.float32] = np.asarray(rows[0], np.float32)
        return array

    def _shard(self, index: int) -> Any:
        from safetensors import safe_open

        key = (os.getpid(), index)
        if key not in self._open:
            self._open[key] = safe_open(self.paths[index], "np")
        return self._open[key]
