"""A file of lines that only grows, opened once however many lines are added and read again.

A line is known by the byte it begins at. This module does not know what the lines say.
"""

from __future__ import annotations

import os
import threading
import weakref
from pathlib import Path

_A_LINE = 8192  # bytes read at once: most lines of a report are shorter


class Lines:
    """Lines of one file, added at its end and read by place; several threads may read while one adds.

    Args:
        path: of the file; it is made by the first line that is added.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reading: _Handle | None = None
        self._adding: _Handle | None = None

    def read(self, place: int) -> bytes:
        """The line that begins at a byte, its newline included, or what there is of it.

        Raises:
            OSError: the file cannot be read.
        """
        if self._reading is None or self._reading.gone:
            self._reading = _Handle(self.path, os.O_RDONLY)
        line = b""
        while part := self._reading.read(place + len(line), _A_LINE):
            line += part
            if b"\n" in part:
                return line[: line.index(b"\n") + 1]
        return line

    def add(self, line: bytes, *, lasting: bool) -> int:
        """Adds a line; after one that a crash cut, a fresh one begins.

        Args:
            line: with its newline.
            lasting: come back only when it is on the disk itself.

        Returns:
            Where it begins.

        Raises:
            OSError: it cannot be written; what was written of it is passed over by the next line.
        """
        adding, self._adding = self._adding, None  # after an error it is opened, and looked at, anew
        cut = False
        if adding is None or adding.gone:
            adding = _Handle(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
            cut = adding.size > 0 and adding.read(adding.size - 1, 1) != b"\n"
        place = adding.size + cut
        adding.write(b"\n" + line if cut else line)
        if lasting:
            adding.sync()
        self._adding = adding
        return place


class _Handle:
    """An open file that closes itself when nothing needs it."""

    def __init__(self, path: Path, flags: int) -> None:
        number = os.open(path, flags | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0), 0o666)
        self._number, self._lock = number, threading.Lock()
        weakref.finalize(self, os.close, number)

    @property
    def gone(self) -> bool:
        """Whether the file was removed: what is written would be lost with it."""
        return os.fstat(self._number).st_nlink == 0

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return os.fstat(self._number).st_size

    def read(self, place: int, most: int) -> bytes:
        """Up to so many bytes from a place."""
        with self._lock:  # where it reads is one for all threads; writing always is at the end
            os.lseek(self._number, place, os.SEEK_SET)
            return os.read(self._number, most)

    def write(self, data: bytes) -> None:
        """All of the data, at the end."""
        while data:
            data = data[os.write(self._number, data) :]

    def sync(self) -> None:
        """To the disk itself."""
        os.fsync(self._number)
