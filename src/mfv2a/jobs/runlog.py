"""What surrounds a training run: its log on disk, and the signal that ends it in order."""

from __future__ import annotations

import json
import math
import signal
import threading
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any

from mfv2a.disk import telling, writing
from mfv2a.jobs import sheets
from mfv2a.jobs.lines import Lines

LOG = "log.jsonl"


def finite(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record as JSON can hold it: None for a number that is not finite."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in record.items()}


class RunLog:
    """Records of a run, a line each in `log.jsonl`; also for TensorBoard, in `tensorboard/`, where that is installed.

    Args:
        run: folder of the run.
        write: False in a team's processes that do not write.
    """

    def __init__(self, run: Path, *, write: bool = True) -> None:
        self.run, self.write = run, write
        self._lines = Lines(run / LOG)
        self._board: Any = None
        self._told = False

    def __enter__(self) -> RunLog:
        if self.write:
            self._board = self._new_board()
        return self

    def __exit__(self, *_: object) -> None:
        self._close_board()

    def take_up(self, step: int) -> None:
        """Drop the records after a step: a run that was killed makes those steps again.

        Args:
            step: that the run goes on from.
        """
        if not self.write:
            return
        path = self.run / LOG
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        kept = [line for line in lines if _step_of(line) <= step]
        if kept != lines:
            with writing(path) as pending:
                pending.write_bytes(b"".join(kept))
            if self._board is not None:
                self._close_board()
                self._board = self._new_board(purge_step=step + 1)

    def _close_board(self) -> None:
        if self._board is not None:
            with telling(self.run):
                self._board.close()

    def _new_board(self, **options: Any) -> Any:
        """TensorBoard's writer; None where it is not installed."""
        if find_spec("tensorboard") is None:
            return None
        from torch.utils.tensorboard import SummaryWriter

        with telling(self.run):
            return SummaryWriter(str(self.run / "tensorboard"), **options)

    def add_sheet(self, step: int, columns: Mapping[str, Any]) -> str:
        """Draw rows of held-out latents and what was made of them, as `mfv2a.jobs.sheets.write_sheet` does.

        Returns:
            why nothing was drawn, told once; else "".
        """
        if not self.write or not columns or not len(next(iter(columns.values()))):
            return ""
        if not sheets.can_draw():
            told, self._told = self._told, True
            return "" if told else "no sample sheets: matplotlib is not installed (pip install 'mfv2a[train]')"
        names = [f"row {k}" for k in range(len(next(iter(columns.values()))))]
        with telling(self.run):
            picture = sheets.write_sheet(self.run, step, columns, names)
            if self._board is not None:
                self._board.add_image("validation/sheet", picture, step, dataformats="HWC")
        return ""

    def add(self, record: Mapping[str, Any]) -> None:
        """Write a record of `finite`; its `step` is the horizontal axis.

        Raises:
            StartError: the disk is full, or the folder cannot be written.
        """
        with telling(self.run / LOG):
            if self.write:
                self._lines.add(json.dumps(dict(record), allow_nan=False).encode() + b"\n", lasting=False)
            if self._board is not None:
                for name, value in record.items():
                    if name != "step" and value is not None:
                        self._board.add_scalar(name, value, record["step"])


def _step_of(line: bytes) -> float:
    """The step of a record; of what is none, as a process leaves that is killed while it writes, beyond all."""
    try:
        record = json.loads(line)
    except ValueError:
        return math.inf
    step = record.get("step") if isinstance(record, dict) and line.endswith(b"\n") else None
    return step if isinstance(step, int) else math.inf


class StopFlag:
    """Set by SIGTERM, Ctrl-C and SIGHUP while open; the handlers before it come back afterwards.

    SIGHUP is left alone where it is ignored, as under `nohup`.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._number: int | None = None
        self._before: dict[int, Any] = {}

    def is_set(self) -> bool:
        """Whether a signal came."""
        return self._event.is_set()

    def __enter__(self) -> StopFlag:
        if threading.current_thread() is threading.main_thread():
            numbers = [signal.SIGINT, signal.SIGTERM]
            if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
                numbers.append(signal.SIGHUP)
            for number in numbers:
                self._before[number] = signal.signal(number, self._set)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def raise_again(self) -> None:
        """Deliver the signal to whoever handled it before: the run is saved, the process may end."""
        if self._number is not None:
            signal.raise_signal(self._number)

    def _set(self, number: int, _frame: FrameType | None) -> None:
        self._number = number
        self._event.set()
