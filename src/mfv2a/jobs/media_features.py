"""`mfv2a extract` for a public model: videos and recordings -> latents, CLIP, sync and text features.

Pictures and words go the way that `mfv2a dub` takes: `sight.decode_clip` and `Pipeline.prepare`. A shard is a
stretch of the list, so that which process makes it, and when, changes nothing; what cannot be read is left out of it.

    latent [N, C], latent_std [N, C]    of the codec's posterior
    clip [V, D], sync [Y, D]            of videos
    text [L, D]
    failed-00007.jsonl                  files of that stretch that could not be read, and why
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from mfv2a.config import ExtractConfig
from mfv2a.data.manifest import (
    INDEX,
    STATISTICS,
    Item,
    keep_settings,
    shard_path,
    write_index,
    write_shard,
    write_statistics,
)
from mfv2a.disk import writing
from mfv2a.errors import ConfigError, MediaError, Mfv2aError
from mfv2a.jobs.media_pieces import Cut, Listed, Piece, cut_recording, cut_video, find_media, read_ahead
from mfv2a.jobs.sight import decode_clip
from mfv2a.loader import describe_model, load_pipeline
from mfv2a.models.mel import CONFIGS, MelSpectrogram
from mfv2a.packages import find_model
from mfv2a.records import Clip

if TYPE_CHECKING:
    from mfv2a.pipeline import Pipeline

Report = Callable[[Mapping[str, Any]], None]
Features = dict[str, NDArray[np.float16]]


def extract_media(config: ExtractConfig, report: Report) -> Path | None:
    """Make the shards that are missing; of the processes of `torchrun` each takes every so-manieth.

    Args:
        config: what, where to, by which model.
        report: takes a record a shard, and one a file that failed.

    Returns:
        the folder; None in all but the first process.

    Raises:
        ConfigError: nothing to extract, nothing of it readable, no public MMAudio model, or a folder that holds
            features of other settings.
        CheckpointError: the model's files are missing or damaged.
    """
    listed, missing = find_media(config.source)
    rank, size = (int(os.environ.get(name, default)) for name, default in (("RANK", "0"), ("WORLD_SIZE", "1")))
    out = Path(config.out)
    keep_settings(out, _settings(config, listed))
    if missing and rank == 0:
        report({"missing": missing})
    groups = [listed[first : first + config.shard_items] for first in range(0, len(listed), config.shard_items)]
    todo = [k for k in range(rank, len(groups), size) if not shard_path(out, k).exists()]
    if todo:
        encoder = MediaEncoder(config, device=_device(config.device))
        began, done, clips = time.monotonic(), 0, 0
        for k in todo:
            items, failed = encoder.encode(groups[k], report)
            _write(out, k, items, failed, None if items else encoder.shapes())
            done, clips = done + len(items), clips + len(groups[k])
            seconds = time.monotonic() - began
            rates = {"items_per_s": round(done / seconds, 2), "clips_per_s": round(clips / seconds, 2)}
            report({"shard": k, "shards": len(groups), "items": done, **rates})
    if all(shard_path(out, k).exists() for k in range(len(groups))):  # whoever is last closes the set
        _close(out, config)
    return out if rank == 0 else None


class MediaEncoder:
    """A public model's codec and encoders at work on files.

    Args:
        config: the extraction.
        device: where the networks go.

    Raises:
        ConfigError: the model is no MMAudio model, or its windows are shorter than asked.
    """

    def __init__(self, config: ExtractConfig, *, device: str) -> None:
        if find_model(config.model).layout != "mmaudio":
            raise ConfigError(f"{config.model} is no public MMAudio model", hint='model = "mmaudio-small-16k"')
        self.config = config
        self.pipeline: Pipeline = load_pipeline(config.model, device=device, dtype="float32", generator=False)
        spec, source = self.pipeline.spec, config.source
        if config.duration_s > spec.window_s:
            raise ConfigError(f"windows of {config.model} last {spec.window_s:g} s, not {config.duration_s:g} s")
        self.lengths = spec.extent(config.duration_s)
        rate = spec.sample_rate_hz
        samples = self.lengths.latents * spec.latent_samples
        self.cut = Cut(
            duration_s=config.duration_s, samples=samples, rate_hz=rate, windows=source.windows,
            shortest_s=source.shortest_s,
        )  # fmt: skip
        front = next(config for config in CONFIGS.values() if config.sample_rate_hz == rate)
        self.mel = MelSpectrogram(front).to(self.pipeline.device)

    def encode(self, files: Sequence[Listed], report: Report) -> tuple[list[Item], list[dict[str, str]]]:
        """Items of files, and of those that failed their path and the reason; they are reported too."""
        items: list[Item] = []
        failed: list[dict[str, str]] = []
        waves: list[NDArray[np.float32]] = []
        with ThreadPoolExecutor(self.config.workers) as pool:
            for listed, future in read_ahead(pool, self._read, files, 2 * self.config.workers):
                try:
                    for piece in _result(future, listed):
                        items.append((self._see(piece), piece.facts))
                        waves.append(piece.wave)
                except MediaError as error:
                    failed.append({"failed": str(listed.path), "error": str(error)})
                    report(failed[-1])
                if len(waves) >= self.config.batch_size:
                    self._listen(items, waves)
        self._listen(items, waves)
        return items, failed

    def _read(self, listed: Listed) -> list[Piece]:
        if self.config.source.type == "recordings":
            return cut_recording(listed, self.cut)
        decode = partial(decode_clip, pipeline=self.pipeline, threads=1)
        return cut_video(listed, self.cut, decode, self.pipeline.frame_requests)

    def _see(self, piece: Piece) -> Features:
        """Features of a window's pictures and words."""
        work = self.pipeline.prepare(piece.clip, prompt=piece.prompt, duration_s=self.config.duration_s)
        found = {"clip": work.clip, "sync": work.sync, "text": None if work.text is None else work.text.tokens}
        return {name: _half(tensor) for name, tensor in found.items() if tensor is not None}

    @torch.inference_mode()
    def _listen(self, items: Sequence[Item], waves: list[NDArray[np.float32]]) -> None:
        """Add the latents of the newest items, whose waves are emptied."""
        newest = items[len(items) - len(waves) :]
        for first in range(0, len(waves), self.config.batch_size):
            sound = torch.from_numpy(np.stack(waves[first : first + self.config.batch_size])).to(self.pipeline.device)
            mean, std = self.pipeline.vae.encode(self.mel(sound))
            for (features, _), a, b in zip(newest[first:], mean, std, strict=False):
                features |= {"latent": _half(a), "latent_std": _half(b)}  # type: ignore[operator]
        waves.clear()

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of an item's arrays, of a window that shows and sounds nothing."""
        clip = None
        if self.config.source.type == "videos":
            sizes = {name: request.size_px for name, request in self.pipeline.frame_requests.items()}
            frames = {name: np.zeros((1, size, size, 3), np.uint8) for name, size in sizes.items()}
            clip = Clip(duration_s=self.config.duration_s, frames=frames)
        piece = Piece(clip=clip, wave=np.zeros(self.cut.samples, np.float32), prompt="", facts={})
        blank: list[Item] = [(self._see(piece), {})]
        self._listen(blank, [piece.wave])
        return {name: array.shape for name, array in blank[0][0].items()}


