"""How a batch looks: results on stdout; a board that changes in place, or plain lines, and the summary on stderr."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mfv2a.cli import choosing, console, wording
from mfv2a.cli.console import Talk

if TYPE_CHECKING:
    from mfv2a.cli.board import Board
    from mfv2a.jobs.plan import Item, Planner
    from mfv2a.jobs.telling import Summary
    from mfv2a.records import ItemResult


class Screen:
    """Shows a batch: results on stdout, a board or plain lines on stderr."""

    def __init__(self, talk: Talk, *, as_json: bool, dry_run: bool, board: Board | None) -> None:
        self._talk = talk
        self._as_json = as_json
        self._dry_run = dry_run
        self._board = board
        self._shown = False
        self._planner: Planner | None = None
        self._settled = self._failed = self._made = 0
        self._start = time.perf_counter()
        self._named: Callable[[str], str] = str

    def names(self, named: Callable[[str], str]) -> None:
        """What turns paths in a text into the names that people know."""
        self._named = named

    def begin(self, info: Any, sample_rate_hz: int, planner: Planner) -> None:
        """The model is known, and how many videos there are."""
        self._say(console.model_line(info, sample_rate_hz))
        self._planner = planner
        self._start = time.perf_counter()

    def planned(self, item: Item) -> None:
        """In a dry run: what would be made."""
        if self._as_json:
            from mfv2a.jobs.report import absolute

            console.print_json(
                {
                    "source": self._named(str(absolute(item.source))),
                    "output": self._named(str(absolute(item.output))),
                    "status": "planned",
                    "prompt": item.prompt,
                    "prompt_from": item.details.get("prompt_from", ""),
                    "negative_prompt": item.negative_prompt,
                    "clip_seed": item.seed,
                }
            )
        else:
            console.print_path(self._named(str(item.output)))

    def loading(self) -> None:
        """There is something to dub: thousands of lines about what is done already needed no board beside them."""
        if self._board is not None:
            self._shown = True
            self._board.begin(self._total, self._settled, self._failed)

    def stage(self, item: Item, name: str) -> None:
        """A stage of an item begins."""
        self._look_at_board()
        board = self._board  # another thread may drop it
        if board is None:
            self.detail(f"{name}: {console.printable(str(item.source))}")
            return
        take = f" ({item.variant})" if item.variant > 1 else ""
        board.stage((item.source, item.variant), console.printable(item.source.name) + take, name)

    def result(self, result: ItemResult, record: Mapping[str, Any]) -> None:
        """One file is settled."""
        self._settled += 1
        self._failed += result.status == "failed"
        self._made += result.status == "ok"
        board = self._board
        if board is not None and self._shown:
            board.settle((result.source, _variant(result)), result.status)
        self._show(result, record)

    def note(self, text: str) -> None:
        """A sentence for people."""
        self._say(f"note: {console.printable(text)}")

    def detail(self, text: str) -> None:
        """More than most want to know."""
        if self._talk.verbose:
            self._write(text)

    def _show(self, result: ItemResult, record: Mapping[str, Any]) -> None:
        with self._board_aside():
            if self._as_json:
                console.print_json(record)
            elif result.output is not None:
                console.print_path(self._named(str(result.output)))
        take = f", variant {_variant(result)}" if _variant(result) > 1 else ""
        head = f"[{self._settled}/{self._total()}] {console.printable(str(result.source))}{take}: "
        if result.status == "failed":
            hint = f" - {result.hint}" if result.hint else ""
            self._write(f"{head}failed: {console.printable(result.error + hint)}")
        elif result.status == "skipped":
            self._say(head + console.printable(_why_skipped(result)))
        else:
            self._say(head + console.printable(_told(result)) + self._left())

    @contextmanager
    def _board_aside(self) -> Iterator[None]:
        """Takes the board away while stdout writes to the same terminal."""
        board = self._board
        if board is None or not console.stdout_is_terminal():
            yield
            return
        board.aside()
        try:
            yield
        finally:
            board.back()

    def _total(self) -> int:
        """How many there are, as far as is known."""
        return self._settled if self._planner is None else max(self._planner.total, self._settled)

    def _left(self) -> str:
        """The time still needed, for logs, if all that is left takes as long; the board shows its own."""
        left = self._total() - self._settled
        if self._board is not None or not self._made or not left:
            return ""
        return f", {console.clock((time.perf_counter() - self._start) / self._made * left)} left"

    def _look_at_board(self) -> None:
        """Without the terminal it was on, plain lines go on; they may go nowhere."""
        if self._board is not None and self._board.is_gone:
            self._board = None

    def _say(self, text: str) -> None:
        if not self._talk.quiet:
            self._write(text)

    def _write(self, text: str) -> None:
        text = self._named(text)
        self._look_at_board()
        board = self._board
        if board is not None:
            board.write(text)
        else:
            console.write_stderr(text)


@contextmanager
def watch(talk: Talk, *, as_json: bool, dry_run: bool, summary: Summary) -> Iterator[Screen]:
    """Shows a batch while it runs, and its summary however it ends."""
    board = None
    if console.stderr_is_alive() and not talk.quiet and not dry_run:
        from mfv2a.cli.board import Board

        board = Board()
    interrupted = False
    try:
        yield Screen(talk, as_json=as_json, dry_run=dry_run, board=board)
    except KeyboardInterrupt:
        interrupted = True
        raise
    finally:
        if board is not None:
            board.stop()
        for line in summary_lines(summary, interrupted=interrupted):
            talk.say(console.folded(line))


def summary_lines(summary: Summary, *, interrupted: bool = False) -> Iterator[str]:
    """The end of a batch for people: counts, speed, what was uncertain and what to do."""
    earlier = f" ({summary.replaced} in place of earlier takes)" if summary.replaced else ""
    parts = [f"{summary.planned} would be dubbed{earlier}"] if summary.dry else [f"{summary.ok} dubbed{earlier}"]
    parts += [
        f"{number} {word}"
        for number, word in (
            (summary.skipped, "done already"),
            (summary.left_alone, "left alone (with sound of their own)"),
            (summary.failed, "failed"),
        )
        if number
    ]
    if summary.ok + summary.skipped + summary.left_alone + summary.failed + summary.planned == 0 and not interrupted:
        return
    speed = ""
    if summary.audio_s > 0 and summary.wall_s > 0:
        speed = (
            f"; {summary.audio_s:.1f} s of sound in {summary.wall_s:.1f} s "
            f"({summary.audio_s / summary.wall_s:.2g} s of sound a second)"
        )
    yield ("interrupted: " if interrupted else "") + ", ".join(parts) + speed
    if interrupted:
        yield "run the same command again to go on: what is done is skipped"
    if summary.uncertain:
        yield (
            f"{console.count(summary.uncertain, 'video')} uncertain: little was recognised, so the sound is "
            "quiet or generic; say what should be heard with --prompt or a text file beside the clip, or "
            "use a larger --model"
        )
    if summary.still_heard:
        yield (
            f"{console.count(summary.still_heard, 'sound')} in which speech or music is still heard: none that was "
            "drawn is free of it, so the least bad was taken; try more --tries, another --seed or another prompt"
        )
    if summary.softer:
        yield (
            f"{console.count(summary.softer, 'sound')} softer than --loudness asks for: quiet ambience is not raised, "
            "hits are not pressed flat, and codecs may lift peaks"
        )
    if summary.failed:
        where = "above" if summary.dry else "above and in report.jsonl"
        yield f"the failed ones are named {where}; the others are not affected"


def _told(result: ItemResult) -> str:
    """What was heard in one clip, for people."""
    details = result.details
    seen = ", ".join(details.get("recognized", [])[:3])
    doubt = " (uncertain)" if details.get("uncertain") else ""
    return (
        f"{details.get('duration_s', 0):.1f} s in {sum(result.seconds.values()):.1f} s"
        + (f", {seen}{doubt}" if seen else doubt)
        + wording.reading(details)
        + choosing.told(details)
    )


def _variant(result: ItemResult) -> int:
    return int(result.settings.get("variant", 1))


def _why_skipped(result: ItemResult) -> str:
    left_alone = result.details.get("left_alone")
    return f"left alone: {left_alone}" if left_alone else "done already"
