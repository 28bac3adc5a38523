"""The processes that share a run: who is who, which rows are whose, and what all must know. One process is a team too.

Knows no network and no task. `torchrun` says in the environment how many there are.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from mfv2a.errors import ConfigError


@dataclass(frozen=True)
class Team:
    """One process's view of the team.

    Attributes:
        rank: number of this process, 0 for the one that writes.
        size: number of processes.
        device: where this process computes.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def rows(self, total: int) -> range:
        """The rows of a batch of `total` that are this process's.

        Raises:
            ConfigError: they cannot be dealt evenly.
        """
        if total % self.size:
            raise ConfigError(
                f"{total} rows cannot be dealt evenly to {self.size} processes", hint="give a multiple of the processes"
            )
        each = total // self.size
        return range(self.rank * each, (self.rank + 1) * each)

    def add_up(self, values: Sequence[float]) -> list[float]:
        """Each value summed over the processes."""
        if self.size == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(tensor)
        return [float(value) for value in tensor.tolist()]

    def gather(self, tensor: Tensor) -> Tensor:
        """Rows [B, ...] of all processes, one after the other, on each of them; B is the same everywhere."""
        if self.size == 1:
            return tensor
        parts = [torch.empty_like(tensor) for _ in range(self.size)]
        dist.all_gather(parts, tensor.contiguous())
        return torch.cat(parts)

    def collect(self, record: Any) -> list[Any]:
        """One small record of each process, on each of them."""
        if self.size == 1:
            return [record]
        records: list[Any] = [None] * self.size
        dist.all_gather_object(records, record)
        return records

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            dist.barrier()


@contextmanager
def join_team(device: torch.device) -> Iterator[Team]:
    """Meet the processes that `torchrun` started; alone without it.

    Args:
        device: where to compute; with several processes on CUDA each takes the card of its local rank.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or "RANK" not in os.environ:
        yield Team(device=device)
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        team = Team(dist.get_rank(), dist.get_world_size(), device)
        yield team
        # Nobody hangs up while another still talks, or while wrappers, which refer to each other, hold the line.
        gc.collect()
        team.wait()
    finally:
        dist.destroy_process_group()
