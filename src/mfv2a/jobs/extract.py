"""`mfv2a extract`: scenes and sounds to stored motion and mel; then motion to sync features, mel to latents.

Videos and recordings are encoded for a public model in `media_features`.

Resumes by shard: one that is there, of as many items as it shall have, is not made again; an interrupt begins no
further ones. A folder goes on only with
the settings it was begun with; more scenes or sounds than before may be asked for.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

from mfv2a.config import ExtractConfig, SourceConfig
from mfv2a.data.manifest import (
    INDEX,
    SETTINGS,
    Item,
    check_complete,
    check_finite,
    count_items,
    keep_settings,
    read_facts,
    read_settings,
    write_index,
    write_shard,
    write_statistics,
)
from mfv2a.data.mapped import find_shards, opened
from mfv2a.errors import ConfigError, StartError
from mfv2a.jobs.seed import whole_digest

Report = Callable[[Mapping[str, Any]], None]


def extract(config: ExtractConfig, report: Report) -> Path | None:
    """Make the shards that are missing.

    Args:
        config: what, where to, how many.
        report: takes a record a shard: shards, items, items_per_s; of media also one a file that failed, of sounds one
            that tells how many could not be read.

    Returns:
        the folder; None in all but the first of the processes that `torchrun` started.

    Raises:
        ConfigError: the source holds nothing, or encoders are missing for stored features.
        StartError: one of the processes was ended from outside.
    """
    if config.source.is_media:
        from mfv2a.jobs.media_features import extract_media

        return extract_media(config, report)
    if config.source.type == "features":
        return _encode(config, report)
    if config.source.count <= 0:
        raise ConfigError("an extraction needs source.count")
    out = Path(config.out)
    keep_settings(out, _settings(config), grows="count")
    sizes = [len(_numbers(config, k)) for k in range(-(-config.source.count // config.shard_items))]
    todo = _missing(out, sizes)
    began, done, told = time.monotonic(), 0, False
    pool = ProcessPoolExecutor(config.workers, mp_context=get_context("spawn"), initializer=start_worker)
    try:
        for made, unread in _in_turn(pool, config, todo):
            if unread and not told:
                told = True
                report(unread)
            done += made
            rate = done / (time.monotonic() - began)
            report({"shards": len(sizes), "items": done, "items_per_s": round(rate, 2)})
    except BrokenProcessPool as error:
        hint = "memory may be short: use fewer workers and run again; it goes on where it stopped"
        raise StartError("a process of the extraction was ended from outside", hint=hint) from error
    finally:
        pool.shutdown(cancel_futures=True)  # shards that were begun are made whole
    if not (out / INDEX).is_file():
        write_index(out, {"type": config.source.type, "duration_s": config.duration_s})
    return out


def _in_turn(pool: Executor, config: ExtractConfig, todo: Sequence[int]) -> Iterator[tuple[int, dict[str, Any]]]:
    """What `_make_shard` gives of each; no more are begun than there are processes, for what is begun is made whole."""
    ahead = iter(todo)
    running = {pool.submit(_make_shard, config, k) for k in islice(ahead, config.workers)}
    while running:
        made, running = wait(running, return_when=FIRST_COMPLETED)
        for future in made:
            yield future.result()
            running |= {pool.submit(_make_shard, config, k) for k in islice(ahead, 1)}


def _numbers(config: ExtractConfig, index: int) -> range:
    """The numbers of a shard's items."""
    first = index * config.shard_items
    return range(first, min(first + config.shard_items, config.source.count))


def _missing(out: Path, sizes: Sequence[int]) -> list[int]:
    """The shards that are not there with so many items; where there are some, the set is not complete any more."""
    todo = [k for k, size in enumerate(sizes) if count_items(out, k) != size]
    if todo:
        (out / INDEX).unlink(missing_ok=True)
    return todo


