"""Folders behind a URL: s3://, gs://, memory:// and whatever else fsspec knows.

Here alone fsspec is asked. This file does not know what the files are. They are fetched to the disk to be worked on.
"""

from __future__ import annotations

import glob
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from mfv2a.disk import cannot_write, is_disk_full
from mfv2a.errors import ConfigError, MediaError, StartError, without_passwords
from mfv2a.media.listed import RemoteFile, as_told, is_safe
from mfv2a.media.patience import OverdueError, StoppedError, done_aside
from mfv2a.media.temporary import part_path

_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")
_QUERY = re.compile(r"(https?://[^\s?'\"]*)\?[^\s'\"]+")
RENAMING = frozenset({"file", "local", "sftp", "ssh", "smb", "hdfs", "arrow_hdfs", "webhdfs"})
"""Protocols whose rename is one step. Elsewhere - object stores - a file is there once its upload is complete."""
BUCKETS = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "az", "adl", "oss", "oci"})
"""Protocols in which files lie in buckets, which would be made when something is put into them, however misspelt."""
WEB = ("http://", "https://")
_LOST = frozenset({"ClientConnectionError", "gaierror"})
TRIES, PAUSE_S = 3, 1.0
CONNECT_S, SILENT_S = 30.0, 60.0  # how long a web server may take to answer, and to send the next bytes
AGAIN_HINT, ACCESS_HINT = "run the same command again", "check the address, and that you have access"

Given = TypeVar("Given")


@dataclass(frozen=True, slots=True)
class Remote:
    """A folder behind a URL; may be sent to other processes.

    Attributes:
        url: of the folder, without a slash at its end.
        query: what a web server wants to be told after the address of a file, a signature for instance; never shown.
        raw: places of files in it, and how the address has them where that differs: with %20 for a blank.
    """

    url: str
    query: str = ""
    raw: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def name(self) -> str:
        """Its URL as it is shown and reported: without a password."""
        return without_passwords(self.url)

    def at(self, relative: str) -> str:
        """The URL of a file in it."""
        return f"{self.url}/{self.raw.get(relative, relative)}"

    def _asked(self, relative: str) -> tuple[Any, str]:
        """The system, and the address with which a file in it is asked for."""
        system, root = _open(self.url, encoded=bool(self.query))
        return system, f"{root}/{self.raw.get(relative, relative)}{self.query}"

    def files(self, pattern: str = "", *, slash: bool = False) -> list[RemoteFile]:
        """All files below it, by name, or those that a glob names.

        Args:
            pattern: the glob, "" for all files.
            slash: ask a web server for the folder with a slash at its end; not all servers lead from one to the other.

        Raises:
            ConfigError: the protocol is unknown, or its package is not installed.
            StartError: the store cannot be asked.
        """
        system, root = _open(self.url)
        place = f"{root}/" if slash and self.url.startswith(WEB) else root

        def listed() -> Mapping[str, Any]:
            if pattern:
                found = system.glob(f"{glob.escape(root)}/{pattern}", detail=True)
            else:
                found = system.find(place, detail=True)
            if not found and self.url.startswith(WEB):
                system.info(place)  # which says whether there is a server at all
            return dict(found)

        try:
            found = _patiently(listed)
        except FileNotFoundError as error:
            if (lost := _lost(error)) is None:
                return []
            raise StartError(f"{self.name} cannot be reached: {_reason(lost)}", hint=ACCESS_HINT) from error
        except Exception as error:  # every store has errors of its own
            raise StartError(f"{self.name} cannot be listed: {_reason(error)}", hint=ACCESS_HINT) from error
        prefix = root.rstrip("/") + "/"
        files = [
            as_told(name.removeprefix(prefix), about)
            for name, about in sorted(found.items())
            if about.get("type") != "directory" and name.startswith(prefix)
        ]
        return [file for file in files if is_safe(file.relative)]

    def why_no_folder(self) -> str:
        """Why files cannot lie here, though nothing does so far; "" where they can, or where nobody can tell."""
        system, root = _open(self.url)
        bucket = root.strip("/").split("/")[0]
        with suppress(Exception):
            if system.isfile(root):
                return "is a file"
            if not _protocols(system).isdisjoint(BUCKETS) and not system.exists(bucket):
                return f"lies in {bucket}, which is not there"
        return ""

    def look(self, file: RemoteFile) -> RemoteFile:
        """The file as the store tells when it is asked for it alone; as it was where it cannot be asked."""
        system, address = self._asked(file.relative)
        with suppress(Exception):
            about = _patiently(lambda: system.info(address))
            return as_told(file.relative, about)
        return file

    def fetch(self, file: RemoteFile, target: Path) -> None:
        """Copies a file to the disk, whole or not at all; asks `media.patience` whether to go on.

        Raises:
            MediaError: it cannot be had, or has changed.
            OverdueError: it took too long.
            StartError: the disk is full.
            OSError: it cannot be written.
        """
        part = part_path(target)
        system, address = self._asked(file.relative)
        try:
            done_aside(lambda: _patiently(lambda: system.get_file(address, str(part))))
            if file.size_bytes not in (None, part.stat().st_size):
                raise MediaError(target, "has changed since the folder was listed", hint=AGAIN_HINT)
            os.utime(part, ns=(file.mtime_ns, file.mtime_ns))
            part.replace(target)
        except (MediaError, StartError, OverdueError, StoppedError):
            raise
        except Exception as error:
            if is_disk_full(error):
                raise cannot_write(target, error) from error
            if isinstance(error, OSError) and error.filename == str(part):
                raise
            raise MediaError(
                target, f"cannot be fetched: {_reason(error)}", hint="run the same command again"
            ) from error
        finally:
            part.unlink(missing_ok=True)

    def put(self, source: Path, relative: str) -> None:
        """Copies a file from the disk there, whole or not at all; where there is no rename, as the store does it.

        Raises:
            MediaError: it cannot be written there.
        """
        system, root = _open(self.url)
        name = f"{root}/{relative}"
        part = f"{root}/{PurePosixPath(relative).parent}/{part_path(source).name}"
        renames = not RENAMING.isdisjoint(_protocols(system))

        def upload() -> None:
            if _protocols(system).isdisjoint(BUCKETS):
                system.makedirs(name.rpartition("/")[0], exist_ok=True)
            system.put_file(str(source), part if renames else name)
            if renames:
                system.mv(part, name)

        try:
            _patiently(upload)
        except Exception as error:
            if renames:
                with suppress(Exception):
                    system.rm_file(part)
            reason = f"cannot be written to {self.name}/{relative}: {_reason(error)}"
            raise MediaError(source, reason, hint=AGAIN_HINT) from error

    def read(self, relative: str) -> bytes:
        """What a small file holds; nothing if it is not there.

        Raises:
            StartError: it cannot be read.
        """
        system, root = _open(self.url)
        try:
            return bytes(_patiently(lambda: system.cat_file(f"{root}/{relative}")))
        except FileNotFoundError:
            return b""
        except Exception as error:
            raise StartError(f"{self.name}/{relative} cannot be read: {_reason(error)}", hint=ACCESS_HINT) from error

    def remove(self, relatives: Iterable[str]) -> None:
        """Removes files; one that stays does no harm."""
        system, root = _open(self.url)
        for relative in relatives:
            with suppress(Exception):
                system.rm_file(f"{root}/{relative}")


