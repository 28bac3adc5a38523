"""The small sync encoder of the embedded model: motion features -> what falls when.

It sees motion only, no colours, so that it works alike on drawn and filmed video. Its heads (onsets, band
energies, class) are what it is trained on; its features are what the generator listens to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class SyncConfig:
    """Sizes of the sync encoder.

    Attributes:
        motion_dim: columns of the motion features.
        dim: width of the trunk; depth: residual blocks, dilated 1, 2, 4, 8, 16 in turn.
        out_dim: width of the features.
        num_bands: band energies predicted; num_labels: classes predicted.
    """

    motion_dim: int = 168
    dim: int = 128
    depth: int = 8
    out_dim: int = 64
    num_bands: int = 8
    num_labels: int = 48

    @classmethod
    def tiny(cls) -> SyncConfig:
        """A shallow encoder for tests."""
        return cls(dim=16, depth=1)


class SyncOutput(NamedTuple):
    """What the encoder gives.

    Attributes:
        features: [B, Y, out_dim], one a frame at 25 per second.
        onset: logits [B, Y] that something strikes in this frame.
        bands: log10 energies [B, Y, num_bands].
        label: logits [B, num_labels] of the clip.
    """

    features: Tensor
    onset: Tensor
    bands: Tensor
    label: Tensor


class _Block(nn.Module):
    def __init__(self, dim: int, dilation: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(dim, 2 * dim, 3, padding=dilation, dilation=dilation)
        self.out = nn.Conv1d(dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Gated residual block on [B, D, Y]."""
        h = F.layer_norm(x.transpose(1, 2), x.shape[1:2]).transpose(1, 2)
        value, gate = self.conv(h).chunk(2, 1)
        out: Tensor = x + self.out(value * F.silu(gate))
        return out


class SyncEncoder(nn.Module):
    """Motion features [B, Y, F] to per-frame features and predictions.

    Args:
        config: sizes.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: SyncConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.zeros(config.motion_dim))
        self.register_buffer("std", torch.ones(config.motion_dim))
        self.stem = nn.Conv1d(3 * config.motion_dim, config.dim, 5, padding=2)
        self.blocks = nn.ModuleList(_Block(config.dim, 2 ** (i % 5)) for i in range(config.depth))
        self.neck = nn.Linear(config.dim, config.out_dim)
        self.onset = nn.Linear(config.out_dim, 1)
        self.bands = nn.Linear(config.out_dim, config.num_bands)
        self.label = nn.Linear(2 * config.out_dim, config.num_labels)

    def _inputs(self, motion: Tensor, spread: Tensor) -> Tensor:
        """Absolute and relative motion and its change: [B, 3F, Y]. Filmed motion has any scale."""
        absolute = (motion - self.mean) / self.std
        relative = motion / (spread + 0.05)
        change = F.pad(relative[:, 1:] - relative[:, :-1], (0, 0, 1, 0))
        return torch.cat([absolute, relative, 2 * change], -1).transpose(1, 2)

    def forward(self, motion: Tensor) -> SyncOutput:
        """Encode motion features [B, Y, F]."""
        features = self._features(motion, motion.square().mean((1, 2), keepdim=True).sqrt())
        pooled = torch.cat([features.mean(1), features.amax(1)], -1)
        return SyncOutput(features, self.onset(features)[..., 0], self.bands(features), self.label(pooled))

    def encode(self, motion: Tensor, *, chunk: int = 4096) -> tuple[Tensor, Tensor]:
        """Features of a clip of any length, in bounded memory: as those of `forward`.

        Args:
            motion: [Y, F].
            chunk: frames encoded at a time, beside those on either side that they depend on.

        Returns:
            features [Y, out_dim] and logits [Y] that something strikes.
        """
        reach = 3 + sum(2 ** (i % 5) for i in range(self.config.depth))  # change, stem and blocks
        squares = torch.stack([part.square().sum() for part in motion.split(chunk)]).sum()
        spread = (squares / motion.numel()).sqrt().view(1, 1, 1)
        parts = []
        for start in range(0, len(motion), chunk):
            first = max(0, start - reach)
            near = self._features(motion[None, first : start + chunk + reach], spread)[0]
            parts.append(near[start - first : start - first + chunk])
        features = torch.cat(parts)
        return features, self.onset(features)[..., 0]

    def _features(self, motion: Tensor, spread: Tensor) -> Tensor:
        """Features [B, Y, out_dim] of motion [B, Y, F] whose root mean square over the whole clip is `spread`."""
        x = self.stem(self._inputs(motion, spread))
        for block in self.blocks:
            x = block(x)
        return F.layer_norm(self.neck(x.transpose(1, 2)), (self.config.out_dim,))
