"""The folder of a run whose videos or outputs lie behind URLs: made, filled with stand-ins, removed in the end."""

from __future__ import annotations

import glob
import logging
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from mfv2a.errors import ConfigError, MediaError, StartError
from mfv2a.jobs.discover import VIDEO_SUFFIXES
from mfv2a.jobs.lock import LOCK_NAME, try_lock
from mfv2a.jobs.mirror import CLAIM, MARKERS, Mirror
from mfv2a.jobs.reported import REPORT_NAME, shard_of
from mfv2a.media.listed import RemoteFile, decoded
from mfv2a.media.remote import Remote
from mfv2a.media.standin import stand_in
from mfv2a.media.store import WEB, is_url, whereabouts

log = logging.getLogger(__name__)
_STAGE = "mfv2a-stage-"
_TOKEN = re.compile(r"[\w%~+-]{8,}")  # what is asked without a name for it; a glob goes on otherwise after its "?"
_LEFT_S = 3600.0  # a folder without a lock that is older than this was left, and is not being made


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
    began = datetime.now(UTC).isoformat(timespec="milliseconds")
    staging = _Inputs(root / "in", out)
    for argument in arguments:
        if is_url(argument):
            staging.add(argument)
        else:
            staging.words.append(argument)
    outputs = (root / "out", Remote(out.rstrip("/"))) if is_url(out) else None
    if outputs is not None:
        _mirror_outputs(outputs[1], outputs[0])
    mirror = Mirror(tuple(staging.inputs), outputs, report, began, staging.faults)
    return Stage(tuple(staging.words), outputs[0] if outputs else Path(out), mirror)


class _Inputs:
    """Folders that mirror what the URLs of a command line name; what is named twice is mirrored once.

    Args:
        folder: that they are made in.
        out: the output folder, or its URL; what lies there is no input.

    Attributes:
        words: for the URLs.
        inputs: folders, and what they mirror.
        faults: words for what could not be asked for, and why.
    """

    def __init__(self, folder: Path, out: str) -> None:
        self.words: list[str] = []
        self.inputs: list[tuple[Path, Remote]] = []
        self.faults: dict[str, str] = {}
        self._folder, self._out = folder, whereabouts(out)
        self._brought: set[str] = set()

    def add(self, url: str) -> None:
        """Takes one URL.

        Raises:
            ConfigError: its protocol is unknown, or the package for it is not installed.
        """
        scheme, _, rest = url.partition("://")
        url = f"{scheme.lower()}://{rest}"
        url = url.partition("#")[0] if url.startswith(WEB) else url
        folder = self._folder / f"{len(self.inputs):06}"  # none begins as another: names are replaced in texts
        try:
            remote, files, named = _find_named(url, folder)
        except StartError as error:
            self._add_fault(url, folder, error)
            return
        there = whereabouts(remote.url)
        ours = [file for file in files if not f"{there}/{file.relative}".startswith(f"{self._out}/")]
        twice = {file.relative for file in ours if _identity(remote, file) in self._brought}
        left = [file for file in ours if file.relative not in twice]
        brought, faults = _mirror_videos(remote, left, folder, named)
        self.faults |= faults
        self._brought |= {_identity(remote, file) for file in brought}
        self.inputs.append((folder, remote))
        if brought or not twice:
            left_out = {str(folder / relative) for relative in twice}
            self.words += [word for word in named if word not in left_out]
            self.words += [word for word in faults if word not in named]

    def _add_fault(self, url: str, folder: Path, error: StartError) -> None:
        """A word for what could not be asked for: it fails like a file that is not there, and the others go on."""
        parent, _, name = (_signed(url)[0] or url).rstrip("/").rpartition("/")
        remote, word = Remote(parent), str(folder / name)
        self.inputs.append((folder, remote))
        self.words.append(word)
        self.faults[word] = str(error).removeprefix(f"{remote.name}/{name} ")


def _identity(remote: Remote, file: RemoteFile) -> str:
    """What tells one file from others, however its address is written; what is asked of the server is part of it."""
    address = remote.at(file.relative)
    return (unquote(address) if address.startswith(WEB) else address) + remote.query


def _find_named(url: str, folder: Path) -> tuple[Remote, list[RemoteFile], list[str]]:
    """What `_find` finds, files of web servers under their names instead of those of their addresses."""
    remote, files, named = _find(url, folder)
    if not url.startswith(WEB):
        return remote, files, named
    files, changed = decoded(files)
    raw = {**remote.raw, **{place: remote.raw.get(address, address) for place, address in changed.items()}}
    words = {str(folder / address): str(folder / place) for place, address in changed.items()}
    return replace(remote, raw=raw), files, [words.get(word, word) for word in named]


