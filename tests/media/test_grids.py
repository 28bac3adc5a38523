"""Which picture stands for which time where pictures are held, and how large a picture is made before it is cut."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from media_clips import picture_index, write_video

from mfv2a.media.grids import _scaled_size
from mfv2a.media.video import decode_video
from mfv2a.records import FrameRequest


@pytest.mark.parametrize(("as_shown", "held_s", "too_short_s"), [(False, 0.28, 0.24), (True, 0.12, 0.08)])
def test_a_picture_is_held_that_stays_for_more_than_the_limit(
    tmp_path: Path, as_shown: bool, held_s: float, too_short_s: float
) -> None:
    """Over a quarter of a second, or eleven pictures a second; else the one that comes is taken at once."""
    times = [0.0, too_short_s, too_short_s + held_s]
    video = write_video(tmp_path / "a.mkv", times)
    asked = {"x": FrameRequest(fps=25, size_px=16, gray=True, as_shown=as_shown)}
    found = [picture_index(frame) for frame in decode_video(video, asked).frames["x"]]
    coming, held = round(25 * too_short_s), round(25 * held_s)
    assert found[: 1 + coming + held] == [0, *[1] * coming, *[1] * (held - 1), 2]


@pytest.mark.parametrize(
    ("shown", "scaled"),
    [((1920, 800), (538, 224)), ((800, 1920), (224, 538)), ((640, 480), (299, 224)), ((6400, 200), (3584, 224))],
)
def test_the_shorter_side_is_made_to_fit_before_the_centre_is_cut(
    shown: tuple[int, int], scaled: tuple[int, int]
) -> None:
    """The aspect stays, up to sixteen to one."""
    request = FrameRequest(fps=25, size_px=224, fit="crop")
    info: Any = SimpleNamespace(width_px=shown[0], height_px=shown[1], rotation_deg=0)
    turned: Any = SimpleNamespace(width_px=shown[1], height_px=shown[0], rotation_deg=90)
    assert _scaled_size(request, info) == _scaled_size(request, turned) == scaled
