"""Reports kept, compared and refused; quality against speed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from made_videos import make_video
from mfv2a.cli import main
from mfv2a.errors import ConfigError, MediaError
from mfv2a.jobs.bench import BenchOptions
from mfv2a.jobs.bench_files import check_comparable, compare_reports, read_report
from mfv2a.jobs.presets import PRESETS, setting_doubts, settings_of
from mfv2a.jobs.quality import add_quality, pareto_front, quality_doubts, read_quality
from mfv2a.jobs.sheets import draw_pareto
from mfv2a.jobs.sound import SoundOptions

QUICK = ["--model", "tiny", "--repeats", "2", "--warmup", "0"]


def report(*totals: float, setting: str = "1 step", **facts: Any) -> dict[str, Any]:
    machine = {"platform": "p", "processor": "c", "cores": 2, "device": "cpu", "dtype": "float32", "threads": 1}
    clip = {"model": "tiny", "digest": "", "random_weights": False, "picture": "64x48", "duration_s": 1.0}
    runs = [{"sample": total / 2, "total": total} for total in totals]
    entry = {"setting": setting, "seconds": {"sample": {}, "total": {}}, "repeats": runs, "rtf": min(totals)}
    return {**machine, **clip, "sample_rate_hz": 16000, "entries": [entry], **facts}


def test_ratios_are_of_medians_with_their_spread() -> None:
    (found,) = compare_reports(report(2.0, 4.0, 6.0), report(1.0, 2.0, 3.0))
    total = found["stages"]["total"]
    assert total["ratio"] == total["fastest"] == found["stages"]["sample"]["ratio"] == 0.5
    assert total["low"] == pytest.approx(1.2 / 5.6)
    assert total["high"] == pytest.approx(2.8 / 2.4)


@pytest.mark.parametrize("change", [{"processor": "other"}, {"model": "embedded"}, {"threads": 2}, {"duration_s": 8.0}])
def test_other_machines_models_and_clips_are_not_compared(change: dict[str, Any]) -> None:
    (name,) = change
    with pytest.raises(ConfigError, match=name.replace("_", " ")):
        check_comparable(report(1.0), report(1.0, **change), Path("before.json"))
    check_comparable(report(1.0), report(2.0, torch="other", clip="abc"), Path("before.json"))
    with pytest.raises(ConfigError, match="another clip"):
        check_comparable(report(1.0, clip="abc"), report(2.0, clip="xyz"), Path("before.json"))


def test_reports_that_share_no_setting_or_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no setting in common"):
        compare_reports(report(1.0), report(1.0, setting="4 steps"))
    path = tmp_path / "a.json"
    for text in ("{}", "no", "[]"):
        path.write_text(text)
        with pytest.raises(ConfigError):
            read_report(path)
    with pytest.raises(ConfigError, match="No such file"):
        read_report(tmp_path / "gone.json")


@pytest.mark.parametrize(
    "damage",
    [
        {"entries": 5},
        {"entries": []},
        {"entries": [{}]},
        {"entries": [{"setting": "1 step", "seconds": {"total": {}}}]},
        {"entries": [{"setting": "1 step", "seconds": {"total": {}}, "repeats": []}]},
        {"entries": [{"setting": "1 step", "seconds": {"total": {}}, "repeats": [{}]}]},
        {"entries": [{"setting": "1 step", "seconds": {"total": {}}, "repeats": [{"total": "1"}]}]},
        {"options": None},
    ],
)
def test_a_damaged_report_is_told_before_anything_is_timed(tmp_path: Path, damage: dict[str, Any]) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(report(1.0)))
    assert read_report(path)["entries"]
    path.write_text(json.dumps(report(1.0) | damage))
    with pytest.raises(ConfigError, match="damaged"):
        read_report(path)


def test_the_front_is_what_no_other_setting_beats() -> None:
    points = {"slow good": (2.0, 0.9), "fast bad": (0.1, 0.5), "beaten": (1.0, 0.4), "middle": (0.5, 0.7)}
    assert pareto_front(points, higher=True) == ["fast bad", "middle", "slow good"]
    assert pareto_front(points, higher=False) == ["fast bad", "beaten"]
    assert pareto_front({"a": (1.0, 0.5), "b": (1.0, 0.6)}, higher=True) == ["b"]


def test_quality_comes_from_an_evaluation_and_must_be_of_a_setting(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text(json.dumps({"measures": {"onset_f1": {"value": 0.8, "low": 0.7, "high": 0.9, "clips": 3}}}))
    figures = read_quality([f"1 step={path}"], "onset_f1")
    found = report(1.0)
    add_quality(found, figures, "onset_f1")
    assert found["entries"][0]["quality"] == {"value": 0.8, "low": 0.7, "high": 0.9}
    assert found["quality"] == {"measure": "onset_f1", "better": "higher", "front": ["1 step"]}
    with pytest.raises(ConfigError, match="no such setting"):
        add_quality(report(1.0, setting="4 steps"), figures, "onset_f1")
    for words, measure in (
        (["one"], "onset_f1"),
        ([f"a={path}"], "stoi"),
        ([f"a={path}"], "fad"),
        (["a=gone"], "stoi"),
    ):
        with pytest.raises(ConfigError):
            read_quality(words, measure)


@pytest.mark.parametrize("figure", [{"value": None}, {"value": "abc"}, {"value": True}, {"low": "x"}, {"value": "nan"}])
def test_a_quality_that_is_no_number_is_refused(tmp_path: Path, figure: dict[str, Any]) -> None:
    path = tmp_path / "one.json"
    whole = {"value": 0.5, "low": None, "high": None}
    path.write_text(json.dumps({"measures": {"onset_f1": whole}}))
    assert read_quality([f"1 step={path}"], "onset_f1") == {"1 step": whole}
    path.write_text(json.dumps({"measures": {"onset_f1": whole | figure}}).replace('"nan"', "NaN"))
    with pytest.raises(ConfigError, match="no number"):
        read_quality([f"1 step={path}"], "onset_f1")


def test_evaluations_of_other_clips_are_told(tmp_path: Path) -> None:
    words = []
    for name, facts in (("a", {"pairs": 2}), ("b", {"pairs": 1}), ("c", {"pairs": 2, "reference": "other"})):
        path = tmp_path / name
        path.write_text(json.dumps({"reference": "true", "shortened": 0, "measures": {}, **facts}))
        words.append(f"{name}={path}")
    assert list(quality_doubts([words[0], words[0]])) == []
    (told,) = quality_doubts(words[:2])
    assert "different numbers of clips" in told
    assert f"{tmp_path / 'b'} 1" in told
    assert "true sounds" in next(iter(quality_doubts([words[0], words[2]])))


def test_presets_say_that_they_keep_their_own_guidance_and_none_is_named_twice() -> None:
    settings = settings_of((1,), ("one-step", "one-step-baked", "four-renoise"), 1)
    told = list(setting_doubts(settings, SoundOptions(cfg_strength=7.0)))
    assert told == [
        "one-step keeps its own guidance, 4.5: --cfg 7 is for the other settings",
        "one-step-baked keeps its own guidance, 1: --cfg 7 is for the other settings",
    ]
    assert list(setting_doubts(settings, SoundOptions())) == []
    with pytest.raises(ConfigError, match="1 step is asked for twice"):
        settings_of((1, 1), (), 1)


def test_a_report_is_told_before_it_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    def full(report: Any, path: Path) -> None:
        raise MediaError(path, "cannot be written (No space left on device)")

    monkeypatch.setattr("mfv2a.jobs.bench.save_report", full)
    video = str(make_video(tmp_path / "a.mp4", seconds=0.2))
    assert main(["bench", video, *QUICK, "--json", "--save", str(tmp_path / "a.json")]) == 3
    out, err = capsysbinary.readouterr()
    assert json.loads(out)["entries"]
    assert b"No space left" in err


def test_the_table_names_guidance_and_the_measure_of_quality(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    video, path = str(make_video(tmp_path / "a.mp4", seconds=0.2)), tmp_path / "q.json"
    path.write_text(json.dumps({"measures": {"onset_f1": {"value": 0.8, "low": None, "high": None}}}))
    assert main(["bench", video, *QUICK, "--steps", "1", "--cfg", "2", "--quality", f"1 step={path}"]) == 0
    rows = {line.split("│")[1].strip(): line.split("│")[2].strip()
            for line in capsysbinary.readouterr().out.decode().splitlines() if line.count("│") > 2}  # fmt: skip
    assert rows["guidance"] == "2"
    assert rows["onset_f1"] == "0.8"


def test_the_plot_is_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    found = report(1.0)
    add_quality(found, {"1 step": {"value": 0.8, "low": None, "high": None}}, "onset_f1")
    assert draw_pareto(found, tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_presets_are_those_of_the_field() -> None:
    assert (PRESETS["mmaudio-25-cfg"].steps, PRESETS["mmaudio-25-cfg"].cfg_strength) == (25, 4.5)
    assert PRESETS["four-renoise"].sampler(SoundOptions()).renoise == (0.0, 0.5, 0.5, 0.3)
    assert [each.name for each in settings_of((2,), ("one-step",), 1)] == ["2 steps", "one-step"]
    assert [each.name for each in settings_of((), (), 4)] == ["4 steps"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"presets": ("two-step",)},
        {"price": -1.0},
        {"price": float("nan")},
        {"plot": Path("a.png")},
        {"quality": ("a=b",), "quality_scenes": 3},
        {"save": Path("gone/a.json")},
        {"save": Path("a.x"), "plot": Path("a.x"), "quality_scenes": 2},
        {"save": Path("q.json"), "quality": ("1 step=q.json",)},
        {"save": Path("a.mp4"), "video": Path("a.mp4")},
    ],
)
def test_options_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        BenchOptions(**wrong)


def test_the_command_saves_counts_compares_and_draws(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setenv("COLUMNS", "160")
    video, kept = str(make_video(tmp_path / "a.mp4", seconds=0.3)), tmp_path / "kept.json"
    words = ["bench", video, *QUICK, "--preset", "one-step-baked", "--preset", "four-renoise", "--price", "2"]
    assert main([*words, "--peaks", "--save", str(kept)]) == 0
    text = capsysbinary.readouterr().out.decode()
    for word in ("one-step-baked", "four-renoise", "cost of an hour", "GFLOP/s", "of peak"):
        assert word in text
    saved = json.loads(kept.read_text())
    one, four = saved["entries"]
    assert one["cost_per_video_hour"] == pytest.approx(2 * one["rtf"])
    once = one["work"]["sample"]["flops"]  # part of which makes the conditions ready, once for all steps
    assert 2 * once < four["work"]["sample"]["flops"] <= 4 * once
    assert four["work"]["vae"]["flops"] == one["work"]["vae"]["flops"]
    assert saved["peaks"]["gbyte_per_s"] > 0.1
    plot = ["--quality-scenes", "2", "--quality-measure", "log_mel_distance", "--plot", str(tmp_path / "p.png")]
    assert main([*words, "--compare", str(kept), *plot, "--json"]) == 0
    found = json.loads(capsysbinary.readouterr().out)
    assert [each["setting"] for each in found["compared"]] == ["one-step-baked", "four-renoise"]
    assert found["compared"][0]["stages"]["total"]["ratio"] > 0
    assert all(entry["quality"]["value"] > 0 for entry in found["entries"])
    assert found["quality"]["front"]
    assert (tmp_path / "p.png").is_file()
    assert main([*words, "--compare", str(kept), "--seed", "1", "--dtype", "bfloat16"]) == 2
    assert b"dtype" in capsysbinary.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--steps", "2", "--compare", "b.json"], "no setting in common"),
        (["--quality", "1 steps=q.json"], "no such setting here"),
        (["--quality-scenes", "2", "--quality-measure", "stoi"], "cannot be told from scenes alone"),
        (["--quality-scenes", "2", "--quality-measure", "loudness_difference"], "neither more nor less is better"),
        (["--quality", "1 step=q.json", "--plot", "folder"], "is a folder"),
    ],
)
def test_what_cannot_work_is_told_before_anything_is_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("b.json").write_text(json.dumps(report(1.0)))
    Path("q.json").write_text(json.dumps({"measures": {"onset_f1": {"value": 0.5, "low": None, "high": None}}}))
    assert main(["bench", *QUICK, "--steps", "1", *words] if "--steps" not in words else ["bench", *QUICK, *words]) == 2
    captured = capfd.readouterr()
    assert told in captured.err
    assert "runs" not in captured.err


def test_a_comparison_says_what_was_other_work_then() -> None:
    before, now = report(1.0, options={"compile": False}), report(2.0, options={"compile": True})
    before["entries"][0] |= {"nfe": 4, "cfg_strength": 1.0, "renoise": None}
    now["entries"][0] |= {"nfe": 8, "cfg_strength": 4.5, "renoise": (0.5,)}
    (found,) = compare_reports(before, json.loads(json.dumps(now)))
    assert found["changed"] == {
        "compile": [False, True], "nfe": [4, 8], "cfg_strength": [1.0, 4.5], "renoise": [None, [0.5]],
    }  # fmt: skip
    assert compare_reports(now, json.loads(json.dumps(now)))[0]["changed"] == {}
    then, later = report(1.0, torch="2.1", version="0.1.0"), report(1.0, torch="2.2", version="0.2.0")
    assert compare_reports(then, later)[0]["changed"] == {"version": ["0.1.0", "0.2.0"], "torch": ["2.1", "2.2"]}


def test_a_report_is_kept_though_its_plot_cannot_be(tmp_path: Path) -> None:
    figure = {"value": 0.5, "low": 0.4, "high": 0.6}
    found = report(1.0, quality={"measure": "onset_f1", "better": "higher", "front": ["1 step"]})
    found["entries"][0]["quality"] = figure
    (tmp_path / "plot.png").mkdir()
    with pytest.raises(MediaError, match="cannot be written"):
        draw_pareto(found, tmp_path / "plot.png")
    assert [path.name for path in tmp_path.iterdir()] == ["plot.png"]
