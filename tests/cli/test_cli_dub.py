"""`mfv2a dub` from the command line to finished files, on the tiny model with random weights."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile

from made_videos import make_video
from mfv2a.cli import main
from mfv2a.errors import StartError
from mfv2a.jobs import stages
from mfv2a.media.audio import read_audio
from mfv2a.pipeline import Pipeline

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


def left(path: str | Path) -> np.ndarray:
    """The first channel in [-1, 1]."""
    return read_audio(path, mono=False).samples[:, 0].astype(float)


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


def test_what_an_earlier_take_left_beside_a_new_one_is_told(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    make_video(Path("in/a.mp4"), seconds=0.4)
    command = ["dub", "in", "--out", "out", *TINY]
    assert main([*command, "--also-wav", "--onsets", "csv"]) == 0
    assert b"in place of" not in capsysbinary.readouterr().err
    assert main([*command, "--seed", "1", "--onsets", "csv"]) == 0
    err = capsysbinary.readouterr().err.decode()
    assert "1 dubbed (1 in place of earlier takes)" in err
    (note,) = [line for line in err.splitlines() if "of earlier takes" in line and line.startswith("note")]
    assert note.endswith("they lie beside: out/a.wav"), "the list of onsets is the new take's"
    assert Path("out/a.wav").exists()


def test_a_name_that_would_become_too_long_is_told_before_anything_is_made(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    make_video(Path("in") / ("x" * 245 + ".mp4"), seconds=0.4)
    for dry in (["--dry-run"], []):
        assert main(["dub", "in", "--out", "out", *TINY, "--onsets", "csv", *dry]) == 3
        err = capsysbinary.readouterr().err
        assert b"the name would be too long" in err
        assert (b"0 would be dubbed, 1 failed" if dry else b"0 dubbed, 1 failed") in err
        assert (b"report.jsonl" in err) == (not dry)
    assert main(["dub", "in", "--out", "out", *TINY]) == 0


def test_an_output_that_somebody_has_changed_is_not_replaced(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    make_video(Path("in/a.mp4"), seconds=0.4)
    command = ["dub", "in", "--out", "out", *TINY]
    assert main(command) == 0
    made = Path("out/a.mp4").stat().st_size
    mine = make_video(Path("by_hand.mp4"), seconds=0.8).read_bytes()
    Path("out/a.mp4").write_bytes(mine)
    for _ in range(2):  # that it was refused is no reason to replace it the next time
        assert main(command) == 3
        assert b"changed since mfv2a made it" in capsysbinary.readouterr().err
        assert Path("out/a.mp4").read_bytes() == mine
    Path("out/a.mp4").unlink()
    assert main(command) == 0
    assert Path("out/a.mp4").stat().st_size == made
    Path("out/a.mp4").write_bytes(mine)
    assert main([*command, "--overwrite"]) == 0
    assert Path("out/a.mp4").stat().st_size == made


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


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--cache", ""], "--cache is empty"),
        *((["--cache", "kept", "--cache-size", size], "--cache-size") for size in ("inf", "1e400", "1e300")),
    ],
)
def test_a_cache_that_no_value_can_mean_is_refused(
    words: list[str], told: str, here: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    make_video(Path("in/a.mp4"), seconds=0.2)
    assert main(["dub", "in", "--out", "out", *TINY, *words]) == 2
    (line,) = capsysbinary.readouterr().err.decode().splitlines()
    assert line.startswith(f"error: {told}")
    assert [path.name for path in here.iterdir()] == ["in"]


@pytest.mark.parametrize("words", [["--ray-cpus", "2"], ["--cache-size", "5"]])
def test_an_option_without_the_one_that_it_is_of_is_refused(
    words: list[str], capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    make_video(Path("in/a.mp4"), seconds=0.3)
    assert main(["dub", "in", "--out", "out", *TINY, "--dry-run", *words]) == 2
    assert f"{words[0]} is nothing without --".encode() in capsysbinary.readouterr().err


def test_a_dry_run_writes_nothing(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    make_video(Path("in/a.gif"), seconds=0.4)
    assert main(["dub", "in", "--out", "out", *TINY, "--dry-run"]) == 0
    out, err = capsysbinary.readouterr()
    assert out == b"out/a.mkv\n"
    assert b"1 would be dubbed" in err
    assert not Path("out").exists()
    assert main(["dub", "in", "--out", "out", *TINY, "--dry-run", "--json"]) == 0
    planned = json.loads(capsysbinary.readouterr().out)
    assert planned["status"] == "planned"
    assert main(["dub", "in", "--out", "out", *TINY, "--json"]) == 0
    made = json.loads(capsysbinary.readouterr().out)
    assert {name: planned[name] for name in ("source", "output")} == {name: made[name] for name in ("source", "output")}


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


def test_the_end_of_paths_on_stdin_without_a_place_for_them_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    make_video(Path("in/a.mp4"), seconds=0.2)
    monkeypatch.setattr(sys, "stdin", Pipe(b"in/b.mp4\0"))
    assert main(["dub", "-0", "in/a.mp4", "--out", "out", *TINY]) == 2
    assert b"no PATH is - - add - where they belong" in capsysbinary.readouterr().err
    assert not Path("out").exists()


def test_uncertain_clips_are_counted_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    from mfv2a.encoders.compact import CompactLook

    seen = CompactLook.seen
    monkeypatch.setattr(CompactLook, "seen", lambda self: replace(seen(self), confidence=0.1))
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


def test_a_clip_whose_sound_is_no_number_leaves_the_others(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    sample = Pipeline._sample_batch

    def broken(self: Pipeline, jobs: Any, *words: Any) -> Any:
        latents = sample(self, jobs, *words)
        for latent, (work, _) in zip(latents, jobs, strict=True):
            if work.duration_s == 0.4:
                latent[0] = float("nan")
        return latents

    monkeypatch.setattr(Pipeline, "_sample_batch", broken)
    for number, seconds in enumerate((0.6, 0.4, 0.8)):
        make_video(Path(f"in/{number}.mp4"), seconds=seconds)
    for _ in range(2):
        assert main(["dub", "in", "--out", "out", *TINY]) == 3
        assert b"in/1.mp4: failed: the model made what is no number" in capsysbinary.readouterr().err
    assert sorted(path.name for path in Path("out").glob("*.mp4")) == ["0.mp4", "2.mp4"]
    assert main(["tta", "rain", "--duration", "0.4", "-o", "rain.wav", *TINY]) == 3
    assert not Path("rain.wav").exists()


def test_a_long_clip_is_dubbed_whole() -> None:
    make_video(Path("long.mkv"), seconds=19.2, fps=5)
    assert main(["dub", "long.mkv", "-o", "out", *TINY, "--audio-codec", "flac"]) == 0
    assert heard("out/long.mkv").shape[-1] == round(19.2 * 48_000)
    assert report()[0]["details"]["windows"] > 1  # type: ignore[index, operator]


def settings_of(name: str) -> dict[str, object]:
    return next(line["settings"] for line in reversed(report()) if line["name"] == name)  # type: ignore[return-value]


def test_a_table_gives_each_clip_its_prompt_its_negative_prompt_and_its_seed(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    for name in "abcd":
        Path(f"in/{name}.mov").parent.mkdir(exist_ok=True)
        Path(f"in/{name}.mov").write_bytes(make_video(Path("x.mov"), seconds=0.4).read_bytes())
    Path("in/b.txt").write_text("a gong")
    Path("prompts.csv").write_text(
        "path,prompt,negative_prompt,seed\na.mov,rain,,\nb.mov,rain,,\nc.mov,rain,a dog,\nd.mov,rain,,7\nz.mov,,,\n"
    )
    embedded = ["--model", "embedded"]  # the tiny one hears no words
    command = ["dub", "in", "--out", "out", *embedded, "--audio-codec", "pcm", "--cfg", "3", "--prompts", "prompts.csv"]
    assert main([*command, "--negative-prompt", "music"]) == 0
    assert b"note: prompts.csv, line 6: not among the videos: z.mov" in capsysbinary.readouterr().err
    told = {name: settings_of(f"{name}.mov") for name in "abcd"}
    assert [told[name]["prompt"] for name in "abcd"] == ["rain"] * 4
    assert [told[name]["negative_prompt"] for name in "abcd"] == ["music", "music", "a dog", "music"]
    assert [told[name]["seed"] for name in "abcd"] == [0, 0, 0, 7]
    sounds = {name: heard(f"out/{name}.mov").astype(float) for name in "abcd"}
    np.testing.assert_allclose(sounds["a"], sounds["b"], atol=40)
    for name in "cd":
        assert np.abs(sounds["a"] - sounds[name]).max() > 100, f"{name} sounds like a"
    assert {line["details"]["prompt_from"] for line in report()} == {"table"}  # type: ignore[index]


def test_a_table_is_part_of_what_a_rerun_compares() -> None:
    make_video(Path("in/a.mp4"), seconds=0.3)
    make_video(Path("in/b.mp4"), seconds=0.3)
    table, command = Path("t.jsonl"), ["dub", "in", "--out", "out", *TINY, "--prompts", "t.jsonl"]
    for line in ('"prompt": "rain"', '"prompt": "rain"', '"prompt": "rain", "seed": 1', '"negative_prompt": "rain"'):
        table.write_text('{"path": "a.mp4", ' + line + "}\n")
        assert main(command) == 0
    made = [(line["name"], line["status"]) for line in report()]
    assert [status for name, status in made if name == "a.mp4"] == ["ok", "skipped", "ok", "ok"]
    assert [status for name, status in made if name == "b.mp4"] == ["ok", "skipped"]  # told once
    assert main(["dub", "in", "--out", "out", *TINY]) == 0
    assert [(line["name"], line["status"]) for line in report()][-2:] == [("a.mp4", "ok"), ("a.mp4", "ok")]


def test_a_name_gives_a_prompt_where_nothing_else_does(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    for name in ("rain_on_tin_0001.mp4", "IMG_0002.mp4", "a_dog.mp4"):
        make_video(Path("in", name), seconds=0.3)
    Path("in/a_dog.txt").write_text("a gong")
    command = ["dub", "in", "--out", "out", *TINY, "--prompt-from", "filename", "--prompt", "wind"]
    assert main([*command, "--dry-run", "--json"]) == 0
    out, err = capsysbinary.readouterr()
    told = {
        Path(line["source"]).name: (line["prompt"], line["prompt_from"]) for line in map(json.loads, out.splitlines())
    }
    assert told == {
        "rain_on_tin_0001.mp4": ("rain on tin", "filename"),
        "IMG_0002.mp4": ("wind", "option"),
        "a_dog.mp4": ("a gong", "sidecar"),
    }
    assert b"--prompt-from filename: no words in 1 of 3" in err


def test_a_negative_prompt_without_guidance_is_told_to_do_nothing(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    make_video(Path("a.mp4"), seconds=0.3)
    command = ["dub", "a.mp4", "--out", "out", *TINY, "--dry-run", "--negative-prompt", "music", "--cfg"]
    assert main([*command, "1"]) == 0
    assert b"acts only where --cfg is above 1" in capsysbinary.readouterr().err
    assert main([*command, "2"]) == 0
    assert b"acts only" not in capsysbinary.readouterr().err


def test_variants_differ_in_noise_alone_and_share_decoding_and_features(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    from mfv2a.jobs import stages
    from mfv2a.pipeline import Pipeline

    decode, prepare, decoded, prepared = stages.see_video, Pipeline.prepare, [], []
    monkeypatch.setattr(
        stages,
        "see_video",
        lambda info, *rest, **words: decoded.append(info.path.name) or decode(info, *rest, **words),
    )
    monkeypatch.setattr(
        Pipeline, "prepare", lambda self, clip, **words: prepared.append(words["seed"]) or prepare(self, clip, **words)
    )
    make_video(Path("in/a.mov"), seconds=0.4)
    make_video(Path("in/b.mov"), seconds=0.4, seed=1)
    command = ["dub", "in", "--out", "out", *TINY, "--audio-codec", "pcm", "--prompt", "rain"]
    assert main([*command, "--variants", "3", "--batch-size", "2"]) == 0
    out, err = capsysbinary.readouterr()
    names = ["a.mov", "a.2.mov", "a.3.mov", "b.mov", "b.2.mov", "b.3.mov"]
    assert out.decode().split() == [f"out/{name}" for name in names]
    assert b"in/a.mov, variant 3: " in err
    assert (decoded, len(prepared)) == (["a.mov", "b.mov"], 2)
    first, *others = (heard(f"out/{name}").astype(float) for name in names[:3])
    assert all(np.abs(other - first).max() > 100 for other in others)
    assert [line["settings"].get("variant", 1) for line in report()] == [1, 2, 3] * 2  # type: ignore[attr-defined]
    assert main(["dub", "in/a.mov", "--out", "alone", *TINY, "--audio-codec", "pcm", "--prompt", "rain"]) == 0
    np.testing.assert_allclose(heard("alone/in/a.mov"), first, atol=40)
    Path("out/a.2.mov").unlink()
    assert main([*command, "--variants", "3"]) == 0
    assert [line["status"] for line in report()[6:]].count("ok") == 1
    assert packets("out/a.2.mov") == packets("in/a.mov")


def test_sound_that_is_there_is_replaced_mixed_kept_beside_or_left_alone(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    make_video(Path("in/silent.mov"), seconds=0.5)
    make_video(Path("in/tone.mov"), seconds=0.5, sound=True)
    command = ["dub", "in", "--out", "out", *TINY, "--audio-codec", "pcm", "--also-wav"]

    def tone(path: str) -> float:
        """How much of the source's tone of 440 Hz is in the default track."""
        wave = left(path)[2400:21600]
        return float(np.abs(np.fft.rfft(wave))[round(440 * 0.4)] / len(wave) * 2)

    made = {}
    for keep in ("replace", "mix", "second-track", "skip"):
        capsysbinary.readouterr()
        assert main([*command, "--keep-audio", keep]) == 0
        err = capsysbinary.readouterr().err
        assert (b"in/tone.mov: left alone: it has sound of its own" in err) == (keep == "skip")
        assert (b"1 left alone" in err) == (keep == "skip")
        last = {Path(str(line["source"])).name: line for line in report()}
        made[keep] = last["tone.mov"]["settings"].get("keep_audio", "replace")  # type: ignore[attr-defined]
        with av.open("out/tone.mov") as container:
            assert len(container.streams.audio) == (2 if keep in ("second-track", "skip") else 1)
        if keep != "skip":
            assert (tone("out/tone.mov") > 0.05) == (keep == "mix")
        with av.open("out/silent.mov") as container:
            assert len(container.streams.audio) == 1
        assert packets("out/tone.mov") == packets("in/tone.mov")
    assert made == {keep: keep for keep in made}
    assert main([*command, "--keep-audio", "mix"]) == 0
    assert main([*command, "--keep-audio", "mix"]) == 0
    assert main([*command, "--keep-audio", "mix", "--mix-gain", "-12"]) == 0
    assert [line["status"] for line in report()[-6:]] == ["ok"] * 2 + ["skipped"] * 2 + ["ok"] * 2
    wave, _ = soundfile.read("out/tone.wav")
    assert soundfile.info("out/tone.wav").subtype == "PCM_24"
    mixed = left("out/tone.mov")
    source = left("in/tone.mov")[: len(mixed)]
    np.testing.assert_allclose(mixed, wave + np.pad(source, (0, len(mixed) - len(source))), atol=2e-3)


