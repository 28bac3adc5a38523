"""`mfv2a bench`: how long each stage takes here, as a table or as JSON."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from mfv2a.cli import console, options

EPILOG = """
**Examples**

`mfv2a bench --steps 1` - one step, on a scene made for this, 8 s at 720p

`mfv2a bench clip.mp4 --steps 1 --steps 25 --json` - side by side with the ratio, as JSON

`mfv2a bench --model mmaudio-small-16k --random-weights` - a public model's size, without its files
"""


def bench(
    context: typer.Context,
    video: Annotated[
        Path | None,
        typer.Argument(metavar="[VIDEO]", help="Video to dub.", show_default="a scene made for this, 8 s at 720p"),
    ] = None,
    steps: Annotated[
        list[int] | None,
        typer.Option(
            "--steps",
            min=1,
            help="Sampler steps; give it several times to compare.",
            show_default="the model's own",
            metavar="N",
            rich_help_panel=options.SAMPLING,
        ),
    ] = None,
    cfg: options.CfgOption = None,
    rescale: options.RescaleOption = None,
    model: options.ModelOption = "",
    seed: options.SeedOption = 0,
    random_weights: Annotated[
        bool,
        typer.Option(
            "--random-weights",
            help="A public model at full size with random weights: needs none of its files, makes noise.",
            rich_help_panel=options.MACHINE,
        ),
    ] = False,
    repeats: Annotated[
        int,
        typer.Option("--repeats", min=1, help="Measured runs.", metavar="N", rich_help_panel=options.MACHINE),
    ] = 5,
    warmup: Annotated[
        int,
        typer.Option(
            "--warmup",
            min=0,
            help="Runs before that, not counted.",
            metavar="N",
            rich_help_panel=options.MACHINE,
        ),
    ] = 1,
    batch: Annotated[
        list[int] | None,
        typer.Option(
            "--batch",
            min=1,
            help="Also time the sampler on so many clips at once; give it several times to compare.",
            metavar="N",
            rich_help_panel=options.MACHINE,
        ),
    ] = None,
    batch_size: options.BatchSizeOption = 8,
    device: options.DeviceOption = "auto",
    dtype: options.DtypeOption = "auto",
    low_memory: options.LowMemoryOption = False,
    sample_rate: options.SampleRateOption = "48000",
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON document on stdout.", rich_help_panel=options.TALK)
    ] = False,
    quiet: options.QuietOption = False,
    verbose: options.VerboseOption = False,
) -> None:
    """Time the stages of a dub on this machine, apart: median and 90th percentile, speed and memory."""
    talk = console.start_talk(context, quiet=quiet, verbose=verbose)
    from mfv2a.jobs.bench import BenchOptions, measure
    from mfv2a.jobs.sound import SoundOptions

    wanted = BenchOptions(
        video=video,
        sound=SoundOptions(
            model=options.model_name(model),
            cfg_strength=cfg,
            rescale=rescale,
            seed=seed,
            batch_size=batch_size,
            device=device,
            dtype=dtype,
            low_memory=low_memory,
            sample_rate_hz=options.sample_rate(sample_rate),
        ),
        random_weights=random_weights,
        steps=tuple(steps or ()),
        repeats=repeats,
        warmup=warmup,
        batches=tuple(batch or ()),
    )
    report = measure(wanted, begin=lambda info, rate_hz: talk.say(console.model_line(info, rate_hz)), say=talk.say)
    if as_json:
        console.print_json(report)
    else:
        _print_table(report)


def _print_table(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    machine = f"{report['device']}, {report['dtype']}, {console.count(report['threads'], 'thread')}"
    weights = ", random weights" if report["random_weights"] else ""
    title = f"{report['duration_s']:.2f} s at {report['picture']} on {machine}: {report['model']}{weights}"
    table = Table(title=title, title_justify="left")
    table.add_column("seconds")
    for entry in report["entries"]:
        table.add_column(console.count(entry["steps"], "step"), justify="right")
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
            table.add_row(name, *(text for cell in cells for text in (cell, "", "")))
    Console().print(table)


def _cells(entry: dict[str, Any], name: str) -> tuple[str, str, str]:
    seconds, total_s = entry["seconds"][name], entry["seconds"]["total"]["median"]
    return f"{seconds['median']:.3f}", f"{seconds['p90']:.3f}", f"{seconds['median'] / total_s:.0%}"


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


_FACTS: dict[str, Callable[[dict[str, Any]], str]] = {
    "NFE": lambda entry: str(entry["nfe"]),
    "RTF": lambda entry: f"{entry['rtf']:.3f}",
    "total / first": lambda entry: _number(entry.get("ratio", {}).get("total"), ".2f"),
    "sample / first": lambda entry: _number(entry.get("ratio", {}).get("sample"), ".2f"),
    "sampled clips/s": lambda entry: ", ".join(f"{x['clips_per_s']:.3g} x{x['batch']}" for x in entry["sampled"]),
    "peak MiB": lambda entry: _number(entry["peak_memory_mib"], ".0f"),
    "device MiB": lambda entry: _number(entry["peak_device_mib"], ".0f"),
}
