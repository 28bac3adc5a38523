"""Files written whole: links stay links, pipes and descriptors are written into, what cannot work is told before."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from mfv2a.errors import ConfigError, MediaError
from mfv2a.media.whole import check_apart, check_targets, write_whole


def test_what_a_link_points_at_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    target, link, second = tmp_path / "deep" / "a.csv", tmp_path / "link.csv", tmp_path / "second.csv"
    target.write_text("old")
    link.symlink_to(Path("deep") / "a.csv")
    second.symlink_to(link)
    write_whole(second, "new")
    assert link.is_symlink()
    assert second.is_symlink()
    assert target.read_text() == "new"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.csv", "deep", "link.csv", "second.csv"]
    (tmp_path / "none.csv").symlink_to(tmp_path / "deep" / "b.csv")
    write_whole(tmp_path / "none.csv", "begun")
    assert (tmp_path / "deep" / "b.csv").read_text() == "begun"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_is_written_into_and_stays(tmp_path: Path) -> None:
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    check_targets(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()), daemon=True)
    reader.start()
    write_whole(pipe, "figures")
    reader.join(20)
    assert got == [b"figures"]
    assert pipe.is_fifo()


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="no names of descriptors here")
def test_an_open_descriptor_is_written_into(tmp_path: Path) -> None:
    out, into = os.pipe()
    write_whole(Path(f"/dev/fd/{into}"), b"figures")
    os.close(into)
    with os.fdopen(out, "rb") as file:
        assert file.read() == b"figures"
    kept = tmp_path / "kept.txt"
    with kept.open("w") as file:
        file.write("before ")
        file.flush()
        check_targets(Path(f"/dev/fd/{file.fileno()}"))
        write_whole(Path(f"/dev/fd/{file.fileno()}"), "after")
    assert kept.read_text() == "before after"


def test_links_in_a_circle_and_folders_are_told(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(MediaError, match="cannot be written"):
        write_whole(tmp_path / "a", "x")
    with pytest.raises(ConfigError, match="cannot be written"):
        check_targets(tmp_path / "a")
    (tmp_path / "folder").mkdir()
    with pytest.raises(MediaError, match="cannot be written"):
        write_whole(tmp_path / "folder", "x")
    with pytest.raises(ConfigError, match="is a folder"):
        check_targets(tmp_path / "folder")
    with pytest.raises(ConfigError, match="is no folder"):
        check_targets(tmp_path / "gone" / "a.csv")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no folder here that nobody can write to")
def test_a_folder_that_takes_no_file_is_told_before() -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        check_targets(Path("/proc/x.json"))


def test_two_outputs_with_one_name_and_outputs_over_inputs_are_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "a.csv")
    for other in (tmp_path / "a.csv", tmp_path / "." / "a.csv", tmp_path / "link"):
        with pytest.raises(ConfigError, match="one file"):
            check_targets(tmp_path / "a.csv", other)
    check_targets(tmp_path / "a.csv", tmp_path / "b.csv", None)
    assert [path.name for path in tmp_path.iterdir()] == ["link"]
    with pytest.raises(ConfigError, match="that is read"):
        check_apart([None, tmp_path / "link"], [tmp_path / "a.csv"])
    check_apart([tmp_path / "b.csv"], [tmp_path / "a.csv"])
