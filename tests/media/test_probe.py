"""What a probe tells of whole, odd and broken files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from media_clips import DATA, run_bundled, write_video

from mfv2a.errors import MediaError
from mfv2a.media.video import probe_video


def test_a_filmed_clip_is_described_by_its_picture_not_by_its_sound() -> None:
    info = probe_video(DATA / "stream_of_water.mp4")
    assert info.duration_s == pytest.approx(3.00167, abs=1e-4)
    assert (info.width_px, info.height_px, info.rotation_deg) == (480, 360, 0)
    assert [stream.kind for stream in info.streams] == ["video", "audio"]
    assert info.streams[0].codec == "h264"


def test_the_first_default_picture_is_chosen_among_two() -> None:
    info = probe_video(DATA / "nasa_13013.mp4")
    assert info.picture_index == 0
    assert [stream.kind for stream in info.streams] == ["video", "audio", "subtitle", "video", "audio", "subtitle"]
    assert info.duration_s == pytest.approx(13.0)


def test_a_later_default_picture_wins_over_an_earlier_one(tmp_path: Path) -> None:
    small = write_video(tmp_path / "a.mp4", size=(32, 32))
    large = write_video(tmp_path / "b.mp4", size=(48, 48))
    both = tmp_path / "both.mkv"
    run_bundled("-i", small, "-i", large, "-map", 0, "-map", 1, "-c", "copy", "-disposition:v:0", 0,
                "-disposition:v:1", "default", both)  # fmt: skip
    assert probe_video(both).picture_index == 1


def test_a_cover_is_not_the_picture(tmp_path: Path) -> None:
    cover = write_video(tmp_path / "cover.jpg", 1, codec="mjpeg", pix_fmt="yuvj420p", form="image2")
    clip = write_video(tmp_path / "a.mp4")
    out = tmp_path / "covered.mp4"
    run_bundled("-i", cover, "-i", clip, "-map", 0, "-map", 1, "-c", "copy", "-disposition:v:0", "attached_pic", out)
    info = probe_video(out)
    assert [stream.is_cover for stream in info.streams if stream.kind == "video"].count(True) == 1
    assert not info.streams[info.picture_index].is_cover


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("a.mp4", "libx264", "yuv420p"),
        ("a.mov", "libx264", "yuv420p"),
        ("a.mkv", "libx264", "yuv420p"),
        ("a.avi", "mpeg4", "yuv420p"),
        ("a.ts", "libx264", "yuv420p"),
        ("a.flv", "libx264", "yuv420p"),
        ("a.webm", "libvpx", "yuv420p"),
        ("a.gif", "gif", "gray"),
        ("ten_bit.mkv", "libx265", "yuv420p10le"),
    ],
)
def test_every_container_states_the_same_length(tmp_path: Path, name: str, codec: str, pix_fmt: str) -> None:
    options = {"x265-params": "log-level=none"} if codec == "libx265" else None
    info = probe_video(write_video(tmp_path / name, 25, codec=codec, pix_fmt=pix_fmt, options=options))
    assert info.duration_s == pytest.approx(1.0, abs=0.002)
    assert (info.width_px, info.height_px) == (64, 48)
    assert info.fps == pytest.approx(25, rel=0.01)


def test_reordered_pictures_do_not_lengthen_a_clip(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "b.mp4", 30, fps=30, options={"bf": "3", "b_strategy": "0"})
    assert probe_video(clip).duration_s == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov"])
def test_a_held_picture_among_reordered_ones_does_not_lengthen_a_clip(tmp_path: Path, name: str) -> None:
    times = [0.0, *(2 + k / 25 for k in range(25))]
    clip = write_video(tmp_path / name, times, options={"bf": "2", "b_strategy": "0"})
    assert probe_video(clip).duration_s == pytest.approx(3.0, abs=0.05)


def test_a_late_picture_of_a_container_that_cannot_go_back_is_decoded(tmp_path: Path) -> None:
    write_video(tmp_path / "a.flv", 10, codec="flv1")
    run_bundled("-i", tmp_path / "a.flv", "-f", "lavfi", "-t", 0.4, "-i", "sine", "-map", 0, "-map", 1, "-c:v", "copy",
                "-c:a", "libmp3lame", "-ar", 44100, tmp_path / "late.flv")  # fmt: skip
    info = probe_video(tmp_path / "late.flv")
    assert info.start_s > 0
    assert info.duration_s == pytest.approx(0.4, abs=0.05)


def test_a_stream_that_ends_before_its_clock_turns_over_is_as_long_as_it_is(tmp_path: Path) -> None:
    plain = write_video(tmp_path / "plain.mp4", 50, options={"bf": "0"})
    run_bundled("-i", plain, "-c", "copy", "-copyts", "-output_ts_offset", 95430, "-muxdelay", 0, "-muxpreload", 0,
                tmp_path / "late.ts")  # fmt: skip
    info = probe_video(tmp_path / "late.ts")
    assert info.start_s < -1
    assert info.duration_s == pytest.approx(2.0, abs=0.05)


def test_a_single_picture_lasts_one_frame(tmp_path: Path) -> None:
    assert probe_video(write_video(tmp_path / "one.mp4", 1)).duration_s == pytest.approx(0.04, abs=1e-3)


def test_a_late_picture_is_measured_from_its_own_start(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "a.mp4")
    run_bundled("-itsoffset", 1.5, "-i", clip, "-f", "lavfi", "-t", 4, "-i", "sine", "-map", 0, "-map", 1,
                "-c:v", "copy", tmp_path / "late.mp4")  # fmt: skip
    info = probe_video(tmp_path / "late.mp4")
    assert info.start_s == pytest.approx(1.5, abs=1e-3)
    assert info.duration_s == pytest.approx(1.0, abs=1e-3)


def test_hidden_pictures_of_an_edit_list_do_not_count(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "a.mp4", 50, options={"g": "50", "bf": "0"})
    run_bundled("-ss", 1.2, "-i", clip, "-c", "copy", tmp_path / "cut.mp4")
    info = probe_video(tmp_path / "cut.mp4")
    assert info.start_s == pytest.approx(0.0, abs=1e-3)
    assert info.duration_s == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize(("turn", "clockwise"), [(90, 270), (-90, 90), (180, 180)])
def test_a_turned_clip_is_described_as_shown(tmp_path: Path, turn: int, clockwise: int) -> None:
    run_bundled("-display_rotation", turn, "-i", write_video(tmp_path / "a.mp4"), "-c", "copy", tmp_path / "t.mp4")
    info = probe_video(tmp_path / "t.mp4")
    assert info.rotation_deg == clockwise
    assert (info.width_px, info.height_px) == ((64, 48) if turn == 180 else (48, 64))


@pytest.mark.parametrize(
    ("flips", "clockwise"),
    [(["-display_hflip"], 0), (["-display_vflip"], 180), (["-display_hflip", "-display_vflip"], 180)],
)
def test_a_mirrored_clip_is_not_set_on_its_head(tmp_path: Path, flips: list[str], clockwise: int) -> None:
    run_bundled(*flips, "-i", write_video(tmp_path / "a.mp4"), "-c", "copy", tmp_path / "m.mp4")
    assert probe_video(tmp_path / "m.mp4").rotation_deg == clockwise


@pytest.mark.parametrize(("suffix", "later_s"), [(".ts", 0), (".ts", 100), (".ts", -50), (".flv", 0), (".mpg", 0)])
def test_pieces_that_were_joined_as_they_are_are_refused(tmp_path: Path, suffix: str, later_s: int) -> None:
    codec = "mpeg2video" if suffix == ".mpg" else "libx264"
    whole = write_video(tmp_path / "a.mp4", 50, codec=codec)
    one, two, joined = tmp_path / f"one{suffix}", tmp_path / f"two{suffix}", tmp_path / f"joined{suffix}"
    for path, start_s in ((one, 100), (two, 100 + later_s)):
        run_bundled("-i", whole, "-c", "copy", "-output_ts_offset", start_s, path)
        assert probe_video(path).duration_s == pytest.approx(2.0, abs=0.05)
    header = 13 if suffix == ".flv" else 0
    joined.write_bytes(one.read_bytes() + two.read_bytes()[header:])
    with pytest.raises(MediaError, match="has a clock that jumps after") as caught:
        probe_video(joined)
    assert "ffmpeg -i IN -c copy OUT.mkv" in caught.value.hint


def test_a_picture_that_is_held_for_long_is_no_jump_of_the_clock(tmp_path: Path) -> None:
    held = write_video(tmp_path / "held.mkv", [0.0, 0.04, 40.0, 40.04])
    assert probe_video(held).duration_s == pytest.approx(40.08, abs=0.05)
    for held_s in (9, 12):  # in a transport stream a clock may be another from ten seconds on
        held = write_video(tmp_path / "held.ts", [0.0, 0.04, held_s, held_s + 0.04], options={"bf": "0"})
        if held_s < 10:
            assert probe_video(held).duration_s > held_s
        else:
            with pytest.raises(MediaError, match="has a clock that jumps"):
                probe_video(held)


@pytest.mark.parametrize(("aspect", "shown"), [("2/1", (144, 57)), ("1/2", (72, 114))])
def test_wide_pixels_widen_the_shown_picture_and_tall_ones_heighten_it(
    tmp_path: Path, aspect: str, shown: tuple[int, int]
) -> None:
    pixels = f"setsar={aspect}"
    run_bundled("-f", "lavfi", "-i", "testsrc=s=72x57:d=0.2", "-vf", pixels, "-c:v", "mpeg4", tmp_path / "w.mkv")
    info = probe_video(tmp_path / "w.mkv")
    assert (info.width_px, info.height_px) == shown


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.mp4", b"", "empty"),
        ("text.mp4", b"hello there\n" * 50, "not a video"),
        ("notes.txt", b"hello there\n" * 50, "not a video"),
        ("noise.mp4", np.random.default_rng(0).bytes(50_000), "not a video"),
        ("head.mp4", b"\0\0\0\x18ftypisom" + bytes(100), "index is missing"),
    ],
)
def test_what_is_not_a_video_says_so(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MediaError, match=words) as caught:
        probe_video(tmp_path / name)
    assert caught.value.path == tmp_path / name
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("left", [0.2, 0.6, 0.95])
def test_a_gif_that_ends_within_a_picture_is_cut(tmp_path: Path, left: float) -> None:
    path = write_video(tmp_path / "a.gif", codec="gif", pix_fmt="rgb8")
    assert probe_video(path).duration_s == pytest.approx(1.0, abs=0.05)
    data = path.read_bytes()
    path.write_bytes(data.removesuffix(b";"))  # without its last byte alone it is all there
    assert probe_video(path).duration_s == pytest.approx(1.0, abs=0.05)
    path.write_bytes(data[: round(left * len(data))])
    with pytest.raises(MediaError, match="cut short: its data end within a picture"):
        probe_video(path)


def test_bare_pictures_in_a_row_are_told_where_to_go(tmp_path: Path) -> None:
    run_bundled("-f", "lavfi", "-i", "testsrc=d=1:s=640x480", "-c:v", "mjpeg", "-q:v", 1, tmp_path / "a.mjpeg")
    with pytest.raises(MediaError, match="not a video") as caught:
        probe_video(tmp_path / "a.mjpeg")
    assert "container first" in caught.value.hint


def test_one_picture_without_a_length_lasts_no_tick_of_the_clock(tmp_path: Path) -> None:
    run_bundled("-f", "lavfi", "-i", "testsrc=d=1:s=64x48", "-frames:v", 1, "-c:v", "wmv2", tmp_path / "a.wmv")
    info = probe_video(tmp_path / "a.wmv")
    assert (info.duration_s, info.fps) == (pytest.approx(0.04), 25.0)


def test_paths_that_are_no_file_say_so(tmp_path: Path) -> None:
    (tmp_path / "loop.mp4").symlink_to(tmp_path / "loop.mp4")
    os.mkfifo(tmp_path / "pipe.mp4")  # opening it would wait for ever
    for path, words in [
        (tmp_path / "none.mp4", "does not exist"),
        (tmp_path, "is a folder"),
        (tmp_path / "loop.mp4", "cannot be read"),
        (tmp_path / "pipe.mp4", "not a regular file"),
    ]:
        with pytest.raises(MediaError, match=words):
            probe_video(path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_says_so(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "a.mp4")
    clip.chmod(0)
    with pytest.raises(MediaError, match="cannot be read"):
        probe_video(clip)


def test_sound_alone_and_subtitles_alone_are_no_videos(tmp_path: Path) -> None:
    run_bundled("-f", "lavfi", "-t", 0.2, "-i", "sine", tmp_path / "a.m4a")
    (tmp_path / "a.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nhello\n")
    with pytest.raises(MediaError, match="sound but no picture"):
        probe_video(tmp_path / "a.m4a")
    with pytest.raises(MediaError, match="no video stream"):
        probe_video(tmp_path / "a.srt")


def test_a_bare_stream_without_times_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no timestamps") as caught:
        probe_video(write_video(tmp_path / "a.h264", 10, form="h264"))
    assert "-c copy" in caught.value.hint


def test_a_still_picture_is_no_video(tmp_path: Path) -> None:
    still = write_video(tmp_path / "a.jpg", 1, codec="mjpeg", pix_fmt="yuvj420p", form="image2")
    with pytest.raises(MediaError, match="not a video"):
        probe_video(still)


@pytest.mark.parametrize("part", [0.3, 0.6, 0.8])
@pytest.mark.parametrize("name", ["cut.mp4", "cut.mkv", "cut.avi", "cut.flv"])
def test_a_cut_file_is_named_as_cut(tmp_path: Path, name: str, part: float) -> None:
    run_bundled("-f", "lavfi", "-i", "testsrc2=s=96x64:d=3", "-c:v", "mpeg4" if name.endswith("avi") else "libx264",
                *(["-movflags", "faststart"] if name.endswith("mp4") else []), tmp_path / name)  # fmt: skip
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(MediaError, match="cut short"):
        probe_video(tmp_path / name)


def test_a_sound_longer_than_the_picture_is_no_sign_of_a_cut(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "a.mp4")
    run_bundled("-i", clip, "-f", "lavfi", "-t", 4, "-i", "sine", "-c:v", "copy", tmp_path / "long.mkv")
    assert probe_video(tmp_path / "long.mkv").duration_s == pytest.approx(1.0, abs=2e-3)


def test_a_sound_that_begins_late_is_no_sign_of_a_cut_in_asf(tmp_path: Path) -> None:
    late = ("-itsoffset", 0.7, "-f", "lavfi", "-t", 4.3, "-i", "sine")
    source = tmp_path / "late.wmv"
    run_bundled("-f", "lavfi", "-i", "testsrc2=s=128x96:r=25:d=5", *late, "-c:v", "wmv2", "-c:a", "wmav2", source)
    assert probe_video(source).duration_s == pytest.approx(5.0, abs=0.05)


@pytest.mark.parametrize("name", ["-dash.mp4", "a:b.mp4", 'it\'s "q".mp4', "new\nline.mp4", "100%d.mp4", "smile ☺.mp4"])
def test_odd_names_are_only_names(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write_video(tmp_path / "a.mp4").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert probe_video(Path(name)).duration_s == pytest.approx(1.0, abs=1e-3)


def test_probing_says_nothing_on_the_terminal(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"\0\0\0\x18ftypisom" + bytes(100))
    with pytest.raises(MediaError):
        probe_video(tmp_path / "bad.mp4")
    probe_video(DATA / "nasa_13013.mp4")
    assert capfd.readouterr() == ("", "")
