"""Synchformer's visual encoder: frames at 25 a second -> features that say when things happen.

Segments of 16 frames, one every 8, go through a video transformer with divided attention (over time, then over
space); eight features a segment come out. It has the keys of the public file's `vfeat_extractor` part, but for the
2-D patch embedding that takes no part. It does not know videos (`preprocess.py`) or what the features are for.

Source: Iashin et al., "Synchformer: Efficient Synchronization from Sparse Cues", arXiv 2401.16423; divided attention
after Bertasius et al., "Is Space-Time Attention All You Need for Video Understanding?", arXiv 2102.05095.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mfv2a.errors import ConfigError
from mfv2a.models.arithmetic import products_for
from mfv2a.models.attention import PackedAttention, map_rows
from mfv2a.models.linear import Linear, linear

EPS = 1e-6


@dataclass(frozen=True, kw_only=True)
class SynchformerConfig:
    """Sizes of the encoder.

    Attributes:
        size_px: side of a frame; patch_px: side of a patch.
        segment: frames of a segment; stride: frames from one segment to the next.
        tubelet: frames that share a token.
        dim, depth, heads: width D, blocks and heads H.
    """

    size_px: int = 224
    patch_px: int = 16
    segment: int = 16
    stride: int = 8
    tubelet: int = 2
    dim: int = 768
    depth: int = 12
    heads: int = 12

    @classmethod
    def tiny(cls) -> SynchformerConfig:
        """Two narrow blocks, for tests."""
        return cls(dim=24, depth=2, heads=2)


CONFIGS: Mapping[str, SynchformerConfig] = MappingProxyType({"public": SynchformerConfig()})
"""The public encoder."""


class DividedAttention(nn.Module):
    """Attention in which a token sees the class token and those of its place (time) or of its moment (space).

    The class token sees all. It stands first in every moment, alike in all of them, so that the tokens of a moment and
    those of a place lie evenly in memory and are attended to where they are.

    Args:
        dim: width D.
        heads: H.
        over: "time" or "space".
    """

    def __init__(self, dim: int, heads: int, *, over: Literal["time", "space"]) -> None:
        super().__init__()
        self.heads, self.over = heads, over
        self.qkv = Linear(dim, 3 * dim)
        self.proj = Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map [moments, B, 1 + places, D] to the same shape."""
        qkv = self.qkv(x)
        parts = qkv.unflatten(-1, (3, self.heads, -1)).unbind(-3)
        seen = (_over_time if self.over == "time" else _over_space)(*parts).flatten(-2)
        if torch.is_grad_enabled():
            seen = seen.clone()  # attention keeps what it gave for its gradient
        seen[:, :, 0] = self._of_class(*qkv.chunk(3, -1))
        out: Tensor = self.proj(seen)
        return out

    def _of_class(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """What the class token sees [B, D], of q, k and v [moments, B, 1 + places, D]."""
        moments, _, tokens, dim = k.shape
        # A column a head, zero outside that head's rows, takes keys and values as they lie.
        own = torch.eye(self.heads, dtype=q.dtype, device=q.device)
        columns = (q[0, :, 0].unflatten(-1, (self.heads, -1, 1)) * own[:, None]).flatten(1, 2)
        scores = (k @ columns).float() * (dim // self.heads) ** -0.5
        scores[1:, :, 0] = -torch.inf  # the class token counts once
        weights = scores.permute(1, 3, 0, 2).flatten(2).softmax(-1).unflatten(-1, (moments, tokens))
        seen: Tensor = (weights.permute(2, 0, 1, 3).to(v.dtype) @ v).sum(0).unflatten(-1, (self.heads, -1))
        return seen.diagonal(dim1=1, dim2=2).transpose(1, 2).flatten(1)


def _attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v)


def _over_space(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention within each moment, of [moments, B, 1 + places, H, d] to the same shape."""
    by_moment = (y.flatten(0, 1).transpose(1, 2) for y in (q, k, v))
    seen: Tensor = _attend(*by_moment).transpose(1, 2).unflatten(0, q.shape[:2])
    return seen


def _over_time(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention within each place and to the class token, of [moments, B, 1 + places, H, d] to the same shape."""
    keys, values = (torch.cat([y[:1, :, :1].expand_as(y[:1]), y]) for y in (k, v))
    by_place = (y.permute(1, 2, 3, 0, 4).flatten(0, 1) for y in (q, keys, values))
    seen: Tensor = _attend(*by_place).unflatten(0, q.shape[1:3]).permute(3, 0, 1, 2, 4)
    return seen


class _MLP(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = Linear(dim, 4 * dim), Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map [..., D] to the same shape."""
        return map_rows(lambda rows: self.fc2(F.gelu(self.fc1(rows))), x)


class _Block(nn.Module):
    """Attention over time, over space, then an MLP, each after its own norm."""

    def __init__(self, config: SynchformerConfig) -> None:
        super().__init__()
        dim = config.dim
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(dim, eps=EPS) for _ in range(3))
        self.timeattn = DividedAttention(dim, config.heads, over="time")
        self.attn = DividedAttention(dim, config.heads, over="space")
        self.mlp = _MLP(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map [moments, B, 1 + places, D] to the same shape."""
        x = x + self.timeattn(self.norm3(x))
        x = x + self.attn(self.norm1(x))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class _PatchEmbed(nn.Module):
    def __init__(self, config: SynchformerConfig) -> None:
        super().__init__()
        size = (config.tubelet, config.patch_px, config.patch_px)
        self.proj = nn.Conv3d(3, config.dim, size, size)

    def forward(self, segments: Tensor) -> Tensor:
        """Tokens [moments, B, places, D] of segments [B, T, 3, H, W], places by row and column."""
        cut = zip((1, 3, 4), self.proj.kernel_size, strict=True)
        for axis, size in reversed(list(cut)):
            segments = segments.unflatten(axis, (-1, size))
        # [B, moments, frames, 3, rows, height, columns, width]: each token's values in a row, as the weight has them.
        values = segments.permute(1, 0, 4, 6, 3, 2, 5, 7).flatten(4).flatten(2, 3)
        return linear(values, self.proj.weight.flatten(1), self.proj.bias)


class SpatialPool(nn.Module):
    """The tokens of a moment to one: a transformer layer of which only the class token's output is used."""

    def __init__(self, config: SynchformerConfig) -> None:
        super().__init__()
        dim = config.dim
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.self_attn = PackedAttention(dim, config.heads)
        self.linear1, self.linear2 = Linear(dim, 4 * dim), Linear(4 * dim, dim)
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=EPS), nn.LayerNorm(dim, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Map moments [B, places, D] to [B, D]."""
        first = self.cls_token.expand(len(x), -1, -1)
        first = first + self.self_attn(self.norm1(torch.cat([first, x], 1)), first=1)
        out: Tensor = first + self.linear2(F.gelu(self.linear1(self.norm2(first))))
        return out[:, 0]


class Synchformer(nn.Module):
    """Frames to sync features.

    Args:
        config: sizes.
    """

    def __init__(self, config: SynchformerConfig) -> None:
        super().__init__()
        self.config = config
        dim, places = config.dim, (config.size_px // config.patch_px) ** 2
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + places, dim))
        self.temp_embed = nn.Parameter(torch.zeros(1, config.segment // config.tubelet, dim))
        self.patch_embed_3d = _PatchEmbed(config)
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(dim, eps=EPS)
        self.spatial_attn_agg = SpatialPool(config)

    def forward(self, segments: Tensor) -> Tensor:
        """Features [B, 8, D] of segments [B, 16, 3, H, W] in [-1, 1]."""
        tokens = self.patch_embed_3d(segments) + self.pos_embed[:, 1:] + self.temp_embed.transpose(0, 1)[:, None]
        first = (self.cls_token + self.pos_embed[:, :1]).expand(*tokens.shape[:2], 1, -1)
        tokens = torch.cat([first, tokens], 2)
        for block in self.blocks:
            tokens = block(tokens)
        moments = self.norm(tokens[:, :, 1:])
        out: Tensor = self.spatial_attn_agg(moments.flatten(0, 1)).unflatten(0, moments.shape[:2])
        return out.transpose(0, 1)

    def encode(self, frames: Tensor, *, chunk: int | None = None) -> Tensor:
        """Features of videos; frames at the end that fill no segment are left out.

        Args:
            frames: [B, T, 3, H, W] in [-1, 1] at 25 a second; the public model takes 224 x 224.
            chunk: segments encoded at a time, which bounds the memory; by default 8, on a GPU 24.

        Returns:
            [B, 8 S, D] with S = (T - 16) // 8 + 1 segments.

        Raises:
            ConfigError: fewer frames than a segment has.
        """
        c = self.config
        count = (frames.shape[1] - c.segment) // c.stride + 1
        if count < 1:
            raise ConfigError(f"sync features need {c.segment} frames at least, not {frames.shape[1]}")
        places = [(video, c.stride * i) for video in range(len(frames)) for i in range(count)]
        parts, chunk = [], chunk or self._chunk()
        for start in range(0, len(places), chunk):
            segments = [frames[video, at : at + c.segment] for video, at in places[start : start + chunk]]
            parts.append(self.encode_segments(torch.stack(segments), chunk=chunk))
        out: Tensor = torch.cat(parts).flatten(0, 1).unflatten(0, (len(frames), -1))
        return out

    def _chunk(self) -> int:
        return 8 if self.cls_token.device.type == "cpu" else 24

    def encode_segments(self, segments: Tensor, *, chunk: int | None = None) -> Tensor:
        """Features [n, 8, D] of segments [n, 16, 3, H, W] in [-1, 1], so many at a time."""
        weight, parts = self.cls_token, segments.split(chunk or self._chunk())
        with products_for(weight):
            return torch.cat([self(part.to(weight.device, weight.dtype)) for part in parts])
