"""How a batch looks: results on stdout; a moving bar, or plain lines, and the summary on stderr."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfv2a.cli import choosing, console
from mfv2a.cli.console import Talk

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from mfv2a.jobs.dub import Summary
    from mfv2a.jobs.plan import Item, Plan
    from mfv2a.records import ItemResult


class Screen:
    """Shows a batch: results on stdout, a bar or plain lines on stderr."""

    def __init__(self, talk: Talk, *, as_json: bool, dry_run: bool, bar: Progress | None) -> None:
        self._talk = talk
        self._as_json = as_json
        self._dry_run = dry_run
        self._bar = bar
        self._task: TaskID | None = None
        self._total = self._settled = 0
        self._total_s = self._done_s = 0.0
        self._lengths_s: dict[tuple[Path, int], float] = {}
        self._start = time.perf_counter()

    def begin(self, info: Any, sample_rate_hz: int, plan: Plan) -> None:
        """The model and the plan are known."""
        self._say(console.model_line(info, sample_rate_hz))
        self._lengths_s = {(item.source, item.variant): item.info.duration_s for item in plan.items}
        self._total = len(plan.items) + len(plan.settled)
        self._total_s = sum(self._lengths_s.values())
        self._start = time.perf_counter()
        if self._dry_run:
            self._show_plan(plan)
        elif self._bar is not None and plan.items:
            self._task = self._bar.add_task("loading the model", total=self._total_s)

    def stage(self, item: Item, name: str) -> None:
        """A stage of an item begins."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, description=console.printable(f"{name}: {item.source.name}"))
        else:
            self.detail(f"{name}: {console.printable(str(item.source))}")

    def result(self, result: ItemResult, record: Mapping[str, Any]) -> None:
        """One file is settled."""
        self._settled += 1
        self._done_s += self._lengths_s.get((result.source, _variant(result)), 0.0)
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self._done_s)
        self._show(result, record)

    def note(self, text: str) -> None:
        """A sentence for people."""
        self._say(f"note: {console.printable(text)}")

    def detail(self, text: str) -> None:
        """More than most want to know."""
        if self._talk.verbose:
            self._write(text)

    def _show(self, result: ItemResult, record: Mapping[str, Any]) -> None:
        with self._bar_aside():
            if self._as_json:
                console.print_json(record)
            elif result.output is not None:
                console.print_path(result.output)
        take = f", variant {_variant(result)}" if _variant(result) > 1 else ""
        head = f"[{self._settled}/{self._total}] {console.printable(str(result.source))}{take}: "
        if result.status == "failed":
            hint = f" - {result.hint}" if result.hint else ""
            self._write(f"{head}failed: {console.printable(result.error + hint)}")
        elif result.status == "skipped":
            self._say(head + console.printable(_why_skipped(result)))
        else:
            self._say(head + console.printable(_told(result)) + self._left())

    @contextmanager
    def _bar_aside(self) -> Iterator[None]:
        """Takes the bar away while stdout writes to the same terminal."""
        if self._bar is None or not console.stdout_is_terminal():
            yield
            return
        self._bar.stop()
        yield
        self._bar.start()

    def _show_plan(self, plan: Plan) -> None:
        for result in plan.settled:
            self._settled += 1
            self._show(
                result,
                {"source": str(result.source), "output": _text(result.output), "status": result.status},
            )
        for item in plan.items:
            if self._as_json:
                console.print_json(
                    {
                        "source": str(item.source),
                        "output": str(item.output),
                        "status": "planned",
                        "prompt": item.prompt,
                        "prompt_from": item.details.get("prompt_from", ""),
                        "negative_prompt": item.negative_prompt,
                        "clip_seed": item.seed,
                    }
                )
            else:
                console.print_path(item.output)

    def _left(self) -> str:
        """The time still needed, for logs; the bar shows its own."""
        if self._bar is not None or not 0 < self._done_s < self._total_s:
            return ""
        spent_s = time.perf_counter() - self._start
        return f", {console.clock(spent_s / self._done_s * (self._total_s - self._done_s))} left"

    def _say(self, text: str) -> None:
        if not self._talk.quiet:
            self._write(text)

    def _write(self, text: str) -> None:
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            console.write_stderr(text)


@contextmanager
def watch(talk: Talk, *, as_json: bool, dry_run: bool, summary: Summary) -> Iterator[Screen]:
    """Shows a batch while it runs, and its summary however it ends."""
    bar = console.progress_bar() if console.stderr_is_terminal() and not talk.quiet and not dry_run else None
    if bar is not None:
        bar.start()
    interrupted = False
    try:
        yield Screen(talk, as_json=as_json, dry_run=dry_run, bar=bar)
    except KeyboardInterrupt:
        interrupted = True
        raise
    finally:
        if bar is not None:
            bar.stop()
        for line in summary_lines(summary, interrupted=interrupted):
            talk.say(line)


def summary_lines(summary: Summary, *, interrupted: bool = False) -> Iterator[str]:
    """The end of a batch for people: counts, speed, what was uncertain and what to do."""
    parts = [f"{summary.ok} dubbed"] if not summary.planned else [f"{summary.planned} would be dubbed"]
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
            f"({summary.audio_s / summary.wall_s:.2g} times real time)"
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
            "and hits are not pressed flat"
        )
    if summary.failed:
        yield "the failed ones are named above and in report.jsonl; the others are not affected"


def _told(result: ItemResult) -> str:
    """What was heard in one clip, for people."""
    details = result.details
    seen = ", ".join(details.get("recognized", [])[:3])
    doubt = " (uncertain)" if details.get("uncertain") else ""
    return (
        f"{details.get('duration_s', 0):.1f} s in {sum(result.seconds.values()):.1f} s"
        + (f", {seen}{doubt}" if seen else doubt)
        + choosing.told(details)
    )


def _variant(result: ItemResult) -> int:
    return int(result.settings.get("variant", 1))


def _why_skipped(result: ItemResult) -> str:
    left_alone = result.details.get("left_alone")
    return f"left alone: {left_alone}" if left_alone else "done already"


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
