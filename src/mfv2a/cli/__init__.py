"""The command line: the only room that knows Typer and rich.

`main` is the one place that turns an expected failure into a line and an exit code.
"""

from __future__ import annotations

import codecs
import errno
import gc
import io
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Literal

import typer

from mfv2a import __version__
from mfv2a.cli import bench, console, doctor, dub, evaluate, extract, models, report, scenes, train, tta
from mfv2a.cli.flags import Command, Group
from mfv2a.errors import Mfv2aError, StartError

EXIT_INTERRUPTED = 130
END_S = 0.2
EXIT_SIGNAL = 128  # and the signal's number
HANGUP = int(getattr(signal, "SIGHUP", 0))  # there is none on Windows
EXIT_CANNOT_WRITE = 4
THREADS = ("mfv2a-crew", "mfv2a-aside", "mfv2a-ahead")  # that may hang in a library, see jobs.crew
COMPLETE_VARIABLE = "_MFV2A_COMPLETE"  # set by a shell's completion script

app = typer.Typer(
    name="mfv2a",
    cls=Group,
    help="Give silent videos sound, in one step.",
    epilog="First try: `mfv2a dub clip.mp4 --out dubbed` and `mfv2a tta 'rain on a tin roof'`.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    add_completion=False,
)


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP: ends the work as Ctrl-C does, with its own exit code."""


def _print_version(wanted: bool) -> None:
    if wanted:
        console.write_stdout(f"mfv2a {__version__}\n".encode())
        raise typer.Exit


def _print_completion(shell: str | None) -> None:
    if shell:
        from typer.completion import get_completion_script

        script = get_completion_script(prog_name="mfv2a", complete_var=COMPLETE_VARIABLE, shell=shell)
        console.write_stdout(f"{script}\n".encode())
        raise typer.Exit


@app.callback()
def common(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only errors on stderr.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Details and tracebacks on stderr.")] = False,
    checkpoints: Annotated[
        str, typer.Option("--checkpoints", metavar="FILE", help="A register of your own models, besides the tool's.")
    ] = "",
    offline: Annotated[bool, typer.Option("--offline", help="Never ask the hub; use what is here.")] = False,
    completion: Annotated[
        Literal["bash", "zsh", "fish", "powershell"] | None,
        typer.Option(
            "--shell-completion",
            callback=_print_completion,
            is_eager=True,
            help="Print the script that completes commands and options in a shell.",
        ),
    ] = None,
) -> None:
    """Give silent videos sound, in one step."""
    try:
        Path.cwd()
    except OSError as error:
        raise StartError("the working directory is gone", hint="go to one that is there: cd ~") from error
    # Said in the environment, so that whatever this process starts follows too.
    if checkpoints:
        known = os.environ.get("MFV2A_CHECKPOINTS", "")
        os.environ["MFV2A_CHECKPOINTS"] = os.pathsep.join(filter(None, [known, str(Path(checkpoints).absolute())]))
    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    console.start_talk(context, quiet=quiet, verbose=verbose)


app.command(cls=Command, epilog=dub.EPILOG)(dub.dub)
app.command(cls=Command, epilog=tta.EPILOG)(tta.tta)
app.command(cls=Command, epilog=bench.EPILOG)(bench.bench)
app.command(cls=Command, epilog=scenes.EPILOG)(scenes.scenes)
app.command(cls=Command, epilog=extract.EPILOG)(extract.extract)
app.command(cls=Command, epilog=train.EPILOG)(train.train)
app.command(cls=Command, epilog=evaluate.EPILOG)(evaluate.evaluate)
app.command(cls=Command, epilog=doctor.EPILOG)(doctor.doctor)
app.add_typer(models.app, name="models")
app.add_typer(report.app, name="report")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        arguments: the words after the program's name; None for those of the process.

    Returns:
        The exit code: 0 done, 2 a value that cannot work, 3 files failed, 4 nothing could start, 5 a training
        diverged, 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP, 1 for a fault of the tool.
    """
    talk = console.Talk()
    words = list(sys.argv[1:] if arguments is None else arguments)
    if COMPLETE_VARIABLE in os.environ:
        from typer.completion import completion_init

        completion_init()
    try:
        with _signals_interrupt() as came:
            code = app(words, prog_name="mfv2a", standalone_mode=False, obj=talk)
    except Mfv2aError as error:
        if talk.verbose:
            console.write_stderr(traceback.format_exc().rstrip())
        talk.error(error)
        return error.exit_code
    except KeyboardInterrupt:
        return EXIT_SIGNAL + came[-1] if came else EXIT_INTERRUPTED
    except typer.Abort:
        return 1
    except Exception as error:  # noqa: BLE001 - the last door: a fault of the tool is told, too
        usage = usage_line(error, words)
        if usage is None:
            usage = name_line(error)
        if usage is None:
            return _tell_machine(error, words, talk) or _tell_fault(error, talk)
        if usage:  # without arguments the help has been printed instead
            console.write_stderr(usage)
        return 2
    if code == EXIT_INTERRUPTED and came:
        return EXIT_SIGNAL + came[-1]
    lost = console.lost_output()
    return EXIT_CANNOT_WRITE if lost and not code else code if isinstance(code, int) else 0


