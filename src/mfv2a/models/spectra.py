"""Short-time spectra: their powers, and the inverse transform by overlap-add, for hops that divide the window.

The inverse gives what `torch.istft` does in half of its time: that one folds frames, and the squares of as many
windows, by indices; here whole hops are added.
"""

from __future__ import annotations

import torch
from torch import Tensor


def powers(spectrum: Tensor) -> Tensor:
    """Squared magnitudes of a complex tensor."""
    return torch.addcmul(spectrum.real.square(), spectrum.imag, spectrum.imag)


def inverse_stft(spectrum: Tensor, window: Tensor, hop: int, length: int) -> Tensor:
    """Waveform [B, length] of a centred transform: the frames' least-squares sum.

    Args:
        spectrum: complex [B, n_fft / 2 + 1, T].
        window: [n_fft] of analysis and synthesis, positive but for its ends.
        hop: in samples, at most half of n_fft; n_fft is a multiple of it.
        length: in samples, at most (T - 1) * hop + n_fft / 2.

    Raises:
        ValueError: window and hop do not fit each other, or the length is beyond the last frame.

    Source: Griffin and Lim, "Signal estimation from modified short-time Fourier transform", IEEE TASSP 32(2), 1984,
    equation 6.
    """
    n_fft = len(window)
    if n_fft % hop or n_fft % 2 or n_fft < 2 * hop:
        raise ValueError(f"a hop of {hop} samples does not fit a window of {n_fft}")
    if length > (spectrum.shape[-1] - 1) * hop + n_fft // 2:
        raise ValueError(f"{spectrum.shape[-1]} frames of {n_fft} samples, a hop of {hop} apart, hold no {length}")
    frames = torch.fft.irfft(spectrum.transpose(1, 2), n=n_fft) * window
    weights = _overlap_add(window.square().expand(1, frames.shape[1], n_fft), hop)
    middle = slice(n_fft // 2, n_fft // 2 + length)
    return _overlap_add(frames, hop)[:, middle] / weights[:, middle]


def _overlap_add(frames: Tensor, hop: int) -> Tensor:
    """The sum [B, (T - 1) * hop + n_fft] of frames [B, T, n_fft], each a hop after the one before it."""
    batch, count, _ = frames.shape
    hops = frames.unflatten(2, (-1, hop))
    parts = hops.shape[2]
    out = frames.new_zeros(batch, count + parts - 1, hop)
    for part in range(parts):
        out[:, part : part + count] += hops[:, :, part]
    return out.flatten(1)
