"""How a sound is handed on: what files say of themselves, channels, giving way in a mix, shots, lists of hits."""

from __future__ import annotations

import csv
import json
import subprocess
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile

from made_videos import make_video
from mfv2a import __version__
from mfv2a.cli import main
from mfv2a.media.audio import read_audio
from mfv2a.media.encode import write_video
from mfv2a.media.ffmpeg import find_ffmpeg
from mfv2a.media.probe import probe_video
from mfv2a.media.tags import STATEMENT, read_tags, state
from mfv2a.records import Audio

TINY = ["--model", "tiny", "--quiet"]
HELD = {  # container -> the tag in which the statement is read back
    ".mp4": "comment",
    ".mov": "comment",
    ".mkv": "COMMENT",
    ".webm": "COMMENT",
    ".avi": "comment",
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def report(folder: str = "out") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (Path(folder) / "report.jsonl").read_text().splitlines()]


def samples(path: str) -> np.ndarray:
    return read_audio(Path(path), mono=False).samples


@pytest.mark.parametrize("suffix", HELD)
def test_a_container_says_that_its_sound_was_generated(suffix: str) -> None:
    make_video(Path(f"in/a{suffix}"), seconds=0.4)
    assert main(["dub", "in", "--out", "out", *TINY]) == 0
    seed = report()[0]["details"]["clip_seed"]
    told = read_tags(f"out/a{suffix}")
    assert (
        told[HELD[suffix]] == f"AI-generated audio: mfv2a {__version__}, model tiny (licence Apache-2.0), seed {seed}"
    )
    assert main(["dub", "in", "--out", "silent", *TINY, "--no-provenance"]) == 0
    assert STATEMENT not in str(read_tags(f"silent/a{suffix}"))
    np.testing.assert_array_equal(samples(f"out/a{suffix}"), samples(f"silent/a{suffix}"))
    assert report("silent")[-1]["settings"]["provenance"] is False  # another file is asked for


def test_no_tag_of_the_source_is_lost() -> None:
    make_video(Path("plain.mp4"), seconds=0.4)
    tags = ["-metadata", "comment=a prompt", "-metadata", "title=T", "-metadata", "description=D"]
    line = [str(find_ffmpeg()), "-nostdin", "-loglevel", "error", "-i", "plain.mp4", "-c", "copy", *tags]
    Path("in").mkdir()
    for suffix in (".mp4", ".mkv"):
        subprocess.run([*line, f"in/a{suffix}"], check=True, stdin=subprocess.DEVNULL)
        assert main(["dub", f"in/a{suffix}", "--out", suffix[1:], *TINY]) == 0
        told = {name.lower(): value for name, value in read_tags(f"{suffix[1:]}/in/a{suffix}").items()}
        assert (told["comment"], told["title"], told["description"]) == ("a prompt", "T", "D")
        assert told["synopsis"].startswith(STATEMENT)


