"""The smallest public model at full size, on pseudo-weights: loaded as files, every stage at the reference's numbers.

Slow: it writes 9 GB of weights into the temporary folder and needs 12 GB of memory.
"""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from golden.parity import ROOT, assert_parity, case, public_weights
from made_videos import make_video
from mfv2a.cli import main
from mfv2a.encoders.protocol import see
from mfv2a.loader import load_pipeline
from mfv2a.models.clip_tokenizer import CLIPTokenizer
from mfv2a.pipeline import SampleOptions
from mfv2a.records import Clip
from mfv2a.register import find_checkpoint, find_model
from mfv2a.timeline import Window
from mfv2a.work import Words, Work

pytestmark = pytest.mark.slow
MODEL = "mmaudio-small-16k"
WEIGHTS = {
    "generator": "mmaudio_small_16k",
    "vae": "vae_16k",
    "vocoder": "bigvgan_16k",
    "clip": "clip_vit_h",
    "sync": "synchformer",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A register like the tool's own, its files here in place of the hub's, with pseudo-weights."""
    folder = tmp_path_factory.mktemp("full")
    entry = find_model(MODEL)
    parts = []
    for role, name in WEIGHTS.items():
        file = entry if role == "generator" else find_checkpoint(entry.components[role])
        tensors = public_weights(name)
        if role == "clip":
            save_file(tensors, folder / f"{role}.safetensors")
        else:
            torch.save({"generator": tensors} if role == "vocoder" else tensors, folder / f"{role}.pth")
        path = f"{role}.safetensors" if role == "clip" else f"{role}.pth"
        words = {"role": role, "path": path, "config": file.config, "licence": "none", "licence_url": "https://x"}
        if role == "generator":
            words |= {"layout": entry.layout, "kind": entry.kind, "steps": entry.steps, "cfg": entry.cfg}
        lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in words.items())
        if role == "generator":
            lines += 'rescale = false\ncomponents = { vae = "own-vae", vocoder = "own-vocoder", clip = "own-clip", '
            lines += 'sync = "own-sync", tokenizer = "own-words" }\n'
        parts.append(f"[own-{role}]\n{lines}")
    (folder / "tokenizer.json").write_bytes((ROOT / "clip_tokenizer" / "tokenizer.json").read_bytes())
    parts.append(
        '[own-words]\nrole = "tokenizer"\npath = "tokenizer.json"\nlicence = "none"\nlicence_url = "https://x"\n'
    )
    (folder / "own.toml").write_text("\n".join(parts))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MFV2A_CHECKPOINTS", str(folder / "own.toml"))
        patch.setenv("MFV2A_HOME", str(folder / "home"))
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield folder


@pytest.fixture(scope="module")
def pipeline(home):
    return load_pipeline("own-generator", device="cpu", dtype="float32")


def test_files_are_converted_once(home, pipeline):
    kinds = sorted(path.name.split("-")[0] for path in (home / "home" / "converted").iterdir())
    assert kinds == ["bigvgan", "mmaudio", "synchformer", "vae"]


def test_the_pipeline_samples_the_reference_numbers(pipeline, monkeypatch):
    inputs, outputs, _ = case("mmaudio_small_16k", "euler_4_cfg4.5")
    monkeypatch.setattr("mfv2a.pipeline.noise_field", lambda *_: inputs["latent"][0])
    features = {"clip": inputs["clip_f"][0], "sync": inputs["sync_f"][0], "text": Words(inputs["text_f"][0])}
    work = Work(duration_s=8.0, seed=0, windows=(Window(0, 250),), confidence=1.0, **features)
    (latent,) = pipeline.sample([work], SampleOptions(steps=4))
    net = pipeline.generator
    found = {"x1": latent[None], "x1_unnormalized": latent[None] * net.latent_std + net.latent_mean}
    assert_parity("pipeline euler_4", found, outputs, limit=2e-4)


def test_the_pipeline_decodes_the_reference_numbers(pipeline):
    inputs, outputs, _ = case("vae_16k", "decode_8s")
    net = pipeline.generator
    mel = pipeline.decode_latent((inputs["z"][0] - net.latent_mean[0]) / net.latent_std[0])
    assert_parity("pipeline decode_mel", {"mel": mel[None]}, outputs, limit=1e-4)
    inputs, outputs, _ = case("bigvgan_16k", "mel_32")
    wave = pipeline.vocode(inputs["mel"][0])
    assert_parity("pipeline vocode", {"wave": wave[None, None]}, outputs, limit=5e-5)


def test_the_encoders_give_the_reference_numbers(pipeline, monkeypatch):
    encoders = pipeline.encoders
    image, image_outputs, _ = case("clip_vit_h", "image")
    sync, sync_outputs, _ = case("synchformer", "frames_30")
    text, text_outputs, _ = case("clip_vit_h", "text")
    pictures = {"clip": image["frames"].numpy(), "sync": sync["frames"].numpy()}
    clip = Clip(duration_s=1.2, frames=pictures)
    with torch.inference_mode():
        found = see(encoders, clip, duration_s=1.2, semantics=False).sync
        assert_parity("pipeline sync", {"sync_f": found[None]}, sync_outputs, limit=5e-5)
        found = see(encoders, clip, duration_s=0.25).clip
        assert_parity("pipeline image", {"clip_f": found[None]}, image_outputs, limit=1e-5, relative=2e-5)
        tokens = SimpleNamespace(encode=lambda _: text["tokens"].long())
        monkeypatch.setattr(encoders, "tokenizer", tokens)
        found = torch.stack([words.tokens for words in encoders.encode_text(["", "", ""])])
        assert_parity("pipeline text", {"text_f": found}, text_outputs, limit=1e-5, relative=2e-5)


def test_a_clip_is_dubbed_by_the_command_line(home, pipeline, monkeypatch, capsysbinary):
    del pipeline  # its files are converted
    monkeypatch.chdir(home)
    make_video(home / "in" / "a.mp4", seconds=0.4)
    words = ["dub", "in", "--out", "out", "--model", "own-generator", "--prompt", "rain", "--steps", "2", "--also-wav"]
    assert main([*words, "--device", "cpu", "--sample-rate", "model"]) == 0
    told = capsysbinary.readouterr()
    assert told.out == b"out/a.mp4\n"
    assert b"2 steps serve it badly: use --steps 25 or more" in told.err
    import soundfile

    wave, rate = soundfile.read(home / "out" / "a.wav")
    assert (len(wave), rate) == (6400, 16000)
    assert np.isfinite(wave).all()
    assert 1e-3 < np.abs(wave).max() <= 1
    assert CLIPTokenizer.from_file(home / "tokenizer.json").encode(["rain"])[0, 0] == 49406
