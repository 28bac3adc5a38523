"""The track of one file: the new sound at the level asked for, over the source's own sound where that is kept.

Arrays in, arrays out; this file writes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfv2a.jobs.delivery import Channels
from mfv2a.media.ducking import duck_gain
from mfv2a.media.loudness import MAX_GAIN_DB, apply_gain, level_sound, limit_peaks
from mfv2a.media.tracks import mix_sounds
from mfv2a.records import Audio


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """What is written.

    Attributes:
        audio: the sound for the video.
        stem: the new sound alone, as it is in there.
        facts: what was done to its level, for the report.
    """

    audio: Audio
    stem: Audio
    facts: Mapping[str, Any]


def make_track(
    new: Audio,
    *,
    loudness_lufs: float | None = None,
    quiet: bool = False,
    source: NDArray[np.float32] | None = None,
    mix_gain_db: float = 0.0,
    duck_db: float | None = None,
    channels: Channels = "auto",
) -> Track:
    """Levels the new sound, or its mix with the source's.

    Args:
        new: the new sound, [S] or [S, channels].
        loudness_lufs: integrated loudness of the track, None to leave it as it is.
        quiet: the new sound is mere ambience, which no target raises.
        source: the source's sound [S', channels] at the same rate, None if it is not kept.
        mix_gain_db: gain of the new sound in the mix.
        duck_db: how far it gives way where the source's sound is heard, None for not at all.
        channels: of the track; "auto" for those of the new sound, or of the source where that is mixed in.
    """
    if channels != "auto":
        new = Audio(samples=with_channels(new.samples, channels), sample_rate_hz=new.sample_rate_hz)
    if source is None and loudness_lufs is None:
        return Track(audio=new, stem=new, facts={})
    facts: dict[str, Any] = {}
    stem = new.samples
    whole = stem
    if source is not None:
        source = with_channels(_fit(source, len(stem)), channels)
        stem = stem * np.float32(10 ** (mix_gain_db / 20))
        if duck_db is not None:
            ducked = duck_gain(source, new.sample_rate_hz, duck_db)
            facts["ducked_share"] = round(float(np.mean(ducked < 10 ** (-duck_db / 40))), 3)
            stem = stem * (ducked if stem.ndim == 1 else ducked[:, None])
        whole = mix_sounds([stem, source])
    if loudness_lufs is None:
        gain = limit_peaks(whole, new.sample_rate_hz)
        facts["limited_db"] = round(-20 * math.log10(float(np.min(gain, initial=1.0))), 2)
    else:
        most_db = 0.0 if quiet and source is None else MAX_GAIN_DB
        level = level_sound(whole, new.sample_rate_hz, loudness_lufs, max_gain_db=most_db)
        gain = level.gain
        held = "quiet" if level.held == "gain" and most_db == 0 else level.held
        facts |= {
            "loudness_lufs": _number(level.loudness_lufs),
            "true_peak_dbtp": _number(level.true_peak_dbtp),
            "gain_db": _number(level.gain_db),
            "loudness_held": held,
        }
    return Track(
        audio=Audio(samples=apply_gain(whole, gain), sample_rate_hz=new.sample_rate_hz),
        stem=Audio(samples=apply_gain(stem, gain), sample_rate_hz=new.sample_rate_hz),
        facts=facts,
    )


def with_channels(samples: NDArray[np.float32], channels: Channels) -> NDArray[np.float32]:
    """A sound [S] or [S, channels] as mono [S], the mean of its channels, or as stereo [S, 2].

    The two channels of a mono sound are the same, and take no memory.
    """
    if channels == "auto" or (channels == "mono" and samples.ndim == 1):
        return samples
    if channels == "mono":
        mean: NDArray[np.float32] = samples.mean(axis=1, dtype=np.float32)
        return mean
    if samples.ndim == 2 and samples.shape[1] == 2:
        return samples
    single = samples if samples.ndim == 1 else samples.mean(axis=1, dtype=np.float32)
    twice: NDArray[np.float32] = np.broadcast_to(single[:, None], (len(single), 2), subok=True)
    return twice


def _number(value: float) -> float | None:
    """A level for JSON, which knows no infinity."""
    return round(value, 2) if math.isfinite(value) else None


def _fit(samples: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    return np.pad(samples[:length], [(0, max(0, length - len(samples))), (0, 0)])
