"""In which numbers a processor multiplies matrices itself, and how to do without those that it only imitates.

Weights may be kept in bfloat16 or float16 for the memory's sake wherever the tool runs; on a processor without such
arithmetic a product of them takes tens of times as long as one in float32. Knows no networks.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

_FEATURES = {torch.bfloat16: ("amx_bf16", "avx512_bf16", "bf16"), torch.float16: ("amx_fp16", "avx512_fp16", "fp16")}
_PRODUCTS = frozenset(
    {
        *(F.linear, F.conv1d, F.conv2d, F.conv3d, F.conv_transpose1d, F.scaled_dot_product_attention),
        *(torch.addmm, torch.bmm, torch.baddbmm, torch.einsum, torch.matmul, torch.mm),
        *(Tensor.matmul, Tensor.__matmul__),
    }
)


@functools.cache
def is_native(dtype: torch.dtype) -> bool:
    """Whether this processor multiplies matrices of a dtype itself; so it is said where torch cannot tell."""
    return dtype not in _FEATURES or _told(dtype) is not False


def is_surely_native(dtype: torch.dtype) -> bool:
    """Whether torch tells of this processor that it multiplies matrices of a dtype itself."""
    return dtype not in _FEATURES or _told(dtype) is True


def _told(dtype: torch.dtype) -> bool | None:
    """What torch tells of products in a narrow dtype; None where it tells nothing."""
    tell: Callable[[], Mapping[str, Any]] | None = getattr(torch.cpu, "get_capabilities", None)
    can = tell() if tell else {}
    if can.get("architecture") != "x86_64":
        return None
    return any(can.get(name, False) for name in _FEATURES[dtype])


class _Widened(TorchFunctionMode):
    """Does the products of matrices in float32, and gives them in the dtype that they were asked for in."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self._dtype = dtype

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run a function of torch."""
        kwargs = kwargs or {}
        if func not in _PRODUCTS:
            return func(*args, **kwargs)
        wide = tree_map(self._widen, (args, kwargs))
        out = func(*wide[0], **wide[1])
        return out.to(self._dtype) if out.dtype == torch.float32 else out

    def _widen(self, value: Any) -> Any:
        return value.float() if isinstance(value, Tensor) and value.dtype == self._dtype else value


def products_for(weight: Tensor) -> AbstractContextManager[Any]:
    """Within it, a network with such weights multiplies as fast as its device can.

    On a processor that only imitates the dtype the products are done in float32 and rounded; else nothing changes.

    Args:
        weight: of the network, on its device.
    """
    if weight.device.type != "cpu" or torch.is_grad_enabled() or is_native(weight.dtype):
        return nullcontext()
    return _Widened(weight.dtype)