def _find(url: str, folder: Path) -> tuple[Remote, list[RemoteFile], list[str]]:
    """What a URL names: the folder it is in, its files, and the words for them once they are mirrored in `folder`."""
    address, query = _signed(url)
    if query and not address.endswith("/"):
        parent, _, name = address.rpartition("/")  # what is asked is no part of the name
        place = name if _is_video(name) else f"{name}-{sha256(query.encode()).hexdigest()[:8]}"  # but tells two apart
        return Remote(parent, query, {place: name}), [RemoteFile(place, None, 0)], [str(folder / place)]
    url = address or url  # a folder is listed, in whichever order
    parts = url.rstrip("/").split("/")
    wild = next((number for number, part in enumerate(parts) if any(sign in part for sign in "*?[")), None)
    plain = wild is not None and not any(sign in url for sign in "*?")  # a bracket is rather a name's than a glob's
    if plain or wild == len(parts) - 1:  # a name may hold such signs: what is there under this very name counts first
        remote, name = Remote("/".join(parts[:-1])), parts[-1]
        if exact := [file for file in remote.files(glob.escape(name)) if file.relative == name]:
            return remote, exact, [str(folder / name)]
    if plain and (files := Remote("/".join(parts)).files(slash=url.endswith("/"))):
        return Remote("/".join(parts)), files, [str(folder)]
    if wild is not None:
        stars = next((number for number, part in enumerate(parts) if any(sign in part for sign in "*?")), wild)
        files = Remote("/".join(parts[:stars])).files("/".join(parts[stars:])) if stars > wild else []
        first = stars if files else wild
        remote = Remote("/".join(parts[:first]))
        files = files or remote.files("/".join(parts[wild:]))
        words = [str(folder / file.relative) for file in files]
        return remote, files, words or [str(folder / "/".join(parts[wild:]))]
    if _is_video(url):
        remote = Remote("/".join(parts[:-1]))
        if (file := remote.file(parts[-1])) is not None:
            return remote, [file], [str(folder / parts[-1])]
    remote = Remote("/".join(parts))
    files = remote.files(slash=url.endswith("/"))
    if files and any(file.relative for file in files):
        return remote, files, [str(folder)]
    remote = Remote("/".join(parts[:-1]))  # a file, or nothing
    return remote, remote.files(parts[-1]), [str(folder / parts[-1])]


def _signed(url: str) -> tuple[str, str]:
    """The address of a web server that is asked something, and what it is asked; both "" where "?" is a glob's sign."""
    address, asks, query = url.partition("?")
    is_asked = asks and url.startswith(WEB) and ("=" in query or _is_video(address) or _TOKEN.fullmatch(query))
    return (address, asks + query) if is_asked else ("", "")


def _is_video(address: str) -> bool:
    return PurePosixPath(address).suffix.lower() in VIDEO_SUFFIXES


def _mirror_videos(
    remote: Remote, files: Sequence[RemoteFile], folder: Path, named: Sequence[str]
) -> tuple[Sequence[RemoteFile], dict[str, str]]:
    """Stand-ins for the videos among files and for those named outright; the prompts beside them are fetched.

    Returns:
        The videos, and names here of those that have no stand-ins, with the reasons: their prompts cannot be had, or no
        file of this disk can have their name.
    """
    folder.mkdir(parents=True)
    outright = {name for name in named if name != str(folder)}
    places = {file.relative: folder / file.relative for file in files}
    videos = [file for file in files if _is_video(file.relative) or str(places[file.relative]) in outright]
    texts, faults = {file.relative: file for file in files}, dict[str, str]()
    for file in videos:
        place, text = places[file.relative], str(PurePosixPath(file.relative).with_suffix(".txt"))
        try:
            if text in texts and not places[text].exists():
                places[text].parent.mkdir(parents=True, exist_ok=True)
                remote.fetch(texts[text], places[text])
        except (MediaError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            faults[str(place)] = f"the text beside it cannot be had: {reason}"
        else:
            if failed := _stand_in(remote.look(file) if file.size_bytes is None else file, place):
                faults[str(place)] = f"no file here can have its name: {failed}"
    return videos, faults


def _mirror_outputs(remote: Remote, folder: Path) -> None:
    """Stand-ins for the outputs that are there, and the reports of earlier runs with what markers add to them."""
    if remote.url.startswith(WEB):
        raise ConfigError(
            f"--out {remote.name} is the address of a web server, to which nothing can be written",
            hint="name a folder, or a store such as s3://BUCKET/FOLDER",
        )
    folder.mkdir(parents=True)
    files = remote.files()
    if not files and (reason := remote.why_no_folder()):
        raise ConfigError(f"--out {remote.name} {reason}", hint="check the address")
    marked = [file for file in files if file.relative.startswith(f"{MARKERS}/")]
    for file in (each for each in files if not each.relative.startswith(f"{MARKERS}/")):
        if shard_of(file.relative) or file.relative == REPORT_NAME:
            (folder / file.relative).write_bytes(remote.read(file.relative))
        elif failed := _stand_in(file, folder / file.relative):
            log.warning("%s/%s is left out: no file here can have its name: %s", remote.name, file.relative, failed)
    for file in marked:
        is_claim = file.relative.endswith(CLAIM)
        with (folder / (LOCK_NAME if is_claim else file.relative.split("/")[1])).open("ab") as lines:
            data = remote.read(file.relative)
            lines.write(data.replace(remote.name.encode() + b"/", f"{folder}/".encode()) if is_claim else data)


def _stand_in(file: RemoteFile, place: Path) -> str:
    """Makes a stand-in for a file; why not, where no file on this disk can have its name, else ""."""
    try:
        stand_in(place, file.size_bytes, file.mtime_ns)
    except OSError as error:
        return error.strerror or type(error).__name__
    return ""


def _remove_stale() -> None:
    """Removes what runs left that were killed, and what a download made anew after its run had ended."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_STAGE}*"):
        with suppress(OSError):
            if not (folder / "lock").exists() and time.time() - folder.stat().st_mtime > _LEFT_S:
                shutil.rmtree(folder, ignore_errors=True)
                continue
            with (folder / "lock").open("rb") as lock:
                if try_lock(lock, surely=True):
                    shutil.rmtree(folder, ignore_errors=True)
