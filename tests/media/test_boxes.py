"""The boxes of made files in both of their versions: numbers of 32 and of 64 bits, and boxes of either size."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from mfv2a.media.boxes import Edits, end_picture, read_edits

CLOCK, TICKS = 1000, 12800
"""Ticks a second of the movie and of its tracks."""
EMPTY = 500  # before the picture


def box(kind: bytes, *parts: bytes, is_large: bool = False) -> bytes:
    content = b"".join(parts)
    if is_large:
        return struct.pack(">I4sQ", 1, kind, 16 + len(content)) + content
    return struct.pack(">I4s", 8 + len(content), kind) + content


def header(version: int, *numbers: int) -> bytes:
    """Version and flags, two dates, then whole numbers of 4 bytes but for the last, which is as long as a date."""
    dates = bytes(16 if version else 8)
    return bytes([version, 0, 0, 0]) + dates + struct.pack(f">{len(numbers) - 1}I{'Q' if version else 'I'}", *numbers)


def track(version: int, kind: bytes, *rows: tuple[int, int]) -> bytes:
    """A track with these edits: ticks of the movie that are shown, and the track's own at which they begin."""
    entry = ">QqI" if version else ">IiI"
    edits = [struct.pack(entry, length, start, 1 << 16) for length, start in rows]
    return box(
        b"trak",
        box(b"tkhd", header(version, 1, 0, sum(length for length, _ in rows)), bytes(60)),
        box(b"edts", box(b"elst", bytes([version, 0, 0, 0]), struct.pack(">I", len(edits)), *edits)),
        box(b"mdia", box(b"mdhd", header(version, TICKS, 5 * TICKS)), box(b"hdlr", bytes(8), kind, bytes(12))),
    )


def movie(version: int, is_large: bool, *, picture: int, sound: int) -> bytes:
    """A file whose picture is shown for so many ticks after an empty stretch, and whose sound for so many at once."""
    return box(b"ftyp", b"isom") + box(
        b"moov",
        box(b"mvhd", header(version, CLOCK, max(EMPTY + picture, sound)), bytes(80)),
        track(version, b"vide", (EMPTY, -1), (picture, 1024)),
        track(version, b"soun", (sound, 0)),
        is_large=is_large,
    )


@pytest.mark.parametrize("is_large", [False, True])
@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("sound", [1500, 1900])
def test_a_picture_is_ended_and_its_track_and_the_movie_with_it(
    tmp_path: Path, version: int, is_large: bool, sound: int
) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(movie(version, is_large, picture=2000, sound=sound))
    assert read_edits(path, "vide", [3]) == {3: Edits(shown_s=2.0, leaps=False)}
    end_picture(path, 0, 1.2, 0.1)
    assert path.read_bytes() == movie(version, is_large, picture=1200, sound=sound)


@pytest.mark.parametrize(("slack_s", "shown"), [(0.7, 1200), (0.8, 2000), (0.9, 2000)])
def test_a_picture_that_is_little_longer_stays(tmp_path: Path, slack_s: float, shown: int) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(movie(0, False, picture=2000, sound=100))
    end_picture(path, 0, 1.2, slack_s)
    assert path.read_bytes() == movie(0, False, picture=shown, sound=100)


@pytest.mark.parametrize(("begins", "leaps"), [(0, False), (13, False), (-13, False), (256, True), (-256, True)])
def test_pieces_that_follow_each_other_but_for_a_tick_are_one(tmp_path: Path, begins: int, leaps: bool) -> None:
    path = tmp_path / "a.mp4"
    rows = (500, 1024), (700, 1024 + 500 * TICKS // CLOCK + begins)
    path.write_bytes(box(b"moov", box(b"mvhd", header(0, CLOCK, 1200), bytes(80)), track(0, b"vide", *rows)))
    assert read_edits(path, "vide", [0]) == {0: Edits(shown_s=1.2, leaps=leaps)}
