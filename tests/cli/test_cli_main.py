"""The door of the program: help, version, exit codes, and how it ends when it is told to."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from made_videos import make_video
from mfv2a import __version__
from mfv2a.cli import app, console, main, usage_line

PYTHON = [sys.executable, "-m", "mfv2a"]


def run(*words: str, **kwargs: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PYTHON, *words], capture_output=True, text=True, timeout=120, **kwargs)  # type: ignore[call-overload, no-any-return]


def test_the_version_is_told() -> None:
    assert run("--version").stdout == f"mfv2a {__version__}\n"


def test_help_never_waits_for_the_heavy_packages() -> None:
    heavy = ["torch", "numpy", "av", "cv2", "numba", "soundfile", "ffmpeg"]
    code = (
        "import sys; from mfv2a.cli import main; main(['dub', '--help']); main(['--help']); "
        f"sys.exit(repr([name for name in {heavy} if name in sys.modules]))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.stderr.strip() == "[]"


def test_help_is_quick() -> None:
    spent = []
    for _ in range(3):
        before = os.times()
        assert run("--help").returncode == 0
        after = os.times()
        spent.append(after.children_user - before.children_user + after.children_system - before.children_system)
    assert min(spent) < 1.0, "0.2 s of a processor, whatever else runs"


def test_every_command_has_help_with_examples(capsys: pytest.CaptureFixture[str]) -> None:
    for command in app.registered_commands:
        assert command.callback is not None
        name = command.name or command.callback.__name__
        assert main([name, "--help"]) == 0
        text = capsys.readouterr().out
        assert f"mfv2a {name}" in text
    for name in ("dub", "tta", "bench"):
        main([name, "--help"])
        assert "Examples" in capsys.readouterr().out


def test_options_are_grouped(capsys: pytest.CaptureFixture[str]) -> None:
    main(["dub", "--help"])
    text = capsys.readouterr().out
    for panel in ("Sampling", "Output", "Machine", "What is printed"):
        assert re.search(rf"─ {panel} ─", text)


@pytest.mark.parametrize("words", [[], ["dub"], ["tta"], ["models"], ["models", "push"], ["report", "merge"]])
def test_a_flag_is_shown_without_a_value(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    main([*words, "--help"])
    text = capsys.readouterr().out
    assert "--help" in text
    assert "bool" not in text


@pytest.mark.parametrize("encoding", ["cp437", "ascii"])
def test_help_is_told_where_the_terminal_lacks_its_signs(encoding: str) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    words = [sys.executable, "-m", "mfv2a", "dub", "--help"]
    run = subprocess.run(words, capture_output=True, env=environment, check=False)
    assert (run.returncode, run.stderr) == (0, b"")
    assert b"--out" in run.stdout


@pytest.mark.parametrize("words", [[], ["models"], ["report"]])
def test_no_command_prints_the_help_and_is_no_fault(words: list[str]) -> None:
    result = run(*words)
    assert result.returncode == 2
    assert "Usage" in result.stdout + result.stderr
    assert "error" not in result.stderr


def test_a_wrong_command_is_one_line_and_exit_2() -> None:
    result = run("dubb")
    assert (result.returncode, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1
    assert "dubb" in result.stderr


def test_an_exception_that_is_no_usage_error_is_told_apart() -> None:
    assert usage_line(ValueError("x")) is None


def test_a_text_for_people_stays_on_one_line() -> None:
    assert console.printable("a\nb\x1b[31m\udce9 é漢") == "a\\nb\\x1b[31m\\udce9 é漢"


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (754, "12:34"), (3723, "1:02:03")])
def test_a_length_of_time_is_told_as_a_clock(seconds: float, text: str) -> None:
    assert console.clock(seconds) == text


def test_a_reader_that_goes_away_does_not_stop_the_work(tmp_path: Path) -> None:
    for name in "abc":
        make_video(tmp_path / "in" / f"{name}.mp4", seconds=0.2)
    with subprocess.Popen(
        [*PYTHON, "dub", "in", "--out", "out", "--model", "tiny", "--batch-size", "1", "-q"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0
    assert len(list((tmp_path / "out").glob("*.mp4"))) == 3


@pytest.mark.skipif(os.name == "nt", reason="signals are sent otherwise there")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_the_batch_in_order(tmp_path: Path, number: signal.Signals, code: int) -> None:
    for name in range(40):
        make_video(tmp_path / "in" / f"{name:02}.mp4", seconds=2, seed=name)
    command = [*PYTHON, "dub", "in", "--out", "out", "--model", "tiny", "--batch-size", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "out/00.mp4\n"
        process.send_signal(number)
        stderr = process.stderr.read()
        assert process.wait(30) == code
    out = tmp_path / "out"
    assert not [path for path in out.iterdir() if path.suffix not in (".mp4", ".jsonl")]
    done = len(list(out.glob("*.mp4")))
    assert 1 <= done < 40
    assert len((out / "report.jsonl").read_text().splitlines()) == done
    assert "interrupted: " in stderr
    assert "run the same command again" in stderr
    assert "Traceback" not in stderr


def test_the_program_runs_beside_another_thread(tmp_path: Path) -> None:
    """Only a main thread may set signal handlers; a library's user may call from another."""
    import threading

    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(main(["dub", str(tmp_path), "--out", str(tmp_path / "o")])))
    thread.start()
    thread.join(60)
    assert codes == [4]


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals there")
def test_on_a_terminal_a_bar_moves_and_the_paths_have_lines_of_their_own(tmp_path: Path) -> None:
    import pty

    make_video(tmp_path / "in" / "a.mp4", seconds=0.3)
    ours, theirs = pty.openpty()
    command = [*PYTHON, "dub", "in", "--out", "out", "--model", "tiny"]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=tmp_path) as process:
        os.close(theirs)
        shown = bytearray()
        try:
            while block := os.read(ours, 4096):
                shown += block
        except OSError:  # Linux ends a pseudo-terminal so
            pass
        os.close(ours)
        assert process.wait(60) == 0
    text = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", bytes(shown)).decode()
    assert "━" in text
    assert "out/a.mp4" in re.split(r"[\r\n]+", text)


