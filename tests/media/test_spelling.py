"""Which names mean one file where case or the writing of accents does not count."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mfv2a.media import spelling
from mfv2a.media.spelling import Listings, are_spelled_alike, composed, ignored_in, same_file, spelled_here

NFC, NFD = "caf\u00e9", "cafe\u0301"


def test_accents_are_compared_in_one_spelling() -> None:
    assert NFC != NFD
    assert composed(NFD) == composed(NFC) == NFC


def test_a_name_in_the_other_spelling_finds_its_file_and_its_own_comes_first(tmp_path: Path) -> None:
    (tmp_path / f"{NFD}.txt").touch()
    assert spelled_here(tmp_path / f"{NFC}.txt") == tmp_path / f"{NFD}.txt"
    (tmp_path / f"{NFC}.txt").touch()
    assert spelled_here(tmp_path / f"{NFC}.txt") == tmp_path / f"{NFC}.txt"
    assert spelled_here(tmp_path / "none.txt") == tmp_path / "none.txt"


def test_a_folder_tells_what_does_not_count_and_keeps_nothing_of_the_trial(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    assert ignored_in(tmp_path)[0] == (tmp_path / "A").exists()
    assert os.listdir(tmp_path) == ["a"]  # noqa: PTH208
    assert ignored_in(tmp_path / "gone") == (False, False)


@pytest.mark.parametrize(
    ("ignored", "alike"),
    [
        ((False, False), set()),
        ((True, False), {"Caf\u00e9"}),
        ((False, True), {NFD}),
        ((True, True), {"Caf\u00e9", NFD}),
    ],
)
def test_names_are_alike_by_what_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ignored: tuple[bool, bool], alike: set[str]
) -> None:
    monkeypatch.setattr(spelling, "ignored_in", lambda folder: ignored)
    assert {name for name in ("Caf\u00e9", NFD, "cafe") if are_spelled_alike(NFC, name, tmp_path)} == alike


def test_a_file_is_spelled_as_its_folder_lists_it(tmp_path: Path) -> None:
    (tmp_path / "Clip.mp4").touch()
    (tmp_path / "clip.mp4").hardlink_to(tmp_path / "Clip.mp4")  # one file by two names, as where case does not count
    (tmp_path / "other.mp4").touch()
    listings = Listings()
    assert listings.spelled(tmp_path / "clip.mp4") == tmp_path / "clip.mp4"
    listings._names[tmp_path] = frozenset({"Clip.mp4", "OTHER.mp4"})
    assert listings.spelled(tmp_path / "clip.mp4") == tmp_path / "Clip.mp4"
    assert listings.spelled(tmp_path / "other.mp4") == tmp_path / "other.mp4"  # another file, or none
    assert listings.spelled(tmp_path / "gone" / "a.mp4") == tmp_path / "gone" / "a.mp4"


def test_paths_that_lead_nowhere_are_one_by_name_alone(tmp_path: Path) -> None:
    assert same_file(tmp_path / "a", tmp_path / "a")
    assert not same_file(tmp_path / "a", tmp_path / "b")
    (tmp_path / "a").touch()
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert same_file(tmp_path / "a", tmp_path / "b")