def run() -> None:
    """Runs the command line as a program: ends the process with its exit code.

    A thread that was given up because it hangs in a library would end the process with a crash when Python takes
    itself apart: then the system ends it at once. All files are closed by then.
    """
    console.fill_standard_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a sign that this terminal lacks is no reason to end
    code = main()
    _let_go_of_output()
    if any(thread.name.startswith(THREADS) and _hangs(thread) for thread in threading.enumerate()):
        os._exit(code)
    # All is done: one Ctrl-C is not to be told as a fault, a second one ends a thread that is waited for.
    signal.signal(signal.SIGINT, lambda *_: signal.signal(signal.SIGINT, signal.SIG_DFL))
    gc.freeze()  # else the end looks for cycles among all that torch has made, which takes half a second
    sys.exit(code)


def _let_go_of_output() -> None:
    """Leaves nothing in stdout and stderr: for what cannot be written Python would end with a code of its own."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)
                stream.flush()


def _hangs(thread: threading.Thread) -> bool:
    """Whether a thread that was told to end does not."""
    thread.join(END_S)
    return thread.is_alive()


def usage_line(error: Exception, given: Sequence[str] = ()) -> str | None:
    """The line of a wrong option, as Typer words it; None if this is another error.

    A file among the words that were given may have been taken for an option.

    Typer carries its own Click, whose exceptions have no public common name: they are known by their method.
    """
    words = getattr(error, "format_message", None)
    if words is None:
        return None
    context = getattr(error, "ctx", None)
    command = getattr(context, "command_path", "mfv2a")
    if not words():
        return ""
    file = next((word for word in given if word.startswith("-") and os.path.lexists(word)), None)
    named = f", or write ./{file} for the file" if file else ""
    told = words().replace("Value error, ", "")
    return console.printable(f"error: {told} - see `{command} --help`{named}")


def name_line(error: Exception) -> str | None:
    """The line of a file name that this system cannot take; None if this is another error."""
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return console.printable(f"error: {error.filename}: the name is too long - use a shorter one")
    if isinstance(error, UnicodeEncodeError) and _is_of_files(error.encoding):
        name = error.object[:60]
        return console.printable(f"error: {name}: file names are {error.encoding} here - set PYTHONUTF8=1")
    return None


def _is_of_files(encoding: str) -> bool:
    """Whether it is the one of file names here, and one that lacks signs."""
    known = codecs.lookup(encoding).name
    return known != "utf-8" and known == codecs.lookup(sys.getfilesystemencoding()).name


def _tell_machine(error: Exception, words: Sequence[str], talk: console.Talk) -> int:
    """Memory that ran out, or a GPU that failed: told as any error of the machine; 0 if it is something else."""
    if "torch" not in sys.modules:
        return 0
    try:
        from mfv2a.jobs.faults import of_the_machine
    except ImportError:  # what is told is then rather this
        return 0
    known = of_the_machine(error, next((word for word in words if not word.startswith("-")), ""))
    if known is None:
        return 0
    if talk.verbose:
        console.write_stderr("".join(traceback.format_exception(error)).rstrip())
    talk.error(known)
    return known.exit_code


def _tell_fault(error: Exception, talk: console.Talk) -> int:
    """A fault of the tool: told in a line, with the traceback for those who ask."""
    if talk.verbose:
        console.write_stderr("".join(traceback.format_exception(error)).rstrip())
    console.write_stderr(
        console.printable(f"error: {type(error).__name__}: {error}")
        + " - this looks like a fault of mfv2a; run again with --verbose and report it"
    )
    return 1


@contextmanager
def _signals_interrupt() -> Iterator[list[int]]:
    """Makes SIGTERM, and a terminal that is closed, end the work as Ctrl-C does: nothing half written, a whole report.

    Yields:
        The signals that came, the last one last. SIGHUP counts where it would end a process: `nohup` has it ignored.
    """
    came: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if HANGUP in before:  # shells, terminals and the system each send one: they are not to hurry us
            signal.signal(HANGUP, signal.SIG_IGN)
        raise Terminated

    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():  # only the main thread may set handlers
        for number in (signal.SIGTERM, HANGUP):
            if number == signal.SIGTERM or (number and signal.getsignal(number) == signal.SIG_DFL):
                before[number] = signal.signal(number, interrupt)
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
