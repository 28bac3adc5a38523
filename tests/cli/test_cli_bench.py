"""`mfv2a bench`: a table for people, a document for programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from made_videos import make_video
from mfv2a.cli import main

QUICK = ["--model", "tiny", "--repeats", "1", "--warmup", "0"]


@pytest.fixture
def video(tmp_path: Path) -> str:
    return str(make_video(tmp_path / "a.mp4", seconds=0.3))


def test_json_is_one_document(video: str, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["bench", video, "--steps", "1", "--steps", "2", "--json", *QUICK]) == 0
    report = json.loads(capsysbinary.readouterr().out)
    assert [entry["steps"] for entry in report["entries"]] == [1, 2]
    assert report["entries"][1]["ratio"]["total"] > 0
    assert report["threads"] >= 1


def test_the_table_names_every_stage(
    video: str, capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    assert main(["bench", video, "--steps", "1", "--steps", "2", *QUICK]) == 0
    out, err = capsysbinary.readouterr()
    text = out.decode()
    for word in ("decode", "features", "sample", "vae", "vocoder", "mux", "other", "total", "NFE", "RTF", "p90"):
        assert word in text
    assert b"model tiny" in err


def test_no_step_is_refused(video: str, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["bench", video, "--steps", "0", *QUICK]) == 2
    assert b"--steps" in capsysbinary.readouterr().err


def test_a_video_that_is_not_there_is_exit_3(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["bench", "gone.mp4", *QUICK]) == 3
    assert b"gone.mp4" in capsysbinary.readouterr().err
