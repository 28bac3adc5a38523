"""Public checkpoints as their authors publish them -> our networks: nesting, prefixes, weight-norm pairs, dead keys.

Key names are kept where they can be, so that what is left to do here is little: take the state dict out of its
nesting, take prefixes off, rename, drop tables and parts that take no part, and fold weight-norm pairs. The clock is
turned in the configuration (`MMAudioConfig.noise_at_zero`). Every other key must match.

Knows files by the table of `published.py`; not where they come from or are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mfv2a.disk import LEFT_S, remove_left, writing
from mfv2a.errors import CheckpointError, ConfigError
from mfv2a.models.published import PUBLIC as PUBLIC
from mfv2a.models.published import PublicNetwork as PublicNetwork
from mfv2a.models.stored import unfilled
from mfv2a.models.weights import check_keys

PICKLES = (".pth", ".pt", ".bin", ".ckpt")
WRAPPERS = ("module.", "_orig_mod.", "ema_model.")
"""Prefixes that training tools put before every key."""
PAIRS = (("weight_g", "weight_v"), ("parametrizations.weight.original0", "parametrizations.weight.original1"))
"""Names of a weight-norm pair (magnitude, direction), old and new style."""


def find_public(kind: str, config: str) -> tuple[PublicNetwork, Any]:
    """A public network and one of its configurations, by name.

    Raises:
        ConfigError: no such kind or configuration.
    """
    if kind not in PUBLIC:
        raise ConfigError(f"unknown kind of public network {kind!r}", hint="known: " + ", ".join(PUBLIC))
    public = PUBLIC[kind]
    if config not in public.configs:
        raise ConfigError(f"unknown {kind} configuration {config!r}", hint="known: " + ", ".join(public.configs))
    return public, public.configs[config]


def load_public(
    kind: str, config: str, path: Path, *, device: torch.device | str = "cpu", dtype: torch.dtype | None = None
) -> nn.Module:
    """Rebuild a public network from its file: built on the meta device, the file mapped, tensors assigned.

    Args:
        kind: a key of `PUBLIC`.
        config: name of one of its configurations.
        path: the published file, or a copy by `convert_public`.
        device: where the weights go.
        dtype: of the floating-point weights; the file's by default.

    Returns:
        the network in eval mode, without gradients.

    Raises:
        ConfigError: unknown kind or configuration.
        CheckpointError: the file is missing, cut, hostile, or its keys or shapes do not fit.
    """
    public, sizes = find_public(kind, config)
    with unfilled():
        network = public.network(sizes)
    tensors = adapt(kind, read_public(path, nesting=public.nesting))
    check_keys(network, tensors, path)
    for name, tensor in tensors.items():
        tensors[name] = tensor.to(device, dtype if tensor.is_floating_point() else None)
    network.load_state_dict(tensors, strict=True, assign=True)
    return network.eval().requires_grad_(False)


def random_public(
    kind: str, config: str, *, seed: int = 0, device: torch.device | str = "cpu", dtype: torch.dtype | None = None
) -> nn.Module:
    """A public network with random weights, to measure what needs no sound.

    Args:
        kind: a key of `PUBLIC`.
        config: name of one of its configurations.
        seed: of the weights.
        device: where they go.
        dtype: of the floating-point weights; float32 by default.

    Raises:
        ConfigError: unknown kind or configuration.
    """
    public, sizes = find_public(kind, config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = public.network(sizes)
    return network.to(device, dtype).eval().requires_grad_(False)


def read_public(path: Path, *, nesting: str = "") -> dict[str, Tensor]:
    """Tensors of a safetensors file or of a pickle that holds nothing but tensors, mapped rather than read.

    Args:
        path: `.safetensors`, or a file of `torch.save`: `.pth`, `.pt`, `.bin`, `.ckpt`.
        nesting: key under which a pickle may keep the state dict.

    Raises:
        CheckpointError: the file is missing, cut, of an unknown kind, or holds anything that could run code.
    """
    from safetensors import SafetensorError, safe_open

    if path.suffix in PICKLES:
        return _read_pickle(path, nesting)
    if path.suffix != ".safetensors":
        raise CheckpointError(f"{path} is no weights file", hint="known: .safetensors, " + ", ".join(PICKLES))
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise _damaged(path, error) from error


def _read_pickle(path: Path, nesting: str) -> dict[str, Tensor]:
    try:
        held = _unpickle(path)
    except Exception as error:  # a hostile or cut pickle may raise anything
        raise _damaged(path, error) from error
    if isinstance(held, dict) and isinstance(held.get(nesting), dict):
        held = held[nesting]
    if not isinstance(held, dict):
        raise CheckpointError(f"{path} holds a {type(held).__name__}, not tensors by name")
    odd = [name for name, value in held.items() if not isinstance(value, Tensor) and not _is_extra(name)]
    if odd:
        first = ", ".join(str(name) for name in odd[:4])
        raise CheckpointError(f"{path} holds what are no tensors: {first}", hint="a flat state dict is expected")
    return {name: value for name, value in held.items() if isinstance(value, Tensor)}


def _unpickle(path: Path) -> Any:
    import zipfile

    # Files of before torch 1.6 are no zip archives and cannot be mapped.
    with torch.serialization.safe_globals(_numbers()):
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))


def _numbers() -> list[Any]:
    """What may be in a pickle besides tensors: numpy's numbers, which training leaves in the optimiser's state.

    They are as harmless as tensors, but torch would refuse the file for them. Numpy 1 and 2 name them differently.
    """
    import numpy as np
    from numpy._core.multiarray import scalar

    names = [(scalar, f"numpy.{home}.multiarray.scalar") for home in ("core", "_core")]
    return [*names, np.dtype, *(type(np.dtype(letter)) for letter in "fdlqiB?")]


def _damaged(path: Path, error: Exception) -> CheckpointError:
    lines = str(error).strip().splitlines()
    reason = lines[0] if lines else type(error).__name__
    hint = "the weights file is missing, cut or not what it says: download it again"
    return CheckpointError(f"cannot read {path}: {reason}", hint=hint)


def _is_extra(name: object) -> bool:
    return isinstance(name, str) and name.endswith("_extra_state")


def adapt(kind: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Bring tensors of a public file under our key names; what is ours already passes unchanged.

    Args:
        kind: a key of `PUBLIC`.
        tensors: by public key, out of their nesting. The directions of weight-norm pairs are overwritten with the
            folded weights (a mapped file is not: its pages are private).

    Returns:
        a new dict.
    """
    public = PUBLIC[kind]
    kept = dict(tensors)
    for prefix in WRAPPERS:
        if kept and all(name.startswith(prefix) for name in kept):
            kept = {name.removeprefix(prefix): tensor for name, tensor in kept.items()}
    if public.prefix and any(name.startswith(public.prefix) for name in kept):
        kept = {name.removeprefix(public.prefix): t for name, t in kept.items() if name.startswith(public.prefix)}
    kept = {_rename(name, public.renamed): tensor for name, tensor in kept.items()}
    kept = {name: t for name, t in kept.items() if not name.startswith(public.dropped) and not _is_extra(name)}
    return fold_pairs(kept)


