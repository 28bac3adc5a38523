"""Pairs of sounds -> a score a clip of every measure, and what the judges heard, a few clips in memory at a time.

What stays of a clip is its scores and its embeddings; sound and pictures go with it. A clip is as long as its true
sound, whatever was generated. One that cannot be read is told and left out of all measures and of all systems.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mfv2a.errors import MediaError
from mfv2a.evaluation.metrics import kl_divergence, log_mel_distance, sigmoid, softmax
from mfv2a.evaluation.onsets import OnsetMatch
from mfv2a.evaluation.pairs import cepstral_distortion, envelope_agreement, intelligibility, onset_agreement
from mfv2a.jobs.judges import Judges
from mfv2a.jobs.pairing import Pair
from mfv2a.media.loudness import measure_channels_lufs, measure_lufs
from mfv2a.media.resampling import resample
from mfv2a.media.tracks import read_on_clock
from mfv2a.records import Audio

if TYPE_CHECKING:
    from mfv2a.evaluation.embeddings import Embedding, Heard

Wave = NDArray[np.float32]
RATE_HZ = 16_000
"""At which onsets, spectra and STOI are compared."""
AT_ONCE = 8
_ALIKE_S = 0.1

Score = dict[str, float | None]
_HITS = frozenset({"onset_f1", "onset_f1_pooled"})
_ENVELOPES = frozenset({"envelope_correlation", "envelope_above_chance"})
_LOUDNESS = frozenset({"loudness_difference", "loudness_error"})
_OF_WAVES: Mapping[str, Callable[[Wave, Wave, int], float | None]] = MappingProxyType(
    {
        "log_mel_distance": log_mel_distance,
        "mel_cepstral_distortion": cepstral_distortion,
        "stoi": intelligibility,
    }
)


@dataclass(slots=True)
class Sound:
    """A mono sound at its own rate, and at those it was asked for.

    Attributes:
        wave: [S].
        rate_hz: of the wave.
        lufs: loudness of all its channels, None where it was not asked for.
        channels: how many it had before it was mixed to mono.
        file_s: length of the file's sound, before it was cut or filled.
    """

    wave: Wave
    rate_hz: int
    lufs: float | None = None
    channels: int = 1
    file_s: float = 0.0
    _others: dict[int, Wave] = field(default_factory=dict)

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.wave) / self.rate_hz

    def lufs_beside(self, other: Sound) -> float | None:
        """Loudness as it is compared with another sound: a mono one beside a stereo one is heard from both sides.

        BS.1770 adds channels up, so a mono sound would else be 3 LU below the same in stereo.

        Source: FFmpeg, ebur128, option `dualmono`.
        """
        if self.lufs is None or (self.channels, other.channels) != (1, 2):
            return self.lufs
        return measure_lufs(np.stack([self.wave, self.wave], axis=1), self.rate_hz)

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
        matches: hits of each clip, empty where they are not wanted.
        files_s: length of each generated sound as its file has it, in seconds.
        heard: what each judge heard, by its name.
    """

    scores: list[Score] = field(default_factory=list)
    matches: list[OnsetMatch] = field(default_factory=list)
    heard: dict[str, list[Heard]] = field(default_factory=dict)
    files_s: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Scores:
    """What all got.

    Attributes:
        pairs: the clips that could be read.
        systems: one or two, whose clips are the same.
        reference: what each judge heard of the true sounds.
        durations_s: length of each clip, which is that of the true sound's stretch.
    """

    systems: list[System]
    pairs: list[Pair] = field(default_factory=list)
    reference: dict[str, list[Heard]] = field(default_factory=dict)
    durations_s: list[float] = field(default_factory=list)

    @property
    def owners(self) -> NDArray[np.intp]:
        """The true sound of each clip [K], numbered from 0; clips of several captions of one share it."""
        names = {name: number for number, name in enumerate(dict.fromkeys(map(_true_sound, self.pairs)))}
        return np.array([names[_true_sound(pair)] for pair in self.pairs], np.intp)

    @property
    def true_sounds(self) -> int:
        """How many true sounds the clips are of."""
        return len(set(map(_true_sound, self.pairs)))

    @property
    def shorter(self) -> list[list[str]]:
        """By system the clips whose generated sound ends more than 0.1 s before the true one."""
        return [self._named(system, 1.0) for system in self.systems]

    @property
    def longer(self) -> list[list[str]]:
        """By system the clips whose generated sound goes on for more than 0.1 s after the true one."""
        return [self._named(system, -1.0) for system in self.systems]

    def _named(self, system: System, sign: float) -> list[str]:
        lengths = zip(self.pairs, self.durations_s, system.files_s, strict=True)
        return [pair.key for pair, true_s, made_s in lengths if sign * (true_s - made_s) > _ALIKE_S]


