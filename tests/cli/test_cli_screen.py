"""What people see while a batch runs, on terminals of all kinds and in logs."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from made_videos import make_video
from mfv2a.cli.board import Board
from mfv2a.cli.console import Talk
from mfv2a.cli.screen import Screen

PYTHON = [sys.executable, "-m", "mfv2a"]
COLOURS = re.compile(r"\x1b\[[0-9;]*?(?:3[0-9]|4[0-9]|9[0-9]|10[0-7])(?:;[0-9]+)*m")
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
needs_pty = pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals there")


class Clock:
    """Time that a test turns on."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def made_board(width: int, height: int = 40, **words: Any) -> tuple[Board, Console, Clock]:
    """A board of ten clips, two of which were through before, on a terminal of this size."""
    out = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, **words)
    clock = Clock()
    board = Board(out, clock)
    board.begin(lambda: 10, 2)
    board.stop()
    return board, out, clock


def lines_of(board: Board, out: Console) -> list[str]:
    """What the board shows now."""
    with out.capture() as shown:
        out.print(board.render())
    return ESCAPES.sub("", shown.get()).splitlines()


def test_the_board_tells_which_clip_is_in_which_stage() -> None:
    board, out, clock = made_board(80)
    assert lines_of(board, out) == ["━" * 5 + "─" * 19 + "  2/10, loading the model"]
    for key, stage in enumerate(("mux", "decode", "decode", "elsewhere")):
        board.stage(key, f"{key}.mp4", stage)
    board.stage(1, "1.mp4", "features")
    assert lines_of(board, out)[:-1] == [
        "decode    2.mp4",
        "features  1.mp4",
        "mux       0.mp4",
        "elsewhere 3.mp4",
    ]
    clock.now_s += 30
    board.settle(0, "ok")
    board.settle(2, "ok")
    board.settle(3, "failed")
    shown = lines_of(board, out)
    assert shown[0] == "decode    -"
    assert shown[-1] == "━" * 12 + "─" * 12 + "  5/10, 1:15 left, 4 clips/min, 1 failed"


@pytest.mark.parametrize("width", [20, 40, 63, 64, 120])
@pytest.mark.parametrize("name", ["a" * 300, "漢字" * 60, "🎬é̈" * 40])
def test_no_line_is_wider_than_the_terminal(width: int, name: str) -> None:
    board, out, clock = made_board(width)
    clock.now_s += 1000
    for key in range(16):
        board.stage(key, name, "decode")
    board.settle(0, "failed")
    board.settle(1, "failed")
    shown = lines_of(board, out)
    assert len(shown) == (2 if width >= 64 + 1 else 3)
    assert max(map(cell_len, shown)) < width
    assert "…" in shown[0]


def test_the_board_comes_back_when_a_result_cannot_be_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    moves: list[str] = []
    board = SimpleNamespace(aside=lambda: moves.append("aside"), back=lambda: moves.append("back"))
    monkeypatch.setattr("mfv2a.cli.console.stdout_is_terminal", lambda: True)
    with pytest.raises(OSError, match="gone"), Screen._board_aside(SimpleNamespace(_board=board)):  # type: ignore[arg-type]
        raise OSError("gone")
    assert moves == ["aside", "back"]


def test_a_low_terminal_shows_the_figures_alone() -> None:
    board, out, _ = made_board(80, height=5)
    board.stage(0, "0.mp4", "decode")
    assert len(lines_of(board, out)) == 1


def test_a_terminal_without_utf8_gets_plain_characters() -> None:
    out = Console(file=io.TextIOWrapper(io.BytesIO(), encoding="ascii"), width=80, height=40, force_terminal=True)
    board = Board(out, Clock())
    assert lines_of(board, out)[0].startswith("-" * 24)


def in_terminal(
    words: list[str], folder: Path, *, columns: int = 80, piped: bool = False, **variables: str
) -> tuple[str, str]:
    """Runs the tool on a pseudo-terminal; gives back what that showed, and stdout if it is piped."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
    with subprocess.Popen(
        [*PYTHON, *words],
        stdin=theirs,
        stdout=subprocess.PIPE if piped else theirs,
        stderr=theirs,
        cwd=folder,
        env={**environment, "TERM": "xterm-256color", **variables},
    ) as process:
        os.close(theirs)
        shown = bytearray()
        try:
            while block := os.read(ours, 4096):
                shown += block
        except OSError:  # Linux ends a pseudo-terminal so
            pass
        os.close(ours)
        told = process.stdout.read() if process.stdout is not None else b""
        process.wait(60)
    return bytes(shown).decode(), told.decode()


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two videos and a file that is none."""
    folder = tmp_path_factory.mktemp("videos")
    for name in ("one.mp4", "a name that is longer than a terminal of forty columns.mp4"):
        make_video(folder / "in" / name, seconds=1.5)
    (folder / "in" / "bad.mp4").write_text("no video")
    return folder


