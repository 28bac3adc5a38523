"""A video file -> what a model sees in it: frames are decoded once and looked at as they come.

Decoding and the encoders take turns, so that no more than a few pictures of a clip are ever in memory, however long
it is.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from mfv2a.errors import MediaError
from mfv2a.media.hardware import DecodeDevice, choose_decoder
from mfv2a.media.motion import MotionMeter
from mfv2a.media.video import FrameSink, decode_video
from mfv2a.records import Clip, VideoInfo

if TYPE_CHECKING:
    from mfv2a.pipeline import Pipeline, Seen

log = logging.getLogger(__name__)


def see_video(
    info: VideoInfo,
    pipeline: Pipeline,
    *,
    semantics: bool = True,
    reuse: float | None = None,
    threads: int = 0,
    decode_device: DecodeDevice = "cpu",
    turn: AbstractContextManager[Any] | None = None,
    seconds: dict[str, float] | None = None,
    begin: Callable[[str], None] = lambda stage: None,
    synchronize: Callable[[], None] = lambda: None,
) -> Seen:
    """Decodes a video once for all that the pipeline asks, and lets its encoders look.

    Args:
        info: the probe of the video.
        pipeline: says which frames it needs, and has the encoders.
        semantics: look for what is seen, too, and not only for when it moves.
        reuse: largest difference between pictures that share their features, see `Encoders.look`; None for no sharing.
        threads: of the decoder; 0 for as many as there are cores.
        decode_device: where the video is decoded; what a GPU fails at on "auto" the processor tries again.
        turn: held while a network runs, for a device that runs one at a time.
        seconds: takes the wall time of "decode", with motion and scaling, and of "features", though they alternate.
        begin: is told when the last frame is decoded, by "features".
        synchronize: waits for the work that was given to the device, for those who want to know the time of "features"
            there; else it goes on while the next frames are decoded, and its time is that of whoever waits for it.

    Returns:
        What was seen over the whole length of the video.

    Raises:
        MediaError: the file cannot be decoded.
        ConfigError: a GPU shall decode, and none does here.
        StoppedError, OverdueError: the work shall end (see `media.patience`).
    """
    device = choose_decoder(decode_device)

    def look() -> Any:
        return pipeline.look(info.duration_s, semantics=semantics, reuse=reuse)

    try:
        return _see(info, pipeline, look, threads, device, turn or nullcontext(), seconds, begin, synchronize)
    except MediaError:
        if device == "cpu" or decode_device == "cuda":
            raise
        log.warning("%s: could not be decoded on the GPU; the processor tries", info.path)
    return _see(info, pipeline, look, threads, "cpu", turn or nullcontext(), seconds, begin, synchronize)


def _see(
    info: VideoInfo,
    pipeline: Pipeline,
    make_look: Callable[[], Any],
    threads: int,
    device: Literal["cpu", "cuda"],
    turn: AbstractContextManager[Any],
    seconds: dict[str, float] | None,
    begin: Callable[[str], None],
    synchronize: Callable[[], None],
) -> Seen:
    """`see_video` on one device."""
    start, looking_s = time.perf_counter(), 0.0

    def take(name: str, wanted: NDArray[Any]) -> None:
        nonlocal looking_s
        before = time.perf_counter()
        with turn:
            look.add(name, wanted)
            synchronize()
        looking_s += time.perf_counter() - before

    with turn:
        look = make_look()
        synchronize()
    looking_s = time.perf_counter() - start
    sinks = frame_sinks(pipeline, take)
    decode_video(info.path, pipeline.frame_requests, info=info, on_frames=sinks, threads=threads, device=device)
    begin("features")
    before = time.perf_counter()
    with turn:
        seen: Seen = look.seen()
        synchronize()
    end = time.perf_counter()
    looking_s += end - before
    if seconds is not None:
        seconds |= {"decode": end - start - looking_s, "features": looking_s}
    return seen


def frame_sinks(pipeline: Pipeline, take: Callable[[str, NDArray[Any]], None]) -> Mapping[str, FrameSink]:
    """What takes the frames of one picture after the other, and hands on what encoders want of them.

    Args:
        pipeline: says which frames it needs, and how they are scaled.
        take: is given the name of a request with its next frames, [t, S, S, 3] uint8, or of "motion" the features.
    """
    shrinks: Mapping[str, Callable[..., NDArray[Any]]]
    shrinks = {**pipeline.shrinkers, "motion": MotionMeter().measure}

    def hand_on(name: str, frames: NDArray[np.uint8], *timed: Any) -> None:
        take(name, shrinks[name](frames, *timed) if name in shrinks else frames)

    return {name: partial(hand_on, name) for name in pipeline.frame_requests}


def decode_clip(info: VideoInfo, pipeline: Pipeline, *, threads: int = 0) -> Clip:
    """Decodes a video once and keeps all frames that the pipeline asks for, for those who cut it themselves.

    Args:
        info: the probe of the video.
        pipeline: says which frames it needs.
        threads: of the decoder; 0 for as many as there are cores.

    Returns:
        The clip, "motion" as features.

    Raises:
        MediaError: the file cannot be decoded.
        StoppedError, OverdueError: the work shall end (see `media.patience`).
    """
    made: dict[str, list[NDArray[Any]]] = {name: [] for name in pipeline.frame_requests}
    sinks = frame_sinks(pipeline, lambda name, frames: made[name].append(frames))
    decode_video(info.path, pipeline.frame_requests, info=info, on_frames=sinks, threads=threads)
    kept = {name: np.concatenate(parts) for name, parts in made.items()}
    return Clip(duration_s=info.duration_s, motion=kept.pop("motion", None), frames=kept, info=info)
