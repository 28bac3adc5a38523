"""Layers of Woosh's transformer: streams that attend together, then tokens that share their weights.

They know neither conditions nor time: what modulates them is a vector, and where a token stands is a row of a table.

Source: Hadjeres et al., "Woosh: A Sound Effects Foundation Model", arXiv 2604.01929; two kinds of layers after Esser
et al., "Scaling Rectified Flow Transformers for High-Resolution Image Synthesis", arXiv 2403.03206, and Dehghani
et al., "Scaling Vision Transformers to 22 Billion Parameters", arXiv 2302.05442.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mfv2a.models.blocks import RMSNorm, attend, modulate, rotate
from mfv2a.models.linear import Linear

EPS = 1e-6
AUDIO, TEXT, VIDEO = "x", "description", "video_features"
"""The streams, in the order of their tokens; that of video follows no condition."""


class LayerSizes(NamedTuple):
    """Sizes of a layer.

    Attributes:
        dim: width D; num_heads: heads H; inner_dim: hidden width of the MLP.
        rotated_dim: channels of a head that carry its place; the rest of the head does not.
    """

    dim: int
    num_heads: int
    inner_dim: int
    rotated_dim: int


class _Modulated(nn.Module):
    """A branch of a layer: its norm follows the condition, where it has one, and so does the gate at its end."""

    def __init__(self, dim: int, *, modulated: bool = True) -> None:
        super().__init__()
        self.mod_proj = Linear(dim, 3 * dim) if modulated else None

    def prepare(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor | float]:
        """Normalised tokens of [B, N, D] and the gate, given the condition [B, 1, D]."""
        if self.mod_proj is None:
            return F.layer_norm(x, x.shape[-1:], eps=EPS), 1.0
        shift, scale, gate = self.mod_proj(condition).chunk(3, -1)
        return modulate(x, shift, scale, eps=EPS), gate


class _Attending(_Modulated):
    """A branch that makes queries, keys and values, q and k with RMS norms that all heads share."""

    def __init__(self, sizes: LayerSizes, *, modulated: bool = True) -> None:
        super().__init__(sizes.dim, modulated=modulated)
        self.num_heads, self.rotated_dim = sizes.num_heads, sizes.rotated_dim
        head_dim = sizes.dim // sizes.num_heads
        self.norm_q, self.norm_k = RMSNorm(head_dim, EPS), RMSNorm(head_dim, EPS)

    def split(self, packed: Tensor, table: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys, values [B, H, N, d] of [B, N, 3D], placed by the first N rows of a table [2, rows, d / 2]."""
        q, k, v = packed.unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        table = table[:, : packed.shape[1]]
        return self._place(self.norm_q(q), table), self._place(self.norm_k(k), table), v

    def _place(self, x: Tensor, table: Tensor) -> Tensor:
        turned = rotate(x[..., : self.rotated_dim], table[..., : self.rotated_dim // 2])
        return torch.cat([turned, x[..., self.rotated_dim :]], -1)


class StreamAttention(_Attending):
    """One stream's part in a joint attention."""

    def __init__(self, sizes: LayerSizes, *, modulated: bool) -> None:
        super().__init__(sizes, modulated=modulated)
        self.qkv = Linear(sizes.dim, 3 * sizes.dim)
        self.out_proj = Linear(sizes.dim, sizes.dim)


class JointAttention(nn.Module):
    """One attention over the tokens of all streams."""

    def __init__(self, sizes: LayerSizes, names: Sequence[str]) -> None:
        super().__init__()
        self.modalities = nn.ModuleDict({name: StreamAttention(sizes, modulated=name != VIDEO) for name in names})

    def forward(self, streams: dict[str, Tensor], condition: Tensor, tables: dict[str, Tensor]) -> dict[str, Tensor]:
        """Update streams [B, N_s, D] by name, given the condition [B, 1, D] and each stream's rotary table."""
        parts: dict[str, StreamAttention] = dict(self.modalities.items())  # type: ignore[arg-type]
        prepared = {name: part.prepare(streams[name], condition) for name, part in parts.items()}
        heads = [part.split(part.qkv(prepared[name][0]), tables[name]) for name, part in parts.items()]
        q, k, v = (torch.cat([head[j] for head in heads], 2) for j in range(3))
        attended = attend(q, k, v).split([streams[name].shape[1] for name in parts], 1)
        return {
            name: streams[name] + prepared[name][1] * part.out_proj(mixed)
            for (name, part), mixed in zip(parts.items(), attended, strict=True)
        }


class FeedForward(_Modulated):
    """A stream's MLP."""

    def __init__(self, sizes: LayerSizes, *, modulated: bool) -> None:
        super().__init__(sizes.dim, modulated=modulated)
        self.w1 = Linear(sizes.dim, sizes.inner_dim)
        self.w2 = Linear(sizes.inner_dim, sizes.dim)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Update [B, N, D]."""
        h, gate = self.prepare(x, condition)
        out: Tensor = x + gate * self.w2(F.gelu(self.w1(h), approximate="tanh"))
        return out


class JointLayer(nn.Module):
    """Streams attend together; each has its own weights."""

    def __init__(self, sizes: LayerSizes, names: Sequence[str]) -> None:
        super().__init__()
        self.attn = JointAttention(sizes, names)
        self.ffns = nn.ModuleDict({name: FeedForward(sizes, modulated=name != VIDEO) for name in names})

    def forward(self, streams: dict[str, Tensor], condition: Tensor, tables: dict[str, Tensor]) -> dict[str, Tensor]:
        """Update streams [B, N_s, D] by name."""
        streams = self.attn(streams, condition, tables)
        return {name: self.ffns[name](x, condition) for name, x in streams.items()}


class FusedLayer(_Attending):
    """All tokens share the weights; attention and MLP work side by side on the same norm, behind one gate."""

    def __init__(self, sizes: LayerSizes) -> None:
        super().__init__(sizes)
        self.widths = (3 * sizes.dim, sizes.inner_dim)
        self.qkv_mlp = Linear(sizes.dim, sum(self.widths))
        self.out_proj = Linear(sizes.dim + sizes.inner_dim, sizes.dim)

    def forward(self, x: Tensor, condition: Tensor, table: Tensor) -> Tensor:
        """Update [B, N, D], given the condition [B, 1, D] and a rotary table [2, rows, d / 2]."""
        h, gate = self.prepare(x, condition)
        packed, hidden = self.qkv_mlp(h).split(self.widths, -1)
        mixed = [attend(*self.split(packed, table)), F.gelu(hidden, approximate="tanh")]
        out: Tensor = x + gate * self.out_proj(torch.cat(mixed, -1))
        return out
