"""Frames at another size."""

from __future__ import annotations

import sys
from pathlib import Path

import av
import numpy as np
import pytest

from mfv2a.media.scaling import Scaler


def frame_of(gray: np.ndarray) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(gray.astype(np.uint8), format="gray")


def threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


def test_a_pixel_is_the_mean_of_what_it_covers() -> None:
    fine = np.random.default_rng(0).integers(0, 256, (64, 96))
    small = Scaler().scale(frame_of(fine), (24, 16), "gray", by_area=True)
    means = fine.reshape(16, 4, 24, 4).mean((1, 3))
    assert small.shape == (16, 24)
    assert small.dtype == np.uint8
    assert np.abs(small - means).max() <= 1.5


def test_what_grows_is_interpolated() -> None:
    ramp = np.tile(np.arange(0, 160, 10), (16, 1))
    large = Scaler().scale(frame_of(ramp), (64, 64), "gray", by_area=False)
    assert large.shape == (64, 64)
    assert (np.diff(large[32].astype(int)) >= 0).all()
    assert len(np.unique(large[32])) > 32


def test_colours_keep_their_order() -> None:
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 0] = 200
    frame = av.VideoFrame.from_ndarray(red, format="rgb24")
    assert Scaler().scale(frame, (8, 8), "rgb24", by_area=True)[4, 4].tolist() == [200, 0, 0]
    assert Scaler().scale(frame, (8, 8), "bgr24", by_area=True)[4, 4].tolist() == [0, 0, 200]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="threads are counted in /proc")
def test_no_threads_are_begun_for_a_picture() -> None:
    scaler, frame = Scaler(), frame_of(np.zeros((720, 1280)))
    before = threads()
    scaler.scale(frame, (199, 112), "gray", by_area=True)
    assert threads() == before
