"""A full disk, whoever tells of it, and files that appear whole or not at all.

What is written is the caller's. Files of which several processes may leave parts behind have names of their own
(`media.temporary`).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mfv2a.errors import StartError

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
DISK_IS_FULL = ("No space left on device", "Disk quota exceeded")
"""The words of libraries and programs that hand on no number."""


def is_disk_full(error: BaseException) -> bool:
    """Whether this is a full disk, told by its number or in words, of the message or of its details."""
    words = f"{error} {getattr(error, 'detail', '')}"
    return getattr(error, "errno", None) in DISK_FULL or any(each in words for each in DISK_IS_FULL)


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
        if isinstance(error, OSError) or is_disk_full(error):
            raise cannot_write(path, error) from error
        raise


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A hidden name beside a file for as long as it is not whole; whatever fails leaves nothing of it.

    Args:
        path: of the file, which is replaced at the end; its folder is made.

    Raises:
        StartError: the disk is full, or the file cannot be written.
    """
    pending = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with telling(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield pending
            pending.replace(path)
    finally:
        with suppress(OSError):
            pending.unlink(missing_ok=True)