def _result(future: Future[list[Piece]], listed: Listed) -> list[Piece]:
    """What was read of a file.

    Raises:
        MediaError: for whatever reason it could not be: one file ends no extraction.
    """
    try:
        return future.result()
    except Mfv2aError:
        raise
    except Exception as error:
        raise MediaError(listed.path, f"cannot be read: {type(error).__name__}: {error}") from error


def _half(tensor: torch.Tensor) -> NDArray[np.float16]:
    largest = torch.finfo(torch.float16).max
    array: NDArray[np.float16] = tensor.float().clamp(-largest, largest).half().cpu().numpy()
    return array


def _write(out: Path, index: int, items: list[Item], failed: list[dict[str, str]], shapes: Any) -> None:
    """Write a shard; one of which nothing could be read holds arrays of no items."""
    if failed:
        lines = "".join(json.dumps(record) + "\n" for record in failed)  # in ASCII: a name may be no valid UTF-8
        with writing(out / f"failed-{index:05d}.jsonl") as pending:
            pending.write_text(lines, encoding="utf-8")
    write_shard(out, index, items, shapes=shapes)


def _settings(config: ExtractConfig, listed: Sequence[Listed]) -> dict[str, Any]:
    """What decides the features."""
    source = config.source
    order = "\n".join(f"{each.path.name}\t{each.item}" for each in listed)
    return {
        "model": config.model,
        "digest": describe_model(config.model).digest,
        "type": source.type,
        "duration_s": config.duration_s,
        "shard_items": config.shard_items,
        "windows": source.windows,
        "shortest_s": source.shortest_s,
        "files": len(listed),
        "list": hashlib.sha256(order.encode("utf-8", "surrogateescape")).hexdigest(),
    }


def _close(out: Path, config: ExtractConfig) -> None:
    """Statistics and index of a set that is complete, unless they are there."""
    if (out / INDEX).is_file() and (out / STATISTICS).is_file():
        return
    failed = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in sorted(out.glob("failed-*.jsonl")))
    write_statistics(out)
    write_index(out, {"model": config.model, "duration_s": config.duration_s, "failed": failed})


def _device(name: str) -> str:
    """The device of this process: of several on CUDA each has the card of its local rank."""
    rank = os.environ.get("LOCAL_RANK", "")
    if rank and name in ("auto", "cuda") and torch.cuda.is_available():
        return f"cuda:{rank}"
    return name
