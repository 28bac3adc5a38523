"""When sound begins: hits found in a wave, matched with the true ones, and envelopes of hitting to correlate.

Knows nothing about how the wave was made. Source of the detector's idea: Boeck & Widmer 2013, "SuperFlux"
(spectral flux against a frequency-widened past); F1 as in MIREX onset detection, with a wider tolerance.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mfv2a.evaluation.spectrum import Floats, inside_magnitudes, mel_bands

HOP_S = 0.01
_CHUNK_FRAMES = 4096
_ROUNDING = 1e-6  # times that are the same may differ by so much in binary numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class OnsetConfig:
    """How the detector listens. The defaults were fitted to procedural scenes, whose hits are known.

    Attributes:
        window_s: length of a spectrum.
        bands: mel bands.
        gain: compression ln(1 + gain * magnitude) of a wave whose loudest band is 1; larger hears quieter hits.
        lag: frames back that a band is compared with.
        threshold: least flux of a hit.
        relative: least share of the strongest flux within `near_s`, so that a tail's ripple is no hit.
        near_s: reach, to each side, of the flux that `relative` speaks of.
        overall: least share of the wave's strongest flux.
        background: how many times the usual flux of the surroundings is no hit yet (rain, fire, a rotor).
        around_s: reach of the surroundings, to each side.
        apart_s: shortest time between two hits.
    """

    window_s: float = 0.064
    bands: int = 64
    gain: float = 100.0
    lag: int = 4
    threshold: float = 0.12
    relative: float = 0.25
    near_s: float = 1.0
    overall: float = 0.05
    background: float = 3.0
    around_s: float = 0.8
    apart_s: float = 0.1


ENVELOPE = OnsetConfig(window_s=0.032, lag=2)
"""Sharper in time than what finds hits best."""


class OnsetMatch(NamedTuple):
    """One clip's hits: how many found ones agree with true ones, one to one."""

    hits: int
    n_found: int
    n_true: int

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 1 where there is nothing to find and nothing was found."""
        total = self.n_found + self.n_true
        return 2 * self.hits / total if total else 1.0


def detect_onsets(wave: Floats, sample_rate_hz: int, config: OnsetConfig | None = None) -> NDArray[np.float64]:
    """Times at which something begins to sound.

    Args:
        wave: mono [S]; its level does not matter.
        sample_rate_hz: of the wave.
        config: how to listen.

    Returns:
        Ascending times in seconds [K]; what begins within the first half window is told as beginning at once.
    """
    config = config or OnsetConfig()
    return pick_onsets(spectral_flux(wave, sample_rate_hz, config), config) * (whole_hop_s(sample_rate_hz) / HOP_S)


def pick_onsets(flux: Floats, config: OnsetConfig | None = None) -> NDArray[np.float64]:
    """The hits in a flux, as `detect_onsets` finds them.

    Args:
        flux: [F], of `spectral_flux`.
        config: how to listen.

    Returns:
        Ascending times in seconds [K].
    """
    config = config or OnsetConfig()
    if not flux.any():
        return np.zeros(0)
    excess = flux - config.background * _sliding(flux, config.around_s, "median")
    strongest = config.relative * _sliding(excess, config.near_s, "max")
    needed = np.maximum(strongest, max(config.threshold, config.overall * float(excess.max())))
    is_peak = flux >= _sliding(flux, config.apart_s, "max")
    apart = round(config.apart_s / HOP_S)
    kept: list[int] = []
    for frame in np.flatnonzero(is_peak & (excess > needed)).tolist():
        if not kept or frame - kept[-1] >= apart:
            kept.append(frame)
    return np.array(kept, np.float64) * HOP_S


def spectral_flux(wave: Floats, sample_rate_hz: int, config: OnsetConfig | None = None) -> Floats:
    """Rise of the log-mel spectrum, one value every 10 ms.

    Args:
        wave: mono [S].
        sample_rate_hz: of the wave.
        config: how to listen.

    Returns:
        [F], F = duration / 10 ms + 1; all zero for silence.
    """
    config = config or OnsetConfig()
    window, hop, filters = onset_bands(sample_rate_hz, config)
    return band_flux(inside_magnitudes(wave, window=window, hop=hop) @ filters, config)


def onset_bands(sample_rate_hz: int, config: OnsetConfig) -> tuple[int, int, Floats]:
    """Samples of a spectrum, samples from one to the next, and the filters [window / 2 + 1, M] that the flux is of."""
    window = 2 * round(config.window_s * sample_rate_hz / 2)
    high = min(8000.0, sample_rate_hz / 2)
    filters = mel_bands(sample_rate_hz, window=window, bands=config.bands, low_hz=50.0, high_hz=high)
    return window, round(HOP_S * sample_rate_hz), filters


def band_flux(bands: Floats, config: OnsetConfig) -> Floats:
    """`spectral_flux` of a wave whose bands are known.

    Args:
        bands: magnitudes [F, M], every 10 ms.
        config: how to listen.

    Returns:
        [F].
    """
    peak = float(bands.max(initial=0.0))
    if peak < 1e-6:
        return np.zeros(len(bands), np.float32)
    # What goes on as it began has always been there; a hit at the very start stands out of what follows.
    first = np.log1p(config.gain * bands[: round(config.around_s / HOP_S)] / peak)
    past = np.repeat(np.median(_widened(first), axis=0, keepdims=True), config.lag, axis=0)
    parts = []
    for start in range(0, len(bands), _CHUNK_FRAMES):  # hours of sound must not stand there several times
        level = np.log1p(config.gain * bands[start : start + _CHUNK_FRAMES] / peak)
        earlier = np.concatenate([past, _widened(level)])
        past = earlier[-config.lag :]
        parts.append(np.maximum(level - earlier[: len(level)], 0.0).mean(axis=1))
    return np.concatenate(parts).astype(np.float32)


def _widened(level: Floats) -> Floats:
    """Levels [F, M], each the highest of three neighbouring bands: so a gliding tone is no new sound."""
    return np.maximum(level, np.maximum(np.roll(level, 1, axis=1), np.roll(level, -1, axis=1)))


def _sliding(values: Floats, reach_s: float, kind: Literal["median", "max"]) -> Floats:
    """Median or maximum of [F] over `reach_s` seconds to both sides; outside lies what is inside, mirrored."""
    reach = max(1, round(reach_s / HOP_S))
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(values, reach, mode="reflect"), 2 * reach + 1)
    chunks = (windows[start : start + _CHUNK_FRAMES] for start in range(0, len(windows), _CHUNK_FRAMES))
    parts = [np.median(part, axis=1) if kind == "median" else part.max(axis=1) for part in chunks]
    return np.concatenate(parts).astype(np.float32)


def match_onsets(found: Iterable[float], true: Iterable[float], tolerance_s: float = 0.1) -> OnsetMatch:
    """Pair found with true times, each used once.

    Walking both in order and pairing the earliest that fit gives the largest number of pairs.

    Args:
        found: detected times in seconds.
        true: times at which something happened.
        tolerance_s: largest distance of a pair; at it they are one, whatever binary numbers make of it.
    """
    ours, theirs = sorted(found), sorted(true)
    tolerance_s += _ROUNDING
    i = j = hits = 0
    while i < len(ours) and j < len(theirs):
        if ours[i] < theirs[j] - tolerance_s:
            i += 1
        elif ours[i] > theirs[j] + tolerance_s:
            j += 1
        else:
            hits, i, j = hits + 1, i + 1, j + 1
    return OnsetMatch(hits, len(ours), len(theirs))


def onset_f1(matches: Sequence[OnsetMatch]) -> float:
    """F1 over all hits of all clips together (micro); 1 for no clips."""
    return OnsetMatch(*(sum(column) for column in zip(*matches, strict=True))).f1 if matches else 1.0


def mean_onset_f1(matches: Sequence[OnsetMatch]) -> float:
    """F1 of each clip that has true hits, averaged; 1 if none has."""
    scores = [match.f1 for match in matches if match.n_true]
    return float(np.mean(scores)) if scores else 1.0


def onset_envelope(wave: Floats, sample_rate_hz: int, fps: float) -> Floats:
    """Strength of hitting on a frame grid.

    Args:
        wave: mono [S].
        sample_rate_hz: of the wave.
        fps: frames per second.

    Returns:
        [T], T = max(1, round(duration * fps)): the strongest flux within each frame's time.
    """
    flux = spectral_flux(wave, sample_rate_hz, ENVELOPE)
    return flux_envelope(flux, len(wave) / sample_rate_hz, fps, hop_s=whole_hop_s(sample_rate_hz))


def whole_hop_s(sample_rate_hz: int) -> float:
    """Seconds from one spectrum to the next: whole samples, which are not 10 ms at every rate."""
    return round(HOP_S * sample_rate_hz) / sample_rate_hz


def flux_envelope(flux: Floats, duration_s: float, fps: float, *, hop_s: float = HOP_S) -> Floats:
    """`onset_envelope` of a wave whose flux, by `ENVELOPE`, is known.

    Args:
        flux: [F].
        duration_s: of the wave.
        fps: frames per second.
        hop_s: from one value of the flux to the next.
    """
    count = max(1, round(duration_s * fps))
    places = np.floor(np.arange(len(flux)) * (hop_s * fps) + _ROUNDING)
    frames = np.minimum(places.astype(int), count - 1)
    envelope = np.zeros(count, np.float32)
    np.maximum.at(envelope, frames, flux)
    if fps > 1 / hop_s:  # more frames than spectra: fill the gaps
        known = np.unique(frames)
        envelope = np.interp(np.arange(count), known, envelope[known]).astype(np.float32)
    return envelope


def envelope_correlation(first: Floats, second: Floats) -> float:
    """Pearson correlation of two envelopes [T], cut to the shorter; 0 where one is constant."""
    length = min(len(first), len(second))
    a, b = (np.asarray(x[:length], np.float64) - np.mean(x[:length]) for x in (first, second))
    norm = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / norm if norm > 1e-12 else 0.0


def shifted_correlations(first: Floats, second: Floats, *, shortest: int = 5) -> NDArray[np.float64]:
    """The null of `envelope_correlation`: the same with the second envelope turned round in time.

    Args:
        first: [T].
        second: [T].
        shortest: smallest turn in frames, both ways; smaller ones still overlap the true hits.

    Returns:
        One correlation a turn [T - 2 * shortest + 1], empty for shorter clips; zeros where one is constant.
    """
    length = min(len(first), len(second))
    a, b = (np.asarray(x[:length], np.float64) - np.mean(x[:length]) for x in (first, second))
    turned = np.fft.irfft(np.fft.rfft(a) * np.fft.rfft(b).conj(), length)
    norm = float(np.sqrt((a @ a) * (b @ b)))
    null = turned[shortest : length - shortest + 1]
    return null / norm if norm > 1e-12 else np.zeros_like(null)
