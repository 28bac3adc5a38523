"""The output folder of a batch: whether it can be one, and making it. What goes into it is not known here."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mfv2a.disk import is_disk_full
from mfv2a.errors import ConfigError, StartError
from mfv2a.jobs.report import absolute


def check_folder(out: Path) -> None:
    """Refuses an output folder that can never be one, before anything runs.

    Raises:
        ConfigError: something that is no folder is in its place.
    """
    for path in (absolute(out), *absolute(out).parents):
        if os.path.lexists(path):
            if not path.is_dir():
                raise ConfigError(f"--out {out}: {path} is not a folder", hint="choose another --out")
            return


def make_folder(out: Path) -> Callable[[], None]:
    """Makes the output folder.

    Returns:
        What takes it away again, with the folders above it that were made for it, as far as nothing is in them.

    Raises:
        StartError: it cannot be made.
    """
    made = [path for path in (absolute(out), *absolute(out).parents) if not path.exists()]
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        full = is_disk_full(error)
        raise StartError(
            f"--out {out} cannot be made: {'the disk is full' if full else error.strerror}",
            hint="free some space" if full else "choose another --out",
        ) from error

    def unmake() -> None:
        with suppress(OSError):
            for path in made:
                path.rmdir()

    return unmake
