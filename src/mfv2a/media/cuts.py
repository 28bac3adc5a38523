"""Where a film is cut: hard cuts, found while frames are decoded, and the frames of each shot on their own.

The only door to PySceneDetect. Dissolves and fades are no cuts here. This file does not know what a shot is for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal

from mfv2a.errors import ConfigError
from mfv2a.media.grids import AnyGrid, FrameSink, make_grid
from mfv2a.media.scaling import Scaler
from mfv2a.media.video import timed_frames
from mfv2a.records import FrameRequest, VideoInfo

MIN_SHOT_S = 1.0
"""A cut this near to the one before, to the beginning or to the end is none: so little sound is a blip."""
WIDTH_PX = 160  # the finder looks at small pictures: a cut changes all of it
LOOKAHEAD = 2  # frames after a frame that are looked at before it counts as a cut

Shots = Callable[[float], Mapping[str, FrameSink]]


class CutFinder:
    """Frames as they come -> where a new shot begins.

    Args:
        info: the probe of the video.

    Raises:
        ConfigError: PySceneDetect is not installed.
    """

    def __init__(self, info: VideoInfo) -> None:
        try:
            from scenedetect import FrameTimecode
            from scenedetect.detectors import AdaptiveDetector
        except ImportError:
            raise ConfigError(
                "--split-shots needs the package scenedetect", hint="pip install scenedetect-headless"
            ) from None
        self._timecode = FrameTimecode
        # A cut stands out of its neighbours, a moving camera does not. How near cuts may be is judged here, by time.
        self._detector = AdaptiveDetector(min_scene_len=1, window_width=LOOKAHEAD)
        self._scaler = Scaler()
        self._height_px = max(2, round(WIDTH_PX * info.height_px / max(1, info.width_px)))
        self._duration_s = info.duration_s
        self._count = 0
        self._held: deque[tuple[Any, float]] = deque()
        self._cuts: set[int] = set()
        self._last_s = 0.0

    def add(self, frame: Any, time_s: float) -> Iterator[tuple[Any, float, bool]]:
        """Takes the next frame.

        Yields:
            The frames that are known now, in order: each with its time in seconds and whether a shot begins with it.
        """
        small = self._scaler.scale(frame, (WIDTH_PX, self._height_px), "bgr24", by_area=True)
        found = self._detector.process_frame(self._timecode(self._count, fps=25.0), small)
        self._cuts |= {cut.frame_num for cut in found}
        self._held.append((frame, time_s))
        self._count += 1
        while len(self._held) > LOOKAHEAD:
            yield self._release()

    def rest(self) -> Iterator[tuple[Any, float, bool]]:
        """The frames that are left."""
        while self._held:
            yield self._release()

    def _release(self) -> tuple[Any, float, bool]:
        number = self._count - len(self._held)
        frame, time_s = self._held.popleft()
        begins = number in self._cuts and time_s - self._last_s >= MIN_SHOT_S <= self._duration_s - time_s
        self._last_s = time_s if begins else self._last_s
        return frame, time_s, begins


def decode_shots(
    info: VideoInfo,
    requests: Mapping[str, FrameRequest],
    begin: Shots,
    end: Callable[[float], None],
    *,
    threads: int = 0,
    device: Literal["cpu", "cuda"] = "cpu",
) -> None:
    """Decode a video once and hand out each of its shots as if it were a video of its own.

    Args:
        info: the probe of the video.
        requests: name -> frames wanted; their times count from the first frame of each shot.
        begin: is told when a shot begins, in seconds; gives who takes its frames, by name of the request.
        end: is told when the shot ends, in seconds, after its last frame was handed out.
        threads: of the decoder; 0 for as many as there are cores.
        device: where the video is decoded.

    Raises:
        ConfigError: PySceneDetect is not installed.
        MediaError, StoppedError, OverdueError: as `decode_video`.
    """
    finder, last, start_s = CutFinder(info), None, 0.0
    grids = _grids(info, requests, begin, 0.0)

    def known() -> Iterator[tuple[Any, float, bool]]:
        for frame, time_s in timed_frames(info, threads=threads, device=device):
            yield from finder.add(frame, time_s)
        yield from finder.rest()

    for frame, time_s, is_cut in known():
        if is_cut:
            _finish(grids, last, time_s - start_s)
            end(time_s)
            start_s, grids = time_s, _grids(info, requests, begin, time_s)
        for grid in grids.values():
            grid.offer(frame, time_s - start_s)
        last = frame
    _finish(grids, last, info.duration_s - start_s)
    end(info.duration_s)


def _grids(info: VideoInfo, requests: Mapping[str, FrameRequest], begin: Shots, start_s: float) -> dict[str, AnyGrid]:
    """Grids of a shot that may last to the end of the video."""
    sinks, rest = begin(start_s), replace(info, duration_s=info.duration_s - start_s)
    return {name: make_grid(request, rest, sinks[name]) for name, request in requests.items()}


def _finish(grids: Mapping[str, AnyGrid], last: Any, duration_s: float) -> None:
    for grid in grids.values():
        grid.shorten(duration_s)
        grid.finish(last)
