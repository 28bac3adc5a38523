"""Weights on disk: safetensors whose metadata rebuild the network. Strict by key.

Knows the networks' classes; not checkpoints' names, hubs or caches.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mfv2a.disk import writing
from mfv2a.errors import CheckpointError
from mfv2a.models.compact import SyncConfig, SyncEncoder
from mfv2a.models.extension import BandwidthExtension, ExtensionConfig
from mfv2a.models.istft import ISTFTConfig, ISTFTVocoder
from mfv2a.models.mmaudio import MMAudio, MMAudioConfig
from mfv2a.models.reading import Reader, ReaderConfig
from mfv2a.models.stored import SCALE_SUFFIX, dequantize, quantize_rows, unfilled
from mfv2a.models.vae import VAE, VAEConfig

NETWORKS: dict[str, tuple[type[nn.Module], type[Any]]] = {
    "vae": (VAE, VAEConfig),
    "sync": (SyncEncoder, SyncConfig),
    "vocoder": (ISTFTVocoder, ISTFTConfig),
    "extension": (BandwidthExtension, ExtensionConfig),
    "generator": (MMAudio, MMAudioConfig),
    "reader": (Reader, ReaderConfig),
}
FORMAT = "mfv2a-1"
DAMAGED_HINT = "it is missing or damaged; one of the hub: remove it, then fetch it again with `mfv2a models pull`"


def build_network(kind: str, config: Mapping[str, Any]) -> nn.Module:
    """Make a network of a kind from the fields of its configuration.

    Raises:
        CheckpointError: an unknown kind or field.
    """
    if kind not in NETWORKS:
        raise CheckpointError(f"unknown kind of network {kind!r}", hint="known: " + ", ".join(NETWORKS))
    network, record = NETWORKS[kind]
    try:
        return network(record(**config))
    except TypeError as error:
        raise CheckpointError(f"configuration of a {kind} network: {error}") from error


def save_network(
    path: Path,
    kind: str,
    network: nn.Module,
    *,
    state: Mapping[str, Tensor] | None = None,
    facts: Mapping[str, Any] | None = None,
    dtype: torch.dtype = torch.float32,
) -> Path:
    """Write a network's weights, configuration and facts; the file appears whole or not at all.

    Args:
        path: of the safetensors file.
        kind: a key of `NETWORKS`.
        network: whose `config` is stored.
        state: tensors to store instead of the network's own (a moving average).
        facts: anything worth knowing, JSON-ready.
        dtype: of the stored floating-point tensors; with int8, matrices and kernels are stored as int8 with a scale a
            row, the rest in half precision.

    Raises:
        StartError: the disk is full, or the folder cannot be written.
    """
    from safetensors.torch import save_file

    tensors = dict[str, Tensor]()
    for name, tensor in (state or network.state_dict()).items():
        value = tensor.detach().cpu()
        if dtype == torch.int8 and value.is_floating_point() and value.ndim > 1 and len(value) > 1:
            tensors[name], tensors[name + SCALE_SUFFIX] = quantize_rows(value)
        elif value.is_floating_point():
            tensors[name] = value.to(torch.float16 if dtype == torch.int8 else dtype).contiguous().clone()
        else:
            tensors[name] = value.contiguous().clone()
    metadata = {
        "format": FORMAT,
        "kind": kind,
        "config": json.dumps(dataclasses.asdict(network.config)),  # type: ignore[call-overload]
        "facts": json.dumps(dict(facts or {})),
    }
    with writing(path) as pending:
        save_file(tensors, pending, metadata)
    return path


def load_network(path: Path, kind: str) -> tuple[nn.Module, dict[str, Any]]:
    """Rebuild a network from its file, in float32, ready for inference.

    Args:
        path: a file of `save_network`.
        kind: what it must be.

    Returns:
        the network in eval mode and the facts stored with it.

    Raises:
        CheckpointError: the file is missing, cut, of another kind, or its keys or shapes do not fit.
    """
    metadata, tensors = _read(path, kind, tensors=True)
    with unfilled():  # what is drawn at random for a new network would be overwritten at once
        network = build_network(kind, _told(metadata, "config", path))
    check_keys(network, tensors, path)
    own = network.state_dict()
    network.load_state_dict({name: tensor.to(own[name].dtype) for name, tensor in tensors.items()}, assign=True)
    return network.eval().requires_grad_(False), _told(metadata, "facts", path)


def read_config(path: Path, kind: str) -> Any:
    """The configuration of a network, of its file's metadata.

    Raises:
        CheckpointError: the file is missing, cut or of another kind, or its configuration is another version's.
    """
    metadata, _ = _read(path, kind, tensors=False)
    try:
        return NETWORKS[kind][1](**_told(metadata, "config", path))
    except TypeError as error:
        raise CheckpointError(f"configuration of a {kind} network: {error}") from error


def _told(metadata: Mapping[str, str], name: str, path: Path) -> dict[str, Any]:
    """A table that a file's metadata hold as JSON.

    Raises:
        CheckpointError: they do not.
    """
    try:
        table = json.loads(metadata[name])
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"{path} does not say its {name}", hint=DAMAGED_HINT) from error
    if not isinstance(table, dict):
        raise CheckpointError(f"{path}: its {name} are no table", hint=DAMAGED_HINT)
    return table


def _read(path: Path, kind: str, *, tensors: bool) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata of a network's file and, if asked, its tensors."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            stored = {name: file.get_tensor(name) for name in file.keys()} if tensors else {}  # noqa: SIM118
        found = dequantize(stored)
    except (OSError, SafetensorError, KeyError) as error:
        raise CheckpointError(f"{path}: {error}", hint=DAMAGED_HINT) from error
    if metadata.get("format") != FORMAT or metadata.get("kind") != kind:
        raise CheckpointError(f"{path} holds {metadata.get('kind', 'no mfv2a network')}, not a {kind}")
    # A tensor that needed no conversion still is a part of the mapped file, which may change.
    return metadata, {name: tensor.clone() if tensor is stored[name] else tensor for name, tensor in found.items()}


def load_strict(network: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Copy tensors into a network, every key and shape matching.

    Raises:
        CheckpointError: see `check_keys`.
    """
    check_keys(network, tensors, path)
    own = network.state_dict()
    network.load_state_dict({name: tensor.to(own[name].dtype) for name, tensor in tensors.items()}, strict=True)


def check_keys(network: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Make sure that tensors are a network's, every key and shape; the network may be on the meta device.

    Raises:
        CheckpointError: keys missing, left over, or of a wrong shape; names the first ones of each and the file.
    """
    own = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    wrong = sorted(name for name in set(own) & set(found) if own[name] != found[name])
    faults = [
        ("lacks", sorted(set(own) - set(found))),
        ("has unknown keys", sorted(set(found) - set(own))),
        ("has wrong shapes for", [f"{name} ({_shape(found[name])}, not {_shape(own[name])})" for name in wrong]),
    ]
    parts = [
        f"{what} {', '.join(keys[:4])}" + (f" and {len(keys) - 4} more" if len(keys) > 4 else "")
        for what, keys in faults
        if keys
    ]
    if parts:
        raise CheckpointError(
            f"{path} {'; '.join(parts)}",
            hint=f"it is not a file of this {type(network).__name__}, or one of another size: check the name, "
            "or download it again",
        )


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(str(n) for n in shape) or "scalar"
