"""Reads the weights that ship inside the package: int8 rows or half precision on disk, fp32 in memory.

Knows nothing about any network; a file that is missing or cut becomes a CheckpointError here, once for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from mfv2a.errors import CheckpointError

SCALE_SUFFIX = ".scale"
_DRAWN = frozenset({"normal_", "trunc_normal_", "uniform_", "kaiming_uniform_", "kaiming_normal_", "xavier_uniform_"})
_REINSTALL_HINT = "reinstall mfv2a: its own weight files are incomplete"


def asset_path(*parts: str) -> Path:
    """Path of a file that ships with the package.

    Args:
        parts: folder and file names below `mfv2a/assets`.

    Raises:
        CheckpointError: the file is not there.
    """
    path = Path(__file__).resolve().parent.parent.joinpath("assets", *parts)
    if not path.is_file():
        raise CheckpointError(f"{'/'.join(parts)} is missing from the package", hint=_REINSTALL_HINT)
    return path


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file, as stored.

    Raises:
        CheckpointError: the file is missing, cut or no safetensors file.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"cannot read {path.name}: {error}", hint=_REINSTALL_HINT) from error


def quantize_rows(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Symmetric int8 with one scale a row.

    Args:
        weight: [R, ...] floating point.

    Returns:
        int8 values [R, ...] in -127..127 and fp32 scales [R]; a zero row gets scale 1.
    """
    rows = weight.detach().float().flatten(1)
    peak = rows.abs().amax(dim=1)
    scale = torch.where(peak > 0, peak / 127.0, torch.ones_like(peak))
    values = (rows / scale[:, None]).round().clamp_(-127, 127).to(torch.int8)
    return values.reshape(weight.shape), scale


def dequantize(tensors: dict[str, Tensor], *, keep_int8: tuple[str, ...] = ()) -> dict[str, Tensor]:
    """Turn stored tensors into fp32.

    Args:
        tensors: half or single precision tensors, and pairs of int8 `name` with scales `name.scale`.
        keep_int8: names left as int8 with their scales (tables of which few rows are ever read).

    Returns:
        fp32 tensors under the stored names.
    """
    full: dict[str, Tensor] = {}
    for name, value in tensors.items():
        if name.endswith(SCALE_SUFFIX):
            if name.removesuffix(SCALE_SUFFIX) in keep_int8:
                full[name] = value.float()
        elif value.dtype != torch.int8 or name in keep_int8:
            full[name] = value.float() if value.is_floating_point() else value
        else:
            scale = tensors[name + SCALE_SUFFIX].float()
            full[name] = value.float().mul_(scale.view(-1, *([1] * (value.ndim - 1))))
    return full


class _Undrawn(TorchFunctionMode):
    """Random numbers are not drawn; on the meta device torch would load its compiler to do so."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """A function of torch inside the mode."""
        kwargs, name = kwargs or {}, getattr(func, "__name__", "")
        if name in _DRAWN:
            return args[0] if args else kwargs["tensor"]
        return torch.empty(*args, **kwargs) if name == "randn" else func(*args, **kwargs)


@contextmanager
def unfilled() -> Iterator[None]:
    """Networks built inside have parameters without memory and values, to be filled from a file."""
    with torch.device("meta"), _Undrawn():
        yield


def fill(module: nn.Module, tensors: dict[str, Tensor], *, name: str) -> None:
    """Put fp32 tensors into a module built `unfilled`; every key must match.

    Args:
        module: the network; it keeps the tensors themselves, not copies.
        tensors: state dict.
        name: what to call the file in the error.

    Raises:
        CheckpointError: a tensor is missing, unexpected or has another shape.
    """
    try:
        module.load_state_dict(tensors, strict=True, assign=True)
    except RuntimeError as error:
        first = str(error).strip().splitlines()[-1].strip()
        raise CheckpointError(f"{name} does not fit its network: {first}", hint=_REINSTALL_HINT) from error
    module.eval().requires_grad_(False)
