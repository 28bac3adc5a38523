"""A small vocoder: mel -> magnitude and phase of a short-time Fourier transform -> wave.

What a network of this size makes does not have quite the mel that it was given. So the mel of the wave is compared with
it and the spectrum scaled by what is missing, a few times, before the last transform back: phases and the fine
structure within a band are the network's, the energy of each band is the mel's.

Source: Siuzdak, "Vocos: Closing the gap between time-domain and Fourier-based neural vocoders", arXiv 2306.00814.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mfv2a.models.linear import Linear
from mfv2a.models.mel import FLOOR, MelConfig, mel_filters
from mfv2a.models.spectra import inverse_stft, powers

MOST_GAIN = 4.0
LEAST_POWER = 1e-20
"""Of a bin: a root has no gradient at 0."""


@dataclass(frozen=True, kw_only=True)
class ISTFTConfig:
    """Sizes of the vocoder.

    Attributes:
        num_bands: mel bands M.
        dim: width; depth: residual blocks.
        n_fft, hop: of the transform; both are the mel's.
        sample_rate_hz: of the wave; the bands reach to half of it.
        corrections: how often the spectrum is scaled to the mel.
    """

    num_bands: int = 80
    dim: int = 256
    depth: int = 6
    n_fft: int = 1024
    hop: int = 256
    sample_rate_hz: int = 16000
    corrections: int = 0

    @classmethod
    def tiny(cls) -> ISTFTConfig:
        """A narrow vocoder for tests."""
        return cls(dim=16, depth=1)


class _Block(nn.Module):
    """Depthwise convolution along time, then a pointwise MLP."""

    def __init__(self, dim: int, scale: float) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(dim, dim, 7, padding=3, groups=dim)
        self.norm = nn.LayerNorm(dim)
        self.up, self.down = Linear(dim, 3 * dim), Linear(3 * dim, dim)
        self.gain = nn.Parameter(torch.full((dim,), scale))

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, D, F] to [B, D, F]."""
        h = self.norm(self.depthwise(x).transpose(1, 2))
        out: Tensor = x + (self.gain * self.down(F.gelu(self.up(h)))).transpose(1, 2)
        return out


class ISTFTVocoder(nn.Module):
    """Log10-mel to waveform.

    Args:
        config: sizes.
    """

    window: Tensor
    filters: Tensor
    shares: Tensor

    def __init__(self, config: ISTFTConfig) -> None:
        super().__init__()
        self.config = config
        self.hop = config.hop
        self.stem = nn.Conv1d(config.num_bands, config.dim, 7, padding=3)
        self.norm = nn.LayerNorm(config.dim)
        self.blocks = nn.ModuleList(_Block(config.dim, 1 / config.depth) for _ in range(config.depth))
        self.last_norm = nn.LayerNorm(config.dim)
        self.head = Linear(config.dim, config.n_fft + 2)
        with torch.device("cpu"):  # in no file: real even where the rest is built on the meta device
            self._set_constants(config)

    def _set_constants(self, config: ISTFTConfig) -> None:
        """What the sizes alone decide."""
        self.register_buffer("window", torch.hann_window(config.n_fft), persistent=False)
        front = MelConfig(
            sample_rate_hz=config.sample_rate_hz, n_fft=config.n_fft, hop=config.hop, num_bands=config.num_bands,
            fmax_hz=config.sample_rate_hz / 2,
        )  # fmt: skip
        filters = mel_filters(front)
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("shares", filters / filters.sum(1, keepdim=True).clamp(min=FLOOR), persistent=False)

    def forward(self, mel: Tensor) -> Tensor:
        """Waveform [B, F * hop] of a log10-mel [B, M, F]; peaks beyond 1 are kept, to be held down and not cut off."""
        c, frames = self.config, mel.shape[-1]
        # One frame more on each side: a centred transform then covers the half hops at both ends.
        mel = F.pad(mel, (1, 1), mode="replicate")
        x = self.stem(mel / 2 + 1)
        x = self.norm(x.transpose(1, 2)).transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        log_magnitude, phase = self.head(self.last_norm(x.transpose(1, 2))).float().transpose(1, 2).chunk(2, 1)
        spectrum = torch.polar(log_magnitude.clamp(max=5.0).exp(), phase)
        wanted = torch.pow(10.0, mel.float())
        for _ in range(c.corrections):
            spectrum = torch.stft(self._wave(spectrum), c.n_fft, c.hop, window=self.window, return_complex=True)
            spectrum = spectrum * self._missing(spectrum, wanted)
        return self._wave(spectrum)[:, c.hop // 2 : c.hop // 2 + frames * c.hop]

    def _wave(self, spectrum: Tensor) -> Tensor:
        length = (spectrum.shape[-1] - 1) * self.config.hop
        return inverse_stft(spectrum, self.window, self.config.hop, length)

    def _missing(self, spectrum: Tensor, wanted: Tensor) -> Tensor:
        """Gain [B, n_fft / 2 + 1, F] that brings a spectrum towards a mel [B, M, F], not in logarithms."""
        found = powers(spectrum).clamp(min=LEAST_POWER).sqrt().transpose(1, 2) @ self.filters
        ratio = ((wanted.transpose(1, 2) + FLOOR) / (found + FLOOR)).clamp(1 / MOST_GAIN, MOST_GAIN)
        return (ratio.log() @ self.shares.T).exp().transpose(1, 2)  # bins of a frame side by side, as they are stored
