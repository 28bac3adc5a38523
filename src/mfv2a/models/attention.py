"""What the towers of CLIP and Synchformer are made of: self-attention as torch stores it, maps by rows, wide sums."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mfv2a.models.linear import Linear, attention, linear

ROWS_AT_ONCE = 4096
"""Rows of a wide layer that a processor takes at a time, which bounds the memory between its two maps."""


def map_rows(change: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """A map of each token on its own, [..., D] to [..., D']; on a processor some rows at a time."""
    if x.device.type != "cpu" or torch.is_grad_enabled():
        return change(x)
    rows = x.flatten(0, -2)
    out: Tensor = torch.cat([change(part) for part in rows.split(ROWS_AT_ONCE)]).unflatten(0, x.shape[:-1])
    return out


def widened(x: Tensor) -> Tensor:
    """What blocks add to, in float32 at least: narrower sums lose more over many blocks than all products do."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class StreamNorm(nn.LayerNorm):
    """Layer norm of what `widened` keeps, given in the dtype of its weights, [..., D] to the same shape."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last axis."""
        weight, bias = self.weight.to(x.dtype), self.bias.to(x.dtype)
        return F.layer_norm(x, self.normalized_shape, weight, bias, self.eps).to(self.weight.dtype)


class PackedAttention(nn.Module):
    """Self-attention whose projections of q, k and v lie one after the other in one parameter, as torch stores them.

    Args:
        dim: width D.
        heads: H.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = Linear(dim, dim)
        nn.init.xavier_uniform_(self.in_proj_weight)

    def forward(self, x: Tensor, *, causal: bool = False, first: int | None = None) -> Tensor:
        """Map [B, N, D] to [B, N, D], or to the `first` tokens alone, which see all."""
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        q, k, v = (
            linear(y, weight, bias).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for y, weight, bias in zip((x[:, :first], x, x), weights, biases, strict=True)
        )
        mixed = attention(q, k, v, causal=causal)
        out: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return out
