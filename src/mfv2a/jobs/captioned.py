"""Rows of a list -> sounds to make of their words, named so that `mfv2a evaluate --list` finds them by the same list.

Lists are those of `mfv2a.data.listing`: VGGSound, AudioCaps, or named columns.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from mfv2a.data.listing import MediaItem, read_listing
from mfv2a.errors import ConfigError
from mfv2a.jobs.pairing import clip_name, clip_title
from mfv2a.jobs.seed import clip_seed
from mfv2a.jobs.sound_names import AUDIO_SUFFIXES, is_made_up
from mfv2a.jobs.tta import MAX_DURATION_S, MIN_DURATION_S, STDOUT, Take, TtaOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedTakes:
    """What is to be made of a list.

    Attributes:
        takes: sounds that are to be made, in the list's order.
        there: how many files are there already.
        wordless: rows that say nothing of what should be heard.
        shared: names that several rows have, of which no sound is made.
    """

    takes: tuple[Take, ...]
    there: int
    wordless: tuple[str, ...]
    shared: tuple[str, ...]


def plan_listed(listing: Path, options: TtaOptions, *, split: str = "", overwrite: bool = False) -> ListedTakes:
    """Names and seeds a sound for each caption of a list.

    A row that names a file gets one of that name under the folder, as .wav; AudioCaps' captions get one each, under
    their `audiocap_id`; VGGSound's rows ID_000012.wav. What should be heard is the caption, of several the first, else
    the label. A sound is as long as the row says, else as the options do.

    Args:
        listing: the list.
        options: what to do; `out` is the folder.
        split: only rows of this split, all if empty.
        overwrite: make again what is there.

    Raises:
        ConfigError: the list cannot be read, has nothing to make a sound of, or a row names what can be no file in the
            folder, or a length that cannot be made; `out` is no folder, or several variants are asked for.
    """
    folder = Path(options.out)
    is_sound = folder.suffix.lower() in AUDIO_SUFFIXES and not is_made_up(options.out, 1)
    if options.out in ("", STDOUT) or is_sound or folder.is_file():
        raise ConfigError("--list makes many sounds", hint="give -o the folder that they shall lie in: -o sounds/")
    if options.variants > 1:
        raise ConfigError(f"--variants {options.variants} and --list", hint="give another -o and --seed for each take")
    # A row that is there twice is one.
    words = list(
        dict.fromkeys((_name(item), item) for each in read_listing(listing, split=split) for item in _apart(each))
    )
    times = Counter(name for name, _ in words)
    takes, there = [], 0
    for name, item in words:
        prompt = " ".join(_said(item).split())
        path = folder / f"{name}.wav"
        if not prompt or times[name] > 1:
            continue
        if os.path.exists(path) and not overwrite:  # noqa: PTH110 - of a name that is too long it says no
            there += 1
            continue
        takes.append(
            Take(
                prompt=prompt,
                variant=0,
                seed=clip_seed(options.sound.seed, f"listed:{name}"),
                path=path,
                duration_s=_length(item, options.duration_s),
            )
        )
    if not takes and not there:
        raise ConfigError(
            f"{listing}: there is nothing to make a sound of",
            hint="its rows need a caption, prompt or label, and a name of their own",
        )
    return ListedTakes(
        takes=tuple(takes),
        there=there,
        wordless=tuple(name for name, item in words if not _said(item).strip()),
        shared=tuple(name for name, number in times.items() if number > 1),
    )


def _apart(item: MediaItem) -> Iterator[MediaItem]:
    """A row for each caption that has a number; else the row."""
    if not item.numbered:
        yield item
    for number, caption in item.numbered:
        yield replace(item, id=number, source_s=None, captions=(caption,), numbered=())


def _said(item: MediaItem) -> str:
    return next((caption for caption in item.captions if caption.strip()), item.label)


def _name(item: MediaItem) -> str:
    """Path of an item's sound under the folder, without suffix."""
    name = clip_name(clip_title(item))
    parts: Sequence[str] = PurePosixPath(name).parts
    if not parts or name.startswith("/") or "\0" in name or any(part.startswith(".") for part in parts):
        raise ConfigError(
            f"the list names {clip_title(item)!r}, which can be no file in a folder of sounds",
            hint="name files as they lie in their folder, without a dot to begin with",
        )
    return name


def _length(item: MediaItem, usual_s: float) -> float:
    wanted_s = item.duration_s or usual_s
    if not MIN_DURATION_S <= wanted_s <= MAX_DURATION_S:
        raise ConfigError(
            f"the list wants {wanted_s:g} s of {clip_title(item)!r}",
            hint=f"a sound can have {MIN_DURATION_S:g} to {MAX_DURATION_S:g} s",
        )
    return wanted_s
