"""Many clips through the stages: decoded one ahead, sampled together, finished one by one.

A clip that fails is told as failed and the others go on; only a StartError, a full disk or an interrupt ends
the batch. This module knows neither the networks nor the files: the stages are given to it.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from mfv2a.errors import MediaError, Mfv2aError, StartError
from mfv2a.jobs.plan import Item, failed
from mfv2a.jobs.report import DISK_FULL
from mfv2a.records import Clip, ItemResult

CLIPS_AHEAD = 2
MEMORY_HINT = "use a smaller --batch-size, or --device cpu"
DISK_HINT = "free some space, then run the same command again: what is done is skipped"


class StoppedError(Exception):
    """The batch ended while a clip was being decoded ahead."""


class Stages(Protocol):
    """What happens to one clip; `sample` takes several at once."""

    def decode(self, item: Item, stop: threading.Event) -> Clip:
        """File -> frames. Runs in a thread of its own; raises StoppedError soon after `stop` is set."""

    def prepare(self, item: Item, clip: Clip) -> Any:
        """Frames -> work: features, window plan and noise seed."""

    def windows(self, work: Any) -> int:
        """How many windows a work has."""

    def sample(self, works: Sequence[Any], batch_size: int) -> list[torch.Tensor]:
        """Works -> latents [N, C], at most `batch_size` windows at a time."""

    def finish(self, item: Item, work: Any, latent: torch.Tensor, seconds: dict[str, float]) -> ItemResult:
        """Latent -> dubbed file; adds the seconds of its own stages."""


@dataclass(slots=True)
class _Prepared:
    item: Item
    work: Any
    windows: int
    seconds: dict[str, float]
    latent: torch.Tensor | None = None


def run_batch(
    items: Sequence[Item], stages: Stages, *, batch_size: int, tell: Callable[[str], None]
) -> Iterator[ItemResult]:
    """Dubs the items in order.

    Clips are prepared until their windows fill a batch, then sampled together. One thread decodes ahead, two
    clips at most, so memory does not grow with the number of clips.

    Args:
        items: the videos.
        stages: what happens to each.
        batch_size: windows sampled together.
        tell: takes details for people who asked for them: tracebacks, ffmpeg's words.

    Yields:
        One result an item, in order within a group, failures as soon as they are known.

    Raises:
        StartError: nothing can go on, for instance the disk is full; the item's own result comes first.
    """
    group: list[_Prepared] = []
    with closing(_decode_ahead(items, stages)) as ahead:
        for item, future in ahead:
            outcome = _prepare(item, future, stages, tell)
            if isinstance(outcome, _Prepared):
                group.append(outcome)
            else:
                yield outcome
            if sum(each.windows for each in group) >= batch_size:
                yield from _finish_group(group, stages, batch_size, tell)
                group = []
        yield from _finish_group(group, stages, batch_size, tell)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this is the machine's or the device's memory running out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    words = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in words or "can't allocate memory" in words)


def is_disk_full(error: BaseException) -> bool:
    """Whether this is a full disk, told by the system or in ffmpeg's words."""
    if isinstance(error, OSError):
        return error.errno in DISK_FULL
    words = f"{error} {error.detail}" if isinstance(error, MediaError) else ""
    return "No space left on device" in words or "Disk quota exceeded" in words


def _decode_ahead(
    items: Sequence[Item], stages: Stages
) -> Generator[tuple[Item, Future[tuple[Clip, float]]], None, None]:
    stop = threading.Event()

    def decode(item: Item) -> tuple[Clip, float]:
        start = time.perf_counter()
        return stages.decode(item, stop), time.perf_counter() - start

    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="decode")
    try:
        waiting: deque[tuple[Item, Future[tuple[Clip, float]]]] = deque()
        for item in items:
            waiting.append((item, executor.submit(decode, item)))
            if len(waiting) >= CLIPS_AHEAD:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
    finally:  # also after Ctrl-C: do not wait for the rest of a long video
        stop.set()
        executor.shutdown(wait=True, cancel_futures=True)


def _prepare(
    item: Item, future: Future[tuple[Clip, float]], stages: Stages, tell: Callable[[str], None]
) -> _Prepared | ItemResult:
    try:
        clip, decode_s = future.result()
        start = time.perf_counter()
        work = stages.prepare(item, clip)
        seconds = {"decode": decode_s, "features": time.perf_counter() - start}
        return _Prepared(item, work, stages.windows(work), seconds)
    except StartError:
        raise
    except Exception as error:  # noqa: BLE001 - one clip's fault, whatever it is, must not stop the others
        return _failure(item, error, tell, {})


def _finish_group(
    group: Sequence[_Prepared], stages: Stages, batch_size: int, tell: Callable[[str], None]
) -> Iterator[ItemResult]:
    for each, error in _sample_group(group, stages, batch_size, tell):
        if error is not None:
            yield _failure(each.item, error, tell, each.seconds)
    for each in group:
        latent, each.latent = each.latent, None
        if latent is None:
            continue
        try:
            yield stages.finish(each.item, each.work, latent, each.seconds)
        except Exception as error:
            yield _failure(each.item, error, tell, each.seconds)
            if isinstance(error, StartError):
                raise
            if is_disk_full(error):
                raise StartError("the disk is full: the batch stops", hint=DISK_HINT) from error


def _sample_group(
    group: Sequence[_Prepared], stages: Stages, batch_size: int, tell: Callable[[str], None]
) -> list[tuple[_Prepared, Exception | None]]:
    """Samples a group; if that fails, with half the batch, at last each clip alone: one spoils no other."""
    if not group:
        return []
    error = _sample(group, stages, batch_size)
    if error is None:
        return [(each, None) for each in group]
    if is_out_of_memory(error):
        batch_size = max(1, batch_size // 2)
        tell(f"out of memory: trying again with batch size {batch_size}")
        error = _sample(group, stages, batch_size)
    if error is None or len(group) == 1:
        return [(each, error) for each in group]
    tell("sampling these clips together failed: trying each alone")
    return [(each, _sample([each], stages, batch_size)) for each in group]


def _sample(group: Sequence[_Prepared], stages: Stages, batch_size: int) -> Exception | None:
    start = time.perf_counter()
    try:
        latents = stages.sample([each.work for each in group], batch_size)
    except StartError:
        raise
    except Exception as error:  # noqa: BLE001 - tried again in smaller parts, then told as the clip's failure
        traceback.clear_frames(error.__traceback__)  # the frames hold the tensors that did not fit
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return error
    sample_s = (time.perf_counter() - start) / sum(each.windows for each in group)
    for each, latent in zip(group, latents, strict=True):
        each.latent = latent
        each.seconds["sample"] = sample_s * each.windows
    return None


def _failure(item: Item, error: Exception, tell: Callable[[str], None], seconds: dict[str, float]) -> ItemResult:
    """Tells an error as this item's failure; a fault of the tool itself with its traceback in the details."""
    if is_out_of_memory(error):
        error = Mfv2aError("not enough memory for this clip", hint=MEMORY_HINT)
    elif isinstance(error, OSError):
        reason = error.strerror or str(error)
        error = MediaError(error.filename or item.source, reason, hint="check the folder and its permissions")
    elif isinstance(error, MediaError) and error.detail:
        tell(f"{item.source}: {error.detail}")
    elif not isinstance(error, Mfv2aError):
        tell("".join(traceback.format_exception(error)).rstrip())
    return failed(item.source, error, settings=item.settings, seconds=seconds, details=item.details)