def is_url(text: str) -> bool:
    """Whether a word of the command line is a URL."""
    return _URL.match(text) is not None


def whereabouts(place: str) -> str:
    """A file or folder by its URL or path, in one spelling: no two of them are the same place.

    Raises:
        ConfigError, StartError: the protocol is unknown, or cannot be asked.
    """
    if not is_url(place):
        return f"file://{os.path.realpath(place)}"
    if place.startswith(WEB):
        return place.rstrip("/")
    system, root = _open(place)
    protocol = min(_protocols(system))
    return f"{protocol}://{os.path.realpath(root) if protocol == 'file' else root.strip('/')}"


def _open(url: str, *, encoded: bool = False) -> tuple[Any, str]:
    from fsspec.core import url_to_fs

    shown = without_passwords(url)
    try:
        system, root = url_to_fs(url, **_settings(url, encoded))
    except ImportError as error:
        raise ConfigError(
            f"{shown}: {_reason(error)}", hint="pip install 'mfv2a[remote]', or the package named"
        ) from error
    except ValueError as error:
        hint = "use a protocol that fsspec knows, such as s3://"
        raise ConfigError(f"{shown}: {_reason(error)}", hint=hint) from error
    except Exception as error:
        raise StartError(f"{shown} cannot be reached: {_reason(error)}", hint=ACCESS_HINT) from error
    return system, str(root).rstrip("/")


def _protocols(system: Any) -> frozenset[str]:
    return frozenset({system.protocol} if isinstance(system.protocol, str) else system.protocol)


def _settings(url: str, encoded: bool) -> dict[str, Any]:
    """Of fsspec, for a URL: a web server is given up when it falls silent, and not after five minutes of sending."""
    if not url.startswith(WEB):
        return {}
    from aiohttp import ClientTimeout

    timeout = ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=SILENT_S)
    return {"client_kwargs": {"timeout": timeout}, "encoded": encoded}


def _patiently(work: Callable[[], Given]) -> Given:
    """Tries again what a network may have spoiled."""
    for number in range(1, TRIES):
        try:
            return work()
        except (FileNotFoundError, PermissionError, NotImplementedError):
            raise
        except Exception as error:
            if is_disk_full(error):
                raise
            time.sleep(number * PAUSE_S)
    return work()


def _lost(error: BaseException) -> BaseException | None:
    """What kept a server from answering, where fsspec takes that for a file that is not there."""
    cause = error.__cause__ or error.__context__
    while cause is not None:
        if isinstance(cause, ConnectionError | TimeoutError) or _LOST & {kind.__name__ for kind in type(cause).__mro__}:
            return cause
        cause = cause.__cause__ or cause.__context__
    return None


def _reason(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return _QUERY.sub(r"\1?...", without_passwords(lines[0])) if lines else type(error).__name__
