"""The options that several commands share, each spelled once as an annotated type."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from mfv2a.errors import ConfigError

SAMPLING = "Sampling"
MACHINE = "Machine"
OUTPUT = "Output"
TALK = "What is printed"


def number_or(word: str, unit: str, convert: Callable[[str], float]) -> Callable[[str], str]:
    """Makes the check of an option that takes a number or one word.

    Args:
        word: what may stand in place of a number.
        unit: of the number, for the message.
        convert: text -> number; raises ValueError for what is none.

    Returns:
        Text as typed -> the same text; raises typer.BadParameter if it is neither.
    """

    def checked(text: str) -> str:
        if text != word:
            try:
                convert(text)
            except ValueError:
                raise typer.BadParameter(f"{text!r} is neither a number of {unit} nor `{word}`") from None
        return text

    return checked


def loudness(text: str) -> float | None:
    """Turns the checked word of --loudness into its value in LUFS, None for `off`."""
    return None if text == "off" else float(text)


def batch_size(text: str) -> int:
    """Turns the checked word of --batch-size into the windows to begin with."""
    return 8 if text == "auto" else int(text)


def given(text: str, name: str) -> str:
    """A path as typed.

    Raises:
        ConfigError: it is empty, which would mean the working directory.
    """
    if not text:
        raise ConfigError(f"{name} is empty", hint="a variable without a value? the working directory is .")
    return text


def model_name(text: str) -> str:
    """The model asked for, or this user's default."""
    from mfv2a.defaults import known_default

    return text or known_default()


def sample_rate(text: str) -> int | Literal["model"]:
    """Turns the checked word of --sample-rate into its value in Hz, or `model`."""
    return "model" if text == "model" else int(text)


def machine(device: str, dtype: str, low_memory: bool, compile_generator: bool) -> dict[str, Any]:
    """What `SoundOptions` takes of the options of the machine."""
    return {"device": device, "dtype": dtype, "low_memory": low_memory, "compile": compile_generator}


