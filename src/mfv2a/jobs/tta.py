"""Prompts -> sound files. Knows no video, and imports only what a prompt needs, for a quick start."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mfv2a.errors import ConfigError, MediaError, SoundError
from mfv2a.jobs.choice import ChoiceOptions
from mfv2a.jobs.delivery import DeliveryOptions
from mfv2a.jobs.seed import clip_seed
from mfv2a.jobs.sound import SoundOptions
from mfv2a.jobs.sound_names import file_rate, is_made_up, name_sounds
from mfv2a.records import Audio

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
        duration_s: length of the sound in seconds.
        made_up: the path is none that the user named, and shall replace nothing.
    """

    prompt: str
    variant: int
    seed: int
    path: Path | None
    duration_s: float
    made_up: bool = False


def make_sounds(
    takes: Sequence[Take],
    options: TtaOptions,
    *,
    begin: Callable[[Any, int], None],
    done: Callable[[Take, Audio, dict[str, Any]], None],
    failed: Callable[[Take, MediaError | SoundError], None] | None = None,
) -> None:
    """Makes the sound of each take; one that fails is told, and the others go on.

    Args:
        takes: at least one, see `plan_takes` and `mfv2a.jobs.captioned`.
        options: what to do.
        begin: is told the model's description and the sample rate of the files, in Hz.
        done: gets each take, its sound and its facts once its file, if it has one, is written.
        failed: gets each take of which no sound or no file could be made, and why; None: the first such error is
            raised.

    Raises:
        ConfigError: something that cannot work, found before anything was made.
        MediaError: a folder could not be made or written to; without `failed`, a file could not be written.
        SoundError: without `failed`, the model made what is no sound.
        StartError: the model could not be loaded, or the disk is full.
    """
    from mfv2a.jobs.sound_maker import SoundMaker
    from mfv2a.loader import describe_model

    info = describe_model(options.sound.model)
    if options.sound.steps is None and info.words_steps:
        options = replace(options, sound=replace(options.sound, steps=info.words_steps))
    options.sound.check(info, pictures=False)
    rate_hz = file_rate(takes[0].path, options.sound.rate_hz(info), asked=options.sound.sample_rate_hz != "model")
    begin(info, rate_hz)
    maker = SoundMaker(options, rate_hz)
    for group in _groups(takes, max(1, options.sound.batch_size // options.choice.candidates)):
        for take, made in maker.make(group):
            if not isinstance(made, Exception):
                done(take, *made)
            elif failed is None:
                raise made
            else:
                failed(take, made)


def usual_tries(model: str) -> int:
    """How often a model draws a sound of words at most until they are heard, where the user asks for no number."""
    from mfv2a.loader import describe_model

    return describe_model(model).words_tries


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
        Take(
            prompt=prompt,
            variant=n,
            seed=clip_seed(options.sound.seed, f"text:{prompt}", n),
            path=None,
            duration_s=options.duration_s,
        )
        for prompt in cleaned
        for n in range(options.variants)
    ]
    if options.out == STDOUT:
        if len(takes) > 1:
            raise ConfigError(f"{len(takes)} sounds do not fit on stdout", hint="give -o a folder, or make one sound")
        return takes
    paths = name_sounds([take.prompt for take in takes], options.out, options.choice.others)
    made_up = is_made_up(options.out, len(takes))
    return [replace(take, path=path, made_up=made_up) for take, path in zip(takes, paths, strict=True)]


def encode_wav(audio: Audio, statement: str = "") -> bytes:
    """A sound as a whole WAV file, for stdout, with what it says of itself."""
    from mfv2a.media.audio import wav_bytes

    return wav_bytes(audio, statement=statement)


def _groups(takes: Sequence[Take], size: int) -> list[Sequence[Take]]:
    return [takes[start : start + size] for start in range(0, len(takes), size)]
