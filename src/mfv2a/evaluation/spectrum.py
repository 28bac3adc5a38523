"""Short-time spectra for the judges, in numpy and independent of the models' own front end."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
_CHUNK = 2048


def magnitudes(wave: Floats, *, window: int, hop: int) -> Floats:
    """Magnitude spectra of a Hann-windowed wave; frame k is centred on sample k * hop.

    Args:
        wave: mono [S].
        window: samples a frame, also the FFT size.
        hop: samples between frames.

    Returns:
        [F, window / 2 + 1] with F = S // hop + 1; a full-scale sine peaks at 1.
    """
    padded = np.pad(np.asarray(wave, np.float32), (window // 2, window // 2))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    shape = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)).astype(np.float32)
    shape *= 2.0 / shape.sum()
    parts = [np.abs(np.fft.rfft(frames[i : i + _CHUNK] * shape)) for i in range(0, len(frames), _CHUNK)]
    return np.concatenate(parts).astype(np.float32)


def mel_bands(sample_rate_hz: int, *, window: int, bands: int, low_hz: float, high_hz: float) -> Floats:
    """Triangular mel filters (m = 2595 log10(1 + f / 700)), each summing to one.

    Args:
        sample_rate_hz: of the wave.
        window: FFT size.
        bands: M, how many.
        low_hz: lower edge of the first band.
        high_hz: upper edge of the last band, at most half the sample rate.

    Returns:
        [window / 2 + 1, M].
    """
    edges = 700 * (10 ** (np.linspace(_mel(low_hz), _mel(high_hz), bands + 2) / 2595) - 1)
    hertz = np.arange(window // 2 + 1)[:, None] * sample_rate_hz / window
    rising = (hertz - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - hertz) / (edges[2:] - edges[1:-1])
    filters = np.maximum(np.minimum(rising, falling), 0)
    # A band narrower than a bin may hold none: it takes the nearest.
    nearest = np.abs(hertz - edges[1:-1]).argmin(axis=0)
    filters[nearest, np.arange(bands)] += filters.sum(axis=0) == 0
    return np.asarray(filters / filters.sum(axis=0), np.float32)


def log_mel(wave: Floats, sample_rate_hz: int, *, bands: int = 80, floor: float = 1e-5) -> Floats:
    """Natural logarithm of mel magnitudes: 64 ms windows every 16 ms, 20 Hz up to 8 kHz or half the rate.

    Args:
        wave: mono [S].
        sample_rate_hz: of the wave.
        bands: M.
        floor: magnitudes below it count as it.

    Returns:
        [F, M].
    """
    window, hop = round(0.064 * sample_rate_hz), round(0.016 * sample_rate_hz)
    window += window % 2
    filters = mel_bands(
        sample_rate_hz, window=window, bands=bands, low_hz=20.0, high_hz=min(8000.0, sample_rate_hz / 2)
    )
    return np.asarray(np.log(np.maximum(magnitudes(wave, window=window, hop=hop) @ filters, floor)), np.float32)


def _mel(hertz: float) -> float:
    """A frequency in mel."""
    return float(2595 * np.log10(1 + hertz / 700))
