"""Stand-ins for files that are elsewhere: empty files that state a size and a time, and take no room."""

from __future__ import annotations

import os
from pathlib import Path

from mfv2a.media.temporary import part_path

UNTOLD_BYTES = 1  # of a stand-in for a file whose size nobody tells


def stand_in(path: Path, size_bytes: int | None, mtime_ns: int) -> None:
    """Puts a stand-in in a file's place; the folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = part_path(path)
    with part.open("wb") as file:
        file.truncate(UNTOLD_BYTES if size_bytes is None else size_bytes)
    os.utime(part, ns=(mtime_ns, mtime_ns))
    part.replace(path)


def is_stand_in(path: Path) -> bool:
    """Whether a file only stands for one that is elsewhere: it has a size and takes no room."""
    status = path.stat()
    return status.st_size > 0 and getattr(status, "st_blocks", 1) == 0
