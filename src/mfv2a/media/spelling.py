"""Names that differ in case, or in how accents are written: which mean one file, and as what a folder lists it.

A Mac's file system, and what cameras and sticks are formatted with, takes "Clip.mp4" for "clip.mp4"; a Mac's also "é"
in one character for "e" and its accent, as which its own programs write it.
"""

from __future__ import annotations

import os
import tempfile
import unicodedata
from contextlib import suppress
from functools import cache
from pathlib import Path


def composed(name: str) -> str:
    """One spelling of accents, by which names of different systems are compared."""
    return unicodedata.normalize("NFC", name)


def spelled_here(path: Path) -> Path:
    """A path whose last part is spelled as its folder has it, where another spelling of accents is meant.

    Args:
        path: that may not be there under this very name.

    Returns:
        The path of the file that is there; the path itself if it, or none, is.
    """
    if not os.path.lexists(path):
        for name in (composed(path.name), unicodedata.normalize("NFD", path.name)):
            if os.path.lexists(path.with_name(name)):
                return path.with_name(name)
    return path


def are_spelled_alike(first: str, second: str, folder: Path) -> bool:
    """Whether two names mean one file in a folder that is there: it may not care for case, or for accents' spelling."""
    no_case, no_accents = ignored_in(folder)
    if no_accents:
        first, second = composed(first), composed(second)
    if no_case:
        first, second = first.lower(), second.lower()
    return first == second


@cache
def ignored_in(folder: Path) -> tuple[bool, bool]:
    """Whether case, and whether the spelling of accents, does not count in a folder; not where that cannot be tried."""
    with suppress(OSError), tempfile.NamedTemporaryFile(dir=folder, prefix=".mfv2a-Caf\u00e9-") as file:
        here = Path(file.name)
        others = here.name.swapcase(), unicodedata.normalize("NFD", here.name)
        no_case, no_accents = (os.path.lexists(here.with_name(name)) for name in others)
        return no_case, no_accents
    return False, False


class Listings:
    """Folders as they are listed, each read once: how a file that was named is spelled there."""

    def __init__(self) -> None:
        self._names: dict[Path, frozenset[str]] = {}
        self._alike: dict[Path, dict[str, list[str]]] = {}

    def spelled(self, path: Path) -> Path:
        """A path that is there, its last part as its folder lists it; the path itself where that cannot be told."""
        folder = path.parent
        if folder not in self._names:
            self._names[folder] = frozenset()
            with suppress(OSError):
                self._names[folder] = frozenset(entry.name for entry in folder.iterdir())
        if path.name in self._names[folder]:
            return path
        if folder not in self._alike:
            self._alike[folder] = {}
            for name in self._names[folder]:
                self._alike[folder].setdefault(composed(name).lower(), []).append(name)
        others = map(path.with_name, self._alike[folder].get(composed(path.name).lower(), ()))
        return next((other for other in others if same_file(other, path)), path)


def same_file(first: Path, second: Path) -> bool:
    """Whether two paths, which may lead nowhere, are one or lead to one file."""
    if os.path.normcase(first) == os.path.normcase(second):
        return True
    with suppress(OSError):
        return first.samefile(second)
    return False
