"""From labelled sounds and scenes to a generator, with the tool's own commands, at toy size."""

from __future__ import annotations

import json
import os
import signal
import threading

import numpy as np
import pytest

from mfv2a.cli import main
from mfv2a.config import RunConfig, SourceConfig
from mfv2a.data.manifest import read_shards
from mfv2a.errors import ConfigError
from mfv2a.jobs.items import read_sounds
from mfv2a.jobs.lock import LOCK_NAME, alone
from mfv2a.jobs.networks import make_network
from mfv2a.media.audio import write_audio
from mfv2a.models.weights import load_network
from mfv2a.records import Audio

EXTRACT_SCENES = """
out = "scenes"
workers = 1
shard_items = 2
duration_s = 4.0
[source]
type = "scenes"
count = 3
voices = "sfx"
"""
EXTRACT_SOUNDS = """
out = "sounds"
workers = 1
shard_items = 2
duration_s = 4.0
[source]
type = "sounds"
path = "sfx"
count = 2
"""
VAE = """
task = "vae"
out = "vae"
steps = 2
batch_size = 2
crop_s = 1.024
workers = 0
[model]
dim = 8
[[sources]]
type = "features"
path = "sounds"
"""
SYNC = """
task = "sync"
out = "sync"
steps = 2
batch_size = 2
crop_s = 2.0
workers = 0
[model]
dim = 16
depth = 1
[[sources]]
type = "features"
path = "scenes"
"""
VOCODER = """
task = "vocoder"
out = "vocoder"
steps = 2
batch_size = 2
crop_s = 1.024
workers = 0
[model]
dim = 16
depth = 1
[[sources]]
type = "sounds"
path = "sfx"
"""
ENCODE = """
out = "scenes-encoded"
vae = "vae/final.safetensors"
sync = "sync/final.safetensors"
[source]
type = "features"
path = "scenes"
"""
GENERATOR = """
task = "generator"
out = "generator"
steps = 2
batch_size = 4
crop_s = 3.2
workers = 0
[model]
latent_dim = 20
clip_dim = 384
sync_dim = 64
text_dim = 384
text_len = 16
dim = 64
num_heads = 2
joint_depth = 1
fused_depth = 1
mlp_ratio = 1.0
time_scale = 5.0
average = true
[objective]
equal_share = 0.5
[[sources]]
type = "features"
path = "scenes-encoded"
"""


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    read_sounds.cache_clear()  # kept by path, and each test has its own "sfx"
    (tmp_path / "sfx").mkdir()
    rng = np.random.default_rng(0)
    rows = ["file\tseconds\tlabel\ttitle\tset\tlicence"]
    for k, seconds in enumerate((0.4, 3.0)):
        wave = (0.4 * rng.normal(0, 1, round(16000 * seconds)) * np.exp(-np.arange(16000 * seconds) / 4000)).clip(-1, 1)
        write_audio(tmp_path / "sfx" / f"{k}.wav", Audio(samples=wave.astype(np.float32), sample_rate_hz=16000))
        rows.append(f"{k}.wav\t{seconds}\tthing {k}\t\tours\tCC0")
    (tmp_path / "sfx" / "index.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return tmp_path


def run(lab, command, name, text):
    (lab / name).write_text(text, encoding="utf-8")
    return main([command, "--quiet", name])


@pytest.mark.slow
def test_the_whole_chain_runs_and_resumes(lab, capfd):
    assert run(lab, "extract", "a.toml", EXTRACT_SCENES) == 0
    first = {p.name: p.stat().st_mtime_ns for p in (lab / "scenes").iterdir()}
    assert len(first) == 6, "two shards, each with its facts, and what they were made by and hold"
    assert run(lab, "extract", "a.toml", EXTRACT_SCENES) == 0
    assert {p.name: p.stat().st_mtime_ns for p in (lab / "scenes").iterdir()} == first
    assert run(lab, "extract", "b.toml", EXTRACT_SOUNDS) == 0
    assert run(lab, "train", "long.toml", VAE.replace("crop_s = 1.024", "crop_s = 1000")) == 2
    assert "longer than the items in sounds" in capfd.readouterr().err
    for name, text in (("vae", VAE), ("sync", SYNC), ("vocoder", VOCODER)):
        assert run(lab, "train", f"{name}.toml", text) == 0
        assert load_network(lab / name / "final.safetensors", name)[1]["steps"] == 2
    assert run(lab, "extract", "c.toml", ENCODE) == 0
    assert run(lab, "train", "long.toml", GENERATOR.replace("crop_s = 3.2", "crop_s = 1000")) == 2
    assert "longer than the items in scenes-encoded" in capfd.readouterr().err
    assert run(lab, "train", "g.toml", GENERATOR) == 0
    network, facts = load_network(lab / "generator" / "final.safetensors", "generator")
    assert facts["run"]["objective"]["name"] == "meanflow"
    assert float(network.latent_std.mean()) > 0
    capfd.readouterr()


def test_a_generator_refuses_sources_that_are_not_features(lab, capfd):
    text = GENERATOR.replace('type = "features"', 'type = "scenes"')
    assert run(lab, "train", "g.toml", text) == 2
    assert "mfv2a extract" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("dim = 8", "dim = 0", "model.dim must be a positive number"),
        ("dim = 8", "latent_dim = 0", "model.latent_dim must be a positive number"),
        ("workers = 0", "workers = -3", "workers must be 0 or more"),
        ("workers = 0", "minutes = -1.0", "minutes must be 0 or more"),
        ("workers = 0", "checkpoint_minutes = -1.0", "checkpoint_minutes must be 0 or more"),
        ("crop_s = 1.024", "crop_s = 0.01", "crop_s must be 0.2 or more"),
        ('out = "vae"', 'out = ""', "out must name a folder"),
        ("[model]", "[optimizer]\nlearning_rate = -1.0\n[model]", "learning_rate must be positive"),
        ("[model]", "[optimizer]\nema = 7.0\n[model]", "ema must be"),
        ('path = "sounds"', 'path = "sounds"\nweight = -1.0', "weight must be 0 or more"),
        ("[model]\ndim = 8", 'model = "vae"', "must be a table"),
    ],
)
def test_values_that_no_run_can_work_with_are_exit_2(lab, capfd, old, new, words):
    assert old in VAE
    assert run(lab, "train", "v.toml", VAE.replace(old, new)) == 2
    assert words in capfd.readouterr().err


