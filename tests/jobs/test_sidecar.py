"""The prompt in a text file beside a video."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mfv2a.errors import MediaError
from mfv2a.jobs.sidecar import LIMIT_BYTES, read_sidecar


@pytest.mark.parametrize(
    ("data", "prompt"),
    [
        (b"rain on tin\n", "rain on tin"),
        (b"\xef\xbb\xbf two\r\n lines ", "two lines"),
        ("Hämmern".encode(), "Hämmern"),
        (b" \n", ""),
        (b"word " * 2000, "word " * 1999 + "word"),
    ],
)
def test_the_text_beside_the_clip_is_its_prompt(tmp_path: Path, data: bytes, prompt: str) -> None:
    (tmp_path / "clip.txt").write_bytes(data)
    assert read_sidecar(tmp_path / "clip.mp4") == prompt


def test_the_text_may_have_its_accents_written_in_another_way(tmp_path: Path) -> None:
    (tmp_path / "caf\u00e9.txt").write_text("rain")
    assert read_sidecar(tmp_path / "cafe\u0301.mp4") == "rain"


def test_no_text_is_no_prompt(tmp_path: Path) -> None:
    assert read_sidecar(tmp_path / "clip.mp4") == ""
    assert read_sidecar(tmp_path / "clip.txt") == ""


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"a\x00b", b"x" * (LIMIT_BYTES + 1)])
def test_a_text_that_is_no_prompt_is_an_error_that_names_it(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "clip.txt").write_bytes(data)
    with pytest.raises(MediaError) as caught:
        read_sidecar(tmp_path / "clip.mp4")
    assert caught.value.path == tmp_path / "clip.txt"
    assert caught.value.hint


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_no_prompt_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "clip.txt")
    with pytest.raises(MediaError, match="no regular file"):
        read_sidecar(tmp_path / "clip.mp4")


def test_a_sidecar_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "clip.txt").mkdir()
    with pytest.raises(MediaError, match="cannot be read"):
        read_sidecar(tmp_path / "clip.mp4")
    (tmp_path / "lost.txt").symlink_to("nowhere")
    with pytest.raises(MediaError, match="cannot be read"):
        read_sidecar(tmp_path / "lost.mp4")
