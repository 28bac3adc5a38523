"""Checkpoints of a training run: everything needed to go on as if it had not stopped.

Randomness is drawn anew from (seed, step), so a step number is the whole state of data and noise.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mfv2a.errors import CheckpointError
from mfv2a.training.ema import EMA

NAME = "checkpoint.safetensors"


def step_generator(seed: int, step: int) -> torch.Generator:
    """The source of randomness of one step, on the CPU."""
    return torch.Generator().manual_seed((seed * 1_000_003 + step * 7919 + 17) % (1 << 62))


def save_state(
    run: Path, network: nn.Module, ema: EMA, optimizer: torch.optim.Optimizer, facts: dict[str, Any]
) -> Path:
    """Write weights, average and optimiser moments with `facts` (step, seconds) into the run folder, atomically."""
    from safetensors.torch import save_file

    tensors: dict[str, Tensor] = {f"model/{k}": v for k, v in network.state_dict().items()}
    tensors |= {f"ema/{k}": v for k, v in ema.state.items()}
    for index, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{k}": v for k, v in moments.items()}
    tensors = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    run.mkdir(parents=True, exist_ok=True)
    pending = run / f".{NAME}.{os.getpid()}"
    save_file(tensors, pending, {"facts": json.dumps(facts)})
    pending.replace(run / NAME)
    return run / NAME


def load_state(run: Path, network: nn.Module, ema: EMA, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Take a run up where `save_state` left it; gives back the facts.

    Raises:
        CheckpointError: the checkpoint does not fit the network.
    """
    from safetensors import SafetensorError, safe_open

    path = run / NAME
    try:
        with safe_open(path, "pt") as file:
            facts: dict[str, Any] = json.loads((file.metadata() or {})["facts"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "ema": {}, "optimizer": {}}
        for name, tensor in tensors.items():
            part, key = name.split("/", 1)
            parts[part][key] = tensor
        network.load_state_dict(parts["model"])
        for name, tensor in parts["ema"].items():
            ema.state[name].copy_(tensor)
    except (OSError, SafetensorError, KeyError, RuntimeError) as error:
        raise CheckpointError(f"{path}: {error}", hint="start the run anew in another folder") from error
    state = optimizer.state_dict()
    for name, tensor in parts["optimizer"].items():
        index, key = name.split("/")
        state["state"].setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict(state)
    return facts
