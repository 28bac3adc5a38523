"""Marks get the picture that is shown nearest and the frame that a timeline has there, never one behind the last."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from media_clips import write_video

from mfv2a.media.markers import Marker, timecode, write_markers
from mfv2a.media.places import even_place, find_places
from mfv2a.media.probe import probe_video


def test_marks_get_the_number_of_the_picture_that_is_shown_nearest(tmp_path: Path) -> None:
    times = [k / 10 for k in range(30)] + [3 + k / 50 for k in range(50)]
    info = probe_video(write_video(tmp_path / "a.mkv", times, options={"bf": "2"}))
    marks = [0.0, 0.04, 2.0, 2.94, 2.96, 3.0, 3.5, 99.0]
    assert [place.picture for place in find_places(info, marks)[1]] == [0, 0, 20, 29, 30, 30, 55, 79]
    assert find_places(probe_video(write_video(tmp_path / "c.mp4", 1)), [0.0, 3.0])[1] == [(0, 0), (0, 0)]


@pytest.mark.parametrize("fps", [24000 / 1001, 25, 30000 / 1001, 60, 240])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_at_an_even_rate_picture_and_frame_are_one(tmp_path: Path, suffix: str, fps: float) -> None:
    info = probe_video(write_video(tmp_path / f"b{suffix}", 50, fps=fps, options={"bf": "2"}))
    rate, places = find_places(info, [k / fps for k in range(50)])
    assert rate == pytest.approx(fps, rel=1e-3)
    assert places == [(k, k) for k in range(50)]
    assert {place.picture - place.frame for place in find_places(info, [k / 1000 for k in range(300)])[1]} == {0}
    assert find_places(info, [50 / fps, 99.0])[1] == [(49, 49), (49, 49)]


def test_a_mark_between_two_pictures_is_of_the_earlier_in_table_and_list(tmp_path: Path) -> None:
    info = probe_video(write_video(tmp_path / "b.mp4", 100))
    marks = [Marker(k / 50, "heard") for k in (1, 3, 5, 7, 147, 199)]
    fps, places = find_places(info, [mark.time_s for mark in marks])
    for name in ("a.csv", "a.edl"):
        write_markers(tmp_path / name, marks, fps=fps, title="a", places=places)
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    assert [int(row["frame"]) for row in rows] == [0, 1, 2, 3, 73, 99]
    assert [row["timecode"] for row in rows] == [timecode(int(row["frame"]), 25) for row in rows]
    located = re.findall(r"LOC: (\S+)", (tmp_path / "a.edl").read_text())
    assert located == [row["timecode"] for row in rows]
    assert [even_place(mark.time_s, 25) for mark in marks] == places


def test_where_pictures_are_missing_timecodes_count_in_the_rate_of_the_others(tmp_path: Path) -> None:
    kept = [k for k in range(660) if k % 40 != 39]
    info = probe_video(write_video(tmp_path / "phone.mp4", [k / 30 for k in kept], fps=30, size=(32, 32)))
    assert info.fps == pytest.approx(29.26, abs=0.02)
    fps, places = find_places(info, [20.0, 1.3, 99.0])
    assert fps == pytest.approx(30, rel=1e-3)
    assert timecode(places[0].frame, fps) == "00:00:20:00"
    assert [place.picture for place in places] == [kept.index(600), 38, len(kept) - 1]
    assert places[1].frame == 39  # the frame of the missing picture, for which the one before is held
    assert places[2].frame == kept[-1]


def test_a_rate_that_no_picture_keeps_is_not_counted_in(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.35, 0.4, 0.75, 1.0, 1.3]
    info = probe_video(write_video(tmp_path / "odd.mkv", times))
    assert find_places(info, [0.4])[0] == info.fps
