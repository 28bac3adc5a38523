"""`mfv2a evaluate`: measure a model on held-out scenes, and how it looks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mfv2a.cli import console, options

if TYPE_CHECKING:
    from mfv2a.records import ModelInfo

EPILOG = """
**Examples**

`mfv2a evaluate --scenes 200` - onset F1, class agreement and distances in one step

`mfv2a evaluate --scenes 200 --no-text --steps 4` - by the picture alone, in four steps
"""


def evaluate(
    context: typer.Context,
    scenes: Annotated[int, typer.Option(min=2, help="Number of held-out scenes.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="First held-out scene, and the noise.")] = 0,
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
) -> None:
    """Measure a model on held-out scenes: hits, classes, distances."""
    from mfv2a.jobs.evaluate import EvaluateOptions, evaluate_model

    talk = console.start_talk(context, quiet=quiet, verbose=False)
    wanted = EvaluateOptions(
        scenes=scenes, seed=seed, text=text, video=video, steps=steps, cfg_strength=cfg, rescale=rescale
    )

    def begin(info: ModelInfo) -> None:
        talk.say(console.model_line(info, info.sample_rate_hz))

    def tick(done: int) -> None:
        if done % 20 == 0:
            talk.say(f"{done}/{scenes} scenes")

    figures = evaluate_model(options.model_name(model), wanted, device=device, dtype=dtype, begin=begin, tick=tick)
    if json_lines:
        console.print_json(figures)
        return
    for name, value in figures.items():
        number = f"{value:.3f}" if isinstance(value, float) else value
        console.write_stdout(f"{name:<28}{number}\n".encode())