def test_a_statement_takes_the_first_free_place_and_replaces_an_older_one() -> None:
    assert state({}, "") == {}
    assert state({}, "new") == {"comment": "new"}
    assert state({"COMMENT": "kept"}, "new") == {"description": "new"}
    assert state({"comment": "kept", "Synopsis": f"{STATEMENT}: old"}, "new") == {"synopsis": "new"}
    assert state(dict.fromkeys(("comment", "description", "synopsis", "grouping"), "x"), "new") == {}


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.opus", "a.mp3"])
def test_sound_files_say_so_too(name: str, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    command = ["tta", "rain", "--duration", "0.5", "-o", name, *TINY]
    assert main(command) == 0
    with av.open(name) as container:
        told = {**container.metadata, **container.streams.audio[0].metadata}
    (statement,) = [value for value in told.values() if value.startswith(STATEMENT)]
    assert "model tiny (licence Apache-2.0), seed " in statement
    assert main([*command, "--no-provenance"]) == 0
    with av.open(name) as container:
        assert STATEMENT not in str({**container.metadata, **container.streams.audio[0].metadata})
    capsysbinary.readouterr()
    assert main(["tta", "rain", "--duration", "0.5", "-o", "-", *TINY]) == 0
    assert STATEMENT.encode() in capsysbinary.readouterr().out


def test_a_wav_beside_a_video_says_so() -> None:
    make_video(Path("a.mp4"), seconds=0.4)
    assert main(["dub", "a.mp4", "--out", "out", *TINY, "--also-wav"]) == 0
    with soundfile.SoundFile("out/a.wav") as file:
        assert file.comment.startswith(STATEMENT)


def test_a_mono_sound_is_the_same_on_both_sides() -> None:
    make_video(Path("a.mov"), seconds=0.4)
    command = ["dub", "a.mov", *TINY, "--audio-codec", "pcm", "--also-wav"]
    assert main([*command, "--out", "mono"]) == 0
    assert main([*command, "--out", "stereo", "--channels", "stereo"]) == 0
    one, two = samples("mono/a.mov"), samples("stereo/a.mov")
    assert (one.shape[1], two.shape[1]) == (1, 2)
    np.testing.assert_array_equal(two[:, 0], two[:, 1])
    np.testing.assert_allclose(two[:, 0], one[:, 0], atol=1e-4)
    assert soundfile.info("stereo/a.wav").channels == 2
    assert main(["dub", "a.mov", *TINY, "--out", "mono", "--audio-codec", "pcm", "--channels", "stereo"]) == 0
    assert report("mono")[-1]["settings"]["channels"] == "stereo"
    assert main(["tta", "rain", "--duration", "0.5", "-o", "s.flac", "--channels", "stereo", *TINY]) == 0
    assert soundfile.info("s.flac").channels == 2


def test_loudness_is_that_of_both_channels_together() -> None:
    from mfv2a.media.loudness import measure_lufs

    command = ["tta", "rain", "--duration", "2", "--loudness", "-30", "--sample-rate", "model", *TINY]
    assert main([*command, "-o", "one.wav"]) == 0
    assert main([*command, "-o", "two.wav", "--channels", "stereo"]) == 0
    for name in ("one.wav", "two.wav"):
        assert measure_lufs(samples(name), 16000) == pytest.approx(-30, abs=0.2)


def test_the_new_sound_gives_way_while_the_kept_one_is_heard() -> None:
    time = np.arange(3 * 48_000) / 48_000
    kept = np.where((time > 1) & (time < 2), 0.2 * np.sin(2 * np.pi * 300 * time), 0.0).astype(np.float32)
    frames = [np.full((48, 64, 3), 20 + number, np.uint8) for number in range(75)]
    write_video(Path("a.mp4"), frames, 25.0, audio=Audio(samples=kept, sample_rate_hz=48_000))
    command = ["dub", "a.mp4", *TINY, "--keep-audio", "mix", "--also-wav", "--prompt", "rain"]
    assert main([*command, "--out", "usual"]) == 0
    assert main([*command, "--out", "ducked", "--duck", "12"]) == 0
    usual, ducked = samples("usual/a.wav")[:, 0], samples("ducked/a.wav")[:, 0]
    level = {
        name: 20 * np.log10(np.std(wave[round(first * 48_000) : round(last * 48_000)]))
        for name, wave in (("usual", usual), ("ducked", ducked))
        for first, last in ((1.3, 1.9),)
    }
    assert level["ducked"] - level["usual"] == pytest.approx(-12, abs=0.3)
    np.testing.assert_allclose(ducked[:40_000], usual[:40_000], atol=1e-4)
    details = report("ducked")[0]["details"]
    assert 0.3 < details["ducked_share"] < 0.5
    assert report("ducked")[0]["settings"]["duck_db"] == 12


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_a_mix_is_in_the_language_of_the_sound_that_is_kept_in_it(suffix: str) -> None:
    make_video(Path(f"plain{suffix}"), seconds=0.5, sound=True)
    line = [str(find_ffmpeg()), "-nostdin", "-loglevel", "error", "-i", f"plain{suffix}", "-c", "copy"]
    subprocess.run([*line, "-metadata:s:a:0", "language=fre", f"a{suffix}"], check=True)
    for how, told in (("mix", "fre"), ("replace", "")):
        assert main(["dub", f"a{suffix}", "--out", how, "--keep-audio", how, *TINY]) == 0
        with av.open(f"{how}/a{suffix}") as container:
            language = container.streams.audio[0].metadata.get("language", "")
        assert (language if language != "und" else "") == told


def test_hits_are_listed_beside_each_output() -> None:
    make_video(Path("in/a.mp4"), seconds=1.0)
    command = ["dub", "in", "--out", "out", *TINY]
    assert main([*command, "--onsets", "csv"]) == 0
    with Path("out/a.onsets.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["kind"] for row in rows} <= {"heard", "seen"}
    assert main([*command, "--onsets", "csv"]) == 0
    assert report()[-1]["status"] == "skipped"
    assert main(command) == 0  # a list more than is asked for is no fault
    assert report()[-1]["status"] == "skipped"
    assert main([*command, "--onsets", "edl"]) == 0
    assert report()[-1]["status"] == "ok"
    assert Path("out/a.onsets.edl").read_text().startswith("TITLE: a\nFCM: NON-DROP FRAME\n")
    Path("out/a.onsets.edl").unlink()
    assert main([*command, "--onsets", "edl"]) == 0
    assert Path("out/a.onsets.edl").exists()
    Path("in/b.mp4").write_bytes(Path("in/a.mp4").read_bytes())
    Path("out/b.onsets.csv").write_text("mine")
    assert main([*command, "--onsets", "csv"]) == 3
    assert Path("out/b.onsets.csv").read_text() == "mine"


def test_shots_are_sounded_on_their_own(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    frames = []
    for number in range(75):
        pixels = np.full((48, 64, 3), (220, 40, 20) if number < 35 else (20, 40, 220), np.uint8)
        pixels[10:18, number % 50 : number % 50 + 8] = 255
        frames.append(pixels)
    Path("in").mkdir()
    write_video(Path("in/a.mp4"), frames, 25.0)
    command = ["dub", "in", *TINY, "--also-wav", "--prompt", "rain", "--dtype", "float32"]
    assert main([*command, "--out", "whole"]) == 0
    assert main([*command, "--out", "split", "--split-shots", "--cache", "kept", "--onsets", "csv"]) == 0
    (line,) = report("split")
    assert line["details"]["cuts_s"] == [pytest.approx(1.4, abs=0.01)]
    assert line["details"]["windows"] == 2
    assert line["settings"]["split_shots"] is True
    assert "cuts_s" not in report("whole")[0]["details"]
    whole, split = samples("whole/a.wav")[:, 0], samples("split/a.wav")[:, 0]
    assert len(whole) == len(split) == 3 * 48_000
    assert np.abs(split[round(1.4 * 48_000)]) < 1e-3  # it begins anew
    with Path("split/a.onsets.csv").open(newline="") as file:
        assert [row["timecode"] for row in csv.DictReader(file) if row["kind"] == "cut"] == ["00:00:01:10"]
    # What was seen is kept, shot by shot, and gives the very sound again; with candidates, too.
    assert main([*command, "--out", "again", "--split-shots", "--cache", "kept"]) == 0
    assert report("again")[0]["details"]["cached_features"]
    np.testing.assert_allclose(samples("again/a.wav"), samples("split/a.wav"), atol=1e-4)
    assert main([*command, "--out", "two", "--split-shots", "--cache", "kept", "--candidates", "2"]) == 0
    assert report("two")[0]["details"]["candidates"][1]["agreement"] is not None
    assert probe_video(Path("two/a.mp4")).duration_s == pytest.approx(3.0)
