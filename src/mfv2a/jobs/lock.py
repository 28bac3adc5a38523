"""One run at a time in an output folder, or the shards of one, and what a killed run was about to write.

A whole run holds the folder's lock alone. Shards hold it together, and each one of its own, so that they keep out whole
runs, their own doubles, and shards of another count.

The lock is the system's: it dies with its process, however that ends. The file under it lists the outputs that are
being written, and those of them that the report knows by now, so that the next run knows the others as ours; it is
removed when a run ends in order. This module does not
know how an output is made.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import IO

from mfv2a.disk import cannot_write, is_disk_full
from mfv2a.errors import StartError
from mfv2a.jobs.claims import Claim, append, end_line, identity, read_claims
from mfv2a.jobs.report import Report, absolute, encode_json
from mfv2a.media.temporary import remove_parts

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # not on Windows: there two runs are not kept apart
    fcntl = None

LOCK_NAME = ".mfv2a.lock"
PATIENCE_S = 0.5  # with others that hold a lock


class FolderLock:
    """The right to write into one output folder.

    An output that is about to be written is claimed; once the report knows it, the claim is over. What is still open
    when the run ends, and may have been put in its place, stays on the list for the next run.

    Args:
        file: the lock's file, open and locked.
        path: its name.
        others: outputs and sources that killed runs with other locks were at; their temporary files are left alone.
    """

    def __init__(self, file: IO[bytes], path: Path, others: Sequence[tuple[str, str]] = ()) -> None:
        self._file, self._path, self._others = file, path, others
        end_line(file)
        self._left = read_claims(file)
        self._open = dict.fromkeys((output for output, _ in self._left), Claim())
        self._recovered = not self._left

    def recover(self, report: Report) -> int:
        """Takes in what a killed run left: its outputs become ours to replace, its temporary files are removed.

        Returns:
            Outputs that it was at and that the report does not know.
        """
        unfinished = [output for output, _ in self._left if report.source_of(Path(output)) is None]
        for output, source in (*self._left, *self._others):
            report.claim(output, source)
        remove_parts(*(Path(output) for output, _ in self._left))
        self._recovered = True
        return len(unfinished)

    def claim(self, output: Path, source: Path, *, beside: bool = False) -> None:
        """Says that an output is about to be written. May be called by several threads.

        Args:
            output: the file.
            source: the video that it is made from.
            beside: it lies beside another output; if it is there already it is ours, whoever changes it.

        Raises:
            OSError: it cannot be written down.
        """
        name = str(absolute(output))
        if name not in self._open:
            before = identity(name)
            self._open[name] = Claim(before, lasting=before is None or not beside)
        append(self._file, encode_json({"output": name, "source": str(absolute(source))}))

    def tell(self, *outputs: Path | None) -> None:
        """Says that the report knows these outputs now."""
        names = {str(absolute(output)) for output in outputs if output is not None}
        told = [name for name in names if name in self._open]
        if told:
            with suppress(OSError):  # then they count as being written when the next run begins
                append(self._file, encode_json({"told": told}))
            for name in told:
                del self._open[name]

    def absorb(self, paths: Iterable[Path]) -> None:
        """Takes over what killed shards were at, and removes their locks.

        Raises:
            StartError: it cannot be written down.
        """
        for path in paths:
            with suppress(FileNotFoundError):
                data = path.read_bytes()
                self._recovered = False
                try:
                    append(self._file, data if data.endswith(b"\n") or not data else data + b"\n")
                except OSError as error:
                    raise cannot_write(self._path, error) from error
                path.unlink()
        self._left = read_claims(self._file)
        self._open = dict.fromkeys((output for output, _ in self._left), Claim())
        self._recovered = not self._left

    def release(self) -> None:
        """Lets others in; the file stays only for outputs that are there and that the report may not know."""
        if self._recovered:
            remove_parts(*map(Path, self._open))  # of writers that were killed
            if not any(
                claim.lasting and identity(name) not in (None, claim.before) for name, claim in self._open.items()
            ):
                with suppress(OSError):
                    self._path.unlink()
        self._file.close()


@contextmanager
def locked(folder: Path, shard: tuple[int, int] | None = None) -> Iterator[FolderLock]:
    """Keeps other runs out of a folder while the block runs.

    Args:
        folder: that is written into.
        shard: which of how many shards this run is; None for a whole run.

    Raises:
        StartError: another run is writing there, or nothing can be written there.
    """
    with ExitStack() as stack:
        busy = "another run of mfv2a is writing into this folder"
        guard = _take(folder, LOCK_NAME, busy, shared=shard is not None)
        if shard is None:
            lock = FolderLock(guard, folder / LOCK_NAME)
            stack.callback(lock.release)
            lock.absorb(path for path, _ in _shard_locks(folder))
        else:
            stack.callback(_leave, guard, folder / LOCK_NAME)
            name = f".mfv2a-{shard[0]}-of-{shard[1]}.lock"
            own = _take(folder, name, f"another run with --shard {shard[0]}/{shard[1]} is writing into this folder")
            stack.callback(own.close)
            others = [*read_claims(guard), *_refuse_other_counts(folder, shard[1])]
            lock = FolderLock(own, folder / name, others)
            stack.callback(lock.release)
        yield lock


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Makes the folder of a training, and keeps others out of it while the block runs.

    Raises:
        StartError: another one is writing there, or nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(f"out = {folder} cannot be made: {error.strerror}", hint="choose another folder") from error
    file = _take(folder, LOCK_NAME, "another training is writing into this folder", option="out =")
    try:
        yield
    finally:
        with suppress(OSError):
            (folder / LOCK_NAME).unlink()
        file.close()


def _take(folder: Path, name: str, busy: str, *, shared: bool = False, option: str = "--out") -> IO[bytes]:
    """A lock's file, open and locked, alone or with others that share it; `option` names the folder in errors."""
    path, end_s = folder / name, time.monotonic() + PATIENCE_S
    while True:
        try:
            file = path.open("ab+", buffering=0)
        except OSError as error:
            full = is_disk_full(error)
            reason = "the disk is full" if full else f"nothing can be written there: {error.strerror}"
            raise StartError(
                f"{option} {folder}: {reason}",
                hint="free some space" if full else "make the folder writable or choose another one",
            ) from error
        if not try_lock(file, shared=shared):
            file.close()
            if time.monotonic() < end_s:  # a shard that only looks whether somebody else is there holds it a moment
                time.sleep(PATIENCE_S / 10)
                continue
            raise StartError(f"{option} {folder}: {busy}", hint="wait until it is done, or choose another one")
        with suppress(OSError):
            if os.fstat(file.fileno()).st_ino == path.stat().st_ino:
                return file
        file.close()  # the other run ended in between and took the file away


