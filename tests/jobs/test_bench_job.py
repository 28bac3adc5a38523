"""A measurement whose parts sum to its whole."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from made_videos import make_video
from mfv2a.errors import ConfigError, MediaError
from mfv2a.jobs.bench import STAGES, BenchOptions, Stopwatch, measure
from mfv2a.jobs.memory import peak_memory_mib, resident_memory_mib
from mfv2a.jobs.sound import SoundOptions
from mfv2a.jobs.timing import Bench, beyond_peaks, unsteady_stages

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
    assert 0.05 <= seconds["total"] <= whole


def test_a_report_compares_steps_by_stage(tmp_path: Path) -> None:
    video = make_video(tmp_path / "a.mp4", seconds=0.5)
    told: list[str] = []
    report = measure(
        BenchOptions(video=video, sound=TINY, steps=(1, 3), repeats=2, warmup=1),
        begin=lambda info, rate_hz: told.append(f"{info.name} {rate_hz}"),
        say=told.append,
    )
    assert told[:3] == ["tiny 48000", "1 step: 1 + 2 runs", "3 steps: 1 + 2 runs"]
    assert len(report["load_average"]) == 2
    assert report["version"]
    assert report["made_at"].endswith("+00:00")
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


def test_the_repeats_of_settings_take_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = make_video(tmp_path / "a.mp4", seconds=0.2)
    order: list[str] = []

    def run(self: Bench, setting: object) -> tuple[dict[str, float], tuple[()]]:
        order.append(setting.name)  # type: ignore[attr-defined]
        number = float(len(order))
        return {**dict.fromkeys(STAGES, 0.1 * number), "total": 0.7 * number}, ()

    monkeypatch.setattr(Bench, "run", run)
    options = BenchOptions(video=video, sound=TINY, steps=(1, 3), repeats=2, warmup=1)
    told: list[str] = []
    report = measure(options, begin=lambda *_: None, say=told.append)
    assert order == ["1 step", "3 steps", "1 step", "3 steps", "1 step", "3 steps"]
    assert [[run["total"] for run in entry["repeats"]] for entry in report["entries"]] == [
        pytest.approx([2.1, 3.5]), pytest.approx([2.8, 4.2])
    ]  # fmt: skip
    assert report["unsteady"] == {}
    if sys.platform == "linux":
        assert all(entry["peak_memory_mib"] > 10 for entry in report["entries"])


def test_the_same_work_that_took_longer_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def entry(**seconds: float) -> dict[str, dict[str, dict[str, float]]]:
        return {"seconds": {stage: {"median": seconds.get(stage, 0.1)} for stage in STAGES}}

    assert unsteady_stages([entry(), entry(sample=9.0, features=0.14)]) == {}
    assert unsteady_stages([entry(features=0.052), entry(features=1.492)]) == {"features": [0.052, 1.492]}
    assert unsteady_stages([entry(mux=0.001), entry(mux=0.004)]) == {}  # too short to say
    assert unsteady_stages([entry()]) == {}
    monkeypatch.setattr("mfv2a.jobs.bench.unsteady_stages", lambda entries: {"features": [0.052, 1.492]})
    video, told = make_video(tmp_path / "a.mp4", seconds=0.2), []
    options = BenchOptions(video=video, sound=TINY, repeats=1, warmup=0)
    assert measure(options, begin=lambda *_: None, say=told.append)["unsteady"]
    assert "features is the same work in every setting and took 0.052 to 1.492 s: this machine is busy" in told


def test_no_share_of_a_peak_is_above_one_without_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = [{"gflop_per_s": {"float32": speed}, "gbyte_per_s": 9.0 / speed} for speed in (3e-6, 1e-6)]
    monkeypatch.setattr("mfv2a.jobs.bench.measure_peaks", lambda *_: measured.pop(0))
    video, told = make_video(tmp_path / "a.mp4", seconds=0.2), []
    options = BenchOptions(video=video, sound=TINY, repeats=1, warmup=0, counted=True)
    report = measure(options, begin=lambda *_: None, say=told.append)
    assert report["peaks"] == {"gflop_per_s": {"float32": 3e-6}, "gbyte_per_s": 9e6}  # the higher of both
    (sampling,) = [text for text in told if text.startswith("sample, ")]
    assert sampling.endswith("% of the peak measured here: this machine was busy then")
    quick = [{"setting": "a", "work": {"vae": {"share_of_compute": None, "share_of_memory": 1.0}}}]
    assert beyond_peaks(quick) == []


def test_what_was_measured_on_a_busy_machine_is_told_where_it_is_compared_with(tmp_path: Path) -> None:
    video, kept, told = make_video(tmp_path / "a.mp4", seconds=0.2), tmp_path / "a.json", []
    options = BenchOptions(video=video, sound=TINY, repeats=1, warmup=0, save=kept)
    measure(options, begin=lambda *_: None, say=lambda _: None)
    again = replace(options, save=None, against=kept)
    measure(again, begin=lambda *_: None, say=told.append)
    assert not any("busy" in text for text in told)
    report = json.loads(kept.read_text())
    kept.write_text(json.dumps({**report, "unsteady": {"features": [0.05, 1.5]}}))
    measure(again, begin=lambda *_: None, say=told.append)
    assert f"{kept} was measured while its machine was busy: features" in told


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
