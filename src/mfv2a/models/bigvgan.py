"""BigVGAN: mel -> waveform by transposed convolutions and anti-aliased periodic activations.

At the sizes of `CONFIGS` it is the 16k vocoder of MMAudio and NVIDIA's v2 vocoder at 44.1 kHz, with their keys
once weight-norm pairs are folded (`mfv2a.models.upstream`). It does not know how the mel was made; the input is
log10-mel at 16k and natural log-mel at 44k, as the codecs give it.

Source: Lee et al., "BigVGAN: A Universal Neural Vocoder with Large-Scale Training", arXiv 2206.04658; the
activation's filters after Karras et al., "Alias-Free Generative Adversarial Networks", arXiv 2106.12423.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mfv2a.errors import ConfigError
from mfv2a.models.snake import TAPS, can_fuse, filtered_snake


@dataclass(frozen=True, kw_only=True)
class BigVGANConfig:
    """Sizes of the vocoder.

    Attributes:
        num_bands: mel bands M.
        dim: width before the first stage; every stage halves it.
        rates: up-sampling of each stage; their product is the hop.
        kernels: kernel of each stage's transposed convolution.
        block_kernels: kernels of the residual stacks that a stage averages.
        dilations: dilations of the rounds in a stack.
        last_bias: whether the last convolution has a bias.
        bound: how the output comes into [-1, 1].
        sample_rate_hz: that it was trained at.
    """

    num_bands: int = 80
    dim: int = 1536
    rates: tuple[int, ...] = (4, 4, 2, 2, 2, 2)
    kernels: tuple[int, ...] = (8, 8, 4, 4, 4, 4)
    block_kernels: tuple[int, ...] = (3, 7, 11)
    dilations: tuple[int, ...] = (1, 3, 5)
    last_bias: bool = True
    bound: Literal["tanh", "clamp"] = "tanh"
    sample_rate_hz: int = 16000

    def __post_init__(self) -> None:
        if len(self.rates) != len(self.kernels):
            raise ConfigError("rates and kernels must name as many stages", hint=f"{self.rates} and {self.kernels}")
        if self.dim % 2 ** len(self.rates):
            raise ConfigError(f"dim {self.dim} cannot be halved {len(self.rates)} times")

    @property
    def hop(self) -> int:
        """Samples a mel frame."""
        return math.prod(self.rates)

    @classmethod
    def tiny(cls) -> BigVGANConfig:
        """A narrow vocoder of two stages for tests, hop 256."""
        return cls(dim=16, rates=(16, 16), kernels=(32, 32), block_kernels=(3,), dilations=(1,))


CONFIGS: Mapping[str, BigVGANConfig] = MappingProxyType(
    {
        "16k": BigVGANConfig(),
        "44k": BigVGANConfig(
            num_bands=128,
            rates=(8, 4, 2, 2, 2, 2),
            kernels=(16, 8, 4, 4, 4, 4),
            last_bias=False,
            bound="clamp",
            sample_rate_hz=44100,
        ),
    }
)
"""The public vocoders."""


def lowpass_filter(cutoff: float = 0.25, half_width: float = 0.3) -> Tensor:
    """Kaiser-windowed sinc of 12 taps that sum to one: [1, 1, 12] float32.

    Args:
        cutoff: in cycles per sample.
        half_width: of the transition band, in cycles per sample.

    Source: Kaiser's design rule (attenuation from the transition's width, beta from the attenuation).
    """
    attenuation = 2.285 * (TAPS / 2 - 1) * math.pi * 4 * half_width + 7.95
    beta = 0.1102 * (attenuation - 8.7)
    window = torch.kaiser_window(TAPS, periodic=False, beta=beta, dtype=torch.float64, device="cpu")
    places = torch.arange(TAPS, dtype=torch.float64, device="cpu") - (TAPS - 1) / 2
    taps = window * torch.sinc(2 * cutoff * places)
    return (taps / taps.sum()).float().view(1, 1, TAPS)


class SnakeBeta(nn.Module):
    """x + sin²(e^alpha x) / e^beta with a frequency and a magnitude a channel, stored as logarithms."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(dim))
        self.beta = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, D, S] to [B, D, S]."""
        frequency, gain = self.waves()
        return torch.addcmul(x, torch.sin(x * frequency[:, None]).square(), gain[:, None])

    def waves(self) -> tuple[Tensor, Tensor]:
        """Frequency in radians and gain of each channel, [D] each."""
        return self.alpha.exp(), (self.beta.exp() + 1e-9).reciprocal()


class _Filter(nn.Module):
    filter: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("filter", lowpass_filter())


class _Upsample(_Filter):
    def forward(self, x: Tensor) -> Tensor:
        """Double the rate of [B, D, S]."""
        padded, dim = F.pad(x, (5, 5), mode="replicate"), x.shape[1]
        return F.conv_transpose1d(padded, (2 * self.filter).expand(dim, -1, -1), stride=2, padding=15, groups=dim)


class _Downsample(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lowpass = _Filter()

    def forward(self, x: Tensor) -> Tensor:
        """Halve the rate of [B, D, 2S]."""
        padded, dim = F.pad(x, (5, 6), mode="replicate"), x.shape[1]
        return F.conv1d(padded, self.lowpass.filter.expand(dim, -1, -1), stride=2, groups=dim)


class AntiAliased(nn.Module):
    """SnakeBeta at twice the rate, so that the overtones it makes are filtered and do not fold back."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.act = SnakeBeta(dim)
        self.upsample = _Upsample()
        self.downsample = _Downsample()

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, D, S] to [B, D, S]; in one pass where `snake.can_fuse` says so."""
        if can_fuse(x):
            up, down = 2 * self.upsample.filter, self.downsample.lowpass.filter
            fused: Tensor = filtered_snake(x, *self.act.waves(), up, down)
            return fused
        out: Tensor = self.downsample(self.act(self.upsample(x)))
        return out


class ResidualStack(nn.Module):
    """Rounds of two convolutions, each after an activation; the first of a round is dilated."""

    def __init__(self, dim: int, kernel: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(
            nn.Conv1d(dim, dim, kernel, dilation=d, padding=d * (kernel - 1) // 2) for d in dilations
        )
        self.convs2 = nn.ModuleList(nn.Conv1d(dim, dim, kernel, padding=(kernel - 1) // 2) for _ in dilations)
        self.activations = nn.ModuleList(AntiAliased(dim) for _ in range(2 * len(dilations)))

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, D, S] to [B, D, S]."""
        rounds = zip(self.convs1, self.convs2, self.activations[::2], self.activations[1::2], strict=True)
        for dilated, plain, first, second in rounds:
            x = x + plain(second(dilated(first(x))))
        return x


