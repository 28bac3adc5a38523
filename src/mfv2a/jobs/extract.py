"""`mfv2a extract`: scenes and sounds to stored motion and mel; then motion to sync features, mel to latents.

Videos and recordings are encoded for a public model in `media_features`.

Resumes by shard: a shard that is there is not made again.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

from mfv2a.config import ExtractConfig
from mfv2a.data.manifest import Item, shard_path, write_shard, write_statistics
from mfv2a.errors import ConfigError

Report = Callable[[Mapping[str, Any]], None]


def extract(config: ExtractConfig, report: Report) -> Path | None:
    """Make the shards that are missing.

    Args:
        config: what, where to, how many.
        report: takes a record a shard: shards, items, items_per_s; of media also one a file that failed.

    Returns:
        the folder; None in all but the first of the processes that `torchrun` started.

    Raises:
        ConfigError: the source holds nothing, or encoders are missing for stored features.
    """
    if config.source.is_media:
        from mfv2a.jobs.media_features import extract_media

        return extract_media(config, report)
    if config.source.type == "features":
        return _encode(config, report)
    if config.source.count <= 0:
        raise ConfigError("an extraction needs source.count")
    out = Path(config.out)
    shards = -(-config.source.count // config.shard_items)
    todo = [k for k in range(shards) if not shard_path(out, k).exists()]
    began, done = time.monotonic(), 0
    context = get_context("spawn")
    with ProcessPoolExecutor(config.workers, mp_context=context, initializer=start_worker) as pool:
        futures = [pool.submit(_make_shard, config, k) for k in todo]
        for future in as_completed(futures):
            done += future.result()
            rate = done / (time.monotonic() - began)
            report({"shards": shards, "items": done, "items_per_s": round(rate, 2)})
    return out


def start_worker() -> None:
    """One thread for this process, which ends when the one that started it is gone."""
    import torch

    from mfv2a.media.motion import use_one_thread

    torch.set_num_threads(1)
    use_one_thread()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _make_shard(config: ExtractConfig, index: int) -> int:
    from mfv2a.jobs.items import scene_item, sound_item

    source = config.source
    files = {"exclude": source.exclude, "only_files": source.only_files, "except_files": source.except_files}
    first = index * config.shard_items
    items: list[Item] = []
    for number in range(first, min(first + config.shard_items, source.count)):
        seed = source.first_seed + number
        if source.type == "scenes":
            items.append(scene_item(seed, config.duration_s, source.voices, **files))
        else:
            items.append(sound_item(source.path, seed, config.duration_s, source.label, **files))
    write_shard(Path(config.out), index, items)
    return len(items)


def _encode(config: ExtractConfig, report: Report) -> Path:
    """Mel to latents and motion to sync features, shard by shard, with statistics of the latents."""
    from mfv2a.models.weights import load_network

    if not config.vae:
        raise ConfigError("encoding features needs vae = the weights of a codec")
    vae, _ = load_network(Path(config.vae), "vae")
    vae.fold_weights()  # type: ignore[operator]
    sync = load_network(Path(config.sync), "sync")[0] if config.sync else None
    folder, out = Path(config.source.path), Path(config.out)
    paths = sorted(folder.glob("shard-*.safetensors"))
    if not paths:
        raise ConfigError(f"no features in {folder}", hint="make them with mfv2a extract")
    began, done = time.monotonic(), 0
    for index, path in enumerate(paths):
        if not shard_path(out, index).exists():
            done += _encode_shard(path, out, index, vae, sync)
            rate = done / (time.monotonic() - began)
            report({"shards": len(paths), "items": done, "items_per_s": round(rate, 2)})
    write_statistics(out)
    return out


def _encode_shard(path: Path, out: Path, index: int, vae: Any, sync: Any) -> int:
    import torch
    from safetensors.numpy import load_file

    stored = load_file(path)
    facts = [json.loads(line) for line in path.with_suffix(".jsonl").read_text(encoding="utf-8").splitlines()]
    encoded: dict[str, Any] = {}
    with torch.inference_mode():
        for name in ("mel", "voiced_mel"):
            if name in stored:
                mels = torch.from_numpy(stored[name]).float().split(16)
                encoded[name.replace("mel", "latent")] = torch.cat([vae.encode(m)[0] for m in mels]).numpy()
        if sync is not None and "motion" in stored:
            motions = torch.from_numpy(stored["motion"]).float().split(16)
            encoded["sync"] = torch.cat([sync(m).features for m in motions]).numpy()
    items: list[Item] = [({k: v[i] for k, v in encoded.items()}, fact) for i, fact in enumerate(facts)]
    write_shard(out, index, items)
    return len(items)
