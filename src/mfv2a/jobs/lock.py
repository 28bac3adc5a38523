"""One run at a time in an output folder, and what a killed run was about to write.

The lock is the system's: it dies with its process, however that ends. The file under it lists the outputs that are
being written, so that the next run knows them as ours; it is removed when a run ends in order. This module does not
know how an output is made.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import IO

from mfv2a.errors import StartError
from mfv2a.jobs.report import DISK_FULL, Report, absolute, encode_json
from mfv2a.media.temporary import parts_of

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # not on Windows: there two runs are not kept apart
    fcntl = None

LOCK_NAME = ".mfv2a.lock"


class FolderLock:
    """The right to write into one output folder.

    Args:
        file: the lock's file, open and locked.
        path: its name.
    """

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._file, self._path = file, path
        file.seek(0)
        lines = (file.read() or b"").splitlines()
        self._left = [claim for claim in map(_claim, lines) if claim is not None]
        self._untold: set[str] = set()

    def recover(self, report: Report) -> int:
        """Takes in what a killed run left: its outputs become ours to replace, its temporary files are removed.

        Returns:
            Outputs that it was at.
        """
        known = report.source_of
        unfinished = [(output, source) for output, source in self._left if known(Path(output)) is None]
        self._untold |= {output for output, _ in unfinished}
        for output, source in self._left:
            report.claim(output, source)
        for output, _ in self._left:
            for part in parts_of(Path(output)):
                with suppress(OSError):
                    part.unlink()
        return len(unfinished)

    def claim(self, output: Path, source: Path) -> None:
        """Says that an output is about to be written. May be called by several threads."""
        if not os.path.lexists(output):
            self._untold.add(str(absolute(output)))
        record = {"output": str(absolute(output)), "source": str(absolute(source))}
        self._file.write(encode_json(record))  # one write: the file is not buffered

    def tell(self, *outputs: Path | None) -> None:
        """Says that the report knows these outputs now."""
        self._untold -= {str(absolute(output)) for output in outputs if output is not None}

    def release(self) -> None:
        """Lets others in; the file stays only for an output that is there and that the report does not know."""
        if not any(map(os.path.lexists, self._untold)):
            with suppress(OSError):
                self._path.unlink()
        self._file.close()


@contextmanager
def locked(folder: Path) -> Iterator[FolderLock]:
    """Keeps other runs out of a folder while the block runs.

    Raises:
        StartError: another run is writing there, or nothing can be written there.
    """
    lock = _take(folder)
    try:
        yield lock
    finally:
        lock.release()


def _take(folder: Path) -> FolderLock:
    path = folder / LOCK_NAME
    while True:
        try:
            file = path.open("ab+", buffering=0)
        except OSError as error:
            full = error.errno in DISK_FULL
            raise StartError(
                f"--out {folder}: {'the disk is full' if full else f'nothing can be written there: {error.strerror}'}",
                hint="free some space" if full else "make the folder writable or choose another --out",
            ) from error
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise StartError(
                f"--out {folder}: another run of mfv2a is writing into this folder",
                hint="wait until it is done, or choose another --out",
            ) from None
        except OSError:  # a file system without locks: go on without
            pass
        with suppress(OSError):
            if os.fstat(file.fileno()).st_ino == path.stat().st_ino:
                return FolderLock(file, path)
        file.close()  # the other run ended in between and took the file away


def _claim(line: bytes) -> tuple[str, str] | None:
    """Output and source of a line; None for one that was cut."""
    try:
        record = json.loads(line)
        return str(record["output"]), str(record["source"])
    except (ValueError, KeyError, TypeError):
        return None
