"""A file of lines is opened once; crashes, removal and errors lose no line."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mfv2a.jobs.lines import Lines


def test_lines_come_back_by_their_place(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "file")
    written = [b"a" * length + b"\n" for length in (0, 1, 8191, 8192, 30_000)]
    places = [lines.add(line, lasting=True) for line in written]
    assert [lines.read(place) for place in places] == written
    assert [Lines(tmp_path / "file").read(place) for place in places] == written


def test_after_a_cut_line_a_fresh_one_begins(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"whole\ncut")
    place = Lines(path).add(b"next\n", lasting=False)
    assert path.read_bytes() == b"whole\ncut\nnext\n"
    assert place == len(b"whole\ncut\n")


def test_an_error_leaves_no_half_line_to_be_glued_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines, write, calls = Lines(tmp_path / "file"), os.write, []

    def full(number: int, data: bytes) -> int:
        calls.append(data)
        if len(calls) == 2:
            write(number, data[:3])
            raise OSError(28, "no space left")
        return write(number, data)

    monkeypatch.setattr(os, "write", full)
    lines.add(b"first\n", lasting=False)
    with pytest.raises(OSError, match="no space left"):
        lines.add(b"second\n", lasting=False)
    place = lines.add(b"third\n", lasting=False)
    assert (tmp_path / "file").read_bytes() == b"first\nsec\nthird\n"
    assert lines.read(place) == b"third\n"


def test_a_write_in_parts_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda number, data: write(number, data[:2]))
    Lines(tmp_path / "file").add(b"in parts\n", lasting=False)
    assert (tmp_path / "file").read_bytes() == b"in parts\n"


@pytest.mark.skipif(os.name == "nt", reason="an open file cannot be removed there")
def test_a_removed_file_is_made_anew(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "file")
    lines.read(lines.add(b"lost\n", lasting=False))
    (tmp_path / "file").unlink()
    assert lines.add(b"kept\n", lasting=False) == 0
    assert lines.read(0) == b"kept\n"


def test_a_file_that_is_not_there_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Lines(tmp_path / "none").read(0)


def test_threads_read_what_they_ask_for(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "file")
    places = [lines.add(b"%06d\n" % number, lasting=False) for number in range(500)]
    with ThreadPoolExecutor(4) as threads:
        assert [int(line) for line in threads.map(lines.read, places * 4)] == [*range(500)] * 4
