"""AVI states no times: its pictures are shown in its slots, whatever FFmpeg makes of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from media_clips import picture_index, run_bundled, write_video

from mfv2a.media.places import find_places
from mfv2a.media.probe import probe_video
from mfv2a.media.tracks import read_track, sound_tracks
from mfv2a.media.video import timed_frames

CODED = {
    "baseline": ("libx264", {"profile": "baseline"}),
    "no reordering": ("libx264", {"bf": "0"}),
    "reordered": ("libx264", {"bf": "3"}),
    "mpeg4": ("mpeg4", {}),
    "mpeg4 reordered": ("mpeg4", {"bf": "2", "qmin": "1", "qmax": "2"}),
    "mpeg2 reordered": ("mpeg2video", {"bf": "2", "qmin": "1", "qmax": "2"}),
}


@pytest.fixture(params=list(CODED))
def silent(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    codec, options = CODED[request.param]
    return write_video(tmp_path / "silent.avi", 28, codec=codec, options=options)


def sounding(silent: Path) -> Path:
    """With a click 0.4 s after the beginning of both the picture and the sound."""
    path = silent.with_name("sounding.avi")
    click = "aevalsrc='if(between(t,0.4,0.402),0.9,0)':s=48000:d=1.12"
    run_bundled("-i", silent, "-f", "lavfi", "-i", click, "-c:v", "copy", "-c:a", "pcm_s16le", path)
    return path


def test_pictures_begin_at_once_and_each_has_its_slot(silent: Path) -> None:
    info = probe_video(silent)
    assert (info.start_s, info.duration_s) == (0.0, pytest.approx(28 / 25))
    assert [place.picture for place in find_places(info, [k / 25 for k in range(28)])[1]] == list(range(28))
    shown = [(picture_index(frame.to_ndarray(format="rgb24")), time_s) for frame, time_s in timed_frames(info)]
    assert [number for number, _ in shown] == list(range(28))
    assert [time_s for _, time_s in shown] == pytest.approx([k / 25 for k in range(28)])


def test_the_sources_own_sound_stays_in_its_place(silent: Path) -> None:
    info = probe_video(sounding(silent))
    track = read_track(info, sound_tracks(info)[0], 48000)
    assert len(track) == round(48000 * 28 / 25)
    assert int(abs(track[:, 0]).argmax()) == pytest.approx(0.4 * 48000, abs=100)


def test_slots_of_twice_the_rate_are_filled_to_the_last(tmp_path: Path) -> None:
    run_bundled("-i", write_video(tmp_path / "a.mp4", 50, options={"bf": "0"}), "-c", "copy", tmp_path / "a.avi")
    info = probe_video(tmp_path / "a.avi")
    assert (info.start_s, info.duration_s) == (0.0, pytest.approx(2.0))
