"""Prompts -> sound files. Knows no video, and imports only what a prompt needs, for a quick start."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfv2a.errors import ConfigError, MediaError, StartError
from mfv2a.jobs.choice import ChoiceOptions
from mfv2a.jobs.delivery import Channels, DeliveryOptions
from mfv2a.jobs.faults import MEMORY_HINT, is_out_of_memory
from mfv2a.jobs.seed import clip_seed
from mfv2a.jobs.sound import SoundOptions, level_dbfs
from mfv2a.jobs.sound_names import file_rate, name_sounds
from mfv2a.records import Audio

if TYPE_CHECKING:
    from torch import Tensor

    from mfv2a.jobs.drafts import Draft, Takes
    from mfv2a.jobs.track import Track
    from mfv2a.pipeline import Work

STDOUT = "-"
MIN_DURATION_S, MAX_DURATION_S = 0.01, 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TtaOptions:
    """What `make_sounds` shall do.

    Attributes:
        out: a sound file, a folder, "-" for stdout, or "" for a file named after the prompt.
        sound: what makes the sound.
        duration_s: length of each sound in seconds.
        variants: takes of each prompt.
        choice: how a sound is chosen.
        delivery: how it is handed on.
    """

    out: str = ""
    sound: SoundOptions = field(default_factory=SoundOptions)
    duration_s: float = 8.0
    variants: int = 1
    choice: ChoiceOptions = field(default_factory=ChoiceOptions)
    delivery: DeliveryOptions = field(default_factory=DeliveryOptions)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.duration_s) and MIN_DURATION_S <= self.duration_s <= MAX_DURATION_S):
            raise ConfigError(
                f"--duration {self.duration_s:g} cannot work",
                hint=f"use {MIN_DURATION_S:g} to {MAX_DURATION_S:g} s",
            )
        if self.variants < 1:
            raise ConfigError(f"--variants {self.variants} cannot work", hint="use 1 or more")
        if self.out == STDOUT and self.choice.keep_all:
            raise ConfigError("--keep-all and -o -: several sounds do not fit on stdout", hint="give -o a folder")


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """One sound to make.

    Attributes:
        prompt: what should be heard.
        variant: number of the take, from 0.
        seed: seed of its noise.
        path: the file to write, None for stdout.
    """

    prompt: str
    variant: int
    seed: int
    path: Path | None


def make_sounds(
    prompts: Sequence[str],
    options: TtaOptions,
    *,
    begin: Callable[[Any, int], None],
    done: Callable[[Take, Audio, dict[str, Any]], None],
) -> None:
    """Makes a sound of each prompt and take.

    Args:
        prompts: what should be heard.
        options: what to do.
        begin: is told the model's description and the sample rate of the files, in Hz.
        done: gets each take, its sound and its facts once its file, if it has one, is written.

    Raises:
        ConfigError: something that cannot work, found before anything was made.
        MediaError: a file could not be written.
        StartError: the model could not be loaded, or the disk is full.
    """
    from mfv2a.loader import describe_model

    takes = plan_takes(prompts, options)
    info = describe_model(options.sound.model)
    if options.sound.steps is None and info.words_steps:
        options = replace(options, sound=replace(options.sound, steps=info.words_steps))
    options.sound.check(info, pictures=False)
    rate_hz = file_rate(takes[0].path, options.sound.rate_hz(info), asked=options.sound.sample_rate_hz != "model")
    begin(info, rate_hz)
    maker = _Maker(options, rate_hz)
    for group in _groups(takes, max(1, options.sound.batch_size // options.choice.candidates)):
        for take, audio, facts in maker.make(group):
            done(take, audio, facts)


class _Maker:
    """Takes -> sounds and files, a group at a time.

    Args:
        options: what to do.
        rate_hz: of the files.
    """

    def __init__(self, options: TtaOptions, rate_hz: int) -> None:
        from mfv2a.jobs.jury import Jury

        self._options, self._rate_hz = options, rate_hz
        self._pipeline = options.sound.load()
        self._jury = Jury(options.choice) if options.choice.listens else None
        info = self._pipeline.info
        self._settings = {
            **options.sound.settings(info),
            **options.choice.settings(),
            **options.delivery.settings(),
        }

    def make(self, group: Sequence[Take]) -> Iterator[tuple[Take, Audio, dict[str, Any]]]:
        """Draws the sounds of a group together, and those that are refused again; each is given once it is written."""
        start = time.perf_counter()
        waiting = [(take, self._prepare(take)) for take in group]
        spent_s = dict.fromkeys(group, (time.perf_counter() - start) / len(group))
        while waiting:
            start = time.perf_counter()
            works = [work for _, draft in waiting for work in draft.to_draw()]
            latents = iter(self._sample(works))
            shared_s = (time.perf_counter() - start) / len(waiting)
            again = []
            for take, draft in waiting:
                start = time.perf_counter()
                content = self._hear(take, draft, draft.takes(latents))
                spent_s[take] += shared_s + time.perf_counter() - start
                if not content:
                    again.append((take, draft))
                    continue
                start = time.perf_counter()
                audio, facts = self._write(take, draft)
                facts["seconds"] = round(spent_s[take] + time.perf_counter() - start, 4)
                yield take, audio, facts
            waiting = again

    def _sample(self, works: Sequence[Work]) -> list[Tensor]:
        """Their latents, with half the batch while memory is short."""
        sampler = self._options.sound.sampler()
        while True:
            try:
                return self._pipeline.sample(works, sampler)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                if sampler.batch_size <= 1:
                    raise StartError("not enough memory for one sound", hint=MEMORY_HINT) from error
            sampler = replace(sampler, batch_size=sampler.batch_size // 2)

    def _prepare(self, take: Take) -> Draft:
        from mfv2a.jobs.drafts import Draft

        work = self._pipeline.prepare(
            None,
            prompt=take.prompt,
            negative_prompt=self._options.sound.negative_prompt,
            duration_s=self._options.duration_s,
            seed=take.seed,
        )
        number = self._options.choice.candidates
        return Draft(works=(work,), duration_s=work.duration_s, seed=take.seed, candidates=number)

    def _hear(self, take: Take, draft: Draft, takes: Takes) -> bool:
        """Makes the sounds of one round; whether the best of them may stay."""
        from mfv2a.jobs.drafts import Candidate
        from mfv2a.jobs.seed import candidate_seed

        choice = self._options.choice
        for number, (latent,) in zip(draft.numbers(), takes, strict=True):
            audio = self._pipeline.decode(draft.works[0], latent, sample_rate_hz=self._rate_hz)
            candidate = Candidate(number=number, seed=candidate_seed(draft.seed, number), audio=audio)
            if self._jury is None:
                draft.kept = [candidate]
            else:
                verdict = self._jury.judge(audio, [take.prompt])
                draft.keep(replace(candidate, verdict=verdict), choice.kept)
        draft.drawn += draft.candidates
        best = draft.kept[0].verdict
        return best is None or not best.refused or draft.drawn >= choice.rounds * draft.candidates

    def _write(self, take: Take, draft: Draft) -> tuple[Audio, dict[str, Any]]:
        """Writes the best sound, after the others if they are kept."""
        from mfv2a.jobs.delivery import provenance
        from mfv2a.jobs.writing import describe_choice

        sound, delivery = self._options.sound, self._options.delivery
        paths = [] if take.path is None else [take.path, *self._options.choice.others(take.path)]
        facts: dict[str, Any] = {"settings": self._settings}
        for candidate, path in reversed(list(itertools.zip_longest(draft.kept, paths))):
            statement = provenance(self._pipeline.info, candidate.seed) if delivery.provenance else ""
            _make_folder(path)
            track = _level(candidate.audio, sound.loudness_lufs, delivery.channels, path)
            _write(path, track.audio, statement)
        if take.path is None:
            facts["statement"] = statement
        facts |= {**level_dbfs(track.audio.samples), **track.facts}
        return track.audio, facts | describe_choice(draft, [path.name for path in paths[1:]])


def plan_takes(prompts: Sequence[str], options: TtaOptions) -> list[Take]:
    """Names and seeds every sound before any is made.

    Args:
        prompts: what should be heard.
        options: what to do.

    Returns:
        The takes: each prompt's variants together.

    Raises:
        ConfigError: no or an empty prompt, a suffix that is no sound file's, or several sounds for stdout.
    """
    cleaned = [" ".join(prompt.split()) for prompt in prompts]
    if not cleaned:
        raise ConfigError("there is no prompt", hint="give one, or a line each on stdin")
    if not all(cleaned):
        raise ConfigError("a prompt is empty", hint='say what should be heard: mfv2a tta "rain on a tin roof"')
    takes = [
        Take(prompt=prompt, variant=n, seed=clip_seed(options.sound.seed, f"text:{prompt}", n), path=None)
        for prompt in cleaned
        for n in range(options.variants)
    ]
    if options.out == STDOUT:
        if len(takes) > 1:
            raise ConfigError(f"{len(takes)} sounds do not fit on stdout", hint="give -o a folder, or make one sound")
        return takes
    paths = name_sounds([take.prompt for take in takes], options.out, options.choice.others)
    return [replace(take, path=path) for take, path in zip(takes, paths, strict=True)]


def encode_wav(audio: Audio, statement: str = "") -> bytes:
    """A sound as a whole WAV file, for stdout, with what it says of itself."""
    from mfv2a.media.audio import wav_bytes

    return wav_bytes(audio, statement=statement)


def _groups(takes: Sequence[Take], size: int) -> list[Sequence[Take]]:
    return [takes[start : start + size] for start in range(0, len(takes), size)]


def _level(audio: Audio, loudness_lufs: float | None, channels: Channels, path: Path | None) -> Track:
    from mfv2a.jobs.track import make_track
    from mfv2a.media.coding import LOSSY_SUFFIXES, written_peak_dbtp

    peak: Callable[[Audio], float] | None = None
    if path is not None and path.suffix.lower() in LOSSY_SUFFIXES:
        peak = partial(written_peak_dbtp, path=path)
    return make_track(audio, loudness_lufs=loudness_lufs, channels=channels, with_stem=False, coded_peak=peak)


def _make_folder(path: Path | None) -> None:
    try:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MediaError(
            path or "-", f"its folder cannot be made: {error.strerror}", hint="choose another -o"
        ) from error


def _write(path: Path | None, audio: Audio, statement: str) -> None:
    if path is not None:
        from mfv2a.media.audio import write_audio

        write_audio(path, audio, statement=statement)
