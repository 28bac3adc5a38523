"""The tables of `mfv2a bench` for people: times, what the stages compute and move, what has become faster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mfv2a.cli import console
from mfv2a.cli.figures import print_whole

STAGES_AT_WORK = ("features", "sample", "vae", "vocoder")


def print_report(report: Mapping[str, Any]) -> None:
    """Prints what was measured to stdout."""
    _print_times(report)
    if report["peaks"]:
        _print_work(report)
    if "compared" in report:
        _print_compared(report["compared"])


def _print_times(report: Mapping[str, Any]) -> None:
    from rich.table import Table

    machine = f"{report['device']}, {report['dtype']}, {console.count(report['threads'], 'thread')}"
    weights = ", random weights" if report["random_weights"] else ""
    title = f"{report['duration_s']:.2f} s at {report['picture']} on {machine}: {report['model']}{weights}"
    table = Table(title=title, title_justify="left")
    table.add_column("seconds")
    for entry in report["entries"]:
        table.add_column(entry["setting"], justify="right")
        table.add_column("p90", justify="right")
        table.add_column("share", justify="right")
    for name in report["entries"][0]["seconds"]:
        if name == "total":
            table.add_section()
        table.add_row(name, *(cell for entry in report["entries"] for cell in _cells(entry, name)))
    table.add_section()
    for name, tell in _FACTS.items():
        cells = [tell(entry) for entry in report["entries"]]
        if any(cells):
            name = report["quality"]["measure"] if name == "quality" else name
            table.add_row(name, *(text for cell in cells for text in (cell, "", "")))
    print_whole(table)


def _cells(entry: Mapping[str, Any], name: str) -> tuple[str, str, str]:
    seconds, total_s = entry["seconds"][name], entry["seconds"]["total"]["median"]
    return f"{seconds['median']:.3f}", f"{seconds['p90']:.3f}", f"{seconds['median'] / total_s:.0%}"


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _quality(entry: Mapping[str, Any]) -> str:
    if "quality" not in entry:
        return ""
    figure = entry["quality"]
    if figure["low"] is None or figure["high"] is None:
        return f"{figure['value']:.3g}"
    return f"{figure['value']:.3g} ({figure['low']:.3g} to {figure['high']:.3g})"


_FACTS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "guidance": lambda entry: _number(entry["cfg_strength"], "g"),
    "NFE": lambda entry: str(entry["nfe"]),
    "RTF": lambda entry: f"{entry['rtf']:.3f}",
    "cost of an hour": lambda entry: _number(entry["cost_per_video_hour"], ".4g"),
    "quality": _quality,
    "reused": lambda entry: ", ".join(
        f"{x['name']} {x['reused']}/{x['seen']}, error {x['error']:.2g}" for x in entry.get("reused", ())
    ),
    "total / first": lambda entry: _number(entry.get("ratio", {}).get("total"), ".2f"),
    "sample / first": lambda entry: _number(entry.get("ratio", {}).get("sample"), ".2f"),
    "sampled clips/s": lambda entry: ", ".join(f"{x['clips_per_s']:.3g} x{x['batch']}" for x in entry["sampled"]),
    "peak MiB": lambda entry: _number(entry["peak_memory_mib"], ".0f"),
    "device MiB": lambda entry: _number(entry["peak_device_mib"], ".0f"),
}


def _print_work(report: Mapping[str, Any]) -> None:
    from rich.table import Table

    peaks = report["peaks"]
    compute = ", ".join(f"{value:.1f} GFLOP/s in {dtype}" for dtype, value in peaks["gflop_per_s"].items())
    title = f"Peaks measured here: {compute}; memory {peaks['gbyte_per_s']:.1f} GB/s"
    table = Table(title=title, title_justify="left")
    table.add_column("stage")
    for head in ("in", "seconds", "GFLOP", "GB", "FLOP/B", "GFLOP/s", "of peak", "GB/s", "of peak"):
        table.add_column(head, justify="right")
    for entry in report["entries"]:
        table.add_section()
        for stage in STAGES_AT_WORK:
            row = entry["work"][stage]
            table.add_row(
                f"{stage}, {entry['setting']}",
                row["dtype"],
                f"{row['seconds']:.3f}",
                f"{row['flops'] / 1e9:.2f}",
                f"{row['bytes'] / 1e9:.3f}",
                _number(row["flops_per_byte"], ".1f"),
                _number(row["gflop_per_s"], ".1f"),
                _number(row["share_of_compute"], ".0%"),
                _number(row["gbyte_per_s"], ".2f"),
                _number(row["share_of_memory"], ".0%"),
            )
    print_whole(table)


def _print_compared(compared: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Now against then: below 1 is faster now", title_justify="left")
    table.add_column("stage")
    for head in ("medians", "spread", "fastest"):
        table.add_column(head, justify="right")
    for entry in compared:
        table.add_section()
        for stage, row in entry["stages"].items():
            spread = f"{_number(row['low'], '.2f')} to {_number(row['high'], '.2f')}"
            table.add_row(
                f"{stage}, {entry['setting']}", _number(row["ratio"], ".2f"), spread, _number(row["fastest"], ".2f")
            )
    print_whole(table)
    for entry in compared:
        told = "; ".join(
            f"{name.replace('_', ' ')} {then}, now {now}" for name, (then, now) in entry["changed"].items()
        )
        if told:
            Console().print(f"{entry['setting']} was otherwise then: {told}", markup=False, highlight=False)
