"""Stores and folders that are one place under several names, and runs that share a store: nothing is lost."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from made_videos import make_video
from mfv2a.cli import main
from mfv2a.jobs.mirror import Mirror
from mfv2a.media.store import whereabouts

TINY = ["--model", "tiny"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


@pytest.mark.parametrize(
    ("source", "out"),
    [
        ("in", "file://{here}/in"),
        ("{here}/in/", "local://{here}/in"),
        ("file://{here}/in", "in"),
        ("file://{here}/in", "local:///{here}/in/"),
        ("file://{here}/in", "link"),
        ("link", "file://{here}/in"),
    ],
)
def test_no_source_is_replaced_by_its_own_output_whatever_both_are_called(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes], source: str, out: str
) -> None:
    video = make_video(Path("in/a.mp4"), seconds=0.4)
    Path("link").symlink_to("in")
    content = video.read_bytes()
    words = [each.format(here=tmp_path) for each in (source, "--out", out)]
    assert main(["dub", *words, "--overwrite", *TINY]) != 0
    assert video.read_bytes() == content
    assert sorted(path.suffix for path in Path("in").glob("a*")) == [".mp4"]
    said = capsysbinary.readouterr().err
    assert b"replaced by its own output" in said or b"nothing to dub" in said or b"itself" in said


@pytest.mark.parametrize("word", ["[2024] x/videos", "[2024] x", "[2024] x/videos/a.mp4", "[2024] x/*/a.mp4"])
def test_brackets_in_the_name_of_a_folder_are_no_glob(tmp_path: Path, word: str) -> None:
    make_video(Path("[2024] x/videos/a.mp4"), seconds=0.4)
    assert main(["dub", f"file://{tmp_path}/{word}", "--out", "out", *TINY]) == 0
    assert [path.name for path in Path("out").rglob("*.mp4")] == ["a.mp4"]


def test_one_place_has_one_spelling(tmp_path: Path) -> None:
    Path("in").mkdir()
    Path("link").symlink_to("in")
    places = ["in", "in/", "./in", "link", f"file://{tmp_path}/in", f"local://{tmp_path}/in/", str(tmp_path / "in")]
    assert len({whereabouts(place) for place in places}) == 1
    assert whereabouts("memory://in/a") == whereabouts("memory:///in/a/") != whereabouts("memory://in/b")


def test_two_runs_into_one_store_keep_each_others_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        make_video(Path(name, f"{name}.mp4"), seconds=0.4)
    dub = {name: ["dub", name, "--out", "memory://out", *TINY] for name in ("a", "b")}
    commit, other = Mirror.commit, [dub["b"]]

    def after_the_other(self: Mirror) -> None:
        if other:
            assert main(other.pop()) == 0
        commit(self)

    monkeypatch.setattr(Mirror, "commit", after_the_other)
    assert main(dub["a"]) == 0
    lines = MemoryFileSystem.store["/out/report.jsonl"].getvalue().splitlines()
    assert sorted(json.loads(line)["name"] for line in lines) == ["a.mp4", "b.mp4"]
    for name in ("a", "b"):
        assert main(dub[name]) == 0
    lines = MemoryFileSystem.store["/out/report.jsonl"].getvalue().splitlines()
    assert sorted(json.loads(line)["status"] for line in lines) == ["ok", "ok", "skipped", "skipped"]


def test_texts_in_folders_below_go_with_their_videos() -> None:
    store = MemoryFileSystem()
    video = make_video(Path("made/a.mp4"), seconds=0.4).read_bytes()
    for place, text in (("sub/deep/a", b"rain"), ("b", b"wind")):
        store.pipe_file(f"/in/{place}.mp4", video)
        store.pipe_file(f"/in/{place}.txt", text)
    assert main(["dub", "memory://in", "--out", "out", *TINY]) == 0
    lines = [json.loads(line) for line in Path("out/report.jsonl").read_text().splitlines()]
    assert {line["name"]: line["settings"]["prompt"] for line in lines} == {"b.mp4": "wind", "sub/deep/a.mp4": "rain"}
