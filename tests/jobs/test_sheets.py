"""Sample sheets: what is drawn, where, and what happens without matplotlib."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mfv2a.jobs import sheets
from mfv2a.jobs.runlog import RunLog


def columns(rows=2):
    wave = np.sin(np.arange(30)[:, None] / 5 + np.arange(8)).astype(np.float32)
    return {"held out": np.repeat(2 * wave[None], rows, 0), "1 step": np.zeros((rows, 30, 8), np.float32)}


def test_a_sheet_is_a_picture_with_a_column_each(tmp_path):
    pytest.importorskip("matplotlib")
    from PIL import Image

    picture = sheets.write_sheet(tmp_path, 7, columns(), ["row 0", "row 1"])
    assert [path.name for path in (tmp_path / "sheets").iterdir()] == ["step-7.png"], "no scratch file is left"
    stored = np.asarray(Image.open(tmp_path / "sheets" / "step-7.png").convert("RGB"))
    assert stored.shape == picture.shape
    half = stored.shape[1] // 2
    coloured = (np.ptp(stored.astype(int), axis=2) > 60).mean(0)
    assert coloured[:half].mean() > 5 * coloured[half : int(1.6 * half)].mean(), (
        "the wave has colours, silence has none"
    )


def test_without_matplotlib_it_is_said_once_and_the_log_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(sheets, "can_draw", lambda: False)
    with RunLog(tmp_path) as log:
        assert "mfv2a[train]" in log.add_sheet(1, columns())
        assert log.add_sheet(2, columns()) == ""
        log.add({"step": 2, "loss": 1.0})
    assert json.loads((tmp_path / "log.jsonl").read_text())["loss"] == 1.0
    assert not (tmp_path / "sheets").exists()


def test_tensorboard_gets_the_sheet(tmp_path):
    pytest.importorskip("matplotlib")
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with RunLog(tmp_path) as log:
        log.add_sheet(3, columns())
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    (image,) = events.Images("validation/sheet")
    assert (image.step, image.encoded_image_string[:4]) == (3, b"\x89PNG")


def test_nothing_to_show_is_nothing_drawn(tmp_path):
    with RunLog(tmp_path, write=False) as log:
        assert log.add_sheet(1, columns()) == ""
    with RunLog(tmp_path) as log:
        assert log.add_sheet(1, columns(0)) == ""
    assert not (tmp_path / "sheets").exists()
