"""A full disk, whoever tells of it, and files that appear whole or not at all.

What is written is the caller's. Files of which several processes may leave parts behind have names of their own
(`media.temporary`).
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mfv2a.errors import StartError

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
NO_PLACE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR})
DISK_IS_FULL = ("No space left on device", "Disk quota exceeded")
"""The words of libraries and programs that hand on no number."""
RUST = re.compile(r"\(os error (\d+)\)")
"""How libraries written in Rust end their words."""
LEFT_S = 3600.0
"""What is as old as this and not whole was left by a process that was killed."""


def is_disk_full(error: BaseException) -> bool:
    """Whether this is a full disk, told by its number or in words, of the message or of its details."""
    words = f"{error} {getattr(error, 'detail', '')}"
    return getattr(error, "errno", None) in DISK_FULL or any(each in words for each in DISK_IS_FULL)


def is_of_system(error: BaseException) -> bool:
    """Whether the system refused something, told by the error's kind or in words."""
    return isinstance(error, OSError) or is_disk_full(error) or RUST.search(str(error)) is not None


def remove_left(folder: Path, pattern: str, *, older_s: float = 0.0) -> None:
    """Removes what processes left half written that were killed.

    Args:
        folder: where it lies.
        pattern: of its names.
        older_s: leave what is younger, for another process may be at it.
    """
    for left in folder.glob(pattern):
        with suppress(OSError):
            if time.time() - left.lstat().st_mtime >= older_s:
                shutil.rmtree(left) if left.is_dir() else left.unlink()


def write_hint(error: OSError, path: Path) -> str:
    """What to do about a file that cannot be written; "" where nothing is known."""
    if error.errno == errno.ENAMETOOLONG:
        return "give it a shorter name"
    return f"may files be made in {path.parent}?" if error.errno in NO_PLACE else ""


def cannot_write(path: Path, error: Exception) -> StartError:
    """The error of a place that cannot be written to."""
    full = is_disk_full(error)
    reason = "the disk is full" if full else f"cannot be written: {getattr(error, 'strerror', None) or error}"
    hint = "free some space" if full else "make the folder writable"
    return StartError(f"{path}: {reason}", hint=f"{hint}, then run the same command again")


@contextmanager
def telling(path: Path) -> Iterator[None]:
    """Tell of a path that cannot be written to, and why.

    Raises:
        StartError: within, the disk was full or the system refused.
    """
    try:
        yield
    except Exception as error:
        if is_of_system(error):
            raise cannot_write(path, error) from error
        raise


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A name in a hidden folder beside a file for as long as it is not whole; whatever fails leaves nothing of it.

    Libraries lay files of their own beside the one that they write: those, too, are in the folder.

    Args:
        path: of the file, which is replaced at the end; its folder is made.

    Raises:
        StartError: the disk is full, or the file cannot be written.
    """
    folder = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with telling(path):
            folder.mkdir(parents=True, exist_ok=True)
            yield folder / path.name
            (folder / path.name).replace(path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
