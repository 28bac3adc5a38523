"""The table of `mfv2a evaluate` for people: figures with their intervals, and what was left out and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

WIDEST = 1000
BIASED = {
    False: "biased by the number of clips; compare at the same number alone. The interval is of drawing clips again, "
    "not of this bias. The kernel distance has none.",
    True: "biased by the number of clips, so without interval and share. Compare few clips by the kernel distance.",
}
"""What is said of such figures: of one system, and of two."""
ARROWS = {"higher": "high", "lower": "low", "": ""}


def print_whole(table: Table) -> None:
    """Print a table in the width that it needs, on a narrow screen too, rather than with figures that are cut off."""
    from rich.console import Console
    from rich.measure import Measurement

    wide = Console(width=WIDEST)
    needed = Measurement.get(wide, wide.options, table).maximum
    Console(width=max(Console().width, needed)).print(table)


def print_figures(report: Mapping[str, Any]) -> None:
    """Prints the table to stdout."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    two = len(report["generated"]) == 2
    clips, sounds = report["pairs"], report.get("true_sounds", report["pairs"])
    told = f"{clips} clip{'' if clips == 1 else 's'}"
    if sounds != clips:
        told += f" ({sounds} true sound{'' if sounds == 1 else 's'})"
    title = f"{told} of {' and '.join(report['generated'])} against {report['reference']}"
    table = Table(title=escape(title), title_justify="left")
    table.add_column("measure", no_wrap=True)
    heads = ("A", "B", "A - B", "95 %", "A better") if two else ("figure", "95 %")
    for head in (*heads, "unit", "best", "clips"):
        table.add_column(head, justify="right", no_wrap=head != "95 %")
    for name, row in report["measures"].items():
        cells = (
            (number(row["a"]), number(row["b"]), number(row["difference"]), interval(row), share(row["share_a_better"]))
            if two
            else (number(row["value"]), interval(row))
        )
        table.add_row(name, *cells, row["unit"], ARROWS[row["better"]], str(row["clips"]))
    print_whole(table)
    if biased := [name for name, row in report["measures"].items() if row.get("biased")]:
        Console().print(f"{', '.join(biased)}: {BIASED[two]}", soft_wrap=True, highlight=False)
    for role, found in report["lengths"].items():
        if found["shorter"] or found["longer"]:
            told = f"{role}: {found['shorter']} of {report['pairs']} shorter than the true sound, filled with silence; "
            Console().print(told + f"{found['longer']} longer, cut", soft_wrap=True, highlight=False)
    if report["left_out"]:
        _print_left_out(report["left_out"])


def reasons(left_out: Mapping[str, Any]) -> dict[tuple[str, str], list[str]]:
    """Measures that share a reason and what to do, by both."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, row in left_out.items():
        found.setdefault((row["reason"], row["hint"]), []).append(name)
    return found


def _print_left_out(left_out: Mapping[str, Any]) -> None:
    """Three lines a reason, none of them cut: a path or an address can be copied."""
    from rich.console import Console

    console = Console()
    console.print("Left out", style="italic")
    for (reason, hint), names in reasons(left_out).items():
        for line in (", ".join(names), f"  {reason}", f"  {hint}" if hint else ""):
            if line:
                console.print(line, soft_wrap=True, markup=False, highlight=False)


def number(value: float | None) -> str:
    """A figure with four digits that count."""
    if value is None:
        return "-"
    return f"{value:.4g}" if abs(value) >= 0.001 or value == 0 else f"{value:.2e}"


def interval(row: Mapping[str, Any]) -> str:
    """The ends of an interval."""
    if row["low"] is None or row["high"] is None:
        return "-"
    return f"{number(row['low'])} to {number(row['high'])}"


def share(value: float | None) -> str:
    """A share of the draws."""
    return "-" if value is None else f"{value:.1%}"
