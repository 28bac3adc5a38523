"""Where times lie on a video: the picture shown nearest to each, and the frame that a timeline of editing has there.

Packets are read, nothing is decoded. This file does not know what the times are of.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from mfv2a.media.patience import check_patience
from mfv2a.media.probe import open_media
from mfv2a.media.times import has_slots, packet_time_s
from mfv2a.records import VideoInfo

USUAL_FPS = 25.0
_ASTRAY = 0.25  # of an interval: pictures that are further from their places on an even grid are not evenly spaced
_NEAR = 0.05  # of an interval: how far the usual one may be from that of the rate it is taken for


class Place(NamedTuple):
    """A place on a video.

    Attributes:
        picture: number of the picture that is shown nearest, from 0, the earlier of two.
        frame: frames from the beginning on a timeline that has a frame in every interval. Where pictures are evenly
            spaced both are the same.
    """

    picture: int
    frame: int


def even_place(time_s: float, fps: float) -> Place:
    """The place of a time on a video of evenly spaced pictures, of unknown length."""
    frame = max(0, math.ceil(time_s * fps - 0.5 - 1e-6))
    return Place(frame, frame)


def find_places(info: VideoInfo, times_s: Sequence[float]) -> tuple[float, list[Place]]:
    """The timeline's rate in frames per second, and the places of some times, none of them behind the last picture.

    Where pictures are missing, as in the videos of telephones, editing programs go on in the rate of the others: not
    in the average, in which no timeline counts.

    Args:
        info: the probe of the video.
        times_s: after its first picture.

    Raises:
        MediaError: the file cannot be opened.
    """
    with open_media(info.path) as container:
        picture = container.streams[info.picture_index]
        common_fps = float(picture.base_rate or 0)
        shown = _shown(container, picture, info.start_s)
    fps = info.fps if info.fps > 0 else common_fps or USUAL_FPS
    pictures = _nearest(shown, times_s)
    if _is_even(shown, fps):
        return fps, [Place(number, number) for number in pictures]
    if common_fps > 0 and abs(float(np.median(np.diff(shown))) * common_fps - 1) < _NEAR:
        fps = common_fps
    last = even_place(info.duration_s - 0.5 / fps, fps).frame
    return fps, [
        Place(number, min(last, even_place(time_s, fps).frame))
        for number, time_s in zip(pictures, times_s, strict=True)
    ]


def _shown(container: Any, picture: Any, start_s: float) -> NDArray[np.float64]:
    """When the pictures are shown, in order, after the first."""
    shown: list[float] = []
    slots = has_slots(container)
    with suppress(av.FFmpegError, OSError):
        for packet in container.demux(picture):
            check_patience()
            time_s = packet_time_s(packet, slots=slots)
            if time_s is not None and packet.size and not packet.is_discard:
                shown.append(time_s - start_s)
    return np.sort(np.array(shown, np.float64))


def _nearest(shown: NDArray[np.float64], times_s: Sequence[float]) -> list[int]:
    """The numbers of the pictures nearest to some times; 0 where there are none."""
    if not len(shown):
        return [0 for _ in times_s]
    wanted = np.asarray(times_s, np.float64)
    after = np.clip(np.searchsorted(shown, wanted), 1, max(1, len(shown) - 1))
    before, after = (np.minimum(each, len(shown) - 1) for each in (after - 1, after))
    chosen = np.where(wanted - shown[before] <= shown[after] - wanted + 1e-6, before, after)
    return [int(number) for number in chosen]


def _is_even(shown: NDArray[np.float64], fps: float) -> bool:
    """Whether pictures lie on the grid of a rate."""
    astray_s = np.abs(shown - np.arange(len(shown)) / fps)
    return float(np.max(astray_s, initial=0.0)) <= _ASTRAY / fps
