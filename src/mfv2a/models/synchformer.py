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

    The class token sees all. Tokens are ordered class, then by moment, then by place.

    Args:
        dim: width D.
        heads: H.
        over: "time" or "space".
        places: tokens of a moment.
    """

    def __init__(self, dim: int, heads: int, *, over: Literal["time", "space"], places: int) -> None:
        super().__init__()
        self.heads, self.over, self.places = heads, over, places
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, 1 + moments * places, D] to the same shape."""
        packed = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).flatten(1, 2)
        q, k, v = packed.unbind(0)  # each [B H, N, d]
        first = F.scaled_dot_product_attention(q[:, None, :1], k[:, None], v[:, None])[:, 0]
        keys, values = self._group(k, with_class=True), self._group(v, with_class=True)
        rest = F.scaled_dot_product_attention(self._group(q), keys, values)
        if self.over == "time":
            rest = rest.transpose(1, 2)
        mixed = torch.cat([first, rest.flatten(1, 2)], 1)
        out: Tensor = self.proj(mixed.unflatten(0, (-1, self.heads)).transpose(1, 2).flatten(2))
        return out

    def _group(self, y: Tensor, *, with_class: bool = False) -> Tensor:
        """Tokens [B H, N, d] by group [B H, groups, members, d], the class token before each if asked."""
        members: Tensor = y[:, 1:].unflatten(1, (-1, self.places))
        if self.over == "time":
            members = members.transpose(1, 2)
        if not with_class:
            return members
        return torch.cat([y[:, None, :1].expand(-1, members.shape[1], -1, -1), members], 2)


class _MLP(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, N, D] to [B, N, D]."""
        return map_rows(lambda rows: self.fc2(F.gelu(self.fc1(rows))), x)


class _Block(nn.Module):
    """Attention over time, over space, then an MLP, each before its own norm."""

    def __init__(self, config: SynchformerConfig) -> None:
        super().__init__()
        dim, places = config.dim, (config.size_px // config.patch_px) ** 2
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(dim, eps=EPS) for _ in range(3))
        self.timeattn = DividedAttention(dim, config.heads, over="time", places=places)
        self.attn = DividedAttention(dim, config.heads, over="space", places=places)
        self.mlp = _MLP(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, N, D] to [B, N, D]."""
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
        """Tokens [B, N, D] of segments [B, 3, T, H, W], by moment, row and column."""
        out: Tensor = self.proj(segments).flatten(2).transpose(1, 2)
        return out


class SpatialPool(nn.Module):
    """The tokens of a moment to one: a transformer layer of which only the class token's output is used."""

    def __init__(self, config: SynchformerConfig) -> None:
        super().__init__()
        dim = config.dim
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.self_attn = PackedAttention(dim, config.heads)
        self.linear1, self.linear2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
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
        tokens = self.patch_embed_3d(segments.transpose(1, 2))
        places = self.pos_embed[:, None, 1:] + self.temp_embed[:, :, None]
        first = self.cls_token + self.pos_embed[:, :1]
        tokens = torch.cat([first.expand(len(tokens), -1, -1), tokens + places.flatten(1, 2)], 1)
        for block in self.blocks:
            tokens = block(tokens)
        moments = self.norm(tokens[:, 1:]).unflatten(1, (self.temp_embed.shape[1], -1))
        out: Tensor = self.spatial_attn_agg(moments.flatten(0, 1)).unflatten(0, moments.shape[:2])
        return out

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
