"""Clips sampled together: how many windows at once, and what happens when that is too much for the memory."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from mfv2a.errors import StartError
from mfv2a.jobs.faults import check_device, free_memory, is_out_of_memory

USUAL_WINDOWS = 8
MOST_WINDOWS = 128


class Sampler(Protocol):
    """The stage that takes several works at once."""

    def sample(self, works: Sequence[Any], batch_size: int) -> Sequence[Any]:
        """Works -> the latents of each, at most `batch_size` windows at a time."""


class Sampled(Protocol):
    """A clip that is ready to be sampled."""

    work: Any
    windows: int
    seconds: dict[str, float]
    latent: Any


Entry = TypeVar("Entry", bound=Sampled)


class BatchSize:
    """How many windows are sampled together; learns from what fits.

    Args:
        windows: to begin with.
        most: it doubles up to here while everything fits; no growth by default.
    """

    def __init__(self, windows: int = USUAL_WINDOWS, *, most: int | None = None) -> None:
        self.windows = windows
        self._most = most or windows

    def grow(self, sampled: int) -> None:
        """A batch of `sampled` windows did fit: the next may be twice as large, if that one was full."""
        if sampled >= self.windows:
            self.windows = min(2 * self.windows, self._most)

    def settle(self, windows: int) -> None:
        """More than `windows` did not fit, so many did: it stays there for the rest of the run."""
        self.windows = self._most = windows


def sample_group(
    group: Sequence[Entry], sampler: Sampler, size: BatchSize, tell: Callable[[str], None]
) -> list[tuple[Entry, Exception | None]]:
    """Samples a group, with half the batch while memory is short, at last each clip alone: one spoils no other.

    Args:
        group: the clips; their latents are filled in.
        sampler: the stage.
        size: how many windows at once; remembers what fitted.
        tell: takes details for people who asked for them.

    Returns:
        Each clip with its error, None if it was sampled.

    Raises:
        StartError: nothing can go on.
        DeviceFaultError: the device failed; the clips are none the worse for it.
    """
    windows = size.windows
    error = _sample(group, sampler, windows)
    while error is not None and is_out_of_memory(error) and windows > 1:
        windows //= 2
        tell(f"out of memory: trying again with batch size {windows}")
        error = _sample(group, sampler, windows)
        if error is None:
            size.settle(windows)
    if error is None:
        if windows == size.windows:
            size.grow(sum(each.windows for each in group))
        return [(each, None) for each in group]
    if len(group) == 1:
        return [(group[0], error)]
    tell("sampling these clips together failed: trying each alone")
    return [(each, _sample([each], sampler, windows)) for each in group]


def _sample(group: Sequence[Entry], sampler: Sampler, batch_size: int) -> Exception | None:
    start = time.perf_counter()
    try:
        latents = sampler.sample([each.work for each in group], batch_size)
    except StartError:
        raise
    except Exception as error:  # noqa: BLE001 - tried again in smaller parts, then told as the clip's failure
        traceback.clear_frames(error.__traceback__)  # the frames hold the tensors that did not fit
        check_device(error)
        free_memory()
        return error
    sample_s = (time.perf_counter() - start) / sum(each.windows for each in group)
    for each, latent in zip(group, latents, strict=True):
        each.latent = latent
        each.seconds["sample"] = each.seconds.get("sample", 0.0) + sample_s * each.windows
    return None