@needs_pty
def test_a_terminal_shows_stages_and_keeps_the_lines_of_results(videos: Path) -> None:
    shown, _ = in_terminal(["dub", "in", "--out", "all", "--model", "tiny"], videos)
    assert COLOURS.search(shown)
    text = ESCAPES.sub("", shown)
    assert re.search(r"(decode|features|sample|vae|vocoder|mux) +(one|a name)", text)  # whichever the screen caught
    assert "loading the model" in text
    assert "1 failed" in text
    lines = re.split(r"[\r\n]+", text)
    assert "all/one.mp4" in lines
    assert any(line.startswith("2 dubbed, 1 failed; ") for line in lines)
    again = ESCAPES.sub("", in_terminal(["dub", "in", "--out", "all", "--model", "tiny"], videos)[0])
    assert "done already" in again
    assert "━" not in again
    assert "─" not in again, "no board where nothing is left to do"


@needs_pty
def test_no_color_means_none_and_narrow_lines_are_not_cut_in_words(videos: Path) -> None:
    words = ["dub", "in", "--out", "narrow", "--model", "tiny"]
    shown, told = in_terminal(words, videos, columns=40, piped=True, NO_COLOR="1")
    assert not COLOURS.search(shown)
    assert sorted(told.splitlines()) == sorted(
        f"narrow/{path.name}" for path in (videos / "in").iterdir() if path.name != "bad.mp4"
    )
    lines = re.split(r"[\r\n]+", ESCAPES.sub("", shown))
    end = next(number for number, line in enumerate(lines) if line.startswith("2 dubbed, 1 failed; "))
    assert all(len(line) < 40 for line in lines[end:])
    assert " ".join(lines[end:]).endswith("in report.jsonl; the others are not affected ")


@needs_pty
def test_a_dumb_terminal_gets_plain_lines_with_the_time_left(videos: Path) -> None:
    shown, _ = in_terminal(["dub", "in", "--out", "dumb", "--model", "tiny", "-b", "1"], videos, TERM="dumb")
    assert "\x1b" not in shown
    assert " left" in shown


@needs_pty
def test_quiet_is_quiet_on_a_terminal_too(videos: Path) -> None:
    words = ["dub", "in", "--out", "quiet", "--model", "tiny", "--quiet", "--gallery"]
    shown, told = in_terminal(words, videos, piped=True)
    (line,) = shown.split("\r\n")[:-1]
    assert line.startswith("[1/3] in/bad.mp4: failed: ")
    assert len(told.splitlines()) == 2


@pytest.mark.parametrize("force", [{}, {"FORCE_COLOR": "1", "CLICOLOR_FORCE": "1", "GITHUB_ACTIONS": "true"}])
def test_a_log_holds_no_escape_codes(videos: Path, force: dict[str, str]) -> None:
    words = ["dub", "in", "--out", f"log{len(force)}", "--model", "tiny", "--gallery", "--verbose"]
    done = subprocess.run(
        [*PYTHON, *words], capture_output=True, cwd=videos, timeout=120, env={**os.environ, **force}, check=False
    )
    assert done.returncode == 3
    assert b"\x1b" not in done.stdout + done.stderr
    assert b"\r" not in done.stderr
    assert len(done.stdout.splitlines()) == 2
    assert re.search(rb"(?m)^page: log\d/index\.html, 3 clips, 2 looked at anew, ", done.stderr)


@needs_pty
@pytest.mark.parametrize("term", ["xterm-256color", "dumb"])
def test_a_terminal_that_goes_away_does_not_end_a_run_that_ignores_that(tmp_path: Path, term: str) -> None:
    import pty
    import signal

    for number in range(12):
        make_video(tmp_path / "in" / f"{number:02}.mp4", seconds=1, seed=number)
    ours, theirs = pty.openpty()
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as `nohup` does; children inherit it
    try:
        words = ["dub", "in", "--out", "out", "--model", "tiny", "--workers", "1", "-b", "1"]
        environment = {**os.environ, "TERM": term, "PYTHONUNBUFFERED": ""}  # as people start it
        with subprocess.Popen(
            [*PYTHON, *words], stdin=theirs, stdout=theirs, stderr=theirs, cwd=tmp_path, env=environment
        ) as process:
            os.close(theirs)
            shown = b""
            while b"01.mp4" not in shown:
                shown += os.read(ours, 4096)
            os.close(ours)
            assert process.wait(120) == 0
    finally:
        signal.signal(signal.SIGHUP, before)
    assert len(list((tmp_path / "out").glob("*.mp4"))) == 12


def test_a_board_whose_terminal_has_gone_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", Gone())
    board = Board()
    screen = Screen(Talk(), as_json=False, dry_run=False, board=board)
    screen.loading()
    screen.note("nobody reads this")
    screen.note("nor this")
    board.stop()
    assert board.is_gone
    assert screen._board is None
