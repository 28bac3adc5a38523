"""Motion is that of the scene, whatever the rate at which it was filmed."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from media_clips import write_video
from numpy.typing import NDArray

from mfv2a.encoders.compact import CompactEncoders
from mfv2a.jobs.sight import decode_clip
from mfv2a.media.motion import MOTION_DIM, MOTION_FPS, MOTION_SIZE_PX, MotionMeter, motion_features
from mfv2a.media.video import decode_video, probe_video
from mfv2a.records import FrameRequest

SECONDS, STOP_S = 2.0, 1.2
FLOW, IMPACT, CHANGE = MOTION_DIM - 4, MOTION_DIM - 8, MOTION_DIM - 2
FALLING = slice(8, 25)

Frames = NDArray[np.uint8]


def moving(times_s: Sequence[float] | NDArray[np.float64]) -> Frames:
    """A disk that falls at a steady pace until it stops, before a surface that stays, at some times."""
    y, x = np.mgrid[:MOTION_SIZE_PX, :MOTION_SIZE_PX].astype(np.float32)
    surface = 110 + 30 * np.sin(x / 5) * np.sin(y / 7)
    frames = []
    for time in times_s:
        down = 20 + 50 * min(time, STOP_S)
        inside = np.clip(14 - np.hypot(x - 56, y - down), 0, 1)
        disk = 220 + 20 * np.sin((x - 56) / 2) * np.sin((y - down) / 2)
        frames.append((surface * (1 - inside) + disk * inside).astype(np.uint8))
    return np.stack(frames)


def filmed(fps: float) -> tuple[Frames, NDArray[np.float64]]:
    """Pictures of a film for each 1 / 25 s, the first at that tick or later, and the times they are of."""
    ticks = np.arange(round(SECONDS * MOTION_FPS)) / MOTION_FPS
    times = np.minimum(np.ceil(ticks * fps - 1e-6), round(SECONDS * fps) - 1) / fps
    return moving(times), times


def test_a_film_of_twenty_five_pictures_a_second_is_measured_as_before() -> None:
    frames, times = filmed(25)
    assert np.array_equal(MotionMeter().measure(frames, times), motion_features(frames))
    rounded = np.round(times, 3) + 0.0004
    assert np.array_equal(MotionMeter().measure(frames, rounded), motion_features(frames))


@pytest.mark.parametrize("fps", [8, 12, 16, 24, 30000 / 1001, 30, 60])
def test_what_moves_at_a_pace_has_that_pace_at_any_rate(fps: float) -> None:
    """Neither repeated pictures nor those left out make it stop and go."""
    true, found = motion_features(filmed(25)[0])[FALLING], MotionMeter().measure(*filmed(fps))[FALLING]
    for column in (FLOW, CHANGE):
        assert found[:, column].mean() == pytest.approx(true[:, column].mean(), rel=0.08)
        assert found[:, column].std() < 0.04
    assert found[:, IMPACT].max() < 1.4 * true[:, IMPACT].max()


@pytest.mark.parametrize("fps", [8, 12, 16, 24, 30000 / 1001, 30, 60])
def test_a_stop_is_seen_when_it_is_and_not_at_the_next_picture(fps: float) -> None:
    found = MotionMeter().measure(*filmed(fps))[5:-5]
    edge = np.flatnonzero(found[:, FLOW] > 0.5 * found[:, FLOW].max())[-1] + 5
    assert abs((edge + 0.5) / MOTION_FPS - STOP_S) <= 0.02 + 0.5 / fps


def test_rows_are_the_same_in_chunks() -> None:
    frames, times = filmed(24)
    meter, whole = MotionMeter(), MotionMeter().measure(frames, times)
    parts = [meter.measure(frames[k : k + 7], times[k : k + 7]) for k in range(0, len(frames), 7)]
    assert np.array_equal(np.concatenate(parts), whole)


def test_a_picture_that_stands_for_long_changes_at_once() -> None:
    """As a slide does: no motion before the change, all of it then, none after."""
    slides, count = moving([0.0, 1.0]), 30
    frames = np.stack([slides[0]] * 10 + [slides[1]] * (count - 10))
    found = MotionMeter().measure(frames, np.array([0.0] * 10 + [0.4] * (count - 10)))
    assert np.array_equal(found, motion_features(frames))
    assert np.flatnonzero(found.any(1)).tolist() == [10]


def test_nothing_moves_after_the_last_picture() -> None:
    times = np.minimum(np.arange(20) / MOTION_FPS, 10 / MOTION_FPS)
    assert not MotionMeter().measure(moving(times), times)[11:].any()


def test_a_source_as_fast_as_the_grid_has_its_times(tmp_path: Path) -> None:
    taken: list[NDArray[np.float64]] = []
    clip = write_video(tmp_path / "a.mp4", 60, fps=30)
    asked = FrameRequest(fps=MOTION_FPS, size_px=16, gray=True, timed=True)
    decode_video(clip, {"x": asked}, on_frames={"x": lambda _, times: taken.append(times)})
    assert np.concatenate(taken) == pytest.approx(np.arange(50) / MOTION_FPS)


@pytest.mark.parametrize("fps", [8, 24])
def test_who_takes_timed_frames_is_told_when_they_were_filmed(tmp_path: Path, fps: int) -> None:
    taken: list[tuple[Frames, NDArray[np.float64]]] = []
    clip = write_video(tmp_path / "a.mp4", 2 * fps, fps=fps)
    asked = FrameRequest(fps=MOTION_FPS, size_px=16, gray=True, timed=True)
    decode_video(clip, {"x": asked}, on_frames={"x": lambda frames, times: taken.append((frames, times))})
    times = np.concatenate([times for _, times in taken])
    ticks = np.arange(50) / MOTION_FPS
    assert sum(len(frames) for frames, _ in taken) == len(times) == 50
    assert times == pytest.approx(np.minimum(np.ceil(ticks * fps - 1e-6), 2 * fps - 1) / fps, abs=1e-3)


def test_a_held_picture_keeps_its_own_time(tmp_path: Path) -> None:
    taken: list[NDArray[np.float64]] = []
    clip = write_video(tmp_path / "a.mkv", [0.0, 0.04, 0.6, 0.64])
    asked = FrameRequest(fps=MOTION_FPS, size_px=16, gray=True, timed=True)
    decode_video(clip, {"x": asked}, on_frames={"x": lambda _, times: taken.append(times)})
    assert np.concatenate(taken)[:17] == pytest.approx([0.0, *[0.04] * 14, 0.6, 0.64], abs=1e-3)


@pytest.mark.parametrize("fps", [8, 12, 16])
def test_the_embedded_model_sees_a_slow_file_move_on(tmp_path: Path, fps: int) -> None:
    """Not stop and go: as it is asked for, decoded and handed on by `mfv2a dub`."""
    path = tmp_path / "slow.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "12"})
        stream.width = stream.height = MOTION_SIZE_PX
        stream.codec_context.time_base = Fraction(1, fps)
        for picture in moving(np.arange(round(SECONDS * fps)) / fps):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="gray")))
        container.mux(stream.encode(None))
    model: Any = SimpleNamespace(
        frame_requests={"motion": CompactEncoders.frame_requests["motion"]}, shrinkers=CompactEncoders.shrinkers
    )
    motion = decode_clip(probe_video(path), model).motion
    assert motion is not None
    assert len(motion) == round(SECONDS * MOTION_FPS)
    flow = motion[FALLING, FLOW]
    assert flow.min() > 0.7 * flow.max()
