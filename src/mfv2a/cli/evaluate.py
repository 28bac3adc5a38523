"""`mfv2a evaluate`: a model measured on held-out scenes, or folders of sounds against the true ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mfv2a.cli import console, options

if TYPE_CHECKING:
    from mfv2a.errors import MediaError
    from mfv2a.jobs.pairing import Pairing
    from mfv2a.records import ModelInfo

FOLDERS = "Folders of sounds"
OF_A_MODEL = ("scenes", "text", "video", "model", "steps", "cfg", "rescale", "dtype")
"""Options that mean nothing where folders are measured."""
OF_FOLDERS = ("draws", "split", "csv", "per_clip", "measure")
"""Options that mean nothing where a model is."""

EPILOG = """
**Examples**

`mfv2a evaluate dubbed --reference true` - the field's measures of a folder against the true sounds, with intervals

`mfv2a evaluate dubbed --reference vggsound --list vggsound.csv --csv figures.csv` - paired by a list

`mfv2a evaluate --compare one-step four-steps --reference true --json` - two folders, and how sure their difference is

`mfv2a evaluate --scenes 200` - a model on held-out scenes: onset F1, class agreement and distances in one step

`mfv2a evaluate --scenes 200 --no-text --steps 4` - by the picture alone, in four steps
"""


def split_of_list(panel: str) -> Any:
    """--split, in a panel of the help."""
    return typer.Option(
        "--split",
        metavar="NAME",
        help="Only rows of this split of --list, such as test.",
        show_default="all rows",
        rich_help_panel=panel,
    )


def evaluate(
    context: typer.Context,
    generated: Annotated[
        Path | None,
        typer.Argument(
            metavar="GENERATED",
            help="Folder with generated sounds, in sound or video files; needs --reference.",
            show_default="held-out scenes",
        ),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            "--reference",
            metavar="DIR",
            help="Folder with the true sounds; files pair by their paths up to the suffix.",
            rich_help_panel=FOLDERS,
        ),
    ] = None,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            "--compare",
            metavar="A B",
            help="Two folders with generated sounds, compared clip by clip against one --reference.",
            show_default=False,
            rich_help_panel=FOLDERS,
        ),
    ] = None,
    listing: Annotated[
        Path | None,
        typer.Option(
            "--list",
            metavar="FILE",
            help="List of clips as VGGSound or AudioCaps have it, or with a column file, path, id or name: "
            "pairs by its rows.",
            show_default=False,
            rich_help_panel=FOLDERS,
        ),
    ] = None,
    split: Annotated[str, split_of_list(FOLDERS)] = "",
    measure: Annotated[
        list[str] | None,
        typer.Option(
            "--measure",
            metavar="NAME",
            help="Only this measure; give it several times.",
            show_default="all",
            rich_help_panel=FOLDERS,
        ),
    ] = None,
    draws: Annotated[
        int,
        typer.Option(
            "--draws",
            min=2,
            metavar="N",
            help="Resamples of the clips, for the intervals; at most 200 for distances between sets.",
            rich_help_panel=FOLDERS,
        ),
    ] = 1000,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", help="Figures as CSV.", show_default=False, rich_help_panel=FOLDERS),
    ] = None,
    per_clip: Annotated[
        Path | None,
        typer.Option(
            "--per-clip",
            metavar="FILE.jsonl",
            help="Scores of each clip, a line each.",
            show_default=False,
            rich_help_panel=FOLDERS,
        ),
    ] = None,
    scenes: Annotated[
        int, typer.Option(min=2, metavar="N", help="Number of held-out scenes; 200 take many minutes.")
    ] = 200,
    seed: Annotated[
        int, typer.Option(min=0, metavar="N", help="First held-out scene, and the noise; of the resamples.")
    ] = 0,
    text: Annotated[bool, typer.Option("--text/--no-text", help="Give each scene's caption as the prompt.")] = True,
    video: Annotated[bool, typer.Option("--video/--no-video", help="Show the scene.")] = True,
    model: options.ModelOption = "",
    steps: options.StepsOption = None,
    cfg: options.CfgOption = None,
    rescale: options.RescaleOption = None,
    device: options.DeviceOption = "auto",
    dtype: options.DtypeOption = "auto",
    json_lines: Annotated[bool, typer.Option("--json", help="The figures as one JSON object.")] = False,
    quiet: options.QuietOption = False,
    verbose: options.VerboseOption = False,
) -> None:
    """Measure a model on held-out scenes, or folders of sounds against the true ones."""
    talk = console.start_talk(context, quiet=quiet, verbose=verbose)
    folders = compare or ((generated,) if generated else ())
    if folders or reference or listing or any(_is_given(context, name) for name in OF_FOLDERS):
        from mfv2a.errors import ConfigError
        from mfv2a.jobs.evaluate_folder import FolderOptions

        if generated and compare:
            raise ConfigError("GENERATED and --compare cannot both be given", hint="name both folders after --compare")
        if reference is None or not folders:
            hint = "mfv2a evaluate GENERATED --reference DIR, or mfv2a evaluate --compare A B --reference DIR"
            lone = "" if folders or reference else next((name for name in OF_FOLDERS if _is_given(context, name)), "")
            what = f"--{lone.replace('_', '-')} is of folders of sounds, which" if lone else "folders of sounds"
            raise ConfigError(f"{what} are measured against --reference", hint=hint)
        for name in OF_A_MODEL:
            if _is_given(context, name):
                word = name.replace("_", "-")
                raise ConfigError(
                    f"--{word} is of a model on held-out scenes", hint=f"leave out --{word} or --reference"
                )
        wanted = FolderOptions(
            generated=tuple(folders), reference=reference, listing=listing, split=split, measures=tuple(measure or ()),
            draws=draws, seed=seed, device=device, csv=csv, per_clip=per_clip,
        )  # fmt: skip
        _evaluate_folders(wanted, talk, as_json=json_lines)
        return
    from mfv2a.jobs.evaluate import EvaluateOptions, evaluate_model

    made = EvaluateOptions(
        scenes=scenes, seed=seed, text=text, video=video, steps=steps, cfg_strength=cfg, rescale=rescale
    )

    def begin(info: ModelInfo) -> None:
        talk.say(console.model_line(info, info.sample_rate_hz))

    def tick(done: int) -> None:
        if done % 20 == 0:
            talk.say(f"{done}/{scenes} scenes")

    figures = evaluate_model(options.model_name(model), made, device=device, dtype=dtype, begin=begin, tick=tick)
    _print_scenes(figures, as_json=json_lines)


def first_of(names: Sequence[str]) -> str:
    """The first few names of many."""
    return ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _print_scenes(figures: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        console.print_json(figures)
        return
    for name, value in figures.items():
        number = f"{value:.3f}" if isinstance(value, float) else value
        console.write_stdout(f"{name:<28}{number}\n".encode())


def _evaluate_folders(wanted: Any, talk: console.Talk, *, as_json: bool) -> None:
    from mfv2a.cli.figures import print_figures, reasons
    from mfv2a.errors import StartError
    from mfv2a.jobs.evaluate_folder import Watcher, evaluate_folders

    total = 0

    def begin(pairing: Pairing) -> None:
        nonlocal total
        total = len(pairing.pairs)
        talk.say(console.count(total, "pair"))
        for role, names in pairing.alone.items():
            if names:
                say(f"{role}: {console.count(len(names), 'file')} without a counterpart: {first_of(names)}")
        for role, names in pairing.missing.items():
            if names:
                say(f"{role}: no file for {len(names)} of {pairing.listed} rows of the list: {first_of(names)}")

    def tick(done: int) -> None:
        if done % 50 == 0:
            talk.say(f"{done}/{total} pairs")

    def fail(error: MediaError) -> None:
        talk.error(error)

    def say(line: str) -> None:
        talk.say(console.printable(line))

    end = console.print_json if as_json else print_figures
    report = evaluate_folders(wanted, Watcher(begin=begin, tick=tick, fail=fail, say=say, end=end))
    if wanted.measures:
        left_out = reasons(report["left_out"])
        for both, names in left_out.items():
            say(f"left out: {', '.join(names)}: {' - '.join(part for part in both if part)}")
        if not report["measures"]:
            (reason, hint), *_ = left_out
            raise StartError(f"none of the measures asked for could be taken: {reason}", hint=hint)
    raise typer.Exit(3 if report["failed"] else 0)
