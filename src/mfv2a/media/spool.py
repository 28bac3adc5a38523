"""Sound that is too long for memory: a file without a name that reads like an array.

The system removes the file with the last that uses it, however that ends.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ZEROS = bytes(1 << 20)


class Spool:
    """Samples that are written bit by bit and read as one array.

    Args:
        folder: on whose disk they are kept.

    Raises:
        OSError: nothing can be written there.
    """

    def __init__(self, folder: Path) -> None:
        self._file = _nameless(folder)
        self._length = 0
        self._wide: tuple[int, ...] = ()

    def __enter__(self) -> Spool:
        """Itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Closes the file; an array of it goes on."""
        self._file.close()

    def __len__(self) -> int:
        """Samples so far."""
        return self._length

    def append(self, block: NDArray[np.float32]) -> None:
        """Adds samples, [s] or [s, channels] as the ones before.

        Raises:
            OSError: the disk is full.
        """
        self._file.write(np.ascontiguousarray(block, dtype="<f4").data)
        self._length += len(block)
        self._wide = block.shape[1:]

    def array(self) -> NDArray[np.float32]:
        """All samples [S] or [S, channels], to be read only, as long as anybody holds it."""
        self._file.flush()
        return _mapped(self._file, (self._length, *self._wide), "r")


def kept(blocks: Iterable[NDArray[np.float32]], folder: Path | None) -> NDArray[np.float32]:
    """Puts blocks together.

    Args:
        blocks: [s] or [s, channels], at least one.
        folder: on whose disk they are kept; None for memory.

    Raises:
        OSError: the disk is full.
    """
    if folder is None:
        return np.concatenate(list(blocks))
    with Spool(folder) as spool:
        for block in blocks:
            spool.append(block)
        return spool.array()


def silence(shape: tuple[int, ...], folder: Path | None) -> NDArray[np.float32]:
    """Zeros that can be written over.

    Args:
        shape: of the array.
        folder: on whose disk they are kept; None for memory.

    Raises:
        OSError: the disk is full; found now, for later it could not be told.
    """
    if folder is None:
        return np.zeros(shape, dtype=np.float32)
    with _nameless(folder) as file:
        left = 4 * int(np.prod(shape))
        if hasattr(os, "posix_fallocate"):
            if left:
                os.posix_fallocate(file.fileno(), 0, left)
        else:
            while left > 0:
                left -= file.write(_ZEROS[:left])
            file.flush()
        return _mapped(file, shape, "r+")


def forget(samples: Any) -> None:
    """Lets go of the memory that an array of a spool has taken while it was read; others are left as they are."""
    mapped = getattr(samples, "_mmap", None)
    if mapped is not None and hasattr(mapped, "madvise"):
        import mmap

        mapped.madvise(mmap.MADV_DONTNEED)


def _nameless(folder: Path) -> Any:
    return tempfile.TemporaryFile(dir=folder, prefix=".mfv2a-")


def _mapped(file: Any, shape: tuple[int, ...], mode: Any) -> NDArray[np.float32]:
    """The array in a file; one of no samples cannot be mapped."""
    if 0 in shape:
        return np.zeros(shape, dtype=np.float32)
    samples: NDArray[np.float32] = np.memmap(file, dtype="<f4", mode=mode, shape=shape)
    return samples
