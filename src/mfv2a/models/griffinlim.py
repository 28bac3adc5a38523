"""A decoder to wave without weights: mel -> magnitude by non-negative least squares -> phase by fast Griffin-Lim.

Source: Perraudin et al., "A fast Griffin-Lim algorithm", WASPAA 2013; the non-negative inverse by the
multiplicative updates of Lee and Seung, NeurIPS 2000.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mfv2a.models.mel import MEL_16K, MelConfig, mel_filters


@dataclass(frozen=True, kw_only=True)
class GriffinLimConfig:
    """Settings of the decoder.

    Attributes:
        mel: the front end to invert.
        iterations: phase iterations; time grows with them.
        momentum: of the fast Griffin-Lim update.
        inversion_steps: multiplicative updates of the magnitude.
    """

    mel: MelConfig = MEL_16K
    iterations: int = 16
    momentum: float = 0.99
    inversion_steps: int = 30


class GriffinLim(nn.Module):
    """Log-mel to waveform, deterministic: the starting phase comes from a fixed generator.

    Args:
        config: settings.
    """

    filters: Tensor
    inverse: Tensor
    window: Tensor

    def __init__(self, config: GriffinLimConfig | None = None) -> None:
        super().__init__()
        self.config = config or GriffinLimConfig()
        self.hop = self.config.mel.hop
        filters = mel_filters(self.config.mel)
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("inverse", torch.linalg.pinv(filters), persistent=False)
        self.register_buffer("window", torch.hann_window(self.config.mel.n_fft), persistent=False)

    def magnitude(self, mel: Tensor) -> Tensor:
        """Linear magnitude [B, n_fft / 2 + 1, F] whose mel is the given log-mel [B, M, F], non-negative."""
        power = torch.pow(10.0, mel) if self.config.mel.log == "log10" else mel.exp()
        power = power.transpose(1, 2)
        estimate = (power @ self.inverse).clamp(min=1e-6)
        wanted = power @ self.filters.T
        square = self.filters @ self.filters.T
        for _ in range(self.config.inversion_steps):
            estimate = estimate * wanted / (estimate @ square + 1e-9)
        return estimate.transpose(1, 2)

    def forward(self, mel: Tensor) -> Tensor:
        """Waveform [B, F * hop] in [-1, 1] of a log-mel [B, M, F]."""
        c = self.config
        n_fft, hop, frames = c.mel.n_fft, c.mel.hop, mel.shape[-1]
        # One frame more on each side, so that a centred transform covers the half hops at both ends.
        magnitude = self.magnitude(F.pad(mel, (1, 1), mode="replicate"))
        length = (frames + 1) * hop
        generator = torch.Generator().manual_seed(0)
        # The same starting phase for each item and, frame by frame, for each length: batches change nothing.
        phase = torch.rand(frames + 2, n_fft // 2 + 1, generator=generator).T.to(magnitude) * (2 * torch.pi)
        angles = torch.polar(torch.ones_like(phase), phase).expand(len(mel), -1, -1)
        previous = torch.zeros_like(angles)
        for _ in range(c.iterations):
            wave = torch.istft(magnitude * angles, n_fft, hop, window=self.window, length=length)
            rebuilt = torch.stft(wave, n_fft, hop, window=self.window, return_complex=True)
            angles = rebuilt - (c.momentum / (1 + c.momentum)) * previous
            angles = angles / (angles.abs() + 1e-9)
            previous = rebuilt
        wave = torch.istft(magnitude * angles, n_fft, hop, window=self.window, length=length)
        return wave[:, hop // 2 : hop // 2 + frames * hop].clamp(-1, 1)
