"""The text-to-audio transformers of MeanAudio (average velocity) and FluxAudio (instantaneous velocity).

They are MMAudio's without video: audio and text attend together, then audio alone. A vector of the whole text joins the
times in the condition that all blocks share. They do not know how they are sampled, or what made text features.

Source: Li et al., "MeanAudio: Fast and Faithful Text-to-Audio Generation with Mean Flows", arXiv 2508.06098; the blocks
after Cheng et al., "MMAudio", arXiv 2412.15322.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mfv2a.errors import ConfigError
from mfv2a.models.blocks import (
    FinalLayer,
    GatedMLP,
    StreamBlock,
    TimeEmbedding,
    TokenConv,
    attend_together,
    rotary_table,
)
from mfv2a.models.linear import Linear


@dataclass(frozen=True, kw_only=True)
class MeanAudioConfig:
    """Sizes of the transformer.

    Attributes:
        latent_dim, text_dim, pooled_dim: widths of the latents, of text features and of the vector of a whole text.
        text_len: text tokens L.
        dim: width D; num_heads: heads H.
        joint_depth: blocks where audio and text attend together; fused_depth: audio-only blocks after them.
        mlp_ratio: hidden width of the gated MLPs over D.
        average: the network is the average velocity u(z, r, t), with an embedding of r beside that of t.
    """

    latent_dim: int = 20
    text_dim: int = 1024
    pooled_dim: int = 512
    text_len: int = 77
    dim: int = 448
    num_heads: int = 7
    joint_depth: int = 4
    fused_depth: int = 8
    mlp_ratio: float = 4.0
    average: bool = True

    def __post_init__(self) -> None:
        if self.dim % self.num_heads or (self.dim // self.num_heads) % 2:
            raise ConfigError(f"dim {self.dim} must split into {self.num_heads} heads of an even width")

    @classmethod
    def tiny(cls) -> MeanAudioConfig:
        """A two-block network for tests."""
        return cls(
            latent_dim=4, text_dim=8, pooled_dim=6, text_len=5, dim=16, num_heads=2, joint_depth=1, fused_depth=1,
            mlp_ratio=1.0,
        )  # fmt: skip


CONFIGS: Mapping[str, MeanAudioConfig] = MappingProxyType(
    {
        "s_full": MeanAudioConfig(),
        "s_ac": MeanAudioConfig(),
        "l_full": MeanAudioConfig(dim=896, num_heads=14),
        "flux_s_full": MeanAudioConfig(average=False),
    }
)
"""The public networks; their clock is ours, with noise at 1."""


class MeanAudioConditions(NamedTuple):
    """Projected conditions, independent of the latent and of time: compute once per clip.

    Attributes:
        text: [B, L, D].
        pooled: [B, D], what the text says globally.
    """

    text: Tensor
    pooled: Tensor


class JointBlock(nn.Module):
    """Audio and text tokens attend together; each stream keeps its own weights."""

    def __init__(self, config: MeanAudioConfig, *, last: bool) -> None:
        super().__init__()
        args, ratio = (config.dim, config.num_heads), config.mlp_ratio
        self.latent_block = StreamBlock(*args, mlp_ratio=ratio, kernel_size=3)
        self.text_block = StreamBlock(*args, mlp_ratio=ratio, kernel_size=1, pre_only=last)

    def forward(
        self, latent: Tensor, text: Tensor, shared: Tensor, tables: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Update latent [B, N, D] and text [B, L, D], given the condition [B, 1, D] and their rotary tables."""
        blocks = (self.latent_block, self.text_block)
        out = attend_together(blocks, (latent, text), (shared, shared), tables)
        return out[0], out[1]


class MeanAudio(nn.Module):
    """Velocity of audio latents given text features.

    Args:
        config: sizes.
    """

    latent_mean: Tensor
    latent_std: Tensor

    def __init__(self, config: MeanAudioConfig) -> None:
        super().__init__()
        self.config = config
        d, hidden = config.dim, int(config.dim * config.mlp_ratio)
        self.audio_input_proj = nn.Sequential(TokenConv(config.latent_dim, d, 7), nn.SELU(), GatedMLP(d, hidden, 7))
        self.text_input_proj = nn.Sequential(Linear(config.text_dim, d), GatedMLP(d, hidden))
        self.text_cond_proj = nn.Sequential(Linear(config.pooled_dim, d), GatedMLP(d, hidden))
        self.t_embed = TimeEmbedding(d)
        if config.average:
            self.r_embed = TimeEmbedding(d)
        depth = config.joint_depth
        self.joint_blocks = nn.ModuleList(JointBlock(config, last=i == depth - 1) for i in range(depth))
        self.fused_blocks = nn.ModuleList(
            StreamBlock(d, config.num_heads, mlp_ratio=config.mlp_ratio, kernel_size=3)
            for _ in range(config.fused_depth)
        )
        self.final_layer = FinalLayer(d, config.latent_dim)
        self.register_buffer("latent_mean", torch.zeros(1, 1, config.latent_dim))
        self.register_buffer("latent_std", torch.ones(1, 1, config.latent_dim))
        self.empty_string_feat = nn.Parameter(torch.zeros(config.text_len, config.text_dim))
        self.empty_string_feat_c = nn.Parameter(torch.zeros(config.pooled_dim))

    def fill_missing(self, text_f: Tensor, pooled_f: Tensor, has_text: Tensor) -> tuple[Tensor, Tensor]:
        """Put the learned empty features where there is no text.

        Args:
            text_f: [B, L, text_dim].
            pooled_f: [B, pooled_dim].
            has_text: [B] bool.
        """
        return (
            torch.where(has_text[:, None, None], text_f, self.empty_string_feat.to(text_f.dtype)),
            torch.where(has_text[:, None], pooled_f, self.empty_string_feat_c.to(pooled_f.dtype)),
        )

    def encode_conditions(self, text_f: Tensor, pooled_f: Tensor) -> MeanAudioConditions:
        """Project the conditions.

        Args:
            text_f: a feature a token [B, L, text_dim].
            pooled_f: a vector of the whole text [B, pooled_dim].
        """
        return MeanAudioConditions(self.text_input_proj(text_f), self.text_cond_proj(pooled_f))

    def forward(self, z: Tensor, *, t: Tensor, r: Tensor | None = None, conditions: MeanAudioConditions) -> Tensor:
        """Velocity at z.

        Args:
            z: noisy latent [B, N, C], normalised.
            t: time [B], 1 is noise.
            r: end of the interval [B]; only for a network of the average velocity, where None means r = t.
            conditions: projected conditions of the same batch.

        Returns:
            [B, N, C].

        Raises:
            ConfigError: r was given to a network of the instantaneous velocity.
        """
        embedded = self.t_embed(t)
        if self.config.average:
            embedded = embedded + self.r_embed(t if r is None else r)
        elif r is not None:
            raise ConfigError("an instantaneous velocity takes no second time")
        shared = (embedded + conditions.pooled)[:, None]
        head_dim, text = self.config.dim // self.config.num_heads, conditions.text
        table, text_table = (rotary_table(n, head_dim, device=z.device) for n in (z.shape[1], text.shape[1]))
        latent = self.audio_input_proj(z)
        for block in self.joint_blocks:
            latent, text = block(latent, text, shared, (table, text_table))
        for block in self.fused_blocks:
            latent = block(latent, shared, table)
        out: Tensor = self.final_layer(latent, shared)
        return out
