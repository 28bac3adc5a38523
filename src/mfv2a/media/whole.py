"""Files written whole: a hidden name beside until all of it is there, then moved into place.

Where a name leads is kept: what a link points at is replaced, not the link; a device, a pipe or an open descriptor that
is there already is written into. This file does not know what is written.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from mfv2a.errors import ConfigError, MediaError
from mfv2a.media.temporary import part_path

_DESCRIPTORS = re.compile(r"/dev/fd|/proc/(self|thread-self|\d+)(/task/\d+)?/fd")
_MOST_LINKS = 40


def find_place(path: Path) -> tuple[Path, bool]:
    """Where a name leads, and whether what is there is written into rather than replaced.

    Raises:
        OSError: links that lead in a circle.
    """
    for _ in range(_MOST_LINKS):
        if _DESCRIPTORS.fullmatch(str(path.absolute().parent.resolve())):
            return path, True
        if not path.is_symlink():
            return path.resolve(), path.exists() and not path.is_file()
        path = path.parent / path.readlink()
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))


def put_whole(path: Path, data: bytes, *, waits: bool = True) -> None:
    """Write a file that appears whole or not at all; a device, a pipe or a descriptor gets the bytes as they are.

    Args:
        path: of the file.
        data: what it shall hold.
        waits: for whoever reads a pipe; else nobody who reads, or who reads too slowly, is an error.

    Raises:
        OSError: it cannot be written.
    """
    place, is_stream = find_place(path)
    if is_stream:
        with open(place, "ab", opener=None if waits else _open_at_once) as file:
            file.write(data)
        return
    replace_whole(place, data)


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def replace_whole(path: Path, data: bytes) -> None:
    """Put a file in the place of whatever is there, a link too, under a temporary name until it is whole.

    Raises:
        OSError: it cannot be written.
    """
    part = part_path(path)
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def write_whole(path: Path, data: str | bytes) -> None:
    """`put_whole` of a text or bytes; of names that are no UTF-8 the odd bytes are escaped.

    Raises:
        MediaError: it cannot be written.
    """
    try:
        put_whole(path, data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data)
    except OSError as error:
        words = f"cannot be written ({error.strerror or error})"
        raise MediaError(path, words, hint="check the folder") from error


def check_targets(*paths: Path | None) -> None:
    """Refuse files that cannot be written, before anything is made; each folder is tried with a file that goes again.

    Raises:
        ConfigError: there is a folder in the place of one, or none to hold it; it cannot be written; two are the same.
    """
    taken: set[Path] = set()
    for path in paths:
        if path is None:
            continue
        if not path.absolute().parent.is_dir():
            raise ConfigError(f"{path.parent} is no folder", hint="make it first")
        if path.is_dir():
            raise ConfigError(f"{path} is a folder", hint="name a file")
        try:
            place, is_stream = find_place(path)
            if not is_stream:
                _try_folder(place)
            elif not os.access(place, os.W_OK):
                raise OSError(errno.EACCES, os.strerror(errno.EACCES), str(place))
        except OSError as error:
            raise ConfigError(f"{path} cannot be written ({error.strerror or error})", hint="name another") from error
        if place in taken and not is_stream:
            raise ConfigError(f"two outputs would be one file, {path}", hint="give each a name of its own")
        taken.add(place)


def _try_folder(place: Path) -> None:
    part = part_path(place)
    try:
        part.touch(exist_ok=False)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def check_apart(targets: Iterable[Path | None], inputs: Iterable[Path]) -> None:
    """Refuse an output that would replace what is read.

    Raises:
        ConfigError: one would.
    """
    read = {path.resolve() for path in inputs}
    for path in targets:
        if path is not None and path.resolve() in read:
            raise ConfigError(f"{path} would replace a file that is read", hint="give the output another name")
