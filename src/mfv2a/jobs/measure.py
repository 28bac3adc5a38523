"""Pairs of sounds -> a score a clip of every measure, and what the judges heard, a few clips in memory at a time.

What stays of a clip is its scores and its embeddings; sound and pictures go with it. A clip that cannot be read is told
and left out of all measures and of all systems.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mfv2a.errors import MediaError
from mfv2a.evaluation.metrics import kl_divergence, log_mel_distance, sigmoid, softmax
from mfv2a.evaluation.onsets import OnsetMatch
from mfv2a.evaluation.pairs import (
    cepstral_distortion,
    envelope_agreement,
    intelligibility,
    onset_agreement,
)
from mfv2a.jobs.judges import Judges
from mfv2a.jobs.pairing import Pair
from mfv2a.media.loudness import measure_lufs
from mfv2a.media.resampling import resample
from mfv2a.media.tracks import read_on_clock

if TYPE_CHECKING:
    from mfv2a.evaluation.embeddings import Embedding, Heard

Wave = NDArray[np.float32]
RATE_HZ = 16_000
"""At which onsets, spectra and STOI are compared."""
AT_ONCE = 8
_ALIKE_S = 0.1

Score = dict[str, float | None]


@dataclass(slots=True)
class Sound:
    """A sound at its own rate, and at those it was asked for."""

    wave: Wave
    rate_hz: int
    _others: dict[int, Wave] = field(default_factory=dict)

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.wave) / self.rate_hz

    def cut(self, duration_s: float, start_s: float = 0.0) -> Sound:
        """A stretch of it."""
        first = round(start_s * self.rate_hz)
        return Sound(self.wave[first : first + round(duration_s * self.rate_hz)], self.rate_hz)

    def at(self, rate_hz: int) -> Wave:
        """The wave at another rate, resampled once."""
        if rate_hz == self.rate_hz:
            return self.wave
        if rate_hz not in self._others:
            self._others[rate_hz] = resample(self.wave, self.rate_hz, rate_hz)
        return self._others[rate_hz]


@dataclass(slots=True)
class System:
    """What one system's sounds got.

    Attributes:
        scores: a clip's scores by measure, in the order of the clips.
        matches: hits of each clip.
        heard: what each judge heard, by its name.
    """

    scores: list[Score] = field(default_factory=list)
    matches: list[OnsetMatch] = field(default_factory=list)
    heard: dict[str, list[Heard]] = field(default_factory=dict)


@dataclass(slots=True)
class Scores:
    """What all got.

    Attributes:
        pairs: the clips that could be read.
        systems: one or two, whose clips are the same.
        reference: what each judge heard of the true sounds.
        shortened: clips whose sounds differed in length by more than 0.1 s.
    """

    systems: list[System]
    pairs: list[Pair] = field(default_factory=list)
    reference: dict[str, list[Heard]] = field(default_factory=dict)
    shortened: int = 0


def measure_pairs(
    pairs: Sequence[Pair],
    judges: Judges,
    wanted: frozenset[str],
    *,
    fail: Callable[[MediaError], None],
    tick: Callable[[int], None],
) -> Scores:
    """Read and measure all pairs.

    Args:
        pairs: at least one; each has the same number of systems.
        judges: who listens.
        wanted: names of measures.
        fail: takes what could not be read.
        tick: is told how many pairs are done with.
    """
    scores = Scores(systems=[System() for _ in pairs[0].generated])
    waiting: list[tuple[Pair, Sound, list[Sound]]] = []
    for done, pair in enumerate(pairs, 1):
        loaded = _load(pair, fail)
        if loaded is not None:
            reference, generated, unlike = loaded
            rows = [_paired_scores(sound, reference, wanted) for sound in generated]
            crossed = _crossed_scores(pair, generated, judges, fail)
            scores.pairs.append(pair)
            scores.shortened += unlike
            for system, (row, match), more in zip(scores.systems, rows, crossed, strict=True):
                system.scores.append(row | more)
                system.matches.append(match)
            waiting.append((pair, reference, generated))
        if waiting and (len(waiting) == AT_ONCE or done == len(pairs)):
            _listen(scores, judges, waiting)
            waiting = []
        tick(done)
    return scores


def _load(pair: Pair, fail: Callable[[MediaError], None]) -> tuple[Sound, list[Sound], bool] | None:
    """The true sound and the generated ones, mono, cut to the length that all have."""
    try:
        sounds = []
        for path in (pair.reference, *pair.generated):
            audio = read_on_clock(path)
            sounds.append(Sound(audio.samples, audio.sample_rate_hz))
        reference = sounds[0].cut(pair.duration_s or sounds[0].duration_s, pair.start_s)
        if not len(reference.wave):
            raise MediaError(
                pair.reference, f"has no sound after {pair.start_s:g} s, where the list has the clip begin"
            )
    except MediaError as error:
        fail(error)
        return None
    lengths = [each.duration_s for each in (reference, *sounds[1:])]
    shortest = min(lengths)
    cut = [each.cut(shortest) for each in (reference, *sounds[1:])]
    return cut[0], cut[1:], max(lengths) - shortest > _ALIKE_S


def _paired_scores(generated: Sound, reference: Sound, wanted: frozenset[str]) -> tuple[Score, OnsetMatch]:
    ours, theirs = generated.at(RATE_HZ), reference.at(RATE_HZ)
    length = min(len(ours), len(theirs))
    ours, theirs = ours[:length], theirs[:length]
    match = onset_agreement(ours, theirs, RATE_HZ)
    loudness, true_loudness = (measure_lufs(each.wave, each.rate_hz) for each in (generated, reference))
    above = loudness - true_loudness if math.isfinite(loudness) and math.isfinite(true_loudness) else None
    scores: Score = {
        "onset_f1": match.f1 if match.n_true else None,
        "envelope_correlation": envelope_agreement(ours, theirs, RATE_HZ),
        "log_mel_distance": log_mel_distance(ours, theirs, RATE_HZ),
        "mel_cepstral_distortion": cepstral_distortion(ours, theirs, RATE_HZ),
        "stoi": intelligibility(ours, theirs, RATE_HZ) if "stoi" in wanted else None,
        "loudness_difference": above,
        "loudness_error": None if above is None else abs(above),
    }
    return {name: finite(value) for name, value in scores.items()}, match


def finite(value: float | None) -> float | None:
    """A score, or None where there is none; never nan."""
    return float(value) if value is not None and math.isfinite(value) else None


def _crossed_scores(
    pair: Pair, generated: Sequence[Sound], judges: Judges, fail: Callable[[MediaError], None]
) -> Iterator[Score]:
    """Sounds against the picture and the words of their clip; the picture is decoded and looked at once."""
    from mfv2a.jobs.crossing import against_pictures, against_words

    rows: list[Score] = [{} for _ in generated]
    if judges.words is not None:
        for row, sound in zip(rows, generated, strict=True):
            row["clap"] = finite(against_words(sound, pair.captions, judges.words))
    if judges.pictures is not None or judges.sync is not None:
        try:
            found = against_pictures(pair, generated, judges)
        except MediaError as error:
            fail(error)
            found = [{} for _ in generated]
        for row, more in zip(rows, found, strict=True):
            row |= {name: finite(value) for name, value in more.items()}
    yield from rows


def _listen(scores: Scores, judges: Judges, waiting: Sequence[tuple[Pair, Sound, list[Sound]]]) -> None:
    """Let each judge hear a few clips; what compares the two sides of a clip becomes its score."""
    last = len(scores.systems[0].scores) - len(waiting)
    for judge in judges.sounds:
        reference = _hear(judge, [reference for _, reference, _ in waiting])
        scores.reference.setdefault(judge.name, []).extend(reference)
        for place, system in enumerate(scores.systems):
            heard = _hear(judge, [generated[place] for _, _, generated in waiting])
            system.heard.setdefault(judge.name, []).extend(heard)
            for row, (ours, theirs) in enumerate(zip(heard, reference, strict=True), last):
                system.scores[row] |= _judged_scores(judge.name, ours, theirs)


def _hear(judge: Embedding, sounds: Sequence[Sound]) -> list[Heard]:
    return judge.hear([sound.at(judge.rate_hz) for sound in sounds])


def _judged_scores(judge: str, ours: Heard, theirs: Heard) -> Score:
    if ours.logits is None or theirs.logits is None:
        return {}
    return {
        f"class_agreement_{judge}": float(ours.top == theirs.top),
        f"kl_{judge}": finite(float(kl_divergence(softmax(theirs.logits), softmax(ours.logits)))),
        f"kl_sigmoid_{judge}": finite(float(kl_divergence(sigmoid(theirs.logits), sigmoid(ours.logits)))),
    }
