"""The ffmpeg program: find it, ask what it can do, run it and keep its last words.

The only place of the package that starts another program. This file does not know what is being made: the
command comes from `media.mux` or `media.audio`, built with ffmpeg-python.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import ffmpeg as ffmpeg_python

from mfv2a.disk import DISK_IS_FULL
from mfv2a.errors import FfmpegMissingError, MediaError, StartError
from mfv2a.media.patience import check_writing

ENV_FFMPEG = "MFV2A_FFMPEG"
DETAIL_LINES = 20
LOOK_S = 0.25  # how often it is asked whether to go on waiting
FORBIDDEN = ("Operation not permitted", "Permission denied", "Read-only file system")
SPOILED = (*DISK_IS_FULL, "Error writing trailer", "Error closing file")  # ffmpeg 5.1 may end with 0 after these
ADDRESS = re.compile(r" @ 0x[0-9a-f]+")
REASON = re.compile(
    r"\[(?:out|[avs]?ost)#|Could not write|av_interleaved_write_frame|Error (?:writing|muxing|submitting)"
)
"""What the writing of a file says of itself; other lines may be of a decoder, which goes on."""
VAGUE = re.compile(r"Could not write header|Error while opening encoder")
PART = re.compile(r"\[(?:out|[avs]?ost)#[^/\]]*/([^\]]+)\]")
SCARCE = (errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM)
MISSING_HINT = f"install ffmpeg, or pip install imageio-ffmpeg, or set {ENV_FFMPEG} to the program"


def find_ffmpeg() -> Path:
    """Find the ffmpeg program: MFV2A_FFMPEG, else the one of imageio-ffmpeg, else the one on PATH.

    A program linked to one file starts in a fifth of the time of one with its hundred libraries, and one clip is one
    start; and what comes with the package is the same on every machine.

    Returns:
        Path of a program that can be run.

    Raises:
        FfmpegMissingError: none was found, or MFV2A_FFMPEG names none.
    """
    named = os.environ.get(ENV_FFMPEG)
    if named:
        found = shutil.which(named)
        if found is None:
            raise FfmpegMissingError(f"{ENV_FFMPEG}={named} is not a program", hint=f"correct {ENV_FFMPEG} or unset it")
        return Path(found)
    try:
        return bundled_ffmpeg()
    except FfmpegMissingError:
        found = shutil.which("ffmpeg")
        if found is None:
            raise
        return Path(found)


def bundled_ffmpeg() -> Path:
    """Find the program that comes with imageio-ffmpeg, or that IMAGEIO_FFMPEG_EXE tells it to take.

    Raises:
        FfmpegMissingError: there is none for this platform, or the variable names none.
    """
    try:
        import imageio_ffmpeg

        found = shutil.which(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError, OSError) as error:
        raise FfmpegMissingError("no ffmpeg program was found", hint=MISSING_HINT) from error
    if found is None:
        raise FfmpegMissingError("no ffmpeg program was found", hint=MISSING_HINT)
    return Path(found)


@lru_cache(maxsize=16)
def ffmpeg_version(ffmpeg: Path) -> str:
    """Ask a program for its version, such as "5.1.9-0+deb12u1".

    Raises:
        FfmpegMissingError: the program does not answer like ffmpeg.
    """
    words = ask_ffmpeg(ffmpeg, "-version").decode("utf-8", "replace").split()
    if words[:2] != ["ffmpeg", "version"] or len(words) < 3:
        raise FfmpegMissingError(f"{ffmpeg} is not ffmpeg", hint=MISSING_HINT)
    return words[2]


def has_encoder(ffmpeg: Path, name: str) -> bool:
    """Tell whether this ffmpeg can encode with `name` (such as "libopus"); asked once a program.

    Raises:
        FfmpegMissingError: the program cannot be run.
    """
    return name in _encoders(ffmpeg)


def has_option(ffmpeg: Path, muxer: str, name: str) -> bool:
    """Tell whether a muxer of this ffmpeg (such as "mov") has an option.

    Raises:
        FfmpegMissingError: the program cannot be run.
    """
    return f"-{name} " in ask_ffmpeg(ffmpeg, "-help", f"muxer={muxer}").decode("utf-8", "replace")


@lru_cache(maxsize=16)
def _encoders(ffmpeg: Path) -> frozenset[str]:
    table = ask_ffmpeg(ffmpeg, "-encoders").decode("utf-8", "replace")
    rows = (line.split() for line in table.splitlines())
    return frozenset(row[1] for row in rows if len(row) > 1 and row[0][:1] in ("A", "V", "S") and row[1] != "=")


def ask_ffmpeg(ffmpeg: Path, *arguments: str) -> bytes:
    """Run ffmpeg with a question and return what it printed.

    Raises:
        FfmpegMissingError: the program cannot be run, or it failed.
    """
    try:
        answer = subprocess.run(
            [str(ffmpeg), "-hide_banner", "-loglevel", "error", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise _not_run(ffmpeg, error) from error
    return answer.stdout


def _not_run(program: Path, error: Exception) -> FfmpegMissingError:
    """The error of a program that cannot be started, or not now."""
    scarce = isinstance(error, OSError) and error.errno in SCARCE
    hint = "raise what a process may have (ulimit -n, -u, -v), or use fewer --workers" if scarce else MISSING_HINT
    return FfmpegMissingError(f"{program} could not be run: {error}", hint=hint)


def compile_command(stream: Any, **files: Path) -> list[str]:
    """Turn an ffmpeg-python output stream into arguments.

    Args:
        stream: the output stream; its files are called by the names of `files`, for ffmpeg-python fails on names that
            are not UTF-8.
        files: name -> path. The path gets `file:` in front, since it may hold a colon or begin with a dash.
    """
    words = (str(word) for word in ffmpeg_python.get_args(stream))
    return [f"file:{files[word]}" if word in files else word for word in words]


def run_ffmpeg(
    arguments: Sequence[str],
    *,
    path: Path,
    stdin: bytes | Iterable[memoryview] | None = None,
    ffmpeg: Path | None = None,
    out: Path | None = None,
) -> None:
    """Run ffmpeg to its end.

    Args:
        arguments: what follows the program's name.
        path: the file that an error is about.
        stdin: bytes for an input named `pipe:0`, or blocks of them.
        ffmpeg: the program; found when None.
        out: the file that is written, where it is not `path`.

    Raises:
        MediaError: ffmpeg failed, or says that it could not write all; its first line on writing, else its first,
            is the message, its last 20 are `.detail`.
        StartError: the disk is full.
        FfmpegMissingError: the program is missing or cannot be run.
        OverdueError: it takes too long (see `media.patience`); the program is ended.
        Exception: what the maker of the blocks raised.
    """
    program = ffmpeg or find_ffmpeg()
    line = [str(program), "-nostdin", "-hide_banner", "-loglevel", "error", "-y", *arguments]
    try:
        child = subprocess.Popen(
            line,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            process_group=0,  # Ctrl-C is for us alone: what is being written is finished
        )
    except OSError as error:
        raise _not_run(program, error) from error
    try:
        talk = _wait(child, stdin)
    except BaseException:  # Ctrl-C or SIGTERM must not leave a child that goes on writing
        child.kill()
        child.wait()
        if child.stderr is not None:
            child.stderr.close()
        raise
    said = talk.decode("utf-8", "replace")
    if child.returncode != 0 or any(words in said for words in SPOILED):
        _raise_failure(said, child.returncode, path, out or path)


def _wait(child: subprocess.Popen[bytes], data: bytes | Iterable[memoryview] | None) -> bytes:
    """Feed a program and wait for its end, as long as there is patience; return what it said."""
    pipe, child.stdin = child.stdin, None  # `communicate` with a timeout forgets what it has not sent yet
    faults: list[BaseException] = []
    feeder = threading.Thread(target=_feed, args=(pipe, data, faults), daemon=True)
    feeder.start()
    while True:
        try:
            talk = child.communicate(timeout=LOOK_S)[1]
            break
        except subprocess.TimeoutExpired:
            check_writing()
    feeder.join()
    if faults:
        raise faults[0]
    return talk


def _feed(pipe: IO[bytes] | None, data: bytes | Iterable[memoryview] | None, faults: list[BaseException]) -> None:
    """Write blocks into a pipe and close it; what their maker raises is added to `faults`."""
    if pipe is None:
        return
    try:
        for block in [data] if isinstance(data, bytes) else data or ():
            try:
                pipe.write(block)
            except OSError:  # a program that ended before it read all says why itself
                break
    except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
        faults.append(error)
    with suppress(OSError):
        pipe.close()


def _reason(lines: Sequence[str]) -> str:
    """The line that tells why a file was not written: of the muxer or the encoder, where they say that much."""
    number = next((number for number, line in enumerate(lines) if REASON.match(line)), 0)
    if not VAGUE.search(lines[number]):
        return lines[number]
    part = PART.match(lines[number])
    if part is None:  # ffmpeg 5 names none
        return lines[max(0, number - 1)]
    return next((line for line in lines[:number] if line.startswith(f"[{part[1]}]")), lines[number])


def _raise_failure(talk: str, returncode: int, path: Path, out: Path) -> None:
    """Turn ffmpeg's last words into an error."""
    lines = [ADDRESS.sub("", line.strip()) for line in talk.splitlines() if line.strip()]
    if any(words in talk for words in DISK_IS_FULL):
        raise StartError(f"the disk is full: no room in {out.parent}", hint="free some space and run again")
    if "Error opening output" in talk and any(words in talk for words in FORBIDDEN):
        raise MediaError(path, f"its output cannot be written: {lines[0]}", hint=f"may files be made in {out.parent}?")
    if lines:
        message = _reason(lines)
    elif returncode == -getattr(signal, "SIGXFSZ", 0):
        told = "its output would be larger than a file is allowed to be here"
        raise MediaError(path, told, hint="raise the limit: ulimit -f unlimited")
    else:
        message = f"ffmpeg ended with code {returncode}"
    raise MediaError(path, f"ffmpeg: {message}", detail="\n".join(lines[-DETAIL_LINES:]))
