"""A small file that tells whoever watches a run that it is alive, and where it is.

Written every few seconds, whole, so that a reader never sees half of it; a pipe or a device gets a line each time, and
nobody who reads it is no reason to wait. This module does not know what a clip is.
"""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mfv2a.errors import StartError
from mfv2a.jobs.report import encode_json
from mfv2a.media.whole import put_whole

BEAT_S = 5.0
_MOST_BYTES = 1 << 20  # that a file which may be a heartbeat is read
_UNHEARD = frozenset({errno.ENXIO, errno.EPIPE, errno.EAGAIN})  # of a pipe that nobody reads, or reads too slowly


class Heartbeat:
    """Writes what a run says of itself, until it ends.

    Args:
        path: the file, a pipe or a device; its folder must exist.
        counts: what to write besides the time: asked in a thread of its own.
        every_s: seconds from one time to the next.
    """

    def __init__(self, path: Path, counts: Callable[[], Mapping[str, Any]], *, every_s: float = BEAT_S) -> None:
        self._path, self._counts, self._every_s = path, counts, every_s
        self._now: dict[tuple[str, int], tuple[str, float]] = {}
        self._began = datetime.now(UTC)
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._beat, name="mfv2a-heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        """Writes for the first time.

        Raises:
            StartError: the file cannot be written.
        """
        try:
            self._write("running")
        except OSError as error:
            raise StartError(
                f"--heartbeat {self._path}: {error.strerror or error}", hint="name a file in a folder that is there"
            ) from error
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        """Writes for the last time."""
        self._ended.set()
        self._thread.join(self._every_s)
        interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
        self._try_write("done" if kind is None else "interrupted" if interrupted else "stopped")

    def stage(self, source: Path, stage: str, variant: int = 1) -> None:
        """A stage of one take of a clip begins. May be called by several threads."""
        with self._lock:
            self._now[str(source), variant] = (stage, time.monotonic())

    def settled(self, source: Path, variant: int = 1) -> None:
        """One take of a clip is through."""
        with self._lock:
            self._now.pop((str(source), variant), None)

    def _beat(self) -> None:
        while not self._ended.wait(self._every_s):
            self._try_write("running")

    def _try_write(self, state: str) -> None:
        with suppress(OSError):  # a full disk or a vanished folder: the run itself will say so
            self._write(state)

    def _write(self, state: str) -> None:
        with self._lock:
            now = [
                {
                    "source": source,
                    "variant": variant,
                    "stage": stage,
                    "seconds": round(time.monotonic() - since_s, 1),
                }
                for (source, variant), (stage, since_s) in self._now.items()
            ]
        record = {
            "state": state,
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "began": self._began.isoformat(timespec="seconds"),
            "pid": os.getpid(),
            **self._counts(),
            "clips": now,
        }
        try:
            put_whole(self._path, encode_json(record), waits=False)
        except OSError as error:
            if error.errno not in _UNHEARD:
                raise


def is_heartbeat(path: Path) -> bool:
    """Whether a file may be replaced by a heartbeat: it is one, empty, or not there.

    Raises:
        OSError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES)
    except FileNotFoundError:
        return True
    try:
        record = json.loads(data or b"{}")
    except (ValueError, RecursionError):
        return False
    return not data or (isinstance(record, dict) and {"state", "began", "pid", "clips"} <= record.keys())
