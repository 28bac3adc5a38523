"""Names that a file has until it is whole: hidden, in its own folder, and known by the name it will have.

Several processes may write into one folder: what one of them left behind is found without touching what the others
are at.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def part_path(path: Path) -> Path:
    """A temporary name beside `path`, another one each time it is asked for."""
    return path.parent / f"{_stem(path)}{uuid.uuid4().hex}.part"


def parts_of(path: Path) -> Iterator[Path]:
    """The temporary files that were begun for `path`, and what was made beside them under longer names."""
    return path.parent.glob(f"{_stem(path)}*.part*")


def remove_parts(*paths: Path | None) -> None:
    """Removes what was begun for these files and will not be finished: its writer is dead."""
    for path in paths:
        for part in () if path is None else parts_of(path):
            with suppress(OSError):
                part.unlink()


def _stem(path: Path) -> str:
    return f".mfv2a-{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}-"
