"""Frames by presentation time, turned, cut and scaled."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest
from media_clips import DATA, level, picture_index, run_bundled, write_video

from golden.parity import ROOT
from mfv2a.errors import MediaError
from mfv2a.media import grids, video
from mfv2a.media.grids import frame_count
from mfv2a.media.video import decode_video, probe_video
from mfv2a.records import FrameRequest

SMALL = 16


def request(fps: float, **options: object) -> FrameRequest:
    return FrameRequest(**{"fps": fps, "size_px": SMALL, "gray": True, **options})  # type: ignore[arg-type]


def indices(path: Path, fps: float, **options: object) -> list[int]:
    clip = decode_video(path, {"x": request(fps, **options)})
    return [picture_index(frame) for frame in clip.frames["x"]]


def test_each_source_frame_comes_once_at_its_own_rate(tmp_path: Path) -> None:
    assert indices(write_video(tmp_path / "a.mp4", 20), 25) == list(range(20))


@pytest.mark.parametrize("name", ["a.mkv", "a.flv", "a.ts", "a.mov"])
@pytest.mark.parametrize("fps", [24, 25, 30, 30000 / 1001])
def test_rounded_clocks_do_not_shift_frames(tmp_path: Path, name: str, fps: float) -> None:
    assert indices(write_video(tmp_path / name, 20, fps=fps, options={"bf": "2"}), fps) == list(range(20))


def test_a_lower_rate_takes_the_first_frame_at_or_after_each_tick(tmp_path: Path) -> None:
    # 25 fps seen at 10: ticks 0, .1, .2 ... fall on or between 0, .04, .08, .12 ...
    assert indices(write_video(tmp_path / "a.mp4", 20), 10) == [0, 3, 5, 8, 10, 13, 15, 18]


def test_a_higher_rate_shows_the_coming_frame_and_ends_on_the_last(tmp_path: Path) -> None:
    assert indices(write_video(tmp_path / "a.mp4", 6, fps=20), 25) == [0, 1, 2, 3, 4, 4, 5, 5]


def test_a_much_higher_rate_shows_what_is_on_the_screen_where_that_is_asked_for(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "a.mp4", 4, fps=10)
    assert indices(clip, 25, as_shown=True) == [0, 0, 0, 1, 1, 2, 2, 2, 3, 3]
    assert indices(clip, 25) == [0, 1, 1, 2, 2, 2, 3, 3, 3, 3]
    clip = write_video(tmp_path / "b.mp4", 6, fps=15)  # as scenes of fifteen pictures a second were learned from
    assert indices(clip, 25, as_shown=True) == indices(clip, 25) == [0, 1, 2, 2, 3, 3, 4, 5, 5, 5]


def test_a_variable_frame_rate_is_followed_by_time(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.12, 0.24, 0.26, 0.38, 0.4]
    clip = write_video(tmp_path / "a.mkv", times)
    found = indices(clip, 10)
    expected = [next((n for n, t in enumerate(times) if t >= k / 10 - 1e-3), 6) for k in range(len(found))]
    assert found == expected
    assert len(found) == frame_count(probe_video(clip).duration_s, 10)


@pytest.mark.parametrize("option", [{}, {"summed": True}, {"as_shown": True}], ids=str)
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_picture_that_is_held_stays_until_the_next_one_comes(
    tmp_path: Path, name: str, option: dict[str, bool]
) -> None:
    clip = write_video(tmp_path / name, [0.0, 0.04, 1.01, 1.05, 1.09, 2.0])
    frames = decode_video(clip, {"x": request(25, **option)}).frames["x"]
    assert [picture_index(frame) for frame in frames][:51] == [0, *[1] * 25, 3, *[4] * 23, 5]


def test_a_late_picture_starts_at_its_first_frame(tmp_path: Path) -> None:
    run_bundled("-itsoffset", 1.5, "-i", write_video(tmp_path / "a.mp4", 20), "-f", "lavfi", "-t", 4, "-i", "sine",
                "-map", 0, "-map", 1, "-c:v", "copy", tmp_path / "late.mp4")  # fmt: skip
    assert indices(tmp_path / "late.mp4", 25) == list(range(20))


def test_hidden_frames_of_an_edit_list_are_not_seen(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "a.mp4", 25, options={"g": "50", "bf": "0"})
    run_bundled("-ss", 0.4, "-i", clip, "-c", "copy", tmp_path / "cut.mp4")
    assert indices(tmp_path / "cut.mp4", 25) == list(range(10, 25))


def test_a_single_frame_fills_its_grid(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "one.mp4", 1)
    found = decode_video(clip, {"a": request(25), "b": request(1), "c": request(100)})
    assert [len(found.frames[name]) for name in "abc"] == [1, 1, 4]
    assert picture_index(found.frames["c"][3]) == 0


def test_all_requests_are_served_by_one_decode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = write_video(tmp_path / "a.mp4", 50)
    info = probe_video(clip)
    opened: list[str] = []
    real = av.open
    monkeypatch.setattr(av, "open", lambda name, *a, **k: opened.append(name) or real(name, *a, **k))
    found = decode_video(clip, {"fast": request(25), "slow": request(1, gray=False, size_px=24)}, info=info)
    assert len(opened) == 1
    assert found.frames["fast"].shape == (50, SMALL, SMALL)
    assert found.frames["slow"].shape == (2, 24, 24, 3)
    assert found.duration_s == info.duration_s
    assert found.info is info


def test_frames_nobody_asked_for_are_not_converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mfv2a.media import grids

    converted: list[float] = []
    real = grids.Grid._convert
    monkeypatch.setattr(grids.Grid, "_convert", lambda self, frame: converted.append(frame.time) or real(self, frame))
    decode_video(write_video(tmp_path / "a.mp4", 50), {"x": request(2)})
    assert converted == pytest.approx([0.0, 0.52, 1.0, 1.52])


def test_chunks_are_the_same_frames_in_order(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "a.mp4", 150)
    chunks: list[np.ndarray] = []
    streamed = decode_video(clip, {"x": request(25), "y": request(1)}, on_frames={"x": chunks.append})
    assert [len(chunk) for chunk in chunks] == [64, 64, 22]
    assert list(streamed.frames) == ["y"]
    np.testing.assert_array_equal(np.concatenate(chunks), decode_video(clip, {"x": request(25)}).frames["x"])


def test_what_comes_after_the_end_that_is_wanted_is_not_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, times = write_video(tmp_path / "a.mp4", 150), []
    frames = video.timed_frames

    def watched(*args: object, **options: object) -> object:
        for frame, time_s in frames(*args, **options):  # type: ignore[arg-type]
            times.append(time_s)
            yield frame, time_s

    monkeypatch.setattr(video, "timed_frames", watched)
    requests = {"x": request(25), "y": request(4)}
    whole = decode_video(clip, requests).frames
    times.clear()
    part = decode_video(clip, requests, until_s=2.0)
    assert max(times) < 2.1
    assert part.duration_s == 2.0
    assert {name: len(stack) for name, stack in part.frames.items()} == {"x": 50, "y": 8}
    for name, stack in part.frames.items():
        np.testing.assert_array_equal(stack, whole[name][: len(stack)])
    assert decode_video(clip, requests, until_s=99.0).duration_s == 6.0


def quadrants(path: Path, *, size: str = "64x48") -> Path:
    """A clip that is red top left, green top right, blue bottom left, white bottom right."""
    width, height = (int(n) for n in size.split("x"))
    boxes = ",".join(
        f"drawbox=x={x}:y={y}:w={width // 2}:h={height // 2}:color={color}:t=fill"
        for x, y, color in [
            (0, 0, "red"),
            (width // 2, 0, "lime"),
            (0, height // 2, "blue"),
            (width // 2, height // 2, "white"),
        ]
    )
    run_bundled("-f", "lavfi", "-i", f"color=black:s={size}:d=0.2", "-vf", boxes, "-c:v", "libx264", "-qp", 1,
                "-pix_fmt", "yuv444p", path)  # fmt: skip
    return path


def corners(frame: np.ndarray) -> list[str]:
    names = {(1, 0, 0): "r", (0, 1, 0): "g", (0, 0, 1): "b", (1, 1, 1): "w"}
    side = len(frame)
    spots = [(side // 4, side // 4), (side // 4, -side // 4), (-side // 4, side // 4), (-side // 4, -side // 4)]
    return [names[tuple((frame[spot] > 127).astype(int))] for spot in spots]


@pytest.mark.parametrize("fit", ["squash", "crop"])
@pytest.mark.parametrize(("turn", "shown"), [(0, "rgbw"), (90, "gwrb"), (-90, "brwg"), (180, "wbgr")])
def test_turned_clips_are_seen_upright(tmp_path: Path, fit: str, turn: int, shown: str) -> None:
    run_bundled("-display_rotation", turn, "-i", quadrants(tmp_path / "q.mp4"), "-c", "copy", tmp_path / "t.mp4")
    clip = decode_video(tmp_path / "t.mp4", {"x": request(5, gray=False, fit=fit, size_px=32)})
    assert "".join(corners(clip.frames["x"][0])) == shown


def test_crop_cuts_the_centre_and_squash_keeps_the_edges(tmp_path: Path) -> None:
    # A white bar on the left eighth of a 2:1 picture is outside the centre square.
    run_bundled("-f", "lavfi", "-i", "color=black:s=128x64:d=0.2", "-vf", "drawbox=w=16:h=64:color=white:t=fill",
                "-c:v", "libx264", "-qp", 1, tmp_path / "bar.mp4")  # fmt: skip
    asked = {"crop": request(5, fit="crop", size_px=32), "squash": request(5, size_px=32)}
    clip = decode_video(tmp_path / "bar.mp4", asked)
    assert clip.frames["crop"][0].max() < 20
    assert clip.frames["squash"][0][:, :3].min() > 235
    assert clip.frames["squash"][0][:, 6:].max() < 20


def test_gray_is_full_range(tmp_path: Path) -> None:
    run_bundled("-f", "lavfi", "-i", "color=white:s=64x64:d=0.1", "-c:v", "libx264", tmp_path / "white.mp4")
    run_bundled("-f", "lavfi", "-i", "color=black:s=64x64:d=0.1", "-c:v", "libx264", tmp_path / "black.mp4")
    assert decode_video(tmp_path / "white.mp4", {"x": request(10)}).frames["x"].min() >= 253
    assert decode_video(tmp_path / "black.mp4", {"x": request(10)}).frames["x"].max() <= 2


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "size"),
    [
        ("odd.mkv", "ffv1", "yuv444p", (37, 23)),
        ("ten.mkv", "libx265", "yuv420p10le", (64, 64)),
        ("rgb.mkv", "ffv1", "bgr0", (64, 48)),
        ("deep.mkv", "ffv1", "gray16le", (64, 48)),
        ("a.gif", "gif", "gray", (33, 21)),
        ("alpha.mov", "qtrle", "argb", (32, 32)),
        ("a.webm", "libvpx-vp9", "yuv420p", (50, 50)),
        ("a.avi", "mjpeg", "yuvj420p", (64, 48)),
        ("thin.mkv", "ffv1", "yuv444p", (640, 2)),
    ],
)
def test_any_pixel_format_and_size_is_read(
    tmp_path: Path, name: str, codec: str, pix_fmt: str, size: tuple[int, int]
) -> None:
    options = {"x265-params": "log-level=none"} if codec == "libx265" else None
    path = write_video(tmp_path / name, 5, fps=10, codec=codec, pix_fmt=pix_fmt, size=size, options=options)
    clip = decode_video(path, {"x": request(10), "y": request(10, gray=False, fit="crop")})
    for stack in clip.frames.values():
        assert stack.dtype == np.uint8
        assert [round(float(frame.mean())) for frame in stack] == pytest.approx([level(k) for k in range(5)], abs=5)


def test_interlaced_clips_are_read(tmp_path: Path) -> None:
    run_bundled("-f", "lavfi", "-i", "testsrc=s=64x64:d=1:r=50", "-vf", "tinterlace=interleave_top", "-c:v",
                "mpeg2video", "-flags", "+ilme+ildct", tmp_path / "i.mpg")  # fmt: skip
    clip = decode_video(tmp_path / "i.mpg", {"x": request(25)})
    assert len(clip.frames["x"]) == frame_count(clip.duration_s, 25)


def test_the_chosen_picture_of_two_is_decoded() -> None:
    clip = decode_video(DATA / "nasa_13013.mp4", {"x": request(1)})
    assert clip.frames["x"].shape == (13, SMALL, SMALL)


def test_a_picture_that_stops_decoding_is_an_error(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "a.mkv", 50, codec="ffv1", pix_fmt="yuv420p", size=(64, 64))
    whole = bytearray(clip.read_bytes())
    with av.open(f"file:{clip}") as container:
        spans = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    info = probe_video(clip)
    for place, size in spans[20:]:
        start = place + 4 if whole[place : place + 1] != b"\xa3" else place + 8
        whole[start : start + size - 8] = b"\x55" * (size - 8)
    clip.write_bytes(whole)
    with pytest.raises(MediaError, match=r"damaged|cut short"):
        decode_video(clip, {"x": request(25)}, info=info)


def test_damage_in_the_middle_is_bridged(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "a.mp4", 100, options={"g": "10"})
    whole = bytearray(clip.read_bytes())
    with av.open(f"file:{clip}") as container:
        spans = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    for place, size in spans[30:35]:
        whole[place : place + size] = bytes(size)
    clip.write_bytes(whole)
    found = decode_video(clip, {"x": request(25)}).frames["x"]
    assert len(found) == 100
    assert picture_index(found[99]) == 99 % 28


CHOICES = json.loads((ROOT / "frames" / "selection.json").read_text(encoding="utf-8"))["cases"]
VIDEOS = json.loads((ROOT / "frames" / "cases.json").read_text(encoding="utf-8"))["videos"]


def chosen_frames(
    path: Path, monkeypatch: pytest.MonkeyPatch, times_s: Sequence[float], fps: float, count: int
) -> list[int]:
    """The numbers of the source frames that a grid of summed times takes for its first `count` frames."""
    grid = grids.Grid(request(fps, summed=True), probe_video(write_video(path, 3)), None)
    grid._total, grid._stack = count, np.zeros((count, SMALL, SMALL), np.int64)
    monkeypatch.setattr(grid, "_convert", lambda number: number)
    for number, time_s in enumerate(times_s):
        grid.offer(number, time_s)
    found = grid.finish(-1)
    assert found is not None
    return found[:, 0, 0].tolist()


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice["case"])
@pytest.mark.parametrize(("fps", "name"), [(8.0, "clip_index"), (25.0, "sync_index")])
def test_summed_times_choose_the_frames_of_the_public_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, choice: dict[str, list[int]], fps: float, name: str
) -> None:
    found = chosen_frames(tmp_path / "a.mp4", monkeypatch, choice["frame_times"], fps, len(choice[name]))
    assert found == choice[name]


@pytest.mark.parametrize("name", VIDEOS)
@pytest.mark.parametrize(("fps", "stream"), [(8.0, "clip"), (25.0, "sync")])
def test_summed_times_choose_the_frames_that_the_reference_took_of_films(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, fps: float, stream: str
) -> None:
    for load in VIDEOS[name]["loads"]:
        rate, wanted = int(load["average_rate"]), load[f"{stream}_source_index"]
        times = [k / rate for k in range(load["source_frames_total"])]
        assert len(wanted) == int(fps * load["duration_used"])
        assert chosen_frames(tmp_path / "a.mp4", monkeypatch, times, fps, len(wanted)) == wanted


def test_whole_pictures_are_handed_out_upright_at_their_own_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(tmp_path / "a.mp4", 9)
    with av.open(f"file:{path}") as container:
        wanted = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    asked = {"x": FrameRequest(fps=25, size_px=SMALL, whole=True)}
    assert np.array_equal(decode_video(path, asked).frames["x"], wanted)
    monkeypatch.setattr(grids, "CHUNK_BYTES", 2 * wanted[0].nbytes)
    parts: list[np.ndarray] = []
    clip = decode_video(path, asked, on_frames={"x": parts.append})
    assert clip.frames == {}
    assert [len(part) for part in parts] == [2, 2, 2, 2, 1]
    assert np.array_equal(np.concatenate(parts), wanted)


@pytest.mark.parametrize(("turn", "shown"), [(90, "gwrb"), (180, "wbgr")])
def test_a_turned_video_is_handed_out_whole_and_upright(tmp_path: Path, turn: int, shown: str) -> None:
    run_bundled("-display_rotation", turn, "-i", quadrants(tmp_path / "q.mp4"), "-c", "copy", tmp_path / "t.mp4")
    info = probe_video(tmp_path / "t.mp4")
    (stack,) = decode_video(info.path, {"x": FrameRequest(fps=1, size_px=SMALL, whole=True)}).frames.values()
    assert stack.shape[1:3] == (info.height_px, info.width_px)
    assert "".join(corners(stack[0])) == shown
