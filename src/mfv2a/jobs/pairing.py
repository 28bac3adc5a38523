"""Generated sounds and true ones brought together: by their place and name in two folders, or by a list.

Two files belong together if their paths under their folders are the same up to the suffix; with a list, if both are
found for the same row of it, as downloaders name the clips of VGGSound and AudioCaps. Only names are looked at here.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from mfv2a.data.listing import MediaItem, match_files, read_listing
from mfv2a.errors import ConfigError, MediaError
from mfv2a.jobs.discover import VIDEO_SUFFIXES
from mfv2a.jobs.sidecar import read_sidecar
from mfv2a.media.spelling import composed

SOUND_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aac", ".aif", ".aiff", ".wma", ".mka"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A true sound and what was generated for it.

    Attributes:
        key: what both are called.
        reference: file of the true sound.
        generated: file of each system's sound, in the order of the systems.
        true_sound: name of the true sound, which pairs share whose sounds were made for its captions one by one; "" for
            the key.
        picture: a file with the picture, the reference's if it has one; None where there is none.
        picture_start_s: where in that file the clip begins.
        captions: what is heard, in words: of the list, else beside the true sound, else the list's label.
        start_s, duration_s: of the stretch of the reference that counts; 0 s long to its end.
    """

    key: str
    reference: Path
    generated: tuple[Path, ...]
    true_sound: str = ""
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
        listed: rows of the list, None where there is none.
        missing: rows for which a folder, by its role, has no file.
    """

    pairs: tuple[Pair, ...]
    alone: Mapping[str, tuple[str, ...]]
    unclear: tuple[tuple[Path, str], ...] = ()
    listed: int | None = None
    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


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

    def rivals(self) -> Iterator[tuple[Path, str]]:
        """Files of which each could be meant, with the reason."""
        for paths in (self.sounds, self.videos):
            for path in paths if len(paths) > 1 else ():
                others = ", ".join(other.name for other in paths if other != path)
                yield path, f"shares its name with {others}"


def pair_folders(
    generated: Sequence[Path], reference: Path, *, listing: Path | None = None, split: str = ""
) -> Pairing:
    """Find the pairs.

    Args:
        generated: a folder a system.
        reference: folder with the true sounds, in sound or video files.
        listing: a list whose rows say which files belong together, and what is heard in them.
        split: only rows of this split of the list, all if empty.

    Raises:
        ConfigError: a folder is none, two are the same, the list cannot be read or names what can be no file, or
            nothing belongs together.
    """
    folders = [*generated, reference]
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(f"{folder} is no folder", hint="name a folder with sounds or videos")
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise ConfigError("a folder cannot be measured against itself", hint="name different folders")
    places = {folder.resolve() for folder in folders}
    clips = [_clips(folder, places - {folder.resolve()}) for folder in folders]
    unclear = [rival for each in clips for clip in each.values() for rival in clip.rivals()]
    doubtful = {key for each in clips for key, clip in each.items() if clip.is_unclear}
    clear = [{key: clip for key, clip in each.items() if key not in doubtful} for each in clips]
    listed: _Listed | None = None
    if listing is None:
        pairs, alone = _by_name(clear)
    else:
        listed = _by_list(clear, read_listing(listing, split=split))
        pairs, alone = listed.pairs, listed.alone
        unclear += [(path, "belongs to several rows of the list") for path in listed.shared]
    if not pairs:
        raise ConfigError(
            f"nothing in {generated[0]} belongs to anything in {reference}",
            hint="files pair by their paths up to the suffix; other names need --list"
            if listing is None
            else "rows name a clip by a column file or path, id or name: its path in both folders, or its name",
        )
    roles = [*(["generated"] if len(generated) == 1 else ["a", "b"]), "reference"]
    return Pairing(
        pairs=tuple(pairs),
        alone=dict(zip(roles, map(tuple, alone), strict=True)),
        unclear=tuple(unclear),
        listed=None if listed is None else listed.rows,
        missing={} if listed is None else dict(zip(roles, map(tuple, listed.missing), strict=True)),
    )


def _clips(folder: Path, others: Set[Path]) -> dict[str, _Clip]:
    """Clips by their path under a folder, without the suffix; what lies in one of the other folders is not of it."""
    found: dict[str, _Clip] = {}
    for path in sorted(_walk(folder, others)):
        suffix = path.suffix.lower()
        if suffix in SOUND_SUFFIXES or suffix in VIDEO_SUFFIXES:
            clip = found.setdefault(path.relative_to(folder).with_suffix("").as_posix(), _Clip())
            (clip.sounds if suffix in SOUND_SUFFIXES else clip.videos).append(path)
    return {key if (name := composed(key)) in found else name: clip for key, clip in found.items()}


def _walk(folder: Path, others: Set[Path]) -> Iterator[Path]:
    """Files below a folder, hidden ones left out; a folder of others, or that was walked already, is not entered."""
    walked: set[Path] = set(others)
    for root, folders, names in os.walk(folder, followlinks=True):
        if (place := Path(root).resolve()) in walked:
            folders.clear()
            continue
        walked.add(place)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(root) / name for name in names if not name.startswith("."))


def _by_name(clips: Sequence[Mapping[str, _Clip]]) -> tuple[list[Pair], list[list[str]]]:
    shared = set.intersection(*(set(each) for each in clips))
    pairs = [_pair(key, [each[key] for each in clips], MediaItem(id=key)) for key in sorted(shared)]
    return pairs, [sorted(set(each) - shared) for each in clips]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listed:
    """What the rows of a list found: pairs, names without a row, files of several, rows without a file."""

    pairs: list[Pair]
    alone: list[list[str]]
    shared: list[Path]
    rows: int
    missing: list[list[str]]


def _by_list(clips: Sequence[Mapping[str, _Clip]], items: Sequence[MediaItem]) -> _Listed:
    whole = {caption: item for item in items for caption in _captions_apart(item)}
    matched = [_match(each, [*items, *whole]) for each in clips]
    apart = {whole[item] for each in matched[:-1] for item in each if item in whole}
    rows = [item for item in items if item not in apart] + [item for item in whole if whole[item] in apart]
    # True sounds are often named by the clip where what was generated is named by its caption.
    matched[-1] = {item: matched[-1][whole[item]] for item in whole if whole[item] in matched[-1]} | matched[-1]
    matched = [{item: each[item] for item in rows if item in each} for each in matched]
    several = set[MediaItem]()
    for each in matched:
        claims = Counter(clip for clip, _ in {(id(clip), whole.get(item, item)) for item, clip in each.items()})
        several |= {item for item, clip in each.items() if claims[id(clip)] > 1}
    found = [item for item in rows if item not in several and all(item in each for each in matched)]
    used = [{id(each[item]) for item in found} for each in matched]
    pairs = []
    for item in found:
        pair = _pair(clip_title(item), [each[item] for each in matched], item)
        pairs.append(replace(pair, true_sound=clip_title(whole.get(item, item))))
    return _Listed(
        pairs=sorted(pairs, key=lambda pair: pair.key),
        alone=[
            sorted(key for key, clip in each.items() if id(clip) not in taken)
            for each, taken in zip(clips, used, strict=True)
        ],
        shared=sorted({each[item].sound for each in matched for item in several if item in each}),
        rows=len(rows),
        missing=[[clip_title(item) for item in rows if item not in each] for each in matched],
    )


def _captions_apart(item: MediaItem) -> Iterator[MediaItem]:
    """Each caption of AudioCaps as a clip of its own, known by its number, as it is where a sound is made a caption."""
    for number, caption in item.numbered:
        yield MediaItem(id=number, captions=(caption,))


def _match(clips: Mapping[str, _Clip], items: Sequence[MediaItem]) -> dict[MediaItem, _Clip]:
    """Clips of a folder by the rows they belong to; a row that names a file goes by its path up to the suffix.

    Raises:
        ConfigError: what a row calls a file can be none.
    """
    named = {item: item.file or item.id for item in items if item.file or _can_be_file(item.id)}
    found = {item: clips[key] for item, name in named.items() if (key := _key(name, clips)) in clips}
    # `match_files` knows the names that downloaders give; a suffix of its own keeps dots in names apart from it.
    rest = [item for item in items if not item.file and item not in found]
    by_id, _ = match_files(rest, [f"{key}.clip" for key in clips])
    return found | {item: clips[name.removesuffix(".clip")] for item, name in by_id}


def _can_be_file(name: str) -> bool:
    return bool(PurePosixPath(name).name.strip("."))


def _key(name: str, clips: Mapping[str, _Clip]) -> str:
    """What a folder knows a file of a list by: its name as it stands, else without the suffix of a sound or video."""
    if not _can_be_file(name):
        raise ConfigError(f"the list names a file {name!r}, which can be none", hint="mend that row of the list")
    ways = (place := PurePosixPath(name).as_posix(), clip_name(name))
    return next((way for way in (*ways, *map(composed, ways)) if way in clips), place)


def clip_name(name: str) -> str:
    """What a list calls a file, without the suffix of a sound or video."""
    path = PurePosixPath(name)
    is_known = path.suffix.lower() in SOUND_SUFFIXES or path.suffix.lower() in VIDEO_SUFFIXES
    return (path.with_suffix("") if is_known else path).as_posix()


def clip_title(item: MediaItem) -> str:
    """What a row's clip is called: its file, or its id with the second of its beginning where the list has one."""
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
        captions=item.captions or _caption_beside(clips[-1].sound) or ((item.label,) if item.label else ()),
        start_s=item.start_s,
        duration_s=item.duration_s,
    )


def _caption_beside(path: Path) -> tuple[str, ...]:
    """The caption in the JSON beside a clip, as `mfv2a scenes` writes it, else its prompt, as `mfv2a dub` reads it."""
    try:
        found = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    caption = found.get("caption") if isinstance(found, dict) else None
    if isinstance(caption, str) and caption.strip():
        return (caption,)
    with suppress(MediaError):
        text = read_sidecar(path)
        return (text,) if text else ()
    return ()