def _settings(config: ExtractConfig) -> dict[str, Any]:
    """What decides the items of scenes and sounds."""
    source = config.source
    tables = {"sounds": Path(source.path or source.voices) / "index.tsv" if source.path or source.voices else None}
    tables |= {name: Path(getattr(source, name)) for name in ("only_files", "except_files") if getattr(source, name)}
    return {
        "type": source.type,
        "first_seed": source.first_seed,
        "count": source.count,
        "shard_items": config.shard_items,
        "duration_s": config.duration_s,
        "label": source.label,
        "exclude": source.exclude,
        **{name: whole_digest(path) for name, path in tables.items() if path is not None and path.is_file()},
    }


def start_worker() -> None:
    """One thread for this process, which ends when the one that started it is gone, not by a Ctrl-C in its shell."""
    import torch

    from mfv2a.media.motion import use_one_thread

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.getLogger("mfv2a").addHandler(logging.NullHandler())  # what it found is told by the one that started it
    torch.set_num_threads(1)
    use_one_thread()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _make_shard(config: ExtractConfig, index: int) -> tuple[int, dict[str, Any]]:
    """Make a shard.

    Returns:
        how many items it has; what there is to tell of sounds that could not be read.
    """
    from mfv2a.jobs.items import scene_item, sound_item

    source = config.source
    files = {"exclude": source.exclude, "only_files": source.only_files, "except_files": source.except_files}
    items: list[Item] = []
    for number in _numbers(config, index):
        seed = source.first_seed + number
        if source.type == "scenes":
            items.append(scene_item(seed, config.duration_s, source.voices, **files))
        else:
            items.append(sound_item(source.path, seed, config.duration_s, source.label, **files))
    write_shard(Path(config.out), index, items)
    return len(items), _unread(source)


def _unread(source: SourceConfig) -> dict[str, Any]:
    """A record of the sounds of a source that could not be read; {} where there are none."""
    from mfv2a.jobs.items import read_sounds

    folder, label = (source.voices, "") if source.type == "scenes" else (source.path, source.label)
    if not folder:
        return {}
    sounds, unread = read_sounds(folder, label, source.exclude, source.only_files, source.except_files)
    if not unread:
        return {}
    total = len(sounds) + len(unread)
    return {"unread": len(unread), "sounds": total, "first": str(unread[0].path), "error": str(unread[0])}


def _encode(config: ExtractConfig, report: Report) -> Path:
    """Mel to latents and motion to sync features, shard by shard, with statistics of the latents."""
    from mfv2a.models.weights import load_network

    if not config.vae:
        raise ConfigError("encoding features needs vae = the weights of a codec")
    vae, _ = load_network(Path(config.vae), "vae")
    vae.fold_weights()  # type: ignore[operator]
    sync = load_network(Path(config.sync), "sync")[0] if config.sync else None
    folder, out = Path(config.source.path), Path(config.out)
    check_complete(folder)
    paths = find_shards(folder)
    keep_settings(out, _encode_settings(config))
    todo = _missing(out, [len(read_facts(path)) for path in paths])
    began, done = time.monotonic(), 0
    for index in todo:
        done += _encode_shard(paths[index], out, index, vae, sync)
        rate = done / (time.monotonic() - began)
        report({"shards": len(paths), "items": done, "items_per_s": round(rate, 2)})
    write_statistics(out)
    if not (out / INDEX).is_file():
        write_index(out, {"type": "features"})
    return out


def _encode_settings(config: ExtractConfig) -> dict[str, Any]:
    """What decides latents and sync features: the networks, and the features they come from, but for their number."""
    kept = Path(config.source.path) / SETTINGS
    begun = read_settings(kept.parent) if kept.is_file() else {}
    return {
        "type": "features",
        "vae": whole_digest(Path(config.vae)),
        "sync": whole_digest(Path(config.sync)) if config.sync else "",
        "source": {name: value for name, value in begun.items() if name != "count"},
    }


def _encode_shard(path: Path, out: Path, index: int, vae: Any, sync: Any) -> int:
    import torch

    with opened(path) as shard:
        stored = {name: shard.get_tensor(name) for name in shard.keys()}  # noqa: SIM118
    for name, values in stored.items():
        check_finite(path, name, values)
    facts = read_facts(path)
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
