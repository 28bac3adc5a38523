"""The boxes of an MP4 or QuickTime file that say what of its tracks is shown; their numbers are overwritten in place.

Source: ISO/IEC 14496-12, boxes `mvhd`, `tkhd`, `mdhd`, `hdlr` and `elst`.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_HEADER = {0: (">I", 12, 16), 1: (">Q", 20, 24)}
"""Version of `mvhd` and `mdhd` -> format of a duration, places of the timescale (always 4 bytes) and the duration."""
_TRACK_DURATION = {0: 20, 1: 28}
"""Version of `tkhd` -> place of its duration."""


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


def read_tracks(file: io.BufferedRandom) -> tuple[int, list[Track]]:
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


def _track(file: io.BufferedRandom, first: int, last: int) -> Track:
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


def _boxes(file: io.BufferedRandom, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Walk the boxes between two places: kind, begin and end of the content."""
    while start + 8 <= end:
        size, kind = struct.unpack(">I4s", _read(file, start, start + 8))
        head = 8
        if size == 1:
            size, head = struct.unpack(">Q", _read(file, start + 8, start + 16))[0], 16
        size = size or end - start
        if size < head:
            return
        yield kind, start + head, start + size
        start += size


def _read(file: io.BufferedRandom, start: int, end: int) -> bytes:
    file.seek(start)
    return file.read(end - start)
