"""The boxes of an MP4 or QuickTime file that say what of its tracks is shown; their numbers are overwritten in place.

Sources: ISO/IEC 14496-12, boxes `mvhd`, `tkhd`, `mdhd`, `hdlr`, `elst` and `stsd`; Google's Spherical Video RFC, 1 (the
`uuid` box of a track) and 2 (`st3d`, `sv3d`); Dolby Vision Streams Within the ISO Base Media File Format (`dvcC` and
its kin).
"""

from __future__ import annotations

import io
import itertools
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

PIECES_HINT = "make one piece of them first: ffmpeg -i IN OUT.mp4"
_HEADER = {0: (">I", 12, 16), 1: (">Q", 20, 24)}
"""Version of `mvhd` and `mdhd` -> format of a duration, places of the timescale (always 4 bytes) and the duration."""
_TRACK_DURATION = {0: 20, 1: 28}
"""Version of `tkhd` -> place of its duration."""
_SIGNALS = {b"st3d": "360-degree", b"sv3d": "360-degree"} | dict.fromkeys((b"dvcC", b"dvvC", b"dvwC"), "Dolby Vision")
_SPHERICAL = bytes.fromhex("ffcc8263f8554a938814587a02521fdd")
_ENTRY_BYTES = 78  # of a picture's entry in `stsd`, before the boxes in it


@dataclass(frozen=True, slots=True)
class Track:
    """A track.

    Attributes:
        kind: "vide", "soun" or another handler.
        timescale: ticks a second of its own clock.
        edits: place of its edit list's content in the file, and the content; None if it has no edit list.
        header: place of its header's content.
    """

    kind: str
    timescale: int
    edits: tuple[int, bytes] | None
    header: int

    def entries(self) -> tuple[str, list[tuple[int, int, int]]]:
        """Format of an entry of the edit list, and the entries: duration in the movie's ticks, media time, rate."""
        if self.edits is None:
            return "", []
        content = self.edits[1]
        entry = ">QqI" if content[0] == 1 else ">IiI"
        count, size = struct.unpack(">I", content[4:8])[0], struct.calcsize(entry)
        return entry, [struct.unpack_from(entry, content, 8 + size * k) for k in range(count)]


def read_tracks(file: IO[bytes]) -> tuple[int, list[Track]]:
    """Place of the movie header's content (0 if there is none), and the tracks in order."""
    header, tracks = 0, list[Track]()
    for kind, start, end in _boxes(file, 0, file.seek(0, io.SEEK_END)):
        if kind != b"moov":
            continue
        for name, first, last in _boxes(file, start, end):
            if name == b"mvhd":
                header = first
            elif name == b"trak":
                tracks.append(_track(file, first, last))
    return header, tracks


@dataclass(frozen=True, slots=True)
class Edits:
    """What an edit list shows of its track.

    Attributes:
        shown_s: how long; None without a list.
        leaps: it shows pieces that do not follow each other in the file, which no copy of the packets does.
    """

    shown_s: float | None
    leaps: bool


def read_edits(path: Path, kind: str, streams: Sequence[int]) -> dict[int, Edits]:
    """What the edit lists of the tracks of a kind show, by the indices of their streams.

    Args:
        path: an MP4 or QuickTime file; of one whose boxes cannot be read nothing is said.
        kind: "vide" or "soun".
        streams: indices of the streams of that kind, in the file's order, covers left out.
    """
    try:
        with path.open("rb") as file:
            movie, tracks = read_tracks(file)
            if not movie:
                return {}
            _, at, _ = _HEADER[_read(file, movie, movie + 1)[0]]
            clock = struct.unpack(">I", _read(file, movie + at, movie + at + 4))[0]
        found = [_edits(track, clock) for track in tracks if track.kind == kind]
        return dict(zip(streams, found, strict=False))
    except (OSError, KeyError, IndexError, ZeroDivisionError, struct.error):
        return {}


def _edits(track: Track, clock: int) -> Edits:
    """What an edit list shows; a tick of either clock, by which it may be rounded, is no leap."""
    entries = [(start, length) for length, start, _ in track.entries()[1] if length > 0]
    shown = [length for start, length in entries if start >= 0]
    while entries and entries[0][0] < 0:
        entries.pop(0)  # nothing is shown yet
    ticks, leaps = track.timescale / clock, False
    for (start, length), (following, _) in itertools.pairwise(entries):
        leaps = leaps or abs(following - start - length * ticks) > 1 + ticks
    return Edits(sum(shown) / clock if shown else None, leaps)


