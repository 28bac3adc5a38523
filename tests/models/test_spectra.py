"""The inverse transform is torch's, at every length; powers are squared magnitudes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mfv2a.models.istft import ISTFTConfig, ISTFTVocoder
from mfv2a.models.spectra import inverse_stft, powers


def spectrum(batch: int, n_fft: int, frames: int) -> torch.Tensor:
    """Random bins [B, n_fft / 2 + 1, T], of no wave."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn((batch, n_fft // 2 + 1, frames), dtype=torch.complex64, generator=generator)


@pytest.mark.parametrize(("n_fft", "hop"), [(1024, 256), (256, 64), (8, 4), (12, 2)])
@pytest.mark.parametrize("more", [-5, 0, 1])
def test_it_gives_what_torch_gives(n_fft: int, hop: int, more: int) -> None:
    bins, window = spectrum(2, n_fft, 21), torch.hann_window(n_fft)
    length = 20 * hop + more
    expected = torch.istft(bins, n_fft, hop, window=window, length=length)
    assert torch.allclose(inverse_stft(bins, window, hop, length), expected, atol=1e-5)


def test_it_gives_the_wave_of_its_own_transform() -> None:
    wave, window = torch.randn((1, 5000), generator=torch.Generator().manual_seed(1)), torch.hann_window(256)
    bins = torch.stft(wave, 256, 64, window=window, return_complex=True)
    assert torch.allclose(inverse_stft(bins, window, 64, 5000), wave, atol=1e-5)


def test_a_gradient_goes_through_it() -> None:
    bins = spectrum(1, 16, 5).requires_grad_()
    inverse_stft(bins, torch.hann_window(16), 4, 16).square().sum().backward()
    assert bins.grad is not None
    assert bins.grad.abs().sum() > 0


@pytest.mark.parametrize(("n_fft", "hop"), [(256, 100), (256, 256), (15, 5)])
def test_a_hop_that_does_not_fit_is_told(n_fft: int, hop: int) -> None:
    with pytest.raises(ValueError, match=f"a hop of {hop} samples does not fit a window of {n_fft}"):
        inverse_stft(spectrum(1, n_fft, 3), torch.hann_window(n_fft), hop, hop)


def test_powers_are_squared_magnitudes() -> None:
    bins = spectrum(1, 16, 5)
    assert torch.allclose(powers(bins), bins.abs().square())


def test_silence_has_gradients_that_are_numbers() -> None:
    vocoder = ISTFTVocoder(replace(ISTFTConfig.tiny(), corrections=2))
    vocoder.head.weight.data.zero_()
    vocoder.head.bias.data.fill_(-200.0)  # magnitudes that are 0 in single precision
    vocoder(torch.full((1, 80, 8), -5.0)).square().sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in vocoder.parameters())


def test_a_length_beyond_the_last_frame_is_told() -> None:
    bins, window = spectrum(1, 256, 5), torch.hann_window(256)
    assert inverse_stft(bins, window, 64, 384).shape == (1, 384)
    with pytest.raises(ValueError, match="5 frames of 256 samples, a hop of 64 apart, hold no 385"):
        inverse_stft(bins, window, 64, 385)
