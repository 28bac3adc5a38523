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

PUBLIC_KINDS: Mapping[str, str] = MappingProxyType(
    {"generator": "mmaudio", "vae": "vae", "vocoder": "bigvgan", "clip": "clip", "sync": "synchformer"}
)
"""Role in a public MMAudio model -> kind of the network's file."""
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
        default_rescale=entry.rescale,
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


def load_pipeline(
    name: str = "embedded", *, device: str = "auto", dtype: str = "auto", random_weights: bool = False
) -> Pipeline:
    """Load a model and its encoders.

    Args:
        name: of the register.
        device: "auto", "cpu", "cuda", "cuda:1" ...
        dtype: of the generator: "auto", "float32", "bfloat16" or "float16".
        random_weights: none of its files, but networks of its sizes with random weights, to measure with.

    Raises:
        ConfigError: unknown model or dtype, or one whose sizes only its files know.
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
    from mfv2a.pipeline import Pipeline

    return Pipeline(info=info, **LAYOUTS[entry.layout](entry, target, number, random_weights))


def _load_compact(entry: Checkpoint, device: torch.device, dtype: torch.dtype, random_weights: bool) -> dict[str, Any]:
    if random_weights:
        raise ConfigError(
            f"the sizes of {entry.name} are in its files alone",
            hint="leave out --random-weights, or name a public model",
        )
    return _compact_parts(_compact_networks(entry), device, dtype)


def _load_tiny(_: Checkpoint, device: torch.device, dtype: torch.dtype, random_weights: bool) -> dict[str, Any]:
    return _compact_parts(_tiny_networks(), device, dtype)


def _compact_parts(networks: dict[str, Any], device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
    """What `Pipeline` takes, of networks by role."""
    from mfv2a.encoders import CompactEncoders
    from mfv2a.models.griffinlim import GriffinLim
    from mfv2a.models.text import TextEncoder

    networks["vae"].fold_weights()
    return {
        "generator": networks["generator"].to(device, dtype),
        "vae": networks["vae"].to(device),
        "vocoder": networks.get("vocoder", GriffinLim()).to(device),
        "encoders": CompactEncoders(
            sync=networks["sync"].to(device),
            text=TextEncoder.from_assets().to(device),
            load_recognizer=_load_recognizer,
        ),
    }


def _load_mmaudio(entry: Checkpoint, device: torch.device, dtype: torch.dtype, random_weights: bool) -> dict[str, Any]:
    """A public MMAudio model; codec and vocoder stay in float32, which costs little and keeps the sound clean."""
    import torch

    from mfv2a.encoders import MMAudioEncoders, mmaudio_spec
    from mfv2a.models.clip_tokenizer import CLIPTokenizer

    files = {"generator": entry} | {role: find_checkpoint(name) for role, name in entry.components.items()}
    if missing := {*PUBLIC_KINDS, "tokenizer"} - set(files):
        raise ConfigError(f"{entry.name} needs components {', '.join(sorted(missing))}", hint="see checkpoints.toml")
    nets = {}
    for role in PUBLIC_KINDS:
        number = torch.float32 if role in ("vae", "vocoder") else dtype
        nets[role] = _public_network(files[role], role, device, number, random_weights)
    sizes = {role: network.config for role, network in nets.items()}
    needs, vae, clip = sizes["generator"], sizes["vae"], sizes["clip"]
    has = (clip.embed_dim, clip.text_dim, clip.text_len, sizes["sync"].dim, vae.latent_dim, vae.num_bands)
    wanted = (needs.clip_dim, needs.text_dim, needs.text_len, needs.sync_dim, needs.latent_dim)
    if has != (*wanted, sizes["vocoder"].num_bands):
        raise ConfigError(f"the components of {entry.name} are of sizes that do not fit", hint="see checkpoints.toml")
    nets["vae"].fold_weights()
    spec = mmaudio_spec(entry.sample_rate_hz, nets["vocoder"].hop)
    words = CLIPTokenizer.of_letters() if random_weights else CLIPTokenizer.from_file(hub.fetch(files["tokenizer"]))
    encoders = MMAudioEncoders(clip=nets["clip"], sync=nets["sync"], tokenizer=words, spec=spec)
    return {"encoders": encoders, "spec": spec} | {role: nets[role] for role in ("generator", "vae", "vocoder")}


def _public_network(
    entry: Checkpoint, role: str, device: torch.device, dtype: torch.dtype, random_weights: bool
) -> Any:
    """A network of a published file, or of its size."""
    from mfv2a.models import upstream

    kind = PUBLIC_KINDS[role]
    if random_weights:
        return upstream.random_public(kind, entry.config, device=device, dtype=dtype)
    source = hub.fetch(entry)
    copy = _converted(entry, kind, source)
    try:
        return upstream.load_public(kind, entry.config, copy, device=device, dtype=dtype)
    except CheckpointError:
        if copy == source:
            raise
        copy.unlink(missing_ok=True)  # it may be the copy that is damaged; if not, the file itself tells
        return upstream.load_public(kind, entry.config, source, device=device, dtype=dtype)


def _converted(entry: Checkpoint, kind: str, source: Path) -> Path:
    """A safetensors copy of a pickled file, made once; the file itself where there is no room for a copy."""
    from mfv2a.models import upstream

    if source.suffix == ".safetensors":
        return source
    copy = hub.copy_path(entry, source, kind)
    if not copy.is_file():
        if not hub.has_space(copy.parent, source.stat().st_size):
            return source
        try:
            upstream.convert_public(kind, source, copy)
        except OSError:
            return source
    return copy


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


LAYOUTS: Mapping[str, Callable[[Checkpoint, torch.device, torch.dtype, bool], dict[str, Any]]] = MappingProxyType(
    {"compact": _load_compact, "tiny": _load_tiny, "mmaudio": _load_mmaudio}
)
"""Layout of the register -> what loads a model's parts, by the names under which `Pipeline` takes them."""
