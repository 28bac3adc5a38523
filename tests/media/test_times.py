"""Times of packets in numbers: what may be missing, which rate is believed, where a clock jumps, who has which slot."""

from __future__ import annotations

import math
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest

from mfv2a.media.times import FrameClock, Timeline, scan_times, slack_seconds


def timeline(times_s: list[float], interval_s: float = 0.04) -> Timeline:
    line = Timeline()
    for time_s in times_s:
        line.add(time_s, interval_s)
    return line


@pytest.mark.parametrize(
    ("duration_s", "fps", "slack_s"),
    [(600, 25, 0.5), (6, 25, 0.3), (1, 25, 0.1), (6, 5, 0.5), (6, 1, 2.5), (600, 0, 0.5), (1, 0, 0.1)],
)
def test_a_twentieth_may_be_missing_but_no_more_than_half_a_second_or_two_and_a_half_pictures(
    duration_s: float, fps: float, slack_s: float
) -> None:
    assert slack_seconds(duration_s, fps) == pytest.approx(slack_s)


@pytest.mark.parametrize(
    ("stated", "believed"), [(25, 25), (120, 120), (6, 6), (126, 25), (4.9, 25), (90000, 25), (0, 25)]
)
def test_a_stated_rate_far_from_what_the_packets_show_is_not_believed(stated: float, believed: float) -> None:
    picture: Any = SimpleNamespace(average_rate=stated, guessed_rate=0)
    assert timeline([k / 25 for k in range(50)]).frame_rate(picture) == pytest.approx(believed)


@pytest.mark.parametrize(
    ("decoded_s", "leap_s", "broken_s"),
    [([0, 1, 2], 10, None), ([0, 1, 0.1], 10, None), ([0, 3, 1.9], 10, 3), ([5, 6, 15.9], 10, None),
     ([5, 6, 16.1], 10, 1), ([5, 6, 99], math.inf, None), ([5, 3, 6], 10, 0)],
)  # fmt: skip
def test_a_clock_jumps_that_goes_back_by_more_than_a_second_or_leaps(
    decoded_s: list[float], leap_s: float, broken_s: float | None
) -> None:
    line = Timeline()
    for time_s in decoded_s:
        line.follow(time_s, leap_s)
        line.add(time_s, 0.04)
    assert line.broken_s == broken_s


@pytest.mark.parametrize(("stated_s", "end_s"), [(0.36, 0.4), (0.4, 0.4), (0.44, 0.44), (0.48, 0.48), (0.52, 0.4)])
def test_the_last_picture_is_held_by_one_interval_at_most(stated_s: float, end_s: float) -> None:
    line = timeline([0.0, 0.12, 0.24, 0.36])
    line.reach(stated_s)
    assert line.end_s == pytest.approx(end_s)
    assert line.duration_s(25) == pytest.approx(end_s)


def test_a_frame_that_names_no_packet_takes_the_first_slot_that_is_free() -> None:
    container: Any = SimpleNamespace(format=SimpleNamespace(name="avi"))
    stream = SimpleNamespace(codec_context=SimpleNamespace(has_b_frames=0))
    clock, tick = FrameClock(container, stream), Fraction(1, 25)
    for slot in range(4):
        clock.feed(SimpleNamespace(size=9, dts=slot, pts=slot + 2, time_base=tick))
    frames = [SimpleNamespace(dts=dts, time_base=tick) for dts in (1, None, 3, None)]
    assert [clock.time_s(frame) for frame in frames] == [0.04, 0.08, 0.12, None]


def container(name: str, durations_s: list[int]) -> Any:
    packets = [
        SimpleNamespace(
            stream_index=0, size=9, is_discard=False, pts=k, dts=k, time_base=Fraction(1), duration=duration_s
        )
        for k, duration_s in enumerate(durations_s)
    ]
    return SimpleNamespace(format=SimpleNamespace(name=name), demux=lambda: packets)


@pytest.mark.parametrize(("name", "length_s"), [("mpegts", 3), ("mpeg", 3), ("mov", 67_108_867)])
def test_durations_that_the_container_does_not_store_are_not_believed_where_they_are_absurd(
    name: str, length_s: float
) -> None:
    line = scan_times(container(name, [1, 1, 67_108_865]))[0]
    assert line.duration_s(1.0) == length_s


def test_the_duration_of_a_picture_that_is_alone_is_all_that_there_is() -> None:
    assert scan_times(container("mpegts", [15]))[0].duration_s(1.0) == 15


def test_it_is_known_how_long_a_picture_is_held() -> None:
    assert scan_times(container("mov", [1, 1, 500]))[0].held_s == 500
    assert timeline([0.0, 0.04, 9.0, 9.04]).held_s == pytest.approx(8.96)
    assert timeline([2.0, 2.04]).held_s == pytest.approx(0.04)
