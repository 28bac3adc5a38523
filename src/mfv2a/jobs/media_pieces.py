"""Videos and recordings of a list -> the windows of them that become training items: pictures, sound and words.

Files are read here and nowhere else in an extraction. What encodes the windows is not known here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mfv2a.config import SourceConfig
from mfv2a.data.listing import MediaItem, match_files, read_listing
from mfv2a.errors import ConfigError, MediaError
from mfv2a.jobs.discover import VIDEO_SUFFIXES
from mfv2a.media.audio import FORMATS, read_audio
from mfv2a.media.probe import probe_video
from mfv2a.media.tracks import audible_track, read_track
from mfv2a.records import Clip, FrameRequest, VideoInfo

SLACK_S = 0.05  # a window may lack this much: pictures and sound seldom end together
SOUND_SUFFIXES = frozenset(FORMATS) | {".m4a", ".aac", ".aif", ".aiff", ".wma", ".oga"}
Given = TypeVar("Given")
Made = TypeVar("Made")


@dataclass(frozen=True, kw_only=True)
class Listed:
    """One file of the list, found in the folder.

    Attributes:
        item: its row of the list.
        path: the file.
    """

    item: MediaItem
    path: Path


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One window of a file.

    Attributes:
        clip: its pictures, None of a recording.
        wave: its sound [S], as long as the latents of a window reach.
        prompt: what stands for it in words, "" if the list has none.
        facts: what is written down of it.
    """

    clip: Clip | None
    wave: NDArray[np.float32]
    prompt: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Cut:
    """How files are cut.

    Attributes:
        duration_s: length of a window; samples: of its sound.
        rate_hz: of the sound.
        windows: most windows a file, 0 for no limit.
        shortest_s: least length of what fills a window.
    """

    duration_s: float
    samples: int
    rate_hz: int
    windows: int = 0
    shortest_s: float = 0.0

    def starts(self, start_s: float, end_s: float) -> list[float]:
        """Seconds at which the windows between two times begin."""
        least = (self.shortest_s or self.duration_s) - SLACK_S
        found: list[float] = []
        while end_s - start_s >= least and (not self.windows or len(found) < self.windows):
            found.append(start_s)
            start_s += self.duration_s
        return found


def find_media(source: SourceConfig) -> tuple[list[Listed], int]:
    """The files of a source in the order of its list, or by name where it has none.

    Returns:
        the files, and how many of the list are not in the folder.

    Raises:
        ConfigError: no such folder, a list that cannot be read, or nothing of it is there.
    """
    root = Path(source.path)
    if not root.is_dir():
        raise ConfigError(f"{root} is no folder", hint="path = the folder of the videos or recordings")
    suffixes = VIDEO_SUFFIXES | (frozenset() if source.type == "videos" else SOUND_SUFFIXES)
    names = sorted(
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.suffix.lower() in suffixes and path.is_file() and not _is_hidden(path.relative_to(root))
    )
    if source.listing:
        found, missing = match_files(read_listing(Path(source.listing), split=source.split), names)
    else:
        found, missing = [(MediaItem(id=Path(name).stem, file=name), name) for name in names], []
    if not found:
        raise ConfigError(f"nothing to extract in {root}", hint="see path and listing")
    return [Listed(item=item, path=root / name) for item, name in found], len(missing)


def _is_hidden(path: Path) -> bool:
    """A file that is hidden, or lies in a folder that is."""
    return any(part.startswith(".") for part in path.parts)


def cut_recording(listed: Listed, cut: Cut) -> list[Piece]:
    """Windows of a file's sound.

    Raises:
        MediaError: it cannot be read, or is too short.
    """
    wave = read_audio(listed.path, cut.rate_hz).samples
    return _pieces(listed, cut, wave, None, {})


def cut_video(
    listed: Listed, cut: Cut, decode: Callable[[VideoInfo], Clip], requests: Mapping[str, FrameRequest]
) -> list[Piece]:
    """Windows of a video, its sound on the clock of its pictures.

    Args:
        listed: the file.
        cut: how.
        decode: a probed file -> the frames of `requests`.
        requests: what they are.

    Raises:
        MediaError: it cannot be read, has no sound, or is too short.
    """
    info = probe_video(listed.path)
    track = audible_track(info)
    if track is None:
        raise MediaError(listed.path, "has no sound to learn from")
    wave = read_track(info, track, cut.rate_hz).mean(1)
    return _pieces(listed, cut, wave, decode(info), requests)


def _pieces(
    listed: Listed,
    cut: Cut,
    wave: NDArray[np.float32],
    clip: Clip | None,
    requests: Mapping[str, FrameRequest],
) -> list[Piece]:
    item, length_s = listed.item, len(wave) / cut.rate_hz
    end_s = min(length_s, item.start_s + item.duration_s) if item.duration_s else length_s
    starts = cut.starts(item.start_s, end_s)
    if not starts:
        least = cut.shortest_s or cut.duration_s
        raise MediaError(
            listed.path, f"is too short: {max(0.0, end_s - item.start_s):.2f} s of {least:g} s", hint="see shortest_s"
        )
    captions = item.captions or ((item.label,) if item.label else ("",))
    made = []
    for number, start_s in enumerate(starts):
        first = round(start_s * cut.rate_hz)
        sound = wave[first : min(first + cut.samples, round(end_s * cut.rate_hz))]
        prompt = captions[number % len(captions)]
        facts = {"id": item.id, "file": listed.path.name, "start_s": round(start_s, 3), "caption": prompt}
        facts |= {"seconds": round(min(cut.duration_s, end_s - start_s), 3), "captions": list(captions)}
        made.append(
            Piece(
                clip=None if clip is None else cut_clip(clip, start_s, cut.duration_s, requests),
                wave=np.pad(sound, (0, cut.samples - len(sound))),
                prompt=prompt,
                facts=facts | ({"label": item.label} if item.label else {}),
            )
        )
    return made


def cut_clip(clip: Clip, start_s: float, duration_s: float, requests: Mapping[str, FrameRequest]) -> Clip:
    """A stretch of a clip, its frames on their grids."""
    frames = {}
    for name, stack in clip.frames.items():
        fps = requests[name].fps
        first = min(round(start_s * fps), len(stack) - 1)
        frames[name] = stack[first : max(first + 1, round((start_s + duration_s) * fps))]
    return replace(clip, duration_s=duration_s, frames=frames)


def read_ahead(
    pool: Executor, read: Callable[[Given], Made], items: Sequence[Given], depth: int
) -> Iterator[tuple[Given, Future[Made]]]:
    """Items with what is read of each, in order; at most `depth` are read ahead of the one that is handed out."""
    waiting: deque[tuple[Given, Future[Made]]] = deque()
    rest: Iterable[Given] = iter(items)
    for item in rest:
        waiting.append((item, pool.submit(read, item)))
        if len(waiting) > depth:
            yield waiting.popleft()
    yield from waiting
