"""`mfv2a extract`: scenes, labelled sounds or stored features -> shards of features."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from mfv2a.cli import console

EPILOG = """
**Examples**

`mfv2a extract examples/runs/embedded-2-scenes.toml` - drawn scenes to motion and mel; resumes by shard
"""


def extract(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(metavar="RUN.toml", help="What to extract, where to, how many.")],
    json_lines: Annotated[bool, typer.Option("--json", help="Records on stdout, one JSON object a shard.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only errors on stderr.")] = False,
) -> None:
    """Make stored features for training; resumes by shard."""
    from mfv2a.config import ExtractConfig, load_toml
    from mfv2a.jobs.extract import extract as extract_features

    talk = console.start_talk(context, quiet=quiet, verbose=False)

    def report(record: Mapping[str, Any]) -> None:
        if json_lines:
            console.print_json(record)
        else:
            talk.say(f"{record['items']} items, {record['items_per_s']} a second, {record['shards']} shards in all")

    console.print_path(extract_features(load_toml(run, ExtractConfig), report))
