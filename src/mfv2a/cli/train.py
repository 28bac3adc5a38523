"""`mfv2a train`: a RUN.toml in, a folder with weights, checkpoints and a log out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from mfv2a.cli import console, options

EPILOG = """
**Examples**

`mfv2a train examples/runs/embedded-3-vae.toml` - the codec; run again to go on where it stopped

`torchrun --nproc-per-node 8 -m mfv2a train examples/runs/mf-small-16k-vggsound.toml` - a generator on eight cards
"""


def train(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(metavar="RUN.toml", help="The run: task, sources, sizes, schedule.")],
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the run's last checkpoint; without one, refuse to begin anew.")
    ] = False,
    json_lines: Annotated[bool, typer.Option("--json", help="Log records on stdout, one JSON object a line.")] = False,
    quiet: options.QuietOption = False,
    verbose: options.VerboseOption = False,
) -> None:
    """Train a codec, sync encoder, vocoder or generator; resumes by itself, and shares a generator under torchrun."""
    from mfv2a.jobs.train import read_run
    from mfv2a.jobs.train import train as train_run

    talk = console.start_talk(context, quiet=quiet, verbose=verbose)

    def report(record: Mapping[str, Any]) -> None:
        if json_lines:
            console.print_json(record)
        else:
            talk.say("  ".join(f"{name} {_number(value)}" for name, value in record.items()))

    path = train_run(read_run(run), report, resume=resume)
    if path is not None:
        console.print_path(path)


def _number(value: Any) -> str:
    if value is None:
        return "not finite"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
