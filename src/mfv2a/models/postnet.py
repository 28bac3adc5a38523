"""A stochastic post-net: what the codec smoothed away comes back into the mel, drawn anew.

A codec of few numbers keeps the envelope of rain or of a motor and loses its grain: it answers with the mean of all
that could have been, and that sounds like a hum. From the same mean and noise this network draws one of them. It is
trained on pairs of mel and decoded mel (`mfv2a.training.tasks.PostNetTask`), and does not know latents.

Source: the post-net over decoded mel is that of Tacotron 2, Shen et al., arXiv 1712.05884; that it is given noise, and
a proper scoring rule to learn from, is this project's.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mfv2a.models.convnext import ConvNeXtBlock
from mfv2a.models.griffinlim import GriffinLim
from mfv2a.models.istft import ISTFTVocoder


@dataclass(frozen=True, kw_only=True)
class PostNetConfig:
    """Sizes of the post-net.

    Attributes:
        num_bands: mel bands M.
        dim: width; depth: residual blocks.
        noise_dim: values of noise a frame.
    """

    num_bands: int = 80
    dim: int = 160
    depth: int = 5
    noise_dim: int = 80

    @classmethod
    def tiny(cls) -> PostNetConfig:
        """A narrow post-net for tests."""
        return cls(dim=16, depth=1)


class PostNet(nn.Module):
    """Log10-mel to log10-mel of the same frames.

    Args:
        config: sizes.
    """

    def __init__(self, config: PostNetConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = nn.Conv1d(config.num_bands + config.noise_dim, config.dim, 5, padding=2)
        self.blocks = nn.ModuleList(ConvNeXtBlock(config.dim, 1 / config.depth) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.dim)
        self.head = nn.Linear(config.dim, config.num_bands)

    def forward(self, mel: Tensor, noise: Tensor) -> Tensor:
        """Draw a mel [B, M, F] around a decoded one [B, M, F] with unit noise [B, noise_dim, F]."""
        x = self.stem(torch.cat([mel / 2 + 1, noise], 1))
        for block in self.blocks:
            x = block(x)
        out: Tensor = mel + self.head(self.norm(x.transpose(1, 2))).transpose(1, 2)
        return out

    def refine(self, mel: Tensor) -> Tensor:
        """The same with noise from a fixed generator, the same for each item and, frame by frame, for each length."""
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(mel.shape[-1], self.config.noise_dim, generator=generator).T
        return self.forward(mel, noise.to(mel).expand(len(mel), -1, -1))


class RefinedVocoder(nn.Module):
    """A post-net before a vocoder.

    Args:
        post_net: draws the mel.
        vocoder: decodes it.
    """

    def __init__(self, post_net: PostNet, vocoder: GriffinLim | ISTFTVocoder) -> None:
        super().__init__()
        self.post_net, self.vocoder = post_net, vocoder
        self.hop = vocoder.hop

    def forward(self, mel: Tensor) -> Tensor:
        """Waveform [B, F * hop] of a log10-mel [B, M, F]."""
        wave: Tensor = self.vocoder(self.post_net.refine(mel))
        return wave
