"""CLIP's two towers as MMAudio uses them: a vector a frame, and a vector a text token.

At the size of `CONFIGS["vit_h"]` it has the keys of Apple's DFN5B ViT-H/14 in open_clip's layout. The text tower
gives the hidden states of all tokens, not the pooled sentence vector, so its projection is not here. It does not
know words (`clip_tokenizer.py`) or videos (`preprocess.py`).

Source: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", arXiv 2103.00020;
Fang et al., "Data Filtering Networks", arXiv 2309.17425.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mfv2a.errors import ConfigError
from mfv2a.models.arithmetic import products_for
from mfv2a.models.attention import PackedAttention, StreamNorm, map_rows, widened
from mfv2a.models.linear import Linear, linear

QUICK = 1.702
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True, kw_only=True)
class CLIPConfig:
    """Sizes of both towers.

    Attributes:
        embed_dim: width of a frame's vector.
        image_px: side the positions were trained for; larger frames are cut to its patches.
        patch_px: side of a patch.
        vision_dim, vision_depth, vision_heads: width, blocks and heads of the image tower.
        text_len: tokens L.
        vocabulary: token ids.
        text_dim, text_depth, text_heads: width, blocks and heads of the text tower.
    """

    embed_dim: int = 1024
    image_px: int = 378
    patch_px: int = 14
    vision_dim: int = 1280
    vision_depth: int = 32
    vision_heads: int = 16
    text_len: int = 77
    vocabulary: int = 49408
    text_dim: int = 1024
    text_depth: int = 24
    text_heads: int = 16

    @classmethod
    def tiny(cls) -> CLIPConfig:
        """Two blocks a tower, for tests; its vocabulary is the public one."""
        return cls(
            embed_dim=24, vision_dim=32, vision_depth=2, vision_heads=2, text_dim=24, text_depth=2, text_heads=2
        )  # fmt: skip


CONFIGS: Mapping[str, CLIPConfig] = MappingProxyType({"vit_h": CLIPConfig()})
"""The public encoder."""


class _MLP(nn.Module):
    """Two linear maps about a sigmoid gate x s(1.702 x), the quick stand-in for GELU."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.c_fc = Linear(dim, 4 * dim)
        self.c_proj = Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, N, D] to [B, N, D]."""
        return map_rows(self._map, x)

    def _map(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            h = self.c_fc(x)
            slow: Tensor = self.c_proj(h * torch.sigmoid(QUICK * h))
            return slow
        # The same in one pass: x s(1.702 x) is silu(1.702 x) / 1.702, and the matrix products do the scaling.
        h = F.silu(linear(x, self.c_fc.weight, self.c_fc.bias, scale=QUICK), inplace=True)
        return linear(h, self.c_proj.weight, self.c_proj.bias * QUICK, scale=1 / QUICK)


class _Block(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.ln_1, self.attn = StreamNorm(dim), PackedAttention(dim, heads)
        self.ln_2, self.mlp = StreamNorm(dim), _MLP(dim)

    def forward(self, x: Tensor, *, causal: bool) -> Tensor:
        """Map [B, N, D] to [B, N, D]."""
        x = x + self.attn(self.ln_1(x), causal=causal)
        out: Tensor = x + self.mlp(self.ln_2(x))
        return out


class _Transformer(nn.Module):
    def __init__(self, dim: int, heads: int, depth: int) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(_Block(dim, heads) for _ in range(depth))

    def forward(self, x: Tensor, *, causal: bool = False) -> Tensor:
        """Map [B, N, D] to [B, N, D], in float32 at least."""
        x = widened(x)
        for block in self.resblocks:
            x = block(x, causal=causal)
        return x


class VisionTower(nn.Module):
    """Frames to vectors of any norm."""

    def __init__(self, config: CLIPConfig) -> None:
        super().__init__()
        dim, self.grid = config.vision_dim, config.image_px // config.patch_px
        self.conv1 = nn.Conv2d(3, dim, config.patch_px, config.patch_px, bias=False)
        self.class_embedding = nn.Parameter(torch.zeros(dim))
        self.positional_embedding = nn.Parameter(torch.empty(self.grid**2 + 1, dim).normal_(std=dim**-0.5))
        self.ln_pre = nn.LayerNorm(dim)
        self.transformer = _Transformer(dim, config.vision_heads, config.vision_depth)
        self.ln_post = StreamNorm(dim)
        self.proj = nn.Parameter(torch.empty(dim, config.embed_dim).normal_(std=dim**-0.5))

    def forward(self, frames: Tensor) -> Tensor:
        """Vectors [B, embed] of normalised frames [B, 3, H, W].

        Raises:
            ConfigError: H or W gives another number of patches than the positions are for.
        """
        patches = self.conv1(frames)
        if patches.shape[-2:] != (self.grid, self.grid):
            size = "x".join(str(n) for n in frames.shape[-2:])
            raise ConfigError(f"frames of {size} px do not give {self.grid}x{self.grid} patches")
        tokens = patches.flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_embedding.expand(len(tokens), 1, -1), tokens], 1)
        tokens = self.transformer(self.ln_pre(tokens + self.positional_embedding))
        out: Tensor = self.ln_post(tokens[:, 0]) @ self.proj
        return out


class CLIP(nn.Module):
    """Both towers.

    Args:
        config: sizes.
    """

    def __init__(self, config: CLIPConfig) -> None:
        super().__init__()
        self.config = config
        self.visual = VisionTower(config)
        self.token_embedding = nn.Embedding(config.vocabulary, config.text_dim)
        self.positional_embedding = nn.Parameter(torch.empty(config.text_len, config.text_dim).normal_(std=0.01))
        self.transformer = _Transformer(config.text_dim, config.text_heads, config.text_depth)
        self.ln_final = StreamNorm(config.text_dim)

    def encode_image(self, frames: Tensor, *, chunk: int | None = None) -> Tensor:
        """A unit vector a frame.

        Args:
            frames: [B, V, 3, H, W] in [0, 1]; the public model takes 384 x 384.
            chunk: frames encoded at a time, which bounds the memory; by default 16, on a GPU 32.

        Returns:
            [B, V, embed].
        """
        weight = self.visual.conv1.weight
        mean, std = (torch.tensor(c, device=weight.device).view(3, 1, 1) for c in (MEAN, STD))
        parts = []
        for part in frames.flatten(0, 1).split(chunk or (16 if weight.device.type == "cpu" else 32)):
            normalised = (part.to(weight.device).float() - mean) / std
            with products_for(weight):
                parts.append(F.normalize(self.visual(normalised.to(weight.dtype)), dim=-1))
        vectors: Tensor = torch.cat(parts).unflatten(0, frames.shape[:2])
        return vectors

    def encode_text(self, tokens: Tensor) -> Tensor:
        """A unit vector a token: the last hidden states, also after the end token.

        Args:
            tokens: [B, L] ids, L = 77.

        Returns:
            [B, L, D].
        """
        x: Tensor = self.token_embedding(tokens) + self.positional_embedding
        with products_for(x):
            return F.normalize(self.ln_final(self.transformer(x, causal=True)), dim=-1)
