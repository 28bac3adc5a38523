"""Woosh's autoencoder: waveform <-> latent through complex spectra, without a mel and without a vocoder.

At the size of `CONFIGS` it is the public Woosh-AE: 48 kHz mono, 100 latents a second. It does not know what makes or
changes the latents.

Source: Hadjeres et al., "Woosh: A Sound Effects Foundation Model", arXiv 2604.01929; after Siuzdak, "Vocos: Closing the
gap between time-domain and Fourier-based neural vocoders", arXiv 2306.00814, with the blocks of Liu et al., "A ConvNet
for the 2020s", arXiv 2201.03545.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mfv2a.models.linear import Linear

EPS = 1e-6
LOUDEST = 1000.0
"""Bound of the squared length of a direction: a longer one is not brought to unit length."""


@dataclass(frozen=True, kw_only=True)
class WooshAutoencoderConfig:
    """Sizes of both halves.

    Attributes:
        latent_dim: channels C.
        dim: width D; inner_dim: hidden width of the blocks.
        n_fft: window of the transform, in samples; hop: samples between frames.
        encoder_depth, decoder_depth: blocks.
    """

    latent_dim: int = 128
    dim: int = 2048
    inner_dim: int = 3072
    n_fft: int = 960
    hop: int = 480
    encoder_depth: int = 8
    decoder_depth: int = 8

    @classmethod
    def tiny(cls) -> WooshAutoencoderConfig:
        """A narrow autoencoder for tests, hop 48."""
        return cls(latent_dim=8, dim=48, inner_dim=80, n_fft=96, hop=48, encoder_depth=2, decoder_depth=3)


CONFIGS: Mapping[str, WooshAutoencoderConfig] = MappingProxyType({"48k": WooshAutoencoderConfig()})
"""The public autoencoder."""


class _ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of [B, D, N]."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, D, N] to [B, D, N]."""
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


class _Block(nn.Module):
    """Depthwise convolution along time, then a pointwise MLP with a gain a channel."""

    def __init__(self, dim: int, inner: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv1d(dim, dim, 7, padding=3, groups=dim)
        self.norm = nn.LayerNorm(dim, eps=EPS)
        self.pwconv1, self.pwconv2 = Linear(dim, inner), Linear(inner, dim)
        self.gamma = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, D, N] to [B, D, N]."""
        h = self.norm(self.dwconv(x).transpose(1, 2))
        out: Tensor = x + (self.gamma * self.pwconv2(F.gelu(self.pwconv1(h)))).transpose(1, 2)
        return out


class _Backbone(nn.Module):
    """What both halves are made of."""

    def __init__(self, channels: int, config: WooshAutoencoderConfig, depth: int) -> None:
        super().__init__()
        self.embed = nn.Conv1d(channels, config.dim, 7, padding=3)
        self.norm = _ChannelNorm(config.dim)
        self.convnext = nn.ModuleList(_Block(config.dim, config.inner_dim) for _ in range(depth))
        self.final_layer_norm = _ChannelNorm(config.dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, channels, N] to [B, D, N]."""
        x = self.norm(self.embed(x))
        for block in self.convnext:
            x = block(x)
        out: Tensor = self.final_layer_norm(x)
        return out


class Encoder(nn.Module):
    """Waveform to raw latent."""

    def __init__(self, config: WooshAutoencoderConfig) -> None:
        super().__init__()
        self.n_fft, self.hop = config.n_fft, config.hop
        self.backbone = _Backbone(config.n_fft + 2, config, config.encoder_depth)
        self.proj = nn.Conv1d(config.dim, config.latent_dim, 3, padding=1)

    def spectrum(self, wave: Tensor) -> Tensor:
        """Real, then imaginary parts [B, n_fft + 2, N] of a waveform [B, S], float32."""
        window = torch.hann_window(self.n_fft, device=wave.device)
        bins = torch.stft(wave.float(), self.n_fft, self.hop, window=window, return_complex=True)
        return torch.cat([bins.real, bins.imag], 1)

    def forward(self, wave: Tensor) -> Tensor:
        """Map [B, S] to [B, C, S // hop + 1]."""
        out: Tensor = self.proj(self.backbone(self.spectrum(wave).to(self.proj.weight.dtype)))
        return out


class _Head(nn.Module):
    """Features to a complex spectrum: a magnitude, and a direction in the plane."""

    def __init__(self, config: WooshAutoencoderConfig) -> None:
        super().__init__()
        self.out = nn.Conv1d(config.dim, 3 * (config.n_fft // 2 + 1), 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, D, N] to a spectrum [B, n_fft / 2 + 1, N], complex64."""
        magnitude, real, imaginary = self.out(x).float().chunk(3, 1)
        length = (real.square() + imaginary.square()).clamp(1e-8, LOUDEST).sqrt()
        gain = F.softplus(magnitude) / length
        return torch.complex(gain * real, gain * imaginary)


class Decoder(nn.Module):
    """Raw latent to waveform."""

    def __init__(self, config: WooshAutoencoderConfig) -> None:
        super().__init__()
        self.n_fft, self.hop = config.n_fft, config.hop
        self.backbone = _Backbone(config.latent_dim, config, config.decoder_depth)
        self.head = _Head(config)

    def forward(self, raw_latent: Tensor) -> Tensor:
        """Map [B, C, N] to [B, (N - 1) * hop], float32."""
        bins = self.head(self.backbone(raw_latent))
        window = torch.hann_window(self.n_fft, device=bins.device)
        return torch.istft(bins, self.n_fft, self.hop, window=window)


class WooshAutoencoder(nn.Module):
    """Waveform <-> latent; latents are channels-last and normalised.

    Args:
        config: sizes.
    """

    z_mean: Tensor
    z_std: Tensor

    def __init__(self, config: WooshAutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        self.hop = config.hop
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.register_buffer("z_mean", torch.zeros(config.latent_dim))
        self.register_buffer("z_std", torch.ones(config.latent_dim))

    def encode(self, wave: Tensor) -> Tensor:
        """Latent [B, S // hop + 1, C] of a waveform [B, S] in [-1, 1], S more than n_fft / 2."""
        latent: Tensor = (self.encoder(wave).transpose(1, 2) - self.z_mean) / self.z_std
        return latent

    def decode(self, latent: Tensor) -> Tensor:
        """Waveform [B, (N - 1) * hop] of a latent [B, N, C]; it may leave [-1, 1]."""
        wave: Tensor = self.decoder((latent * self.z_std + self.z_mean).transpose(1, 2))
        return wave
