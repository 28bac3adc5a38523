"""Sounds of a list's captions: what they are called, what is made, and that evaluation finds them by the same list."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mfv2a.cli import main
from mfv2a.errors import ConfigError
from mfv2a.jobs.captioned import plan_listed
from mfv2a.jobs.pairing import pair_folders
from mfv2a.jobs.sound import SoundOptions
from mfv2a.jobs.tta import TtaOptions
from mfv2a.media.audio import write_audio
from mfv2a.records import Audio

AUDIOCAPS = "audiocap_id,youtube_id,start_time,caption\n7,abc,30,A dog barks\n8,abc,30,Rain falls\n9,-x_,0,A bell\n"
VGGSOUND = "abc,30,dog barking,test\nxyz,5,rain,train\n"
NAMED = "file,caption,label,duration_s\na/one.mp4,A dog barks,,3\ntwo.v2,,rain,\nthree.wav,,,\n"


def listed(folder: Path, text: str, name: str = "list.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def options(out: Path | str, **more: object) -> TtaOptions:
    return TtaOptions(out=str(out), sound=SoundOptions(model="tiny"), **more)  # type: ignore[arg-type]


def silent(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_audio(path, Audio(samples=np.zeros((800, 1), np.float32), sample_rate_hz=16000))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (AUDIOCAPS, {"7.wav": "A dog barks", "8.wav": "Rain falls", "9.wav": "A bell"}),
        (VGGSOUND, {"abc_000030.wav": "dog barking", "xyz_000005.wav": "rain"}),
        (NAMED, {"a/one.wav": "A dog barks", "two.v2.wav": "rain"}),
    ],
)
def test_a_sound_is_named_by_its_row_and_says_its_caption_or_label(
    tmp_path: Path, text: str, wanted: dict[str, str]
) -> None:
    planned = plan_listed(listed(tmp_path, text), options(tmp_path / "made"))
    assert {
        take.path.relative_to(tmp_path / "made").as_posix(): take.prompt for take in planned.takes if take.path
    } == wanted


@pytest.mark.parametrize("text", [AUDIOCAPS, VGGSOUND, NAMED])
def test_evaluation_finds_each_by_the_same_list(tmp_path: Path, text: str) -> None:
    listing = listed(tmp_path, text)
    planned = plan_listed(listing, options(tmp_path / "made"))
    for take in planned.takes:
        assert take.path is not None
        silent(take.path)
    for name in ("abc_000030", "-x__000000", "xyz_000005", "a/one", "two.v2"):
        silent(tmp_path / "true" / f"{name}.wav")
    found = pair_folders([tmp_path / "made"], tmp_path / "true", listing=listing)
    assert {pair.generated[0] for pair in found.pairs} == {take.path for take in planned.takes}
    words = {pair.generated[0]: pair.captions[0] for pair in found.pairs}
    assert words == {take.path: take.prompt for take in planned.takes}


def test_a_row_says_how_long_its_sound_is_and_each_has_noise_of_its_own(tmp_path: Path) -> None:
    rows = "id,label,duration_s\na,rain,3\nb,rain,\n"
    first, second = plan_listed(listed(tmp_path, rows), options(tmp_path / "made", duration_s=5.0)).takes
    assert (first.duration_s, second.duration_s) == (3.0, 5.0)
    assert first.seed != second.seed
    other, _ = plan_listed(listed(tmp_path, rows), TtaOptions(out="made", sound=SoundOptions(seed=1))).takes
    assert other.seed != first.seed


def test_rows_without_words_or_of_one_name_are_told_and_the_others_made(tmp_path: Path) -> None:
    rows = "file,caption\na.mp4,one\na.wav,two\nb.mp4,\nc.mp4,three\n"
    planned = plan_listed(listed(tmp_path, rows), options(tmp_path))
    assert [take.prompt for take in planned.takes] == ["three"]
    assert (planned.shared, planned.wordless) == (("a",), ("b",))


def test_only_a_split_is_made_and_what_is_there_only_if_wanted(tmp_path: Path) -> None:
    listing = listed(tmp_path, VGGSOUND)
    assert len(plan_listed(listing, options(tmp_path), split="test").takes) == 1
    silent(tmp_path / "abc_000030.wav")
    planned = plan_listed(listing, options(tmp_path))
    assert ([take.prompt for take in planned.takes], planned.there) == (["rain"], 1)
    assert len(plan_listed(listing, options(tmp_path), overwrite=True).takes) == 2


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ("file,caption\n../up.wav,rain\n", "can be no file"),
        ("file,caption\n/root.wav,rain\n", "can be no file"),
        ("id,caption\n.hidden,rain\n", "can be no file"),
        ("id,caption,duration_s\na,rain,5000\n", "5000 s of 'a'"),
    ],
)
def test_rows_that_cannot_work_are_refused(tmp_path: Path, rows: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        plan_listed(listed(tmp_path, rows), options(tmp_path))


@pytest.mark.parametrize("rows", ["file,text\na.wav,rain\n", "file,caption\na.mp4,x\na.wav,y\n"])
def test_a_list_of_which_nothing_can_be_made_is_refused(tmp_path: Path, rows: str) -> None:
    with pytest.raises(ConfigError, match="nothing to make"):
        plan_listed(listed(tmp_path, rows), options(tmp_path))


def test_a_row_that_is_there_twice_is_one(tmp_path: Path) -> None:
    twice = AUDIOCAPS + "7,abc,30,A dog barks\n"
    assert next(take.prompt for take in plan_listed(listed(tmp_path, twice), options(tmp_path)).takes) == "A dog barks"
    assert not plan_listed(listed(tmp_path, twice), options(tmp_path)).shared


def test_a_row_whose_file_cannot_be_fails_alone_in_this_run_and_in_the_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "made/in the way").touch()
    rows = f"file,caption\nin the way/x,rain\n{'b' * 260},wind\nc,hail\n"
    words = ["tta", "--list", str(listed(tmp_path, rows)), "-o", str(tmp_path / "made"), "-d", "0.2", "--model", "tiny"]
    for _ in range(2):
        assert main(words) == 3
        assert (tmp_path / "made/c.wav").exists()
        assert capsys.readouterr().err.count("error: ") == 2
        (tmp_path / "made/c.wav").unlink()


@pytest.mark.parametrize("out", ["", "-", "one.wav", "list.csv"])
def test_a_list_needs_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="many sounds"):
        plan_listed(listed(tmp_path, VGGSOUND), options(out))
    with pytest.raises(ConfigError, match="variants"):
        plan_listed(tmp_path / "list.csv", options("made", variants=2))


def test_the_command_makes_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listing = listed(tmp_path, "id,caption,duration_s\na,rain,0.2\nb,hail,0.3\nc,,\n")
    words = ["tta", "--list", str(listing), "-o", str(tmp_path / "made"), "--model", "tiny", "--json"]
    assert main(words) == 0
    told = capsys.readouterr()
    records = [json.loads(line) for line in told.out.splitlines()]
    assert [(Path(record["output"]).name, record["duration_s"]) for record in records] == [
        ("a.wav", 0.2),
        ("b.wav", 0.3),
    ]
    assert "neither a caption nor a label in c" in told.err
    (tmp_path / "made/b.wav").unlink()
    assert main(words) == 0
    told = capsys.readouterr()
    assert [json.loads(line)["prompt"] for line in told.out.splitlines()] == ["hail"]
    assert "1 sound is there already" in told.err
    assert main(words) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("more", [["rain", "--list", "x.csv"], ["rain", "--split", "test"], ["rain", "--overwrite"]])
def test_prompts_and_a_list_do_not_go_together(more: list[str]) -> None:
    assert main(["tta", *more]) == 2
