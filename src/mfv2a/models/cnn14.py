"""PANNs' Cnn14 for 16 kHz: what is heard among 527 classes of AudioSet, and 2048 values that tell sounds apart.

Keys are those of the published file, but for the front end: its Fourier kernels are dropped, its mel filters kept. A
judge of the field's measures; knows waves, not files.

Source: Kong et al., "PANNs: Large-Scale Pretrained Audio Neural Networks for Audio Pattern Recognition",
arXiv 1912.10211.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_LEAST_POWER = 1e-10
_DOUBLED = 5  # blocks whose picture is halved
_SHORTEST_S = 0.64  # the halvings need 32 frames and more


@dataclass(frozen=True, kw_only=True)
class Cnn14Config:
    """Sizes of the network.

    Attributes:
        sample_rate_hz: of what it hears.
        window: samples of a spectrum, also the FFT size; hop: from one to the next.
        mel_bins: M.
        channels: width of each block.
        classes: C.
    """

    sample_rate_hz: int = 16_000
    window: int = 512
    hop: int = 160
    mel_bins: int = 64
    channels: tuple[int, ...] = (64, 128, 256, 512, 1024, 2048)
    classes: int = 527

    @classmethod
    def tiny(cls) -> Cnn14Config:
        """Narrow blocks, for tests."""
        return cls(channels=(4, 4, 4, 4, 8, 16), classes=7)


CONFIGS: Mapping[str, Cnn14Config] = MappingProxyType({"16k": Cnn14Config()})
"""The public network."""


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, F, M] to [B, C', F, M]."""
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)))


class Cnn14(nn.Module):
    """Waves to embeddings and class logits.

    Args:
        config: sizes.
    """

    def __init__(self, config: Cnn14Config) -> None:
        super().__init__()
        self.config = config
        self.filters = nn.Parameter(torch.zeros(config.window // 2 + 1, config.mel_bins))
        self.bn0 = nn.BatchNorm2d(config.mel_bins)
        widths = (1, *config.channels)
        for place, (inputs, outputs) in enumerate(pairwise(widths), 1):
            self.add_module(f"conv_block{place}", _Block(inputs, outputs))
        self.fc1 = nn.Linear(widths[-1], widths[-1])
        self.fc_audioset = nn.Linear(widths[-1], config.classes)

    def forward(self, wave: Tensor) -> tuple[Tensor, Tensor]:
        """Hear waves.

        Args:
            wave: [B, S] in [-1, 1]; shorter than 0.64 s is padded with silence.

        Returns:
            embeddings [B, D] and logits [B, C].
        """
        x = self.bn0(self.log_mel(wave).transpose(1, 3)).transpose(1, 3)
        for place in range(1, len(self.config.channels) + 1):
            x = self.get_submodule(f"conv_block{place}")(x)
            if place <= _DOUBLED:
                x = F.avg_pool2d(x, 2)
        x = x.mean(dim=3)
        embeddings = F.relu(self.fc1(x.amax(dim=2) + x.mean(dim=2)))
        return embeddings, self.fc_audioset(embeddings)

    def log_mel(self, wave: Tensor) -> Tensor:
        """Mel powers in dB of waves [B, S]: [B, 1, F, M]."""
        c = self.config
        shortest = round(_SHORTEST_S * c.sample_rate_hz)
        if wave.shape[-1] < shortest:
            wave = F.pad(wave, (0, shortest - wave.shape[-1]))
        window = torch.hann_window(c.window, periodic=True, dtype=wave.dtype, device=wave.device)
        spectrum = torch.stft(wave, c.window, c.hop, window=window, pad_mode="reflect", return_complex=True)
        power = spectrum.abs().square().transpose(1, 2)
        return 10 * torch.log10((power @ self.filters).clamp_min(_LEAST_POWER))[:, None]
