"""Generated sounds and true ones brought together: by their place and name in two folders, or by a list.

Two files belong together if their paths under their folders are the same up to the suffix; with a list, if both are
found for the same row of it, as downloaders name the clips of VGGSound and AudioCaps. Only names are looked at here.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from mfv2a.data.listing import MediaItem, match_files, read_listing
from mfv2a.errors import ConfigError
from mfv2a.jobs.discover import VIDEO_SUFFIXES

SOUND_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aac", ".aif", ".aiff", ".wma", ".mka"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A true sound and what was generated for it.

    Attributes:
        key: what both are called.
        reference: file of the true sound.
        generated: file of each system's sound, in the order of the systems.
        picture: a file with the picture, the reference's if it has one; None where there is none.
        picture_start_s: where in that file the clip begins.
        captions: what is heard, in words.
        start_s, duration_s: of the stretch of the reference that counts; 0 s long to its end.
    """

    key: str
    reference: Path
    generated: tuple[Path, ...]
    picture: Path | None = None
    picture_start_s: float = 0.0
    captions: tuple[str, ...] = ()
    start_s: float = 0.0
    duration_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """What was found.

    Attributes:
        pairs: ordered by name.
        alone: what each folder, by its role, has that another lacks.
        unclear: files that share a name with another of their kind, with the reason.
    """

    pairs: tuple[Pair, ...]
    alone: Mapping[str, tuple[str, ...]]
    unclear: tuple[tuple[Path, str], ...] = ()


@dataclass(slots=True)
class _Clip:
    """Files of one name in a folder: sound files and files with a picture."""

    sounds: list[Path] = field(default_factory=list)
    videos: list[Path] = field(default_factory=list)

    @property
    def sound(self) -> Path:
        """Where its sound is: in the sound file if there is one."""
        return (self.sounds or self.videos)[0]

    @property
    def is_unclear(self) -> bool:
        """More than one file could be meant."""
        return len(self.sounds) > 1 or len(self.videos) > 1


def pair_folders(generated: Sequence[Path], reference: Path, *, listing: Path | None = None) -> Pairing:
    """Find the pairs.

    Args:
        generated: a folder a system.
        reference: folder with the true sounds, in sound or video files.
        listing: a list whose rows say which files belong together, and what is heard in them.

    Raises:
        ConfigError: a folder is none, two are the same, the list cannot be read, or nothing belongs together.
    """
    folders = [*generated, reference]
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(f"{folder} is no folder", hint="name a folder with sounds or videos")
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise ConfigError("a folder cannot be measured against itself", hint="name different folders")
    clips = [_clips(folder) for folder in folders]
    unclear = tuple(
        (clip.sound, "shares its name with another") for each in clips for clip in each.values() if clip.is_unclear
    )
    clear = [{key: clip for key, clip in each.items() if not clip.is_unclear} for each in clips]
    if listing is None:
        pairs, alone = _by_name(clear, reference)
    else:
        pairs, alone, shared = _by_list(clear, read_listing(listing))
        unclear += tuple((path, "belongs to several rows of the list") for path in shared)
    if not pairs:
        raise ConfigError(
            f"nothing in {generated[0]} belongs to anything in {reference}",
            hint="files pair by their paths up to the suffix; other names need --list",
        )
    roles = ["generated"] if len(generated) == 1 else ["a", "b"]
    named = {role: tuple(names) for role, names in zip([*roles, "reference"], alone, strict=True)}
    return Pairing(pairs=tuple(pairs), alone=named, unclear=unclear)


def _clips(folder: Path) -> dict[str, _Clip]:
    """Clips by their path under a folder, without the suffix."""
    found: dict[str, _Clip] = {}
    for path in sorted(_walk(folder)):
        suffix = path.suffix.lower()
        if suffix in SOUND_SUFFIXES or suffix in VIDEO_SUFFIXES:
            clip = found.setdefault(path.relative_to(folder).with_suffix("").as_posix(), _Clip())
            (clip.sounds if suffix in SOUND_SUFFIXES else clip.videos).append(path)
    return found


def _walk(folder: Path) -> Iterator[Path]:
    """Files below a folder, hidden ones left out; a link to a folder that was walked already is not followed."""
    walked: set[Path] = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        if (place := Path(root).resolve()) in walked:
            folders.clear()
            continue
        walked.add(place)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(root) / name for name in names if not name.startswith("."))


def _by_name(clips: Sequence[Mapping[str, _Clip]], reference: Path) -> tuple[list[Pair], list[list[str]]]:
    shared = set.intersection(*(set(each) for each in clips))
    pairs = [
        _pair(key, [each[key] for each in clips], MediaItem(id=key, captions=_caption_beside(reference / key)))
        for key in sorted(shared)
    ]
    return pairs, [sorted(set(each) - shared) for each in clips]


def _by_list(
    clips: Sequence[Mapping[str, _Clip]], items: Sequence[MediaItem]
) -> tuple[list[Pair], list[list[str]], list[Path]]:
    matched = [_match(each, items) for each in clips]
    claims = [Counter(id(clip) for clip in each.values()) for each in matched]
    twice = [
        {item for item, clip in each.items() if claim[id(clip)] > 1}
        for each, claim in zip(matched, claims, strict=True)
    ]
    several = set.union(*twice)
    shared = [item for item in items if item not in several and all(item in each for each in matched)]
    pairs = [_pair(_title(item), [each[item] for each in matched], item) for item in shared]
    used = [{id(each[item]) for item in shared} for each in matched]
    alone = [
        sorted(key for key, clip in each.items() if id(clip) not in taken)
        for each, taken in zip(clips, used, strict=True)
    ]
    claimed = {each[item].sound for each, items_ in zip(matched, twice, strict=True) for item in items_}
    return sorted(pairs, key=lambda pair: pair.key), alone, sorted(claimed)


def _match(clips: Mapping[str, _Clip], items: Sequence[MediaItem]) -> dict[MediaItem, _Clip]:
    """Clips of a folder by the rows they belong to; a row that names a file goes by its path up to the suffix."""
    named = {item: PurePosixPath(item.file).with_suffix("").as_posix() for item in items if item.file}
    found = {item: clips[key] for item, key in named.items() if key in clips}
    # `match_files` knows the names that downloaders give; a suffix of its own keeps dots in names apart from it.
    by_id, _ = match_files([item for item in items if not item.file], [f"{key}.clip" for key in clips])
    return found | {item: clips[name.removesuffix(".clip")] for item, name in by_id}


def _title(item: MediaItem) -> str:
    name = item.file or item.id
    return f"{name}_{item.source_s:06d}" if item.source_s is not None else name


def _pair(key: str, clips: Sequence[_Clip], item: MediaItem) -> Pair:
    videos = [clip.videos[0] for clip in (clips[-1], *clips[:-1]) if clip.videos]
    return Pair(
        key=key,
        reference=clips[-1].sound,
        generated=tuple(clip.sound for clip in clips[:-1]),
        picture=videos[0] if videos else None,
        picture_start_s=item.start_s if clips[-1].videos else 0.0,
        captions=item.captions,
        start_s=item.start_s,
        duration_s=item.duration_s,
    )


def _caption_beside(stem: Path) -> tuple[str, ...]:
    """The caption in the JSON beside a clip, as `mfv2a scenes` writes it."""
    try:
        found = json.loads(stem.with_name(f"{stem.name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ()
    caption = found.get("caption") if isinstance(found, dict) else None
    return (caption,) if isinstance(caption, str) and caption.strip() else ()
