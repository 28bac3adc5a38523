"""Motion is that of the scene, whatever the rate at which it was filmed."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import cv2
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
    """Pictures of a film, and the times they are of."""
    times = np.arange(round(SECONDS * fps)) / fps
    return moving(times), times


def measured(frames: Frames, times_s: NDArray[np.float64]) -> NDArray[np.float32]:
    return MotionMeter().measure(frames, times_s, round(SECONDS * MOTION_FPS))


def taken(clip: Path, asked: FrameRequest) -> tuple[Frames, NDArray[np.float64], list[int]]:
    """What a timed request is given: frames, times, and how many frames its grid has."""
    frames, times, counts = [], [], []

    def take(some: Frames, times_s: NDArray[np.float64], *count: int) -> None:
        frames.append(some)
        times.append(times_s)
        counts.extend(count)

    decode_video(clip, {"x": asked}, on_frames={"x": take})
    return np.concatenate(frames), np.concatenate(times), counts


ASKED = FrameRequest(fps=MOTION_FPS, size_px=16, gray=True, timed=True)
RATES = [8, 12, 16, 24, 30000 / 1001, 30, 50, 60]


def test_a_film_of_twenty_five_pictures_a_second_compares_each_with_the_next() -> None:
    frames, times = filmed(25)
    found = motion_features(frames)
    assert len(found) == len(frames)
    assert np.array_equal(measured(frames, times), found)
    assert np.array_equal(measured(frames, np.round(times, 3) + 0.0004), found)
    alone = [MotionMeter().measure(frames[k : k + 2], count=2)[1] for k in range(len(frames) - 1)]
    away_from_impact = np.r_[: MOTION_DIM - 8, MOTION_DIM - 6 : MOTION_DIM]
    assert np.array_equal(found[1:, away_from_impact], np.stack(alone)[:, away_from_impact])


@pytest.mark.parametrize("fps", RATES)
def test_what_moves_at_a_pace_has_that_pace_at_any_rate(fps: float) -> None:
    """Neither repeated pictures nor those left out make it stop and go."""
    true, found = motion_features(filmed(25)[0])[FALLING], measured(*filmed(fps))[FALLING]
    for column in (FLOW, CHANGE):
        assert found[:, column].mean() == pytest.approx(true[:, column].mean(), rel=0.08)
        assert found[:, column].std() < 0.04
    assert found[:, IMPACT].max() < 1.4 * true[:, IMPACT].max()


@pytest.mark.parametrize("fps", RATES)
def test_a_stop_is_seen_when_it_is_and_not_at_the_next_picture(fps: float) -> None:
    found = measured(*filmed(fps))[5:-5]
    edge = np.flatnonzero(found[:, FLOW] > 0.5 * found[:, FLOW].max())[-1] + 5
    assert abs((edge + 0.5) / MOTION_FPS - STOP_S) <= 0.02 + 0.5 / fps


def test_a_tick_between_pictures_takes_of_each_as_long_as_it_lasts() -> None:
    """Of 20 pictures a second the second tick lies three parts in the motion after the second picture."""
    rng = np.random.default_rng(0)
    surface = cv2.GaussianBlur(rng.integers(0, 255, (160, 160)).astype(np.uint8), (0, 0), 3)
    frames = np.stack([surface[:112, shift : shift + 112] for shift in (0, 3, 3 + 9, 3 + 9)])
    found = MotionMeter().measure(frames, np.array([0.0, 0.05, 0.1, 0.15]), 4)
    pairs = MotionMeter().measure(frames, np.array([0.0, 0.04, 0.08, 0.12]), 4)
    slower = np.float32(0.8)
    assert found[1, CHANGE] ** 2 == pytest.approx(slower * pairs[1, CHANGE] ** 2, rel=1e-4)
    first, second = np.sqrt(slower) * pairs[1, CHANGE], np.sqrt(slower) * pairs[2, CHANGE]
    assert found[2, CHANGE] == pytest.approx(0.25 * first + 0.75 * second, rel=1e-4)


@pytest.mark.parametrize("fps", [24, 30])
def test_rows_are_the_same_in_chunks(fps: int) -> None:
    frames, times = filmed(fps)
    meter, whole = MotionMeter(), measured(frames, times)
    parts = [meter.measure(frames[k : k + 7], times[k : k + 7]) for k in range(0, len(frames), 7)]
    rest = meter.measure(frames[:0], times[:0], len(whole))
    assert np.array_equal(np.concatenate([*parts, rest]), whole)
    assert sum(map(len, parts)) > 0.6 * len(whole)


def test_rows_of_twenty_five_a_second_are_the_same_in_chunks_without_times() -> None:
    frames, _ = filmed(25)
    meter = MotionMeter()
    parts = [meter.measure(frames[k : k + 9]) for k in range(0, len(frames), 9)]
    assert np.array_equal(np.concatenate([*parts, meter.measure(frames[:0], count=50)]), motion_features(frames))


def test_a_picture_that_stands_for_long_changes_at_once() -> None:
    """As a slide does: no motion before the change, all of it then, none after."""
    slides = moving([0.0, 1.0])
    found = MotionMeter().measure(slides, np.array([0.0, 0.4]), 30)
    assert found.shape == (30, MOTION_DIM)
    assert np.flatnonzero(found.any(1)).tolist() == [10]
    assert np.array_equal(found[10], motion_features(slides)[1])


@pytest.mark.parametrize(("stays_s", "held"), [(0.24, False), (0.25, False), (0.3, True)])
def test_a_picture_of_a_slow_film_is_held_from_a_quarter_of_a_second_on(stays_s: float, held: bool) -> None:
    times = np.array([0.0, stays_s, 2 * stays_s])
    found = MotionMeter().measure(moving(times), times, 20)
    assert (np.count_nonzero(found.any(1)) == 2) == held


@pytest.mark.parametrize("start_s", [0.0, 0.083, 0.1, 0.117])
def test_four_pictures_a_second_are_not_held_by_rounding(start_s: float) -> None:
    times = start_s + np.round(np.arange(8) / 4, 3)
    found = MotionMeter().measure(moving(times - start_s), times, 50)
    assert found[FALLING, FLOW].min() > 0.2


@pytest.mark.parametrize("stays_s", [0.12, 0.2])
def test_a_pause_without_pictures_stands_still_in_a_fast_film(stays_s: float) -> None:
    """As recorders leave out what does not change: the rest of a fall of 30 pictures a second, then more of it."""
    before, after = np.arange(16) / 30, 0.5 + stays_s + np.arange(16) / 30
    found = MotionMeter().measure(moving([*before, *(after - stays_s + 1 / 30)]), np.array([*before, *after]), 30)
    pause = found[14 : int((0.5 + stays_s) * MOTION_FPS), FLOW]
    assert not pause.any()
    assert found[3:13, FLOW].min() > 0.3


@pytest.mark.parametrize("fps", [8, 10])
def test_one_short_interval_makes_no_slow_film_stand(fps: int) -> None:
    """As a clock that slips once does: every picture after it would count as held."""
    times = np.arange(round(SECONDS * fps)) / fps
    times[3] -= 0.7 / fps
    found = MotionMeter().measure(moving(times), times, 50)
    assert found[FALLING, FLOW].min() > 0.2


@pytest.mark.parametrize(("fps", "lost"), [(30, [6, 7]), (60, [12]), (60, [12, 13])])
def test_a_picture_or_two_that_a_fast_film_lacks_are_no_pause(fps: int, lost: list[int]) -> None:
    times = np.delete(np.round(np.arange(round(SECONDS * fps)) / fps, 3), lost)
    found = MotionMeter().measure(moving(times), times, 50)
    assert found[FALLING, FLOW].min() > 0.7 * found[FALLING, FLOW].max()


def test_what_moves_on_after_a_held_picture_counts_as_long_as_it_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    ones = np.ones(MOTION_DIM, np.float32)
    monkeypatch.setattr(MotionMeter, "_compare", lambda *_: ones)
    for end_s in (0.482, 0.5, 0.517):
        times = np.array([0.0, *(end_s + np.arange(5) / 30)])
        found = MotionMeter().measure(moving(np.arange(6)), times, 30)
        assert found.max() == pytest.approx(1.0, abs=1e-5)


def test_nothing_moves_after_the_last_picture() -> None:
    found = MotionMeter().measure(moving(np.arange(11) / MOTION_FPS), count=20)
    assert found[10].any()
    assert not found[11:].any()


def test_a_slide_that_comes_between_ticks_changes_at_the_next_and_what_moves_on_is_added() -> None:
    frames = moving([0.0, 0.5, 0.54, 0.58])
    found = MotionMeter().measure(frames, np.array([0.0, 0.51, 0.55, 0.59]), 30)
    assert np.flatnonzero(found.any(1)).tolist() == [13, 14, 15]
    later = MotionMeter().measure(frames[1:], np.array([0.0, 0.04, 0.08]), 3)
    assert found[14, CHANGE] == pytest.approx(later[1:, CHANGE].mean(), rel=0.1)


@pytest.mark.parametrize(
    ("fps", "every"), [(8, 1), (24, 1), (25, 1), (30, 1), (48, 2), (50, 2), (60, 2), (120, 3), (125, 3), (250, 6)]
)
def test_who_takes_timed_frames_gets_those_that_were_filmed(tmp_path: Path, fps: int, every: int) -> None:
    clip = write_video(tmp_path / "a.mp4", 2 * fps, fps=fps)
    frames, times, counts = taken(clip, ASKED)
    last = 49 / MOTION_FPS
    due = np.arange(0, 2 * fps, every) / fps
    assert times == pytest.approx(due[: np.searchsorted(due, last - 1e-6) + 1], abs=1e-3)
    assert len(frames) == len(times)
    assert counts == [50]


def test_timed_frames_end_where_the_rest_is_not_wanted(tmp_path: Path) -> None:
    clip, times, counts = write_video(tmp_path / "a.mp4", 90, fps=30), [], []

    def take(_: Frames, times_s: NDArray[np.float64], *count: int) -> None:
        times.append(times_s)
        counts.extend(count)

    decode_video(clip, {"x": ASKED}, on_frames={"x": take}, until_s=1.0)
    assert np.concatenate(times) == pytest.approx(np.arange(30) / 30, abs=1e-3)
    assert counts == [25]


def test_a_held_picture_is_given_once_with_its_own_time(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "a.mkv", [0.0, 0.04, 0.6, 0.64])
    _, times, counts = taken(clip, ASKED)
    assert times == pytest.approx([0.0, 0.04, 0.6, 0.64], abs=1e-3)
    assert counts == [round(probe_video(clip).duration_s * MOTION_FPS)]


def test_a_timed_request_that_nobody_takes_is_kept_by_its_ticks(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "a.mp4", 60, fps=30)
    assert decode_video(clip, {"x": ASKED}).frames["x"].shape == (50, 16, 16)


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
