"""The whole way to a model of one's own, in small: videos, features, a trained network, a package, dubbed videos."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

import tiny_mmaudio
from local_hub import running_hub
from made_videos import make_video
from mfv2a import packages
from mfv2a.cli import main
from mfv2a.jobs import networks
from mfv2a.media.audio import write_audio
from mfv2a.models.weights import load_network
from mfv2a.records import Audio

EXTRACT = """
out = "features/{kind}"
model = "tiny-mm-16k"
duration_s = 1.0
workers = 1
[source]
type = "{kind}"
path = "{kind}"
"""
TRAIN = """
task = "generator"
out = "run"
steps = 2
batch_size = 4
workers = 0
log_every = 1
[model]
latent_dim = 20
clip_dim = 24
sync_dim = 24
text_dim = 24
dim = 64
num_heads = 2
joint_depth = 1
fused_depth = 1
mlp_ratio = 1.0
average = true
[objective]
name = "{objective}"
equal_share = 0.5
{more}
[[sources]]
type = "features"
path = "features/videos"
[[sources]]
type = "features"
path = "features/recordings"
"""


@pytest.fixture(scope="module")
def published():
    return tiny_mmaudio.files()


@pytest.fixture
def lab(tmp_path, monkeypatch, published):
    for name in ("HF_HUB_CACHE", "HF_TOKEN", "HF_HUB_OFFLINE", "MFV2A_MODEL", "RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MFV2A_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.chdir(tmp_path)
    tiny_mmaudio.add_sizes(monkeypatch)
    tiny_mmaudio.write_register(tmp_path, monkeypatch)
    monkeypatch.setitem(packages.BASES, (24, 24, 77, 24, 20), "tiny-mm-16k")
    for k in range(3):
        make_video(Path(f"videos/{k}.mp4"), seconds=1.0, seed=k, sound=True)
    Path("recordings").mkdir()
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 40000).astype(np.float32)
    write_audio(Path("recordings/a.wav"), Audio(samples=noise, sample_rate_hz=16000))
    with running_hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        hub.files |= published
        yield hub


def extract_and_train(objective="meanflow", more="", first=""):
    for kind in ("videos", "recordings"):
        Path("x.toml").write_text(EXTRACT.format(kind=kind))
        assert main(["extract", "--quiet", "x.toml"]) == 0
    Path("run.toml").write_text(first + TRAIN.format(objective=objective, more=more))
    return main(["train", "--quiet", "run.toml"])


def dub(out, *words):
    command = ["dub", "videos/0.mp4", "--out", out, "--model", "./mine", "--also-wav", "--sample-rate", "model"]
    assert main([*command, "--quiet", *words]) == 0
    return soundfile.read(f"{out}/videos/0.wav")[0]


def test_features_are_trained_on_exported_and_dubbed_with(lab, monkeypatch, tmp_path, capfd):
    assert extract_and_train() == 0
    network, _ = load_network(Path("run/final.safetensors"), "generator")
    told = json.loads(Path("features/videos/statistics.json").read_text())
    assert np.allclose(network.latent_mean.flatten().numpy(), told["latent_mean"])
    assert np.allclose(network.latent_std.flatten().numpy(), told["latent_std"])
    assert main(["models", "export", "run", "mine", "--licence", "MIT"]) == 0
    package = Path("mine/checkpoints.toml").read_text()
    assert '"tiny-vae-16k"' in package
    assert "objective `meanflow`" in Path("mine/README.md").read_text()
    assert packages.read_header(Path("mine/generator.safetensors")).config["average"]
    # On another machine, where nothing has been fetched yet.
    monkeypatch.setenv("HF_HOME", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "elsewhere"))
    lab.requests.clear()
    wave = dub("out")
    assert len(wave) == 16000
    assert np.isfinite(wave).all()
    assert abs(wave).max() > 1e-3
    fetched = {path.rsplit("/", 1)[-1] for method, path, *_ in lab.requests if method == "GET"}
    assert {"v1-16.pth", "best_netG.pt", "synchformer.pth"} <= fetched
    assert "mm_16k.pth" not in fetched, "the generator is one's own"
    capfd.readouterr()


def test_a_student_of_a_public_model_goes_the_same_way(lab, monkeypatch, capfd):
    monkeypatch.setattr(networks, "CONFIGS", {**networks.CONFIGS, **tiny_mmaudio.SIZES["mmaudio"]})
    assert extract_and_train("distill", 'teacher = "tiny-mm-16k"', 'init = "tiny-mm-16k"') == 0
    assert main(["models", "export", "run", "mine"]) == 0
    assert packages.read_header(Path("mine/generator.safetensors")).config["noise_at_zero"]
    assert abs(dub("out")).max() > 1e-3
    assert (dub("again") == dub("out")).all()
    capfd.readouterr()
