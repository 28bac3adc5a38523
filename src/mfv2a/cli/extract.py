"""`mfv2a extract`: scenes, sounds, videos or stored features -> shards of features."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from mfv2a.cli import console, options

EPILOG = """
**Examples**

`mfv2a extract examples/runs/embedded-2-scenes.toml` - drawn scenes to motion and mel; resumes by shard

`torchrun --nproc-per-node 8 -m mfv2a extract examples/runs/features-vggsound-16k.toml` - videos to a public model's \
features on eight cards
"""


def extract(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(metavar="RUN.toml", help="What to extract, where to, how many.")],
    json_lines: Annotated[bool, typer.Option("--json", help="Records on stdout, one JSON object a shard.")] = False,
    quiet: options.QuietOption = False,
    verbose: options.VerboseOption = False,
) -> None:
    """Make stored features for training; resumes by shard."""
    from mfv2a.config import ExtractConfig, load_toml
    from mfv2a.jobs.extract import extract as extract_features

    talk = console.start_talk(context, quiet=quiet, verbose=verbose)

    def report(record: Mapping[str, Any]) -> None:
        if json_lines:
            console.print_json(record)
        elif "failed" in record:
            talk.say(console.printable(f"{record['failed']}: {record['error']}"))
        elif "unread" in record:
            whole = console.count(record["sounds"], "sound")
            first = f"{record['first']}: {record['error']}"
            talk.say(console.printable(f"{record['unread']} of {whole} cannot be read and are left out, first {first}"))
        elif "missing" in record:
            talk.say(f"{console.count(record['missing'], 'clip')} of the list not in the folder")
        else:
            talk.say(f"{record['items']} items, {record['items_per_s']} a second, {record['shards']} shards in all")

    folder = extract_features(load_toml(run, ExtractConfig), report)
    if folder is not None:
        console.print_path(folder)
