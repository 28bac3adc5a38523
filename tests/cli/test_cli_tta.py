"""`mfv2a tta` from words to sound files."""

from __future__ import annotations

import io
import json
import math
import os
import sys
from pathlib import Path
from typing import Any

import av
import pytest
import soundfile

from mfv2a.cli import main
from mfv2a.cli.tta import read_prompts
from mfv2a.errors import MediaError
from mfv2a.jobs.jury import Jury, Verdict
from mfv2a.jobs.seed import clip_seed
from mfv2a.media import audio
from mfv2a.pipeline import Pipeline
from mfv2a.work import check_numbers

TINY = ["--model", "tiny", "--duration", "0.5"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Pipe:
    def __init__(self, data: bytes) -> None:
        self.buffer = io.BytesIO(data)

    def isatty(self) -> bool:
        return False


def test_a_prompt_becomes_a_file_named_after_it(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["tta", "rain on a tin roof", *TINY]) == 0
    out, err = capsysbinary.readouterr()
    assert out == b"rain-on-a-tin-roof.wav\n"
    assert b"random weights, for tests, 16 kHz" in err
    info = soundfile.info("rain-on-a-tin-roof.wav")
    assert (info.frames, info.samplerate) == (24_000, 48_000)


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg", "opus"])
def test_every_sound_file_can_be_written(suffix: str) -> None:
    rate = "24000" if suffix == "opus" else "44100"
    assert main(["tta", "rain", "-o", f"sub/x.{suffix}", *TINY, "--sample-rate", rate]) == 0
    with av.open(f"sub/x.{suffix}") as container:
        samples = sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))
    assert samples == pytest.approx(0.5, abs=0.1)


def test_a_dash_is_a_wav_on_stdout(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["tta", "rain", "-o", "-", *TINY, "--sample-rate", "model"]) == 0
    wave, rate = soundfile.read(io.BytesIO(capsysbinary.readouterr().out))
    assert (len(wave), rate) == (8_000, 16_000)


def test_prompts_come_on_stdin_and_variants_differ(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setattr(sys, "stdin", Pipe("hail\n\nGlocke läutet\r\n".encode()))
    assert main(["tta", "-o", "s/", "--variants", "2", "--json", "--quiet", *TINY]) == 0
    out, err = capsysbinary.readouterr()
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["output"] for line in lines] == [
        "s/hail.wav",
        "s/hail-2.wav",
        "s/glocke-läutet.wav",
        "s/glocke-läutet-2.wav",
    ]
    assert err == b""
    assert Path("s/hail.wav").read_bytes() != Path("s/hail-2.wav").read_bytes()


def test_a_prompt_on_stdin_ends_where_its_line_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Pipe("rain\u2028on\x85tin\r\nwind\n".encode()))
    assert read_prompts([]) == ["rain\u2028on\x85tin", "wind"]


