"""Small pictures of files for a page: a strip of a video's frames, a map of levels; as bytes of JPEG and PNG.

This file does not know what page they are for, nor what the levels are of.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from mfv2a.errors import MediaError
from mfv2a.media.hdr import tone_table
from mfv2a.media.packets import decoded
from mfv2a.media.patience import check_patience
from mfv2a.media.probe import choose_picture, open_media, upright_deg
from mfv2a.media.scaling import Scaler

STRIP_PX = (768, 54)  # width and height of a strip
LEAST_FRAMES, MOST_FRAMES = 5, 16  # of a strip: as many as have room
JPEG_QUALITY = 55
SEEK_S = 4.0  # wanted frames that are further apart are taken from the nearest key frame before
GROUND = 16  # gray beside pictures that do not fill their place


def film_strip(path: Path | str, duration_s: float) -> bytes:
    """Frames of a video side by side, each from the middle of its part of the time.

    A long video is not decoded as a whole: its frames are the key frames before those times.

    Args:
        path: the video.
        duration_s: how much of it, from its beginning.

    Returns:
        A JPEG of 768 x 54 pixels: 8 frames of 16:9, more of narrower pictures, at most 16.

    Raises:
        MediaError: the video cannot be opened, or none of its frames decoded.
        StoppedError, OverdueError: the work shall end (see `media.patience`).
    """
    path = Path(path)
    with open_media(path) as container:
        picture = choose_picture(container, path)
        picture.codec_context.thread_count = 1  # several videos are looked at side by side
        picture.codec_context.options = {"skip_loop_filter": "all"}  # nobody sees blocks at this size
        tiles: list[NDArray[np.uint8]] = []
        for frame in _frames_at(container, picture, duration_s):
            if not tiles:
                width, height = _upright(frame)
                room = STRIP_PX[0] * height / (STRIP_PX[1] * max(1, width))
                count = min(MOST_FRAMES, max(LEAST_FRAMES, round(room)))
            tiles.append(_tile(frame, STRIP_PX[0] // count, STRIP_PX[1]))
    if not tiles:
        raise MediaError(path, "has a picture that cannot be decoded")
    strip = np.full((STRIP_PX[1], STRIP_PX[0], 3), GROUND, np.uint8)
    for index, left in enumerate(np.linspace(0, STRIP_PX[0], count, endpoint=False).astype(int)):
        tile = tiles[int((index + 0.5) / count * len(tiles))]
        strip[:, left : left + tile.shape[1]] = tile
    return _encode(".jpg", strip, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])


def encode_levels(levels: NDArray[np.uint8]) -> bytes:
    """A map of levels [H, W] as a gray PNG, its first row on top."""
    return _encode(".png", levels, [cv2.IMWRITE_PNG_COMPRESSION, 9])


def _encode(suffix: str, pixels: NDArray[np.uint8], flags: Sequence[int]) -> bytes:
    done, data = cv2.imencode(suffix, pixels, list(flags))
    if not done:
        raise RuntimeError(f"OpenCV cannot write {suffix}")
    return bytes(data)


def _frames_at(container: Any, picture: Any, duration_s: float) -> Iterator[Any]:
    """The frames of a strip in order; as many as could be decoded, at most MOST_FRAMES."""
    start_s = float((picture.start_time or 0) * picture.time_base)
    step_s = duration_s / MOST_FRAMES
    wanted = [(index + 0.5) * step_s for index in range(MOST_FRAMES)]
    if step_s <= SEEK_S:
        yield from _passed(container, picture, start_s, wanted)
        return
    for time_s in wanted:
        check_patience()
        try:
            container.seek(math.floor((start_s + time_s) / float(picture.time_base)), stream=picture)
            frame = next(container.decode(picture), None)
        except (av.FFmpegError, OSError):
            continue
        if frame is not None:
            yield frame


def _passed(container: Any, picture: Any, start_s: float, wanted: Sequence[float]) -> Iterator[Any]:
    """Decodes once from the beginning: for each wanted time the frame that is shown then."""
    left, shown, interval_s = list(wanted), None, 1 / float(picture.average_rate or 25)
    for count, frame in enumerate(decoded(container, picture)):
        check_patience()
        time_s = count * interval_s if frame.time is None else frame.time - start_s
        while left and shown is not None and left[0] < time_s:
            yield shown
            left.pop(0)
        if not left:
            return
        shown = frame
    if shown is not None:
        yield from [shown] * len(left)


def _turns(frame: Any) -> int:
    """Quarter turns, clockwise, that set a frame upright."""
    return upright_deg(frame) // 90


def _upright(frame: Any) -> tuple[int, int]:
    """Width and height of a frame as it is shown."""
    return (frame.height, frame.width) if _turns(frame) % 2 else (frame.width, frame.height)


def _tile(frame: Any, width: int, height: int) -> NDArray[np.uint8]:
    """A frame upright and whole within a small place: [height, width, 3] uint8, blue first."""
    shown = _upright(frame)
    scale = min(width / shown[0], height / shown[1])
    size = [min(most, max(2, round(side * scale))) for side, most in zip(shown, (width, height), strict=True)]
    stored = size[::-1] if _turns(frame) % 2 else size
    shrunk = frame.width >= stored[0] and frame.height >= stored[1]
    image = Scaler().scale(frame, (stored[0], stored[1]), "bgr24", by_area=shrunk)
    table = tone_table(int(getattr(frame, "color_trc", 0)))
    image = np.rot90(image if table is None else table[image], k=-_turns(frame))
    tile = np.full((height, width, 3), GROUND, np.uint8)
    top, left = (height - image.shape[0]) // 2, (width - image.shape[1]) // 2
    tile[top : top + image.shape[0], left : left + image.shape[1]] = image
    return tile