def _true_sound(pair: Pair) -> str:
    return pair.true_sound or pair.key


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
        loaded = _load(pair, fail, loudness=bool(_LOUDNESS & wanted))
        if loaded is not None:
            reference, generated = loaded
            rows = [_paired_scores(sound, reference, wanted) for sound in generated]
            crossed = _crossed_scores(pair, generated, judges, fail)
            scores.pairs.append(pair)
            scores.durations_s.append(reference.duration_s)
            for system, sound, (row, match), more in zip(scores.systems, generated, rows, crossed, strict=True):
                system.scores.append(row | more)
                system.matches += [] if match is None else [match]
                system.files_s.append(sound.file_s)
            waiting.append((pair, reference, generated))
        if waiting and (len(waiting) == AT_ONCE or done == len(pairs)):
            _listen(scores, judges, waiting, wanted)
            waiting = []
        tick(done)
    return scores


def _load(pair: Pair, fail: Callable[[MediaError], None], *, loudness: bool) -> tuple[Sound, list[Sound]] | None:
    """The true sound's stretch, and each generated sound cut or filled with silence to its length."""
    try:
        true, *made = (read_on_clock(path, mono=False) for path in (pair.reference, *pair.generated))
        rest_s = len(true.samples) / true.sample_rate_hz - pair.start_s
        if round(rest_s * true.sample_rate_hz) < 1:
            raise MediaError(
                pair.reference, f"has no sound after {pair.start_s:g} s, where the list has the clip begin"
            )
    except MediaError as error:
        fail(error)
        return None
    duration_s = min(pair.duration_s or rest_s, rest_s)
    reference = _fitted(true, duration_s, start_s=pair.start_s, loudness=loudness)
    return reference, [_fitted(audio, duration_s, loudness=loudness) for audio in made]


def _fitted(audio: Audio, duration_s: float, *, start_s: float = 0.0, loudness: bool) -> Sound:
    """A stretch of a sound [S, channels], mixed to mono; where there is nothing it is silent."""
    rate_hz = audio.sample_rate_hz
    channels = np.zeros((max(1, round(duration_s * rate_hz)), audio.samples.shape[1]), np.float32)
    stretch = audio.samples[round(start_s * rate_hz) :][: len(channels)]
    channels[: len(stretch)] = stretch
    lufs = measure_channels_lufs(channels, rate_hz) if loudness else None
    wave = np.ascontiguousarray(channels.mean(axis=1), np.float32)
    return Sound(wave, rate_hz, lufs=lufs, channels=channels.shape[1], file_s=len(audio.samples) / rate_hz)


def _paired_scores(generated: Sound, reference: Sound, wanted: frozenset[str]) -> tuple[Score, OnsetMatch | None]:
    ours, theirs = generated.at(RATE_HZ), reference.at(RATE_HZ)
    length = min(len(ours), len(theirs))
    ours, theirs = ours[:length], theirs[:length]
    match = onset_agreement(ours, theirs, RATE_HZ) if _HITS & wanted else None
    scores: Score = {} if match is None else {"onset_f1": match.f1 if match.n_true else None}
    if _ENVELOPES & wanted:
        envelopes = envelope_agreement(ours, theirs, RATE_HZ)
        scores |= {"envelope_correlation": envelopes.correlation, "envelope_above_chance": envelopes.above_chance}
    scores |= {name: measure(ours, theirs, RATE_HZ) for name, measure in _OF_WAVES.items() if name in wanted}
    ours_lufs, theirs_lufs = generated.lufs_beside(reference), reference.lufs_beside(generated)
    if ours_lufs is not None and theirs_lufs is not None:
        is_known = math.isfinite(ours_lufs) and math.isfinite(theirs_lufs)
        above = ours_lufs - theirs_lufs if is_known else None
        scores |= {"loudness_difference": above, "loudness_error": None if above is None else abs(above)}
    return {name: finite(value) for name, value in scores.items() if name in wanted}, match


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


def _listen(
    scores: Scores, judges: Judges, waiting: Sequence[tuple[Pair, Sound, list[Sound]]], wanted: frozenset[str]
) -> None:
    """Let each judge hear a few clips; what compares the two sides of a clip becomes its score."""
    last = len(scores.systems[0].scores) - len(waiting)
    for judge in judges.sounds:
        reference = _hear(judge, [reference for _, reference, _ in waiting])
        scores.reference.setdefault(judge.name, []).extend(reference)
        for place, system in enumerate(scores.systems):
            heard = _hear(judge, [generated[place] for _, _, generated in waiting])
            system.heard.setdefault(judge.name, []).extend(heard)
            for row, (ours, theirs) in enumerate(zip(heard, reference, strict=True), last):
                found = _judged_scores(judge.name, ours, theirs)
                system.scores[row] |= {name: value for name, value in found.items() if name in wanted}


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