def test_sounds_of_one_loudness_are_asked_for_and_told(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    from mfv2a.media.loudness import measure_lufs

    assert main(["tta", "rain", "hail", "-o", "s/", "--loudness", "-30", "--json", *TINY]) == 0
    for line in map(json.loads, capsysbinary.readouterr().out.splitlines()):
        wave, rate = soundfile.read(line["output"], dtype="float32")
        assert measure_lufs(wave, rate) == pytest.approx(-30, abs=0.1)
        assert line["loudness_lufs"] == pytest.approx(-30, abs=0.1)
        assert line["settings"]["loudness_lufs"] == -30
    assert soundfile.info("s/rain.wav").subtype == "PCM_24"


def test_the_same_words_and_seed_make_the_same_sound() -> None:
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert main(["tta", "rain", "-o", f"{name}.wav", "--seed", seed, *TINY]) == 0
    assert Path("a.wav").read_bytes() == Path("b.wav").read_bytes() != Path("c.wav").read_bytes()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([""], "prompt"),
        (["rain", "-o", "x.mp4"], "x.mp4"),
        (["rain", "-o", ""], "-o is empty"),
        (["rain", "-o", "many"], "no folder, and no name of a sound file"),
        (["rain", "--steps", "100000"], "use 1 to 1000"),
        (["rain", "--seed", "-1"], "greater than or equal to 0"),
        (["rain", "-o", "x.opus", "--sample-rate", "44100"], "--sample-rate"),
        (["rain", "hail", "-o", "-"], "stdout"),
        (["rain", "-o", "-", "--json"], "--json"),
        (["rain", "--duration", "0"], "--duration"),
        (["rain", "--duration", "nan"], "--duration"),
        (["rain", "--variants", "0"], "--variants"),
        (["rain", "--loudness", "loud"], "--loudness"),
        (["rain", "--loudness", "-200"], "--loudness"),
        (["rain", "--steps", "0"], "--steps"),
        (["rain", "--model", "tini"], "tiny"),
        (["-", "-"], "twice"),
    ],
)
def test_what_cannot_work_is_one_line_and_exit_2(
    words: list[str], told: str, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert main(["tta", *words]) == 2
    out, err = capsysbinary.readouterr()
    assert out == b""
    (line,) = err.decode().splitlines()
    assert told in line
    assert " - " in line
    assert not list(Path().iterdir())


def test_prompts_that_are_no_text_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setattr(sys, "stdin", Pipe(b"\xff\xfe"))
    assert main(["tta", "-"]) == 2
    assert b"UTF-8" in capsysbinary.readouterr().err


def test_a_folder_that_cannot_be_made_is_told(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    Path("file").touch()
    assert main(["tta", "rain", "-o", "file/x.wav", *TINY]) == 3
    assert b"file" in capsysbinary.readouterr().err.splitlines()[-1]


def spoil(monkeypatch: pytest.MonkeyPatch, *prompts: str) -> None:
    """Let the first take of these prompts be no sound."""
    seeds = {clip_seed(0, f"text:{prompt}", 0) for prompt in prompts}
    sample = Pipeline.sample

    def spoiled(self: Pipeline, works: Any, options: Any) -> Any:
        latents = sample(self, works, options)
        return check_numbers([x * math.nan if w.seed in seeds else x for x, w in zip(latents, works, strict=True)])

    monkeypatch.setattr(Pipeline, "sample", spoiled)


@pytest.mark.parametrize("batch", ["8", "2", "1"])
def test_a_prompt_that_becomes_no_sound_spoils_no_other(
    batch: str, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    words = ["tta", "rain", "wind", "sea", "hail", "--variants", "2", "-b", batch, "--quiet", *TINY]
    assert main([*words, "-o", "whole/"]) == 0
    capsysbinary.readouterr()
    spoil(monkeypatch, "wind")
    assert main([*words, "-o", "made/"]) == 3
    out, err = capsysbinary.readouterr()
    names = ["rain", "rain-2", "wind-2", "sea", "sea-2", "hail", "hail-2"]
    assert out.decode().split() == [f"made/{name}.wav" for name in names]
    (line,) = err.decode().splitlines()
    assert line.startswith("error: wind, take 1: ")
    assert " - " in line
    for name in names:
        made, whole = (soundfile.read(f"{folder}/{name}.wav")[0] for folder in ("made", "whole"))
        assert abs(made - whole).max() < 1e-4
    assert not Path("made/wind.wav").exists()


def test_a_single_prompt_that_becomes_no_sound_is_told(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    spoil(monkeypatch, "wind")
    assert main(["tta", "wind", "-o", "-", *TINY]) == 3
    out, err = capsysbinary.readouterr()
    assert out == b""
    assert err.decode().splitlines()[-1].startswith("error: wind: ")


@pytest.mark.parametrize(("reason", "code", "made"), [("odd", 3, ["rain", "sea"]), ("locked", 3, []), ("full", 4, [])])
def test_a_file_that_cannot_be_written_ends_only_what_it_must(
    reason: str, code: int, made: list[str], monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    write = audio.write_audio

    def refused(path: Path, *rest: Any, **more: Any) -> None:
        if reason == "odd" and path.stem != "wind":
            write(path, *rest, **more)
            return
        detail = "No space left on device" if reason == "full" else ""
        raise MediaError(path, "cannot be written", detail=detail)

    monkeypatch.setattr(audio, "write_audio", refused)
    if reason == "locked":
        monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "s")
    assert main(["tta", "rain", "wind", "sea", "-o", "s/", "--quiet", *TINY]) == code
    out, err = capsysbinary.readouterr()
    assert out.decode().split() == [f"s/{name}.wav" for name in made]
    (line,) = err.decode().splitlines()
    assert ("s/wind.wav" if reason == "odd" else "s/rain.wav") in line


@pytest.mark.parametrize(("level", "hinted"), [(-120.0, True), (-66.0, True), (-64.0, False), (-20.0, False)])
def test_a_sound_that_can_hardly_be_heard_is_told_with_what_to_try(level, hinted, monkeypatch, capsysbinary, tmp_path):
    import mfv2a.jobs.sound_maker as job

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(job, "level_dbfs", lambda samples: {"rms_dbfs": level, "peak_dbfs": level})
    assert main(["tta", "rain", "--model", "tiny", "--duration", "1", "--device", "cpu"]) == 0
    told = capsysbinary.readouterr().err
    assert (b"hardly to be heard: try another --seed" in told) == hinted
    assert f"{level:.0f} dBFS".encode() in told


@pytest.mark.parametrize(("words", "steps"), [([], 4), (["--steps", "1"], 1)])
def test_words_alone_take_the_steps_that_serve_them_unless_others_are_asked_for(words, steps, capsysbinary, tmp_path):
    out = tmp_path / "rain.wav"
    assert main(["tta", "rain", "--duration", "1", "--device", "cpu", "--json", "-o", str(out), *words]) == 0
    assert json.loads(capsysbinary.readouterr().out)["settings"]["steps"] == steps


def made_with(words, told, path):
    """The facts of a second of rain, and what was said of it."""
    assert main(["tta", "rain", "--duration", "1", "--device", "cpu", "--json", "-o", str(path), *words]) == 0
    line = told.readouterr()
    return json.loads(line.out), line.err.decode()


@pytest.mark.parametrize("drawn", [1, 2])
def test_as_many_are_drawn_as_are_asked_for(drawn, capsysbinary, tmp_path):
    facts, said = made_with(["--candidates", str(drawn)], capsysbinary, tmp_path / "rain.wav")
    rows = facts.get("candidates", [])
    assert len(rows) == (drawn if drawn > 1 else 0)
    assert "heard_tries" not in facts["settings"]
    if rows:
        assert facts["candidate"] == max(rows, key=lambda row: (row["agreement"], -row["number"]))["number"]
        assert f"candidate {facts['candidate']} of {drawn}" in said


@pytest.mark.parametrize(
    ("heard", "drawn", "taken"),
    [([True], 1, 1), ([False, True], 2, 2), ([False, False, True], 3, 3), ([False, False, False], 3, 3)],
)
def test_the_embedded_model_draws_until_the_words_are_heard(heard, drawn, taken, monkeypatch, capsysbinary, tmp_path):
    verdicts = iter(
        Verdict(synchrony=None, agreement=0.1 * number, unwanted={}, refused=(), tags=(), onsets_s=(), heard=each)
        for number, each in enumerate(heard)
    )
    monkeypatch.setattr(Jury, "judge", lambda *_: next(verdicts))
    facts, said = made_with([], capsysbinary, tmp_path / "rain.wav")
    assert next(verdicts, None) is None
    assert facts["settings"]["heard_tries"] == 3
    assert len(facts["candidates"]) == drawn
    assert facts["candidate"] == taken
    assert ("candidate" in said) == (drawn > 1)
    assert facts["as_asked"] == any(heard)
    assert ("not heard as such" in said) == (not any(heard))


def test_sounds_are_told_in_the_order_of_their_prompts(monkeypatch, capsysbinary, tmp_path):
    verdicts = [False, True, True]  # rain, hail, and rain again
    monkeypatch.setattr(
        Jury, "judge", lambda *_: Verdict(synchrony=None, agreement=0.1, unwanted={}, refused=(), tags=(), onsets_s=(),
                                          heard=verdicts.pop(0))
    )  # fmt: skip
    words = ["--duration", "1", "--device", "cpu", "--json", "-o", f"{tmp_path}/made/"]
    assert main(["tta", "rain", "hail", *words]) == 0
    rows = [json.loads(line) for line in capsysbinary.readouterr().out.splitlines()]
    assert [(row["prompt"], len(row["candidates"])) for row in rows] == [("rain", 2), ("hail", 1)]


def test_what_is_written_is_told_though_the_disk_fills_up_after_it(monkeypatch, capsysbinary, tmp_path):
    import mfv2a.jobs.sound_maker as job

    verdicts, write = [False, True], job._write  # rain is drawn again, hail is written; then the disk is full
    monkeypatch.setattr(
        Jury, "judge", lambda *_: Verdict(synchrony=None, agreement=0.1, unwanted={}, refused=(), tags=(), onsets_s=(),
                                          heard=verdicts.pop(0) if verdicts else True)
    )  # fmt: skip

    def full(path, *words):
        if path.stem == "rain":
            raise MediaError(path, "cannot be written", detail="No space left on device")
        write(path, *words)

    monkeypatch.setattr(job, "_write", full)
    words = ["--duration", "1", "--device", "cpu", "-o", f"{tmp_path}/made/"]
    assert main(["tta", "rain", "hail", *words]) == 4
    told = capsysbinary.readouterr()
    assert told.out.decode().splitlines() == [f"{tmp_path}/made/hail.wav"]
    assert b"the disk is full" in told.err


def test_a_prompt_that_names_a_file_is_sounded_and_the_way_to_read_it_told(
    here: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    (here / "my prompts.txt").write_text("rain")
    assert main(["tta", "my prompts.txt", *TINY]) == 0
    out, err = capsysbinary.readouterr()
    assert out == b"my-prompts-txt.wav\n"
    assert b"mfv2a tta < 'my prompts.txt'" in err
    assert main(["tta", "rain", *TINY]) == 0
    assert b"mfv2a tta <" not in capsysbinary.readouterr().err


def test_bytes_that_are_no_text_are_refused_as_an_argument_too(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["tta", "\udcff\udcfe bad", *TINY]) == 2
    assert b"is not UTF-8 text" in capsysbinary.readouterr().err
