"""The exponential moving average of a network's weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class EMA:
    """Averages all floating-point tensors of a network's state.

    Args:
        network: whose weights are followed.
        decay: of the average; early steps use a smaller one, (1 + n) / (10 + n).
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state: dict[str, Tensor] = {k: v.detach().clone() for k, v in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Move the average towards the network after optimiser step number `step`."""
        decay = min(self.decay, (1 + step) / (10 + step))
        alike = dict[tuple[type, bool], list[tuple[Tensor, Tensor]]]()
        for name, tensor in network.state_dict().items():  # sharded tensors go apart from whole ones
            alike.setdefault((type(tensor), tensor.is_floating_point()), []).append((self.state[name], tensor))
        for (_, moves), pairs in alike.items():
            averages, tensors = map(list, zip(*pairs, strict=True))
            if moves:
                torch._foreach_lerp_(averages, tensors, 1 - decay)
            else:
                torch._foreach_copy_(averages, tensors)

    @contextmanager
    def in_place_of(self, network: nn.Module) -> Iterator[None]:
        """While open, the network's weights are the average; afterwards they are its own again."""
        own = network.state_dict()
        kept = {name: tensor.detach().clone() for name, tensor in own.items()}
        try:
            with torch.no_grad():
                for name, tensor in own.items():
                    tensor.copy_(self.state[name])
            yield
        finally:
            with torch.no_grad():
                for name, tensor in own.items():
                    tensor.copy_(kept[name])
            network.state_dict()  # gathered parameters still hold the average: asking for the shards lets go of them
