"""Whether a file holds as much as it promises: a download or a copy that broke off does not.

Looks at the headers of sound files, WAV (RIFF, RF64) and FLAC, and at the blocks of GIF; other files promise nothing
here. Lengths that writers to a pipe leave open are no promise. This file does not know what is heard or seen.

Source of GIF's blocks: "Graphics Interchange Format, Version 89a", CompuServe, 1990, sections 15 to 27.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

from mfv2a.errors import MediaError

_OPEN_BYTES = 0x7FFFF000  # from here on 32 bits say "unknown": writers to a pipe put 2 or 4 GiB there
_FLAC_BITS = 36  # of the number of samples in a FLAC file's first block
_WIDE_OPEN_BYTES = 1 << 62


def check_complete(path: Path, num_samples: int) -> None:
    """Refuse a sound file that ends before its header says.

    Args:
        path: of the file.
        num_samples: that could be read of it, at its own rate.

    Raises:
        MediaError: it does, or cannot be opened.
    """
    try:
        with path.open("rb") as file:
            head = file.read(12)
            if head[:4] == b"fLaC":
                held, promised = num_samples, _flac_samples(file)
            elif head[:4] in (b"RIFF", b"RF64") and head[8:] == b"WAVE":
                held, promised = _wave_bytes(file)
            else:
                return
    except OSError as error:
        raise MediaError(path, f"cannot be read ({error.strerror})") from error
    if held < promised:
        words = f"is cut off: {100 * held // promised} % of the sound that its header promises is there"
        raise MediaError(path, words, hint="copy or download it again")


def _flac_samples(file: IO[bytes]) -> int:
    """What the first block of a FLAC file says, 0 for nothing."""
    file.seek(8 + 10)
    return int.from_bytes(file.read(8), "big") & ((1 << _FLAC_BITS) - 1)


def _wave_bytes(file: IO[bytes]) -> tuple[int, int]:
    """Bytes of sound that are there, and that a WAV file promises; 0 for no promise."""
    end, wide_bytes = os.fstat(file.fileno()).st_size, 0
    while len(head := file.read(8)) == 8:
        name, size = head[:4], int.from_bytes(head[4:], "little")
        begin = file.tell()
        if name == b"ds64":
            wide_bytes = int.from_bytes(file.read(16)[8:], "little")
        if name == b"data":
            is_open = size >= _OPEN_BYTES
            promised = wide_bytes if is_open and wide_bytes < _WIDE_OPEN_BYTES else 0 if is_open else size
            return end - begin, promised
        file.seek(begin + size + size % 2)
    return 0, 0


def is_gif_cut(path: Path) -> bool:
    """Whether a GIF file ends in the middle of a block; that it has no trailer is no fault."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(13)
        if len(head) < 13:
            return True
        file.seek(_colours(head[10]), os.SEEK_CUR)
        while kind := file.read(1):
            if kind == b"!":  # an extension: its label, then its parts
                file.seek(1, os.SEEK_CUR)
            elif kind == b",":  # a picture: its place, its colours, the width of its codes, then its parts
                place = file.read(9)
                file.seek(_colours(place[8]) + 1 if len(place) == 9 else size, os.SEEK_CUR)
            else:
                return False  # the trailer, or what is no GIF any more
            while (length := file.read(1)) not in (b"", b"\0"):
                file.seek(length[0], os.SEEK_CUR)
            if not length:
                return True
        return file.tell() > size


def _colours(flags: int) -> int:
    """Bytes of the table of colours that follows, by the flags of a screen or a picture."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0
