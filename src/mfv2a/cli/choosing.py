"""The options of `mfv2a dub` and `mfv2a tta` that say which of several sounds is taken, and how it is handed on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mfv2a.cli.options import OUTPUT

if TYPE_CHECKING:
    from mfv2a.jobs.choice import ChoiceOptions
    from mfv2a.jobs.delivery import DeliveryOptions

CHOICE = "Choice"

CandidatesOption = Annotated[
    int | None,
    typer.Option(
        "--candidates",
        min=1,
        help="Draw N sounds of each clip or prompt and take the best: by what is seen to strike, and by what is heard.",
        show_default="1; tta: 1 to 3 of the embedded model, until the words are heard",
        metavar="N",
        rich_help_panel=CHOICE,
    ),
]
KeepAllOption = Annotated[
    bool,
    typer.Option(
        "--keep-all",
        help="Also write the other candidates, by rank: NAME.candidate-2 and so on.",
        rich_help_panel=CHOICE,
    ),
]
NoSpeechOption = Annotated[
    bool,
    typer.Option(
        "--no-speech",
        help="Listen to each sound, refuse those in which speech is heard, and draw again.",
        rich_help_panel=CHOICE,
    ),
]
NoMusicOption = Annotated[
    bool,
    typer.Option("--no-music", help="The same for music.", rich_help_panel=CHOICE),
]
TriesOption = Annotated[
    int | None,
    typer.Option(
        "--tries",
        min=1,
        help="How often --no-speech and --no-music draw at most, N candidates each time; then the least bad is taken, "
        "and the run says so.",
        show_default="4",
        metavar="N",
        rich_help_panel=CHOICE,
    ),
]
SplitShotsOption = Annotated[
    bool,
    typer.Option(
        "--split-shots",
        help="Find hard cuts, and see and sound each shot on its own: nothing is heard over a cut.",
        rich_help_panel=CHOICE,
    ),
]
ChannelsOption = Annotated[
    Literal["auto", "mono", "stereo"],
    typer.Option(
        "--channels",
        help="stereo: the model's one channel on both sides; auto: as it comes, in a mix as the video's own sound, "
        "surround sound as stereo.",
        rich_help_panel=OUTPUT,
    ),
]
DuckOption = Annotated[
    float | None,
    typer.Option(
        "--duck",
        help="In a mix, let the new sound give way by so many dB while the video's own is heard.",
        metavar="DB",
        show_default="off",
        rich_help_panel=OUTPUT,
    ),
]
ProvenanceOption = Annotated[
    bool,
    typer.Option(
        "--provenance/--no-provenance",
        help="Say in each file that its sound is AI-generated, with tool, model, licence and the seed of its noise.",
        rich_help_panel=OUTPUT,
    ),
]
OnsetsOption = Annotated[
    Literal["off", "csv", "edl"],
    typer.Option(
        "--onsets",
        help="For editors: NAME.onsets.csv or .edl beside each output, the times of what is heard and seen to strike.",
        rich_help_panel=OUTPUT,
    ),
]


def choice(
    candidates: int | None,
    keep_all: bool,
    no_speech: bool,
    no_music: bool,
    tries: int | None,
    heard_tries: int = 1,
) -> ChoiceOptions:
    """How a sound is chosen, of the options that say it."""
    from mfv2a.jobs.choice import ChoiceOptions

    return ChoiceOptions(
        candidates=candidates or 1,
        keep_all=keep_all,
        no_speech=no_speech,
        no_music=no_music,
        tries=tries,
        heard_tries=heard_tries,
    )


def delivery(
    channels: Literal["auto", "mono", "stereo"],
    provenance: bool,
    duck: float | None = None,
    onsets: Literal["off", "csv", "edl"] = "off",
) -> DeliveryOptions:
    """How a sound is handed on, of the options that say it."""
    from mfv2a.jobs.delivery import DeliveryOptions

    return DeliveryOptions(channels=channels, duck_db=duck, provenance=provenance, onsets=onsets)


def told(facts: Mapping[str, Any]) -> str:
    """What was chosen and refused, for people; nothing where there was no choice.

    Args:
        facts: of a sound, as its record has them.
    """
    drawn = facts.get("candidates", ())
    refused = sorted({name for row in drawn for name in row.get("refused", ())})
    text = f", candidate {facts['candidate']} of {len(drawn)}" if len(drawn) > 1 or refused else ""
    if refused:
        number = sum("refused" in row for row in drawn)
        text += f" ({' and '.join(refused)} heard in {number})"
    if not facts.get("as_asked", True):
        text += ", not heard as such"
    still = facts.get("still_heard", ())
    return text + (f", {' and '.join(still)} still heard" if still else "")
