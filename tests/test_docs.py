"""What is written is true: commands, options, runs, files and examples of the documents exist and work."""

from __future__ import annotations

import importlib
import os
import re
import runpy
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer

from made_videos import make_video
from mfv2a.cli import app
from mfv2a.config import ExtractConfig, RunConfig, load_toml
from mfv2a.hub import digest_of
from mfv2a.register import Checkpoint

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCUMENTS = [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
RUNS = sorted((ROOT / "examples" / "runs").glob("*.toml"))
PROGRAM: Any = typer.main.get_command(app)
COMMANDS: dict[str, Any] = PROGRAM.commands
SCRIPTS = {"dub_one_clip.py", "text_to_audio.py"}


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def shell_lines(text: str) -> Iterator[str]:
    """Command lines of a document's code blocks, continued lines joined, comments cut."""
    for block in re.findall(r"^```(?:sh|bash|console)\n(.*?)^```", text, re.S | re.M):
        for line in block.replace("\\\n", " ").splitlines():
            if line.strip() and not line.lstrip().startswith("#"):
                yield line


def mfv2a_calls(line: str) -> Iterator[list[str]]:
    """The words after `mfv2a` of each call in a shell line with pipes and redirections."""
    words = shlex.split(line, comments=True)
    for start, word in enumerate(words):
        if word == "mfv2a":
            call = words[start + 1 :]
            ends = [n for n, each in enumerate(call) if each in ("|", "<", ">", ">>", "&&", ";") or each == "2>"]
            yield call[: ends[0]] if ends else call


def all_calls() -> list[tuple[str, list[str]]]:
    lines = [(path.name, line) for path in DOCUMENTS for line in shell_lines(read(path))]
    lines += [
        (f"{name} --help", example)
        for name, command in COMMANDS.items()
        for example in re.findall(r"`([^`]*\bmfv2a [^`]*)`", command.epilog or "")
    ]
    return [(where, call) for where, line in lines for call in mfv2a_calls(line)]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_the_readme_with_an_example(name: str) -> None:
    assert re.search(rf"^#+ .*`mfv2a {name}`", read(README), re.M), f"README has no section on mfv2a {name}"
    assert any(call and call[0] == name for line in shell_lines(read(README)) for call in mfv2a_calls(line))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_is_and_shows_an_example(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    assert f"`mfv2a {name} " in (command.epilog or ""), f"mfv2a {name} --help shows no example"
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"mfv2a {name}: {parameter.name} has no help"


@pytest.mark.parametrize(
    ("where", "call"), all_calls(), ids=lambda value: value if isinstance(value, str) else " ".join(value)
)
def test_every_written_command_line_parses(where: str, call: list[str]) -> None:
    if call[:1] in (["--help"], ["--version"]):
        return
    assert call[0] in COMMANDS, f"{where}: mfv2a {call[0]} is no command"
    command = COMMANDS[call[0]]
    if "..." in call:  # a line that shows a form, not a command
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        assert {word for word in call[1:] if word.startswith("-") and word != "-"} <= known
        return
    with command.make_context(call[0], list(call[1:])):
        pass


@pytest.mark.parametrize("name", COMMANDS)
def test_options_in_the_readme_exist(name: str) -> None:
    section = re.search(
        rf"^#+ .*`mfv2a {name}`.*?\n(.*?)(?=^#)",
        re.sub(r"^```.*?^```", "", read(README), flags=re.S | re.M),
        re.S | re.M,
    )
    assert section is not None
    known = {word for parameter in COMMANDS[name].params for word in (*parameter.opts, *parameter.secondary_opts)}
    told = set(re.findall(r"`(-[-a-z0-9]+)", section.group(1)))
    assert told <= known | {"--help"}, f"mfv2a {name} has no {told - known}"


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.name)
def test_every_run_loads(path: Path) -> None:
    record = RunConfig if "task" in tomllib.loads(read(path)) else ExtractConfig
    verb = "train" if record is RunConfig else "extract"
    load_toml(path, record)
    assert read(path).startswith(f"# mfv2a {verb}: "), "a run says first which command it is for"
    assert re.search(rf"mfv2a {verb} +examples/runs/{re.escape(path.name)}", read(ROOT / "docs" / "TRAINING.md"))


def test_runs_are_named_as_they_are_where_help_names_them() -> None:
    texts = [read(path) for path in DOCUMENTS] + [command.epilog or "" for command in COMMANDS.values()]
    for name in {name for text in texts for name in re.findall(r"examples/[\w./-]+\.\w+", text)}:
        assert (ROOT / name).exists(), f"{name} is named and not there"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Imports a script of the project, beside its neighbours as when it is run."""
    monkeypatch.syspath_prepend(ROOT / "scripts")
    return importlib.import_module


def test_the_reference_of_runs_is_that_of_the_records(script: Callable[[str], Any]) -> None:
    assert script("run_reference").reference() in read(ROOT / "docs" / "TRAINING.md"), "run make fix"


def test_the_table_of_options_is_that_of_the_commands(script: Callable[[str], Any]) -> None:
    table = script("options_table").table()
    told = {word for line in table.splitlines() for word in re.findall(r"(--[a-z-]+)", line.split("|")[1])}
    known = {option for name in ("dub", "tta") for parameter in COMMANDS[name].params for option in parameter.opts}
    assert {word for word in known if word.startswith("--")} - {"--help"} <= told
    assert table in read(ROOT / "docs" / "DUB.md"), "run make fix"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_documents_name_no_machine_and_no_missing_file(path: Path) -> None:
    text = read(path)
    found = re.search(r"(?<![\w.])/(?:work|home|root|Users|mnt|opt|private)/|[A-Z]:\\", text)
    assert not found, f"{path.name} names {found and found.group()}"
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if "://" not in target:
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_the_numbers_of_families_and_labels_are_those_of_the_scenes() -> None:
    from mfv2a.scenes import FAMILIES, LABELS

    assert f"{len(FAMILIES)} families" in read(README)
    assert f"{len(FAMILIES)} families, {len(LABELS)} labels" in read(ROOT / "docs" / "CHECKPOINTS.md")


def test_every_file_that_the_house_plan_names_is_there() -> None:
    plan = read(ROOT / "docs" / "DESIGN.md")
    folders = (ROOT / "src" / "mfv2a", ROOT / "tests")
    there = {path.name for folder in folders for path in folder.rglob("*.py")}
    assert set(re.findall(r"(?<![\w*])[a-z_]+\.py\b", plan)) <= there


def test_every_model_of_the_register_is_in_the_list_of_the_cards() -> None:
    register = tomllib.loads(read(ROOT / "checkpoints.toml"))
    models = {name: entry["licence"] for name, entry in register.items() if entry["role"] == "generator"}
    rows = read(ROOT / "docs" / "CHECKPOINTS.md").splitlines()
    for name, licence in models.items():
        assert any(row.split()[:1] in ([name], ["*"]) and name in row and licence in row for row in rows), name


def test_the_gallery_shows_what_is_there() -> None:
    told = set(re.findall(r"^\| `([\w-]+\.\w+)`", read(README), re.M))
    assert told == {path.name for path in (ROOT / "examples" / "videos").iterdir() if not path.name.startswith(".")}


def test_the_tree_in_the_house_plan_is_the_tree() -> None:
    tree = re.search(r"^```\nmfv2a/\n(.*?)^```", read(ROOT / "docs" / "DESIGN.md"), re.S | re.M)
    assert tree is not None
    named = set(re.findall(r"^[├└]── (\S+)", tree.group(1), re.M))
    rooms = set(re.findall(r"^│ +[├└]── (\S+)", tree.group(1), re.M))
    package = ROOT / "src" / "mfv2a"
    assert all((ROOT / name.rstrip("/")).exists() for name in named), f"not there: {named}"
    there = {f"{p.name}/" if p.is_dir() else p.name for p in package.iterdir() if not p.name.startswith("__p")}
    assert {name for name in rooms if "/" in name or name.endswith(".py")} == {
        name for name in there if name.endswith(("/", ".py"))
    }


def run(words: list[str], cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    beside = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": beside, "PYTHON": sys.executable, **variables}
    return subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, timeout=200)


def test_the_examples_are_those_the_tests_run_on() -> None:
    assert {path.name for path in (ROOT / "examples").glob("*.py")} == SCRIPTS


def run_script(name: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> int | str | None:
    """Runs an example as `python examples/NAME WORDS` would, in this process; gives back its exit code."""
    script = str(ROOT / "examples" / name)
    monkeypatch.setattr(sys, "argv", [script, *words])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(script, run_name="__main__")
    return end.value.code


def test_dub_one_clip_run_on_a_made_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    video = make_video(tmp_path / "a clip.mp4", seconds=0.6)
    words = [video.name, "out.mp4", "--model", "tiny", "--prompt", "rain"]
    assert run_script("dub_one_clip.py", words, monkeypatch) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "0.60 s, confidence 1.00"
    assert told[-1] == "out.mp4"
    assert (tmp_path / "out.mp4").stat().st_size > video.stat().st_size
    assert run_script("dub_one_clip.py", ["none.mp4", "out.mp4", "--model", "tiny"], monkeypatch) == 3
    assert capsys.readouterr().err.startswith("error: ")


def test_text_to_audio_run_on_two_prompts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import soundfile

    monkeypatch.chdir(tmp_path)
    words = ["sounds", "rain", "a dog", "--seconds", "0.5", "--model", "tiny"]
    assert run_script("text_to_audio.py", words, monkeypatch) == 0
    assert [soundfile.info(tmp_path / "sounds" / name).frames for name in ("01.wav", "02.wav")] == [8000, 8000]


@pytest.mark.skipif(os.name == "nt", reason="recipes for a POSIX shell")
def test_the_shell_recipes_run_on_a_made_folder(tmp_path: Path) -> None:
    script = str(ROOT / "examples" / "pipelines.sh")
    make_video(tmp_path / "in" / "with space.mp4", seconds=0.4)
    (tmp_path / "in" / "new\nline.mp4").write_text("no video")
    done = run(["sh", script, "new", "in", "out", "--model", "tiny", "--quiet"], tmp_path)
    assert done.returncode == 3, done.stderr
    assert Path(done.stdout.splitlines()[0]).name == "with space.mp4"
    failed = run(["sh", script, "failed", "out"], tmp_path)
    assert "line.mp4\t" in failed.stdout
    (tmp_path / "prompts.txt").write_text("rain\na dog barks\n")
    words = ["sh", script, "sounds", "prompts.txt", "sounds", "--model", "tiny", "--duration", "0.4", "--quiet"]
    told = run(words, tmp_path)
    assert told.returncode == 0, told.stderr
    assert [line.split("\t")[2] for line in told.stdout.splitlines()] == ["rain", "a dog barks"]
    assert run(["sh", script, "odd"], tmp_path).returncode == 2


def test_the_words_of_make_that_documents_use_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", read(ROOT / "Makefile"), re.M))
    told = {word for path in DOCUMENTS for word in re.findall(r"(?:^\s*|`)(?:time )?make ([a-z-]+)", read(path), re.M)}
    told |= set(re.findall(r"^make ([a-z-]+)$", read(ROOT / ".ci" / "run"), re.M))
    assert {"demo", "test", "check"} <= told <= targets


def test_hooks_are_local_and_the_changelog_knows_the_version() -> None:
    from mfv2a import __version__

    repositories = re.findall(r"^ *- repo: *(\S+)", read(ROOT / ".pre-commit-config.yaml"), re.M)
    assert set(repositories) == {"local"}
    assert __version__ in read(ROOT / "CHANGELOG.md")


def test_every_key_of_a_register_is_explained() -> None:
    explained = read(ROOT / "docs" / "CHECKPOINTS.md").partition("## A register of your own")[2]
    named = {key for line in re.findall(r"^\| (`[^|]*) \|", explained, re.M) for key in re.findall(r"`(\w+)`", line)}
    assert named == {field.name for field in fields(Checkpoint)} - {"name", "scope"}


def test_what_the_tool_is_shown_to_say_of_its_weights_is_what_it_ships():
    text = read(ROOT / "docs/RESULTS.md")
    shown = re.findall(r"^ok +\w+ +(\w+)\.safetensors, (\d+) bytes, sha256:([0-9a-f]{8})\.", text, re.M)
    assets = sorted((ROOT / "src/mfv2a/assets/embedded").glob("*.safetensors"))
    facts = [(path.stem, str(path.stat().st_size), digest_of(path, "sha256")[len("sha256:") :][:8]) for path in assets]
    assert sorted(shown) == facts
    assert f"ok  embedded  {len(assets)} files as stated" in text
