"""What is being written into a folder: a list in a file, which a killed run leaves to the next one.

A line for each output that is about to be written, and a line for those of them that the report knows by now. This
module does not know who may write.
"""

from __future__ import annotations

import errno
import json
import os
from contextlib import suppress
from typing import IO, NamedTuple


class Claim(NamedTuple):
    """An output that is being written.

    Attributes:
        before: what tells the file that lay there when it was claimed; None if there was none, or none that is known.
        lasting: if another lies there in the end, and was not told, the next run has to know of it.
    """

    before: tuple[int, ...] | None = None
    lasting: bool = True


def end_line(file: IO[bytes]) -> None:
    """Ends a line that was cut when its run was killed: the next one is not to be taken for its rest."""
    if file.seek(0, os.SEEK_END):
        file.seek(-1, os.SEEK_END)
        if file.read(1) != b"\n":
            with suppress(OSError):
                file.write(b"\n")


def append(file: IO[bytes], line: bytes) -> None:
    """Adds to a lock's file, which is not buffered, in one write: whole or not at all.

    Raises:
        OSError: not at all.
    """
    before = os.fstat(file.fileno()).st_size
    if file.write(line) != len(line):
        file.truncate(before)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def identity(name: str) -> tuple[int, ...] | None:
    """What tells a file from another that was put in its place, None if there is none."""
    try:
        there = os.lstat(name)
    except OSError:
        return None
    return there.st_ino, there.st_size, there.st_mtime_ns


def read_claims(file: IO[bytes]) -> list[tuple[str, str]]:
    """The outputs, with their sources, that a lock's file names and of which it does not say that they were told."""
    file.seek(0)
    left: dict[str, str] = {}
    for line in (file.read() or b"").splitlines():
        with suppress(ValueError, KeyError, TypeError):  # a line that was cut
            record = json.loads(line)
            if "told" in record:
                for output in record["told"]:
                    left.pop(str(output), None)
            else:
                left[str(record["output"])] = str(record["source"])
    return list(left.items())