ReuseFramesOption = Annotated[
    float | None,
    typer.Option(
        "--reuse-frames",
        min=0.0,
        max=255.0,
        help="Encode no picture that differs from the last encoded one by this much or less, in levels of 255 where "
        "it differs most: calm videos get faster, the report tells the error. Try 4.",
        show_default="off, every picture is encoded",
        metavar="TOL",
        rich_help_panel=SAMPLING,
    ),
]
ModelOption = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        help="Name of the model; `mfv2a models list` names them, with their licences. Files that are not here are "
        "downloaded.",
        show_default="MFV2A_MODEL, else what `mfv2a models default` says",
        metavar="NAME",
        rich_help_panel=SAMPLING,
    ),
]
StepsOption = Annotated[
    int | None,
    typer.Option(
        "--steps",
        min=1,
        help="Sampler steps.",
        show_default="the model's own",
        metavar="N",
        rich_help_panel=SAMPLING,
    ),
]
CfgOption = Annotated[
    float | None,
    typer.Option(
        "--cfg",
        min=0.0,
        help="Guidance weight; 1 is none, more follows the prompt and the picture harder.",
        show_default="the model's own",
        metavar="W",
        rich_help_panel=SAMPLING,
    ),
]
RescaleOption = Annotated[
    bool | None,
    typer.Option(
        "--rescale/--no-rescale",
        help="Scale the guidance so that it distorts less.",
        show_default="the model's own",
        rich_help_panel=SAMPLING,
    ),
]
SeedOption = Annotated[
    int,
    typer.Option("--seed", "-s", min=0, help="Another seed, another take.", metavar="N", rich_help_panel=SAMPLING),
]
BatchSizeOption = Annotated[
    int,
    typer.Option(
        "--batch-size",
        "-b",
        min=1,
        help="Windows sampled together; fewer need less memory. Changes a result by rounding at most.",
        metavar="N",
        rich_help_panel=MACHINE,
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        help="Clips decoded, encoded and written at the same time. Changes no result.",
        show_default="the number of cores",
        metavar="N",
        rich_help_panel=MACHINE,
    ),
]
GrowingBatchOption = Annotated[
    str,
    typer.Option(
        "--batch-size",
        "-b",
        help="Windows sampled together; `auto` grows to the device. Too many for the memory are halved. "
        "Changes a result by rounding at most.",
        metavar="N|auto",
        callback=number_or("auto", "windows", int),
        rich_help_panel=MACHINE,
    ),
]
MaxFailuresOption = Annotated[
    int | None,
    typer.Option(
        "--max-failures",
        min=1,
        help="Stop after so many failures; the rest is not begun.",
        show_default="never",
        metavar="N",
        rich_help_panel=MACHINE,
    ),
]
TimeoutOption = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        help="How long the work on one clip may take; one that takes longer has failed, the others go on.",
        show_default="no limit",
        metavar="SECONDS",
        rich_help_panel=MACHINE,
    ),
]
GalleryOption = Annotated[
    bool,
    typer.Option(
        "--gallery",
        help="At the end, make DIR/index.html: a page that shows and plays every clip, as `mfv2a report gallery` does.",
        rich_help_panel=OUTPUT,
    ),
]
HeartbeatOption = Annotated[
    str | None,
    typer.Option(
        "--heartbeat",
        help="File in which the run tells every few seconds that it is alive, as JSON: counts and current clips.",
        metavar="FILE",
        show_default=False,
        rich_help_panel=MACHINE,
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option("--device", help="auto, cpu, cuda, cuda:1 or mps.", metavar="NAME", rich_help_panel=MACHINE),
]
DecodeDeviceOption = Annotated[
    Literal["auto", "cpu", "cuda"],
    typer.Option(
        "--decode-device",
        help="Where videos are decoded; auto: on the GPU of the networks if it can, else on the processor.",
        rich_help_panel=MACHINE,
    ),
]
DtypeOption = Annotated[
    str,
    typer.Option(
        "--dtype",
        help="auto, float32, bfloat16 or float16. auto: bfloat16 on a GPU that multiplies it (NVIDIA: from Ampere "
        "on), and for public models on such a processor; else float32.",
        metavar="NAME",
        rich_help_panel=MACHINE,
    ),
]
LowMemoryOption = Annotated[
    bool,
    typer.Option(
        "--low-memory", help="Hold encoders, generator and decoders one after the other.", rich_help_panel=MACHINE
    ),
]
CompileOption = Annotated[
    bool,
    typer.Option(
        "--compile",
        help="Let torch compile the generator when it first runs, which takes minutes and is kept for later runs: for "
        "long batches of many steps. Measure it with `mfv2a bench`.",
        rich_help_panel=MACHINE,
    ),
]
SampleRateOption = Annotated[
    str,
    typer.Option(
        "--sample-rate",
        help="Sample rate of the sound in Hz, or `model` for the model's own.",
        metavar="HZ|model",
        callback=number_or("model", "Hz", int),
        rich_help_panel=OUTPUT,
    ),
]
LoudnessOption = Annotated[
    str,
    typer.Option(
        "--loudness",
        help="Integrated loudness of each sound in LUFS by EBU R 128, such as -23, true peaks below -1 dBTP; "
        "or `off`. Quiet ambience is not raised.",
        metavar="LUFS|off",
        callback=number_or("off", "LUFS", float),
        rich_help_panel=OUTPUT,
    ),
]
OutFolderOption = Annotated[
    Path,
    typer.Option("--out", "-o", help="Folder for the results; made if need be.", metavar="DIR", rich_help_panel=OUTPUT),
]
OutAnywhereOption = Annotated[
    str,
    typer.Option(
        "--out",
        "-o",
        help="Folder for the results, or its URL; made if need be.",
        metavar="DIR|URL",
        rich_help_panel=OUTPUT,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON on stdout, an object a line.", rich_help_panel=TALK)]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Only errors on stderr.", rich_help_panel=TALK)]
VerboseOption = Annotated[
    bool,
    typer.Option("--verbose", "-v", help="Details and tracebacks on stderr.", rich_help_panel=TALK),
]