def test_that_a_mix_has_two_channels_at_most_is_looked_at_once_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(stages, "warn_of_mixing_down", lambda info, track: asked.append(f"{info.path.name}:{track}"))
    make_video(Path("in/silent.mov"), seconds=0.4)
    make_video(Path("in/tone.mov"), seconds=0.4, sound=True)
    assert main(["dub", "in", "--out", "out", *TINY, "--keep-audio", "mix", "--variants", "2"]) == 0
    assert asked == ["tone.mov:1"]


def test_a_loudness_is_reached_in_the_file_and_part_of_what_a_rerun_compares(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    from mfv2a.media.loudness import measure_lufs

    make_video(Path("in/a.mp4"), seconds=2)
    make_video(Path("in/still.mp4"), seconds=0.3, fps=3)  # one picture: nothing moves
    Path("in/a.txt").write_text("rain")
    command = ["dub", "in", "--out", "out", *TINY]
    assert main([*command, "--loudness", "-30"]) == 0
    assert b"1 sound softer than --loudness asks for" in capsysbinary.readouterr().err
    sound = read_audio("out/a.mp4")
    assert measure_lufs(sound.samples, sound.sample_rate_hz) == pytest.approx(-30, abs=0.3)
    details = {line["name"]: line["details"] for line in report()}
    assert details["a.mp4"]["loudness_lufs"] == pytest.approx(-30, abs=0.1)  # type: ignore[index]
    assert details["still.mp4"]["loudness_held"] == "quiet"  # type: ignore[index]
    assert main([*command, "--loudness", "-30.0"]) == 0
    assert main([*command, "--loudness", "off"]) == 0
    assert [line["status"] for line in report()[2:]] == ["skipped"] * 2 + ["ok"] * 2
    assert "loudness_lufs" not in settings_of("a.mp4")


def test_pictures_that_hardly_differ_share_what_is_recognised_if_that_is_asked_for() -> None:
    make_video(Path("in/a.mov"), seconds=4.0)
    command = ["dub", "in", "--out", "out", *TINY, "--audio-codec", "pcm"]
    assert main(command) == 0
    for _ in range(2):
        assert main([*command, "--reuse-frames", "254", "--cache", "kept"]) == 0
    assert main([*command, "--reuse-frames", "254", "--cache", "kept", "--overwrite"]) == 0
    lines = report()
    assert [line["status"] for line in lines] == ["ok", "ok", "skipped", "ok"]
    assert [line["settings"].get("reuse_frames") for line in lines] == [None, 254.0, 254.0, 254.0]  # type: ignore[attr-defined]
    assert "reused_features" not in lines[0]["details"]  # type: ignore[operator]
    facts = lines[1]["details"]["reused_features"]["image"]  # type: ignore[index]
    assert (facts["seen"], facts["reused"]) == (4, 3)
    assert 0 < facts["difference"] < 254
    assert facts["error"] > 0
    assert lines[3]["details"]["cached_features"] is True  # type: ignore[index]
    assert lines[3]["details"]["reused_features"] == lines[1]["details"]["reused_features"]  # type: ignore[index]
    assert main([*command, "--reuse-frames", "255"]) == 2


def test_without_semantics_nothing_is_recognised_and_a_rerun_knows(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    from mfv2a.encoders.compact import CompactEncoders

    def fail(*_: object) -> None:
        raise AssertionError("the recogniser was made")

    make_video(Path("in/a.mov"), seconds=1.2)
    command = ["dub", "in", "--out", "out", *TINY, "--audio-codec", "pcm"]
    assert main(command) == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mfv2a.layouts._load_recognizer", fail)
        assert main([*command, "--no-video-semantics"]) == 0
    assert main([*command, "--no-video-semantics"]) == 0
    assert CompactEncoders.frame_requests.keys() == {"motion", "image"}
    lines = report()
    assert [line["status"] for line in lines] == ["ok", "ok", "skipped"]
    assert [line["settings"].get("semantics") for line in lines] == [None, False, False]  # type: ignore[attr-defined]
    assert lines[1]["details"]["recognized"] == []  # type: ignore[index]


def test_a_run_that_cannot_begin_leaves_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    make_video(Path("in/a.mp4"), seconds=0.4)

    def unreachable(*args: object, **options: object) -> None:
        raise StartError("the hub cannot be reached")

    monkeypatch.setattr("mfv2a.loader.load_pipeline", unreachable)
    Path("there").mkdir()
    for out in ("deep/er", "there/out", "there"):
        assert main(["dub", "in", "--out", out, *TINY]) == 4
    assert sorted(path.name for path in Path().iterdir()) == ["in", "there"]
    assert not list(Path("there").iterdir())


def test_a_dry_run_tells_why_and_whole_paths_of_all(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    make_video(Path("in/good.mp4"), seconds=0.2)
    Path("in/bad.mp4").write_bytes(b"none")
    assert main(["dub", "in", "--out", "out", *TINY, "--json"]) == 3
    capsysbinary.readouterr()
    assert main(["dub", "in", "--out", "out", *TINY, "--json", "--dry-run"]) == 3
    records = {record["status"]: record for record in map(json.loads, capsysbinary.readouterr().out.splitlines())}
    assert set(records) == {"failed", "skipped"}
    assert all(Path(record["source"]).is_absolute() for record in records.values())
    assert Path(records["skipped"]["output"]).is_absolute()
    assert records["failed"]["error"]
    assert records["failed"]["hint"]
