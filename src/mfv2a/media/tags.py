"""What a container says about itself in words. This file does not know what the words are good for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mfv2a.media.probe import open_media

STATED_IN = ("comment", "description", "synopsis", "grouping")
"""Tags for a statement, the usual one first: FFmpeg writes them into MP4 in the places where players look."""
_PLACES = {"avi": ("comment",), "asf": ("comment", "synopsis", "grouping")}
"""Container -> those of the tags that it has places for, where some have none; ASF's comment is its description."""
STATEMENT = "AI-generated audio"
"""How a statement begins: one that a source carries already is replaced."""


def read_tags(path: Path | str) -> dict[str, str]:
    """Read a container's metadata alone, without looking at its streams.

    Raises:
        MediaError: not a file that FFmpeg knows.
    """
    with open_media(Path(path)) as container:
        return dict(container.metadata)


def state(tags: Mapping[str, str], statement: str, container: str = "") -> dict[str, str]:
    """Find a place for a statement among the tags of a file, so that none of them is lost.

    Args:
        tags: of the source.
        statement: to be made; "" for none.
        container: FFmpeg's name of the muxer that writes it; "" for one that has a place for each tag.

    Returns:
        The tag to add; none if all places are taken.
    """
    if not statement:
        return {}
    known = {name.casefold(): value for name, value in tags.items()}
    free = [
        name for name in _PLACES.get(container, STATED_IN) if not known.get(name) or known[name].startswith(STATEMENT)
    ]
    stated = [name for name in free if name in known]
    return {(stated or free)[0]: statement} if free else {}
