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
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                self.state[name].lerp_(tensor, 1 - decay)
            else:
                self.state[name].copy_(tensor)

    @contextmanager
    def in_place_of(self, network: nn.Module) -> Iterator[None]:
        """While open, the network's weights are the average; afterwards they are its own again."""
        own = network.state_dict()
        kept = {name: tensor.detach().clone() for name, tensor in own.items()}
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(self.state[name])
        try:
            yield
        finally:
            with torch.no_grad():
                for name, tensor in own.items():
                    tensor.copy_(kept[name])
