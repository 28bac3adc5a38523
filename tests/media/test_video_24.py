"""Frames at 24 a second, squeezed to a square, against those that the public Woosh takes, and where it is not followed.

Its rule goes by a clock of whole frames a second (29.97 counts as 29) and repeats no frame; ours goes by the time at
which each frame is shown, to half a millisecond.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media_clips import write_video

from golden.fill import pick
from golden.parity import ROOT, case
from mfv2a.media import grids
from mfv2a.media.video import probe_video
from mfv2a.records import FrameRequest

FPS = 24
CASES = json.loads((ROOT / "woosh_frames" / "cases.json").read_text(encoding="utf-8"))["cases"]
RATES = {
    name: Fraction({"29.97": "30000/1001", "59.94": "60000/1001", "23.976": "24000/1001"}.get(rate, rate))
    for name in CASES
    for rate in [name.removesuffix("_fps")]
}
WHOLE = [name for name, rate in RATES.items() if rate.denominator == 1 and rate >= FPS]
NEARLY_24 = "23.976_fps"
DRIFTING = {"29.97_fps": 0.24, "59.94_fps": 0.11}
"""Films that are shown to the reference at a wrong speed, and by how many seconds it is off at the end."""
SLOW = ["15_fps", "12_fps"]

Chosen = Callable[[str, int], list[int]]


@pytest.fixture
def chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Chosen:
    """The numbers of the source frames that a case's film gives for its first `count` frames at 24 a second."""

    def choose(name: str, count: int) -> list[int]:
        asked = FrameRequest(fps=FPS, size_px=1, gray=True, bilinear=True)
        grid = grids.Grid(asked, probe_video(write_video(tmp_path / "a.mp4", 3)), None)
        grid._total, grid._stack = count, np.zeros((count, 1, 1), np.int64)
        monkeypatch.setattr(grid, "_convert", lambda number: number)
        for number in range(CASES[name]["n"]):
            grid.offer(number, float(number / RATES[name]))
        found = grid.finish(-1)
        assert found is not None
        return found[:, 0, 0].tolist()

    return choose


def test_every_case_is_compared() -> None:
    assert {*WHOLE, NEARLY_24, *DRIFTING, *SLOW} == set(CASES)
    assert len(WHOLE) == 6


@pytest.mark.parametrize("name", WHOLE)
def test_films_of_whole_rates_give_the_frames_of_the_reference(chosen: Chosen, name: str) -> None:
    kept = CASES[name]["kept"]
    assert len(kept) == 193
    assert chosen(name, len(kept)) == kept


@pytest.mark.parametrize("name", [NEARLY_24, *DRIFTING, *SLOW])
def test_films_of_other_rates_give_the_first_frame_shown_at_each_time(chosen: Chosen, name: str) -> None:
    last = CASES[name]["n"] - 1
    times = [Fraction(k, FPS) - Fraction(1, 2000) for k in range(192)]
    assert chosen(name, 192) == [min(max(0, math.ceil(time * RATES[name])), last) for time in times]


@pytest.mark.parametrize("name", DRIFTING)
def test_the_reference_drifts_where_the_rate_is_no_whole_number(chosen: Chosen, name: str) -> None:
    late = {
        whose: [float(number / RATES[name]) - k / FPS for k, number in enumerate(frames[:192])]
        for whose, frames in (("ours", chosen(name, 192)), ("theirs", CASES[name]["kept"]))
    }
    assert all(-0.0005 <= seconds < float(1 / RATES[name]) for seconds in late["ours"])
    assert late["theirs"][-1] < -DRIFTING[name]


def test_a_film_of_nearly_24_frames_a_second_gives_the_frames_of_the_reference_for_8_s(chosen: Chosen) -> None:
    assert chosen(NEARLY_24, 192) == CASES[NEARLY_24]["kept"]


@pytest.mark.parametrize("name", SLOW)
def test_the_reference_runs_fast_where_there_are_fewer_than_24_frames_a_second(chosen: Chosen, name: str) -> None:
    rate, kept = RATES[name], CASES[name]["kept"]
    ours = chosen(name, 192)
    assert kept == list(range(len(kept)))  # frame k at token k, whenever it was shown
    assert len(set(ours)) < len(ours)
    assert float(kept[96] / rate) - 96 / FPS > 2
    assert all(abs(float(number / rate) - k / FPS) <= float(1 / rate) for k, number in enumerate(ours))


@pytest.mark.parametrize("name", ["landscape_180x320", "portrait_320x180", "large_720x1280", "same_224"])
def test_bilinear_squeezing_gives_the_pixels_of_the_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    inputs, outputs, _ = case("woosh_resize", name)
    golden, rule, facts = outputs["frames_224"]
    picture = av.VideoFrame.from_ndarray(inputs["frames"][0].numpy(), format="rgb24").reformat(format="yuv420p")
    info = probe_video(write_video(tmp_path / "a.mp4", 3))
    errors = {}
    for bilinear in (True, False):
        grid = grids.Grid(FrameRequest(fps=FPS, size_px=224, bilinear=bilinear), info, None)
        found = grid._convert(picture)[None]
        assert list(found.shape) == facts["shape"]
        errors[bilinear] = np.abs(pick(found, rule).astype(int) - golden.astype(int))
    # Other builds of FFmpeg's scaler differ by a few levels.
    print(f"woosh_resize {name}: max {errors[True].max()}, by area {errors[False].max()} levels")  # noqa: T201
    assert errors[True].max() <= 4
    assert errors[True].mean() <= errors[False].mean()
