"""BigVGAN's activation in one pass on a processor: up, SnakeBeta, down, with nothing in memory between them.

As three operators of torch it writes and reads twice as many samples as it is given, five times over; here a block of
samples stays in the core's own cache from the first filter to the last. It knows no networks: `bigvgan.py` says when
it may be used, and its own modules are what it must equal.
"""

from __future__ import annotations

import functools
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

log = logging.getLogger(__name__)

TAPS = 12
ALONE = 1 << 20  # values that one core does sooner than a thread begins


def can_fuse(x: Tensor) -> bool:
    """Whether `filtered_snake` takes x: float32 on a processor, where nothing asks for derivatives."""
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and x.dim() == 3
        and torch.is_inference_mode_enabled()
        and not torch.compiler.is_compiling()
        and load_kernel() is not None
    )


@functools.cache
def load_kernel() -> Any:
    """The compiled loops; None where numba cannot run or has no folder to keep them in."""
    try:
        from mfv2a.models.snake_kernel import bend_rows
    except (ImportError, RuntimeError) as error:
        log.debug("BigVGAN's activation runs module by module: %s", error)
        return None
    return bend_rows


@torch.library.custom_op("mfv2a::filtered_snake", mutates_args=())
def filtered_snake(x: Tensor, frequency: Tensor, gain: Tensor, up: Tensor, down: Tensor) -> Tensor:
    """SnakeBeta, x + gain sin²(frequency x), at twice the rate, between two low-pass filters.

    Args:
        x: [B, D, S] float32 on a processor; the ends go on with their last value.
        frequency: [D], in radians.
        gain: [D].
        up: filter before, 12 taps whose sum is 2.
        down: filter after, 12 taps.

    Returns:
        [B, D, S] float32.

    Source: see `bigvgan.py`; the filters in polyphase form, Vaidyanathan, "Multirate Systems and Filter Banks", 1993.
    """
    bend = load_kernel()
    out = torch.empty(x.shape, dtype=x.dtype)
    if not x.numel():
        return out
    source, target = x.contiguous().flatten(0, 1).numpy(), out.flatten(0, 1).numpy()
    parameters = [each.contiguous().flatten().numpy() for each in (frequency, gain, up, down)]
    rows = len(source)
    crew = 1 if x.numel() < ALONE else min(rows, torch.get_num_threads())
    edges = [rows * k // crew for k in range(crew + 1)]

    def share(first: int, last: int) -> None:
        bend(source, *parameters, target, first, last)

    others = _threads(os.getpid()).map(share, edges[:-2], edges[1:-1])
    share(edges[-2], rows)
    list(others)  # raises what a thread raised
    return out


@functools.cache
def _threads(_process: int) -> ThreadPoolExecutor:
    """Threads of a process that wait for shares of rows; one that was forked has none of its parent's."""
    return ThreadPoolExecutor(max(1, (os.cpu_count() or 1) - 1), "snake")


@filtered_snake.register_fake
def _(x: Tensor, frequency: Tensor, gain: Tensor, up: Tensor, down: Tensor) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def count_filtered_snake(x: Tensor, *_: Tensor, **__: Tensor) -> int:
    """Operations of both filters, a multiplication and an addition counted as two."""
    return 4 * TAPS * x.numel()
