"""What of features and sounds no run can work with: told in a line that names it, with exit code 2."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mfv2a.cli import main
from mfv2a.config import ObjectiveConfig, RunConfig, SourceConfig
from mfv2a.data.dataset import StepDataset
from mfv2a.data.manifest import read_shards, write_shard, write_statistics
from mfv2a.errors import ConfigError
from mfv2a.jobs.items import read_sounds, short_sounds
from mfv2a.jobs.sources import build_sources
from mfv2a.media.audio import write_audio
from mfv2a.models.istft import ISTFTConfig, ISTFTVocoder
from mfv2a.models.mel import MelSpectrogram
from mfv2a.models.vae import VAE, VAEConfig
from mfv2a.models.weights import save_network
from mfv2a.records import Audio
from mfv2a.training.tasks import VocoderTask

SCRIPTS = Path(__file__).parents[2] / "scripts"
RUN = """
task = "generator"
out = "run"
steps = 1
batch_size = 2
crop_s = 0.64
workers = 0
[model]
latent_dim = 8
clip_dim = 384
sync_dim = 16
text_dim = 384
text_len = 16
dim = 16
num_heads = 2
joint_depth = 1
fused_depth = 1
mlp_ratio = 1.0
average = true
[[sources]]
type = "features"
path = "scenes"
"""
ENCODE = 'out = "out"\nvae = "vae.safetensors"\n[source]\ntype = "features"\npath = "raw"\n'


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """Scenes, encoded, and what they might have been encoded from."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    facts = {"label": "drum", "captions": ["a drum"], "events": []}
    arrays = {"latent": (40, 8), "sync": (32, 16)}
    write_shard(tmp_path / "scenes", 0, [({k: rng.normal(0, 1, v) for k, v in arrays.items()}, facts)] * 3)
    write_statistics(tmp_path / "scenes")
    for k in range(2):
        items = [({"mel": rng.normal(-3, 1, (80, 32)), "motion": np.zeros((12, 168))}, facts) for _ in range(3)]
        write_shard(tmp_path / "raw", k, items)
    save_network(tmp_path / "vae.safetensors", "vae", VAE(VAEConfig.tiny()))
    return tmp_path


def run(command, text):
    Path("run.toml").write_text(text, encoding="utf-8")
    return main([command, "--quiet", "run.toml"])


def test_a_run_that_fits_its_features_trains(lab, capfd):
    assert run("train", RUN) == 0, capfd.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('path = "scenes"', 'path = "raw"', "raw holds no latents"),
        ("latent_dim = 8", "latent_dim = 20", "scenes holds latent of width 8, and [model] has latent_dim = 20"),
        ("sync_dim = 16", "sync_dim = 64", "scenes holds sync of width 16, and [model] has sync_dim = 64"),
        ("text_dim = 384", "text_dim = 128", "[model] has text_dim = 128, and the text encoder gives 384"),
        ("text_len = 16", "text_len = 77", "[model] has text_len = 77, and the text encoder gives 16"),
        ("clip_dim = 384", "clip_dim = 1024", "[model] has clip_dim = 1024"),
        ("mlp_ratio = 1.0", "mlp_ratio = 0.0", "model.mlp_ratio must be above 0"),
        ("mlp_ratio = 1.0", "mlp_ration = 1.0", "did you mean mlp_ratio?"),
        ("joint_depth = 1", 'joint_depth = "2"', "joint_depth must be of type int"),
        ("average = true", "average = 1", "average must be of type bool"),
        ("num_heads = 2", "num_heads = 0", "no generator can be built of these sizes"),
    ],
)
def test_a_network_and_features_that_do_not_go_together_are_told(lab, capfd, old, new, told):
    assert run("train", RUN.replace(old, new)) == 2
    error = capfd.readouterr().err
    assert told in error
    assert "fault of mfv2a" not in error


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "statistics.json is damaged"),
        ("[]", "statistics.json is damaged"),
        ('{"latent_mean": [0.0]}', "statistics.json is damaged"),
        (json.dumps({"latent_mean": [0.0] * 8, "latent_std": ["x"] * 8}), "statistics.json is damaged"),
        (json.dumps({"latent_mean": [0.0], "latent_std": [1.0]}), "latent_dim = 8"),
        (json.dumps({"latent_mean": [float("nan")] * 8, "latent_std": [1.0] * 8}), "not finite"),
        (json.dumps({"latent_mean": [0.0] * 8, "latent_std": [0.0] * 8}), "a deviation of 0"),
    ],
)
def test_statistics_that_no_network_can_be_set_to_are_told(lab, capfd, text, told):
    (lab / "scenes" / "statistics.json").write_text(text, encoding="utf-8")
    assert run("train", RUN) == 2
    assert told in capfd.readouterr().err


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_item_that_is_not_finite_is_named_and_nothing_is_encoded_of_it(lab, capfd, value):
    arrays, facts = read_shards(lab / "raw", ["mel", "motion"])
    items = [({name: array[k].copy() for name, array in arrays.items()}, facts[k]) for k in range(3)]
    items[2][0]["mel"][5, 6] = value
    write_shard(lab / "raw", 1, items)
    assert run("extract", ENCODE) == 2
    assert "shard-00001.safetensors: item 2 of mel holds what is no finite number" in capfd.readouterr().err
    assert not (lab / "out" / "statistics.json").exists()


