"""Where the randomness of a sound comes from: the run's seed and what the input holds, not its name."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

_MIB = 1 << 20


def content_key(path: Path) -> str:
    """Names a file by what it holds: its size and the SHA-256 of its first and last MiB.

    Args:
        path: a regular file.

    Returns:
        "<bytes>-<hex digest>"; the same for a copy of the file under any name.
    """
    with path.open("rb") as file:
        digest = hashlib.sha256(file.read(_MIB))
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _MIB))
        digest.update(file.read(_MIB))
    return f"{size}-{digest.hexdigest()}"


def whole_digest(path: Path) -> str:
    """SHA-256 of all that a file holds, in hex digits.

    Args:
        path: a regular file.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def clip_seed(run_seed: int, key: str, candidate: int = 0) -> int:
    """The seed of one clip: the same whatever the path, the order, the batch size or restarts.

    Args:
        run_seed: the run's seed.
        key: the content key of the clip.
        candidate: number of the attempt or variant.

    Returns:
        An int in [0, 2**63).
    """
    digest = hashlib.sha256(f"{run_seed}:{key}:{candidate}".encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def candidate_seed(seed: int, number: int) -> int:
    """The seed of one of several sounds of a clip; the first is the clip's own.

    Args:
        seed: of the clip, see `clip_seed`.
        number: of the candidate, from 1.

    Returns:
        An int in [0, 2**63).
    """
    if number == 1:
        return seed
    digest = hashlib.sha256(f"{seed}:candidate:{number}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
