"""Lists of marks are read back as what they were made of."""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path

import pytest

from mfv2a.errors import ConfigError, MediaError
from mfv2a.media.markers import Marker, edl_text, timecode, write_markers
from mfv2a.media.places import Place, even_place

MARKS = [Marker(0.0, "seen"), Marker(0.48, "heard"), Marker(0.5, "seen"), Marker(61.04, "heard"), Marker(3600.0, "cut")]
PICTURES = [3, 1, 4, 1, 5]


def test_timecodes_count_frames_without_dropping() -> None:
    assert timecode(0, 25) == "00:00:00:00"
    assert timecode(26, 25) == "00:00:01:01"
    assert timecode(25 * 3661 + 24, 25) == "01:01:01:24"
    assert timecode(30, 30000 / 1001) == "00:00:01:00"
    assert timecode(23, 24000 / 1001) == "00:00:00:23"


def test_a_table_has_times_frames_and_timecodes(tmp_path: Path) -> None:
    write_markers(tmp_path / "a.onsets.csv", MARKS, fps=25, title="a")
    with (tmp_path / "a.onsets.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["kind"] for row in rows] == [mark.kind for mark in MARKS]
    assert [float(row["time_s"]) for row in rows] == [mark.time_s for mark in MARKS]
    assert [int(row["frame"]) for row in rows] == [round(25 * mark.time_s) for mark in MARKS]
    assert rows[3]["timecode"] == "00:01:01:01"
    assert [path.name for path in tmp_path.iterdir()] == ["a.onsets.csv"]


def test_a_table_takes_the_numbers_of_pictures_that_are_not_evenly_spaced(tmp_path: Path) -> None:
    places = [Place(picture, even_place(mark.time_s, 25).frame) for picture, mark in zip(PICTURES, MARKS, strict=True)]
    write_markers(tmp_path / "a.csv", MARKS, fps=25, title="a", places=places)
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["frame"]) for row in rows] == PICTURES
    assert rows[3]["timecode"] == "00:01:01:01"


def test_an_edl_has_an_event_and_one_marker_for_each_marked_frame() -> None:
    lines = edl_text(MARKS, [even_place(mark.time_s, 25) for mark in MARKS], fps=25, title="a\nb").splitlines()
    assert lines[:2] == ["TITLE: a b", "FCM: NON-DROP FRAME"]
    code = r"\d\d:\d\d:\d\d:\d\d"
    events = [line for line in lines if re.fullmatch(rf"\d{{3}}  001      V     C        ({code} ?){{4}}", line)]
    assert len(events) == 4  # 0.48 s and 0.50 s are one frame
    for line in events:
        source_in, source_out, record_in, record_out = re.findall(code, line)
        assert (source_in, source_out) == (record_in, record_out)
    assert [re.findall(code, line)[:2] for line in events] == [
        [timecode(frame, 25), timecode(frame + 1, 25)] for frame in (0, 12, 1526, 90000)
    ]
    locators = [line for line in lines if line.startswith("* LOC: ")]
    notes = [line for line in lines if line.startswith(" |C:ResolveColor")]
    assert len(locators) == len(notes) == 4
    assert locators[:3] == [
        "* LOC: 00:00:00:00 RED     seen 1",
        "* LOC: 00:00:00:12 GREEN   heard 1, seen 2",
        "* LOC: 00:01:01:01 BLUE    heard 2",
    ]
    assert notes[3] == " |C:ResolveColorYellow |M:cut 1 |D:1"


def test_a_title_that_is_no_utf8_is_escaped(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"out\xff.onsets.edl")
    write_markers(path, MARKS, fps=25, title=os.fsdecode(b"out\xff"))
    assert path.read_bytes().startswith(b"TITLE: out\\udcff\nFCM: NON-DROP FRAME\n")
    assert list(tmp_path.iterdir()) == [path]


def test_an_empty_list_is_a_list_and_wrong_places_are_told(tmp_path: Path) -> None:
    write_markers(tmp_path / "a.edl", [], fps=0.0, title="a")
    assert (tmp_path / "a.edl").read_text().startswith("TITLE: a\n")
    with pytest.raises(ConfigError):
        write_markers(tmp_path / "a.txt", [], fps=25, title="a")
    with pytest.raises(MediaError):
        write_markers(tmp_path / "no" / "a.csv", [], fps=25, title="a")
