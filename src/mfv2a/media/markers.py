"""Marks on a clip's timeline as files that editing programs read: CSV, and EDL in the form of CMX 3600.

Knows times and kinds of marks; what they mean, others know.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mfv2a.errors import ConfigError, MediaError
from mfv2a.media.places import USUAL_FPS, Place, even_place
from mfv2a.media.whole import replace_whole

COLOURS = {"heard": "Blue", "seen": "Red", "cut": "Yellow"}
"""Kind -> colour of its marker."""
SEVERAL = "Green"
"""Colour of a marker for marks of several kinds on one frame."""


class Marker(NamedTuple):
    """A mark.

    Attributes:
        time_s: after the clip's first picture.
        kind: a key of `COLOURS`.
    """

    time_s: float
    kind: str


def write_markers(
    path: Path, markers: Sequence[Marker], *, fps: float, title: str, places: Sequence[Place] | None = None
) -> None:
    """Writes marks beside a video, whole or not at all.

    Args:
        path: a name that ends in .csv or .edl.
        markers: in the order of their times.
        fps: frames a second of the timeline; 0 where it is not known.
        title: of the list; the bytes of a name that is no UTF-8 are escaped.
        places: of each mark, where the video has been looked at; else pictures are taken as evenly spaced.

    Raises:
        ConfigError: another suffix.
        MediaError: the file cannot be written.
    """
    fps = fps or USUAL_FPS
    if places is None:
        places = [even_place(marker.time_s, fps) for marker in markers]
    if path.suffix == ".csv":
        text = csv_text(markers, places, fps=fps)
    elif path.suffix == ".edl":
        text = edl_text(markers, places, fps=fps, title=title)
    else:
        raise ConfigError(f"{path.name}: marks cannot be written so", hint="name it .csv or .edl")
    try:
        replace_whole(path, text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise MediaError(path, f"cannot be written: {error.strerror or error}") from error


def timecode(frame: int, fps: float) -> str:
    """A frame's number as hours:minutes:seconds:frames, counted without dropping at the nearest whole rate."""
    whole = max(1, round(fps))
    seconds, frames = divmod(frame, whole)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours:02}:{minute:02}:{second:02}:{frames:02}"


def csv_text(markers: Sequence[Marker], places: Sequence[Place], *, fps: float) -> str:
    """A table: kind, seconds, frame (number of the picture, from 0) and timecode of each mark."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("kind", "time_s", "frame", "timecode"))
    for marker, place in zip(markers, places, strict=True):
        table.writerow((marker.kind, f"{marker.time_s:.3f}", place.picture, timecode(place.frame, fps)))
    return text.getvalue()


def edl_text(markers: Sequence[Marker], places: Sequence[Place], *, fps: float, title: str) -> str:
    """An EDL with an event of one frame for each frame that has a mark.

    Each carries its marks twice, as programs differ in what they read: as a locator (`* LOC:`) and as a note
    (`|C:... |M:... |D:1`). A frame holds one marker in most programs, so marks on one frame share theirs.
    """
    lines = [f"TITLE: {' '.join(title.split())}", "FCM: NON-DROP FRAME", ""]
    counts: dict[str, int] = {}
    frames: dict[int, list[tuple[str, str]]] = {}
    for marker, place in zip(markers, places, strict=True):
        counts[marker.kind] = counts.get(marker.kind, 0) + 1
        named = (COLOURS[marker.kind], f"{marker.kind} {counts[marker.kind]}")
        frames.setdefault(place.frame, []).append(named)
    for number, (frame, marks) in enumerate(sorted(frames.items()), start=1):
        colour = marks[0][0] if len({each for each, _ in marks}) == 1 else SEVERAL
        name = ", ".join(text for _, text in marks)
        begin, end = timecode(frame, fps), timecode(frame + 1, fps)
        lines += [
            f"{number:03}  001      V     C        {begin} {end} {begin} {end}",
            f"* LOC: {begin} {colour.upper():<7} {name}",
            f" |C:ResolveColor{colour} |M:{name} |D:1",
            "",
        ]
    return "\n".join(lines) + "\n"
