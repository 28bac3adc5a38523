"""What is measured of a setting, from made seconds."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from mfv2a.jobs.bench import BenchOptions
from mfv2a.jobs.presets import settings_of
from mfv2a.jobs.timing import STAGES, Bench, Runs
from mfv2a.work import Work


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Of a clip of four seconds, at three coins an hour."""
    info = SimpleNamespace(default_cfg=2.0, guides=lambda strength: strength != 1)
    work = Work(duration_s=4.0, seed=0, windows=(), confidence=1.0)
    pipeline: Any = SimpleNamespace(
        info=info, device=torch.device("cpu"), prepare=lambda clip, **_: work, sample=lambda works, options: None
    )
    clip: Any = SimpleNamespace(duration_s=4.0)
    return Bench(pipeline, clip, BenchOptions(batches=(6,), repeats=2, price=3.0), tmp_path, print)


def test_speed_and_cost_are_those_of_the_median_repeat(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bench, "sample_together", lambda *_: [])
    (setting,) = settings_of((5,), (), 1)
    seconds = [{**dict.fromkeys(STAGES, total / 7), "total": total} for total in (1.0, 2.0, 9.0)]
    told = bench.entry(Runs(setting, seconds=seconds), None)
    assert told["seconds"]["total"] == pytest.approx({"median": 2.0, "p90": 7.6, "fastest": 1.0})
    assert (told["rtf"], told["cost_per_video_hour"], told["nfe"]) == (0.5, 1.5, 10)


def test_clips_a_second_are_those_of_the_best_repeat(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 4.0, 10.0, 11.5])
    monkeypatch.setattr("mfv2a.jobs.timing.time", SimpleNamespace(perf_counter=lambda: next(clock)))
    assert bench.sample_together(settings_of((1,), (), 1)[0]) == [{"batch": 6, "clips_per_s": 4.0}]
