"""`mfv2a bench`: how long each stage takes here, as a table or as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mfv2a.cli import console, options

EPILOG = """
**Examples**

`mfv2a bench --steps 1` - one step, on a scene made for this, 8 s at 720p

`mfv2a bench clip.mp4 --steps 1 --steps 25 --json` - side by side with the ratio, as JSON

`mfv2a bench --model mmaudio-small-16k --random-weights` - a public model's size, without its files

`mfv2a bench --preset one-step-baked --preset mmaudio-25-cfg --price 1.2` - settings of others, and what an hour costs

`mfv2a bench --peaks --save before.json`, later `mfv2a bench --peaks --compare before.json` - what has become faster

`mfv2a bench --steps 1 --steps 4 --quality-scenes 20 --plot pareto.png` - quality against speed, as a picture
"""

RESULTS = "What is told"


def bench(
    context: typer.Context,
    video: Annotated[
        Path | None,
        typer.Argument(metavar="VIDEO", help="Video to dub.", show_default="a scene made for this, 8 s at 720p"),
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
    preset: Annotated[
        list[str] | None,
        typer.Option(
            "--preset",
            help="Settings of others: mmaudio-25-cfg, one-step, one-step-baked or four-renoise; several to compare.",
            show_default="none",
            metavar="NAME",
            rich_help_panel=options.SAMPLING,
        ),
    ] = None,
    cfg: options.CfgOption = None,
    rescale: options.RescaleOption = None,
    reuse_frames: options.ReuseFramesOption = None,
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
    price: Annotated[
        float | None,
        typer.Option(
            "--price",
            help="Price of an hour of this machine: tells the cost of an hour of video.",
            show_default=False,
            metavar="PRICE",
            rich_help_panel=RESULTS,
        ),
    ] = None,
    peaks: Annotated[
        bool,
        typer.Option(
            "--peaks",
            help="Count operations and bytes of each stage, against what this machine does at most, measured too.",
            rich_help_panel=RESULTS,
        ),
    ] = False,
    save: Annotated[
        Path | None,
        typer.Option(
            "--save", help="Keep the report.", show_default=False, metavar="FILE.json", rich_help_panel=RESULTS
        ),
    ] = None,
    compare: Annotated[
        Path | None,
        typer.Option(
            "--compare",
            help="A report kept before, of the same machine, model and clip: tells the ratios.",
            show_default=False,
            metavar="FILE.json",
            rich_help_panel=RESULTS,
        ),
    ] = None,
    quality: Annotated[
        list[str] | None,
        typer.Option(
            "--quality",
            help="How good a setting is, from `mfv2a evaluate --json`; give it once a setting.",
            show_default=False,
            metavar="SETTING=FILE.json",
            rich_help_panel=RESULTS,
        ),
    ] = None,
    quality_scenes: Annotated[
        int,
        typer.Option(
            "--quality-scenes",
            min=0,
            help="How good each setting is on so many held-out scenes, measured here.",
            metavar="N",
            rich_help_panel=RESULTS,
        ),
    ] = 0,
    quality_measure: Annotated[
        str,
        typer.Option(
            "--quality-measure",
            help="By which measure of `mfv2a evaluate`; on scenes onset_f1 or log_mel_distance.",
            metavar="NAME",
            rich_help_panel=RESULTS,
        ),
    ] = "onset_f1",
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            help="Picture of quality against speed.",
            show_default=False,
            metavar="FILE.png",
            rich_help_panel=RESULTS,
        ),
    ] = None,
    batch_size: options.BatchSizeOption = 8,
    device: options.DeviceOption = "auto",
    dtype: options.DtypeOption = "auto",
    low_memory: options.LowMemoryOption = False,
    compile_generator: options.CompileOption = False,
    sample_rate: options.SampleRateOption = "48000",
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON document on stdout.", rich_help_panel=options.TALK)
    ] = False,
    quiet: options.QuietOption = False,
    verbose: options.VerboseOption = False,
) -> None:
    """Time the stages of a dub on this machine, apart: median and 90th percentile, speed and memory."""
    talk = console.start_talk(context, quiet=quiet, verbose=verbose)
    from mfv2a.cli.bench_table import print_report
    from mfv2a.jobs.bench import BenchOptions, measure
    from mfv2a.jobs.sound import SoundOptions

    wanted = BenchOptions(
        video=video,
        sound=SoundOptions(
            model=options.model_name(model),
            cfg_strength=cfg,
            rescale=rescale,
            reuse_frames=reuse_frames,
            seed=seed,
            batch_size=batch_size,
            device=device,
            dtype=dtype,
            low_memory=low_memory,
            compile=compile_generator,
            sample_rate_hz=options.sample_rate(sample_rate),
        ),
        random_weights=random_weights,
        steps=tuple(steps or ()),
        repeats=repeats,
        warmup=warmup,
        batches=tuple(batch or ()),
        presets=tuple(preset or ()),
        price=price,
        counted=peaks,
        against=compare,
        quality=tuple(quality or ()),
        quality_measure=quality_measure,
        quality_scenes=quality_scenes,
        plot=plot,
        save=save,
    )
    measure(
        wanted,
        begin=lambda info, rate_hz: talk.say(console.model_line(info, rate_hz)),
        say=lambda line: talk.say(console.printable(line)),
        end=console.print_json if as_json else print_report,
    )
