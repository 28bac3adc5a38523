"""What people watch while a batch runs: which clip is in which stage, how far it is, how fast, how long still.

A few lines on stderr that change in place, on terminals that can do that. This module does not know what the stages
do; a log gets plain lines from `screen` instead.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mfv2a.cli import console

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

STAGES = ("handed over", "decode", "features", "sample", "sound", "mux", "upload")
"""In the order in which a clip passes them; others come after these."""
WIDE = 64  # columns from which bar and figures share a line
LOW = 12  # rows below which only the figures are shown
BAR = 24
REFRESHES = 5  # a second
RATE_AFTER = 2  # clips from which a speed means something


class Board:
    """The lines that change in place.

    All methods may be called by several threads.

    Args:
        out: the terminal; stderr if None.
        clock: seconds that only grow.
    """

    def __init__(self, out: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        from rich.console import Console

        stream, self._stream = console.watched()
        self._console = out or Console(file=stream)
        self._clock = clock
        self._live: Live | None = None
        self._lock = threading.Lock()
        self._stages: dict[Any, tuple[str, str]] = {}
        self._seen: list[str] = []
        self._total: Callable[[], int] = lambda: 0
        self._made = self._settled = self._failed = 0
        self._began_s = clock()

    @property
    def is_gone(self) -> bool:
        """Whether the terminal has gone on which it is shown."""
        return self._stream.is_gone

    def begin(self, total: Callable[[], int], settled: int = 0, failed: int = 0) -> None:
        """Shows the board: `settled` of `total()` clips are through, `failed` of them failed."""
        from rich.live import Live

        with self._lock:
            self._total, self._settled, self._failed = total, settled, failed
            self._began_s = self._clock()
        self._live = Live(
            get_renderable=self.render,
            console=self._console,
            refresh_per_second=REFRESHES,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )
        self._live.start()

    def stage(self, key: Any, name: str, stage: str) -> None:
        """A clip enters a stage."""
        with self._lock:
            self._stages.pop(key, None)
            self._stages[key] = (stage, name)
            if stage not in self._seen:
                self._seen.append(stage)
                self._seen.sort(key=lambda each: STAGES.index(each) if each in STAGES else len(STAGES))

    def settle(self, key: Any, status: str) -> None:
        """A clip is through: "ok", "failed" or "skipped", which tells nothing of the speed."""
        with self._lock:
            self._stages.pop(key, None)
            self._settled += 1
            self._failed += status == "failed"
            self._made += status == "ok"

    def write(self, text: str) -> None:
        """Writes a line that stays, above those that change."""
        self._console.print(
            text.encode("utf-8", "backslashreplace").decode(), markup=False, highlight=False, soft_wrap=True
        )

    def aside(self) -> None:
        """Takes the board away, for someone else writes to the terminal."""
        if self._live is not None:
            self._live.stop()

    def back(self) -> None:
        """Shows the board again."""
        if self._live is not None:
            self._live.start()

    def stop(self) -> None:
        """Takes the board away for good."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def render(self) -> RenderableType:
        """The lines as they are now, none wider than the terminal."""
        from rich.console import Group
        from rich.text import Text

        with self._lock:
            by_stage: dict[str, list[str]] = {stage: [] for stage in self._seen}
            for stage, name in self._stages.values():
                by_stage[stage].append(name)
            figures = self._figures()
        width = max(10, self._console.width - 1)  # a full last column would wrap on some terminals
        lines = []
        if self._console.height >= LOW:
            for stage, names in by_stage.items():
                line = Text(f"{stage:<9} ", style="dim", no_wrap=True, overflow="ellipsis")
                line.append(", ".join(names) or "-", style="not dim" if names else "")
                lines.append(line)
        bar = self._bar(BAR if width >= WIDE else width)
        if width >= WIDE:
            lines.append(Text.assemble(bar, "  ", figures, no_wrap=True, overflow="ellipsis"))
        else:
            lines += [bar, figures]
        for line in lines:
            line.truncate(width, overflow="ellipsis")
        return Group(*lines)

    def _bar(self, width: int) -> Any:
        """How much is done, in characters that every terminal font has."""
        from rich.text import Text

        share = min(1.0, self._settled / max(1, self._total()))
        full = round(share * width)
        line, rest = ("━", "─") if self._console.encoding.startswith("utf") else ("#", "-")
        return Text.assemble((line * full, "cyan"), (rest * (width - full), "dim"))

    def _figures(self) -> Any:
        """Counts, speed and the time still needed; the lock is held."""
        from rich.text import Text

        spent_s, total = self._clock() - self._began_s, self._total()
        parts = [f"{self._settled}/{total}"]
        figures = Text(no_wrap=True, overflow="ellipsis")
        if not self._seen:
            parts.append("loading the model")
        if self._made and self._settled < total:
            parts.append(f"{console.clock(spent_s / self._made * (total - self._settled))} left")
        if self._made >= RATE_AFTER and spent_s > 0:
            parts.append(f"{self._made / spent_s * 60:.3g} clips/min")
        figures.append(", ".join(parts))
        if self._failed:
            figures.append(", ")
            figures.append(f"{self._failed} failed", style="bold red")
        return figures
