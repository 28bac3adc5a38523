"""The 1-D variational autoencoder over mel frames, with magnitude-preserving layers.

At the widths of the public 16k and 44k codecs it has their keys and shapes; the embedded model is a narrow one.
It does not know waveforms: mel in, latent out, and back.

Source: MMAudio, arXiv 2412.15322, section 3 and appendix; magnitude-preserving layers after Karras et al.,
"Analyzing and Improving the Training Dynamics of Diffusion Models", arXiv 2312.02696.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CLAMP = 256.0


@dataclass(frozen=True, kw_only=True)
class VAEConfig:
    """Sizes of the codec.

    Attributes:
        num_bands: mel bands M.
        dim: base width; the three levels have 1, 2 and 4 times it.
        latent_dim: C.
    """

    num_bands: int = 80
    dim: int = 384
    latent_dim: int = 20

    @classmethod
    def tiny(cls) -> VAEConfig:
        """A narrow codec for tests."""
        return cls(dim=8)


CONFIGS: Mapping[str, VAEConfig] = MappingProxyType(
    {"16k": VAEConfig(), "44k": VAEConfig(num_bands=128, dim=512, latent_dim=40)}
)
"""The public codecs."""


def unit_rms(x: Tensor, dim: int | tuple[int, ...]) -> Tensor:
    """Divide by the root mean square over `dim` plus 1e-4."""
    norm = torch.linalg.vector_norm(x, dim=dim, keepdim=True, dtype=torch.float32)
    scale: Tensor = 1e-4 + norm * float(norm.numel() / x.numel()) ** 0.5
    return x / scale.to(x.dtype)


def activate(x: Tensor) -> Tensor:
    """SiLU scaled to keep the magnitude of unit noise."""
    return F.silu(x) / 0.596


def mix(a: Tensor, b: Tensor) -> Tensor:
    """Weighted sum of skip and branch that keeps the magnitude: 0.7 to 0.3."""
    return (0.7 * a + 0.3 * b) / math.hypot(0.7, 0.3)


class UnitConv(nn.Module):
    """A convolution without bias whose kernel has unit norm per output channel.

    The stored weight is normalised at each use while training; `fold_weights` of the autoencoder does it once.
    """

    def __init__(self, in_dim: int, out_dim: int, kernel_size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_dim, in_dim, kernel_size))
        self.folded = False

    def kernel(self) -> Tensor:
        """The normalised kernel [out, in, k]."""
        if self.folded:
            return self.weight
        return unit_rms(self.weight, (1, 2)) / math.sqrt(self.weight[0].numel())

    def forward(self, x: Tensor, gain: Tensor | None = None) -> Tensor:
        """Convolve [B, in, F] to [B, out, F], the kernel times `gain` if one is given."""
        kernel = self.kernel() if gain is None else self.kernel() * gain
        return F.conv1d(x, kernel, padding=self.weight.shape[-1] // 2)


class ResBlock(nn.Module):
    """Two convolutions of kernel 3 beside a skip that carries the normalised input."""

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.conv1 = UnitConv(in_dim, out_dim, 3)
        self.conv2 = UnitConv(out_dim, out_dim, 3)
        if in_dim != out_dim:
            self.nin_shortcut = UnitConv(in_dim, out_dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, in, F] to [B, out, F]."""
        x = unit_rms(x, 1)
        h = self.conv2(activate(self.conv1(activate(x))))
        return mix(self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x, h)


class AttnBlock(nn.Module):
    """Single-head attention over frames; q, k and v lie innermost in the projection."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.qkv = UnitConv(dim, 3 * dim, 1)
        self.proj_out = UnitConv(dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, D, F] to [B, D, F]."""
        q, k, v = (unit_rms(y, 1).transpose(1, 2) for y in self.qkv(x).unflatten(1, (-1, 3)).unbind(2))
        attended = F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0]
        return mix(x, self.proj_out(attended.transpose(1, 2)))


