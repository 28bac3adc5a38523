"""The comparison of objectives: a plan of equal compute, and figures that are taken up where they were cut."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

from mfv2a.config import ExtractConfig, RunConfig, load_toml
from mfv2a.errors import ConfigError
from mfv2a.jobs.seed import whole_digest
from mfv2a.models.stored import asset_path

ROOT = Path(__file__).parents[2]


@pytest.fixture
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    return {name: importlib.import_module(name) for name in ("comparison", "compare_objectives", "compare_tables")}


def test_every_run_costs_the_same_forward_flops_its_warm_up_among_them(scripts):
    plan = scripts["comparison"].Plan()
    runs = [run for run in scripts["comparison"].all_runs([0, 1]) if run.warm_up is not None]
    told = [scripts["compare_objectives"].told(run, plan) for run in runs]
    budget = told[0]["forward_flops"]
    assert all(each["forward_flops"] == pytest.approx(budget, rel=0.01) for each in told)
    steps = {each["objective"]: each["steps"] for each in told}
    assert steps["flow-matching"] > steps["alphaflow"] > steps["guided"], "what makes more passes gets fewer steps"
    assert all(each["all_flops"] > 2 * each["forward_flops"] for each in told)


def test_flops_are_those_of_the_passes(scripts):
    plan, count = scripts["comparison"].Plan(), scripts["comparison"].step_flops
    flow, both = count("flow-matching", plan)
    assert both == pytest.approx(3 * flow, rel=0.02)
    # Half of the rows take one pass more; of the guided ones all rows take two more.
    assert count("alphaflow", plan)[0] == pytest.approx(1.5 * flow, rel=0.02)
    assert count("guided", plan)[0] == pytest.approx(3.5 * flow, rel=0.02)
    assert count("meanflow", plan)[0] > 1.5 * flow, "a quarter of the rows takes a derivative: two passes at least"


def test_the_tables_are_ordinary_runs(scripts, tmp_path, monkeypatch):
    comparison, plan = scripts["comparison"], scripts["comparison"].Plan()
    for run in comparison.all_runs([2]):
        path = tmp_path / "run.toml"
        path.write_text(comparison.toml(comparison.run_table(run, plan)), encoding="utf-8")
        config = load_toml(path, RunConfig)
        assert (config.seed, config.crop_s, config.threads) == (2, plan.crop_s, 1)
        assert bool(config.init) == (run.warm_up is not None)
        assert bool(config.objective.guidance) == (run.objective == "guided")
    monkeypatch.chdir(ROOT)
    for name, table in comparison.extractions(plan).items():
        path = tmp_path / f"{name}.toml"
        path.write_text(comparison.toml(table), encoding="utf-8")
        source = load_toml(path, ExtractConfig).source
        assert (source.except_files != "") == (name == "sounds"), "what is held out is not learned"
        assert not source.except_files or Path(source.except_files).is_file()


def test_what_is_done_is_read_and_a_cut_line_is_not(scripts, tmp_path, capsys):
    path = tmp_path / "records.jsonl"
    scripts["compare_objectives"].add_record(path, {"kind": "run", "run": "a"})
    with path.open("a", encoding="utf-8") as file:
        file.write('{"kind": "ru')
    assert scripts["compare_objectives"].read_records(path) == [{"kind": "run", "run": "a"}]
    assert json.loads(capsys.readouterr().out) == {"kind": "run", "run": "a"}
    assert scripts["compare_objectives"].read_records(tmp_path / "none") == []


def test_intervals_are_students(scripts):
    tables = scripts["compare_tables"]
    mean, half = tables.interval([1.0, 2.0, 3.0])
    assert (mean, half) == (2.0, pytest.approx(4.3027 / 3**0.5, rel=1e-4))
    assert tables.told([1.5]) == "1.500 (one seed)"
    assert tables.ratio({0: 2.0, 1: 8.0}, {0: 1.0, 1: 4.0, 2: 9.0}) == "2.00 (2.00 to 2.00)"


def test_one_step_is_held_against_the_flows_best_of_each_seed(scripts):
    def measured(objective, steps, seed, kernel):
        setting = {"clips": "recordings", "steps": steps, "weight": 1.0, "by": "none"}
        facts = {"kind": "measure", "data": "joint", "objective": objective, "seed": seed, "setting": setting}
        return facts | {"kernel": kernel, "frechet": 10 * kernel, "log_mel": 1.0}

    records = [measured("flow-matching", steps, seed, 0.8 / steps) for steps in (1, 4) for seed in (0, 1)]
    records += [measured("alphaflow", 1, seed, 0.4) for seed in (0, 1)]
    told = scripts["compare_tables"].tables(records)
    assert "| alpha-Flow | 2.00 (2.00 to 2.00) | 0.50 (0.50 to 0.50) |" in told
    assert "| flow matching | 4 | 0.200 ± 0.000 | 2 ± 0 |" in told


def test_the_vectors_of_a_runs_texts_are_taken_from_a_file_once_they_are_there(scripts, tmp_path, monkeypatch):
    from mfv2a.jobs.generator_sources import Words

    asked = []

    def encode(texts, device="cpu"):
        asked.append((list(texts), device))
        rows = np.arange(len(texts), dtype=np.float32)
        return Words({text: k for k, text in enumerate(texts)}, rows[:, None, None], rows[:, None])

    monkeypatch.setattr(Words, "encode", encode)
    scripts["compare_objectives"].keep_words(tmp_path / "words.npz")
    first, again = Words.encode(["", "rain", "rain"], "cpu"), Words.encode(["rain"], "cpu")
    assert asked == [(["", "rain"], "cpu")]
    assert again.tokens[again.index["rain"]] == first.tokens[first.index["rain"]]


def test_latents_of_another_codec_are_refused_by_what_decodes_with_the_one_in_the_package(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    check = importlib.import_module("pick_voices").check_codec
    check(tmp_path)  # a folder that does not tell
    own = whole_digest(asset_path("embedded", "vae.safetensors"))
    for digest in (own, "0" * 64):
        (tmp_path / "extraction.json").write_text(json.dumps({"type": "features", "vae": digest, "sync": ""}))
        if digest == own:
            check(tmp_path)
        else:
            with pytest.raises(ConfigError, match="another codec"):
                check(tmp_path)
