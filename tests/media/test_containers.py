"""The container and codec of an output, decided from the probe alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from media_clips import write_video

from mfv2a.errors import ConfigError, MediaError
from mfv2a.media import containers
from mfv2a.media.containers import CONTAINERS, plan_mux
from mfv2a.media.video import probe_video
from mfv2a.records import StreamInfo, VideoInfo


def plan(path: Path, codec: str = "auto") -> tuple[str, str, str]:
    found = plan_mux(probe_video(path), codec)  # type: ignore[arg-type]
    return found.container, found.codec, found.suffix


@pytest.mark.parametrize(
    ("name", "codec", "expected"),
    [
        ("a.mp4", "libx264", ("mp4", "aac", ".mp4")),
        ("a.MP4", "libx264", ("mp4", "aac", ".MP4")),
        ("a.mov", "libx264", ("mov", "aac", ".mov")),
        ("a.mkv", "libx264", ("matroska", "aac", ".mkv")),
        ("a.webm", "libvpx", ("webm", "opus", ".webm")),
        ("a.avi", "mpeg4", ("avi", "pcm", ".avi")),
        ("a.ts", "libx264", ("mpegts", "aac", ".ts")),
        ("a.flv", "libx264", ("flv", "aac", ".flv")),
        ("a.3gp", "libx264", ("3gp", "aac", ".3gp")),
        ("a.wmv", "wmv2", ("asf", "pcm", ".wmv")),
        ("a.gif", "gif", ("matroska", "aac", ".mkv")),
        ("a.mpg", "mpeg2video", ("matroska", "aac", ".mkv")),
    ],
)
def test_the_container_is_kept_where_it_can_be(
    tmp_path: Path, name: str, codec: str, expected: tuple[str, str, str]
) -> None:
    lower = write_video(tmp_path / name.lower(), 5, codec=codec, pix_fmt="gray" if codec == "gif" else "yuv420p")
    assert plan(lower.rename(tmp_path / name)) == expected


def test_a_file_without_a_suffix_gets_the_usual_one(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", 5).rename(tmp_path / "clip")
    assert plan(tmp_path / "clip") == ("mp4", "aac", ".mp4")


def test_the_content_decides_and_not_the_name(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mkv", 5).rename(tmp_path / "a.webm")
    assert plan(tmp_path / "a.webm") == ("matroska", "aac", ".mkv")


def made_info(path: Path, container: str, brand: str) -> VideoInfo:
    return VideoInfo(
        path=path, container=container, duration_s=1, start_s=0, fps=25, width_px=2, height_px=2,
        rotation_deg=0, picture_index=0, streams=(StreamInfo(index=0, kind="video", codec="h264"),),
        tags={"major_brand": brand},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("mp4", {"aac", "flac", "opus"}, {"pcm"}),
        ("mov", {"aac", "pcm"}, {"flac", "opus"}),
        ("matroska", {"aac", "flac", "opus", "pcm"}, set()),
        ("webm", {"opus"}, {"aac", "flac", "pcm"}),
        ("avi", {"pcm"}, {"aac", "flac", "opus"}),
    ],
)
def test_pairs_that_cannot_work_are_refused_with_those_that_do(
    tmp_path: Path, kind: str, good: set[str], bad: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "_container_name", lambda info: kind)
    info = made_info(tmp_path / f"a{CONTAINERS[kind].suffixes[0]}", kind, "isom")
    for codec in good:
        assert plan_mux(info, codec).codec == codec  # type: ignore[arg-type]
    for codec in bad:
        with pytest.raises(ConfigError, match=codec) as caught:
            plan_mux(info, codec)  # type: ignore[arg-type]
        assert all(f"{name}" in caught.value.hint for name in good)


@pytest.mark.parametrize(
    ("brand", "muxer"), [("qt  ", "mov"), ("isom", "mp4"), ("M4V ", "mp4"), ("3gp4", "3gp"), ("3g2a", "3g2")]
)
def test_brands_tell_the_members_of_the_quicktime_family_apart(tmp_path: Path, brand: str, muxer: str) -> None:
    assert plan_mux(made_info(tmp_path / "a.mp4", "mov,mp4,m4a,3gp,3g2,mj2", brand)).container == muxer


@pytest.mark.usefixtures("each_ffmpeg")
def test_a_picture_that_no_container_takes_is_found_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"apng.*\.mkv"):
        plan_mux(probe_video(write_video(tmp_path / "a.apng", 3, codec="apng", pix_fmt="rgb24")))
    fits = write_video(tmp_path / "a.nut", 3, codec="ffv1")
    assert plan(fits) == ("matroska", "aac", ".mkv")


def test_a_missing_encoder_is_found_before_anything_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "has_encoder", lambda program, name: False)
    with pytest.raises(ConfigError, match="no encoder aac"):
        plan_mux(made_info(tmp_path / "a.mp4", "mov,mp4,m4a,3gp,3g2,mj2", "isom"))
