"""How a network is laid over processes and memory: DDP, FSDP2, activations computed again.

A whole training step runs inside the forward pass of the wrapped module. `torch.func.jvp` of a wrapped network would
go around the wrapper; inside it the derivative sees plain parameters, and gradients are shared as ever.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mfv2a.training.team import Team

Result = TypeVar("Result")


class Inside(nn.Module):
    """Runs work that uses a network inside a forward pass of its own, so that wrappers see it as one pass.

    Args:
        network: the network whose parameters the work uses.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, work: Callable[[], Result]) -> Result:
        """Do the work."""
        return work()


class Wrapped:
    """A network as the team shares it.

    Args:
        network: the network; with "fsdp" its parameters are sharded in place, so make the optimiser afterwards.
        team: the processes.
        parallel: "ddp" keeps the network whole in each process, "fsdp" shards parameters, gradients and moments by
            blocks (FSDP2, `fully_shard`). Without a second process neither does anything.
    """

    def __init__(self, network: nn.Module, team: Team, parallel: str) -> None:
        self.module: nn.Module = Inside(network)
        self.shards = parallel == "fsdp" and team.size > 1
        if team.size == 1:
            return
        if self.shards:
            _shard(self.module, network, team)
        else:
            from torch.nn.parallel import DistributedDataParallel

            cards = [team.device.index] if team.device.type == "cuda" else None
            self.module = DistributedDataParallel(self.module, device_ids=cards)

    def run(self, work: Callable[[], Result]) -> Result:
        """Do work that uses the network; all processes must do the same."""
        return cast(Result, self.module(work))

    def sharing(self, now: bool) -> AbstractContextManager[Any]:
        """While open, gradients are averaged over the team only if `now`; else they add up here until they are."""
        from torch.nn.parallel import DistributedDataParallel

        if isinstance(self.module, DistributedDataParallel) and not now:
            return self.module.no_sync()
        return nullcontext()


def _blocks(network: nn.Module) -> list[nn.Module]:
    """The transformer's blocks, in their order."""
    return [block for name in ("joint_blocks", "fused_blocks") for block in getattr(network, name, [])]


def _shard(module: nn.Module, network: nn.Module, team: Team) -> None:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(team.device.type, (team.size,))
    for block in _blocks(network):
        fully_shard(block, mesh=mesh)
    # What lies around the blocks is used before and after them: it stays gathered until its gradients are there.
    fully_shard(module, mesh=mesh, reshard_after_forward=False)


def recompute_blocks(network: nn.Module) -> None:
    """Let a generator's blocks keep no activations: going back, each is computed again from its inputs.

    A pass without gradient, such as that of the derivative, is left as it is.

    Source: Chen et al., "Training Deep Nets with Sublinear Memory Cost", arXiv 1604.06174.
    """
    for block in _blocks(network):
        block.forward = partial(_recomputed, block.forward)


def _recomputed(forward: Callable[..., Tensor], *args: Any) -> Any:
    if torch.is_grad_enabled():
        return checkpoint(forward, *args, use_reentrant=False)
    return forward(*args)


def whole(tensor: Tensor) -> Tensor:
    """A tensor in one piece: a sharded one is gathered, which all processes must do."""
    gather = getattr(tensor, "full_tensor", None)
    return tensor if gather is None else cast(Tensor, gather())


def fill_from(target: Tensor, source: Tensor) -> None:
    """Copy a whole tensor into one that may be sharded."""
    mesh = getattr(target, "device_mesh", None)
    if mesh is not None:
        from torch.distributed.tensor import distribute_tensor

        placements = target.placements  # type: ignore[attr-defined]
        source = distribute_tensor(source.to(mesh.device_type), mesh, placements)
    target.copy_(source)
