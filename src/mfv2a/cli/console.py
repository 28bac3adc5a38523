"""What people and programs see: results on stdout, talk on stderr.

stdout carries data only - a path a line, JSON, or sound - so that it can be piped; everything else goes to
stderr. Colours and moving bars appear only on a terminal.
"""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mfv2a.errors import Mfv2aError

if TYPE_CHECKING:
    import typer
    from rich.progress import Progress


@dataclass(slots=True)
class Talk:
    """What may be said on stderr.

    Attributes:
        quiet: only errors.
        verbose: details and tracebacks too.
    """

    quiet: bool = False
    verbose: bool = False

    def say(self, text: str) -> None:
        """One line for people, unless they asked for quiet."""
        if not self.quiet:
            write_stderr(text)

    def detail(self, text: str) -> None:
        """More than most want to know."""
        if self.verbose:
            write_stderr(text)

    def error(self, error: Mfv2aError) -> None:
        """One line that says what went wrong and what to do."""
        write_stderr(error_line(error))
        detail = getattr(error, "detail", "")
        if detail:
            self.detail(detail)


def start_talk(context: typer.Context, *, quiet: bool, verbose: bool) -> Talk:
    """The talk of this run, which `main` shares with every command; each may ask for more or less.

    Args:
        context: Typer's context; carries the talk.
        quiet: only errors.
        verbose: details and tracebacks.
    """
    talk = context.ensure_object(Talk)
    talk.quiet = talk.quiet or quiet
    talk.verbose = talk.verbose or verbose
    return talk


def error_line(error: Mfv2aError) -> str:
    """The one line of an expected failure: which file, what, what to do."""
    path = getattr(error, "path", None)
    where = "" if path is None else f"{path}: "
    hint = f" - {error.hint}" if error.hint else ""
    return printable(f"error: {where}{error}{hint}")


def printable(text: str) -> str:
    """Keeps a text on one line and in UTF-8: control characters and undecodable bytes become escapes."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def write_stderr(text: str) -> None:
    """Writes a line to stderr; a closed stderr is no reason to stop."""
    try:
        sys.stderr.write(text.encode("utf-8", "backslashreplace").decode("utf-8") + "\n")
        sys.stderr.flush()
    except (BrokenPipeError, UnicodeEncodeError, ValueError):
        pass


def write_stdout(data: bytes) -> None:
    """Writes bytes to stdout and flushes.

    When the reader has gone (`| head`), what follows goes nowhere and the work goes on.
    """
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_path(path: str | os.PathLike[str]) -> None:
    """A result on stdout: a path a line, in the bytes of the file system."""
    write_stdout(os.fsencode(path) + b"\n")


def print_json(record: Mapping[str, Any]) -> None:
    """A result on stdout: a JSON object a line."""
    text = json.dumps(record, ensure_ascii=False, default=str, allow_nan=False)
    write_stdout(text.encode("utf-8", "backslashreplace") + b"\n")


def stderr_is_terminal() -> bool:
    """Whether people watch stderr."""
    return sys.stderr is not None and sys.stderr.isatty()


def stderr_is_alive() -> bool:
    """Whether people watch stderr on a terminal on which lines can change in place."""
    return stderr_is_terminal() and os.environ.get("TERM", "").lower() not in ("dumb", "unknown")


def folded(text: str) -> str:
    """A sentence for people, folded between words where a terminal is narrower; a log gets it on one line."""
    if not stderr_is_terminal():
        return text
    try:
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):
        return text
    if not 0 < columns < len(text):
        return text
    return textwrap.fill(text, max(20, columns - 1), break_long_words=False, break_on_hyphens=False)


def stdout_is_terminal() -> bool:
    """Whether results go to people and not to a file or a pipe."""
    return sys.stdout is not None and sys.stdout.isatty()


def progress_bar() -> Progress:
    """A moving bar on stderr: what, how far, how long still."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )


def clock(seconds: float) -> str:
    """A length of time for people: 0:07, 12:34, 1:02:03."""
    minutes, second = divmod(max(0, round(seconds)), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def count(number: int, noun: str) -> str:
    """A number with its noun: `1 video`, `3 videos`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def model_line(info: Any, sample_rate_hz: int) -> str:
    """The one line that names model, quality, sample rates and licence."""
    quality = ", ".join(part for part in (info.quality, khz(info.sample_rate_hz)) if part)
    written = "" if sample_rate_hz == info.sample_rate_hz else f", written at {khz(sample_rate_hz)}"
    return f"model {info.name}: {quality}{written}; licence {info.licence}"


def khz(rate_hz: int) -> str:
    """A sample rate for people: `16 kHz`, `44.1 kHz`."""
    return f"{rate_hz / 1000:g} kHz"
