"""Networks that tell true from made sound, for adversarial training of the codec and the vocoder. Not used to dub.

Each gives scores, higher for what it takes to be true, and the features of its layers, which feature matching compares.

Sources: patches, Isola et al., arXiv 1611.07004; periods, Kong et al., "HiFi-GAN", arXiv 2010.05646; resolutions, Jang
et al., "UnivNet", arXiv 2106.07889. Here with fewer channels than there.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

SLOPE = 0.1
PERIODS = (2, 3, 5, 7, 11)
RESOLUTIONS = ((1024, 256), (512, 128), (256, 64))
"""Of the discriminators on spectra: transform length and hop in samples."""

Judgement = tuple[Tensor, list[Tensor]]
"""Scores of any shape, one row an item, and features of the layers before."""


class _Stack(nn.Module):
    """Convolutions with leaky rectifiers between them; the last one scores."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(weight_norm(layer) for layer in layers)

    def forward(self, x: Tensor) -> Judgement:
        """Judge images [B, C, H, W]."""
        features = []
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x), SLOPE)
            features.append(x)
        return self.layers[-1](x), features


class MelDiscriminator(nn.Module):
    """Patches of a normalised log-mel, as it is and at half its resolution.

    Args:
        dim: channels of the first layer.
    """

    def __init__(self, dim: int = 32) -> None:
        super().__init__()

        def stack() -> _Stack:
            return _Stack(
                [
                    nn.Conv2d(1, dim, (5, 5), padding=2),
                    nn.Conv2d(dim, 2 * dim, (5, 5), stride=2, padding=2),
                    nn.Conv2d(2 * dim, 4 * dim, (5, 5), stride=2, padding=2),
                    nn.Conv2d(4 * dim, 4 * dim, (3, 3), padding=1),
                    nn.Conv2d(4 * dim, 1, (3, 3), padding=1),
                ]
            )

        self.stacks = nn.ModuleList([stack(), stack()])

    def forward(self, mel: Tensor) -> list[Judgement]:
        """Judge [B, M, F]."""
        image = mel[:, None]
        return [self.stacks[0](image), self.stacks[1](F.avg_pool2d(image, 2))]


class _PeriodDiscriminator(nn.Module):
    def __init__(self, period: int, dim: int) -> None:
        super().__init__()
        self.period = period
        widths = [1, dim, 2 * dim, 4 * dim, 8 * dim]
        layers = [nn.Conv2d(a, b, (5, 1), stride=(3, 1), padding=(2, 0)) for a, b in pairwise(widths)]
        last = widths[-1]
        self.stack = _Stack(
            [*layers, nn.Conv2d(last, last, (5, 1), padding=(2, 0)), nn.Conv2d(last, 1, (3, 1), padding=(1, 0))]
        )

    def forward(self, wave: Tensor) -> Judgement:
        """Judge waves [B, S], folded so that samples a period apart lie side by side."""
        samples = wave.shape[1] // self.period * self.period
        judged: Judgement = self.stack(wave[:, :samples].unflatten(1, (-1, self.period))[:, None])
        return judged


class _ResolutionDiscriminator(nn.Module):
    window: Tensor

    def __init__(self, n_fft: int, hop: int, dim: int) -> None:
        super().__init__()
        self.n_fft, self.hop = n_fft, hop
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        wide = {"kernel_size": (3, 9), "padding": (1, 4)}
        self.stack = _Stack(
            [
                nn.Conv2d(2, dim, **wide),  # type: ignore[arg-type]
                *(nn.Conv2d(dim, dim, stride=(1, 2), **wide) for _ in range(3)),  # type: ignore[arg-type]
                nn.Conv2d(dim, dim, 3, padding=1),
                nn.Conv2d(dim, 1, 3, padding=1),
            ]
        )

    def forward(self, wave: Tensor) -> Judgement:
        """Judge waves [B, S] by real and imaginary part of their spectra, [B, 2, frames, bins]."""
        spectrum = torch.stft(wave.float(), self.n_fft, self.hop, window=self.window, return_complex=True)
        judged: Judgement = self.stack(torch.view_as_real(spectrum).permute(0, 3, 2, 1))
        return judged


class WaveDiscriminator(nn.Module):
    """Waves by samples a period apart and by spectra at several resolutions.

    Args:
        dim: channels of the first layers; the discriminators of periods grow to eight times as many.
    """

    def __init__(self, dim: int = 32) -> None:
        super().__init__()
        by_period = [_PeriodDiscriminator(period, dim) for period in PERIODS]
        self.parts = nn.ModuleList([*by_period, *(_ResolutionDiscriminator(*size, dim) for size in RESOLUTIONS)])

    def forward(self, wave: Tensor) -> list[Judgement]:
        """Judge [B, S]."""
        return [part(wave) for part in self.parts]
