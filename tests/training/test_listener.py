"""The scripts that teach a finished generator: a listener tells what it learned to tell, which reaches what is made."""

from __future__ import annotations

import argparse
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mfv2a.data.manifest import write_shard
from mfv2a.errors import DivergenceError
from mfv2a.models.mmaudio import MMAudio, MMAudioConfig
from mfv2a.models.weights import save_network

CHANNELS = 4
SLOW, FAST = 8, 1.3  # frames a radian


def features(folder, *, voiced, seen=False):
    """Two labels: one whose latents swing slowly, one fast; the other way round in what is voiced."""
    rng, time = np.random.default_rng(0), np.arange(120)[:, None]
    folder.mkdir()
    items = []
    for k in range(32):
        slow, fast = (np.sin(time / pace + rng.uniform(0, 6, CHANNELS)) for pace in (SLOW, FAST))
        arrays = {"latent": fast if k % 2 else slow} | ({"voiced_latent": slow if k % 2 else fast} if voiced else {})
        arrays |= {"sync": np.zeros((96, 64), np.float32)} if seen else {}
        facts = {"label": "rain" if k % 2 else "wind", "captions": ["x"], "family": "f"}
        items.append((arrays, facts | ({"voice": "hum", "voice_captions": ["y"]} if voiced and k % 2 else {})))
    write_shard(folder, 0, items)
    return folder


def test_a_listener_tells_what_it_has_not_heard_and_is_kept(script, tmp_path):
    save_network(tmp_path / "g.safetensors", "generator", tiny())
    words = argparse.Namespace(
        generator=tmp_path / "g.safetensors", features=[features(tmp_path / "scenes", voiced=True)],
        sounds=[features(tmp_path / "sounds", voiced=False)], minutes=5.0, steps=40, rate=2e-3, crop_s=2.0,
        threads=1, seed=0, out=tmp_path / "out",
    )  # fmt: skip
    script("learn_listener").learn(words)
    listener = script("listener").Listener.load(tmp_path / "out" / "listener.safetensors").eval()
    assert listener.labels == ("rain", "recording: hum", "recording: rain", "recording: wind", "wind")
    time = torch.arange(62.0)[None, :, None]
    slow, fast = (torch.sin(time / pace + torch.arange(CHANNELS)) for pace in (SLOW, FAST))
    told = [listener.labels[k] for k in listener(torch.cat([slow, fast])).logits.argmax(1)]
    assert told[0] in ("wind", "recording: wind", "recording: hum")
    assert told[1] in ("rain", "recording: rain")


def tiny(*, clip_dim=6, sync_dim=5, text_dim=6, text_len=3):
    return MMAudio(
        MMAudioConfig(
            latent_dim=CHANNELS, clip_dim=clip_dim, sync_dim=sync_dim, text_dim=text_dim, text_len=text_len, dim=16,
            num_heads=2, joint_depth=1, fused_depth=1, mlp_ratio=1.0, average=True,
        )
    )  # fmt: skip


def test_what_is_heard_is_nearer_for_the_true_sound_and_moves_what_is_made(script):
    Listener, BeingHeard = script("listener").Listener, script("learn_heard").BeingHeard
    torch.manual_seed(0)
    listener = Listener(CHANNELS, ["a", "b", "c"]).eval().requires_grad_(False)
    x = torch.randn(2, 40, CHANNELS)
    listener.measure(x)
    made = torch.stack([x + 0.5 * torch.randn_like(x), x + 0.5 * torch.randn_like(x)]).requires_grad_()
    here = SimpleNamespace(listener=listener)
    score, labels = BeingHeard.listen(here, made, x)
    far, farther = BeingHeard.listen(here, torch.randn(2, *x.shape) * 3, x)
    same = BeingHeard.listen(here, torch.stack([x, x]), x)
    assert score.shape == labels.shape == (2,)
    assert (score < far).all()
    assert (labels < farther).all()
    assert torch.allclose(torch.stack(same), torch.zeros(2, 2), atol=1e-3)
    (score + labels).sum().backward()
    assert made.grad.isfinite().all()
    assert made.grad.abs().amax((2, 3)).min() > 0


