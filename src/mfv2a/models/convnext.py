"""The block that the vocoder and the post-net are made of."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution along time, then a pointwise MLP.

    Args:
        dim: width D.
        scale: the gain of its branch at the start.

    Source: Liu et al., "A ConvNet for the 2020s", arXiv 2201.03545, in one dimension as Vocos has it, arXiv 2306.00814.
    """

    def __init__(self, dim: int, scale: float) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(dim, dim, 7, padding=3, groups=dim)
        self.norm = nn.LayerNorm(dim)
        self.up, self.down = nn.Linear(dim, 3 * dim), nn.Linear(3 * dim, dim)
        self.gain = nn.Parameter(torch.full((dim,), scale))

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, D, F] to [B, D, F]."""
        h = self.norm(self.depthwise(x).transpose(1, 2))
        out: Tensor = x + (self.gain * self.down(F.gelu(self.up(h)))).transpose(1, 2)
        return out
