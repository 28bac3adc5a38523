"""Sources that are elsewhere by the next run: what is done stays done, and nothing else is put in its place."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from made_videos import make_video
from mfv2a.cli import main

TINY = ["--model", "tiny"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def lines() -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path("out/report.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("suffix", [".mp4", ".gif", ".mov as .mpg"])
def test_what_is_done_of_a_folder_that_was_moved_is_done(suffix: str) -> None:
    made_as, _, named_as = suffix.partition(" as ")
    made_video = make_video(Path("in/sub/a").with_suffix(made_as), seconds=0.4)
    if named_as:
        made_video.rename(made_video.with_suffix(named_as))
    command = ["--out", "out", "--also-wav", "--variants", "2", *TINY]
    assert main(["dub", "in", *command]) == 0
    made = {path: path.read_bytes() for path in Path("out/sub").iterdir()}
    Path("in").rename("elsewhere")
    assert main(["dub", "elsewhere", *command]) == 0
    assert [line["status"] for line in lines()] == ["ok", "ok", "skipped", "skipped"]
    assert {path: path.read_bytes() for path in Path("out/sub").iterdir()} == made
    assert main(["dub", "elsewhere", *command]) == 0
    assert len(lines()) == 4


def test_a_new_take_of_what_was_moved_takes_the_place_of_the_earlier_one(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    make_video(Path("in/a.mp4"), seconds=0.4)
    assert main(["dub", "in", "--out", "out", *TINY]) == 0
    Path("in").rename("elsewhere")
    again = ["dub", "elsewhere", "--out", "out", "--seed", "4", *TINY]
    assert main([*again, "--dry-run"]) == 0
    assert b"1 would be dubbed (1 in place of earlier takes)" in capsysbinary.readouterr().err
    assert main(again) == 0
    assert b"1 dubbed (1 in place of earlier takes)" in capsysbinary.readouterr().err


def test_what_was_moved_to_and_fro_is_done_and_what_lies_beside_it_is_named(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    make_video(Path("in/a.mp4"), seconds=0.4)
    assert main(["dub", "in", "--out", "out", "--also-wav", *TINY]) == 0
    Path("in").rename("elsewhere")
    assert main(["dub", "elsewhere", "--out", "out", "--seed", "2", *TINY]) == 0
    assert b"of earlier takes, and not of the new ones that they lie beside: out/a.wav" in capsysbinary.readouterr().err
    Path("elsewhere").rename("in")
    assert main(["dub", "in", "--out", "out", "--seed", "2", *TINY]) == 0
    assert [line["status"] for line in lines()] == ["ok", "ok", "skipped"]


def test_what_people_made_of_an_output_is_kept_though_its_source_was_moved(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    make_video(Path("in/a.mp4"), seconds=0.4)
    assert main(["dub", "in", "--out", "out", *TINY]) == 0
    edited = make_video(Path("edited.mp4"), seconds=0.5, sound=True).read_bytes()
    Path("out/a.mp4").write_bytes(edited)
    Path("in").rename("elsewhere")
    assert main(["dub", "elsewhere", "--out", "out", *TINY]) == 3
    assert b"changed since mfv2a made it" in capsysbinary.readouterr().err
    assert Path("out/a.mp4").read_bytes() == edited
    assert main(["dub", "elsewhere", "--out", "out", "--overwrite", *TINY]) == 0


def test_another_video_of_the_name_takes_no_output_though_its_source_is_gone(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    for seed, card in enumerate(("one", "two")):
        make_video(Path(card, "a.mp4"), seconds=0.4, seed=seed)
    assert main(["dub", "one", "--out", "out", *TINY]) == 0
    made = Path("out/a.mp4").read_bytes()
    for _ in range(2):
        assert main(["dub", "two", "--out", "out", *TINY]) == 3
        assert b"already there, made from" in capsysbinary.readouterr().err
        shutil.rmtree("one", ignore_errors=True)
    assert Path("out/a.mp4").read_bytes() == made
    assert "there no longer" in lines()[-1]["error"]


def test_what_is_done_is_done_behind_a_link_to_its_folder(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    make_video(Path("in/a.mp4"), seconds=0.4)
    assert main(["dub", "in", "--out", "out", *TINY]) == 0
    Path("link").symlink_to("in")
    assert main(["dub", "link", "--out", "out", *TINY]) == 0
    assert [line["status"] for line in lines()] == ["ok", "skipped"]
    again = ["dub", "link", "--out", "out", "--seed", "4", *TINY]
    assert main(again) == 0
    assert b"1 dubbed (1 in place of earlier takes)" in capsysbinary.readouterr().err
    make_video(Path("other/a.mp4"), seconds=0.6)
    assert main(["dub", "other", "--out", "out", *TINY]) == 3
    assert b"already there, made from" in capsysbinary.readouterr().err
