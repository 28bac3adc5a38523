"""Networks of a training run: built, started from weights that are there, and the teacher beside them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mfv2a import hub
from mfv2a.config import RunConfig, build
from mfv2a.errors import ConfigError
from mfv2a.models.mmaudio import CONFIGS, MMAudio
from mfv2a.models.upstream import load_public
from mfv2a.models.weights import NETWORKS, build_network, load_network, load_strict
from mfv2a.register import Checkpoint, find_checkpoint, read_register


def public_start(config: RunConfig) -> Checkpoint | None:
    """The public MMAudio model that a run starts from; None if `init` is a file or empty.

    Raises:
        ConfigError: a name of the register that is no such model.
    """
    return _public_entry(config.init) if config.task == "generator" else None


def network_config(config: RunConfig) -> dict[str, Any]:
    """Sizes of the run's network: those of the public model it starts from, where it does, and of `[model]`.

    A generator made from a public one predicts the average velocity, unless `[model]` or flow matching says otherwise.

    Raises:
        ConfigError: an unknown key of `[model]` (the closest known one is named), a value of a wrong type, or sizes
            that do not go together.
    """
    entry, sizes = public_start(config), dict(config.model)
    if entry is not None:
        average = config.objective.name != "flow-matching"
        guided = bool(config.objective.guidance)
        sizes = {**dataclasses.asdict(CONFIGS[entry.config]), "average": average, "guided": guided, **sizes}
    try:
        return dataclasses.asdict(build(NETWORKS[config.task][1], sizes, where=f"[model] of a {config.task}"))
    except (ArithmeticError, ValueError) as error:
        raise _no_network(config, error) from error


def _no_network(config: RunConfig, error: Exception) -> ConfigError:
    return ConfigError(f"no {config.task} can be built of these sizes: {error}", hint="see [model] of the run")


def make_network(config: RunConfig) -> nn.Module:
    """The run's network with fresh weights, or those of `init`, and what of it is frozen.

    Raises:
        ConfigError: an unknown name, or a part to be frozen that the network does not have.
        CheckpointError: weights that are missing or do not fit.
    """
    network = _started(config)
    for name in config.frozen:
        try:
            network.get_submodule(name).requires_grad_(False)
        except AttributeError:
            parts = ", ".join(child for child, _ in network.named_children())
            raise ConfigError(f"a {config.task} has no part {name!r} to be frozen", hint=f"it has {parts}") from None
    return network


def _started(config: RunConfig) -> nn.Module:
    try:
        network = build_network(config.task, network_config(config))
    except (ArithmeticError, RuntimeError, ValueError) as error:
        raise _no_network(config, error) from error
    if config.task == "generator":
        network.initialize(torch.Generator().manual_seed(config.seed))  # type: ignore[operator]
    if not config.init:
        return network
    entry = public_start(config)
    path = Path(config.init) if entry is None else hub.fetch(entry)
    start = load_network(path, config.task)[0] if entry is None else load_public("mmaudio", entry.config, path)
    tensors = start.state_dict()
    if config.task == "generator":
        # A flow-matching network has no second time yet, others no weight of guidance: these start as zero, which
        # changes nothing.
        assert isinstance(network, MMAudio)
        new = tuple(f"{name}." for name in network.inputs_from_zero())
        tensors |= {k: v for k, v in network.state_dict().items() if k.startswith(new) and k not in tensors}
    load_strict(network, tensors, path)
    return network


def load_teacher(config: RunConfig) -> MMAudio | None:
    """The teacher of a distillation, in the run's precision and without gradients; None for other objectives.

    Raises:
        ConfigError: an unknown name.
        CheckpointError: weights that are missing or damaged.
    """
    name = config.objective.teacher
    if not name:
        return None
    entry = _public_entry(name)
    if entry is None:
        teacher = load_network(Path(name), "generator")[0]
    else:
        teacher = load_public("mmaudio", entry.config, hub.fetch(entry))
    number = torch.bfloat16 if config.precision == "bfloat16" else torch.float32
    assert isinstance(teacher, MMAudio)
    statistics = teacher.latent_mean, teacher.latent_std  # a student takes them over: they are not rounded
    teacher.to(number).eval().requires_grad_(False)
    teacher.latent_mean, teacher.latent_std = statistics
    return teacher


def _public_entry(name: str) -> Checkpoint | None:
    """The register's entry of a public MMAudio model; None for a file or nothing."""
    if not name or name.endswith(".safetensors") or (name not in read_register() and Path(name).exists()):
        return None
    entry = find_checkpoint(name)
    if entry.layout != "mmaudio" or entry.config not in CONFIGS:
        known = [each.name for each in read_register().values() if each.layout == "mmaudio"]
        raise ConfigError(f"a generator cannot start from {name}", hint="one of " + ", ".join(known))
    return entry
