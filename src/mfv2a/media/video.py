"""Video files to frames: one decode for all that the models ask, by presentation time.

Frames are handed out as numpy arrays; this file does not know what looks at them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import av

from mfv2a.errors import MediaError
from mfv2a.media.grids import FrameSink, make_grid
from mfv2a.media.patience import check_patience
from mfv2a.media.probe import CUT_HINT, open_media, probe_video
from mfv2a.media.times import FrameClock, slack_seconds
from mfv2a.records import Clip, FrameRequest, VideoInfo

__all__ = ["FrameSink", "decode_video", "probe_video", "timed_frames"]


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
    grids = {name: make_grid(request, cut, sinks.get(name)) for name, request in requests.items()}
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
