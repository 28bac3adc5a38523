"""Measures of one generated sound against the true one. Knows arrays, not files; both waves have one rate.

A measure that is not defined for a pair - the true sound is silent, or too short - is None, never a number.
"""

from __future__ import annotations

import importlib.util
import warnings
from typing import NamedTuple

import numpy as np

from mfv2a.evaluation.onsets import (
    OnsetMatch,
    detect_onsets,
    envelope_correlation,
    match_onsets,
    onset_envelope,
    shifted_correlations,
)
from mfv2a.evaluation.spectrum import Floats, log_mel

CEPSTRA = 13
ENVELOPE_FPS = 25.0
_SILENT = 1e-6


def has_stoi() -> bool:
    """Whether pystoi is installed."""
    return importlib.util.find_spec("pystoi") is not None


def is_silent(wave: Floats) -> bool:
    """Whether nothing in a wave can be heard: it never rises above -120 dBFS."""
    return float(np.abs(wave).max(initial=0.0)) < _SILENT


def onset_agreement(generated: Floats, reference: Floats, sample_rate_hz: int) -> OnsetMatch:
    """Hits of the generated sound against those of the true one, found by the same detector, within 100 ms.

    Args:
        generated: mono [S].
        reference: mono [S].
        sample_rate_hz: of both.
    """
    return match_onsets(detect_onsets(generated, sample_rate_hz), detect_onsets(reference, sample_rate_hz))


class EnvelopeMatch(NamedTuple):
    """How far two sounds strike at the same times.

    Attributes:
        correlation: Pearson's r of both envelopes; None where the true one is constant, as in silence.
        above_chance: the same less its mean over the true envelope turned round in time by 0.2 s or more; None where
            that cannot be, too, as in sounds under 0.4 s.
    """

    correlation: float | None = None
    above_chance: float | None = None


def envelope_agreement(generated: Floats, reference: Floats, sample_rate_hz: int) -> EnvelopeMatch:
    """Correlation of how hard both strike, 25 times a second; 0 where the generated sound never changes.

    The mean over all turns is 0, so what is above chance differs little from the correlation: by the turns left out.

    Args:
        generated: mono [S].
        reference: mono [S].
        sample_rate_hz: of both.
    """
    return compare_envelopes(*(onset_envelope(wave, sample_rate_hz, ENVELOPE_FPS) for wave in (generated, reference)))


def compare_envelopes(ours: Floats, theirs: Floats) -> EnvelopeMatch:
    """`envelope_agreement` of envelopes [T], or of any curve with an envelope."""
    if float(np.ptp(theirs)) <= 0:
        return EnvelopeMatch()
    correlation, null = envelope_correlation(ours, theirs), shifted_correlations(ours, theirs)
    return EnvelopeMatch(correlation, correlation - float(null.mean()) if len(null) else None)


def mel_cepstra(spectrum: Floats, count: int = CEPSTRA) -> Floats:
    """One-sided cepstra of log-mel spectra: ln |S_m| = c_0 + sum_d c_d cos(pi d (m + 1/2) / M) + what is left.

    Args:
        spectrum: natural logarithms [F, M].
        count: D; c_0, the level, is left out.

    Returns:
        c_1 to c_D [F, D].
    """
    bands = spectrum.shape[1]
    turns = np.outer(np.arange(bands) + 0.5, np.arange(1, count + 1)) * np.pi / bands
    return np.asarray(spectrum @ (np.cos(turns) * 2 / bands), np.float32)


def cepstral_distortion(generated: Floats, reference: Floats, sample_rate_hz: int) -> float:
    """Mel-cepstral distortion in dB: the mean over frames of (10 / ln 10) sqrt(2 sum_d (c_d - c'_d)^2), d = 1 to 13.

    Cepstra are those of 80 mel bands, windows of 64 ms every 16 ms. With them the distortion is the root mean square
    over the mel axis of the difference of both smoothed spectra, in dB, level apart: a louder copy has none. Frames are
    compared where they are, without time warping: the picture says when.

    Args:
        generated: mono [S].
        reference: mono [S].
        sample_rate_hz: of both.

    Source: Kubichek, "Mel-Cepstral Distance Measure for Objective Speech Quality Assessment", PACRIM 1993.
    """
    ours, theirs = (mel_cepstra(log_mel(wave, sample_rate_hz)) for wave in (generated, reference))
    return frame_distortion(ours, theirs)


def frame_distortion(first: Floats, second: Floats) -> float:
    """The distortion in dB of two rows of cepstra [F, D], over the frames both have."""
    length = min(len(first), len(second))
    gap = np.asarray(first[:length], np.float64) - second[:length]
    return float(10 / np.log(10) * np.sqrt(2 * np.square(gap).sum(axis=1)).mean())


def intelligibility(generated: Floats, reference: Floats, sample_rate_hz: int) -> float | None:
    """STOI, about -1 to 1; 1 for the true sound itself. Made for speech: of other sounds it tells envelopes in bands.

    Args:
        generated: mono [S].
        reference: mono [S], the clean one.
        sample_rate_hz: of both; pystoi resamples to 10 kHz.

    Returns:
        None where too little of the true sound (0.4 s) is within 40 dB of its loudest, for which pystoi gives 1e-5.

    Source: Taal et al., "An Algorithm for Intelligibility Prediction of Time-Frequency Weighted Noisy Speech", IEEE
    TASLP 19 (7), 2011, as the package pystoi has it.
    """
    from pystoi import stoi

    if is_silent(reference) or len(reference) < sample_rate_hz // 10:
        return None
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with np.errstate(all="ignore"):
            value = float(stoi(reference, generated, sample_rate_hz, extended=False))
    undefined = any("STFT frames" in str(warning.message) for warning in told) or not np.isfinite(value)
    return None if undefined else value
