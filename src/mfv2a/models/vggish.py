"""VGGish: 128 values for each 0.96 s of a sound, of which Frechet audio distances are taken.

Its front end is YAMNet's with another floor and patches that do not overlap. Values are those before the last ReLU,
without the PCA of the AudioSet release. A judge of the field's measures; knows waves, not files.

Source: Hershey et al., "CNN Architectures for Large-Scale Audio Classification", arXiv 1609.09430; parameters of the
TensorFlow model garden, research/audioset/vggish.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mfv2a.models.yamnet import FFT, HOP, MEL_BINS, PATCH_FRAMES, WINDOW, mel_triangles

FLOOR = 0.01
_SHORTEST = WINDOW + (PATCH_FRAMES - 1) * HOP


@dataclass(frozen=True, kw_only=True)
class VGGishConfig:
    """Sizes of the network.

    Attributes:
        channels: width of each convolution, 0 where the picture is halved.
        hidden: width of the two hidden layers.
        out_dim: D.
    """

    channels: tuple[int, ...] = (64, 0, 128, 0, 256, 256, 0, 512, 512, 0)
    hidden: int = 4096
    out_dim: int = 128

    @classmethod
    def tiny(cls) -> VGGishConfig:
        """Narrow layers, for tests."""
        return cls(channels=(4, 0, 4, 0, 4, 4, 0, 8, 8, 0), hidden=16, out_dim=8)


CONFIGS: Mapping[str, VGGishConfig] = MappingProxyType({"public": VGGishConfig()})
"""The public network."""


class VGGish(nn.Module):
    """Waves to embeddings of their patches.

    Args:
        config: sizes.
    """

    def __init__(self, config: VGGishConfig) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = 1
        for channels in config.channels:
            if channels:
                layers += [nn.Conv2d(width, channels, 3, padding=1), nn.ReLU()]
                width = channels
            else:
                layers.append(nn.MaxPool2d(2))
        shrunk = 2 ** config.channels.count(0)
        flat = width * (PATCH_FRAMES // shrunk) * (MEL_BINS // shrunk)
        self.features = nn.Sequential(*layers)
        self.embeddings = nn.Sequential(
            nn.Linear(flat, config.hidden),
            nn.ReLU(),
            nn.Linear(config.hidden, config.hidden),
            nn.ReLU(),
            nn.Linear(config.hidden, config.out_dim),
        )

    def forward(self, wave: Tensor) -> Tensor:
        """Hear waves.

        Args:
            wave: [B, S] at 16 kHz in [-1, 1]; shorter than 0.975 s is padded with silence.

        Returns:
            [B, P, D], a row for each whole 0.96 s.
        """
        patches = self.patches(wave)
        maps = self.features(patches.flatten(0, 1)[:, None])
        out: Tensor = self.embeddings(maps.permute(0, 2, 3, 1).flatten(1))  # as TensorFlow flattens: channels last
        rows: Tensor = out.unflatten(0, patches.shape[:2])
        return rows

    def patches(self, wave: Tensor) -> Tensor:
        """Log-mel patches of waves [B, S]: [B, P, 96, 64]; a rest too short for a patch is dropped."""
        if wave.shape[-1] < _SHORTEST:
            wave = F.pad(wave, (0, _SHORTEST - wave.shape[-1]))
        framed = wave.unfold(-1, WINDOW, HOP) * torch.hann_window(WINDOW, periodic=True, device=wave.device)
        magnitude = torch.fft.rfft(framed, n=FFT).abs()
        log_mel = torch.log(magnitude @ mel_triangles().to(wave.device) + FLOOR)
        out: Tensor = log_mel.unfold(1, PATCH_FRAMES, PATCH_FRAMES).transpose(2, 3)
        return out
