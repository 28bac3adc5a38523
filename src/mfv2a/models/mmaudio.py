"""The multimodal transformer of MMAudio, also as an average velocity u(z, r, t).

Written once, at any size: the public MMAudio checkpoints and the embedded model are configurations of it.
It does not know how it is sampled or trained, or where conditions come from.

Source: Cheng et al., "MMAudio: Taming Multimodal Joint Training for High-Quality Video-to-Audio Synthesis", arXiv
2412.15322; the second time input after Geng et al., "Mean Flows for One-step Generative Modeling", arXiv 2505.13447.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mfv2a.errors import ConfigError
from mfv2a.models.blocks import (
    FinalLayer,
    GatedMLP,
    StreamBlock,
    TimeEmbedding,
    TokenConv,
    attend_together,
    linear_guess,
    rotary_table,
)
from mfv2a.models.linear import Linear

SYNC_PERIOD = 8
Streams = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True, kw_only=True)
class MMAudioConfig:
    """Sizes of the transformer.

    Attributes:
        latent_dim, clip_dim, sync_dim, text_dim: widths of the inputs.
        text_len: text tokens L.
        dim: width D; num_heads: heads H.
        joint_depth: blocks where audio, CLIP and text attend together; fused_depth: audio-only blocks after them.
        mlp_ratio: hidden width of the gated MLPs over D.
        feature_scale: factor of CLIP and text features before their projections. Features of unit length are tiny in
            each column, and the gated projections square them: with 1 a small network hardly learns to listen.
        time_scale: fastest angle of the time embedding, rad per unit of time (ignored for v2: 10000).
        v2: the variant of `large_44k_v2` (SiLU, one more activation, D-wide time embedding).
        average: predict the average velocity u(z, r, t): a second embedding of t - r whose last layer starts
            at zero, so that a network made from an instantaneous one starts equal to it.
        guided: take the weight of guidance as an input: a third embedding, of ln(1 + w), that starts at zero as well
            (Meng et al., arXiv 2210.03142, section 3.1). Goes with `average`.
        skip: add the best linear guess of the velocity from z and t alone, so that the blocks need not carry the
            noise through (preconditioning after Karras et al., arXiv 2206.00364, for the straight path with
            t = 1 noise: only for networks trained so).
        noise_at_zero: the weights were trained on a clock with noise at 0 and data at 1, as all public ones: time
            and sign are turned in `forward`, so that outside there is one clock, with noise at 1.
    """

    latent_dim: int
    clip_dim: int = 1024
    sync_dim: int = 768
    text_dim: int = 1024
    text_len: int = 77
    dim: int = 448
    num_heads: int = 7
    joint_depth: int = 4
    fused_depth: int = 8
    mlp_ratio: float = 4.0
    feature_scale: float = 1.0
    time_scale: float = 1.0
    v2: bool = False
    average: bool = False
    guided: bool = False
    skip: bool = False
    noise_at_zero: bool = False

    def __post_init__(self) -> None:
        if self.dim % self.num_heads or (self.dim // self.num_heads) % 2:
            raise ConfigError(f"dim {self.dim} must split into {self.num_heads} heads of an even width")
        if self.noise_at_zero and self.skip:
            raise ConfigError("a network on the turned clock has no skip")
        if self.guided and not self.average:
            raise ConfigError("guided goes with an average velocity", hint="[model] average = true")

    @classmethod
    def tiny(cls) -> MMAudioConfig:
        """A two-block network for tests."""
        return cls(
            latent_dim=20, clip_dim=384, sync_dim=64, text_dim=384, text_len=16, dim=64, num_heads=2,
            joint_depth=1, fused_depth=1, mlp_ratio=1.0, time_scale=5.0, average=True,
        )  # fmt: skip


CONFIGS: Mapping[str, MMAudioConfig] = MappingProxyType(
    {
        "small_16k": MMAudioConfig(latent_dim=20, noise_at_zero=True),
        "small_44k": MMAudioConfig(latent_dim=40, noise_at_zero=True),
        "medium_44k": MMAudioConfig(latent_dim=40, dim=896, num_heads=14, noise_at_zero=True),
    }
    | {
        name: MMAudioConfig(
            latent_dim=40, dim=896, num_heads=14, joint_depth=7, fused_depth=14, v2=v2, noise_at_zero=True
        )
        for name, v2 in (("large_44k", False), ("large_44k_v2", True))
    }
)
"""The public networks; all are instantaneous velocities."""


class Conditions(NamedTuple):
    """Projected conditions, independent of the latent and of time: compute once per clip.

    Attributes:
        clip, text: [B, V, D] and [B, L, D].
        sync: [B, N, D], at the latent rate.
        pooled: [B, D], what clip and text say globally.
    """

    clip: Tensor
    sync: Tensor
    text: Tensor
    pooled: Tensor


class JointBlock(nn.Module):
    """Audio, CLIP and text tokens attend together; each stream keeps its own weights."""

    def __init__(self, config: MMAudioConfig, *, last: bool) -> None:
        super().__init__()
        args, ratio = (config.dim, config.num_heads), config.mlp_ratio
        self.latent_block = StreamBlock(*args, mlp_ratio=ratio, kernel_size=3)
        self.clip_block = StreamBlock(*args, mlp_ratio=ratio, kernel_size=3, pre_only=last)
        self.text_block = StreamBlock(*args, mlp_ratio=ratio, kernel_size=1, pre_only=last)

    def forward(self, streams: Streams, per_token: Tensor, shared: Tensor, tables: tuple[Tensor, Tensor]) -> Streams:
        """Update (latent [B, N, D], clip [B, V, D], text [B, L, D]).

        Args:
            streams: the three streams.
            per_token: condition of the audio stream [B, N, D].
            shared: condition of the other streams [B, 1, D].
            tables: rotary tables of the audio and CLIP streams.
        """
        blocks = (self.latent_block, self.clip_block, self.text_block)
        out = attend_together(blocks, streams, (per_token, shared, shared), (*tables, None))
        return out[0], out[1], out[2]


class MMAudio(nn.Module):
    """Velocity of audio latents given video, sync and text features.

    Args:
        config: sizes.
    """

    latent_mean: Tensor
    latent_std: Tensor

    def __init__(self, config: MMAudioConfig) -> None:
        super().__init__()
        self.config = config
        d, hidden = config.dim, int(config.dim * config.mlp_ratio)
        act, first = ([nn.SiLU()], nn.SiLU()) if config.v2 else ([], nn.SELU())
        self.audio_input_proj = nn.Sequential(TokenConv(config.latent_dim, d, 7), first, GatedMLP(d, hidden, 7))
        self.clip_input_proj = nn.Sequential(Linear(config.clip_dim, d), *act, GatedMLP(d, hidden, 3))
        self.sync_input_proj = nn.Sequential(TokenConv(config.sync_dim, d, 7), first, GatedMLP(d, hidden, 3))
        self.text_input_proj = nn.Sequential(Linear(config.text_dim, d), *act, GatedMLP(d, hidden))
        self.clip_cond_proj = Linear(d, d)
        self.text_cond_proj = Linear(d, d)
        self.global_cond_mlp = GatedMLP(d, hidden)
        self.sync_pos_emb = nn.Parameter(torch.zeros(1, 1, SYNC_PERIOD, config.sync_dim))
        width, scale = (d, 10000.0) if config.v2 else (256, config.time_scale)
        self.t_embed = TimeEmbedding(d, width, scale)
        if config.average:
            self.h_embed = TimeEmbedding(d, width, scale)
        if config.guided:
            self.w_embed = TimeEmbedding(d, width, scale)
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
        self.empty_clip_feat = nn.Parameter(torch.zeros(1, config.clip_dim))
        self.empty_sync_feat = nn.Parameter(torch.zeros(1, config.sync_dim))

    def initialize(self, generator: torch.Generator | None = None) -> None:
        """Draw fresh weights: Xavier linears, zero modulations and output."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight, generator=generator)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Conv1d):
                bound = (module.in_channels * module.kernel_size[0]) ** -0.5
                nn.init.uniform_(module.weight, -bound, bound, generator=generator)
        for name, module in self.named_modules():
            if name.endswith("adaLN_modulation.1") or name == "final_layer.conv":
                nn.init.zeros_(module.weight)
                nn.init.zeros_(module.bias)
            if isinstance(module, TimeEmbedding):
                for linear in (module.mlp[0], module.mlp[2]):
                    nn.init.normal_(linear.weight, std=0.02, generator=generator)  # type: ignore[arg-type]
        for name in self.inputs_from_zero():
            nn.init.zeros_(self.get_submodule(name).mlp[2].weight)  # type: ignore[index, union-attr]

    def inputs_from_zero(self) -> tuple[str, ...]:
        """Names of the embeddings that a network of the instantaneous velocity lacks; what they add starts as zero."""
        return ("h_embed",) * self.config.average + ("w_embed",) * self.config.guided

    def fill_missing(
        self, clip_f: Tensor, sync_f: Tensor, text_f: Tensor, has_video: Tensor, has_text: Tensor
    ) -> Streams:
        """Put the learned empty features where a modality is missing.

        Args:
            clip_f: [B, V, clip_dim].
            sync_f: [B, Y, sync_dim].
            text_f: [B, L, text_dim].
            has_video: [B] bool.
            has_text: [B] bool.
        """
        video, text = has_video[:, None, None], has_text[:, None, None]
        return (
            torch.where(video, clip_f, self.empty_clip_feat.to(clip_f.dtype)),
            torch.where(video, sync_f, self.empty_sync_feat.to(sync_f.dtype)),
            torch.where(text, text_f, self.empty_string_feat.to(text_f.dtype)),
        )

    def encode_conditions(self, clip_f: Tensor, sync_f: Tensor, text_f: Tensor, num_latents: int) -> Conditions:
        """Project the conditions and bring sync to the latent rate.

        Args:
            clip_f: [B, V, clip_dim].
            sync_f: [B, Y, sync_dim].
            text_f: [B, L, text_dim].
            num_latents: N.
        """
        moments = torch.arange(sync_f.shape[1], device=sync_f.device)
        scale = self.config.feature_scale
        clip = self.clip_input_proj(scale * clip_f)
        sync = self.sync_input_proj(sync_f + self.sync_pos_emb[0, 0, moments % SYNC_PERIOD])
        text = self.text_input_proj(scale * text_f)
        # nearest-exact with float32 arithmetic, whatever the weights: two outputs of the 44k default sit on exact ties.
        nearest = F.interpolate(moments.float()[None, None], size=num_latents, mode="nearest-exact")[0, 0].long()
        pooled = self.clip_cond_proj(clip.mean(1)) + self.text_cond_proj(text.mean(1))
        return Conditions(clip, sync[:, nearest], text, self.global_cond_mlp(pooled))

    def forward(
        self, z: Tensor, *, t: Tensor, r: Tensor | None = None, guidance: Tensor | None = None, conditions: Conditions
    ) -> Tensor:
        """Velocity at z.

        Args:
            z: noisy latent [B, N, C], normalised.
            t: time [B], 1 is noise; in float64 it is turned without rounding where the network's clock is turned.
            r: end of the interval [B]; only for a network of the average velocity, where None means r = t.
            guidance: weight w [B], 0 or more; only for a network that is `guided`, where None means 1, no guidance.
            conditions: projected conditions of the same batch.

        Returns:
            [B, N, C].

        Raises:
            ConfigError: r was given to a network of the instantaneous velocity, or w to one that does not take it.
        """
        embedded = self.t_embed(1 - t if self.config.noise_at_zero else t)
        if self.config.average:
            embedded = embedded + self.h_embed(torch.zeros_like(t) if r is None else t - r)
        elif r is not None:
            raise ConfigError("an instantaneous velocity takes no second time")
        if self.config.guided:
            weight = torch.ones_like(t) if guidance is None else guidance.to(t)
            embedded = embedded + self.w_embed(weight.log1p())
        elif guidance is not None:
            raise ConfigError("this network does not take the weight of guidance")
        shared = (embedded + conditions.pooled)[:, None]
        per_token = shared + conditions.sync
        head_dim = self.config.dim // self.config.num_heads
        length, frames = z.shape[1], conditions.clip.shape[1]
        table = rotary_table(length, head_dim, device=z.device)
        clip_table = rotary_table(frames, head_dim, stretch=length / frames, device=z.device)
        latent, clip, text = self.audio_input_proj(z), conditions.clip, conditions.text
        for block in self.joint_blocks:
            latent, clip, text = block((latent, clip, text), per_token, shared, (table, clip_table))
        for block in self.fused_blocks:
            latent = block(latent, per_token, table)
        out: Tensor = self.final_layer(latent, shared)
        if self.config.noise_at_zero:
            return -out
        return out + linear_guess(z, t) if self.config.skip else out
