"""The command that makes a file again: the shell and the real command read what was meant."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer

from made_gallery import made_record
from made_videos import make_video
from mfv2a.cli import app, main
from mfv2a.jobs.choice import ChoiceOptions
from mfv2a.jobs.delivery import DeliveryOptions
from mfv2a.jobs.dub import DubOptions
from mfv2a.jobs.remake import OPTIONS, SAID_ELSEWHERE, quote, remake_command, unsaid
from mfv2a.jobs.report import Report
from mfv2a.jobs.sound import SoundOptions
from mfv2a.loader import describe_model

BASH = shutil.which("bash")
HOSTILE = (
    "plain.mp4",
    "with space.mp4",
    'it\'s "quoted".mp4',
    "$(touch pwned) `touch pwned`;&|<>*?[a-z]{a,b}~!#%.mp4",
    "-dash --out x.mp4",
    "new\nline\ttab\\back.mp4",
    "bytes \udce9\udcff7.mp4",
    "bidi \u202egpm.4pm é漢🎬.mp4",
)
needs_bash = pytest.mark.skipif(BASH is None, reason="needs bash")


def read_by_bash(command: str, folder: Path) -> list[str]:
    """The folder and the words that a program called mfv2a would get."""
    assert BASH
    script = b'mfv2a() { printf "%s\\0" "$PWD" "$@"; }\n' + command.encode("utf-8", "surrogateescape")
    done = subprocess.run([BASH, "-c", script], cwd=folder, capture_output=True, timeout=20, check=True)
    return [word.decode("utf-8", "surrogateescape") for word in done.stdout.split(b"\0")[:-1]]


def options_of(words: list[str]) -> dict[str, Any]:
    """What the real command makes of its words."""
    program: Any = typer.main.get_command(app)
    with program.commands["dub"].make_context("dub", words) as context:
        return dict(context.params)


@needs_bash
@pytest.mark.parametrize("word", ["", "a", "'", "\\", "é", "\x01", "a\x7f1", *HOSTILE])
def test_a_quoted_word_is_read_back(word: str, tmp_path: Path) -> None:
    quoted = quote(word)
    assert quoted.isprintable()
    assert read_by_bash(f"mfv2a {quoted}", tmp_path)[1:] == [word]


@needs_bash
@pytest.mark.parametrize("name", HOSTILE)
def test_the_shell_and_the_command_read_hostile_names_and_prompts(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "in it's" / "sub $x"
    folder.mkdir(parents=True)
    record = made_record(folder / name, f"sub $x/{name}", settings={"prompt": name, "negative_prompt": "--seed 9"})
    command, seed = remake_command(record, tmp_path / "out #1", describe_model("embedded"))
    where, verb, *words = read_by_bash(f"{command}{seed}", tmp_path)
    assert (Path(where), verb) == (folder.parent, "dub")
    options = options_of(words)
    assert [folder.parent / path for path in options["paths"]] == [folder / name]
    assert options["out"] == str(tmp_path / "out #1")
    assert (options["prompt"], options["negative_prompt"], options["seed"]) == (name, "--seed 9", 1)
    assert not (tmp_path / "pwned").exists()


def test_every_setting_has_its_option() -> None:
    info = describe_model("embedded")
    sound = SoundOptions(loudness_lufs=-23.0, semantics=False, reuse_frames=2.0, as_written=True)
    options = DubOptions(
        out=Path("out"),
        sound=sound,
        keep_audio="mix",
        mix_gain_db=-6.0,
        choice=ChoiceOptions(candidates=4, no_speech=True, no_music=True, tries=3),
        delivery=DeliveryOptions(channels="stereo", duck_db=12.0, provenance=False),
        split_shots=True,
    )
    known = {*sound.settings(info), *options.settings(), "prompt", "variant"}
    assert known <= set(OPTIONS) | SAID_ELSEWHERE
    assert not list(unsaid(dict.fromkeys(known)))
    assert list(unsaid({"seed": 1, "from a newer version": 2})) == ["from a newer version"]


def test_the_options_are_those_of_the_record() -> None:
    info = describe_model("embedded")
    sound = SoundOptions(
        steps=4,
        cfg_strength=2.5,
        rescale=False,
        semantics=False,
        reuse_frames=0.5,
        seed=7,
        dtype="float32",
        sample_rate_hz=16000,
        loudness_lufs=-23.0,
        negative_prompt="speech",
        as_written=True,
    )
    options = DubOptions(out=Path("/out"), sound=sound, keep_audio="mix", mix_gain_db=-6.0, audio_codec="flac")
    settings = {**sound.settings(info), **options.settings(), "prompt": "rain", "variant": 3}
    record = made_record(Path("/in/a.mp4"), "a.3.mp4", details={"wav": "a.3.wav"})
    command, seed = remake_command({**record, "settings": settings}, Path("/out"), info)
    words = shlex.split(command + str(seed))
    assert words[:4] == ["cd", "/in", "&&", "mfv2a"]
    read = options_of(words[5:])
    assert {
        name: read[name] for name in ("steps", "cfg", "rescale", "no_video_semantics", "seed", "dtype", "reuse_frames")
    } == {
        **{"steps": 4, "cfg": 2.5, "rescale": False, "no_video_semantics": True, "reuse_frames": 0.5},
        **{"seed": 8, "dtype": "float32"},
    }
    assert (read["sample_rate"], read["loudness"], read["audio_codec"]) == ("16000", "-23", "flac")
    assert (read["keep_audio"], read["mix_gain"], read["variants"], read["also_wav"]) == ("mix", -6.0, 3, True)
    assert (read["prompt"], read["negative_prompt"], read["model"]) == ("rain", "speech", "embedded")
    assert read["as_written"] is True


def test_numbers_are_told_to_the_last_digit() -> None:
    settings = {"mix_gain_db": -3.1234567, "cfg_strength": 3.33333333, "loudness_lufs": -23.0}
    command, _ = remake_command({**made_record(Path("/in/a.mp4"), "a.mp4"), "settings": settings}, Path("/out"), None)
    read = options_of(shlex.split(command + "1")[5:])
    assert (read["mix_gain"], read["cfg"], read["loudness"]) == (-3.1234567, 3.33333333, "-23")


def test_what_is_usual_is_not_said() -> None:
    record = made_record(Path("/in/sub/a.mp4"), "a.mp4")
    info = describe_model("embedded")
    command, seed = remake_command(record, Path("/out"), info)
    assert f"{command}{seed}" == "cd /in/sub && mfv2a dub a.mp4 --out /out --model embedded --seed 1"
    other, _ = remake_command(record, Path("/out"), replace(info, default_steps=25, default_cfg=4.5))
    assert "--steps 1 --cfg 1 " in other
    unknown, _ = remake_command(record, Path("/out"), None)
    assert "--steps 1 --cfg 1 --rescale" in unknown


@pytest.mark.parametrize(
    "fields",
    [
        {"settings": {"seed": None}},
        {"name": 5},
        {"name": "../x/a.mp4"},
        {"name": "/abs/a.mp4"},
        {"name": "a/b/c/d/e.mp4"},
    ],
)
def test_a_damaged_record_still_gives_a_command(fields: dict[str, Any]) -> None:
    record = {**made_record(Path("/in/a.mp4"), "a.mp4"), **fields}
    command, seed = remake_command(record, Path("/out"), None)
    assert command.startswith("cd /in && mfv2a dub a.mp4 ")
    assert seed == 1


@needs_bash
def test_the_command_makes_the_same_file_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = make_video(Path("in/a b/c'd.mp4"), seconds=0.3)
    words = ["--out", "out", "--model", "tiny", "--quiet", "--prompt", "it's rain"]
    assert main(["dub", "in", *words]) == 0
    output = tmp_path / "out" / "a b" / "c'd.mp4"
    first = output.read_bytes()
    record = Report(Path("out")).last(source)
    assert record is not None
    command, seed = remake_command(record, tmp_path / "out", describe_model("tiny"))
    where, _, *read = read_by_bash(f"{command}{seed}", tmp_path)
    monkeypatch.chdir(where)
    assert main(["dub", *read, "--quiet"]) == 0
    assert output.read_bytes() != first
    again = Report(tmp_path / "out").last(tmp_path / source)
    assert again is not None
    assert (again["name"], again["settings"]) == (record["name"], {**record["settings"], "seed": 1})


@needs_bash
def test_a_clip_that_could_not_be_read_is_tried_again_as_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sources = [Path(f"in/{folder}/clip.mp4") for folder in "ab"]
    for source in sources:
        source.parent.mkdir(parents=True)
        source.write_bytes(b"no video")
    asked = ["--prompt", "rain", "--also-wav", "--onsets", "csv", "--variants", "2", "--seed", "5"]
    assert main(["dub", "in", "--out", "out", "--model", "tiny", "--quiet", *asked]) == 3
    commands = []
    for source in sources:
        make_video(source, seconds=0.3)
        record = Report(Path("out")).last(tmp_path / source)
        assert record is not None
        commands.append(remake_command(record, tmp_path / "out", describe_model("tiny")))
    for command, seed in commands:
        monkeypatch.chdir(tmp_path)
        where, _, *read = read_by_bash(f"{command}{seed - 1}", tmp_path)
        monkeypatch.chdir(where)
        assert main(["dub", *read, "--quiet"]) == 0
    monkeypatch.chdir(tmp_path)
    made = {path.relative_to("out").as_posix() for path in Path("out").rglob("*") if path.is_file()}
    names = ("clip.mp4", "clip.wav", "clip.onsets.csv", "clip.2.mp4", "clip.2.wav", "clip.2.onsets.csv")
    assert made == {"report.jsonl", *(f"{folder}/{name}" for folder in "ab" for name in names)}
    before = [path.stat().st_mtime_ns for path in sorted(Path("out").rglob("clip*"))]
    assert main(["dub", "in", "--out", "out", "--model", "tiny", "--quiet", *asked]) == 0
    assert [path.stat().st_mtime_ns for path in sorted(Path("out").rglob("clip*"))] == before


def test_lists_of_hits_are_asked_for_again() -> None:
    record = made_record(Path("/in/x.mp4"), "x.mp4", details={"asked": {"onsets": "edl", "keep_all": True}})
    command, _ = remake_command(record, Path("/out"), None)
    assert " --onsets edl " in command
    assert " --keep-all " in command


@pytest.mark.parametrize("name", ["./mine", "mine.safetensors", "sub/mine"])
def test_a_model_of_ones_own_is_named_by_its_whole_path(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).touch()
    Path("embedded").touch()
    for model, told in ((name, str(tmp_path / Path(name))), ("embedded", "embedded"), ("./gone", "./gone")):
        record = made_record(Path("/in/a.mp4"), "a.mp4", settings={"model": model})
        command, _ = remake_command(record, Path("/out"), None)
        assert options_of(shlex.split(command + "1")[5:])["model"] == told


def test_a_video_behind_an_address_is_asked_for_by_it() -> None:
    source = "http://127.0.0.1:8000/films/sub/a b.mp4"
    record = {**made_record(Path("/in/a.mp4"), "sub/a b.mp4"), "source": source}
    command, _ = remake_command(record, Path("/out"), None)
    words = shlex.split(command + "1")
    assert words[:2] == ["mfv2a", "dub"]
    read = options_of(words[2:])
    assert (read["paths"], read["out"]) == ([source], "/out/sub")
    for name in ("/etc/passwd", "../x.mp4", "sub/../../x.mp4", None, 3):
        command, _ = remake_command({**record, "name": name}, Path("/out"), None)
        assert options_of(shlex.split(command + "1")[2:])["out"] == "/out"


@pytest.mark.parametrize("value", [True, 3, "speech", {"speech": 1}, [None, "speech"]])
def test_what_is_no_list_of_names_is_no_option(value: Any) -> None:
    record = made_record(Path("/in/a.mp4"), "a.mp4", settings={"refused": value})
    command, _ = remake_command(record, Path("/out"), None)
    assert ("--no-speech" in command) == isinstance(value, list)
