"""MP4 files of drawn pictures: what is written can be read again, nothing half-written stays."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from mfv2a.errors import MediaError
from mfv2a.media.encode import write_video
from mfv2a.media.probe import probe_video
from mfv2a.records import Audio


def frames(count: int = 10, height: int = 48, width: int = 64) -> np.ndarray:
    ramp = np.linspace(0, 255, count).astype(np.uint8)
    return np.broadcast_to(ramp[:, None, None, None], (count, height, width, 3))


def test_pictures_and_sound_come_back(tmp_path: Path) -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(19200) / 48000).astype(np.float32) * 0.5
    path = write_video(tmp_path / "new" / "a.mp4", frames(), 25, audio=Audio(samples=tone, sample_rate_hz=48000))
    with av.open(str(path)) as container:
        pictures = [frame.to_ndarray(format="gray").mean() for frame in container.decode(video=0)]
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"
        assert float(container.streams.video[0].average_rate) == 25
    assert len(pictures) == 10
    assert np.corrcoef(pictures, np.arange(10))[0, 1] > 0.99
    with av.open(str(path)) as container:
        heard = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    assert heard[2000:18000].std() == pytest.approx(0.5 / np.sqrt(2), rel=0.05)
    assert not list(tmp_path.rglob("*.part"))


def test_chunks_gray_pictures_and_odd_sides_are_taken(tmp_path: Path) -> None:
    gray = frames()[..., 0]
    path = write_video(tmp_path / "a.mp4", (gray[start : start + 4, :47, :63] for start in range(0, 10, 4)), 30)
    with av.open(str(path)) as container:
        sizes = [(frame.width, frame.height) for frame in container.decode(video=0)]
    assert sizes == [(62, 46)] * 10


def test_a_rate_that_is_no_whole_number_is_kept(tmp_path: Path) -> None:
    info = probe_video(write_video(tmp_path / "a.mp4", [np.zeros((16, 16), np.uint8)] * 30, 30000 / 1001))
    assert info.fps == pytest.approx(30000 / 1001)
    assert info.duration_s == pytest.approx(1.001)


def test_an_old_file_is_replaced_only_by_a_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")

    def broken():  # type: ignore[no-untyped-def]
        yield frames()[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_video(path, broken(), 25)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_no_frames_and_a_file_as_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no frames"):
        write_video(tmp_path / "a.mp4", [], 25)
    (tmp_path / "file").write_text("x")
    with pytest.raises(MediaError, match="cannot be written"):
        write_video(tmp_path / "file" / "a.mp4", frames(), 25)