def end_picture(path: Path, number: int, duration_s: float, slack_s: float) -> None:
    """End a picture where its source's edit list ends it; a copy of its packets shows those behind it, too.

    Args:
        path: an MP4 or QuickTime file.
        number: which of its pictures.
        duration_s: how long it shall be.
        slack_s: how much longer it may be and stays as it is.
    """
    with path.open("r+b") as file:
        movie, tracks = read_tracks(file)
        picture = [track for track in tracks if track.kind == "vide"][number]
        entry, entries = picture.entries()
        if not movie or not entries or picture.edits is None:
            return
        form, at, place = _HEADER[_read(file, movie, movie + 1)[0]]
        timescale = struct.unpack(">I", _read(file, movie + at, movie + at + 4))[0]
        shown, start, rate = entries[-1]
        excess = shown - round(duration_s * timescale)
        if start < 0 or excess <= slack_s * timescale:
            return
        file.seek(picture.edits[0] + 8 + struct.calcsize(entry) * (len(entries) - 1))
        file.write(struct.pack(entry, shown - excess, start, rate))
        longest = 0
        for track in tracks:
            version = _read(file, track.header, track.header + 1)[0]
            own, where = _HEADER[version][0], track.header + _TRACK_DURATION[version]
            length = struct.unpack(own, _read(file, where, where + struct.calcsize(own)))[0]
            if track is picture:
                length -= excess
                file.seek(where)
                file.write(struct.pack(own, length))
            longest = max(longest, length)
        file.seek(movie + place)
        file.write(struct.pack(form, longest))


def signals(path: Path) -> tuple[str, ...]:
    """What the pictures of an MP4 or QuickTime file say beyond their codec: "360-degree", "Dolby Vision"."""
    found: set[str] = set()
    with path.open("rb") as file:
        for start, end in _under(file, 0, file.seek(0, io.SEEK_END), b"moov", b"trak"):
            if any(_read(file, at, at + 16) == _SPHERICAL for at, _ in _under(file, start, end, b"uuid")):
                found.add(_SIGNALS[b"sv3d"])
            for first, last in _under(file, start, end, b"mdia", b"minf", b"stbl", b"stsd"):
                for _, entry, past in _boxes(file, first + 8, last):
                    held = {kind for kind, _, _ in _boxes(file, entry + _ENTRY_BYTES, past)}
                    found |= {_SIGNALS[kind] for kind in held & set(_SIGNALS)}
    return tuple(sorted(found))


def _under(file: IO[bytes], start: int, end: int, *kinds: bytes) -> Iterator[tuple[int, int]]:
    """Begin and end of the content of each box that lies so deep within others."""
    for kind, first, last in _boxes(file, start, end):
        if kind == kinds[0]:
            yield from _under(file, first, last, *kinds[1:]) if kinds[1:] else [(first, last)]


def _track(file: IO[bytes], first: int, last: int) -> Track:
    parts = {name: (a, b) for name, a, b in _boxes(file, first, last)}
    media = {name: (a, b) for name, a, b in _boxes(file, *parts[b"mdia"])}
    header = _read(file, *media[b"mdhd"])
    at = _HEADER[header[0]][1]
    edits = None
    if b"edts" in parts:
        edits = next(((a, _read(file, a, b)) for name, a, b in _boxes(file, *parts[b"edts"]) if name == b"elst"), None)
    return Track(
        kind=_read(file, *media[b"hdlr"])[8:12].decode("latin-1"),
        timescale=struct.unpack_from(">I", header, at)[0],
        edits=edits,
        header=parts[b"tkhd"][0],
    )


def _boxes(file: IO[bytes], start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Walk the boxes between two places: kind, begin and end of the content."""
    while start + 8 <= end:
        size, kind = struct.unpack(">I4s", _read(file, start, start + 8))
        head = 8
        if size == 1:
            if start + 16 > end:
                return
            size, head = struct.unpack(">Q", _read(file, start + 8, start + 16))[0], 16
        size = size or end - start
        if size < head:
            return
        yield kind, start + head, min(start + size, end)
        start += size


def _read(file: IO[bytes], start: int, end: int) -> bytes:
    file.seek(start)
    return file.read(end - start)
