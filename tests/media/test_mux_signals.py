"""That a picture is spherical or Dolby Vision goes along or is told, on both ffmpegs."""

from __future__ import annotations

import logging
import struct
from pathlib import Path

import pytest
from media_clips import clip, dub, run_bundled

from mfv2a.media.boxes import signals

pytestmark = pytest.mark.usefixtures("each_ffmpeg")
WITHIN = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def full(kind: bytes, content: bytes) -> bytes:
    return box(kind, bytes(4) + content)


STEREO = full(b"st3d", b"\x01")
SPHERE = box(
    b"sv3d",
    full(b"svhd", b"Metadata\0") + box(b"proj", full(b"prhd", bytes(12)) + full(b"equi", bytes(16))),
)
# Version 1.0, profile 8, level 1, RPU and base layer are there, compatible with HDR10.
DOLBY = box(b"dvvC", struct.pack(">BBHB", 1, 0, 8 << 9 | 1 << 3 | 1 << 2 | 1, 1 << 4) + bytes(19))


def signalled(path: Path, *boxes: bytes, spherical_one: bool = False) -> Path:
    """Put boxes into the picture's entry, or the older form's into its track; the index must come last."""
    data = path.read_bytes()
    sizes, start, end = [], 0, len(data)
    for kind in WITHIN[:2] if spherical_one else WITHIN:
        at = data.index(kind, start, end) - 4
        sizes.append(at)
        start, end = at + 8, at + struct.unpack_from(">I", data, at)[0]
    if not spherical_one:
        at = start + 8
        sizes.append(at)
        end = at + struct.unpack_from(">I", data, at)[0]
    uuid = bytes.fromhex("ffcc8263f8554a938814587a02521fdd") + b"<rdf:SphericalVideo/>"
    new = box(b"uuid", uuid) if spherical_one else b"".join(boxes)
    grown = bytearray(data[:end] + new + data[end:])
    for at in sizes:
        struct.pack_into(">I", grown, at, struct.unpack_from(">I", grown, at)[0] + len(new))
    path.write_bytes(grown)
    return path


def plain(folder: Path, suffix: str) -> Path:
    path = folder / f"plain{suffix}"
    run_bundled("-i", clip(folder, ".mp4"), "-c", "copy", path)
    return path


def test_spherical_and_dolby_vision_pictures_keep_their_signalling_in_mp4(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = signalled(plain(tmp_path, ".mp4"), STEREO, SPHERE, DOLBY)
    assert signals(source) == ("360-degree", "Dolby Vision")
    out = dub(source)
    assert signals(out) == ("360-degree", "Dolby Vision")
    written = out.read_bytes()
    assert STEREO in written
    assert DOLBY in written
    assert not caplog.records


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_a_plain_picture_says_nothing(tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture) -> None:
    source = plain(tmp_path, suffix)
    assert signals(source) == signals(dub(source)) == ()
    assert not caplog.records


def test_quicktime_cannot_keep_it_and_that_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = signalled(plain(tmp_path, ".mov"), STEREO, SPHERE, DOLBY)
    with caplog.at_level(logging.WARNING):
        assert signals(dub(source)) == ()
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == [
        "the 360-degree signalling of its picture cannot be kept in .mov",
        "the Dolby Vision signalling of its picture cannot be kept in .mov",
    ]


def test_the_older_form_of_spherical_pictures_is_known(tmp_path: Path) -> None:
    assert signals(signalled(plain(tmp_path, ".mov"), spherical_one=True)) == ("360-degree",)


def test_a_long_header_that_the_files_end_cuts_is_no_box(tmp_path: Path) -> None:
    path = tmp_path / "cut.mp4"
    path.write_bytes(struct.pack(">I4s", 1, b"moov") + b"\0\0")
    assert signals(path) == ()