def test_a_file_that_looks_like_an_option_is_told_how_to_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["dub", "-dash.mp4", "--out", "out"]) == 2
    assert "./-dash.mp4" not in capsys.readouterr().err
    Path("-dash.mp4").touch()
    assert main(["dub", "-dash.mp4", "--out", "out"]) == 2
    assert "or write ./-dash.mp4 for the file" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["-q", "dub"], ["-v", "train"]])
def test_what_is_said_before_a_command_holds_for_it(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "nowhere.toml"]) in (2, 3, 4)
    assert ("Traceback" in capsys.readouterr().err) == (words[0] == "-v")


@pytest.mark.parametrize("command", ["train", "extract", "evaluate"])
def test_details_can_be_asked_of_every_long_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["a", "--compare", "a", "b"] if command == "evaluate" else ["nowhere.toml"]
    assert main([command, *words, "--verbose"]) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_results_that_cannot_be_written_do_not_stop_the_work(
    unbuffered: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    for name in "ab":
        make_video(tmp_path / f"{name}.mp4", seconds=0.2)
    words = ["dub", str(tmp_path / "a.mp4"), str(tmp_path / "b.mp4"), "--out", str(tmp_path / "out"), "--model", "tiny"]
    with Path("/dev/full").open("w") as full:
        told = subprocess.run([*PYTHON, *words], stdout=full, stderr=subprocess.PIPE, text=True, timeout=120)
        assert told.returncode == 4
        assert told.stderr.count("cannot be written to stdout") == 1
        assert len(list((tmp_path / "out").glob("*.mp4"))) == 2
        silent = subprocess.run([*PYTHON, *words, "--overwrite"], stdout=full, stderr=full, timeout=120)
        assert silent.returncode == 4


@pytest.mark.skipif(os.name != "posix", reason="streams are closed as a shell does")
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_closed_streams_do_not_stop_the_work(closed: str, tmp_path: Path) -> None:
    make_video(tmp_path / "a.mp4", seconds=0.2)
    line = f'"$0" -m mfv2a dub a.mp4 --out out --model tiny {closed}'
    done = subprocess.run(["sh", "-c", line, sys.executable], cwd=tmp_path, capture_output=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, done.stderr.replace(b"fault", b""))
    assert (tmp_path / "out" / "a.mp4").is_file()


def test_a_name_that_no_file_can_have_is_no_fault(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["tta", "rain", "-o", f"{'x' * 300}.wav"], ["report", "merge", "x" * 300], ["evaluate", "x" * 300]):
        assert main(words) == 2
        assert "too long" in capsys.readouterr().err or words[0] == "evaluate"


def test_values_are_refused_in_plain_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dub", "x.mp4", "--out", "o", "--channels", "five"]) == 2
    assert "Value error" not in capsys.readouterr().err


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are counted in /proc")
def test_a_reader_that_has_gone_costs_no_open_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.FileIO):
        def write(self, data: Any) -> int:
            raise BrokenPipeError

    with Gone(tmp_path / "out", "w") as stream:
        monkeypatch.setattr(console, "_RESULTS", [stream])
        before = len(list(Path("/proc/self/fd").iterdir()))
        console.write_stdout(b"result")
        assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_what_libraries_print_does_not_mix_with_results(tmp_path: Path) -> None:
    code = (
        "import os, subprocess; from mfv2a.cli import console\n"
        "with console.results_alone():\n"
        "    console.write_stdout(b'one\\n'); print('noise', flush=True); subprocess.run(['echo', 'more noise'])\n"
        "    console.write_stdout(b'two\\n')\n"
        "console.write_stdout(b'three\\n')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("one\ntwo\nthree\n", "noise\nmore noise\n")


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["dub", "in", "--out", "out"], "--low-memory"),
        (["tta", "rain", "-o", "x.wav"], "--low-memory"),
        (["-q", "bench", "in/a.mp4"], "--low-memory"),
    ],
)
def test_memory_that_runs_out_is_no_fault_of_the_tool(
    words: list[str],
    hint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import torch

    def load(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 23.5 GiB")

    monkeypatch.chdir(tmp_path)
    make_video(Path("in/a.mp4"), seconds=0.2)
    monkeypatch.setattr("mfv2a.loader.load_pipeline", load)
    assert main([*words, "--model", "tiny"]) == 4
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert line.startswith("error: not enough memory: CUDA out of memory - use ")
    assert hint in line


def test_what_to_do_about_memory_hangs_on_the_command() -> None:
    from mfv2a.jobs.faults import of_the_machine

    for command, word in (("train", "accumulate"), ("extract", "batch_size"), ("evaluate", "--device cpu")):
        known = of_the_machine(MemoryError(), command)
        assert known is not None
        assert str(known) == "not enough memory"
        assert word in known.hint
    assert of_the_machine(ValueError("out of memory")) is None


@pytest.mark.skipif(os.name == "nt", reason="a folder in use cannot be removed there")
def test_a_working_directory_that_is_gone_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    script = f"cd {folder} && rmdir {folder} && {sys.executable} -m mfv2a dub {tmp_path} --out {tmp_path / 'out'}"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (4, "")
    assert "the working directory is gone" in done.stderr
