"""Generators from complete features: from scratch, from public weights, with a teacher; the runs of examples/."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mfv2a.cli import main
from mfv2a.config import RunConfig, load_toml
from mfv2a.data.manifest import write_shard
from mfv2a.errors import ConfigError
from mfv2a.jobs import networks, sheets
from mfv2a.jobs.feature_sources import build_feature_sources
from mfv2a.models.mmaudio import CONFIGS, MMAudio, MMAudioConfig
from mfv2a.models.weights import build_network, load_network
from mfv2a.register import Checkpoint

RUNS = Path(__file__).parents[2] / "examples" / "runs"
SIZES = {
    "latent_dim": 4, "clip_dim": 8, "sync_dim": 8, "text_dim": 8, "text_len": 4, "dim": 16, "num_heads": 2,
    "joint_depth": 1, "fused_depth": 1, "mlp_ratio": 1.0,
}  # fmt: skip
RUN = """
task = "generator"
out = "run"
steps = 4
batch_size = 4
workers = 0
log_every = 1
[objective]
equal_share = 0.5
[[sources]]
type = "features"
path = "videos"
weight = 2.0
[[sources]]
type = "features"
path = "sounds"
[validation]
every = 2
rows = 4
steps = [1, 2]
[[validation.sources]]
type = "features"
path = "held"
"""
MODEL = "[model]\naverage = true\n" + "\n".join(f"{name} = {value}" for name, value in SIZES.items())


def features(rng, video=True):
    arrays = {"latent": rng.normal(0, 2, (6, 4)), "latent_std": np.full((6, 4), 0.1), "text": rng.normal(0, 1, (4, 8))}
    if video:
        arrays |= {"clip": rng.normal(0, 1, (2, 8)), "sync": rng.normal(0, 1, (8, 8))}
    return arrays, {}


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name, video in (("videos", True), ("sounds", False), ("held", True)):
        write_shard(tmp_path / name, 0, [features(rng, video) for _ in range(5)])
        facts = {"latent_mean": [0.0] * 4, "latent_std": [2.0] * 4}
        (tmp_path / name / "statistics.json").write_text(json.dumps(facts), encoding="utf-8")
    return tmp_path


@pytest.fixture
def public(lab, monkeypatch):
    """A public model in small, under the name of a size that the register knows."""
    sizes = MMAudioConfig(**SIZES, noise_at_zero=True)
    torch.manual_seed(0)
    network = MMAudio(sizes)
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_(0.2 * torch.randn(weight.shape))
    torch.save(network.state_dict(), lab / "public.pth")
    entry = Checkpoint(
        name="small-public", role="generator", licence="", licence_url="", layout="mmaudio", config="small"
    )
    known = {**CONFIGS, "small": sizes}
    monkeypatch.setattr(networks, "CONFIGS", known)
    monkeypatch.setattr(networks, "read_register", lambda: {"small-public": entry})
    monkeypatch.setattr(networks, "find_checkpoint", lambda _: entry)
    monkeypatch.setattr(networks.hub, "fetch", lambda _: lab / "public.pth")
    from mfv2a.models import upstream

    kind = dataclasses.replace(upstream.PUBLIC["mmaudio"], configs=known)
    monkeypatch.setattr(upstream, "PUBLIC", {**upstream.PUBLIC, "mmaudio": kind})
    return network


def train(lab, text, *words):
    (lab / "run.toml").write_text(text, encoding="utf-8")
    return main(["train", "--quiet", "run.toml", *words])


def records(lab):
    return [json.loads(line) for line in (lab / "run" / "log.jsonl").read_text(encoding="utf-8").splitlines()]


def test_videos_and_sounds_train_one_network_and_held_out_rows_are_measured(lab, capfd):
    assert train(lab, RUN + MODEL) == 0
    assert capfd.readouterr().out.strip().endswith("final.safetensors")
    network, facts = load_network(lab / "run" / "final.safetensors", "generator")
    assert facts["steps"] == 4
    assert float(network.latent_std.mean()) == 2.0
    held = [record for record in records(lab) if "validation/kernel@2" in record]
    assert [record["step"] for record in held] == [2, 4]
    if sheets.can_draw():
        assert sorted(path.name for path in (lab / "run" / "sheets").iterdir()) == ["step-2.png", "step-4.png"]


def test_a_run_tells_what_made_its_features(lab):
    made_by = {"type": "features", "vae": "c0de", "sync": ""}
    (lab / "sounds" / "extraction.json").write_text(json.dumps(made_by), encoding="utf-8")
    (lab / "sounds" / "index.json").write_text("{}", encoding="utf-8")
    assert train(lab, RUN + MODEL) == 0
    assert load_network(lab / "run" / "final.safetensors", "generator")[1]["features"] == {"vae": ["c0de"]}


def test_resume_asks_for_a_checkpoint_and_goes_on_from_it(lab, capfd):
    assert train(lab, RUN + MODEL, "--resume") == 4
    assert "no checkpoint" in capfd.readouterr().err
    assert train(lab, RUN.replace("steps = 4", "steps = 2", 1) + MODEL) == 0
    assert train(lab, RUN + MODEL, "--resume") == 0
    assert [record["step"] for record in records(lab) if "loss" in record] == [1, 2, 3, 4]


def test_a_run_that_was_killed_after_its_checkpoint_logs_each_step_once(lab):
    assert train(lab, RUN.replace("steps = 4", "steps = 2", 1) + MODEL) == 0
    with (lab / "run" / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"step": 3, "loss": 7.0}\n{"step": 4, "lo')
    assert train(lab, RUN + MODEL) == 0
    assert [record["step"] for record in records(lab) if "loss" in record] == [1, 2, 3, 4]
    assert all(record.get("loss") != 7.0 for record in records(lab))


def test_a_run_is_not_taken_up_with_another_function_of_the_network(lab, capfd, caplog):
    assert train(lab, RUN.replace("steps = 4", "steps = 2", 1) + MODEL) == 0
    assert train(lab, RUN + MODEL + "\nfeature_scale = 7.0\n") == 2
    assert "model.feature_scale = 1.0, not 7.0" in capfd.readouterr().err
    assert train(lab, RUN.replace("equal_share = 0.5", "equal_share = 0.25") + MODEL) == 0
    assert "goes on from step 2 with another objective than before" in caplog.text


def test_rows_without_a_picture_have_no_video_and_the_latent_is_drawn(lab):
    config = load_toml_text(lab, RUN + MODEL)
    videos, sounds = build_feature_sources(config)
    first, again = (videos.draw(np.random.default_rng(1)) for _ in range(2))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert (bool(first["has_video"]), bool(sounds.draw(np.random.default_rng(1))["has_video"])) == (True, False)
    assert sounds.draw(np.random.default_rng(1))["sync"].shape == first["sync"].shape


def load_toml_text(lab, text):
    (lab / "run.toml").write_text(text, encoding="utf-8")
    return load_toml(lab / "run.toml", RunConfig)


def test_features_of_another_model_are_named(lab):
    config = load_toml_text(lab, RUN + MODEL.replace("clip_dim = 8", "clip_dim = 9"))
    with pytest.raises(ConfigError, match=r"videos holds clip of 2x8.*width of 9"):
        build_feature_sources(config)


@pytest.mark.parametrize("path", ["videos", "./videos/", "held/../videos"])
def test_held_out_rows_must_be_held_out(lab, capfd, path):
    assert train(lab, RUN.replace('"held"', f'"{path}"') + MODEL) == 2
    assert "not held out" in capfd.readouterr().err


def test_a_run_from_public_weights_starts_equal_to_them_for_every_interval(lab, public):
    config = load_toml_text(lab, 'init = "small-public"\n' + RUN)
    student = networks.make_network(config)
    assert student.config.average
    z, t = torch.randn(3, 6, 4), torch.tensor([0.3, 0.8, 1.0])
    with torch.no_grad():
        conditions = public.encode_conditions(torch.randn(3, 2, 8), torch.randn(3, 8, 8), torch.randn(3, 4, 8), 6)
        expected = public(z, t=t, conditions=conditions)
        for r in (t, 0.5 * t, torch.zeros(3)):
            assert torch.equal(student(z, r=r, t=t, conditions=conditions), expected)


@pytest.mark.parametrize("way", ["meanflow", "alphaflow"])
def test_a_public_model_is_distilled(lab, public, way, capfd):
    text = 'init = "small-public"\n' + RUN.replace(
        "[objective]", f'[objective]\nname = "distill"\nteacher = "small-public"\ndistill_by = "{way}"'
    )
    assert train(lab, text) == 0
    capfd.readouterr()
    network, _ = load_network(lab / "run" / "final.safetensors", "generator")
    assert network.config.average
    assert network.config.noise_at_zero
    assert not torch.equal(network.h_embed.mlp[2].weight, torch.zeros_like(network.h_embed.mlp[2].weight))


@pytest.mark.parametrize("name", ["mf-small-16k-vggsound", "distill-mmaudio-large-44k"])
def test_the_large_runs_build_on_meta(name):
    config = load_toml(RUNS / f"{name}.toml", RunConfig)
    with torch.device("meta"):
        network = build_network("generator", networks.network_config(config))
    size = "small_16k" if "small" in name else "large_44k"
    public = dataclasses.replace(CONFIGS[size], average=True, noise_at_zero="large" in name)
    assert network.config == public
    assert all(weight.is_meta for weight in network.parameters())


def test_a_name_that_is_no_public_mmaudio_model_is_refused(lab, capfd):
    assert train(lab, 'init = "embedded"\n' + RUN) == 2
    assert "mmaudio-small-16k" in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_torchrun_makes_the_file_that_one_process_makes(lab, capfd, parallel):
    assert train(lab, RUN + MODEL) == 0
    alone, _ = load_network(lab / "run" / "final.safetensors", "generator")
    (lab / "two.toml").write_text(
        f'parallel = "{parallel}"\n' + RUN.replace('"run"', '"two"') + MODEL, encoding="utf-8"
    )
    source = Path(networks.__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*words, "-m", "mfv2a", "train", "two.toml"], env=environment, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["two/final.safetensors"], "one process writes"
    two, _ = load_network(lab / "two" / "final.safetensors", "generator")
    for name, tensor in alone.state_dict().items():
        assert torch.allclose(two.state_dict()[name], tensor, atol=1e-4), name
    capfd.readouterr()
