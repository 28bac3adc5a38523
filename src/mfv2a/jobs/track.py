"""The track of one file: the new sound at the level asked for, over the source's own sound where that is kept.

Arrays in, arrays out. Those of a long sound lie on disk, in files without a name; nothing else is written here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfv2a.jobs.delivery import Channels
from mfv2a.media.blend import Blend, pieces
from mfv2a.media.ducking import duck_gain
from mfv2a.media.loudness import CEILING_DBTP, MAX_GAIN_DB, apply_gain, level_sound, limit_peaks, true_peak_dbtp
from mfv2a.media.spool import kept
from mfv2a.records import Audio

COUNTS: Mapping[Channels, int | None] = {"auto": None, "mono": 1, "stereo": 2}
_CODED_DB = 3.0  # a peak that is further below the ceiling is not expected to come out of a codec above it
_CODED_ROUNDS = 4
_CODED_STEP_DB = 0.1


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
    coded_peak: Callable[[Audio], float] | None = None,
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
        coded_peak: tells the true peak in dBTP of a sound once it was coded; None where coding changes nothing. What
            was levelled or limited is lowered until this, too, is below the ceiling.
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
        facts["limited_db"] = abs(round(20 * math.log10(least), 2))
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

    def levelled(sound: Blend, lowered_db: float) -> Audio:
        lowered = Blend((sound, 10 ** (-lowered_db / 20)))
        return Audio(samples=apply_gain(lowered, gain, folder=folder), sample_rate_hz=new.sample_rate_hz)

    audio, lowered_db, peak_db = _within_ceiling(lambda by_db: levelled(whole, by_db), coded_peak, folder is None)
    return Track(
        audio=audio,
        stem=levelled(stem, lowered_db) if with_stem else None,
        facts=_as_coded(facts, lowered_db, peak_db),
    )


def _within_ceiling(
    level: Callable[[float], Audio], coded_peak: Callable[[Audio], float] | None, gently: bool
) -> tuple[Audio, float, float | None]:
    """A sound lowered until it is below the ceiling once it was coded, too.

    Args:
        level: makes the sound, lowered by so many decibels.
        coded_peak: the true peak in dBTP of a sound once it was coded.
        gently: try first with half of what is too much, for an encoder may code a single hit in quite another way when
            it is a little lower; not worth its time where the sound is long.

    Returns:
        The sound, the decibels, and its peak once coded; None where that was not looked at.
    """
    audio, lowered_db, peak_db = level(0.0), 0.0, None
    if coded_peak is None or true_peak_dbtp(audio.samples, audio.sample_rate_hz) < CEILING_DBTP - _CODED_DB:
        return audio, lowered_db, peak_db
    for number in range(_CODED_ROUNDS + 1):
        peak_db = coded_peak(audio)
        if peak_db <= CEILING_DBTP or number == _CODED_ROUNDS:
            break
        excess_db = peak_db - CEILING_DBTP
        lowered_db += excess_db / 2 if gently and number == 0 else excess_db + max(number, 1) * _CODED_STEP_DB
        audio = level(lowered_db)
    return audio, lowered_db, peak_db


def _as_coded(facts: dict[str, Any], lowered_db: float, peak_db: float | None) -> dict[str, Any]:
    """The facts of a sound that was lowered for its codec's sake, and its peak once coded where that is known."""
    told = dict(facts)
    if peak_db is not None and "true_peak_dbtp" in told:
        told["true_peak_dbtp"] = _number(peak_db)
    if lowered_db:
        told |= {
            key: round(told[key] - lowered_db, 2) for key in ("loudness_lufs", "gain_db") if told.get(key) is not None
        }
        told["lowered_db"] = round(lowered_db, 2)
        if lowered_db > _CODED_STEP_DB and told.get("loudness_held") == "":
            told["loudness_held"] = "coding"
    return told


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
