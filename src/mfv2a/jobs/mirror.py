"""A run whose videos or outputs lie behind URLs: it works on a folder of this disk that mirrors them.

For each file there, a stand-in lies here that states its size and time; so everything that goes by names, sizes and
times - what there is, what is done, what would collide - goes as on a disk. A video is fetched when it is looked at and
let go when it is settled. An output is uploaded as soon as it is whole: before it a claim, by which the next run knows
it as ours, and after it a commit marker, its line of the report. What has no marker is not done. In the end the markers
become the report, which is one file again.
"""

from __future__ import annotations

import glob
import logging
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mfv2a.errors import MediaError
from mfv2a.jobs.discover import VIDEO_SUFFIXES
from mfv2a.jobs.lock import LOCK_NAME, try_lock
from mfv2a.jobs.report import absolute, encode_json, result_record
from mfv2a.jobs.reported import REPORT_NAME, SHARD_REPORTS, names_beside
from mfv2a.media.remote import Remote, RemoteFile, is_stand_in, is_url, stand_in
from mfv2a.records import ItemResult

log = logging.getLogger(__name__)
MARKERS, CLAIM, MARKER = ".mfv2a", ".claim", ".json"
_STAGE = "mfv2a-stage-"


@dataclass(frozen=True, slots=True)
class Mirror:
    """Which folders here mirror which there; may be sent to other processes.

    Attributes:
        inputs: folders with stand-ins for videos, and what they stand for.
        out: the folder of the outputs here and there; None where it is an ordinary folder.
        report: the name of the report that the run writes.
    """

    inputs: tuple[tuple[Path, Remote], ...] = ()
    out: tuple[Path, Remote] | None = None
    report: str = REPORT_NAME

    def named(self, text: str) -> str:
        """A text with the names that people know: URLs in the place of what mirrors them."""
        for folder, remote in (*self.inputs, *((self.out,) if self.out else ())):
            text = text.replace(f"{folder}/", f"{remote.name}/").replace(str(folder), remote.name)
        return text

    def fetch(self, source: Path) -> None:
        """Puts a video in the place of its stand-in.

        Raises:
            MediaError: it cannot be had, or has changed.
        """
        for folder, remote in self.inputs:
            if absolute(source).is_relative_to(folder) and is_stand_in(source):
                status = source.stat()
                remote.fetch(RemoteFile(_place(source, folder), status.st_size, status.st_mtime_ns), source)

    def let_go(self, source: Path) -> None:
        """Puts the stand-in back."""
        with suppress(OSError):
            if any(absolute(source).is_relative_to(folder) for folder, _ in self.inputs) and not is_stand_in(source):
                _let_go(source)

    def deliver(self, result: ItemResult) -> None:
        """Uploads an output, then its commit marker; stand-ins stay.

        Raises:
            MediaError: it cannot be written there; the output is gone here, too.
        """
        if self.out is None or result.output is None:
            return
        folder, remote = self.out
        made = [*(folder / name for name in names_beside(result.details)), result.output]
        record = result_record(result, folder, self.named)
        marker = f"{MARKERS}/{self.report}/{record['name']}"
        claims = [{"output": self.named(str(absolute(path))), "source": record["source"]} for path in made]
        try:
            _put_bytes(remote, b"".join(map(encode_json, claims)), marker + CLAIM, folder)
            for path in made:
                remote.put(path, _place(path, folder))
            _put_bytes(remote, encode_json(record), marker + MARKER, folder)
        except MediaError:
            for path in made:
                path.unlink(missing_ok=True)
            raise
        for path in made:
            _let_go(path)

    def commit(self) -> None:
        """Makes the report there whole, and removes the markers that it holds; a claim without a marker stays.

        Raises:
            MediaError: it cannot be written there; the markers stay, and the next run takes them.
        """
        if self.out is None or not (self.out[0] / self.report).is_file():
            return
        folder, remote = self.out
        remote.put(folder / self.report, self.report)
        markers = Remote(remote.at(f"{MARKERS}/{self.report}"))
        names = {file.relative for file in markers.files()}
        kept = {name for name in names if name.endswith(CLAIM) and name.removesuffix(CLAIM) + MARKER not in names}
        markers.remove(sorted(names - kept))


@dataclass(frozen=True, slots=True)
class Stage:
    """The folder of a run that mirrors what lies behind URLs.

    Attributes:
        arguments: those of the command line, URLs replaced by folders and files here.
        out: the output folder here.
        mirror: which folder mirrors what.
    """

    arguments: tuple[str, ...]
    out: Path
    mirror: Mirror


@contextmanager
def staged(arguments: Sequence[str], out: str, report: str) -> Iterator[Stage]:
    """Makes the folder that mirrors what the URLs name, and removes it in the end.

    Args:
        arguments: files, folders and globs, some of them URLs.
        out: the output folder, or its URL.
        report: the name of the report that the run writes.

    Raises:
        ConfigError, StartError: a store cannot be asked.
    """
    _remove_stale()
    with _locked_folder() as root:
        yield _stage(root, arguments, out, report)


