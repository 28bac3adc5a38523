"""Video files to frames: one decode for all that the models ask, by presentation time.

Frames are handed out as numpy arrays; this file does not know what looks at them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
from numpy.typing import NDArray

from mfv2a.errors import MediaError
from mfv2a.media.hdr import tone_table
from mfv2a.media.patience import check_patience
from mfv2a.media.probe import CUT_HINT, open_media, probe_video
from mfv2a.media.scaling import Scaler
from mfv2a.media.times import HELD_S, FrameClock, slack_seconds
from mfv2a.records import Clip, FrameRequest, VideoInfo

CHUNK_FRAMES = 64
CHUNK_BYTES = 64 << 20  # of pictures handed out whole
CLOCK_SLACK_S = 0.5e-3  # Matroska and FLV round times to a millisecond
SHOWN_S = 0.09  # held already at 11 pictures a second, where pictures are wanted as on a screen; else from HELD_S on
SLOWER = 0.98  # than a grid: 24 pictures a second on one of 25, and not what comes in time but for rounding
MAX_ASPECT = 16  # a picture longer than this is squeezed before its centre is cut, to bound the memory
FrameSink = Callable[..., None]
"""Takes frames [t, H, W, 3] or [t, H, W] uint8; of a request that is `timed` their times in seconds [t], too."""

__all__ = ["Grid", "decode_video", "frame_count", "probe_video", "timed_frames"]


def frame_count(duration_s: float, fps: float) -> int:
    """Frames of a grid of `fps` that a clip of `duration_s` has; at least one."""
    return max(1, round(duration_s * fps))


def decode_video(
    path: Path | str,
    requests: Mapping[str, FrameRequest],
    *,
    info: VideoInfo | None = None,
    on_frames: Mapping[str, FrameSink] | None = None,
    threads: int = 0,
    device: Literal["cpu", "cuda"] = "cpu",
    until_s: float | None = None,
) -> Clip:
    """Decode a video once for all requests.

    Output frame k of a request is the first source frame shown at or after k / fps, counted from the first
    picture frame; but a source frame that is held, for longer than 0.25 s (0.09 s if `as_shown`), stays until the
    next one comes, as on a screen. The last source frame fills the end. Frames are upright (the file's
    display matrix is applied). Requests that are `summed`, `whole` or `timed` differ as `FrameRequest` says.

    Args:
        path: the video.
        requests: name -> frames wanted.
        info: an earlier probe of the same file, to spare another.
        on_frames: name -> callback that takes the frames of that request in order, at most 64 at a time
            ([t, H, W, 3] or [t, H, W] uint8, its own copy), in place of keeping them; pictures handed out whole
            come in smaller numbers if they are large.
        threads: of the decoder; 0 for as many as there are cores.
        device: "cuda" decodes on the GPU what it can; see `media.hardware`.
        until_s: take the video for one that ends here, and decode no more of it; None for all. What comes later may be
            damaged.

    Returns:
        The clip: frames of every request that no callback took, [T, H, W, 3] or [T, H, W] uint8 with
        T = max(1, round(duration_s * fps)).

    Raises:
        MediaError: the file cannot be probed or decoded, or its picture stops clearly before its stated end.
        StoppedError, OverdueError: the work shall end (see `media.patience`).
    """
    path = Path(path)
    info = info or probe_video(path)
    sinks = on_frames or {}
    cut = info if until_s is None else replace(info, duration_s=min(until_s, info.duration_s))
    grids = {name: Grid(request, cut, sinks.get(name)) for name, request in requests.items()}
    last = None
    for frame, time_s in timed_frames(replace(info, path=path), threads=threads, device=device):
        for grid in grids.values():
            grid.offer(frame, time_s)
        last = frame
        if until_s is not None and all(grid.is_full for grid in grids.values()):
            break
    kept = {name: grid.finish(last) for name, grid in grids.items()}
    return Clip(
        duration_s=cut.duration_s,
        frames={name: stack for name, stack in kept.items() if stack is not None},
        info=info,
    )


def timed_frames(
    info: VideoInfo, *, threads: int = 0, device: Literal["cpu", "cuda"] = "cpu"
) -> Iterator[tuple[Any, float]]:
    """Decode a video's picture: its frames in order, each with its time in seconds after the first.

    Args:
        info: the probe of the video.
        threads: of the decoder; 0 for as many as there are cores.
        device: where it is decoded.

    Raises:
        MediaError: as `decode_video` says; at the end, if too little came.
        StoppedError, OverdueError: the work shall end.
    """
    interval_s = 1 / info.fps if info.fps > 0 else 1 / 25
    end_s = 0.0
    with open_media(info.path, device=device) as container:
        threads = threads if device == "cpu" else 1
        for count, (frame, clock_s) in enumerate(_pictures(container, info.picture_index, threads)):
            check_patience()
            time_s = count * interval_s if clock_s is None else clock_s - info.start_s
            yield frame, time_s
            shown_s = float((frame.duration or 0) * frame.time_base) if frame.time_base else 0.0
            end_s = max(end_s, time_s + max(shown_s, interval_s))
    _check_decoded(info.path, end_s, info)


def _check_decoded(path: Path, decoded_s: float, info: VideoInfo) -> None:
    """Compare the seconds that could be decoded with those that the probe found.

    Raises:
        MediaError: none, or clearly less.
    """
    if decoded_s <= 0:
        raise MediaError(path, "has a picture that cannot be decoded", hint=CUT_HINT)
    if decoded_s < info.duration_s - slack_seconds(info.duration_s, info.fps):
        raise MediaError(
            path,
            f"is damaged: its picture can be decoded for {decoded_s:.2f} s of {info.duration_s:.2f} s",
            hint=CUT_HINT,
        )


def _pictures(container: Any, index: int, threads: int) -> Iterator[tuple[Any, float | None]]:
    """Decode one stream in presentation order, with times by the file's clock; what cannot be decoded is left out."""
    picture = container.streams[index]
    picture.thread_type, picture.codec_context.thread_count = "AUTO", threads
    packets, clock = container.demux(picture), FrameClock(container, picture)
    while True:
        try:
            packet = next(packets, None)
        except (av.FFmpegError, OSError):
            packet = None
        if packet is None:
            break
        clock.feed(packet)
        try:
            frames = packet.decode()
        except av.FFmpegError:
            continue  # the caller compares what was decoded with the stated length
        for frame in frames:
            yield frame, clock.time_s(frame)


