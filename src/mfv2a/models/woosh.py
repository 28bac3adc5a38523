"""Woosh's flow maps: the average velocity of audio latents, given text and, for one of the two, video.

At the sizes of `CONFIGS` they are the public Woosh-DVFlow-8s (video and text) and Woosh-DFlow (text alone). Both are
distilled to a few steps, with the strength of guidance as an input. They do not know how they are sampled, or what made
their latents (`woosh_autoencoder.py`), text states (`roberta.py`) or video features (`synchformer.py`).

Source: Hadjeres et al., "Woosh: A Sound Effects Foundation Model", arXiv 2604.01929; the rotary frequencies after
Peng et al., "YaRN: Efficient Context Window Extension of Large Language Models", arXiv 2309.00071.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mfv2a.errors import ConfigError
from mfv2a.models.blocks import modulate, sinusoids
from mfv2a.models.linear import Linear
from mfv2a.models.woosh_layers import AUDIO, EPS, TEXT, VIDEO, FusedLayer, JointLayer, LayerSizes


@dataclass(frozen=True, kw_only=True)
class WooshConfig:
    """Sizes of the transformer.

    Attributes:
        latent_dim, text_dim: widths of the inputs.
        video_dim: width of the video features; 0 for a network without video.
        text_len: text tokens L.
        dim: width D; num_heads: heads H; inner_dim: hidden width of the MLPs.
        joint_depth: layers where each stream has its own weights; fused_depth: layers after them that share theirs.
        rotated_dim: channels of a head that carry its place; the rest of the head does not.
        time_width: sinusoids of each of the two times and of the strength of guidance.
        positions: longest sequence of latents, and of video features.
        trained_positions: length from which the rotary frequencies are stretched.
        stretch: factor of the slowest of them; edges: turns over `trained_positions` from which on (down to which)
            a frequency is left alone (is stretched in full).
        latent_rate_hz, video_rate_hz: latents and video features a second.
    """

    latent_dim: int = 128
    text_dim: int = 1024
    video_dim: int = 768
    text_len: int = 77
    dim: int = 1024
    num_heads: int = 8
    inner_dim: int = 4096
    joint_depth: int = 6
    fused_depth: int = 6
    rotated_dim: int = 112
    time_width: int = 256
    positions: int = 1002
    trained_positions: int = 501
    stretch: float = 40.0
    edges: tuple[float, float] = (32.0, 1.0)
    latent_rate_hz: float = 100.0
    video_rate_hz: float = 24.0

    def __post_init__(self) -> None:
        if self.dim % self.num_heads:
            raise ConfigError(f"dim {self.dim} must split into {self.num_heads} heads")
        if self.rotated_dim % 2 or self.rotated_dim > self.dim // self.num_heads:
            raise ConfigError(f"rotated_dim {self.rotated_dim} must be even and fit in a head")

    @classmethod
    def tiny(cls) -> WooshConfig:
        """Two joint and two fused layers, for tests."""
        return cls(
            latent_dim=8, text_dim=24, video_dim=20, text_len=9, dim=64, num_heads=2, inner_dim=96,
            joint_depth=2, fused_depth=2, rotated_dim=28, time_width=16, positions=82, trained_positions=41,
        )  # fmt: skip


CONFIGS: Mapping[str, WooshConfig] = MappingProxyType({"dvflow_8s": WooshConfig(), "dflow": WooshConfig(video_dim=0)})
"""The public networks."""


class WooshConditions(NamedTuple):
    """Projected conditions, independent of the latent and of time: compute once per clip.

    Attributes:
        text: [B, L, D].
        video: [B, Y, D], or None for a network without video.
    """

    text: Tensor
    video: Tensor | None


def rotary_frequencies(config: WooshConfig, device: torch.device | str = "cpu") -> Tensor:
    """Angles per latent [d / 2], in rad: 10000^(-2k/d), of which slow ones are stretched, with a ramp between."""
    dim, base = config.dim // config.num_heads, 10000.0
    fast = 1.0 / base ** (torch.arange(0, dim, 2, dtype=torch.float32, device=device) / dim)
    first, last = (
        dim * math.log(config.trained_positions / (2 * math.pi * turns)) / (2 * math.log(base))
        for turns in config.edges
    )
    low, high = max(math.floor(first), 0), min(math.ceil(last), dim - 1)
    places = torch.arange(dim // 2, dtype=torch.float32, device=device)
    ramp = ((places - low) / max(high - low, 0.001)).clamp(0, 1)
    return fast * (1 - ramp) + fast / config.stretch * ramp


def rotary_tables(config: WooshConfig, device: torch.device | str = "cpu") -> dict[str, Tensor]:
    """Cosines and sines [2, rows, d / 2] for each stream, float32, at all its places.

    The memory token before the latents stands in the middle of all places, text nowhere, video on the latents' clock.
    """
    frequencies = rotary_frequencies(config, device)
    places = torch.arange(config.positions, dtype=torch.float32, device=device)
    middle = torch.full((1,), float(config.positions // 2), device=device)
    streams = {AUDIO: torch.cat([middle, places]), TEXT: torch.zeros(config.text_len, device=device)}
    if config.video_dim:
        streams[VIDEO] = places * (config.latent_rate_hz / config.video_rate_hz)
    angles = {name: at[:, None] * frequencies for name, at in streams.items()}
    return {name: torch.stack([angle.cos(), angle.sin()]) for name, angle in angles.items()}


class _Inputs(nn.Module):
    """Latents and text to tokens."""

    def __init__(self, config: WooshConfig) -> None:
        super().__init__()
        self.memory_tokens_rope = nn.Parameter(torch.randn(1, 1, config.dim))
        self.project_in = Linear(config.latent_dim, config.dim)
        self.description_pad = nn.Parameter(torch.randn(config.text_len, config.text_dim))
        self.to_cond_embed = _silu_mlp(config.text_dim, config.inner_dim, config.dim)

    def latent(self, z: Tensor) -> Tensor:
        """The memory token and the latents [B, N, C] as tokens [B, 1 + N, D]."""
        return torch.cat([self.memory_tokens_rope.expand(len(z), -1, -1), self.project_in(z)], 1)

    def text(self, states: Tensor, mask: Tensor) -> Tensor:
        """States [B, L, text_dim] as tokens [B, L, D]; a learned row stands where the mask [B, L] is false."""
        out: Tensor = self.to_cond_embed(torch.where(mask[..., None], states, self.description_pad.to(states.dtype)))
        return out


class _Times(nn.Module):
    """Both times and the strength of guidance to one vector."""

    def __init__(self, config: WooshConfig) -> None:
        super().__init__()
        self.width = config.time_width
        self.to_timestep_embed = _silu_mlp(3 * config.time_width, config.inner_dim, config.dim)

    def forward(self, t: Tensor, r: Tensor, guidance: Tensor) -> Tensor:
        """Embed three numbers, each [B], as [B, D]."""
        waves = torch.cat([sinusoids(number, self.width) for number in (t, r, guidance)], -1)
        weight: Tensor = self.to_timestep_embed[0].weight  # type: ignore[assignment]
        return F.silu(self.to_timestep_embed(waves.to(weight.dtype)))


class _Last(nn.Module):
    """Modulated norm and a linear map to the latent channels."""

    def __init__(self, config: WooshConfig) -> None:
        super().__init__()
        self.mod_proj = Linear(config.dim, 2 * config.dim)
        self.linear = Linear(config.dim, config.latent_dim)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Map [B, N, D] to [B, N, C], given the condition [B, 1, D]."""
        shift, scale = self.mod_proj(condition).chunk(2, -1)
        out: Tensor = self.linear(modulate(x, shift, scale, eps=EPS))
        return out


