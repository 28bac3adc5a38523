"""Stored features on disk: a folder of shards, each a safetensors file of stacked arrays beside a JSONL of facts.

    shard-00007.safetensors    arrays [items, ...], float16
    shard-00007.jsonl          one JSON object an item: label, captions, events ...
    extraction.json            what decided the items, so that none of other settings come among them
    index.json                 shapes of an item's arrays, shards and how many items each has; once all are there
    statistics.json            mean and deviation of the latents, channel by channel

A shard appears whole or not at all, so an interrupted extraction goes on where it stopped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfv2a.data.mapped import MappedSet, find_shards, opened
from mfv2a.disk import remove_left, writing
from mfv2a.errors import ConfigError

INDEX, STATISTICS, SETTINGS = "index.json", "statistics.json", "extraction.json"
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

    Raises:
        StartError: the disk is full, or the folder cannot be written.
    """
    from safetensors.numpy import save_file

    path = shard_path(folder, index)
    # C order is asked for: safetensors writes an array's memory as it lies, whatever its strides.
    arrays = {
        name: (
            np.stack([item[0][name] for item in items]).astype(np.float16, order="C")
            if items
            else np.zeros((0, *(shapes or {})[name]), np.float16)
        )
        for name in (shapes if shapes is not None else items[0][0])
    }
    remove_left(folder, f".{path.stem}.*")
    with writing(path) as pending:
        save_file(arrays, pending)
        with writing(path.with_suffix(".jsonl")) as pending_facts:
            pending_facts.write_text("".join(json.dumps(dict(item[1])) + "\n" for item in items), encoding="utf-8")
    return path


def read_shards(folder: Path, names: Sequence[str]) -> tuple[dict[str, NDArray[np.float16]], list[dict[str, Any]]]:
    """All items of a folder.

    Args:
        folder: made by `mfv2a extract`.
        names: arrays wanted.

    Returns:
        arrays [items, ...] float16 by name, and the facts of each item.

    Raises:
        ConfigError: no shard there, a damaged one, or one without an array or with other facts.
    """
    parts: dict[str, list[NDArray[np.float16]]] = {name: [] for name in names}
    facts: list[dict[str, Any]] = []
    for path in find_shards(folder):
        with opened(path) as shard:
            missing = set(names) - set(shard.keys())
            if missing:
                raise ConfigError(f"{path} holds no {', '.join(sorted(missing))}")
            for name in names:
                parts[name].append(shard.get_tensor(name))
        facts.extend(read_facts(path))
        if any(sum(map(len, arrays)) != len(facts) for arrays in parts.values()):
            raise ConfigError(f"{path} and its .jsonl are of different items", hint="make the features anew")
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}, facts


def read_facts(shard: Path) -> list[dict[str, Any]]:
    """The facts of a shard's items.

    Raises:
        ConfigError: they are missing or damaged.
    """
    path = shard.with_suffix(".jsonl")
    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # not splitlines: JSON may hold U+2028 as it is
        return [json.loads(line) for line in lines if line]
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", hint="make the features anew") from error
    except ValueError as error:
        raise ConfigError(f"{path} is damaged: {error}", hint="make the features anew") from error


def count_items(folder: Path, index: int) -> int | None:
    """How many items a shard holds, None if it is not there."""
    path = shard_path(folder, index)
    return len(read_facts(path)) if path.exists() else None


def check_complete(folder: Path) -> None:
    """Refuses a folder whose extraction has not come to its end; one that says nothing of it passes.

    Raises:
        ConfigError: shards are missing.
    """
    index, hint = folder / INDEX, "run the same mfv2a extract again: it goes on where it stopped"
    if not index.is_file():
        if (folder / SETTINGS).is_file():
            raise ConfigError(f"the extraction into {folder} is not complete", hint=hint)
        return
    expected = [shard["file"] for shard in _read_json(index).get("shards", [])]
    missing = [name for name in expected if not (folder / name).is_file()]
    if missing:
        raise ConfigError(f"{folder} has lost {missing[0]}" + " and others" * (len(missing) > 1), hint=hint)


def keep_settings(folder: Path, settings: Mapping[str, Any], *, grows: str = "") -> None:
    """Writes down what decides a folder's items, or compares with what it was begun with: where there is a shard.

    Args:
        folder: of the shards.
        settings: JSON-ready.
        grows: name of the one that may become larger.

    Raises:
        ConfigError: it was begun with other settings.
    """
    path = folder / SETTINGS
    if path.is_file() and any(folder.glob("shard-*.safetensors")):
        known = read_settings(folder)
        changed = [name for name in dict.fromkeys((*settings, *known)) if known.get(name) != settings.get(name)]
        if grows in changed and known.get(grows, settings[grows]) < settings[grows]:
            changed.remove(grows)
        if changed:
            raise ConfigError(
                f"{folder} was begun with another {', '.join(changed)}", hint="give this extraction another folder"
            )
        if known == settings:
            return
    write_json(path, settings)


def read_settings(folder: Path) -> dict[str, Any]:
    """What decided a folder's items.

    Raises:
        ConfigError: the file that says it is damaged.
    """
    return _read_json(folder / SETTINGS)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path} is damaged: {error}", hint="remove it") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{path} is damaged: no JSON object", hint="remove it")
    return found


def check_finite(shard: Path, name: str, values: NDArray[Any]) -> None:
    """Refuse items that hold what is no finite number.

    Args:
        shard: where they are stored.
        name: of the array.
        values: [items, ...].

    Raises:
        ConfigError: names the shard and the first such item.
    """
    rows = np.flatnonzero(~np.isfinite(values).all(tuple(range(1, values.ndim))))
    if len(rows):
        raise ConfigError(
            f"{shard}: item {rows[0]} of {name} holds what is no finite number",
            hint=f"line {rows[0] + 1} of {shard.with_suffix('.jsonl').name} says what it was made of",
        )


def write_statistics(folder: Path) -> Path:
    """Mean and deviation of the latents over all items and times [C], shard by shard, into `statistics.json`.

    Raises:
        ConfigError: no item in the folder, or one whose latents are not finite.
    """
    count, total, squares = 0, np.zeros(0), np.zeros(0)
    for path in sorted(folder.glob("shard-*.safetensors")):
        with opened(path) as shard:
            latent = shard.get_tensor("latent").astype(np.float64)
        check_finite(path, "latent", latent)
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
    """Write a JSON file; see `mfv2a.disk.writing`."""
    with writing(path) as pending:
        pending.write_text(json.dumps(dict(value), indent=1) + "\n", encoding="utf-8")
    return path
