"""`mfv2a scenes`: drawn scenes with captions and onset times, as MP4 and JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from mfv2a.cli import console, options

EPILOG = """
**Examples**

`mfv2a scenes --out scenes --count 20 --with-sound` - scene-000000.mp4 to scene-000019.mp4, a JSON beside each

`mfv2a scenes --out drums --family drums --seed 7 --size 640x360` - one silent scene of drums
"""


def scenes(
    context: typer.Context,
    out: options.OutFolderOption,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="Number of scenes.", metavar="N")] = 1,
    seed: Annotated[
        int, typer.Option("--seed", "-s", min=0, help="Seed of the first scene; the next ones follow.", metavar="N")
    ] = 0,
    with_sound: Annotated[bool, typer.Option("--with-sound", help="With the scene's own sound.")] = False,
    size: Annotated[str, typer.Option("--size", help="Frame size in pixels.", metavar="WxH")] = "1280x720",
    duration: Annotated[float, typer.Option("--duration", "-d", help="Seconds of each scene.", metavar="S")] = 8.0,
    fps: Annotated[float, typer.Option("--fps", help="Frames per second.", metavar="N")] = 25.0,
    family: Annotated[
        str | None,
        typer.Option("--family", "-f", help="Only this family of scenes; a wrong name lists them.", metavar="NAME"),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Make scenes again that are there.", rich_help_panel=options.OUTPUT)
    ] = False,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
    verbose: options.VerboseOption = False,
) -> None:
    """Draw scenes in which things move and sound, with captions and onset times.

    Prints the path of each video.
    """
    talk = console.start_talk(context, quiet=quiet, verbose=verbose)
    from mfv2a.jobs.scenes import ScenesOptions, parse_size, write_scenes

    width_px, height_px = parse_size(size)
    wanted = ScenesOptions(
        out=Path(out), count=count, seed=seed, with_sound=with_sound, width_px=width_px, height_px=height_px,
        fps=fps, duration_s=duration, family=family, overwrite=overwrite,
    )  # fmt: skip

    def report(record: Mapping[str, Any]) -> None:
        if as_json:
            console.print_json(record)
        else:
            console.print_path(Path(str(record["output"])))
        done = " (done already)" if record["status"] == "skipped" else ""
        talk.say(f"{record['label']}: {record['caption']}, {console.count(len(record['events']), 'event')}{done}")

    write_scenes(wanted, report)
