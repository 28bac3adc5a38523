"""Checkpoints of a training run: everything needed to go on as if it had not stopped.

    checkpoint-00001200.safetensors    weights, moving average, optimiser moments; step and seconds in the metadata

Randomness is drawn anew from (seed, step), so a step number is the whole state of data and noise. A checkpoint appears
whole or not at all, and the one before it stays until it has: a process may be killed at any moment. Tensors are
stored in one piece, so another number of processes can take the run up.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mfv2a.disk import remove_left, writing
from mfv2a.errors import CheckpointError
from mfv2a.training.ema import EMA
from mfv2a.training.wrapping import fill_from, whole

log = logging.getLogger(__name__)
PATTERN = "checkpoint-*.safetensors"


def step_generator(seed: int, step: int) -> torch.Generator:
    """The source of randomness of one step, on the CPU."""
    return torch.Generator().manual_seed((seed * 1_000_003 + step * 7919 + 17) % (1 << 62))


def checkpoint_paths(run: Path) -> list[Path]:
    """Checkpoints of a run, the newest first."""
    return sorted(run.glob(PATTERN), reverse=True)


def save_state(
    run: Path,
    network: nn.Module,
    ema: EMA,
    optimizer: torch.optim.Optimizer,
    facts: dict[str, Any],
    *,
    keep: int = 2,
    write: bool = True,
) -> Path:
    """Write weights, average and optimiser moments with `facts` (step, seconds) into the run folder, atomically.

    Args:
        run: folder of the run.
        network: its weights; sharded ones are gathered, so every process must call this.
        ema: the average.
        optimizer: its moments.
        facts: JSON-ready, `step` among them.
        keep: how many of the newest checkpoints stay.
        write: False in the processes that only help to gather.

    Returns:
        the path.

    Raises:
        StartError: the disk is full, or the folder cannot be written; the checkpoints before it stay.
    """
    from safetensors.torch import save_file

    path = run / PATTERN.replace("*", f"{facts['step']:08d}")
    tensors: dict[str, Tensor] = {f"model/{k}": v for k, v in network.state_dict().items()}
    tensors |= {f"ema/{k}": v for k, v in ema.state.items()}
    for index, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{k}": v for k, v in moments.items()}
    pieces: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        piece = whole(tensor.detach())
        if write:
            pieces[name] = piece.cpu().contiguous().clone()
    if not write:
        return path
    remove_left(run, ".checkpoint-*")
    with writing(path) as pending:
        save_file(pieces, pending, {"facts": json.dumps(facts)})
        with pending.open("rb") as file:
            os.fsync(file.fileno())
    for newer in [each for each in checkpoint_paths(run) if each.name > path.name]:
        newer.replace(newer.with_name(f"{newer.name}.damaged"))  # else this run would have gone on from it
    for old in checkpoint_paths(run)[keep:]:
        old.unlink(missing_ok=True)
    return path


def load_state(
    run: Path,
    network: nn.Module,
    ema: EMA,
    optimizer: torch.optim.Optimizer,
    check: Callable[[Mapping[str, Any]], None] = lambda facts: None,
) -> dict[str, Any] | None:
    """Take a run up where `save_state` left it last; a damaged checkpoint is passed over for the one before it.

    Args:
        run: folder of the run.
        network: takes the weights.
        ema: takes the average.
        optimizer: takes the moments.
        check: refuses facts that do not go with this run, before anything is taken.

    Returns:
        the facts stored with it; None if the folder holds no checkpoint.

    Raises:
        CheckpointError: the checkpoint does not fit the network, or all are damaged.
    """
    paths = checkpoint_paths(run)
    for path in paths:
        read = _read(path)
        if read is None:
            log.warning("%s is damaged: the run goes on from an earlier checkpoint, if there is one", path)
        else:
            check(read[1])
            _take(path, read[0], network, ema, optimizer)
            return read[1]
    if paths:
        raise CheckpointError(f"{paths[0]} is damaged", hint="start the run anew in another folder")
    return None


def _read(path: Path) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]] | None:
    """Tensors by part and the facts of a checkpoint; None if it is damaged."""
    from safetensors import SafetensorError, safe_open

    parts: dict[str, dict[str, Tensor]] = {"model": {}, "ema": {}, "optimizer": {}}
    try:
        with safe_open(path, "pt") as file:
            facts: dict[str, Any] = json.loads((file.metadata() or {})["facts"])
            for name in file.keys():  # noqa: SIM118
                part, key = name.split("/", 1)
                parts[part][key] = file.get_tensor(name)
    except (OSError, SafetensorError, KeyError, ValueError):
        return None
    return parts, facts


@torch.no_grad()
def _take(
    path: Path, parts: dict[str, dict[str, Tensor]], network: nn.Module, ema: EMA, optimizer: torch.optim.Optimizer
) -> None:
    own = network.state_dict()
    shapes = {name: tensor.shape for name, tensor in own.items()}
    for part in ("model", "ema"):
        if {name: tensor.shape for name, tensor in parts[part].items()} != shapes:
            raise CheckpointError(
                f"{path} does not fit the network of the run", hint="start the run anew in another folder"
            )
    for name, tensor in parts["model"].items():
        fill_from(own[name], tensor)
    for name, tensor in parts["ema"].items():
        fill_from(ema.state[name], tensor)
    state = optimizer.state_dict()
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    for name, tensor in parts["optimizer"].items():
        index, key = name.split("/")
        weight = weights[int(index)] if int(index) < len(weights) else None
        if weight is None or (tensor.dim() and tensor.shape != weight.shape):
            raise CheckpointError(
                f"{path} has moments of other weights than this run trains", hint="start the run anew in another folder"
            )
        moment = tensor
        if tensor.shape == weight.shape and tensor.dim():
            moment = torch.zeros_like(weight)
            fill_from(moment, tensor)
        state["state"].setdefault(int(index), {})[key] = moment
    optimizer.load_state_dict(state)
