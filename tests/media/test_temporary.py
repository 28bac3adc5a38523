"""Temporary names: hidden, different each time, and found again by the name that they stand for."""

from __future__ import annotations

from pathlib import Path

from mfv2a.media.temporary import part_path, parts_of


def test_a_temporary_file_is_hidden_beside_its_output_and_never_the_same(tmp_path: Path) -> None:
    out = tmp_path / "a [1].mp4"
    first, second = part_path(out), part_path(out)
    assert first != second
    assert {first.parent, second.parent} == {tmp_path}
    assert first.name.startswith(".")
    assert first.suffix == ".part"


def test_only_what_was_begun_for_an_output_is_found(tmp_path: Path) -> None:
    mine, cover, other = part_path(tmp_path / "a.mp4"), part_path(tmp_path / "a.mp4"), part_path(tmp_path / "b.mp4")
    cover = cover.with_name(f"{cover.name}.0.png")
    for path in (mine, cover, other):
        path.touch()
    assert set(parts_of(tmp_path / "a.mp4")) == {mine, cover}
