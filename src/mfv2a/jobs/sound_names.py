"""Sounds -> the files they are written to: names that replace nothing, and a rate that the format holds.

This file imports nothing heavy, and knows of a sound nothing but its prompt.
"""

from __future__ import annotations

import itertools
import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from mfv2a.errors import ConfigError

AUDIO_SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus")
_SLUG_LENGTH = 60
Others = Callable[[Path], Sequence[Path]]


def slug(prompt: str) -> str:
    """A file name's stem out of a prompt: letters and digits of any script, the rest dashes; of emoji their names."""
    names = " ".join(unicodedata.name(character, "") for character in prompt if not character.isascii())
    for text in (prompt, names):
        text = unicodedata.normalize("NFKC", text).lower()
        words = "".join(character if _is_letter(character) else " " for character in text).split()
        if name := "-".join(words)[:_SLUG_LENGTH].rstrip("-"):
            return name
    return "sound"


def _is_letter(character: str) -> bool:
    """Letters, digits, and the marks that many scripts write their vowels with."""
    return character.isalnum() or unicodedata.category(character).startswith("M")


def is_made_up(out: str, count: int) -> bool:
    """Whether `name_sounds` makes names up for so many sounds; else the one that `out` gives is taken as it is."""
    return count > 1 or not out or out.endswith(("/", os.sep)) or Path(out).is_dir()


def name_sounds(prompts: Sequence[str], out: str, others: Others) -> list[Path]:
    """A path for each sound, no two alike; names made up here never replace a file that is there.

    Args:
        prompts: what each of them is of.
        out: a sound file, which several sounds number; a folder; or "" for the working directory.
        others: the files that are written beside a sound.

    Raises:
        ConfigError: a suffix that is no sound file's.
    """
    target = Path(out)
    if not is_made_up(out, 1):
        if target.suffix.lower() not in AUDIO_SUFFIXES:
            suffix = target.suffix
            ends = f"no sound file ends in {suffix!r}" if suffix else "no folder, and no name of a sound file"
            raise ConfigError(
                f"-o {out}: {ends}",
                hint=f"use one of {' '.join(AUDIO_SUFFIXES)}, a folder ending in /, or - for stdout",
            )
        if len(prompts) == 1:
            return [target]
        width = len(str(len(prompts)))
        names = (target.with_stem(f"{target.stem}-{n:0{width}}") for n in itertools.count(1))
        return list(itertools.islice(_free(names, others), len(prompts)))
    taken: dict[Path, None] = {}
    free: dict[str, Iterator[Path]] = {}  # of each stem, the names that have not been looked at yet
    for stem in map(slug, prompts):
        left = free.setdefault(stem, _free(_numbered(target / f"{stem}.wav"), others))
        taken[next(path for path in left if path not in taken)] = None
    return list(taken)


def reserve(path: Path, others: Others) -> Path:
    """Take a made-up name by an empty file, so that no run beside this one takes it, too.

    Args:
        path: the name wanted; where it is taken by now, one with a number is.
        others: the files that are written beside a sound.

    Returns:
        the name taken.

    Raises:
        OSError: the folder cannot be written to.
    """
    for name in _numbered(path):
        if not any(map(os.path.lexists, others(name))):
            with suppress(FileExistsError):
                name.touch(exist_ok=False)
                return name
    raise AssertionError("numbers have no end")


def _numbered(path: Path) -> Iterator[Path]:
    """NAME.wav, NAME-2.wav and so on."""
    return itertools.chain([path], (path.with_stem(f"{path.stem}-{n}") for n in itertools.count(2)))


def _free(names: Iterable[Path], others: Others) -> Iterator[Path]:
    """The names under which nothing is there, nor under those of the files beside them."""
    return (path for path in names if not any(map(os.path.lexists, (path, *others(path)))))


def file_rate(path: Path | None, rate_hz: int, *, asked: bool) -> int:
    """The rate of a file in Hz: the one wanted, or the next higher one that its format holds.

    Args:
        path: of the file, None for stdout.
        rate_hz: the one wanted.
        asked: by the user, who is to know.

    Raises:
        ConfigError: a rate was asked for that the format does not hold.
    """
    if path is None:
        return rate_hz
    from mfv2a.media.audio import sound_format, writable_rate

    held = writable_rate(path, rate_hz)
    if held != rate_hz and asked:
        rates = ", ".join(str(rate) for rate in sound_format(path)[4])
        raise ConfigError(f"{path.suffix[1:]} cannot hold {rate_hz} Hz", hint=f"--sample-rate: one of {rates}")
    return held