class _Middle(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.block_1, self.attn_1, self.block_2 = ResBlock(dim, dim), AttnBlock(dim), ResBlock(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, D, F] to [B, D, F]."""
        out: Tensor = self.block_2(self.attn_1(self.block_1(x))).clamp(-CLAMP, CLAMP)
        return out


class _Downsample(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = UnitConv(dim, dim, 1), UnitConv(dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Halve the frames of [B, D, F]."""
        out: Tensor = self.conv2(F.avg_pool1d(self.conv1(x), 2))
        return out


class _Upsample(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv = UnitConv(dim, dim, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Double the frames of [B, D, F]."""
        out: Tensor = self.conv(x.repeat_interleave(2, -1))
        return out


class _Level(nn.Module):
    def __init__(self, dims: list[tuple[int, int]], resample: nn.Module | None, name: str) -> None:
        super().__init__()
        self.block = nn.ModuleList(ResBlock(a, b) for a, b in dims)
        self.resample = name if resample is not None else ""
        if resample is not None:
            setattr(self, name, resample)

    def forward(self, x: Tensor) -> Tensor:
        """Residual blocks, then the change of rate, if any."""
        for block in self.block:
            x = block(x).clamp(-CLAMP, CLAMP)
        return getattr(self, self.resample)(x) if self.resample else x


class Encoder(nn.Module):
    """Mel frames to the mean and log variance of latents."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        d = config.dim
        self.conv_in = UnitConv(config.num_bands, d, 3)
        self.down = nn.ModuleList(
            [
                _Level([(d, d), (d, d)], _Downsample(d), "downsample"),
                _Level([(d, 2 * d), (2 * d, 2 * d)], None, ""),
                _Level([(2 * d, 4 * d), (4 * d, 4 * d)], None, ""),
            ]
        )
        self.mid = _Middle(4 * d)
        self.conv_out = UnitConv(4 * d, 2 * config.latent_dim, 3)
        self.learnable_gain = nn.Parameter(torch.zeros([]))

    def forward(self, mel: Tensor) -> Tensor:
        """Map [B, M, F] to [B, 2C, F / 2]."""
        x = self.conv_in(mel)
        for level in self.down:
            x = level(x)
        out: Tensor = self.conv_out(activate(self.mid(x)), 1 + self.learnable_gain)
        return out


class Decoder(nn.Module):
    """Latents to mel frames."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        d = config.dim
        self.conv_in = UnitConv(config.latent_dim, 4 * d, 3)
        self.mid = _Middle(4 * d)
        self.up = nn.ModuleList(
            [
                _Level([(2 * d, d), (d, d), (d, d)], None, ""),
                _Level([(4 * d, 2 * d), (2 * d, 2 * d), (2 * d, 2 * d)], _Upsample(2 * d), "upsample"),
                _Level([(4 * d, 4 * d)] * 3, None, ""),
            ]
        )
        self.conv_out = UnitConv(d, config.num_bands, 3)
        self.learnable_gain = nn.Parameter(torch.zeros([]))

    def forward(self, latent: Tensor) -> Tensor:
        """Map [B, C, N] to [B, M, 2N]."""
        x = self.mid(self.conv_in(latent))
        for level in reversed(self.up):
            x = level(x)
        out: Tensor = self.conv_out(activate(x), 1 + self.learnable_gain)
        return out


class VAE(nn.Module):
    """Mel <-> latent; latents are channels-last and raw (not normalised).

    Args:
        config: sizes.
    """

    data_mean: Tensor
    data_std: Tensor

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.register_buffer("data_mean", torch.zeros(1, config.num_bands, 1))
        self.register_buffer("data_std", torch.ones(1, config.num_bands, 1))

    def fold_weights(self) -> None:
        """Normalise all kernels once, for inference."""
        for module in self.modules():
            if isinstance(module, UnitConv) and not module.folded:
                with torch.no_grad():
                    module.weight.copy_(module.kernel())
                module.folded = True

    def encode(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the raw latent, each [B, N, C], of a log-mel [B, M, 2N]."""
        mean, log_var = self.encoder((mel - self.data_mean) / self.data_std).transpose(1, 2).chunk(2, -1)
        return mean, (log_var.clamp(-30, 20) / 2).exp()

    def decode(self, raw_latent: Tensor) -> Tensor:
        """Log-mel [B, M, 2N] of a raw latent [B, N, C]."""
        out: Tensor = self.decoder(raw_latent.transpose(1, 2)) * self.data_std + self.data_mean
        return out
