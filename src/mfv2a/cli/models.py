"""`mfv2a models`: what can be used, under which licence, and where its files are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mfv2a.cli import console, options
from mfv2a.cli.flags import Command, Group

EPILOG = """
**Examples**

`mfv2a models list` - every model, with its licence

`mfv2a models info mmaudio-large-44k-v2` - files, digests, and how each is known

`mfv2a models pull meanaudio-s-full` - fetch and verify

`mfv2a models check mmaudio-small-16k` - fetch, load, dub a drawn scene: does it work here?

`mfv2a models default embedded` - what is used where no --model is given

`mfv2a models export runs/mine ./mine && mfv2a dub clips --out dubbed --model ./mine` - a model of your own

`mfv2a models push ./mine OWNER/NAME` - upload it; `--model OWNER/NAME` then takes it anywhere

Weights have licences of their own, which every line names; many public ones are not for commercial use.
"""
app = typer.Typer(
    cls=Group,
    help="List, fetch, verify and check models.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    epilog=EPILOG,
)
NameArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="A model of mfv2a models list, one of your own (folder, weights file, OWNER/NAME), or a single file by "
        "its name in checkpoints.toml.",
    ),
]


@app.command("list", cls=Command)
def list_all(as_json: options.JsonOption = False) -> None:
    """Every model: kind, steps, sample rate, licence, whether it is here and whether this version runs it."""
    from mfv2a.jobs.models import list_models

    rows = list_models()
    if as_json:
        for row in rows:
            console.print_json(row.record())
        return
    width = max(len(row.entry.name) for row in rows)
    for row in rows:
        entry = row.entry
        words = [
            f"{'*' if row.default else ' '} {entry.name:<{width}}",
            f"{entry.kind:<13}",
            f"{entry.steps:>2} {'step ' if entry.steps == 1 else 'steps'}",
            f"{console.khz(entry.sample_rate_hz):>8}",
            f"{row.state:<16}",
            f"{'runs' if row.runs else 'not yet run by this version':<27}",
            entry.licence,
        ]
        console.print_line("  ".join(words).rstrip())


@app.command(cls=Command)
def info(name: NameArgument, as_json: options.JsonOption = False) -> None:
    """All that is known of a model or a file: files, digests, licences and how each is known."""
    from mfv2a.jobs.models import describe_any

    record = describe_any(name)
    if as_json:
        console.print_json(record)
        return
    files = record.pop("files")
    for key, value in record.items():
        console.print_line(f"{key:<16}{value}")
    for file in files:
        console.print_line(f"\n{file.pop('role')} {file.pop('name')}")
        for key, value in file.items():
            if value:
                console.print_line(f"  {key:<14}{value}")


@app.command(cls=Command)
def pull(
    context: typer.Context,
    name: NameArgument,
    quiet: options.QuietOption = False,
    verbose: options.VerboseOption = False,
) -> None:
    """Fetch a model's files from the hub, of OWNER/NAME the newest commit's, and verify them; prints their paths."""
    from mfv2a.jobs.models import pull as fetch

    talk = console.start_talk(context, quiet=quiet, verbose=verbose)
    for pulled in fetch(name, progress=not quiet and console.stderr_is_terminal(), say=talk.say):
        file, trusted = pulled.file, pulled.came and not pulled.file.digest
        told = "; no digest is known, so this download is trusted and remembered" if trusted else ""
        talk.say(f"{file.name}: licence {file.licence} ({file.licence_url}){told}")
        console.print_path(pulled.path)


@app.command(cls=Command)
def verify(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A model or file; without it, all that is here.")
    ] = None,
) -> None:
    """Read the files that are here again and compare them with the register; exits with 4 if one is wrong."""
    from mfv2a.errors import CheckpointError
    from mfv2a.jobs.models import verify as check

    talk = console.start_talk(context, quiet=False, verbose=False)
    wrong = False
    for file, verdict in check(name):
        if isinstance(verdict, CheckpointError):
            wrong = True
            talk.error(verdict)
        elif verdict is not None:
            told = " (of the first download)" if verdict.trusted else ""
            console.print_line(f"{file.name}: as stated, {verdict.digest}{told}")
        elif name:
            console.print_line(f"{file.name}: not here")
    raise typer.Exit(4 if wrong else 0)


@app.command(cls=Command)
def check(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of a model.")],
    device: options.DeviceOption = "auto",
    dtype: options.DtypeOption = "auto",
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
    verbose: options.VerboseOption = False,
) -> None:
    """Fetch a model, load it strictly, dub a drawn scene with it and test the sound; exits with 4 if a test fails.

    Prints a table to paste into a report. Where the package of the model's authors is installed, both are compared.
    """
    from mfv2a.jobs.check import check_model

    talk = console.start_talk(context, quiet=quiet, verbose=verbose)
    failed = False
    show = not quiet and console.stderr_is_terminal()
    for line in check_model(name, device=device, dtype=dtype, progress=show, begin=talk.detail):
        failed = failed or line.ok is False
        if as_json:
            console.print_json({"name": line.name, "state": line.state, "ok": line.ok})
        else:
            mark = {True: "ok", False: "FAILED", None: "--"}[line.ok]
            console.print_line(f"{mark:<8}{line.name:<11}{console.printable(line.state)}")
    raise typer.Exit(4 if failed else 0)


@app.command(cls=Command)
def path(name: NameArgument) -> None:
    """Paths of a model's files on this machine, a line each."""
    from mfv2a.errors import CheckpointError
    from mfv2a.jobs.models import how_to_get, locate

    found = locate(name)
    if not found and (hint := how_to_get(name)):
        raise CheckpointError(f"no file of {name} is here", hint=hint)
    for each in found:
        console.print_path(each)


@app.command(cls=Command)
def default(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Model to use from now on; without it, the present one is printed."),
    ] = None,
) -> None:
    """Print the model used where none is named, or choose it, also one of your own; MFV2A_MODEL goes before."""
    from mfv2a.defaults import ENV_MODEL, default_model
    from mfv2a.jobs.models import choose_default

    chosen = None if name is None else choose_default(name)
    if chosen not in (None, default_model()):
        console.start_talk(context, quiet=False, verbose=False).say(f"{chosen} is kept, but {ENV_MODEL} goes before")
    console.print_line(f"{default_model()}")


@app.command(cls=Command)
def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run, or its weights file.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to make.")],
    like: Annotated[
        str | None,
        typer.Option(
            "--like",
            help="Model whose encoders and decoders it takes.",
            metavar="NAME",
            show_default="found",
        ),
    ] = None,
    licence: Annotated[
        str, typer.Option("--licence", help="Licence of the weights, for the card.", metavar="NAME")
    ] = "not stated",
    licence_url: Annotated[str, typer.Option("--licence-url", help="Where it can be read.", metavar="URL")] = "",
) -> None:
    """Make a package of what `mfv2a train` wrote: weights, their description and a card; --model takes the folder."""
    from mfv2a.jobs.export import export_run

    console.print_path(export_run(run, folder, like=like, licence=licence, licence_url=licence_url))


@app.command(cls=Command)
def push(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Made by `mfv2a models export`.")],
    repo: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="Repo of the hub; made if it is not there.")],
    private: Annotated[bool, typer.Option("--private", help="Make it so that only you see it.")] = False,
) -> None:
    """Upload a package with its card to the hub; prints its address. HF_TOKEN must hold a token that may write."""
    from mfv2a.jobs.export import push as upload

    console.print_line(f"{upload(folder, repo, private=private)}")
