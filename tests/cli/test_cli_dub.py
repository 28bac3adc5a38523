"""`mfv2a dub` from the command line to finished files, on the tiny model with random weights."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from made_videos import make_video
from mfv2a.cli import main

TINY = ["--model", "tiny"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def packets(path: str | Path) -> list[bytes]:
    with av.open(f"file:{path}") as container:
        return [bytes(packet) for packet in container.demux(container.streams.video[0]) if packet.size]


def heard(path: str | Path) -> np.ndarray:
    with av.open(f"file:{path}") as container:
        return np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=-1)


def report(folder: str | Path = "out") -> list[dict[str, object]]:
    return [json.loads(line) for line in (Path(folder) / "report.jsonl").read_text().splitlines()]


def test_a_folder_in_a_folder_out(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    make_video(Path("in/a.mp4"), seconds=1)
    make_video(Path("in/sub/b.mkv"), seconds=0.6, sound=True)
    assert main(["dub", "in", "--out", "out", *TINY]) == 0
    out, err = capsysbinary.readouterr()
    assert out == b"out/a.mp4\nout/sub/b.mkv\n"
    assert b"model tiny: random weights, for tests, 16 kHz, written at 48 kHz; licence Apache-2.0" in err
    assert b"2 dubbed" in err
    assert packets("out/a.mp4") == packets("in/a.mp4")
    assert packets("out/sub/b.mkv") == packets("in/sub/b.mkv")
    assert len(heard("out/a.mp4")[0]) >= 48_000
    assert [(line["status"], line["name"]) for line in report()] == [("ok", "a.mp4"), ("ok", "sub/b.mkv")]
    first = report()[0]
    assert {"decode", "features", "sample", "vae", "vocoder", "mux"} == set(first["seconds"])  # type: ignore[call-overload]
    assert 0 <= first["details"]["confidence"] <= 1  # type: ignore[index, operator]
    assert not list(Path("out").rglob("*.part"))


def test_json_is_an_object_a_line_and_matches_the_report(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    make_video(Path("in/a.mp4"), seconds=0.4)
    Path("in/b.mp4").write_text("no video")
    assert main(["dub", "in", "--out", "out", *TINY, "--json", "--quiet"]) == 3
    out, err = capsysbinary.readouterr()
    lines = [json.loads(line) for line in out.splitlines()]
    assert lines == report()
    assert {line["status"] for line in lines} == {"ok", "failed"}
    (failure,) = err.splitlines()
    assert b"in/b.mp4: failed:" in failure


def test_a_rerun_skips_and_overwrite_does_it_again(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    make_video(Path("in/a.mp4"), seconds=0.4)
    command = ["dub", "in", "--out", "out", *TINY]
    assert main(command) == 0
    first = Path("out/a.mp4").stat()
    capsysbinary.readouterr()
    assert main(command) == 0
    out, err = capsysbinary.readouterr()
    assert out == b"out/a.mp4\n"
    assert b"done already" in err
    assert Path("out/a.mp4").stat().st_mtime_ns == first.st_mtime_ns
    assert main([*command, "--overwrite"]) == 0
    assert Path("out/a.mp4").stat().st_mtime_ns != first.st_mtime_ns
    assert main([*command, "--seed", "1"]) == 0
    assert [line["status"] for line in report()] == ["ok", "skipped", "ok", "ok"]


def test_the_sound_depends_on_content_and_seed_and_on_nothing_else() -> None:
    make_video(Path("in/a.mov"), seconds=0.6)
    make_video(Path("in/c.mov"), seconds=0.8)
    Path("in/b.mov").write_bytes(Path("in/a.mov").read_bytes())
    codec = ["--audio-codec", "pcm", "--prompt", "rain"]
    assert main(["dub", "in", "--out", "all", *TINY, *codec]) == 0
    assert main(["dub", "in/b.mov", "--out", "one", *TINY, *codec, "--batch-size", "1"]) == 0
    assert main(["dub", "in/b.mov", "--out", "two", *TINY, *codec, "--seed", "5"]) == 0
    np.testing.assert_array_equal(heard("all/a.mov"), heard("all/b.mov"))
    np.testing.assert_allclose(heard("all/a.mov"), heard("one/in/b.mov"), atol=40)
    assert np.abs(heard("two/in/b.mov").astype(float) - heard("one/in/b.mov")).max() > 100


def test_the_samples_are_as_many_as_the_picture_is_long() -> None:
    make_video(Path("a.mkv"), seconds=0.7, fps=30)
    make_video(Path("frame.mkv"), seconds=0.0)
    assert main(["dub", "a.mkv", "frame.mkv", "-o", "out", *TINY, "--audio-codec", "flac", "--also-wav"]) == 0
    assert heard("out/a.mkv").shape[-1] == soundfile.info("out/a.wav").frames == round(0.7 * 48_000)
    assert heard("out/frame.mkv").shape[-1] == soundfile.info("out/frame.wav").frames == 4800
    args = ["dub", "a.mkv", "-o", "model", *TINY, "--audio-codec", "flac", "--sample-rate", "model"]
    assert main(args) == 0
    assert heard("model/a.mkv").shape[-1] == round(0.7 * 16_000)


def test_a_dry_run_writes_nothing(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    make_video(Path("in/a.gif"), seconds=0.4)
    assert main(["dub", "in", "--out", "out", *TINY, "--dry-run"]) == 0
    out, err = capsysbinary.readouterr()
    assert out == b"out/a.mkv\n"
    assert b"1 would be dubbed" in err
    assert not Path("out").exists()
    assert main(["dub", "in", "--out", "out", *TINY, "--dry-run", "--json"]) == 0
    assert json.loads(capsysbinary.readouterr().out)["status"] == "planned"


class Pipe:
    def __init__(self, data: bytes) -> None:
        self.buffer = io.BytesIO(data)

    def isatty(self) -> bool:
        return False


@pytest.mark.parametrize(("extra", "end"), [(["-"], "\n"), (["-"], "\r\n"), (["-", "-0"], "\0"), (["-0"], "\0")])
def test_paths_come_on_stdin(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes], extra: list[str], end: str
) -> None:
    names = ["in/a b.mp4", "in/c.mp4"] + (["in/new\nline.mp4"] if end == "\0" else [])
    for name in names:
        make_video(Path(name), seconds=0.2)
    monkeypatch.setattr(sys, "stdin", Pipe(end.join(names).encode()))
    assert main(["dub", *extra, "--out", "out", *TINY, "--json"]) == 0
    made = [json.loads(line)["name"] for line in capsysbinary.readouterr().out.splitlines()]
    assert made == names


def test_uncertain_clips_are_counted_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    from mfv2a.pipeline import Pipeline

    see = Pipeline._see
    monkeypatch.setattr(Pipeline, "_see", lambda self, clip: replace(see(self, clip), confidence=0.1))
    make_video(Path("in/a.mp4"), seconds=0.4)
    make_video(Path("in/b.mp4"), seconds=0.4)
    Path("in/b.txt").write_text("rain")
    assert main(["dub", "in", "--out", "out", *TINY]) == 0
    err = capsysbinary.readouterr().err.decode()
    assert "1 video uncertain" in err
    assert "--prompt" in err
    assert "larger --model" in err
    assert [line["details"]["uncertain"] for line in report()] == [True, False]  # type: ignore[index]


def test_one_clips_fault_in_the_network_leaves_the_others(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    from mfv2a.pipeline import Pipeline

    prepare = Pipeline.prepare

    def fail_on_rain(self: Pipeline, clip: object, **kwargs: object) -> object:
        if kwargs["prompt"] == "rain":
            raise ZeroDivisionError("oh")
        return prepare(self, clip, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Pipeline, "prepare", fail_on_rain)
    for name in "abc":
        make_video(Path(f"in/{name}.mp4"), seconds=0.3)
    Path("in/b.txt").write_text("rain")
    assert main(["dub", "in", "--out", "out", *TINY, "--verbose"]) == 3
    out, err = capsysbinary.readouterr()
    assert out == b"out/a.mp4\nout/c.mp4\n"
    assert b"ZeroDivisionError: oh" in err
    assert b"Traceback" in err
    assert sorted((line["status"], Path(str(line["source"])).name) for line in report()) == [
        ("failed", "b.mp4"),
        ("ok", "a.mp4"),
        ("ok", "c.mp4"),
    ]


def test_a_long_clip_is_dubbed_whole() -> None:
    make_video(Path("long.mkv"), seconds=19.2, fps=5)
    assert main(["dub", "long.mkv", "-o", "out", *TINY, "--audio-codec", "flac"]) == 0
    assert heard("out/long.mkv").shape[-1] == round(19.2 * 48_000)
    assert report()[0]["details"]["windows"] > 1  # type: ignore[index, operator]
