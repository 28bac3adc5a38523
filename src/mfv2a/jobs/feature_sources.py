"""Rows of a generator's batches from features that are complete: latents, CLIP, sync and text as a network takes them.

    latent [N, C] (the mean), latent_std [N, C] if the codec tells it; clip [V, D], sync [Y, D]; text [L, D]

An array that a folder does not hold is a missing modality: sounds without a picture hold no clip and sync.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mfv2a.config import RunConfig
from mfv2a.data.dataset import Arrays, Source
from mfv2a.data.manifest import check_complete
from mfv2a.data.mapped import MappedSet, opened
from mfv2a.errors import ConfigError
from mfv2a.jobs.networks import network_config
from mfv2a.models.mmaudio import MMAudioConfig

Shapes = dict[str, tuple[int, ...]]
FEATURES = ("clip", "sync", "text")


def holds_complete_features(folder: Path) -> bool:
    """Whether a folder's items bring what the network sees, not labels and captions to make it from."""
    first = next(iter(sorted(folder.glob("shard-*.safetensors"))), None)
    if first is None:
        return False
    with opened(first) as shard:
        return bool({"clip", "text"} & set(shard.keys()))


def build_feature_sources(config: RunConfig) -> list[Source]:
    """Sources of a run whose folders all hold complete features.

    Raises:
        ConfigError: arrays that do not fit the network or each other.
    """
    for source in config.sources:
        check_complete(Path(source.path))
    sets = [(Path(source.path), MappedSet.open(Path(source.path)), source.weight) for source in config.sources]
    sizes = MMAudioConfig(**network_config(config))
    shapes = default_shapes(sizes)
    for folder, stored, _ in sets:
        if "latent" not in stored.shapes:
            raise ConfigError(f"{folder} holds no latents", hint="make them with mfv2a extract")
        shapes |= {name: shape for name, shape in stored.shapes.items() if name in shapes}
    for folder, stored, _ in sets:
        check_shapes(folder, stored.shapes, shapes, sizes)
    return [Source(partial(_row, stored, shapes), weight) for _, stored, weight in sets]


def default_shapes(sizes: MMAudioConfig, num_latents: int = 1) -> Shapes:
    """The least that a row can hold of each feature."""
    return {
        "latent": (num_latents, sizes.latent_dim),
        "clip": (1, sizes.clip_dim),
        "sync": (8, sizes.sync_dim),
        "text": (sizes.text_len, sizes.text_dim),
    }


def check_shapes(folder: Path, found: Mapping[str, tuple[int, ...]], shapes: Shapes, sizes: MMAudioConfig) -> None:
    """Make sure that a folder's arrays fit the network and the other folders.

    Raises:
        ConfigError: they do not.
    """
    widths = {name: shape[-1] for name, shape in default_shapes(sizes).items()}
    for name, shape in found.items():
        like = shapes.get("latent" if name == "latent_std" else name)
        if like is None:
            continue
        width = widths["latent" if name == "latent_std" else name]
        if shape != like or shape[-1] != width:
            raise ConfigError(
                f"{folder} holds {name} of {'x'.join(map(str, shape))}; the other folders have "
                f"{'x'.join(map(str, like))} and the network takes a width of {width}",
                hint="extract for the model that is trained",
            )


def _row(stored: MappedSet, shapes: Shapes, rng: np.random.Generator) -> Arrays:
    item = int(rng.integers(len(stored)))
    row: dict[str, Any] = {
        name: stored.read(name, item) if name in stored.shapes else np.zeros(shapes[name], np.float32)
        for name in ("latent", *FEATURES)
    }
    if "latent_std" in stored.shapes:
        row["latent"] += stored.read("latent_std", item) * rng.standard_normal(shapes["latent"], np.float32)
    has_video = {"clip", "sync"} <= stored.shapes.keys()
    return row | {
        "has_video": np.array(has_video),
        "has_text": np.array("text" in stored.shapes),
        "item": np.array(item),
    }
