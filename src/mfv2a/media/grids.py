"""The frames of one request, filled while a video is decoded: by the ticks of a grid, or as they were filmed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfv2a.media.hdr import tone_table
from mfv2a.media.patience import check_patience
from mfv2a.media.scaling import Scaler
from mfv2a.media.times import CLOCK_SLACK_S, HELD_S, SHOWN_S
from mfv2a.records import FrameRequest, VideoInfo

CHUNK_FRAMES = 64
CHUNK_BYTES = 64 << 20  # of pictures handed out whole
NEAREST = 0.6  # of the grid's interval: of 60 pictures a second every second one is taken as it was filmed, of 30 all
MAX_ASPECT = 16  # a picture longer than this is squeezed before its centre is cut, to bound the memory
FrameSink = Callable[..., None]
"""Takes frames [t, H, W, 3] or [t, H, W] uint8; of a request that is `timed` more, as `TimedGrid` says."""


def frame_count(duration_s: float, fps: float) -> int:
    """Frames of a grid of `fps` that a clip of `duration_s` has; at least one."""
    return max(1, round(duration_s * fps))


def make_grid(request: FrameRequest, info: VideoInfo, sink: FrameSink | None) -> AnyGrid:
    """What is filled with the frames of a request.

    Args:
        request: what is wanted.
        info: of the video; its length is the grid's.
        sink: takes the frames in order, a chunk at a time; None to keep them, which `timed` ones are by their ticks.
    """
    return (TimedGrid if request.timed and sink is not None else Grid)(request, info, sink)


class _Frames:
    """Frames of one request, scaled, and who takes them.

    Args:
        request: what is wanted.
        info: of the video; its length is the grid's.
        sink: takes the frames in order, a chunk at a time; None to keep them.
    """

    def __init__(self, request: FrameRequest, info: VideoInfo, sink: FrameSink | None) -> None:
        self._request = request
        self._total = frame_count(info.duration_s, request.fps)
        self._turns = info.rotation_deg // 90
        self._size = _scaled_size(request, info)
        self._scaler = Scaler()
        self._sink = sink
        shape = _shown_size(request, info) if request.gray else (*_shown_size(request, info), 3)
        chunk = max(1, min(CHUNK_FRAMES, CHUNK_BYTES // int(np.prod(shape))))
        rows = self._total if sink is None else min(self._total, chunk)
        self._stack = np.empty((rows, *shape), dtype=np.uint8)
        self._filled = 0  # rows of the stack in use

    def _convert(self, frame: Any) -> NDArray[np.uint8]:
        """Scale, cut and turn one source frame: [H, W, 3] or [H, W] uint8."""
        width, height = self._size
        by_area = (
            frame.width >= width and frame.height >= height and not (self._request.whole or self._request.bilinear)
        )
        format_name = "gray" if self._request.gray else "rgb24"
        image = self._scaler.scale(frame, (width, height), format_name, by_area=by_area)
        table = tone_table(int(getattr(frame, "color_trc", 0)))
        image = image if table is None else table[image]
        if self._request.whole:
            return np.rot90(image, k=-self._turns)
        side = self._request.size_px
        top, left = (height - side) // 2, (width - side) // 2
        return np.rot90(image[top : top + side, left : left + side], k=-self._turns)


class Grid(_Frames):
    """A frame for each tick of a grid; what `_Frames` is made of."""

    def __init__(self, request: FrameRequest, info: VideoInfo, sink: FrameSink | None) -> None:
        super().__init__(request, info, sink)
        self._next = 0  # index k of the next output frame
        self._sum_s = 0.0  # time of the next output frame, where times are summed
        self._longest_s = SHOWN_S if request.as_shown else HELD_S
        self._shown: tuple[Any, float] | None = None  # the source frame before, and its time

    def offer(self, frame: Any, time_s: float) -> None:
        """Take a source frame for every output frame that is due at its time; convert it only then."""
        if self._shown is not None and time_s - self._shown[1] > self._longest_s:
            self._show(self._shown[0], time_s - 2 * CLOCK_SLACK_S)
        self._show(frame, time_s)
        self._shown = (frame, time_s)

    def _show(self, frame: Any, until_s: float) -> None:
        """A source frame for the output frames up to a time that have none yet."""
        due = min(self._total, self._due(until_s))
        if due > self._next:
            self._append(self._convert(frame), due - self._next)

    def _due(self, time_s: float) -> int:
        """How many output frames begin at a time or before."""
        if not self._request.summed:
            return int((time_s + CLOCK_SLACK_S) * self._request.fps + 1e-9) + 1
        due = self._next
        while time_s >= self._sum_s:
            due += 1
            self._sum_s += 1 / self._request.fps
        return due

    @property
    def is_full(self) -> bool:
        """It has all its frames."""
        return self._next >= self._total

    def shorten(self, duration_s: float) -> None:
        """Ends the grid earlier than was said; what it has it keeps."""
        self._total = max(self._next, min(self._total, frame_count(duration_s, self._request.fps)))

    def finish(self, last: Any) -> NDArray[np.uint8] | None:
        """Fill what is left with the last source frame; return the frames, or None if a callback took them."""
        if self._next < self._total:
            self._append(self._convert(last), self._total - self._next)
        if self._sink is None:
            return self._stack
        self._hand_out()
        return None

    def _append(self, image: NDArray[np.uint8], count: int) -> None:
        for _ in range(count):
            if self._next % CHUNK_FRAMES == 0:  # one frame may stand for hours
                check_patience()
            self._stack[self._filled] = image
            self._filled += 1
            self._next += 1
            if self._sink is not None and self._filled == len(self._stack):
                self._hand_out()

    def _hand_out(self) -> None:
        if self._sink is not None and self._filled:
            self._sink(self._stack[: self._filled].copy())
            self._filled = 0


class TimedGrid(_Frames):
    """Source frames themselves, each once, with the times at which they were filmed.

    Who takes them is given frames [t, H, W, 3] or [t, H, W] and their times in seconds [t], float64; at the end, with
    the last of them, or none, also how many frames the grid has. Frames that lie nearer to the one before than 0.6 of
    the grid's interval are left out. What is made of `_Frames`; there must be a sink.
    """

    def __init__(self, request: FrameRequest, info: VideoInfo, sink: FrameSink | None) -> None:
        super().__init__(request, info, sink)
        self._times_s: list[float] = []  # of the frames in the stack
        self._taken_s = -math.inf  # time of the last frame that was taken

    def offer(self, frame: Any, time_s: float) -> None:
        """Take a source frame, unless it is too near to the one before or no tick comes after it."""
        if self.is_full or time_s - self._taken_s < NEAREST / self._request.fps - CLOCK_SLACK_S:
            return
        self._stack[self._filled] = self._convert(frame)
        self._times_s.append(time_s)
        self._taken_s = time_s
        self._filled += 1
        if self._filled == len(self._stack):
            self._hand_out()

    @property
    def is_full(self) -> bool:
        """It has frames until its last tick."""
        return self._taken_s >= (self._total - 1) / self._request.fps

    def shorten(self, duration_s: float) -> None:
        """Ends the grid earlier than was said."""
        self._total = min(self._total, frame_count(duration_s, self._request.fps))

    def finish(self, last: Any) -> None:
        """Hand out what is left, and how long it all is."""
        self._hand_out(self._total)

    def _hand_out(self, *total: int) -> None:
        if self._sink is not None:
            self._sink(self._stack[: self._filled].copy(), np.array(self._times_s), *total)
        self._times_s.clear()
        self._filled = 0


def _shown_size(request: FrameRequest, info: VideoInfo) -> tuple[int, int]:
    """Height and width in pixels of the frames of a request."""
    return (info.height_px, info.width_px) if request.whole else (request.size_px, request.size_px)


def _scaled_size(request: FrameRequest, info: VideoInfo) -> tuple[int, int]:
    """Width and height in pixels to scale a stored (not yet turned) frame to, before the centre is cut."""
    side = request.size_px
    shown = (info.width_px, info.height_px)
    width, height = shown if info.rotation_deg in (0, 180) else shown[::-1]
    if request.whole:
        return width, height
    if request.fit == "squash":
        return side, side
    shorter = min(width, height)
    return (
        min(round(side * width / shorter), side * MAX_ASPECT),
        min(round(side * height / shorter), side * MAX_ASPECT),
    )


AnyGrid = Grid | TimedGrid