class BigVGAN(nn.Module):
    """Log-mel to waveform.

    Args:
        config: sizes.
    """

    def __init__(self, config: BigVGANConfig) -> None:
        super().__init__()
        self.config = config
        self.hop = config.hop
        self.conv_pre = nn.Conv1d(config.num_bands, config.dim, 7, padding=3)
        dims = [config.dim >> stage for stage in range(len(config.rates) + 1)]
        self.ups = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose1d(wide, wide // 2, kernel, rate, padding=(kernel - rate) // 2))
            for wide, kernel, rate in zip(dims[:-1], config.kernels, config.rates, strict=True)
        )
        self.resblocks = nn.ModuleList(
            ResidualStack(dim, kernel, config.dilations) for dim in dims[1:] for kernel in config.block_kernels
        )
        self.activation_post = AntiAliased(dims[-1])
        self.conv_post = nn.Conv1d(dims[-1], 1, 7, padding=3, bias=config.last_bias)

    def forward(self, mel: Tensor) -> Tensor:
        """Waveform [B, F * hop] in [-1, 1] of a log-mel [B, M, F]."""
        stacks = len(self.config.block_kernels)
        x: Tensor = self.conv_pre(mel)
        for stage, up in enumerate(self.ups):
            x = up(x)
            total = self.resblocks[stage * stacks](x)
            for j in range(1, stacks):
                total = total + self.resblocks[stage * stacks + j](x)
            x = total / stacks
        x = self.conv_post(self.activation_post(x))[:, 0]
        return x.tanh() if self.config.bound == "tanh" else x.clamp(-1, 1)
