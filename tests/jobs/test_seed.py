"""A sound depends on what the input holds, not on its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from mfv2a.jobs.seed import clip_seed, content_key

MIB = 1 << 20


def test_a_copy_under_another_name_has_the_same_key(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"abc" * 1000)
    (tmp_path / "b.mov").write_bytes(b"abc" * 1000)
    assert content_key(tmp_path / "a.mp4") == content_key(tmp_path / "b.mov")


@pytest.mark.parametrize(("place", "differs"), [(0, True), (5 * MIB - 1, True), (2 * MIB, False)])
def test_the_key_is_the_size_and_the_first_and_last_mib(tmp_path: Path, place: int, differs: bool) -> None:
    data = bytearray(5 * MIB)
    (tmp_path / "a").write_bytes(data)
    data[place] = 1
    (tmp_path / "b").write_bytes(data)
    assert (content_key(tmp_path / "a") != content_key(tmp_path / "b")) == differs
    (tmp_path / "c").write_bytes(bytes(5 * MIB + 1))
    assert content_key(tmp_path / "a") != content_key(tmp_path / "c")


def test_an_empty_file_has_a_key(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    assert content_key(tmp_path / "a").startswith("0-")


def test_run_seed_content_and_candidate_each_change_the_seed() -> None:
    seeds = {clip_seed(run, key, n) for run in (0, 1) for key in ("a", "b") for n in (0, 1)}
    assert len(seeds) == 8
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert clip_seed(0, "a") == clip_seed(0, "a", 0)