@pytest.mark.usefixtures("few_wordings")
@pytest.mark.parametrize(("mute", "learns"), [(None, True), (1.0, True), (0.0, False)])
def test_rows_without_a_caption_learn_as_asked_and_are_kept_otherwise(script, tmp_path, mute, learns):
    save_network(tmp_path / "g.safetensors", "generator", tiny())
    script("listener").Listener(CHANNELS, ["a"]).save(tmp_path / "listener.safetensors")
    words = argparse.Namespace(
        weights=tmp_path / "g.safetensors", kept=None, listener=tmp_path / "listener.safetensors",
        features=[features(tmp_path / "scenes", voiced=False, seen=True)], sounds=None, sounds_share=1.0, known=1,
        batch=16, noise=0.0, crop_s=2.0, threads=1, seed=0, out=tmp_path / "out",
        true_seen=1.0, true_mute=mute, true_recorded=1.0, text_lost=0.5,
    )  # fmt: skip
    rows, _, true = script("learn_heard").BeingHeard(words).draw(0)
    seen, mute_rows = rows.has_video, rows.has_video & ~rows.has_text
    assert 0 < mute_rows.sum() < seen.sum() < 16
    assert not true[~seen].any()
    assert true[seen & rows.has_text].all()
    assert true[mute_rows].all() == learns
    assert true[mute_rows].any() == learns


@pytest.mark.usefixtures("few_wordings")
def test_rows_are_to_be_what_the_teacher_of_their_kind_makes(script, tmp_path):
    torch.manual_seed(0)
    for name in ("student", "other"):
        network = tiny(clip_dim=384, sync_dim=64, text_dim=384, text_len=16)
        for weight in network.parameters():
            torch.nn.init.normal_(weight, std=0.2)
        save_network(tmp_path / f"{name}.safetensors", "generator", network)
    words = argparse.Namespace(
        weights=tmp_path / "student.safetensors", seen_told=None, mute=tmp_path / "other.safetensors", words_alone=None,
        features=[features(tmp_path / "scenes", voiced=False, seen=True)],
        sounds=[features(tmp_path / "sounds", voiced=False)], sounds_share=1.0, known=1, batch=16, crop_s=2.0,
        threads=1, seed=0, out=tmp_path / "out", text_lost=0.5, rate=1e-3,
    )  # fmt: skip
    apart = script("learn_apart").Apart(words)
    kinds = torch.stack(apart.kinds(apart.draw(0)))
    assert (kinds.sum(0) == 1).all()
    assert (kinds.sum(1) > 0).all()
    loss, missed = apart.loss(0)
    assert missed["seen_told"] < 1e-9
    assert missed["words_alone"] < 1e-9
    assert missed["mute"] > 1e-3
    loss.backward()
    assert all(weight.grad is None or weight.grad.isfinite().all() for weight in apart.student.parameters())


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_loss_that_is_no_number_ends_a_script_and_leaves_what_was_saved(script, precision, tmp_path, monkeypatch):
    learning = script("learning")
    monkeypatch.setattr(learning, "SAVED_EVERY", 1)

    class Spoiled(learning.Learning):
        def loss(self, step):
            total = sum(weight.square().sum() for weight in self.student.parameters())
            return total * (math.nan if step == 2 else 1.0), {}

    save_network(tmp_path / "g.safetensors", "generator", tiny())
    words = argparse.Namespace(
        weights=tmp_path / "g.safetensors", minutes=5.0, rate=1e-3, threads=1, seed=0, precision=precision,
        out=tmp_path / "out",
    )  # fmt: skip
    with pytest.raises(DivergenceError, match="step 2"):
        Spoiled(words, "spoiled").run()
    kept, facts = learning.load_generator(tmp_path / "out" / "final.safetensors")
    assert facts["spoiled"]["steps"] == 2
    assert all(weight.isfinite().all() for weight in kept.parameters())
