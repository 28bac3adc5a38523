"""Bandwidth extension: a wave of 16 kHz -> one of 32 kHz, with what its upper octave should hold.

A small network tells from the bands of the lower octave how much energy the bands of the upper one have, every 4 ms.
What fills them is the lower octave itself, mirrored at its edge as upsampling without a filter would leave it, each
band brought to the energy that was told: strikes stay as sharp in time as they are below, and nothing is drawn at
random. The lower octave is left as it is, but for its last twentieth, where the filter between the two falls.

Source: Makhoul and Berouti, "High-frequency regeneration in speech coding systems", ICASSP 1979 (spectral folding);
the envelope told apart from what fills it, as in spectral band replication: Dietz et al., AES 112, 2002.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mfv2a.models.istft import ISTFTVocoder
from mfv2a.models.linear import Linear
from mfv2a.models.resampling import resample
from mfv2a.models.spectra import inverse_stft, powers

FLOOR = 1e-7
"""Power of a bin that counts as silence: white noise of -90 dBFS under a window of 256 samples."""


@dataclass(frozen=True, kw_only=True)
class ExtensionConfig:
    """Sizes of the extension.

    Attributes:
        sample_rate_hz: of the wave that comes in; what goes out has twice as many.
        n_fft, hop: of the transform, at that rate.
        low_bands, high_bands: equal bands of the lower octave that are seen, of the upper one that are told.
        dim: width; depth: residual blocks, dilated 1, 2, 4 ...
    """

    sample_rate_hz: int = 16000
    n_fft: int = 256
    hop: int = 64
    low_bands: int = 32
    high_bands: int = 16
    dim: int = 64
    depth: int = 4

    @classmethod
    def tiny(cls) -> ExtensionConfig:
        """A narrow network for tests."""
        return cls(dim=8, depth=1)


class _Block(nn.Module):
    """Depthwise convolution along time, then a pointwise MLP."""

    def __init__(self, dim: int, dilation: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(dim, dim, 5, padding=2 * dilation, dilation=dilation, groups=dim)
        self.norm = nn.LayerNorm(dim)
        self.up, self.down = Linear(dim, 2 * dim), Linear(2 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, D, T] to [B, D, T]."""
        h = self.norm(self.depthwise(x).transpose(1, 2))
        out: Tensor = x + self.down(F.gelu(self.up(h))).transpose(1, 2)
        return out


class BandwidthExtension(nn.Module):
    """Waveform to waveform of twice the rate.

    Args:
        config: sizes.
    """

    window: Tensor
    wide_window: Tensor

    def __init__(self, config: ExtensionConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = nn.Conv1d(config.low_bands, config.dim, 5, padding=2)
        self.blocks = nn.ModuleList(_Block(config.dim, 2**i) for i in range(config.depth))
        self.head = nn.Conv1d(config.dim, config.high_bands, 1)
        with torch.device("cpu"):  # in no file: real even where the rest is built on the meta device
            self.register_buffer("window", torch.hann_window(config.n_fft), persistent=False)
            self.register_buffer("wide_window", torch.hann_window(2 * config.n_fft), persistent=False)

    def levels(self, wave: Tensor) -> Tensor:
        """Log10 powers [B, low_bands, T] of the bands of a wave [B, S] of the lower octave, T = S // hop + 1."""
        return band_levels(powers(self.spectrum(wave)[:, 1:]), self.config.low_bands)

    def true_levels(self, wide: Tensor) -> Tensor:
        """Log10 powers [B, high_bands, T] that a wave [B, 2 S] of twice the rate has in its upper octave."""
        c = self.config
        spectrum = torch.stft(
            wide, 2 * c.n_fft, 2 * c.hop, window=self.wide_window, pad_mode="constant", return_complex=True
        )
        upper = spectrum[:, c.n_fft // 2 + 1 :] / 2  # twice the samples add up in a bin
        return band_levels(powers(upper), c.high_bands)

    def tell(self, levels: Tensor) -> Tensor:
        """Log10 powers [B, high_bands, T] of the upper octave, of those [B, low_bands, T] of the lower one.

        However loud the wave is, it is told from how its bands lie to each other.
        """
        upper = levels[:, levels.shape[1] // 2 :].mean(1, keepdim=True)
        near = F.avg_pool1d(F.pad(upper, (2, 2), mode="replicate"), 5, 1)
        x = self.stem(levels - near)
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.head(x) + near
        return out

    def forward(self, wave: Tensor) -> Tensor:
        """Waveform [B, 2 S] of a waveform [B, S]."""
        spectrum = self.spectrum(wave)
        power = powers(spectrum)
        told = self.tell(band_levels(power[:, 1:], self.config.low_bands))
        return two_octaves(wave, self._folded(spectrum, power, told, wave.shape[1]))

    def fill(self, spectrum: Tensor, levels: Tensor, length: int) -> Tensor:
        """The upper octave [B, 2 S] of given levels [B, high_bands, T], of the spectrum [B, K, T] of the lower one."""
        folded = self._folded(spectrum, powers(spectrum), levels, length)
        return two_octaves(torch.zeros_like(folded), folded)

    def _folded(self, spectrum: Tensor, power: Tensor, levels: Tensor, length: int) -> Tensor:
        """The wave [B, length] of the lower octave's rate that is the upper one, folded down at its edge."""
        c = self.config
        gain = (levels.flip(1) - band_levels(power[:, :-1], c.high_bands)) * (math.log(10) / 2)
        gain = F.interpolate(gain.transpose(1, 2), c.n_fft // 2, mode="linear").exp()
        gain = F.pad(gain, (0, 1)).transpose(1, 2)  # nothing at the edge itself
        return inverse_stft(spectrum * gain, self.window, c.hop, length)

    def spectrum(self, wave: Tensor) -> Tensor:
        """Spectrum [B, n_fft / 2 + 1, T] of a wave [B, S] of the lower octave."""
        c = self.config
        return torch.stft(wave, c.n_fft, c.hop, window=self.window, pad_mode="constant", return_complex=True)


class Extended(nn.Module):
    """A vocoder whose wave gets an upper octave: log-mel to waveform of twice the rate.

    Args:
        vocoder: log-mel [B, M, F] -> wave [B, F * hop].
        extension: of its wave.
    """

    def __init__(self, vocoder: ISTFTVocoder, extension: BandwidthExtension) -> None:
        super().__init__()
        self.vocoder, self.extension = vocoder, extension
        self.hop = 2 * vocoder.hop

    def forward(self, mel: Tensor) -> Tensor:
        """Waveform [B, F * hop] of a log-mel [B, M, F]."""
        wave: Tensor = self.extension(self.vocoder(mel))
        return wave


def two_octaves(low: Tensor, folded: Tensor) -> Tensor:
    """A wave [B, 2 S] of its lower octave [B, S] and its upper one, folded down at the edge [B, S].

    With a zero after each sample a wave has its mirror image above it. What of that lies in the lower octave is taken
    away by the filter that lets the other wave's through.
    """
    wide = resample(low - folded, 1, 2)
    wide[:, ::2] += 2 * folded
    return wide


def band_levels(power: Tensor, bands: int) -> Tensor:
    """Log10 of the mean powers [B, bands, T] in equal bands of the powers [B, K, T] of bins."""
    means: Tensor = power.unflatten(1, (bands, -1)).mean(2)
    return (means + FLOOR).log10()
