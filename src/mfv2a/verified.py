"""Which files were read and found good, with size, time and digest: kept in MFV2A_HOME, shared by all processes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from mfv2a.register import home_folder

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # not on Windows: there of two files read at once one may have to be read again
    fcntl = None

VERIFIED = "verified.json"


def remembered() -> dict[str, dict[str, Any]]:
    """What is known of each file, by its absolute path."""
    try:
        found = json.loads((home_folder() / VERIFIED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def remember(key: str, facts: dict[str, Any]) -> None:
    """Add to what is known; a folder that cannot be written costs another look next time, nothing else.

    Args:
        key: the file's absolute path.
        facts: its name, stamp, digest, and whether that was trusted.
    """
    path = home_folder() / VERIFIED
    pending = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(path.with_suffix(".lock")):
            pending.write_text(json.dumps({**remembered(), key: facts}, indent=1), encoding="utf-8")
            pending.replace(path)
    except OSError:
        with suppress(OSError):
            pending.unlink(missing_ok=True)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Hold a lock that dies with its process; where the file system has none, go on without."""
    with lock.open("a") as file:
        if fcntl is not None:
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX)
        yield
