"""A measurement whose parts sum to its whole."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from made_videos import make_video
from mfv2a.errors import ConfigError, MediaError
from mfv2a.jobs.bench import STAGES, BenchOptions, Stopwatch, measure
from mfv2a.jobs.memory import peak_memory_mib, resident_memory_mib
from mfv2a.jobs.sound import SoundOptions

TINY = SoundOptions(model="tiny")


def test_what_no_stage_measured_is_other_and_the_sum_is_the_whole() -> None:
    watch = Stopwatch(lambda: None)
    start = time.perf_counter()
    with watch.stage("decode"):
        time.sleep(0.02)
    time.sleep(0.03)
    seconds = watch.stop()
    whole = time.perf_counter() - start
    assert seconds["decode"] >= 0.02
    assert seconds["other"] >= 0.03
    assert seconds["total"] == pytest.approx(sum(seconds[name] for name in STAGES))
    assert seconds["total"] == pytest.approx(whole, abs=0.01)


def test_a_report_compares_steps_by_stage(tmp_path: Path) -> None:
    video = make_video(tmp_path / "a.mp4", seconds=0.5)
    told: list[str] = []
    report = measure(
        BenchOptions(video=video, sound=TINY, steps=(1, 3), repeats=2, warmup=1),
        begin=lambda info, rate_hz: told.append(f"{info.name} {rate_hz}"),
        say=told.append,
    )
    assert told == ["tiny 48000", "1 step: 1 + 2 runs", "3 steps: 1 + 2 runs"]
    one, three = report["entries"]
    assert (one["nfe"], three["nfe"]) == (1, 3)
    assert set(one["seconds"]) == {*STAGES, "total"}
    for entry in report["entries"]:
        assert len(entry["repeats"]) == 2
        for run in entry["repeats"]:
            assert run["total"] == pytest.approx(sum(run[name] for name in STAGES))
        assert all(value["p90"] >= value["median"] > 0 for key, value in entry["seconds"].items() if key != "other")
        assert entry["rtf"] == pytest.approx(entry["seconds"]["total"]["median"] / 0.5)
    assert "ratio" not in one
    for name in ("sample", "total"):
        expected = three["seconds"][name]["median"] / one["seconds"][name]["median"]
        assert three["ratio"][name] == pytest.approx(expected)
    assert (report["device"], report["dtype"], report["picture"]) == ("cpu", "float32", "64x48")
    assert list(tmp_path.iterdir()) == [video]


def test_guidance_doubles_the_evaluations(tmp_path: Path) -> None:
    video = make_video(tmp_path / "a.mp4", seconds=0.2)
    sound = SoundOptions(model="tiny", cfg_strength=2.0)
    options = BenchOptions(video=video, sound=sound, repeats=1, warmup=0)
    report = measure(options, begin=lambda info, rate_hz: None, say=lambda text: None)
    assert report["entries"][0]["nfe"] == 2


@pytest.mark.parametrize("wrong", [{"steps": (1, 0)}, {"repeats": 0}, {"warmup": -1}])
def test_a_number_of_runs_that_cannot_work_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        BenchOptions(**wrong)  # type: ignore[arg-type]


def test_a_video_that_is_none_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("no")
    with pytest.raises(MediaError):
        measure(
            BenchOptions(video=tmp_path / "a.mp4", sound=TINY),
            begin=lambda info, rate_hz: None,
            say=lambda text: None,
        )


def test_clips_are_sampled_together_and_loading_is_measured(tmp_path: Path) -> None:
    video = make_video(tmp_path / "a.mp4", seconds=0.5)
    options = BenchOptions(video=video, sound=SoundOptions(model="tiny"), repeats=1, warmup=0, batches=(1, 3))
    report = measure(options, begin=lambda *_: None, say=lambda _: None)
    (entry,) = report["entries"]
    assert [each["batch"] for each in entry["sampled"]] == [1, 3]
    assert all(each["clips_per_s"] > 0 for each in entry["sampled"])
    assert report["load_s"] > 0
    assert report["files_mib"] is None  # tiny has no files
    if sys.platform == "linux":
        assert abs(report["load_growth_mib"]) < 500
        assert 10 < resident_memory_mib() <= peak_memory_mib() + 1  # type: ignore[operator]


def test_peak_memory_is_told_in_mib() -> None:
    pytest.importorskip("resource")
    peak = peak_memory_mib()
    assert peak is not None
    assert 10 < peak < 1_000_000
