"""Words of the command line -> the videos they name and the place of each in the output tree.

Only names are looked at here; no file is opened, and names alone are kept, so that there may be very many. The output
folder and everything the tool wrote are never inputs.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, overload

from mfv2a.errors import ConfigError, StartError
from mfv2a.jobs.report import absolute
from mfv2a.jobs.reported import written_files
from mfv2a.media.spelling import Listings, same_file
from mfv2a.media.store import ACCESS_HINT

VIDEO_SUFFIXES = frozenset(
    {".3g2", ".3gp", ".amv", ".apng", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".gif", ".h264", ".h265"}
    | {".hevc", ".ivf", ".m1v", ".m2ts", ".m2v", ".m4v", ".mj2", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4"}
    | {".mpe", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".ogm", ".ogv", ".qt", ".rm", ".rmvb", ".roq", ".swf"}
    | {".ts", ".vob", ".webm", ".wmv", ".wtv", ".y4m"}
)


@dataclass(frozen=True, slots=True)
class Found:
    """One input.

    Attributes:
        source: the file, as the user named it.
        relative: its place under the output folder, with the source's own suffix.
    """

    source: Path
    relative: Path


class Videos(Sequence[Found]):
    """Inputs, however many: of each two pieces of text are kept.

    Args:
        names: source and place of each.
    """

    def __init__(self, names: Iterable[tuple[str, str]] = ()) -> None:
        self.names = tuple(names)

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> Found: ...
    @overload
    def __getitem__(self, index: slice) -> Videos: ...
    def __getitem__(self, index: int | slice) -> Found | Videos:
        if isinstance(index, slice):
            return Videos(self.names[index])
        source, relative = self.names[index]
        return Found(Path(source), Path(relative))


class Missing(NamedTuple):
    """A name that led nowhere, why, and what to do."""

    path: Path
    reason: str
    hint: str = "check the path"


@dataclass(frozen=True, slots=True)
class Discovery:
    """What the words of a command line led to.

    Attributes:
        found: the inputs in the order of the arguments, folders sorted by name.
        missing: names that led nowhere, each with the reason.
        notes: what was left out on purpose, a sentence each.
        others: inputs that other runs dub.
    """

    found: Videos
    missing: tuple[Missing, ...]
    notes: tuple[str, ...]
    others: Videos = field(default_factory=Videos)


def find_videos(
    arguments: Sequence[str], out: Path, roots: Sequence[Path] = (), faults: Mapping[str, str] = MappingProxyType({})
) -> Discovery:
    """Finds the videos that the arguments name.

    A folder is searched recursively, symlinks included, for files with a video's suffix; a file named
    outright is taken whatever its suffix; a name that does not exist but holds `*`, `?` or `[` is a glob. The
    place of a file in the output tree is relative to its folder argument, else to the root or working directory that
    holds it, else its name alone.

    Args:
        arguments: files, folders and globs.
        out: the output folder; it need not exist.
        roots: folders that stand for others elsewhere.
        faults: arguments that stand for what could not be asked for, and why.

    Returns:
        The inputs, at least one.

    Raises:
        ConfigError: an output would be its own input, or all inputs lie in the output folder.
        StartError: nothing was found.
    """
    finder = _Finder(out, roots, faults)
    for argument in arguments:
        finder.add(argument)
    discovery = Discovery(Videos(finder.found.values()), tuple(finder.missing), tuple(finder.notes))
    if discovery.found:
        return discovery
    if finder.inside_out:
        raise ConfigError(
            f"{finder.inside_out[0]} is, or lies in, the output folder, which is never an input",
            hint="choose an --out that does not hold the videos",
        )
    if discovery.missing:
        path, reason, hint = discovery.missing[0]
        raise StartError(f"nothing to dub: {path}: {reason}", hint=hint)
    if discovery.notes:
        raise StartError(f"nothing to dub: {discovery.notes[0]}", hint="name other videos")
    where = ", ".join(arguments) or "no path was given"
    raise StartError(f"no videos found: {where}", hint="name a video, a folder with videos in it, or a glob in quotes")


class _Finder:
    """Collects the inputs of one command line."""

    def __init__(self, out: Path, roots: Sequence[Path], faults: Mapping[str, str]) -> None:
        self.found: dict[str, tuple[str, str]] = {}
        self.missing: list[Missing] = []
        self.notes: list[str] = []
        self.inside_out: list[Path] = []
        self._out, self._roots, self._faults = out, roots, faults
        self._out_real = _real(out)
        self._written: set[str] = set()
        self._reports_read: set[Path] = set()
        self._listings = Listings()

    def add(self, argument: str) -> None:
        """Takes one argument: a path that exists, else a glob."""
        path = Path(argument)
        if argument in self._faults:
            self.missing.append(Missing(path, self._faults[argument], ACCESS_HINT))
        elif os.path.lexists(path):
            self._add_path(path)
        elif glob.has_magic(argument):
            self._add_glob(argument)
        else:
            self.missing.append(Missing(path, "no such file or folder"))

    def _add_path(self, path: Path) -> None:
        for parent in absolute(path).parents:
            self._read_report(parent)
        if path.is_dir():
            self._add_folder(path)
        elif path.exists() and not path.is_file():
            self.missing.append(Missing(path, "not a regular file"))
        else:
            self._add_file(path)

    def _add_glob(self, pattern: str) -> None:
        # Path.glob would take no absolute pattern
        matches = [Path(match) for match in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207
        if not matches:
            self.missing.append(Missing(Path(pattern), "no file matches this pattern"))
        named_suffix = Path(pattern).suffix
        any_suffix = bool(named_suffix) and not glob.has_magic(named_suffix)
        for match in matches:
            if match.is_dir():
                if "**" not in pattern:  # `**` has listed the files of this folder already
                    self._add_path(match)
            elif any_suffix or match.suffix.lower() in VIDEO_SUFFIXES:
                self._add_path(match)

    def _add_file(self, path: Path) -> None:
        path = self._listings.spelled(path)
        whole = absolute(path)
        holders = (each for each in (*self._roots, Path.cwd()) if whole.is_relative_to(each))
        relative = whole.relative_to(next(holders, whole.parent))
        if same_file(whole, absolute(self._out / relative)):
            raise ConfigError(
                f"{path} would be overwritten: its output is the file itself",
                hint="choose another --out; the source is never touched",
            )
        if str(whole) in self._written:
            self.notes.append(f"{path} was left out: mfv2a wrote it")
        elif _real(whole).is_relative_to(self._out_real):
            self.inside_out.append(path)
            self.notes.append(f"{path} was left out: it lies in the output folder")
        else:
            self.found.setdefault(str(whole), (str(path), str(relative)))

    def _add_folder(self, folder: Path) -> None:
        if _real(folder).is_relative_to(self._out_real):
            self.inside_out.append(folder)
            self.notes.append(f"{folder} was left out: it is, or lies in, the output folder")
            return
        before, left_out = len(self.found), 0
        root, whole_root = str(folder), os.path.abspath(folder)  # noqa: PTH100 - symlinks are kept
        for relative, linked in self._walk_with_links(folder):
            whole = os.path.join(whole_root, relative)  # noqa: PTH118 - a hundred thousand Paths are slow
            if whole in self._written or (linked and _real(Path(whole)).is_relative_to(self._out_real)):
                left_out += 1
            else:
                self.found.setdefault(whole, (os.path.join(root, relative), relative))  # noqa: PTH118
        if left_out:
            self.notes.append(f"{folder}: {left_out} left out because mfv2a wrote them")
        elif len(self.found) == before:
            self.notes.append(f"{folder} holds no videos")

    def _walk_with_links(self, folder: Path) -> Iterator[tuple[str, bool]]:
        """Yields the videos below a folder by name, and whether a link leads to each.

        Folders that only links lead to come last, so that no link takes the place of the folder itself. A folder that
        is reached again, as in a loop, is not entered.
        """
        seen, links = {_real(folder)}, list[tuple[Path, str]]()
        yield from self._walk(folder, "", seen, links, linked=False)
        while links:
            path, place = links.pop(0)
            if _real(path) not in seen:
                seen.add(_real(path))
                yield from self._walk(path, place, seen, links, linked=True)

    def _walk(
        self, folder: Path, relative: str, seen: set[Path], links: list[tuple[Path, str]], *, linked: bool
    ) -> Iterator[tuple[str, bool]]:
        """Yields what lies below a folder itself; links to folders are put into `links`."""
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            self.missing.append(Missing(folder, f"the folder cannot be read: {error.strerror}"))
            return
        self._read_report(absolute(folder))
        for entry in entries:
            if entry.name.startswith("."):  # hidden: temporary names, and what other systems leave (._clip.mp4)
                continue
            place = os.path.join(relative, entry.name)  # noqa: PTH118
            by_link = linked or entry.is_symlink()
            if _leads(entry.is_dir):
                real = _real(Path(entry.path))
                above = _real(folder).is_relative_to(real)  # a link to a parent: the way round a loop
                if real in seen or above or real == self._out_real:
                    continue
                if entry.is_symlink():
                    links.append((Path(entry.path), place))
                    continue
                seen.add(real)
                yield from self._walk(Path(entry.path), place, seen, links, linked=by_link)
            elif _suffix(entry.name) in VIDEO_SUFFIXES and (entry.is_symlink() or _leads(entry.is_file)):
                yield place, by_link

    def _read_report(self, folder: Path) -> None:
        if folder not in self._reports_read:
            self._reports_read.add(folder)
            self._written |= written_files(folder)


def bare_name(relative: str) -> str:
    """A place in the output tree without the suffix of a video: what all of its outputs begin with."""
    suffix = _suffix(relative)
    return relative[: -len(suffix)] if suffix in VIDEO_SUFFIXES else relative


def _suffix(name: str) -> str:
    """The suffix in lower case, with its dot."""
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - a hundred thousand Paths are slow


def _leads(asked: Callable[[], bool]) -> bool:
    """What an entry of a folder says of where it leads; a link into nowhere, or in a circle, leads nowhere."""
    try:
        return asked()
    except OSError:
        return False


def _real(path: Path) -> Path:
    """The path with all symlinks followed as far as they lead; a loop is left as it is."""
    return Path(os.path.realpath(path))
