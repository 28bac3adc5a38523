"""Which pictures of a file a generated sound is set against: those of its clip."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from made_videos import make_video
from mfv2a.jobs import crossing
from mfv2a.jobs.measure import Sound
from mfv2a.jobs.pairing import Pair
from mfv2a.media import video

BOTH = {"imagebind", "desync"}


def pair(picture: Path, start_s: float) -> Pair:
    return Pair(key="a", reference=picture, generated=(picture,), picture=picture, picture_start_s=start_s)


def test_of_a_long_video_the_clips_pictures_alone_are_kept_and_what_comes_later_is_not_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = make_video(tmp_path / "a.mp4", seconds=8.0, fps=25)
    whole = crossing._decode(pair(picture, 0.0), 8.0, BOTH)
    late = crossing._decode(pair(picture, 2.0), 6.0, {"imagebind"})
    assert len(whole["imagebind"]) == 4  # just before 1, 3, 5 and 7 s
    np.testing.assert_array_equal(late["imagebind"], whole["imagebind"][1:])
    decoded, shrunk = [], []
    frames, shrink = video.timed_frames, crossing.shrink_sync

    def watched(*args: Any, **options: Any) -> Any:
        for frame, time_s in frames(*args, **options):
            decoded.append(time_s)
            yield frame, time_s

    monkeypatch.setattr(video, "timed_frames", watched)
    monkeypatch.setattr(crossing, "shrink_sync", lambda each: shrunk.append(len(each)) or shrink(each))
    found = crossing._decode(pair(picture, 3.2), 2.0, BOTH)
    assert {name: len(each) for name, each in found.items()} == {"desync": 50, "imagebind": 1}
    np.testing.assert_array_equal(found["desync"], whole["desync"][80:130])
    assert sum(shrunk) == 50
    assert max(decoded) < 6.1


def test_a_clip_that_begins_after_the_pictures_has_no_score_of_them(tmp_path: Path) -> None:
    picture = make_video(tmp_path / "a.mp4", seconds=1.0)
    sound = Sound(np.zeros(5 * 16_000, np.float32), 16_000)
    judges: Any = SimpleNamespace(pictures=SimpleNamespace(), sync=SimpleNamespace())
    assert crossing.against_pictures(pair(picture, 9.0), [sound], judges) == [{"imagebind": None, "desync": None}]
