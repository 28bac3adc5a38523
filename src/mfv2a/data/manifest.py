"""Stored features on disk: a folder of shards, each a safetensors file of stacked arrays beside a JSONL of facts.

    shard-00007.safetensors    arrays [items, ...], float16
    shard-00007.jsonl          one JSON object an item: label, captions, events ...
    index.json                 shapes of an item's arrays, shards and how many items each has; once all are there
    statistics.json            mean and deviation of the latents, channel by channel

A shard appears whole or not at all, so an interrupted extraction goes on where it stopped.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfv2a.data.mapped import MappedSet
from mfv2a.errors import ConfigError

INDEX, STATISTICS = "index.json", "statistics.json"
Item = tuple[Mapping[str, NDArray[Any]], Mapping[str, Any]]


def shard_path(folder: Path, index: int) -> Path:
    """Path of one shard's arrays."""
    return folder / f"shard-{index:05d}.safetensors"


def write_shard(
    folder: Path, index: int, items: Sequence[Item], *, shapes: Mapping[str, tuple[int, ...]] | None = None
) -> Path:
    """Stack items (arrays, facts) into one shard; arrays become float16.

    Args:
        folder: of the shards.
        index: number of this one.
        items: of it.
        shapes: of an item's arrays; with them a shard may hold no item.
    """
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    path = shard_path(folder, index)
    facts = path.with_suffix(".jsonl")
    # C order is asked for: safetensors writes an array's memory as it lies, whatever its strides.
    arrays = {
        name: (
            np.stack([item[0][name] for item in items]).astype(np.float16, order="C")
            if items
            else np.zeros((0, *(shapes or {})[name]), np.float16)
        )
        for name in (shapes if shapes is not None else items[0][0])
    }
    pending = [path.with_suffix(f".{os.getpid()}.part"), facts.with_suffix(f".{os.getpid()}.facts")]
    save_file(arrays, pending[0])
    pending[1].write_text("".join(json.dumps(dict(item[1])) + "\n" for item in items), encoding="utf-8")
    pending[1].replace(facts)
    pending[0].replace(path)
    return path


def read_shards(folder: Path, names: Sequence[str]) -> tuple[dict[str, NDArray[np.float16]], list[dict[str, Any]]]:
    """All items of a folder.

    Args:
        folder: made by `mfv2a extract`.
        names: arrays wanted.

    Returns:
        arrays [items, ...] float16 by name, and the facts of each item.

    Raises:
        ConfigError: no shard there, or an array is missing.
    """
    from safetensors import safe_open

    paths = sorted(folder.glob("shard-*.safetensors"))
    if not paths:
        raise ConfigError(f"no features in {folder}", hint="make them with mfv2a extract")
    parts: dict[str, list[NDArray[np.float16]]] = {name: [] for name in names}
    facts: list[dict[str, Any]] = []
    for path in paths:
        with safe_open(path, "np") as shard:
            missing = set(names) - set(shard.keys())
            if missing:
                raise ConfigError(f"{path} holds no {', '.join(sorted(missing))}")
            for name in names:
                parts[name].append(shard.get_tensor(name))
        lines = path.with_suffix(".jsonl").read_text(encoding="utf-8").splitlines()
        facts.extend(json.loads(line) for line in lines)
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}, facts


def write_statistics(folder: Path) -> Path:
    """Mean and deviation of the latents over all items and times [C], shard by shard, into `statistics.json`.

    Raises:
        ConfigError: no item in the folder.
    """
    from safetensors import safe_open

    count, total, squares = 0, np.zeros(0), np.zeros(0)
    for path in sorted(folder.glob("shard-*.safetensors")):
        with safe_open(path, "np") as shard:
            latent = shard.get_tensor("latent").astype(np.float64)
        rows = latent.reshape(-1, latent.shape[-1])
        count += len(rows)
        total = rows.sum(0) + (total if len(total) else 0)
        squares = np.square(rows).sum(0) + (squares if len(squares) else 0)
    if not count:
        raise ConfigError(f"{folder} holds no item", hint="look at what could not be read")
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - np.square(mean), 0))
    return write_json(folder / STATISTICS, {"latent_mean": mean.tolist(), "latent_std": std.tolist()})


def write_index(folder: Path, facts: Mapping[str, Any]) -> Path:
    """List the shards, their items and the shapes of an item's arrays in `index.json`, with `facts` of one's own."""
    stored = MappedSet.open(folder)
    counts = np.diff([0, *stored.ends]).tolist()
    shards = [{"file": path.name, "items": items} for path, items in zip(stored.paths, counts, strict=True)]
    arrays = {name: list(shape) for name, shape in sorted(stored.shapes.items())}
    index = {**facts, "items": len(stored), "dtype": "float16", "arrays": arrays, "shards": shards}
    return write_json(folder / INDEX, index)


def write_json(path: Path, value: Mapping[str, Any]) -> Path:
    """Write a JSON file that appears whole or not at all."""
    pending = path.with_name(f".{path.name}.{os.getpid()}")
    pending.write_text(json.dumps(dict(value), indent=1) + "\n", encoding="utf-8")
    pending.replace(path)
    return path
