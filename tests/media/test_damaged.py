"""Files with a small damage that would cost much: pictures held for days, pictures that a copy would leave out."""

from __future__ import annotations

from pathlib import Path

import pytest
from media_clips import dub, packets, write_video

from mfv2a.errors import MediaError
from mfv2a.media.probe import probe_video


def test_a_picture_that_is_held_for_more_than_a_day_is_a_damage_and_for_an_hour_it_is_not(tmp_path: Path) -> None:
    hour = write_video(tmp_path / "hour.mkv", [0.0, 0.04, 3600.0], options={"bf": "0"})
    assert probe_video(hour).duration_s == pytest.approx(3600, abs=0.1)
    days = write_video(tmp_path / "days.mkv", [0.0, 0.04, 100_000.0], options={"bf": "0"})
    with pytest.raises(MediaError, match="shows one picture for 28 hours"):
        probe_video(days)


@pytest.mark.usefixtures("each_ffmpeg")
def test_an_flv_whose_pictures_would_be_left_out_is_refused(tmp_path: Path) -> None:
    source = write_video(tmp_path / "a.flv", 30, options={"g": "6"})
    assert packets(dub(source)) == packets(source)
    data, tags = bytearray(source.read_bytes()), []
    place = 13  # after the file's head; then tags: kind, size, time, stream, data, size again
    while place < len(data):
        tags += [place] if data[place] == 9 else []
        place += 15 + int.from_bytes(data[place + 1 : place + 4], "big")
    data[tags[1] + 9 : tags[1] + 13] = b"\xff\xff\0\0"  # stream and codec of a picture; the tag before has parameters
    source.write_bytes(data)
    with pytest.raises(MediaError, match=r"packets \d+ can be copied"):
        dub(source, out=tmp_path / "new.flv")
    assert not (tmp_path / "new.flv").exists()


def test_what_ffmpeg_does_not_know_is_not_to_be_converted_by_it(tmp_path: Path) -> None:
    path = tmp_path / "text.mp4"
    path.write_text("no video")
    with pytest.raises(MediaError, match="not a video that FFmpeg knows") as caught:
        probe_video(path)
    assert caught.value.hint == "leave this file out, or copy or download it again"