def test_statistics_are_not_made_of_latents_that_are_not_finite(lab):
    write_shard(lab / "scenes", 1, [({"latent": np.full((40, 8), np.nan), "sync": np.zeros((32, 16))}, {})])
    with pytest.raises(ConfigError, match=r"shard-00001\.safetensors: item 0 of latent"):
        write_statistics(lab / "scenes")


def test_voices_that_are_all_long_are_told(lab):
    (lab / "sfx").mkdir()
    wave = np.random.default_rng(0).normal(0, 0.1, 16000 * 4).astype(np.float32)
    write_audio(lab / "sfx" / "a.wav", Audio(samples=wave, sample_rate_hz=16000))
    (lab / "sfx" / "index.tsv").write_text("file\tlabel\na.wav\train\n", encoding="utf-8")
    read_sounds.cache_clear()
    with pytest.raises(ConfigError, match="voices = sfx: no sound of it is short enough"):
        short_sounds("sfx")


@pytest.mark.parametrize("key", ["label", "exclude"])
def test_a_pattern_that_is_none_is_told_with_its_key(lab, capfd, key):
    text = f'out = "x"\n[source]\ntype = "sounds"\npath = "sfx"\ncount = 1\n{key} = "("\n'
    assert run("extract", text) == 2
    assert f"run.toml: source: {key} = '(' is no regular expression" in capfd.readouterr().err


def test_a_sync_encoder_is_not_shown_more_than_its_items_have(lab, capfd):
    text = 'task = "sync"\nout = "run"\nsteps = 1\nbatch_size = 2\ncrop_s = 8.0\nworkers = 0\n'
    assert run("train", text + '[[sources]]\ntype = "features"\npath = "raw"\n') == 2
    assert "crop_s = 8 is longer than the items in raw" in capfd.readouterr().err


def test_a_vocoder_beside_a_codec_gets_crops_of_whole_latents():
    config = RunConfig(
        task="vocoder", out="x", steps=1, crop_s=0.5, components={"vae": "x"}, sources=(SourceConfig(type="scenes"),)
    )
    rows = StepDataset(build_sources(config), batch_size=2, seed=0)[0]
    torch.manual_seed(0)
    task = VocoderTask(ISTFTVocoder(ISTFTConfig(dim=16, depth=1)), MelSpectrogram(), codec=VAE(VAEConfig.tiny()))
    loss, _ = task.loss(rows, step=0, generator=torch.Generator().manual_seed(0))
    assert torch.isfinite(loss)
    assert rows["wave"].shape[1] % 512 == 0


@pytest.mark.parametrize(
    ("script", "words", "told"),
    [
        ("pick_voices", ["scenes", "--out", "picked"], "of no label, 3 of the recordings in scenes"),
        ("pick_voices", ["raw", "--out", "picked"], "no statistics.json in raw"),
        ("pick_voices", ["scenes", "--out", "scenes"], "scenes is there already and not empty - choose another folder"),
        ("learn_wordings", ["g.safetensors", "--features", "raw", "--out", "x"], "raw holds no latents"),
    ],
)
def test_a_script_that_finds_nothing_says_so(lab, script, words, told):
    from mfv2a.models.mmaudio import MMAudio, MMAudioConfig

    save_network(lab / "g.safetensors", "generator", MMAudio(MMAudioConfig.tiny()))
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / f"{script}.py"), *words], check=False, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_plain_flow_matching_is_made_of_any_objective():
    assert ObjectiveConfig(omega=2.0, kappa=0.5).plain() == ObjectiveConfig(
        name="flow-matching", drop_both=0.0, drop_video=0.0, drop_text=0.0
    )


@pytest.mark.parametrize("words", [["--json"], []])
def test_measures_that_are_not_finite_are_told_as_such_and_the_run_goes_on(lab, capfd, monkeypatch, words):
    shutil.copytree("scenes", "held")
    held = '[validation]\nevery = 1\nrows = 2\n[[validation.sources]]\ntype = "features"\npath = "held"\n'
    Path("run.toml").write_text(RUN + held, encoding="utf-8")
    numbers = {"flow": 1.0, "mse@1": math.nan, "kernel@1": math.inf}
    monkeypatch.setattr("mfv2a.training.validation.Validation.__call__", lambda *_: numbers)
    assert main(["train", *words, "run.toml"]) == 0
    log = [json.loads(line, parse_constant=pytest.fail) for line in Path("run/log.jsonl").read_text().splitlines()]
    assert log[-1] == {"step": 1, "validation/flow": 1.0, "validation/mse@1": None, "validation/kernel@1": None}
    out, err = capfd.readouterr()
    assert log[-1] in [json.loads(line) for line in out.splitlines()[:-1]] if words else "mse@1 not finite" in err
