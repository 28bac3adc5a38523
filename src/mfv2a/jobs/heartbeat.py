"""A small file that tells whoever watches a run that it is alive, and where it is.

Written every few seconds under a temporary name and renamed, so that a reader never sees half of it. This module
does not know what a clip is.
"""

from __future__ import annotations

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

BEAT_S = 5.0


class Heartbeat:
    """Writes what a run says of itself, until it ends.

    Args:
        path: the file; its folder must exist.
        counts: what to write besides the time: asked in a thread of its own.
        every_s: seconds from one time to the next.
    """

    def __init__(self, path: Path, counts: Callable[[], Mapping[str, Any]], *, every_s: float = BEAT_S) -> None:
        self._path, self._counts, self._every_s = path, counts, every_s
        self._now: dict[str, tuple[str, float]] = {}
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

    def stage(self, source: Path, stage: str) -> None:
        """A stage of a clip begins. May be called by several threads."""
        with self._lock:
            self._now[str(source)] = (stage, time.monotonic())

    def settled(self, source: Path) -> None:
        """A clip is through."""
        with self._lock:
            self._now.pop(str(source), None)

    def _beat(self) -> None:
        while not self._ended.wait(self._every_s):
            self._try_write("running")

    def _try_write(self, state: str) -> None:
        with suppress(OSError):  # a full disk or a vanished folder: the run itself will say so
            self._write(state)

    def _write(self, state: str) -> None:
        with self._lock:
            now = [
                {"source": source, "stage": stage, "seconds": round(time.monotonic() - since_s, 1)}
                for source, (stage, since_s) in self._now.items()
            ]
        record = {
            "state": state,
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "began": self._began.isoformat(timespec="seconds"),
            "pid": os.getpid(),
            **self._counts(),
            "clips": now,
        }
        part = self._path.with_name(f".{self._path.name}.{os.getpid()}.part")
        try:
            part.write_bytes(encode_json(record))
            part.replace(self._path)
        finally:
            part.unlink(missing_ok=True)