def try_lock(file: IO[bytes], *, shared: bool = False, surely: bool = False) -> bool:
    """Takes the system's lock on a file without waiting; False if another process has it.

    Args:
        file: whose lock it is.
        shared: others that share it may have it, too.
        surely: False, too, where there are no locks, so that another process may be at work.
    """
    if fcntl is None:
        return not surely
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: go on without
        return not surely
    return True


def _leave(guard: IO[bytes], path: Path) -> None:
    """Gives up a lock that is shared; the last one takes the file away, unless a whole run was killed over it."""
    if fcntl is not None and try_lock(guard) and not read_claims(guard):
        with suppress(OSError):
            path.unlink()
    guard.close()


def _shard_locks(folder: Path) -> Iterator[tuple[Path, int]]:
    """The locks of shards in a folder, and of how many shards they are."""
    for path in folder.glob(".mfv2a-*-of-*.lock"):
        count = path.name.removesuffix(".lock").rpartition("-")[2]
        if count.isdecimal():
            yield path, int(count)


def _refuse_other_counts(folder: Path, count: int) -> list[tuple[str, str]]:
    """What killed shards of another count were at.

    Raises:
        StartError: one of another count is running: the parts would overlap.
    """
    left: list[tuple[str, str]] = []
    for path, other in _shard_locks(folder):
        if other == count:
            continue
        with suppress(FileNotFoundError), path.open("ab+", buffering=0) as file:
            if not try_lock(file, shared=True):  # other shards may be looking, too
                raise StartError(
                    f"--out {folder}: a run with --shard I/{other} is writing into this folder",
                    hint=f"wait until it is done, or share the list among {other} runs",
                )
            left += read_claims(file)
    return left
