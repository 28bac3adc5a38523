"""What people and programs see: results on stdout, talk on stderr.

stdout carries data only - a path a line, JSON, or sound - so that it can be piped; everything else goes to
stderr. Colours and moving bars appear only on a terminal.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO, cast

from mfv2a.errors import Mfv2aError

if TYPE_CHECKING:
    import typer
    from rich.progress import Progress

HUB_VERBOSITY = "HF_HUB_VERBOSITY"  # read when the library is first imported
_RESULTS: list[BinaryIO] = []  # where results go, if not to `sys.stdout`
_LOST: list[str] = []  # why results could not be written, the first reason


@dataclass(slots=True)
class Talk:
    """What may be said on stderr.

    Attributes:
        quiet: only errors.
        verbose: details and tracebacks too.
        hushes_hub: whether the hub's library is kept from telling each of its tries.
    """

    quiet: bool = False
    verbose: bool = False
    hushes_hub: bool = False

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
    _hush_hub(talk)
    return talk


def _hush_hub(talk: Talk) -> None:
    """The hub's library tells of each try that it makes; the error that ends them says it in a line."""
    if talk.verbose and talk.hushes_hub:
        os.environ.pop(HUB_VERBOSITY, None)
    elif not talk.verbose and HUB_VERBOSITY not in os.environ:
        os.environ[HUB_VERBOSITY] = "error"
        talk.hushes_hub = True


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
    """Writes a line to stderr; one that is closed or full is no reason to stop."""
    with suppress(OSError, UnicodeEncodeError, ValueError):
        sys.stderr.write(text.encode("utf-8", "backslashreplace").decode("utf-8") + "\n")
        sys.stderr.flush()


class Watched:
    """stderr for what moves on it: what is written when the terminal has gone goes nowhere, and the work goes on.

    Attributes:
        is_gone: whether it has.
    """

    def __init__(self) -> None:
        self._stream = sys.stderr
        self.is_gone = False

    def __getattr__(self, name: str) -> Any:
        """Whatever else a stream has."""
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Writes, as a stream does."""
        if not self.is_gone:
            try:
                return self._stream.write(text)
            except (OSError, ValueError):
                self.is_gone = True
        return len(text)

    def flush(self) -> None:
        """Flushes, as a stream does."""
        if not self.is_gone:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self.is_gone = True


def watched() -> tuple[TextIO, Watched]:
    """What is there for what moves on stderr, as a stream and as what tells whether it has gone."""
    stream = Watched()
    return cast("TextIO", stream), stream


def _has_hung_up(number: int, error: OSError) -> bool:
    """Whether this is the error of a terminal that went away, where nobody reads any more."""
    return error.errno == errno.EIO and stat.S_ISCHR(os.fstat(number).st_mode)


def print_line(text: str) -> None:
    """Writes a line for people to stdout; undecodable bytes in it become escapes."""
    write_stdout(f"{text}\n".encode("utf-8", "backslashreplace"))


def write_stdout(data: bytes) -> None:
    """Writes bytes to stdout and flushes.

    When the reader has gone (`| head`, a terminal that was closed), what follows goes nowhere and the work goes on; so
    it does where the disk is full that stdout leads to, which is told, and `lost_output` knows it.
    """
    stream = _RESULTS[-1] if _RESULTS else sys.stdout.buffer
    try:
        stream.write(data)
        stream.flush()
    except OSError as error:
        hung_up = _has_hung_up(stream.fileno(), error)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        if not isinstance(error, BrokenPipeError) and not hung_up:
            _LOST.append(error.strerror or str(error))
            write_stderr(f"error: results cannot be written to stdout: {_LOST[0]}; the work goes on")


@contextmanager
def results_alone() -> Iterator[None]:
    """Only results go to stdout: what libraries and the programs that they start print there goes to stderr."""
    try:
        place = sys.stdout.fileno()
        ways = (place, sys.stderr.fileno())
    except (OSError, ValueError):  # no real stream, so no program of another can print to it
        yield
        return
    sys.stdout.flush()
    with open(os.dup(place), "wb") as results:  # noqa: PTH123 - a number, no path
        os.dup2(ways[1], place)
        _RESULTS.append(results)
        try:
            yield
        finally:
            _RESULTS.pop()
            sys.stdout.flush()
            os.dup2(results.fileno(), place)


def lost_output() -> bool:
    """Whether results could not be written since this was last asked."""
    lost = bool(_LOST)
    _LOST.clear()
    return lost


def fill_standard_streams() -> None:
    """Leads stdin, stdout and stderr that are closed nowhere, so that no file which is opened takes their place."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - as long as the process


def print_path(path: str | os.PathLike[str]) -> None:
    """A result on stdout: a path a line, in the bytes of the file system."""
    write_stdout(os.fsencode(path) + b"\n")


def print_json(record: Mapping[str, Any]) -> None:
    """A result on stdout: a JSON object a line."""
    print_line(json.dumps(record, ensure_ascii=False, default=str, allow_nan=False))


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
        console=Console(file=watched()[0]),
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
