"""Short-time spectra for the judges, in numpy and independent of the models' own front end."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
_CHUNK = 2048
_RISE = 16  # the window of the beginning rises in 1 / 16 of its length
_USUAL = 80  # frames at the beginning, of which the medians tell what is steady


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
    shape = _window(window // 2, window - window // 2)
    parts = [np.abs(np.fft.rfft(frames[i : i + _CHUNK] * shape)) for i in range(0, len(frames), _CHUNK)]
    return np.concatenate(parts).astype(np.float32)


def inside_magnitudes(wave: Floats, *, window: int, hop: int) -> Floats:
    """`magnitudes` in which no window reaches over the ends of the wave, where silence would make a beginning of it.

    Frames that would do so share a spectrum: at the beginning that of the first `window` samples, weighed so that what
    sounds at once counts in full; at the end the last one that lies inside. A wave that is hardly longer than a window
    is taken as `magnitudes` takes it.

    Args:
        wave: mono [S].
        window: samples a frame, also the FFT size.
        hop: samples between frames.

    Returns:
        [F, window / 2 + 1] with F = S // hop + 1.
    """
    spectra = magnitudes(wave, window=window, hop=hop)
    if len(wave) < window + 2 * hop:
        return spectra
    first, last = -(-(window // 2) // hop), (len(wave) - window // 2) // hop
    early = _window(window // _RISE, window - window // _RISE)
    begins = np.lib.stride_tricks.sliding_window_view(wave, window)[: hop * _USUAL : hop]
    at_once = np.abs(np.fft.rfft(begins * early))
    # What the early window shows of a steady tone, and the usual one does not, is no sound.
    beyond = np.median(at_once, axis=0) - np.median(spectra[first : first + len(begins)], axis=0)
    spectra[:first] = np.maximum(at_once[0] - beyond, np.minimum(at_once[0], spectra[first]))
    spectra[last + 1 :] = spectra[last]
    return spectra


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


def _window(rise: int, fall: int) -> Floats:
    """A Hann window of which `rise` samples rise and `fall` fall; a full-scale sine peaks at 1."""
    up = np.cos(np.pi * np.arange(rise) / rise)
    down = np.cos(np.pi * np.arange(fall) / fall)
    shape = np.concatenate([0.5 - 0.5 * up, 0.5 + 0.5 * down]).astype(np.float32)
    return shape * np.float32(2.0 / shape.sum())