def test_sizes_that_make_no_network_are_named():
    sources = (SourceConfig(type="features", path="x"),)
    config = RunConfig(task="vae", out="x", steps=1, sources=sources, model={"dim": -8})
    with pytest.raises(ConfigError, match="no vae can be built"):
        make_network(config)


def test_missing_features_and_sounds_are_named(lab, capfd):
    assert run(lab, "train", "v.toml", VAE) == 2
    assert "no features" in capfd.readouterr().err
    (lab / "sfx" / "index.tsv").unlink()
    assert run(lab, "train", "w.toml", VOCODER) == 2
    assert "index.tsv" in capfd.readouterr().err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_saves_the_run_and_tells_by_its_exit_code(lab, capfd, number, code):
    text = VOCODER.replace("steps = 2", "steps = 100000\nlog_every = 1")
    timer = threading.Timer(3.0, lambda: os.kill(os.getpid(), number))
    timer.start()
    assert run(lab, "train", "v.toml", text) == code
    timer.join()
    assert list((lab / "vocoder").glob("checkpoint-*.safetensors"))
    assert not (lab / "vocoder" / "final.safetensors").exists()
    capfd.readouterr()


@pytest.mark.parametrize("old", ["count = 2", "duration_s = 4.0", "shard_items = 2", 'path = "sfx"'])
def test_an_extraction_goes_on_with_the_settings_it_was_begun_with_alone(lab, capfd, old):
    short = EXTRACT_SOUNDS.replace("duration_s = 4.0", "duration_s = 1.0")
    assert run(lab, "extract", "a.toml", short) == 0
    before = {path.name: path.read_bytes() for path in (lab / "sounds").iterdir()}
    new = {"count": "count = 1", "duration_s": "duration_s = 2.0", "shard_items": "shard_items = 1"}
    now = "duration_s = 1.0" if old.startswith("duration_s") else old
    changed = short.replace(now, new.get(old.split()[0], old))
    if old.startswith("path"):
        with (lab / "sfx" / "index.tsv").open("a", encoding="utf-8") as index:
            index.write("0.wav\t0.4\tanother\t\tours\tCC0\n")
    capfd.readouterr()
    assert run(lab, "extract", "a.toml", changed) == 2
    assert "was begun with another" in capfd.readouterr().err
    assert {path.name: path.read_bytes() for path in (lab / "sounds").iterdir()} == before


