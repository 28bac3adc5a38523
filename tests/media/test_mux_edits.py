"""Edit lists that join pieces: a copy of the packets shows what lies between, so the file is refused and named."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from media_clips import clip, dub, run_bundled

from mfv2a.errors import MediaError
from mfv2a.media.boxes import read_edits, read_tracks
from mfv2a.media.mux import plan_mux
from mfv2a.media.tracks import check_beside, sound_tracks
from mfv2a.media.video import probe_video

Entry = tuple[float, float]
"""Seconds of an entry, and where it begins in the track; below 0 nothing is shown."""
EDITED = (b"moov", b"trak")


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def inner(content: bytes) -> list[tuple[bytes, bytes]]:
    """Kind and content of the boxes side by side."""
    found, at = [], 0
    while at < len(content):
        size, kind = struct.unpack_from(">I4s", content, at)
        found.append((kind, content[at + 8 : at + size]))
        at += size
    return found


def edited(path: Path, kind: str, entries: list[Entry]) -> Path:
    """Gives the tracks of a kind another edit list; the index must come last."""
    with path.open("rb") as file:
        movie, tracks = read_tracks(file)
        file.seek(movie + 12)
        clock = struct.unpack(">I", file.read(4))[0]
    media = next(track.timescale for track in tracks if track.kind == kind)
    rows = [(round(clock * length), -1 if start < 0 else round(media * start), 1 << 16) for length, start in entries]
    table = struct.pack(">II", 0, len(rows)) + b"".join(struct.pack(">IiI", *row) for row in rows)

    def rebuilt(name: bytes, content: bytes) -> bytes:
        if name == b"moov":
            return box(name, b"".join(rebuilt(*each) for each in inner(content)))
        if name == b"trak" and kind.encode() in content:
            kept = [each for each in inner(content) if each[0] != b"edts"]
            kept.insert(1, (b"edts", box(b"elst", table)))
            return box(name, b"".join(box(*each) for each in kept))
        return box(name, content)

    path.write_bytes(b"".join(rebuilt(*each) for each in inner(path.read_bytes())))
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Two seconds of picture with a sound."""
    path = tmp_path / "source.mp4"
    run_bundled("-i", clip(tmp_path, ".mkv"), "-f", "lavfi", "-i", "sine=f=440:r=48000:d=2", "-map", "0:v", "-map",
                "1:a", "-c:v", "copy", "-c:a", "aac", path)  # fmt: skip
    return path


@pytest.mark.parametrize(
    "entries",
    [[(0.4, 0.0), (0.4, 0.8)], [(0.4, 0.4), (0.4, 0.0)], [(0.4, 0.0)] * 2, [(0.4, 0.0), (0.2, -1.0), (0.4, 0.4)]],
)
def test_a_picture_of_pieces_is_refused(source: Path, entries: list[Entry]) -> None:
    assert not read_edits(source, "vide", [0])[0].leaps
    path = edited(source, "vide", entries)
    assert read_edits(path, "vide", [0])[0].leaps
    assert not read_edits(path, "soun", [1])[1].leaps
    with pytest.raises(MediaError, match="joins pieces of its picture") as caught:
        plan_mux(probe_video(path))
    assert "ffmpeg -i" in caught.value.hint


@pytest.mark.parametrize(
    "entries",
    [[(0.6, 0.0)], [(0.6, 0.2)], [(0.2, -1.0), (0.6, 0.0)], [(0.4, 0.0), (0.4, 0.4)], [(0.0, 0.0), (0.6, 0.2)]],
)
def test_one_stretch_of_a_picture_is_dubbed(source: Path, entries: list[Entry]) -> None:
    path = edited(source, "vide", entries)
    shown_s = sum(length for length, start in entries if start >= 0)
    edits = read_edits(path, "vide", [0])[0]
    assert (edits.leaps, edits.shown_s) == (False, pytest.approx(shown_s, abs=2e-3))
    assert dub(path).stat().st_size > 0


def test_sound_of_pieces_is_refused_where_it_is_copied(source: Path) -> None:
    path = edited(source, "soun", [(0.4, 0.0), (0.4, 1.2)])
    info = probe_video(path)
    plan = plan_mux(info)
    check_beside(info, plan, ())
    with pytest.raises(MediaError, match="joins pieces of its sound"):
        check_beside(info, plan, sound_tracks(info))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[: len(data) - 20],
        lambda data: data.replace(b"mdhd", b"mdhx"),
        lambda data: data.replace(b"mvhd", b"mvhx"),
        lambda data: b"no boxes at all",
        lambda data: b"",
    ],
)
def test_boxes_that_cannot_be_read_say_nothing(source: Path, spoil: Callable[[bytes], bytes]) -> None:
    path = edited(source, "vide", [(0.4, 0.0), (0.4, 1.2)])
    path.write_bytes(spoil(path.read_bytes()))
    assert set(read_edits(path, "vide", [0])) <= {0}
    assert read_edits(path.with_name("none.mp4"), "vide", [0]) == {}
