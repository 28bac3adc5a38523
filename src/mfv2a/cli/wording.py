"""The options of `mfv2a dub` and `mfv2a tta` that say how prompts are meant, and what one was taken for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from mfv2a.cli.console import printable
from mfv2a.cli.options import SAMPLING

NegativePromptOption = Annotated[
    str,
    typer.Option(
        "--negative-prompt",
        help="What should not be heard; acts where --cfg is above 1.",
        metavar="TEXT",
        rich_help_panel=SAMPLING,
    ),
]
AsWrittenOption = Annotated[
    bool,
    typer.Option(
        "--as-written",
        help="Read each prompt word by word. The embedded model reads one that surely means a kind of sound it knows "
        "as the wording it knows best.",
        rich_help_panel=SAMPLING,
    ),
]


def meant(negative_prompt: str, as_written: bool) -> dict[str, Any]:
    """What `SoundOptions` takes of the two options."""
    return {"negative_prompt": negative_prompt, "as_written": as_written}


def reading(facts: Mapping[str, Any]) -> str:
    """What the model took a prompt for, if not for itself; "" where it read it as it is."""
    return f", read as {printable(facts['read_as'])!r}" if "read_as" in facts else ""
