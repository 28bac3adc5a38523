"""Checkpoint name -> ready pipeline: the one place where register and hub meet the networks.

`describe_model` reads the register only and needs no torch.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mfv2a.errors import CheckpointError, ConfigError, DeviceError
from mfv2a.packages import find_model
from mfv2a.records import ModelInfo
from mfv2a.register import Checkpoint, files_of, find_component, home_folder

if TYPE_CHECKING:
    import torch

    from mfv2a.pipeline import Pipeline

LAYOUTS = frozenset({"compact", "tiny", "mmaudio", "meanaudio", "woosh"})
"""Layouts that `mfv2a.layouts` can load; told here without torch."""
READER = "reader"  # role of a component that may be done without
EYES = ("clip", "sync")  # roles of components that see; the words are encoded for each prompt anew
DEVICES = ("cpu", "cuda", "mps")
DTYPES = ("auto", "float32", "bfloat16", "float16")
SMALL_LAYOUTS = ("compact", "tiny")


def describe_model(name: str) -> ModelInfo:
    """What the register says of a model.

    Raises:
        ConfigError: no such model; the closest names are named.
    """
    entry = find_model(name)
    digests = [file.digest or _place(file) for file in files_of(entry)]
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
        guidance=entry.guidance,
        default_renoise=entry.renoise,
        sees=entry.sees,
        words_steps=entry.words_steps,
        words_tries=entry.words_tries,
        recognizes=entry.layout != "woosh",
        reuses_motion=entry.layout not in SMALL_LAYOUTS,
        digest=hashlib.sha256("".join(digests).encode("utf-8", "surrogateescape")).hexdigest() if digests else "",
    )


def encoder_digest(name: str) -> str:
    """Identifies the networks that look at videos for a model, whatever generator they serve.

    Raises:
        ConfigError: no such model.
    """
    entry = find_model(name)
    files = [find_component(entry, role) for role in EYES if role in entry.components]
    return ":".join([entry.layout, *(file.digest or _place(file) for file in files)])


def _place(file: Checkpoint) -> str:
    """What stands for a file of which no digest is stated: where it is, and of one's own its size and time."""
    if not file.path:
        return f"{file.repo}/{file.file}@{file.revision}"
    path = Path(file.path)
    stat = path.stat() if path.is_file() else None
    return f"{path}:{stat.st_size}:{stat.st_mtime_ns}" if stat else str(path)


def pick_device(name: str) -> torch.device:
    """The device of a name; "auto" is CUDA where there is one, else the CPU.

    Raises:
        ConfigError: a name that no device has.
        DeviceError: no such device here.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.partition(":")[0] not in DEVICES:
        raise ConfigError(f"unknown device {name!r}", hint="one of auto, " + ", ".join(DEVICES) + ", cuda:1 ...")
    if name.startswith("mps") and not torch.backends.mps.is_available():
        raise DeviceError(f"device {name!r} cannot be used: there is none here", hint="try --device cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0].partition(". ")[0]
        raise DeviceError(f"device {name!r} cannot be used: {reason}", hint="try --device cpu") from error
    return device


def pick_dtype(name: str, device: torch.device, *, large: bool = False) -> torch.dtype:
    """The dtype of a name; "auto" is bfloat16 on GPUs and processors that multiply it; else float32.

    Args:
        name: one of `DTYPES`.
        device: the networks run on.
        large: it is for public networks; the small ones of the tool's own run in float32 on every processor.

    Raises:
        ConfigError: not a dtype the generator can run in.
    """
    import torch

    from mfv2a.models.arithmetic import is_surely_native

    if name not in DTYPES:
        raise ConfigError(f"unknown dtype {name!r}", hint="one of " + ", ".join(DTYPES))
    if name == "auto":
        if device.type == "cuda":
            narrow = _multiplies_bfloat16(device)
        else:
            narrow = device.type == "cpu" and large and is_surely_native(torch.bfloat16)
        name = "bfloat16" if narrow else "float32"
    dtype: torch.dtype = getattr(torch, name)
    return dtype


def _multiplies_bfloat16(device: torch.device) -> bool:
    """Whether a GPU has arithmetic for it: NVIDIA's do from Ampere on, those before imitate it slowly."""
    import torch

    return torch.version.hip is not None or torch.cuda.get_device_capability(device) >= (8, 0)


def load_pipeline(
    name: str = "embedded",
    *,
    device: str = "auto",
    dtype: str = "auto",
    random_weights: bool = False,
    low_memory: bool = False,
    generator: bool = True,
    compiled: bool = False,
    as_written: bool = False,
) -> Pipeline:
    """Load a model and its encoders.

    Args:
        name: of the register, or a folder, file or OWNER/NAME[@REVISION] of the hub that holds a model of your own.
        device: "auto", "cpu", "cuda", "cuda:1" ...
        dtype: of the generator: "auto", "float32", "bfloat16" or "float16".
        random_weights: none of its files, but networks of its sizes with random weights, to measure with.
        low_memory: hold encoders, generator and decoders one after the other instead of all at once.
        generator: False leaves it out, for encoding alone: its file need not be there.
        compiled: let torch compile the generator when it first runs, see `mfv2a.parts.compiled`.
        as_written: read prompts word by word, without the model's reader of prompts, if it has one.

    Raises:
        ConfigError: unknown model or dtype, or one whose sizes only its files know.
        CheckpointError: its files are missing or damaged.
        DeviceError: the device is not there.
    """
    entry, info = find_model(name), describe_model(name)
    if as_written:
        entry = replace(entry, components={role: each for role, each in entry.components.items() if role != READER})
    target = pick_device(device)
    number = pick_dtype(dtype, target, large=entry.layout not in SMALL_LAYOUTS)
    if entry.layout not in LAYOUTS:
        raise CheckpointError(
            f"{name} cannot be run by this version: it has no loader for the layout {entry.layout!r}",
            hint="mfv2a models list tells which models run",
        )
    from mfv2a import layouts
    from mfv2a.parts import compiled as compile_generator
    from mfv2a.pipeline import Pipeline

    parts = layouts.LAYOUTS[entry.layout](entry, target, number, random_weights)
    if not generator:
        parts = replace(parts, loads={role: load for role, load in parts.loads.items() if role != "generator"})
    elif compiled:
        parts = compile_generator(parts, home_folder() / "compiled")
    return Pipeline.of_parts(info, parts, frugal=low_memory)
