"""What a sound is told by without any network: statistics of its cepstrum, for a probe apart from the tagger.

Candidates are ranked by the tagger, so figures about chosen sounds need ears of another kind.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mfv2a.evaluation.spectrum import Floats, log_mel

COEFFICIENTS = 20
BANDS = 40


def timbre(wave: Floats, sample_rate_hz: int) -> Floats:
    """Mel-cepstral statistics of a sound; its level does not matter.

    Args:
        wave: mono [S].
        sample_rate_hz: of the wave.

    Returns:
        [4 * COEFFICIENTS]: of each coefficient (the level's left out) mean and deviation over the louder half of the
        frames, deviation of its change from frame to frame, and mean over the loudest tenth.

    Source: Davis & Mermelstein 1980 (mel-frequency cepstrum: the cosine transform of the log-mel spectrum).
    """
    loudest = float(np.abs(wave).max(initial=0.0))
    levels = log_mel(wave / max(loudest, 1e-9), sample_rate_hz, bands=BANDS)
    steps = np.arange(1, COEFFICIENTS + 1)[:, None] * (np.arange(BANDS) + 0.5)
    cepstrum = levels @ np.cos(np.pi * steps / BANDS).T.astype(np.float32) / BANDS
    energy = levels.mean(axis=1)
    loud = cepstrum[energy >= np.quantile(energy, 0.5)]
    top = cepstrum[energy >= np.quantile(energy, 0.9)]
    change = np.diff(cepstrum, axis=0) if len(cepstrum) > 1 else np.zeros_like(cepstrum)
    return np.concatenate([loud.mean(0), loud.std(0), change.std(0), top.mean(0)]).astype(np.float32)


def timbres(waves: Sequence[Floats], sample_rate_hz: int) -> Floats:
    """`timbre` of several sounds: [K, 4 * COEFFICIENTS]."""
    return np.stack([timbre(wave, sample_rate_hz) for wave in waves])
