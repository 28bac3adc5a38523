"""The track of one file: the new sound at the level asked for, over the source's own sound where that is kept.

Arrays in, arrays out. Those of a long sound lie on disk, in files without a name; nothing else is written here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfv2a.jobs.delivery import Channels
from mfv2a.media.blend import Blend, pieces
from mfv2a.media.ducking import duck_gain
from mfv2a.media.loudness import MAX_GAIN_DB, apply_gain, level_sound, limit_peaks
from mfv2a.media.spool import kept
from mfv2a.records import Audio

COUNTS: Mapping[Channels, int | None] = {"auto": None, "mono": 1, "stereo": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """What is written.

    Attributes:
        audio: the sound for the video.
        stem: the new sound alone, as it is in there; None if nobody asked for it.
        facts: what was done to its level, for the report.
    """

    audio: Audio
    stem: Audio | None
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
    with_stem: bool = True,
    folder: Path | None = None,
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
        with_stem: whether the new sound alone is wanted, too.
        folder: on whose disk the arrays are kept; None for memory.

    Raises:
        OSError: the disk is full.
    """
    if channels != "auto":
        new = Audio(samples=with_channels(new.samples, channels, folder), sample_rate_hz=new.sample_rate_hz)
    if source is None and loudness_lufs is None:
        return Track(audio=new, stem=new, facts={})
    facts: dict[str, Any] = {}
    stem = Blend((new.samples, 1.0))
    whole = stem
    if source is not None:
        under = Blend((source, 1.0), channels=COUNTS[channels], length=len(new.samples))
        stem = Blend((new.samples, 10 ** (mix_gain_db / 20)))
        if duck_db is not None:
            ducked = duck_gain(under, new.sample_rate_hz, duck_db, folder=folder)
            facts["ducked_share"] = _share_below(ducked, 10 ** (-duck_db / 40))
            stem = Blend((stem, ducked))
        whole = Blend((stem, 1.0), (under, 1.0))
    if loudness_lufs is None:
        gain = limit_peaks(whole, new.sample_rate_hz, folder=folder)
        least = min(float(np.min(piece, initial=1.0)) for _, piece in pieces(gain))
        facts["limited_db"] = round(-20 * math.log10(least), 2)
    else:
        most_db = 0.0 if quiet and source is None else MAX_GAIN_DB
        level = level_sound(whole, new.sample_rate_hz, loudness_lufs, max_gain_db=most_db, folder=folder)
        gain = level.gain
        held = "quiet" if level.held == "gain" and most_db == 0 else level.held
        facts |= {
            "loudness_lufs": _number(level.loudness_lufs),
            "true_peak_dbtp": _number(level.true_peak_dbtp),
            "gain_db": _number(level.gain_db),
            "loudness_held": held,
        }

    def levelled(sound: Blend) -> Audio:
        return Audio(samples=apply_gain(sound, gain, folder=folder), sample_rate_hz=new.sample_rate_hz)

    return Track(audio=levelled(whole), stem=levelled(stem) if with_stem else None, facts=facts)


def with_channels(samples: NDArray[np.float32], channels: Channels, folder: Path | None = None) -> NDArray[np.float32]:
    """A sound [S] or [S, channels] as mono [S], the mean of its channels, or as stereo [S, 2], the same twice.

    Args:
        samples: the sound.
        channels: what is wanted.
        folder: on whose disk the result is kept; None for memory.
    """
    count = COUNTS[channels]
    if count is None or samples.shape[1:] == (() if count == 1 else (count,)):
        return samples
    return kept((piece for _, piece in pieces(Blend((samples, 1.0), channels=count))), folder)


def _share_below(gain: NDArray[np.float32], limit: float) -> float:
    """In which part of the time a gain is below a limit."""
    below = sum(int(np.count_nonzero(piece < limit)) for _, piece in pieces(gain))
    return round(below / max(1, len(gain)), 3)


def _number(value: float) -> float | None:
    """A level for JSON, which knows no infinity."""
    return round(value, 2) if math.isfinite(value) else None
