"""Sound files that broke off are known by their headers; lengths left open are no promise."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from media_clips import run_bundled

from mfv2a.errors import MediaError
from mfv2a.media.audio import read_audio

RATE = 16_000
WAVE = 0.3 * np.random.default_rng(0).standard_normal(4 * RATE).astype(np.float32)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "wide.wav", "rf64.wav"])
def test_a_file_that_broke_off_is_refused_where_reading_is_strict_and_only_there(tmp_path: Path, name: str) -> None:
    whole, cut = tmp_path / name, tmp_path / f"cut-{name}"
    kinds = {"wide.wav": {"format": "WAVEX", "subtype": "PCM_24"}, "rf64.wav": {"format": "RF64"}}
    samples = np.stack([WAVE, WAVE], axis=1) if name == "wide.wav" else WAVE
    soundfile.write(whole, samples, RATE, **kinds.get(name, {}))
    assert len(read_audio(whole, strict=True).samples) == len(WAVE)
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 3])
    with pytest.raises(MediaError, match=r"cut off: [23]\d % of"):
        read_audio(cut, strict=True)
    assert 0 < len(read_audio(cut).samples) < len(WAVE) // 2


def test_lengths_that_a_pipe_leaves_open_are_no_promise(tmp_path: Path) -> None:
    path = tmp_path / "piped.wav"
    run_bundled("-f", "lavfi", "-i", "sine=d=0.5", "-f", "wav", "-seekable", 0, path)
    data = path.read_bytes()
    assert data[4:8] == b"\xff\xff\xff\xff"
    assert len(read_audio(path, strict=True).samples) == 22_050
    place = data.index(b"data") + 4
    for size in (0x7FFFFFFF, 0x7FFFF000, 0x80000000):
        path.write_bytes(data[:place] + struct.pack("<I", size) + data[place + 4 :])
        assert len(read_audio(path, strict=True).samples) == 22_050


def test_other_files_and_odd_headers_promise_nothing(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.ogg", WAVE, RATE)
    assert len(read_audio(tmp_path / "a.ogg", strict=True).samples) == len(WAVE)
    soundfile.write(tmp_path / "a.wav", WAVE, RATE)
    data = (tmp_path / "a.wav").read_bytes()
    listed = data[:36] + b"LIST" + struct.pack("<I", 3) + b"abc\0" + data[36:]
    (tmp_path / "b.wav").write_bytes(listed)
    assert len(read_audio(tmp_path / "b.wav", strict=True).samples) == len(WAVE)