def test_more_items_may_be_asked_for_and_a_short_shard_is_filled(lab):
    short = EXTRACT_SOUNDS.replace("duration_s = 4.0", "duration_s = 1.0")
    assert run(lab, "extract", "a.toml", short.replace("count = 2", "count = 3")) == 0
    first = (lab / "sounds" / "shard-00000.safetensors").stat().st_mtime_ns
    assert run(lab, "extract", "a.toml", short.replace("count = 2", "count = 5")) == 0
    _, facts = read_shards(lab / "sounds", ["mel"])
    assert [fact["seed"] for fact in facts] == [0, 1, 2, 3, 4]
    assert (lab / "sounds" / "shard-00000.safetensors").stat().st_mtime_ns == first
    index = json.loads((lab / "sounds" / "index.json").read_text(encoding="utf-8"))
    assert [shard["items"] for shard in index["shards"]] == [2, 2, 1]


def test_an_extraction_that_was_cut_off_is_not_trained_on(lab, capfd):
    short = EXTRACT_SOUNDS.replace("shard_items = 2", "shard_items = 1").replace("duration_s = 4.0", "duration_s = 1.1")
    assert run(lab, "extract", "a.toml", short) == 0
    (lab / "sounds" / "shard-00000.safetensors").unlink()
    assert run(lab, "train", "v.toml", VAE) == 2
    assert "has lost shard-00000.safetensors" in capfd.readouterr().err
    (lab / "sounds" / "index.json").unlink()
    assert run(lab, "train", "v.toml", VAE) == 2
    assert "is not complete" in capfd.readouterr().err
    assert run(lab, "extract", "a.toml", short) == 0
    odd = VAE.replace("crop_s = 1.024", "crop_s = 1.04")  # 65 frames, and a latent stands for two
    assert run(lab, "train", "v.toml", odd) == 0
    capfd.readouterr()
    (lab / "sounds" / "shard-00001.safetensors").write_bytes(b"cut")
    assert run(lab, "train", "w.toml", VAE.replace('out = "vae"', 'out = "again"')) == 2
    assert "shard-00001.safetensors is damaged" in capfd.readouterr().err


def test_latents_of_another_codec_do_not_come_among_those_of_the_first(lab, capfd):
    short = EXTRACT_SOUNDS.replace("duration_s = 4.0", "duration_s = 1.1")
    assert run(lab, "extract", "a.toml", short) == 0
    assert run(lab, "train", "v.toml", VAE) == 0
    assert run(lab, "train", "w.toml", VAE.replace('out = "vae"', 'out = "other"\nseed = 1')) == 0
    encode = ENCODE.replace("scenes", "sounds").replace('sync = "sync/final.safetensors"', "")
    assert run(lab, "extract", "c.toml", encode) == 0
    capfd.readouterr()
    assert run(lab, "extract", "c.toml", encode.replace("vae/final", "other/final")) == 2
    assert "was begun with another vae" in capfd.readouterr().err


def test_two_trainings_into_one_folder_are_kept_apart(lab, capfd):
    assert run(lab, "extract", "a.toml", EXTRACT_SOUNDS.replace("duration_s = 4.0", "duration_s = 1.1")) == 0
    with alone(lab / "vae"):
        assert run(lab, "train", "v.toml", VAE) == 4
    assert "another training is writing" in capfd.readouterr().err
    assert run(lab, "train", "v.toml", VAE) == 0
    assert not (lab / "vae" / LOCK_NAME).exists()


@pytest.mark.parametrize("text", ["", "seconds\tlabel\n0.4\tx\n", "file\tseconds\n0.wav\t0.4\n"])
def test_an_index_of_sounds_without_its_columns_is_exit_2(lab, capfd, text):
    (lab / "sfx" / "index.tsv").write_text(text, encoding="utf-8")
    assert run(lab, "extract", "a.toml", EXTRACT_SOUNDS) == 2
    assert "index.tsv has no column" in capfd.readouterr().err
