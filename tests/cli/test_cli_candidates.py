"""Several sounds of a clip, the best taken: from the command line to files, on the tiny model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made_videos import make_video
from mfv2a.cli import main
from mfv2a.errors import MediaError
from mfv2a.jobs import jury, stages, writing
from mfv2a.jobs.jury import Jury, Verdict
from mfv2a.media.audio import read_audio

TINY = ["--model", "tiny", "--quiet"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def report(folder: str = "out") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (Path(folder) / "report.jsonl").read_text().splitlines()]


def wave(path: str) -> np.ndarray:
    return read_audio(Path(path)).samples


def names(folder: str = "out") -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


class Told(Jury):
    """Finds of each sound what it is told to, in the order in which it hears them."""

    verdicts: list[Verdict]
    heard: list[Any]

    def judge(self, audio: Any, phrases: Any, curve: Any = None, strikes_s: Any = ()) -> Verdict:
        type(self).heard.append((len(audio.samples), tuple(phrases)))
        return type(self).verdicts.pop(0)


def verdict(score: float = 0.0, **unwanted: float) -> Verdict:
    refused = tuple(name for name, value in unwanted.items() if value >= 0.4)
    return Verdict(synchrony=score / 100, agreement=None, unwanted=unwanted, refused=refused, tags=(), onsets_s=())


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> type[Told]:
    Told.verdicts, Told.heard = [], []
    monkeypatch.setattr(stages, "Jury", Told)
    monkeypatch.setattr(jury, "Jury", Told)
    return Told


def test_the_best_is_muxed_and_the_others_are_kept_by_rank(told: type[Told]) -> None:
    make_video(Path("in/a.mov"), seconds=0.6)
    told.verdicts = [verdict(1), verdict(3), verdict(2)]
    command = ["dub", "in", "--out", "out", *TINY, "--audio-codec", "pcm", "--candidates", "3"]
    assert main([*command, "--keep-all", "--also-wav", "--prompt", "rain"]) == 0
    kept = ["a", "a.candidate-2", "a.candidate-3"]
    assert names() == sorted([f"{stem}{suffix}" for stem in kept for suffix in (".mov", ".wav")] + ["report.jsonl"])
    (line,) = report()
    details = line["details"]
    assert (details["candidate"], len(details["candidates"])) == (2, 3)
    assert [row.get("file") for row in details["candidates"]] == ["a.candidate-3.mov", None, "a.candidate-2.mov"]
    assert len({row["seed"] for row in details["candidates"]}) == 3
    assert details["candidates"][0]["seed"] == details["clip_seed"]
    assert told.heard[0][1] == ("rain",)
    # The first is the sound that is made without the option; the others are others.
    assert main(["dub", "in", "--out", "one", *TINY, "--audio-codec", "pcm", "--also-wav", "--prompt", "rain"]) == 0
    np.testing.assert_allclose(wave("out/a.candidate-3.wav"), wave("one/a.wav"), atol=1e-4)
    assert np.abs(wave("out/a.wav") - wave("one/a.wav")).max() > 1e-3
    assert np.abs(wave("out/a.wav") - wave("out/a.candidate-2.wav")).max() > 1e-3
    assert "listen" in line["seconds"]
    assert "listen" not in report("one")[0]["seconds"]


def test_what_is_done_is_skipped_until_something_of_it_is_missing_or_asked_for_otherwise(told: type[Told]) -> None:
    make_video(Path("in/a.mp4"), seconds=0.4)
    command = ["dub", "in", "--out", "out", *TINY, "--candidates", "2"]

    def run(*more: str, draws: int = 0) -> str:
        told.verdicts = [verdict(k) for k in range(draws)]
        assert main([*command, *more]) == 0
        assert not told.verdicts
        return str(report()[-1]["status"])

    assert run(draws=2) == "ok"
    assert run() == "skipped"
    assert run("--keep-all", draws=2) == "ok"
    assert run("--keep-all") == "skipped"
    assert run() == "skipped"
    Path("out/a.candidate-2.mp4").unlink()
    assert run() == "skipped"
    assert run("--keep-all", draws=2) == "ok"
    assert run("--keep-all", "--also-wav", draws=2) == "ok"
    assert run("--candidates", "3", draws=3) == "ok"
    assert run("--no-speech", draws=2) == "ok"


def test_names_of_candidates_are_nobody_elses(capsysbinary: pytest.CaptureFixture[bytes], told: type[Told]) -> None:
    make_video(Path("in/a.mp4"), seconds=0.4)
    make_video(Path("in/a.candidate-2.mp4"), seconds=0.4, seed=1)
    command = ["dub", "in", "--out", "out", *TINY, "--candidates", "2"]
    assert main([*command, "--keep-all"]) == 2
    assert b"would both become out/a.candidate-2.mp4" in capsysbinary.readouterr().err
    assert not Path("out").exists()
    Path("in/a.candidate-2.mp4").unlink()
    Path("out").mkdir()
    Path("out/a.candidate-2.mp4").write_text("mine")
    assert main([*command, "--keep-all"]) == 3
    assert Path("out/a.candidate-2.mp4").read_text() == "mine"
    told.verdicts = [verdict(0), verdict(1)]
    assert main([*command, "--keep-all", "--overwrite"]) == 0
    # What is ours is never an input, and may be replaced.
    told.verdicts = [verdict(0), verdict(1)]
    assert main(["dub", "out", "--out", "again", *TINY]) == 4
    assert main([*command, "--keep-all", "--seed", "1"]) == 0


def test_a_failure_leaves_no_candidate_behind(monkeypatch: pytest.MonkeyPatch, told: type[Told]) -> None:
    from mfv2a.errors import MediaError
    from mfv2a.jobs import writing

    make_video(Path("in/a.mp4"), seconds=0.4)
    real = writing.mux_audio

    def mux(info: Any, audio: Any, out: Path, *rest: Any, **more: Any) -> Path:
        if out.name == "a.mp4":
            raise MediaError(out, "no")
        return real(info, audio, out, *rest, **more)

    monkeypatch.setattr(writing, "mux_audio", mux)
    told.verdicts = [verdict(0), verdict(1)]
    command = ["dub", "in", "--out", "out", *TINY, "--candidates", "2", "--keep-all", "--also-wav", "--onsets", "csv"]
    assert main(command) == 3
    assert names() == ["report.jsonl"]


def test_what_is_refused_is_drawn_again_and_told(told: type[Told], capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    make_video(Path("in/a.mp4"), seconds=0.4)
    make_video(Path("in/b.mp4"), seconds=0.4, seed=1)
    loud, clean = verdict(9, speech=0.9), verdict(1, speech=0.1)
    told.verdicts = [loud, loud, loud, clean]
    command = ["dub", "--out", "out", "--model", "tiny", "--no-speech", "--tries", "2", "--candidates", "2"]
    assert main([*command, "in/a.mp4"]) == 0
    (line,) = report()
    assert line["details"]["candidate"] == 4
    assert [row.get("refused") for row in line["details"]["candidates"]] == [["speech"]] * 3 + [None]
    assert "still_heard" not in line["details"]
    assert b"candidate 4 of 4 (speech heard in 3)" in capsysbinary.readouterr().err
    # The limit is reached: the least bad is taken, and that is said now and when it is skipped.
    told.verdicts = [loud, verdict(1, speech=0.5), loud, loud]
    assert main([*command, "in/b.mp4"]) == 0
    details = report()[-1]["details"]
    assert (details["candidate"], details["still_heard"], len(details["candidates"])) == (2, ["speech"], 4)
    assert b"1 sound in which speech or music is still heard" in capsysbinary.readouterr().err
    assert main([*command, "in/b.mp4"]) == 0
    assert b"1 sound in which speech or music is still heard" in capsysbinary.readouterr().err


@pytest.mark.parametrize("more", [["--batch-size", "1"], ["--low-memory"], ["--workers", "1"], ["--cache", "kept"]])
def test_a_choice_is_the_same_however_it_is_made(more: list[str]) -> None:
    for number in range(3):
        make_video(Path(f"in/{number}.mov"), seconds=0.4 + 0.3 * number, seed=number)
    command = ["dub", "in", *TINY, "--dtype", "float32", "--also-wav", "--prompt", "rain", "--candidates", "3"]
    assert main([*command, "--out", "usual"]) == 0
    assert main([*command, "--out", "other", *more]) == 0
    if "--cache" in more:
        assert main([*command, "--out", "third", *more]) == 0
        assert all(line["details"].get("cached_features") for line in report("third"))
    for number in range(3):
        np.testing.assert_allclose(wave(f"usual/{number}.wav"), wave(f"other/{number}.wav"), atol=1e-4)
    chosen = [{line["name"]: line["details"]["candidate"] for line in report(folder)} for folder in ("usual", "other")]
    assert chosen[0] == chosen[1]


def test_a_long_clip_is_chosen_in_files_and_no_more_are_kept_than_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mfv2a.jobs import drafts, sounding

    monkeypatch.setattr(sounding, "LONG_S", 0.5)
    kept: list[int] = []
    real = drafts.Draft.keep
    monkeypatch.setattr(drafts.Draft, "keep", lambda self, *rest: (real(self, *rest), kept.append(len(self.kept)))[0])
    make_video(Path("in/a.mov"), seconds=1.2)
    assert main(["dub", "in", "--out", "out", *TINY, "--candidates", "4", "--also-wav"]) == 0
    assert kept == [1, 1, 1, 1]
    assert len(wave("out/a.wav")) == round(1.2 * 48_000)


def test_variants_have_candidates_of_their_own() -> None:
    make_video(Path("in/a.mov"), seconds=0.4)
    assert main(["dub", "in", "--out", "out", *TINY, "--variants", "2", "--candidates", "2", "--keep-all"]) == 0
    assert names() == ["a.2.candidate-2.mov", "a.2.mov", "a.candidate-2.mov", "a.mov", "report.jsonl"]
    seeds = [row["seed"] for line in report() for row in line["details"]["candidates"]]
    assert len(set(seeds)) == 4


@pytest.mark.parametrize(
    "words",
    [
        ["--keep-all"],
        ["--tries", "3"],
        ["--candidates", "65"],
        ["--no-music", "--tries", "33"],
        ["--duck", "12"],
        ["--keep-audio", "mix", "--duck", "0"],
        ["--keep-audio", "mix", "--duck", "61"],
    ],
)
def test_what_cannot_work_is_refused(words: list[str], capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    make_video(Path("in/a.mov"), seconds=0.2)
    assert main(["dub", "in", "--out", "out", *TINY, *words]) == 2
    assert capsysbinary.readouterr().err.startswith(b"error: --")
    assert not Path("out").exists()


def test_words_alone_have_candidates_too(told: type[Told], capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    command = ["tta", "--duration", "1", "--model", "tiny", "--sample-rate", "model"]
    assert main([*command, "rain", "-o", "one.wav"]) == 0
    told.verdicts = [verdict(1), verdict(3), verdict(2)]
    assert main([*command, "rain", "-o", "rain.wav", "--candidates", "3", "--keep-all", "--json"]) == 0
    facts = json.loads(capsysbinary.readouterr().out.splitlines()[-1])
    assert facts["candidate"] == 2
    assert [row.get("file") for row in facts["candidates"]] == ["rain.candidate-3.wav", None, "rain.candidate-2.wav"]
    np.testing.assert_allclose(wave("rain.candidate-3.wav"), wave("one.wav"), atol=1e-4)
    assert facts["settings"]["candidates"] == 3
    loud, clean = verdict(9, music=0.9), verdict(1, music=0.1)
    told.verdicts = [clean, loud, loud, loud, clean]  # of two prompts the second is drawn three times more
    assert main([*command, "hail", "a song", "-o", "sounds/", "--no-music", "--json"]) == 0
    first, second = (json.loads(line) for line in capsysbinary.readouterr().out.splitlines())
    assert (first["candidate"], second["candidate"]) == (1, 4)
    assert main([*command, "rain", "-o", "-", "--candidates", "2", "--keep-all"]) == 2
    # Made-up names leave what is there alone, candidates' included.
    told.verdicts = [verdict(0), verdict(1)] * 2
    Path("snow.candidate-2.wav").touch()
    assert main([*command, "snow", "--candidates", "2", "--keep-all"]) == 0
    assert Path("snow-2.candidate-2.wav").stat().st_size > 0
    assert Path("snow.candidate-2.wav").stat().st_size == 0


def test_options_that_are_off_load_no_ears(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise AssertionError("somebody listens")

    monkeypatch.setattr(Jury, "judge", forbidden)
    monkeypatch.setattr("mfv2a.models.yamnet.Tagger.from_assets", forbidden)
    make_video(Path("in/a.mov"), seconds=0.2)
    assert main(["dub", "in", "--out", "out", *TINY]) == 0
    assert main(["tta", "rain", "--duration", "0.5", *TINY]) == 0


def test_files_of_an_earlier_run_outlive_a_run_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    make_video(Path("in/a.mp4"))
    command = ["dub", "in", "--out", "out", *TINY, "--candidates", "2", "--keep-all", "--also-wav", "--prompt", "rain"]
    assert main(command) == 0
    before = names()
    assert len(before) == 5

    def fail(*_: object, **__: object) -> None:
        raise MediaError(Path("in/a.mp4"), "cannot be written")

    monkeypatch.setattr(writing, "mux_audio", fail)
    assert main([*command, "--overwrite"]) == 3
    assert names() == before
