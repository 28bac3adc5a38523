"""Checkpoint name -> ready pipeline: the one place where the register meets the networks.

`describe_model` and `model_names` read the register only and need no torch.
"""

from __future__ import annotations

import difflib
import hashlib
import tomllib
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfv2a.errors import CheckpointError, ConfigError, DeviceError
from mfv2a.records import ModelInfo

if TYPE_CHECKING:
    import torch

    from mfv2a.pipeline import Pipeline

DTYPES = ("auto", "float32", "bfloat16", "float16")
REGISTER = "checkpoints.toml"


@lru_cache(maxsize=1)
def read_register() -> dict[str, dict[str, Any]]:
    """The register of checkpoints: in the installed package, else at the root of the checkout.

    Raises:
        CheckpointError: there is none.
    """
    package = Path(str(files("mfv2a")))
    for path in (package / REGISTER, package.parents[1] / REGISTER):
        if path.is_file():
            return tomllib.loads(path.read_text(encoding="utf-8"))
    raise CheckpointError("checkpoints.toml is missing", hint="install mfv2a again")


def model_names() -> tuple[str, ...]:
    """Names that `--model` takes."""
    return tuple(name for name, entry in read_register().items() if entry["role"] == "model")


def describe_model(name: str) -> ModelInfo:
    """What the register says of a model.

    Raises:
        ConfigError: no such model; the closest names are named.
    """
    if name not in model_names():
        close = difflib.get_close_matches(name, model_names(), n=3, cutoff=0.4)
        known = ", ".join(close or model_names())
        raise ConfigError(f"unknown model {name!r}", hint=f"did you mean {known}?" if close else f"known: {known}")
    entry = read_register()[name]
    sums = entry.get("sha256", {})
    return ModelInfo(
        name=name,
        licence=entry["licence"],
        licence_url=entry["licence_url"],
        quality=entry["quality"],
        sample_rate_hz=entry["sample_rate_hz"],
        window_s=entry["window_s"],
        kind=entry["kind"],
        default_steps=entry["steps"],
        default_cfg=entry["cfg"],
        digest=hashlib.sha256("".join(sums[k] for k in sorted(sums)).encode()).hexdigest() if sums else "",
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
    info = describe_model(name)
    target = pick_device(device)
    number = pick_dtype(dtype, target)
    from mfv2a.models.griffinlim import GriffinLim
    from mfv2a.models.text import TextEncoder
    from mfv2a.pipeline import Pipeline

    networks: dict[str, Any] = _tiny_networks() if name == "tiny" else _stored_networks(name)
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


def _stored_networks(name: str) -> dict[str, Any]:
    from mfv2a.models.weights import load_network

    package = Path(str(files("mfv2a")))
    return {kind: load_network(package / file, kind)[0] for kind, file in read_register()[name]["files"].items()}


def _tiny_networks() -> dict[str, Any]:
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