class Grid:
    """The frames of one request, filled while the video is decoded.

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
        self._times_s: list[float] = []  # of the source frames in the stack, where they are asked for
        self._filled = 0  # rows of the stack in use
        self._next = 0  # index k of the next output frame
        self._sum_s = 0.0  # time of the next output frame, where times are summed
        self._slow = 0 < info.fps < SLOWER * request.fps
        self._longest_s = SHOWN_S if request.as_shown and not (request.timed and self._slow) else HELD_S
        self._shown: tuple[Any, float] | None = None  # the source frame before, and its time

    def offer(self, frame: Any, time_s: float) -> None:
        """Take a source frame for every output frame that is due at its time; convert it only then."""
        if self._shown is not None and time_s - self._shown[1] > self._longest_s:
            self._show(*self._shown, time_s - 2 * CLOCK_SLACK_S)
        self._show(frame, time_s, time_s)
        self._shown = (frame, time_s)

    def _show(self, frame: Any, time_s: float, until_s: float) -> None:
        """A source frame, with its time, for the output frames up to another time that have none yet."""
        due = min(self._total, self._due(until_s))
        if due > self._next:
            self._append(self._convert(frame), time_s, due - self._next)

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
            time_s = 0.0 if self._shown is None else self._shown[1]
            self._append(self._convert(last), time_s, self._total - self._next)
        if self._sink is None:
            return self._stack
        self._hand_out()
        return None

    def _append(self, image: NDArray[np.uint8], time_s: float, count: int) -> None:
        for _ in range(count):
            if self._next % CHUNK_FRAMES == 0:  # one frame may stand for hours
                check_patience()
            self._stack[self._filled] = image
            if self._request.timed:
                self._times_s.append(time_s if self._slow else self._next / self._request.fps)
            self._filled += 1
            self._next += 1
            if self._sink is not None and self._filled == len(self._stack):
                self._hand_out()

    def _hand_out(self) -> None:
        if self._sink is not None and self._filled:
            times = (np.array(self._times_s),) if self._request.timed else ()
            self._times_s.clear()
            self._sink(self._stack[: self._filled].copy(), *times)
            self._filled = 0

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
