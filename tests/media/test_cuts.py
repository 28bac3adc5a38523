"""Cuts are found where they were made, in one decode, and each shot is handed out as a video of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from mfv2a.media import cuts, video
from mfv2a.media.cuts import MIN_SHOT_S, decode_shots
from mfv2a.media.encode import write_video
from mfv2a.media.video import probe_video
from mfv2a.records import FrameRequest, VideoInfo

FPS = 25
WANTED = {"motion": FrameRequest(fps=25.0, size_px=16, gray=True), "image": FrameRequest(fps=1.0, size_px=16)}


def film(path: Path, cuts_s: Sequence[float], duration_s: float, fps: float = FPS) -> VideoInfo:
    """A film of textures that drift, another one after each cut."""
    rng = np.random.default_rng(1)
    frames, shot = [], -1
    for number in range(round(duration_s * fps)):
        now = sum(number / fps >= cut_s - 1e-9 for cut_s in cuts_s)
        if now != shot:
            shot = now
            # Smooth blobs of one colour a shot, a wide picture of which a part is seen.
            base = np.kron(rng.uniform(0.2, 1.0, (8, 20)), np.ones((8, 8)))
            texture = (base[..., None] * rng.uniform(40, 255, 3)).astype(np.uint8)
        place = abs(number % 120 - 60)
        frames.append(texture[:, place : place + 96])
    write_video(path, frames, fps)
    return probe_video(path)


class Shots:
    """Notes what is handed out."""

    def __init__(self) -> None:
        self.starts_s: list[float] = []
        self.ends_s: list[float] = []
        self.frames: list[dict[str, list[np.ndarray]]] = []

    def begin(self, start_s: float) -> dict[str, object]:
        self.starts_s.append(start_s)
        kept: dict[str, list[np.ndarray]] = {name: [] for name in WANTED}
        self.frames.append(kept)
        return {name: rows.append for name, rows in kept.items()}

    def end(self, end_s: float) -> None:
        self.ends_s.append(end_s)


def decode(info: VideoInfo) -> Shots:
    shots = Shots()
    decode_shots(info, WANTED, shots.begin, shots.end)  # type: ignore[arg-type]
    return shots


@pytest.mark.parametrize(
    ("cuts_s", "duration_s"), [([], 2.0), ([1.2], 3.0), ([1.0, 2.48, 4.0], 6.0), ([2.0], 3.2), ([1.04], 2.08)]
)
def test_cuts_are_found_where_they_are(tmp_path: Path, cuts_s: list[float], duration_s: float) -> None:
    info = film(tmp_path / "a.mp4", cuts_s, duration_s)
    shots = decode(info)
    np.testing.assert_allclose(shots.starts_s, [0.0, *cuts_s], atol=1e-3)
    np.testing.assert_allclose(shots.ends_s, [*cuts_s, info.duration_s], atol=1e-3)
    for kept, start_s, end_s in zip(shots.frames, shots.starts_s, shots.ends_s, strict=True):
        assert sum(map(len, kept["motion"])) == round((end_s - start_s) * 25)
        assert sum(map(len, kept["image"])) >= 1
        rows = np.concatenate(kept["motion"]).astype(float)
        jumps = np.abs(np.diff(rows, axis=0)).mean(axis=(1, 2))
        assert jumps.max() < 25  # no frame of another shot is among them


def test_cuts_that_are_too_near_are_none(tmp_path: Path) -> None:
    near = MIN_SHOT_S / 2
    info = film(tmp_path / "a.mp4", [near, 2.0, 2.0 + near, 4.0, 5.0 - near], 5.0)
    np.testing.assert_allclose(decode(info).starts_s, [0.0, 2.0, 4.0], atol=1e-3)


def test_a_cut_just_before_the_end_is_none(tmp_path: Path) -> None:
    assert decode(film(tmp_path / "a.mp4", [2.5], 3.0)).starts_s == [0.0]


def test_a_flash_and_a_moving_camera_are_no_cuts(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    wide = np.kron(rng.integers(0, 255, (8, 60, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    frames = [wide[:, 6 * k : 6 * k + 96] for k in range(60)]
    write_video(tmp_path / "pan.mp4", frames, FPS)
    assert decode(probe_video(tmp_path / "pan.mp4")).starts_s == [0.0]


def test_a_video_of_one_frame_is_one_shot(tmp_path: Path) -> None:
    info = film(tmp_path / "a.mp4", [], 1 / FPS)
    shots = decode(info)
    assert shots.starts_s == [0.0]
    assert [len(rows) for rows in shots.frames[0]["motion"]] == [1]


def test_the_shots_of_a_video_without_cuts_are_what_it_is_as_a_whole(tmp_path: Path) -> None:
    info = film(tmp_path / "a.mp4", [], 2.0)
    whole = video.decode_video(info.path, WANTED, info=info)
    shots = decode(info)
    for name in WANTED:
        np.testing.assert_array_equal(np.concatenate(shots.frames[0][name]), whole.frames[name])


def test_a_film_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info, opened, real = film(tmp_path / "a.mp4", [1.2], 3.0), [], video.open_media
    monkeypatch.setattr(video, "open_media", lambda path, **words: opened.append(path) or real(path, **words))
    decode(info)
    assert opened == [info.path]
    assert cuts.LOOKAHEAD == 2
