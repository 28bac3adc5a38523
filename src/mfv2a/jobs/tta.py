"""Prompts -> sound files. Knows no video, and imports only what a prompt needs, for a quick start."""

from __future__ import annotations

import itertools
import math
import os
import time
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfv2a.errors import ConfigError, MediaError
from mfv2a.jobs.seed import clip_seed
from mfv2a.jobs.sound import SoundOptions, level_dbfs
from mfv2a.records import Audio

if TYPE_CHECKING:
    from mfv2a.jobs.track import Track

AUDIO_SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus")
STDOUT = "-"
MAX_DURATION_S = 600.0
_SLUG_LENGTH = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class TtaOptions:
    """What `make_sounds` shall do.

    Attributes:
        out: a sound file, a folder, "-" for stdout, or "" for a file named after the prompt.
        sound: what makes the sound.
        duration_s: length of each sound in seconds.
        variants: takes of each prompt.
    """

    out: str = ""
    sound: SoundOptions = field(default_factory=SoundOptions)
    duration_s: float = 8.0
    variants: int = 1

    def __post_init__(self) -> None:
        if not (math.isfinite(self.duration_s) and 0 < self.duration_s <= MAX_DURATION_S):
            raise ConfigError(
                f"--duration {self.duration_s:g} cannot work",
                hint=f"use more than 0, at most {MAX_DURATION_S:g} s",
            )
        if self.variants < 1:
            raise ConfigError(f"--variants {self.variants} cannot work", hint="use 1 or more")


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
    options.sound.check(info, pictures=False)
    rate_hz = options.sound.rate_hz(info)
    begin(info, rate_hz)
    sound = options.sound
    pipeline = sound.load()
    settings = sound.settings(info)
    for group in _groups(takes, sound.batch_size):
        start = time.perf_counter()
        works = [
            pipeline.prepare(
                None,
                prompt=take.prompt,
                negative_prompt=sound.negative_prompt,
                duration_s=options.duration_s,
                seed=take.seed,
            )
            for take in group
        ]
        latents = pipeline.sample(works, sound.sampler())
        shared_s = (time.perf_counter() - start) / len(group)
        for take, work, latent in zip(group, works, latents, strict=True):
            start = time.perf_counter()
            track = _level(pipeline.decode(work, latent, sample_rate_hz=rate_hz), sound.loudness_lufs)
            _write(take, track.audio)
            facts = {"settings": settings, "seconds": round(shared_s + time.perf_counter() - start, 4)}
            done(take, track.audio, {**facts, **level_dbfs(track.audio.samples), **track.facts})


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
    if not cleaned or not all(cleaned):
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
    return [replace(take, path=path) for take, path in zip(takes, _name(takes, options.out), strict=True)]


def slug(prompt: str) -> str:
    """A file name's stem out of a prompt: letters and digits of any script, the rest dashes."""
    text = unicodedata.normalize("NFKC", prompt).lower()
    words = "".join(character if character.isalnum() else " " for character in text).split()
    name = "-".join(words)[:_SLUG_LENGTH].rstrip("-")
    return name or "sound"


def encode_wav(audio: Audio) -> bytes:
    """A sound as a whole WAV file, for stdout."""
    from mfv2a.media.audio import wav_bytes

    return wav_bytes(audio)


def _name(takes: Sequence[Take], out: str) -> list[Path]:
    """A path for each take, no two alike; names made up here never replace a file that is there."""
    target = Path(out)
    folder = out == "" or out.endswith(("/", os.sep)) or target.is_dir()
    if not folder:
        if target.suffix.lower() not in AUDIO_SUFFIXES:
            raise ConfigError(
                f"-o {out}: no sound file ends in {target.suffix or 'nothing'!r}",
                hint=f"use one of {' '.join(AUDIO_SUFFIXES)}, a folder ending in /, or - for stdout",
            )
        if len(takes) == 1:
            return [target]
        width = len(str(len(takes)))
        return [target.with_stem(f"{target.stem}-{n:0{width}}") for n in range(1, len(takes) + 1)]
    taken: dict[Path, None] = {}
    for take in takes:
        stem = slug(take.prompt)
        names = (target / f"{stem}{'' if n == 1 else f'-{n}'}.wav" for n in itertools.count(1))
        taken[next(path for path in names if path not in taken and not os.path.lexists(path))] = None
    return list(taken)


def _groups(takes: Sequence[Take], size: int) -> list[Sequence[Take]]:
    return [takes[start : start + size] for start in range(0, len(takes), size)]


def _level(audio: Audio, loudness_lufs: float | None) -> Track:
    from mfv2a.jobs.track import make_track

    return make_track(audio, loudness_lufs=loudness_lufs)


def _write(take: Take, audio: Audio) -> None:
    if take.path is not None:
        from mfv2a.media.audio import write_audio

        try:
            take.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MediaError(
                take.path, f"its folder cannot be made: {error.strerror}", hint="choose another -o"
            ) from error
        write_audio(take.path, audio)
