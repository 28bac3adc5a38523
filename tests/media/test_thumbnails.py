"""Strips of frames, maps of levels and the beginning of a sound."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from media_clips import level, run_bundled, write_video

from made_videos import make_video
from mfv2a.errors import MediaError
from mfv2a.media.audio import read_audio
from mfv2a.media.excerpt import read_excerpt
from mfv2a.media.thumbnails import encode_levels, film_strip


def opened(data: bytes) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return image


def tones(strip: np.ndarray, count: int) -> list[float]:
    """The gray in the middle of each frame of a strip."""
    width = strip.shape[1] // count
    return [float(strip[24:30, k * width + width // 2 - 4 : k * width + width // 2 + 4].mean()) for k in range(count)]


def test_a_strip_shows_frames_from_the_whole_time(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 28, fps=10, size=(96, 54))
    strip = opened(film_strip(path, 2.8))
    assert strip.shape == (54, 768, 3)
    shown = tones(strip, 8)
    expected = [level(int((2 * k + 1.5) / 16 * 28)) for k in range(8)]
    np.testing.assert_allclose(shown, expected, atol=12)


def test_a_strip_of_the_beginning_shows_no_more_than_that(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 28, fps=10, size=(96, 54))
    assert max(tones(opened(film_strip(path, 1.4)), 8)) < level(15)


def test_a_long_video_is_jumped_through(tmp_path: Path) -> None:
    times = [float(k) for k in range(100)]
    path = write_video(tmp_path / "a.mp4", times, fps=1, size=(96, 54), options={"g": "4"})
    shown = tones(opened(film_strip(path, 100.0)), 8)
    key_frames = [level(int((2 * k + 1.5) / 16 * 100) // 4 * 4) for k in range(8)]
    np.testing.assert_allclose(shown, key_frames, atol=12)


def test_a_video_of_one_frame_fills_its_strip(tmp_path: Path) -> None:
    strip = opened(film_strip(make_video(tmp_path / "a.mp4", seconds=0), 0.1))
    assert np.ptp(tones(strip, 11)) < 10


def test_a_video_that_stands_has_more_and_narrower_frames(tmp_path: Path) -> None:
    flat = write_video(tmp_path / "flat.mp4", 20, fps=10, size=(96, 54))
    turned = tmp_path / "turned.mp4"
    run_bundled("-display_rotation", "90", "-i", flat, "-c", "copy", turned)
    tall = write_video(tmp_path / "tall.mp4", 20, fps=10, size=(54, 96))
    for path in (turned, tall):
        strip = opened(film_strip(path, 2.0))
        beside = strip[:, :6].mean()
        assert abs(beside - 16) < 12, "the ground shows beside a narrow frame"
        np.testing.assert_allclose(tones(strip, 16)[8], level(10), atol=14)


def test_a_narrower_picture_has_more_frames(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 20, fps=10, size=(72, 54))
    strip = opened(film_strip(path, 2.0))
    assert (np.diff(tones(strip, 10)) > 5).all()
    assert strip[24:30].mean(axis=(0, 2)).min() > 10, "nothing beside the last one"


def test_a_file_without_a_picture_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")
    with pytest.raises(MediaError):
        film_strip(tmp_path / "a.mp4", 1.0)
    with pytest.raises(MediaError):
        read_excerpt(tmp_path / "a.mp4", 16000, 1.0)


def test_levels_survive_as_they_are() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(opened(encode_levels(levels)), levels)


def test_an_excerpt_is_the_beginning_of_the_sound(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mkv", seconds=2, sound=True)
    whole = read_audio(path, 16000)
    part = read_excerpt(path, 16000, 0.5)
    assert (len(part.samples), part.sample_rate_hz) == (8000, 16000)
    np.testing.assert_allclose(part.samples[1000:7000], whole.samples[1000:7000], atol=2e-3)
    assert abs(len(read_excerpt(path, 16000, 60.0).samples) - len(whole.samples)) < 50


def test_a_video_without_sound_has_no_excerpt(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="has no sound"):
        read_excerpt(make_video(tmp_path / "a.mp4"), 16000, 1.0)