def _silu_mlp(width: int, inner: int, out: int) -> nn.Sequential:
    return nn.Sequential(Linear(width, inner), nn.SiLU(), Linear(inner, out))


class Woosh(nn.Module):
    """Average velocity of audio latents given text states and video features.

    Args:
        config: sizes.
    """

    def __init__(self, config: WooshConfig) -> None:
        super().__init__()
        self.config = config
        self.inputs, self.times, self.last = _Inputs(config), _Times(config), _Last(config)
        self.video_input = Linear(config.video_dim, config.dim, bias=False) if config.video_dim else None
        names = (AUDIO, TEXT, VIDEO) if config.video_dim else (AUDIO, TEXT)
        sizes = LayerSizes(config.dim, config.num_heads, config.inner_dim, config.rotated_dim)
        joint = [JointLayer(sizes, names) for _ in range(config.joint_depth)]
        self.layers = nn.ModuleList([*joint, *(FusedLayer(sizes) for _ in range(config.fused_depth))])

    def encode_conditions(self, text_f: Tensor, text_mask: Tensor, video_f: Tensor | None = None) -> WooshConditions:
        """Project the conditions.

        Args:
            text_f: states of the text encoder [B, L, text_dim], L = 77; with no words those of an empty text.
            text_mask: [B, L] bool, true where there is a token.
            video_f: [B, Y, video_dim], a feature a video frame; for a network with video only, and needed there.

        Raises:
            ConfigError: video features are missing, or given to a network without video.
        """
        if (video_f is None) != (self.video_input is None):
            raise ConfigError("this network needs video features" if video_f is None else "this network sees no video")
        text = self.inputs.text(text_f, text_mask)
        return WooshConditions(text, None if self.video_input is None else self.video_input(video_f))

    def forward(self, z: Tensor, *, t: Tensor, r: Tensor, guidance: Tensor, conditions: WooshConditions) -> Tensor:
        """Average velocity at z over [r, t].

        Args:
            z: noisy latent [B, N, C], normalised.
            t: time [B], 1 is noise.
            r: end of the interval [B].
            guidance: strength of the guidance distilled into the network [B]; 1 is none.
            conditions: projected conditions of the same batch.

        Returns:
            [B, N, C].

        Raises:
            ConfigError: more latents or video features than the network has places for.
        """
        streams = {AUDIO: self.inputs.latent(z), TEXT: conditions.text}
        if conditions.video is not None:
            streams[VIDEO] = conditions.video
        tables, longest = rotary_tables(self.config, z.device), self.config.positions
        for name in (AUDIO, VIDEO):
            if name in streams and streams[name].shape[1] > tables[name].shape[1]:
                raise ConfigError(f"more than {longest} latents or video features", hint="cut the clip into windows")
        condition = self.times(t, r, guidance)[:, None]
        depth = self.config.joint_depth
        for layer in self.layers[:depth]:
            streams = layer(streams, condition, tables)
        tokens = torch.cat(list(streams.values()), 1)
        # Here token n takes row n of all tables laid end to end, so that words stand after the latents and most video
        # features after them: the public weights were trained so.
        table = torch.cat(list(tables.values()), 1)
        for layer in self.layers[depth:]:
            tokens = layer(tokens, condition, table)
        # The trunk predicts data - noise.
        out: Tensor = -self.last(tokens[:, 1 : 1 + z.shape[1]], condition)
        return out