@contextmanager
def _locked_folder() -> Iterator[Path]:
    """A temporary folder that no other run takes for stale, removed in the end."""
    while True:
        root = Path(tempfile.mkdtemp(prefix=_STAGE))
        with (root / "lock").open("wb") as lock:
            if not try_lock(lock) or not root.is_dir():
                continue  # a run that began at the same moment is removing it
            try:
                yield root
            finally:
                shutil.rmtree(root, ignore_errors=True)
            return


def _stage(root: Path, arguments: Sequence[str], out: str, report: str) -> Stage:
    words: list[str] = []
    inputs: list[tuple[Path, Remote]] = []
    for argument in arguments:
        if not is_url(argument):
            words.append(argument)
            continue
        folder = root / "in" / f"{len(inputs):06}"  # none begins as another: names are replaced in texts
        remote, files, named = _find(argument, folder)
        _mirror_videos(remote, [file for file in files if not _is_below(remote.at(file.relative), out)], folder, named)
        inputs.append((folder, remote))
        words += named
    if not is_url(out):
        return Stage(tuple(words), Path(out), Mirror(tuple(inputs), None, report))
    remote = Remote(out.rstrip("/"))
    _mirror_outputs(remote, root / "out")
    return Stage(tuple(words), root / "out", Mirror(tuple(inputs), (root / "out", remote), report))


def _find(url: str, folder: Path) -> tuple[Remote, list[RemoteFile], list[str]]:
    """What a URL names: the folder it is in, its files, and the words for them once they are mirrored in `folder`."""
    parts = url.rstrip("/").split("/")
    wild = next((number for number, part in enumerate(parts) if any(sign in part for sign in "*?[")), None)
    if wild == len(parts) - 1:  # a name may hold such signs: what is there under this very name counts first
        remote, name = Remote("/".join(parts[:-1])), parts[-1]
        if exact := [file for file in remote.files(glob.escape(name)) if file.relative == name]:
            return remote, exact, [str(folder / name)]
    if wild is not None:
        remote = Remote("/".join(parts[:wild]))
        files = remote.files("/".join(parts[wild:]))
        return remote, files, [str(folder / file.relative) for file in files] or [str(folder / "/".join(parts[wild:]))]
    remote = Remote("/".join(parts))
    files = remote.files()
    if files and any(file.relative for file in files):
        return remote, files, [str(folder)]
    remote = Remote("/".join(parts[:-1]))  # a file, or nothing
    return remote, remote.files(parts[-1]), [str(folder / parts[-1])]


def _mirror_videos(remote: Remote, files: Sequence[RemoteFile], folder: Path, named: Sequence[str]) -> None:
    """Stand-ins for the videos among files and for those named outright; the prompts beside them are fetched."""
    folder.mkdir(parents=True)
    outright = {name for name in named if name != str(folder)}
    places = {file.relative: folder / file.relative for file in files}
    videos = [
        file
        for file in files
        if places[file.relative].suffix.lower() in VIDEO_SUFFIXES or str(places[file.relative]) in outright
    ]
    prompts = {str(PurePosixPath(file.relative).with_suffix(".txt")) for file in videos}
    for file in videos:
        _stand_in(remote, file, places[file.relative])
    for file in files:
        if file.relative in prompts:
            remote.fetch(file, places[file.relative])


def _mirror_outputs(remote: Remote, folder: Path) -> None:
    """Stand-ins for the outputs that are there, and the reports of earlier runs with what markers add to them."""
    folder.mkdir(parents=True)
    files = remote.files()
    marked = [file for file in files if file.relative.startswith(f"{MARKERS}/")]
    for file in (each for each in files if each not in marked):
        if PurePosixPath(file.relative).match(SHARD_REPORTS) or file.relative == REPORT_NAME:
            (folder / file.relative).write_bytes(remote.read(file.relative))
        else:
            _stand_in(remote, file, folder / file.relative)
    for file in marked:
        is_claim = file.relative.endswith(CLAIM)
        with (folder / (LOCK_NAME if is_claim else file.relative.split("/")[1])).open("ab") as lines:
            data = remote.read(file.relative)
            lines.write(data.replace(remote.name.encode() + b"/", f"{folder}/".encode()) if is_claim else data)


def _stand_in(remote: Remote, file: RemoteFile, place: Path) -> None:
    """A stand-in for a file, unless no file on this disk can have its name."""
    try:
        stand_in(place, file.size_bytes, file.mtime_ns)
    except OSError as error:
        log.warning("%s/%s is left out: it cannot be mirrored here (%s)", remote.name, file.relative, error.strerror)


def _put_bytes(remote: Remote, data: bytes, relative: str, folder: Path) -> None:
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".mfv2a-") as file:
        file.write(data)
        file.flush()
        remote.put(Path(file.name), relative)


def _place(path: Path, folder: Path) -> str:
    return absolute(path).relative_to(folder).as_posix()


def _let_go(path: Path) -> None:
    status = path.stat()
    stand_in(path, status.st_size, status.st_mtime_ns)


def _is_below(url: str, folder: str) -> bool:
    return url.startswith(folder.rstrip("/") + "/")


def _remove_stale() -> None:
    """Removes what runs left that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_STAGE}*"):
        with suppress(OSError), (folder / "lock").open("rb") as lock:
            if try_lock(lock):
                shutil.rmtree(folder, ignore_errors=True)
