"""Sound that is too long for memory: a file without a name that reads like an array.

The system removes the file with the last that uses it, however that ends.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Spool:
    """Samples that are written bit by bit and read as one array.

    Args:
        folder: on whose disk they are kept.

    Raises:
        OSError: nothing can be written there.
    """

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder, prefix=".mfv2a-")  # noqa: SIM115 - it outlives this
        self._length = 0

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
        """Adds samples [S].

        Raises:
            OSError: the disk is full.
        """
        self._file.write(np.ascontiguousarray(block, dtype="<f4").data)
        self._length += len(block)

    def array(self) -> NDArray[np.float32]:
        """All samples [S], to be read only, as long as anybody holds it."""
        self._file.flush()
        if not self._length:
            return np.zeros(0, dtype=np.float32)
        samples: NDArray[np.float32] = np.memmap(self._file, dtype="<f4", mode="r", shape=(self._length,))
        return samples


def forget(samples: NDArray[Any]) -> None:
    """Lets go of the memory that an array of a spool has taken while it was read; others are left as they are."""
    mapped = getattr(samples, "_mmap", None)
    if mapped is not None and hasattr(mapped, "madvise"):
        import mmap

        mapped.madvise(mmap.MADV_DONTNEED)
