"""Checkpoint name -> ready pipeline: the one place where register and hub meet the networks.

`describe_model` reads the register only and needs no torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mfv2a import hub
from mfv2a.errors import CheckpointError, ConfigError, DeviceError
from mfv2a.records import ModelInfo
from mfv2a.register import Checkpoint, files_of, find_checkpoint, find_model

if TYPE_CHECKING:
    import torch

    from mfv2a.pipeline import Pipeline

DTYPES = ("auto", "float32", "bfloat16", "float16")


def describe_model(name: str) -> ModelInfo:
    """What the register says of a model.

    Raises:
        ConfigError: no such model; the closest names are named.
    """
    entry = find_model(name)
    digests = [file.digest or f"{file.repo}/{file.file}@{file.revision}" for file in files_of(entry)]
    return ModelInfo(
        name=name,
        licence=entry.licence,
        licence_url=entry.licence_url,
        quality=entry.quality,
        sample_rate_hz=entry.sample_rate_hz,
        window_s=entry.window_s,
        kind=entry.kind,
        default_steps=entry.steps,
        default_cfg=entry.cfg,
        gain_db=entry.gain_db,
        digest=hashlib.sha256("".join(digests).encode()).hexdigest() if digests else "",
    )


def pick_device(name: str) -> torch.device:
    """The device of a name; "auto" is CUDA where there is one, else the CPU.

    Raises:
        DeviceError: no such device here.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise DeviceError(f"device {name!r} cannot be used: {reason}", hint="try --device cpu") from error
    return device


def pick_dtype(name: str, device: torch.device) -> torch.dtype:
    """The dtype of a name; "auto" is bfloat16 on CUDA, else float32.

    Raises:
        ConfigError: not a dtype the generator can run in.
    """
    import torch

    if name not in DTYPES:
        raise ConfigError(f"unknown dtype {name!r}", hint="one of " + ", ".join(DTYPES))
    if name == "auto":
        name = "bfloat16" if device.type == "cuda" else "float32"
    dtype: torch.dtype = getattr(torch, name)
    return dtype


def load_pipeline(name: str = "embedded", *, device: str = "auto", dtype: str = "auto") -> Pipeline:
    """Load a model and its encoders.

    Args:
        name: of the register.
        device: "auto", "cpu", "cuda", "cuda:1" ...
        dtype: of the generator: "auto", "float32", "bfloat16" or "float16".

    Raises:
        ConfigError: unknown model or dtype.
        CheckpointError: its files are missing or damaged.
        DeviceError: the device is not there.
    """
    entry, info = find_model(name), describe_model(name)
    target = pick_device(device)
    number = pick_dtype(dtype, target)
    if entry.layout not in LAYOUTS:
        raise CheckpointError(
            f"{name} cannot be run by this version: it has no loader for the layout {entry.layout!r}",
            hint="mfv2a models list tells which models run",
        )
    from mfv2a.models.griffinlim import GriffinLim
    from mfv2a.models.text import TextEncoder
    from mfv2a.pipeline import Pipeline

    networks = LAYOUTS[entry.layout](entry)
    networks["vae"].fold_weights()
    return Pipeline(
        info=info,
        generator=networks["generator"].to(target, number),
        vae=networks["vae"].to(target),
        vocoder=networks.get("vocoder", GriffinLim()).to(target),
        sync=networks["sync"].to(target),
        text=TextEncoder.from_assets().to(target),
        load_recognizer=_load_recognizer,
    )


def _compact_networks(entry: Checkpoint) -> dict[str, Any]:
    """The embedded model's networks, and those of models made like it."""
    from mfv2a.models.weights import load_network

    wanted = {"generator": entry} | {role: find_checkpoint(name) for role, name in entry.components.items()}
    if missing := {"vae", "sync"} - set(wanted):
        raise ConfigError(f"{entry.name} needs components {', '.join(sorted(missing))}", hint="see checkpoints.toml")
    return {role: load_network(_file_of(file), role)[0] for role, file in wanted.items()}


def _file_of(entry: Checkpoint) -> Path:
    """Files that came with the tool are checked by `mfv2a doctor` and `models verify`, not at every start."""
    if entry.path and (found := hub.find_file(entry)) is not None:
        return found
    return hub.fetch(entry)


def _tiny_networks(_: Checkpoint) -> dict[str, Any]:
    """Random weights from a fixed seed, at the shapes of the embedded model's interfaces."""
    import torch

    from mfv2a.models.compact import SyncConfig, SyncEncoder
    from mfv2a.models.mmaudio import MMAudio, MMAudioConfig
    from mfv2a.models.vae import VAE, VAEConfig

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator = MMAudio(MMAudioConfig.tiny())
        generator.initialize()
        vae = VAE(VAEConfig.tiny())
        vae.data_mean.fill_(-3.0)
        networks = {"generator": generator, "vae": vae, "sync": SyncEncoder(SyncConfig.tiny())}
    return {kind: network.eval().requires_grad_(False) for kind, network in networks.items()}


def _load_recognizer() -> Any:
    from mfv2a.models.efficientnet import ImageRecognizer

    return ImageRecognizer.from_assets().eval()


LAYOUTS: Mapping[str, Callable[[Checkpoint], dict[str, Any]]] = MappingProxyType(
    {"compact": _compact_networks, "tiny": _tiny_networks}
)
"""Layout of the register -> what builds the networks of a model."""
