"""`mfv2a report`: what runs into an output folder reported, merged or as a page."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from mfv2a.cli import console, options
from mfv2a.cli.flags import Command, Group

EPILOG = """
**Examples**

`mfv2a dub clips --out dubbed --shard 2/8` - one of eight runs that share the list; each writes report-2-of-8.jsonl

`mfv2a report merge dubbed` - afterwards: one report.jsonl of all

`mfv2a report gallery dubbed` - a page of all clips: dubbed/index.html
"""
app = typer.Typer(
    cls=Group,
    help="What runs into a folder reported: one list, one page.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    epilog=EPILOG,
)


@app.callback()
def report() -> None:
    """What runs into a folder reported: one list, one page."""


@app.command(cls=Command)
def merge(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(metavar="DIR", help="The --out of the runs.")],
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
    verbose: options.VerboseOption = False,
) -> None:
    """Make one report.jsonl of those that shards wrote, and remove theirs. Whole or not at all.

    Prints the path of the report. Refuses while a run is writing into the folder; ends with 3 if a shard is missing.
    """
    talk = console.start_talk(context, quiet=quiet, verbose=verbose)
    from mfv2a.jobs.shards import merge_reports

    merged = merge_reports(out)
    if as_json:
        console.print_json(asdict(merged))
    else:
        console.print_path(merged.path)
    counts = ", ".join(f"{number} {status}" for status, number in merged.statuses.items())
    reports, lines = console.count(len(merged.reports), "report"), console.count(merged.lines, "line")
    talk.say(f"{reports} of shards merged, {lines}: {counts or 'no files'}")
    if merged.missing:
        talk.say(f"no report of shard {', '.join(merged.missing)}: run it, then merge again")
        raise typer.Exit(3)


@app.command(cls=Command)
def gallery(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(metavar="DIR", help="The --out of one or more runs.")],
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            min=1,
            metavar="N",
            help="Clips looked at and listened to at the same time.",
            show_default="the number of cores",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an index.html that mfv2a did not make.")
    ] = False,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
    verbose: options.VerboseOption = False,
) -> None:
    """Make DIR/index.html: a page that shows and plays every clip of the reports in DIR.

    Works for runs that were cut off, are still going on, or shared a list; prints the path of the page.
    """
    talk = console.start_talk(context, quiet=quiet, verbose=verbose)
    from mfv2a.cli.gallery import write_gallery

    made = write_gallery(out, talk, overwrite=overwrite, workers=workers)
    if as_json:
        console.print_json(asdict(made))
    else:
        console.print_path(made.path)
