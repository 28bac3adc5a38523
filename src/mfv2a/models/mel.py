"""The log-mel front end: waveform -> log-mel, as the public 16k and 44k codecs expect it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class MelConfig:
    """A mel front end.

    Attributes:
        sample_rate_hz: of the waveform.
        n_fft: window and transform length in samples.
        hop: samples between frames.
        num_bands: M.
        fmin_hz, fmax_hz: range of the bands.
        log: base of the logarithm.
    """

    sample_rate_hz: int = 16000
    n_fft: int = 1024
    hop: int = 256
    num_bands: int = 80
    fmin_hz: float = 0.0
    fmax_hz: float = 8000.0
    log: Literal["log10", "ln"] = "log10"


MEL_16K = MelConfig()
MEL_44K = MelConfig(
    sample_rate_hz=44100, n_fft=2048, hop=512, num_bands=128, fmax_hz=22050.0, log="ln"
)  # fmt: skip
CONFIGS: Mapping[str, MelConfig] = MappingProxyType({"16k": MEL_16K, "44k": MEL_44K})
"""The public front ends."""
FLOOR = 1e-5


def mel_filters(config: MelConfig) -> Tensor:
    """Triangular filters on the Slaney scale with Slaney area normalisation: [n_fft / 2 + 1, M] float32.

    Source: Slaney, "Auditory Toolbox", 1998: linear below 1 kHz, logarithmic above.
    """
    from torchaudio.functional import melscale_fbanks

    filters: Tensor = melscale_fbanks(
        config.n_fft // 2 + 1, config.fmin_hz, config.fmax_hz, config.num_bands, config.sample_rate_hz,
        norm="slaney", mel_scale="slaney",
    )  # fmt: skip
    return filters


class MelSpectrogram(nn.Module):
    """Waveform to log-mel.

    Args:
        config: the front end.
    """

    filters: Tensor
    window: Tensor

    def __init__(self, config: MelConfig = MEL_16K) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("filters", mel_filters(config), persistent=False)
        self.register_buffer("window", torch.hann_window(config.n_fft), persistent=False)

    def forward(self, wave: Tensor) -> Tensor:
        """Log-mel of [B, S] in [-1, 1]: [B, M, F] with F = S // hop; the floor is log(1e-5)."""
        c = self.config
        pad = (c.n_fft - c.hop) // 2
        padded = F.pad(wave.clamp(-1, 1)[:, None], (pad, pad), mode="reflect")[:, 0]
        spectrum = torch.stft(padded, c.n_fft, c.hop, window=self.window, center=False, return_complex=True)
        magnitude = torch.sqrt(spectrum.real.square() + spectrum.imag.square() + 1e-9)
        mel = (magnitude.transpose(1, 2) @ self.filters).transpose(1, 2).clamp(min=FLOOR)
        return mel.log10() if c.log == "log10" else mel.log()
