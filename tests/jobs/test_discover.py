"""Which files are inputs, and where their outputs go. No file needs to be a real video here."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mfv2a.errors import ConfigError, StartError
from mfv2a.jobs.discover import Discovery, find_videos


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def touch(*names: str | Path) -> None:
    for name in names:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def tree(discovery: Discovery) -> dict[str, str]:
    return {str(found.source): found.relative.as_posix() for found in discovery.found}


def write_report(folder: str, *names: str) -> None:
    lines = [
        {"mfv2a": "0", "source": "/s", "name": name, "status": "ok", "details": {}, "settings": {}} for name in names
    ]
    touch(Path(folder) / "report.jsonl")
    (Path(folder) / "report.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")


def test_a_folder_is_searched_through_and_keeps_its_tree(here: Path) -> None:
    touch("in/b.mp4", "in/sub/deep/a.MKV", "in/a.webm")
    assert tree(find_videos(["in"], Path("out"))) == {
        "in/a.webm": "a.webm",
        "in/b.mp4": "b.mp4",
        "in/sub/deep/a.MKV": "sub/deep/a.MKV",
    }


def test_only_videos_are_taken_from_a_folder_and_hidden_files_are_not(here: Path) -> None:
    touch("in/a.mp4", "in/a.txt", "in/notes.md", "in/a.wav", "in/._a.mp4", "in/.cache/b.mp4")
    assert tree(find_videos(["in"], Path("out"))) == {"in/a.mp4": "a.mp4"}


def test_a_file_below_the_working_directory_keeps_its_folders(here: Path) -> None:
    touch("shots/day1/a.mp4")
    assert tree(find_videos(["shots/day1/a.mp4"], Path("out"))) == {"shots/day1/a.mp4": "shots/day1/a.mp4"}


def test_a_file_elsewhere_keeps_its_name_alone(here: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other") / "deep" / "a.mp4"
    touch(other)
    assert tree(find_videos([str(other)], Path("out"))) == {str(other): "a.mp4"}


def test_a_file_named_outright_is_taken_whatever_its_suffix(here: Path) -> None:
    touch("film.dat", "noname")
    assert tree(find_videos(["film.dat", "noname"], Path("out"))) == {"film.dat": "film.dat", "noname": "noname"}


def test_a_glob_takes_videos_and_folders_like_a_shell(here: Path) -> None:
    touch("clips/a.mp4", "clips/b.txt", "clips/more/c.mov", "film.dat")
    found = tree(find_videos(["clips/*", "*.dat"], Path("out")))
    assert found == {"clips/a.mp4": "clips/a.mp4", "clips/more/c.mov": "c.mov", "film.dat": "film.dat"}
    deep = tree(find_videos(["clips/**"], Path("out")))
    assert deep == {"clips/a.mp4": "clips/a.mp4", "clips/more/c.mov": "clips/more/c.mov"}


@pytest.mark.parametrize(
    "name",
    ["two words.mp4", 'it\'s "quoted".mp4', "line\nbreak.mp4", "-leading.mp4", "a:b.mp4", "a[1]*?.mp4", "é漢.mp4"],
)
def test_an_odd_name_that_exists_is_a_file_and_never_a_glob(here: Path, name: str) -> None:
    touch(name)
    assert tree(find_videos([name], Path("out"))) == {name: name}


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_a_name_that_is_no_utf8_is_found(here: Path) -> None:
    name = os.fsdecode(b"caf\xe9.mp4")
    touch(Path("in") / name)
    assert tree(find_videos(["in"], Path("out"))) == {f"in/{name}": name}


def test_the_output_folder_inside_the_input_is_never_searched(here: Path) -> None:
    touch("in/a.mp4", "in/dubbed/a.mp4", "in/dubbed/sub/b.mp4")
    assert tree(find_videos(["in"], Path("in/dubbed"))) == {"in/a.mp4": "a.mp4"}
    assert tree(find_videos(["in/*"], Path("in/dubbed"))) == {"in/a.mp4": "in/a.mp4"}


def test_the_output_folder_is_known_through_a_link(here: Path) -> None:
    touch("in/a.mp4", "out/old.mp4")
    Path("in/link").symlink_to(Path("../out"))
    assert tree(find_videos(["in"], Path("out"))) == {"in/a.mp4": "a.mp4"}


def test_what_an_earlier_run_wrote_elsewhere_is_no_input(here: Path) -> None:
    touch("in/a.mp4", "in/old/a.mp4", "in/old/b.mp4", "in/old/sub/c.mp4")
    write_report("in/old", "a.mp4", "sub/c.mp4")
    found = find_videos(["in"], Path("out"))
    assert tree(found) == {"in/a.mp4": "a.mp4", "in/old/b.mp4": "old/b.mp4"}
    assert found.notes == ("in: 2 left out because mfv2a wrote them",)
    with pytest.raises(StartError, match="mfv2a wrote it"):
        find_videos(["in/old/sub/c.mp4"], Path("out"))


def test_a_symlink_loop_ends(here: Path) -> None:
    touch("in/sub/a.mp4")
    Path("in/sub/up").symlink_to(Path("..").absolute())
    Path("in/again").symlink_to(Path("in").absolute())
    Path("in/self.mp4").symlink_to("self.mp4")
    found = tree(find_videos(["in"], Path("out")))
    assert found == {"in/self.mp4": "self.mp4", "in/sub/a.mp4": "sub/a.mp4"}


def test_a_linked_folder_and_a_linked_file_are_followed(here: Path) -> None:
    touch("store/x.mp4", "in/a.mp4")
    Path("in/linked").symlink_to(Path("store").absolute())
    Path("in/z.mp4").symlink_to("a.mp4")
    assert tree(find_videos(["in"], Path("out"))) == {
        "in/a.mp4": "a.mp4",
        "in/linked/x.mp4": "linked/x.mp4",
        "in/z.mp4": "z.mp4",
    }


def test_a_link_does_not_take_the_place_of_the_folder_it_leads_to(here: Path) -> None:
    touch("in/day1/x.mp4", "in/day2/deep/y.mp4")
    Path("in/current").symlink_to("day1")
    Path("in/day1/again").symlink_to("../day2/deep")
    found = {"in/day1/x.mp4": "day1/x.mp4", "in/day2/deep/y.mp4": "day2/deep/y.mp4"}
    assert tree(find_videos(["in"], Path("out"))) == found


def test_a_video_named_twice_is_taken_once(here: Path) -> None:
    touch("in/a.mp4")
    assert tree(find_videos(["in", "in/a.mp4", "in/../in/a.mp4"], Path("out"))) == {"in/a.mp4": "a.mp4"}


@pytest.mark.parametrize(
    ("arguments", "out"),
    [(["a.mp4"], "."), (["in"], "in"), (["in/b.mp4"], "in"), ([".."], ".."), (["a.mp4", "in"], ".")],
)
def test_an_output_that_is_its_input_is_refused(here: Path, arguments: list[str], out: str) -> None:
    touch("a.mp4", "in/b.mp4")
    with pytest.raises(ConfigError) as caught:
        find_videos(arguments, Path(out))
    assert "--out" in caught.value.hint


def test_an_input_reached_through_a_linked_output_folder_is_refused(here: Path) -> None:
    touch("in/a.mp4")
    Path("out").symlink_to("in")
    with pytest.raises(ConfigError):
        find_videos(["in"], Path("out"))


def test_a_shell_glob_may_hold_the_output_folder(here: Path) -> None:
    touch("a.mp4", "dubbed/a.mp4")
    found = find_videos(["a.mp4", "dubbed"], Path("dubbed"))
    assert tree(found) == {"a.mp4": "a.mp4"}
    assert "dubbed" in found.notes[0]


def test_nothing_found_says_where_it_looked(here: Path) -> None:
    Path("empty").mkdir()
    for arguments, words in ((["empty"], "empty"), (["gone.mp4"], "gone.mp4: no such file"), (["*.mp4"], "pattern")):
        with pytest.raises(StartError, match=words):
            find_videos(arguments, Path("out"))


def test_a_missing_name_does_not_stop_the_others(here: Path) -> None:
    touch("a.mp4")
    found = find_videos(["gone.mp4", "a.mp4", "x*.mp4"], Path("out"))
    assert tree(found) == {"a.mp4": "a.mp4"}
    assert [str(each.path) for each in found.missing] == ["gone.mp4", "x*.mp4"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_a_pipe_is_not_waited_for(here: Path) -> None:
    os.mkfifo("pipe.mp4")
    touch("in/a.mp4")
    os.mkfifo("in/pipe.mp4")
    found = find_videos(["pipe.mp4", "in"], Path("out"))
    assert tree(found) == {"in/a.mp4": "a.mp4"}
    assert found.missing == ((Path("pipe.mp4"), "not a regular file", "check the path"),)


def test_videos_behind_a_link_into_the_output_folder_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").touch()
    (tmp_path / "out" / "sub").mkdir(parents=True)
    (tmp_path / "out" / "sub" / "b.mp4").touch()
    (tmp_path / "videos" / "linked").symlink_to(tmp_path / "out" / "sub")
    discovery = find_videos([str(tmp_path / "videos")], tmp_path / "out")
    assert [str(each.relative) for each in discovery.found] == ["a.mp4"]
    assert "1 left out" in discovery.notes[0]
