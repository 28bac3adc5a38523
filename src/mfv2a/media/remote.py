"""Folders behind a URL: s3://, gs://, memory:// and whatever else fsspec knows.

This file does not know what the files are. They are fetched to the disk to be worked on.
"""

from __future__ import annotations

import glob
import inspect
import logging
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from mfv2a.disk import is_disk_full
from mfv2a.errors import ConfigError, MediaError, StartError, without_passwords
from mfv2a.media.listed import RemoteFile, as_told, is_safe
from mfv2a.media.patience import OverdueError, StoppedError, done_aside
from mfv2a.media.store import (
    ACCESS_HINT,
    AGAIN_HINT,
    BUCKETS,
    RENAMING,
    WEB,
    Given,
    asked,
    hint_of,
    lost,
    open_store,
    protocols,
    reason,
)
from mfv2a.media.temporary import part_path

log = logging.getLogger(__name__)
_AT_ONCE = 1000  # files removed by one request


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

    def _address(self, root: str, relative: str) -> str:
        """With what a file in it is asked for."""
        return f"{root}/{self.raw.get(relative, relative)}{self.query}"

    def _why(self, error: BaseException) -> str:
        """What the store says, without what it was asked."""
        said = reason(error)
        for asked_for in (self.query, unquote(self.query)):
            said = said.replace(asked_for, "?...") if asked_for else said
        return said

    def files(self, pattern: str = "", *, slash: bool = False) -> list[RemoteFile]:
        """All files below it, by name, or those that a glob names.

        Args:
            pattern: the glob, "" for all files.
            slash: ask a web server for the folder with a slash at its end; not all servers lead from one to the other.

        Raises:
            ConfigError: the protocol is unknown, or its package is not installed.
            StartError: the store cannot be asked.
        """

        def listed(system: Any, root: str) -> tuple[str, Mapping[str, Any]]:
            place = f"{root}/" if slash and self.url.startswith(WEB) else root
            if pattern:
                found = system.glob(f"{glob.escape(root)}/{pattern}", detail=True)
            else:
                found = system.find(place, detail=True)
            if not found and self.url.startswith(WEB):
                system.info(place)  # which says whether there is a server at all
            return root, dict(found)

        if (told := self._told(self.name, listed)) is None:
            return []
        root, found = told
        prefix = root.rstrip("/") + "/"
        files = [
            as_told(name.removeprefix(prefix), about)
            for name, about in sorted(found.items())
            if about.get("type") != "directory" and name.startswith(prefix)
        ]
        for file in files:
            if not is_safe(file.relative):
                log.warning("%s/%s is left out: no file here can have that name", self.name, file.relative)
        return [file for file in files if is_safe(file.relative)]

    def file(self, relative: str) -> RemoteFile | None:
        """A file of this very name, asked for alone; None where there is none, or only a folder.

        Raises:
            ConfigError, StartError: as in `files`.
        """
        name = f"{self.name}/{relative}"
        about = self._told(name, lambda system, root: system.info(self._address(root, relative)))
        return None if about is None or about.get("type") == "directory" else as_told(relative, about)

    def _told(self, name: str, work: Callable[[Any, str], Given]) -> Given | None:
        """What the store tells of the folder or file that is shown as `name`; None where nothing is there.

        Raises:
            ConfigError, StartError: as `files` says.
        """
        try:
            return asked(self.url, work)
        except (ConfigError, StartError):
            raise
        except FileNotFoundError as error:
            if (cause := lost(error)) is None:
                return None
            raise StartError(f"{name} cannot be reached: {self._why(cause)}", hint=ACCESS_HINT) from error
        except Exception as error:  # every store has errors of its own
            raise StartError(f"{name} cannot be listed: {self._why(error)}", hint=ACCESS_HINT) from error

    def why_no_folder(self) -> str:
        """Why files cannot lie here, though nothing does so far; "" where they can, or where nobody can tell."""
        system, root = open_store(self.url)
        bucket = root.strip("/").split("/")[0]
        with suppress(Exception):
            if system.isfile(root):
                return "is a file"
            if not protocols(system).isdisjoint(BUCKETS) and not system.exists(bucket):
                return f"lies in {bucket}, which is not there"
        return ""

    def look(self, file: RemoteFile) -> RemoteFile:
        """The file as the store tells when it is asked for it alone; as it was where it cannot be asked."""
        with suppress(Exception):
            about = asked(
                self.url,
                lambda system, root: system.info(self._address(root, file.relative)),
                encoded=bool(self.query),
            )
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
        part, encoded = part_path(target), bool(self.query)
        try:
            opened = open_store(self.url, encoded=encoded)  # a thread of its own would have a connection of its own
        except StartError as error:  # it may be there again for the next
            raise MediaError(target, f"cannot be fetched: {error}", hint=AGAIN_HINT) from error

        def get(system: Any, root: str) -> None:
            system.get_file(self._address(root, file.relative), str(part))

        try:
            done_aside(lambda: asked(self.url, get, encoded=encoded, opened=opened))
            if file.size_bytes not in (None, part.stat().st_size):
                raise MediaError(target, "has changed since the folder was listed", hint=AGAIN_HINT)
            os.utime(part, ns=(file.mtime_ns, file.mtime_ns))
            part.replace(target)
        except OverdueError as error:
            hint = "the store may be slow or silent: try again later, or allow more with --timeout"
            raise OverdueError(f"{error}, and was not fetched by then", hint=hint) from error
        except (MediaError, StartError, StoppedError):
            raise
        except Exception as error:
            if is_disk_full(error):
                full = f"the disk of temporary files ({tempfile.gettempdir()}) is full"
                raise StartError(full, hint="free some space there, or name a larger one with TMPDIR") from error
            if isinstance(error, OSError) and error.filename == str(part):
                raise
            raise MediaError(target, f"cannot be fetched: {self._why(error)}", hint=hint_of(error)) from error
        finally:
            part.unlink(missing_ok=True)

    def put(self, source: Path, relative: str, *, of: Path | None = None) -> None:
        """Copies a file from the disk there, whole or not at all; where there is no rename, as the store does it.

        Args:
            source: the file.
            relative: where it goes.
            of: the file that errors are of, where it is not the source.

        Raises:
            MediaError: it cannot be written there.
            StartError: nothing may be written into this bucket.
        """
        beside = f"{PurePosixPath(relative).parent}/{part_path(source).name}"

        def upload(system: Any, root: str) -> None:
            if protocols(system).isdisjoint(BUCKETS):
                system.makedirs(f"{root}/{relative}".rpartition("/")[0], exist_ok=True)
            if protocols(system).isdisjoint(RENAMING):
                system.put_file(str(source), f"{root}/{relative}", **_sparing(system))
                return
            try:
                system.put_file(str(source), f"{root}/{beside}")
                system.mv(f"{root}/{beside}", f"{root}/{relative}")
            except Exception:
                with suppress(Exception):
                    system.rm_file(f"{root}/{beside}")
                raise

        try:
            asked(self.url, upload)
        except ConfigError:
            raise
        except Exception as error:
            failed = f"cannot be written to {self.name}/{relative}: {self._why(error)}"
            if isinstance(error, PermissionError) and self.url.partition("://")[0].lower() in BUCKETS:
                raise StartError(f"an output {failed}", hint=ACCESS_HINT) from error
            raise MediaError(of or source, failed, hint=hint_of(error)) from error

    def read(self, relative: str) -> bytes:
        """What a small file holds; nothing if it is not there.

        Raises:
            StartError: it cannot be read.
        """
        try:
            return bytes(asked(self.url, lambda system, root: system.cat_file(f"{root}/{relative}")))
        except FileNotFoundError:
            return b""
        except (ConfigError, StartError):
            raise
        except Exception as error:
            raise StartError(f"{self.name}/{relative} cannot be read: {self._why(error)}", hint=ACCESS_HINT) from error

    def remove(self, relatives: Iterable[str]) -> None:
        """Removes files; one that stays does no harm."""
        system, root = open_store(self.url)
        paths, gone = [f"{root}/{relative}" for relative in relatives], set[str]()
        if not protocols(system).isdisjoint(BUCKETS):  # which take many at once; signs of a glob would be taken for one
            plain = [path for path in paths if not glob.has_magic(path)]
            for some in (plain[start : start + _AT_ONCE] for start in range(0, len(plain), _AT_ONCE)):
                with suppress(Exception):
                    system.rm(some)
                    gone |= set(some)
        for path in paths:
            with suppress(Exception):
                if path not in gone:
                    system.rm_file(path)


def _sparing(system: Any) -> dict[str, int]:
    """Of s3fs: how many parts of a file are sent at once. Each lies in memory, and it would send ten."""
    known = [inspect.signature(each).parameters for each in (system.put_file, getattr(system, "_put_file", id))]
    return {"max_concurrency": 2} if any("max_concurrency" in each for each in known) else {}
