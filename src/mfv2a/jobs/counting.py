"""How much a stage computes and moves: floating-point operations and bytes, counted as torch runs it.

Operations are those that torch's FlopCounterMode knows: matrix products, convolutions and attention, a multiplication
and an addition counted as two; FFTs, norms and activations are not counted. Bytes are those of every operator's
tensors, read or written once each: weights, and activations in and out. So they are what a machine without caches and
without fusion would move: more than the weights alone, and more than memory sees where a cache holds them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from mfv2a.models.snake import count_filtered_snake


@dataclass(frozen=True, slots=True)
class Cost:
    """What a stage costs.

    Attributes:
        flops: floating-point operations.
        bytes: that its operators read and write.
    """

    flops: int
    bytes: int

    def __add__(self, other: Cost) -> Cost:
        """Both together."""
        return Cost(self.flops + other.flops, self.bytes + other.bytes)


class _TrafficMode(TorchDispatchMode):
    """Adds up the bytes of the tensors that operators take and give; a view moves nothing."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operator and count it."""
        found = func(*args, **(kwargs or {}))
        returned = func._schema.returns
        is_view = bool(returned) and all(
            each.alias_info is not None and not each.alias_info.is_write for each in returned
        )
        if not is_view:
            self.bytes += _size([args, kwargs or {}]) + _size([found])
        return found


def _attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    """Two matrix products; torch counts those of a GPU's kernels, not the processor's."""
    return int(sdpa_flop_count(query, key, value))


_ALSO = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    torch.ops.mfv2a.filtered_snake: count_filtered_snake,
}


def _size(values: Iterable[Any]) -> int:
    tensors = [each for each in tree_leaves(list(values)) if isinstance(each, Tensor)]
    return sum(each.numel() * each.element_size() for each in tensors)


class Counting:
    """Counts what runs within it, however often it is entered, one after the other.

    Attributes:
        cost: of all that ran within it so far.
    """

    def __init__(self) -> None:
        self.cost = Cost(0, 0)
        self._modes = ExitStack()

    def __enter__(self) -> Counting:
        """Begins to count."""
        traffic, counter = _TrafficMode(), FlopCounterMode(display=False, custom_mapping=_ALSO)
        self._modes.callback(lambda: self._add(counter.get_total_flops(), traffic.bytes))
        self._modes.enter_context(traffic)
        self._modes.enter_context(counter)
        return self

    def __exit__(self, *raised: object) -> None:
        """Ends it, and adds what was counted."""
        self._modes.close()

    def _add(self, flops: int, moved: int) -> None:
        self.cost += Cost(flops=int(flops), bytes=moved)


def count(work: Callable[[], Any]) -> tuple[Any, Cost]:
    """Run something once and count what it costs.

    Returns:
        what it gives, and the cost.
    """
    with Counting() as counting:
        found = work()
    return found, counting.cost


def weights_dtype(*networks: Any) -> str:
    """The dtype of most weights of some networks, "float32" where there are none; what is no network has none."""
    sizes = Counter[str]()
    for network in networks:
        for weight in network.parameters() if isinstance(network, nn.Module) else ():
            sizes[str(weight.dtype).removeprefix("torch.")] += weight.numel()
    return max(sizes, key=sizes.__getitem__, default="float32")


def shares(cost: Cost, seconds: float, peaks: Mapping[str, Any], dtype: str) -> dict[str, str | float | None]:
    """A stage's cost against the most that the machine does.

    Args:
        cost: of the stage.
        seconds: it took.
        peaks: of `measure_peaks`.
        dtype: of the stage's weights.

    Returns:
        dtype, flops, bytes, gflop_per_s, gbyte_per_s, the share of each peak, of compute that of the dtype, and flops a
        byte; None where nothing was counted or no time passed.
    """
    known = seconds > 0 and cost.bytes > 0
    speed = cost.flops / seconds / 1e9 if known else None
    traffic = cost.bytes / seconds / 1e9 if known else None
    return {
        "dtype": dtype,
        "flops": cost.flops,
        "bytes": cost.bytes,
        "seconds": seconds,
        "gflop_per_s": speed,
        "gbyte_per_s": traffic,
        "share_of_compute": None if speed is None else speed / peaks["gflop_per_s"][dtype],
        "share_of_memory": None if traffic is None else traffic / peaks["gbyte_per_s"],
        "flops_per_byte": cost.flops / cost.bytes if cost.bytes else None,
    }