def _rename(name: str, pairs: tuple[tuple[str, str], ...]) -> str:
    for theirs, ours in pairs:
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    return name


@torch.no_grad()
def fold_pairs(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Replace weight-norm pairs (g, v) by weights g v / ||v||, the norm over all axes but the first.

    Args:
        tensors: by key; directions are overwritten.

    Source: Salimans and Kingma, "Weight Normalization", arXiv 1602.07868.
    """
    for magnitude, direction in PAIRS:
        for name in [name for name in tensors if name.endswith(f".{direction}")]:
            layer, weight = name.removesuffix(direction), tensors[name]
            gain = tensors.get(f"{layer}{magnitude}")
            if gain is None or gain.shape != (len(weight), *[1] * (weight.dim() - 1)):
                continue  # no pair: the check of keys names it
            norm = torch.linalg.vector_norm(weight.float(), dim=tuple(range(1, weight.dim())), keepdim=True)
            del tensors[f"{layer}{magnitude}"], tensors[name]
            tensors[f"{layer}weight"] = weight.mul_(gain.float() / norm)
    return tensors


def convert_public(kind: str, source: Path, target: Path) -> Path:
    """Write a public file's tensors as safetensors, which load without unpickling; it appears whole or not at all.

    Args:
        kind: a key of `PUBLIC`.
        source: the published file.
        target: of the copy; it holds our key names, and `load_public` takes it.

    Returns:
        `target`.

    Raises:
        CheckpointError: see `read_public`.
        StartError: the disk is full, or the folder cannot be written.
    """
    from safetensors.torch import save_file

    tensors = adapt(kind, read_public(source, nesting=PUBLIC[kind].nesting))
    remove_left(target.parent, ".*", older_s=LEFT_S)
    with writing(target) as pending:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, pending)
    return target
