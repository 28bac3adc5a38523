"""What a batch tells while it runs, and what it came to; not how any of that looks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from mfv2a.records import ItemResult

if TYPE_CHECKING:
    from mfv2a.jobs.plan import Item, Planner


@dataclass(slots=True)
class Summary:
    """What a batch came to.

    Attributes:
        ok: files dubbed.
        replaced: of these, files in whose place an earlier take lay.
        skipped: files that an earlier run had done.
        left_alone: files that have sound of their own, where such are skipped.
        softer: dubbed or skipped files that are softer than the loudness asked for.
        failed: files that could not be done.
        dry: whether nothing was to be made.
        planned: files that would be dubbed, in a dry run.
        not_begun: files that were left when the run stopped for too many failures.
        uncertain: dubbed or skipped files in which little was recognised.
        still_heard: dubbed or skipped files in which speech or music is heard that was to be refused.
        audio_s: seconds of sound made.
        wall_s: seconds it took.
    """

    ok: int = 0
    replaced: int = 0
    skipped: int = 0
    left_alone: int = 0
    softer: int = 0
    failed: int = 0
    dry: bool = False
    planned: int = 0
    not_begun: int = 0
    uncertain: int = 0
    still_heard: int = 0
    audio_s: float = 0.0
    wall_s: float = 0.0

    def add(self, result: ItemResult) -> None:
        """Counts one result."""
        if "left_alone" in result.details:
            self.left_alone += 1
            return
        setattr(self, result.status, getattr(self, result.status) + 1)
        if result.status != "failed" and result.details.get("loudness_held"):
            self.softer += 1
        if result.status != "failed" and result.details.get("still_heard"):
            self.still_heard += 1
        first = result.settings.get("variant", 1) == 1  # the variants of a clip are as uncertain as the first
        if result.status != "failed" and first and result.details.get("uncertain"):
            self.uncertain += 1
        if result.status == "ok":
            self.audio_s += float(result.details.get("duration_s", 0.0))


class Listener(Protocol):
    """Is told how a batch goes."""

    def begin(self, info: Any, sample_rate_hz: int, planner: Planner) -> None:
        """The model is known, and the names of the videos; nothing has been written."""

    def planned(self, item: Item) -> None:
        """In a dry run: what would be made."""

    def names(self, named: Callable[[str], str]) -> None:
        """What turns paths in a text into the names that people know."""

    def loading(self) -> None:
        """There is something to dub: the model is loaded now."""

    def stage(self, item: Item, name: str) -> None:
        """A stage of an item begins; may be called from another thread."""

    def result(self, result: ItemResult, record: Mapping[str, Any]) -> None:
        """One file is settled and its line is in the report."""

    def note(self, text: str) -> None:
        """A sentence for people."""

    def detail(self, text: str) -> None:
        """More than most people want: tracebacks, ffmpeg's words."""


class WarningsTo(logging.Handler):
    """Warnings on their way from where nobody sees them.

    Args:
        tell: takes the text of each.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """Passes one on."""
        self._tell(record.getMessage())
