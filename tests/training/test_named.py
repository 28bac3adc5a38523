"""Scenes that sound like something else, and a generator that learns what is heard from words and not from motion."""

from __future__ import annotations

import argparse
import csv
import json
import re

import numpy as np
import pytest
import torch
from test_listener import features, tiny

from mfv2a.data.manifest import STATISTICS, read_facts, read_shards, write_index, write_shard
from mfv2a.data.sounds import Sound
from mfv2a.errors import ConfigError
from mfv2a.evaluation.onsets import detect_onsets
from mfv2a.jobs.items import SAMPLE_RATE_HZ
from mfv2a.models.stored import asset_path
from mfv2a.models.weights import save_network
from mfv2a.scenes import CAPTIONS


def tagger_classes():
    with asset_path("tagger", "classes.csv").open(encoding="utf-8", newline="") as file:
        return [row["display_name"] for row in csv.DictReader(file)]


def click(length_s=0.2):
    time = np.arange(round(length_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return Sound((0.6 * np.exp(-time / 0.03) * np.sin(4000 * time)).astype(np.float32), "click")


def hiss():
    return Sound(np.random.default_rng(0).normal(0, 0.1, 8 * SAMPLE_RATE_HZ).astype(np.float32), "hiss")


def test_a_voice_strikes_when_the_scene_does_and_bears_its_own_name(script):
    revoice = script("revoice")
    struck = revoice.Voices("click", ("a click", "click"), (click(),), drawn=True)
    steady = revoice.Voices("hiss", ("a hiss", "hiss"), (hiss(),), drawn=True)
    fact = {"seed": 7, "label": "bell", "captions": ["a bell"], "events": [[1.0, 1.0], [3.5, 0.5], [6.0, 0.8]]}
    named = {}
    for seed in range(40):
        wave, told = revoice.revoice([[struck, steady], [], []], fact, seed)
        assert (told["label"], told["captions"]) == ("bell", ["a bell"])
        named.setdefault(told["voice"], []).append(wave)
    assert 5 < len(named["hiss"]) < len(named["click"])
    onsets = detect_onsets(named["click"][0], SAMPLE_RATE_HZ)
    assert onsets == pytest.approx([1.0, 3.5, 6.0], abs=0.03)
    assert np.array_equal(named["hiss"][0], hiss().wave)


def test_what_rings_is_struck_and_goes_on_and_what_hisses_only_goes_on(script):
    revoice = script("revoice")
    time = np.arange(6 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    ring = Sound((np.exp(-time) * np.sin(3000 * time)).astype(np.float32), "ring")
    voices = revoice.Voices("all", ("x",), (click(), ring, hiss()), drawn=False)
    assert [sound.label for sound in voices.of(True)] == ["click", "ring"]
    assert [sound.label for sound in voices.of(False)] == ["ring", "hiss"]
    with pytest.raises(ConfigError, match="goes on"):
        revoice.draw_voices([[revoice.Voices("c", ("x",), (click(),), False)]] * 3, False, np.random.default_rng(0))


def test_drawn_hits_begin_at_once_and_steady_ones_are_whole(script, monkeypatch):
    revoice = script("revoice")
    monkeypatch.setattr(revoice, "SEEDS", 60)
    monkeypatch.setattr(revoice, "EACH", 2)
    found = {label: sounds for label, sounds in revoice.drawn_sounds().items() if sounds}
    assert len(found) > 15
    assert set(found) <= set(CAPTIONS)
    for label, sounds in found.items():
        for sound in sounds:
            assert revoice.is_short(sound) == (label not in revoice.STEADY)
            assert 0.1 * SAMPLE_RATE_HZ < len(sound.wave) <= 8 * SAMPLE_RATE_HZ


def test_a_folder_keeps_its_motion_and_gets_other_voices(script, tmp_path, monkeypatch, capsys):
    revoice = script("revoice")
    rng = np.random.default_rng(0)
    (tmp_path / "scenes").mkdir()
    items = [
        (
            {"latent": rng.normal(size=(250, 20)), "sync": rng.normal(size=(200, 64))},
            {"seed": k, "family": "f", "label": "bell", "captions": ["a bell"], "events": [[1.0, 1.0]] if k else []},
        )
        for k in range(4)
    ]
    write_shard(tmp_path / "scenes", 0, items)
    (tmp_path / "scenes" / STATISTICS).write_text(json.dumps({"latent_mean": [0.0] * 20, "latent_std": [1.0] * 20}))
    write_index(tmp_path / "scenes", {"type": "features"})
    voices = [revoice.Voices("noise", ("some noise", "noise"), (click(), hiss()), drawn=True)]
    monkeypatch.setattr(revoice, "gather", lambda *_: [voices] * 3)
    out = tmp_path / "out"
    monkeypatch.setattr("sys.argv", ["revoice", str(tmp_path / "scenes"), "--sounds", "none", "--out", str(out)])
    revoice.main()
    assert capsys.readouterr().out == "items 4\n"
    before, _ = read_shards(tmp_path / "scenes", ["latent", "sync"])
    after, facts = read_shards(out, ["latent", "sync", "voiced_latent"])
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert np.isfinite(after["voiced_latent"]).all()
    assert np.abs(after["voiced_latent"]).max() > 0
    assert {(fact["label"], fact["voice"]) for fact in facts} == {("bell", "noise")}
    assert read_facts(out / "shard-00000.safetensors") == facts
    assert (out / STATISTICS).is_file()


def test_of_revoiced_rows_those_are_kept_that_are_heard_as_their_name(script, tmp_path, monkeypatch, capsys):
    heard = script("pick_heard")
    (tmp_path / "in").mkdir()
    names = ["a dog barking", "gunshots", "a dog barking", "bell", "a dog barking", "gunshots"]
    items = [
        (
            {"latent": np.zeros((250, 20)), "sync": np.zeros((200, 64)), "voiced_latent": np.full((250, 20), k)},
            {"voice": name},
        )
        for k, name in enumerate(names)
    ]
    write_shard(tmp_path / "in", 0, items)
    (tmp_path / "in" / STATISTICS).write_text(json.dumps({"latent_mean": [0.0] * 20, "latent_std": [1.0] * 20}))
    write_index(tmp_path / "in", {"type": "features"})
    monkeypatch.setattr(heard, "is_heard", lambda latent, *_: float(latent[0, 0]) in (0, 1, 4))
    out, sights = tmp_path / "out", tmp_path / "sights"
    words = ["pick_heard", str(tmp_path / "in"), "--out", str(out), "--sights", str(sights)]
    monkeypatch.setattr("sys.argv", words)
    heard.main()
    assert capsys.readouterr().out == "2 of 3  a dog barking\n1 of 2  gunshots\n3 of 5\n"
    kept, _ = read_shards(out, ["voiced_latent"])
    assert kept["voiced_latent"][:, 0, 0].tolist() == [0, 1, 3, 4]
    alike, facts = read_shards(sights, ["voiced_latent"])
    assert sorted(set(alike["voiced_latent"][:, 0, 0].tolist())) == [0, 1, 4]
    assert [sum(fact["voice"] == name for fact in facts) for name in names[:2]] == [heard.EACH, heard.FEW]
    with pytest.raises(SystemExit, match="is there already"):
        heard.main()


def test_what_a_name_is_heard_as_are_whole_names_of_classes(script):
    wanted = script("pick_heard").wanted_classes()
    assert re.search(wanted["a dog barking"]["heard"], "bark")
    assert not re.search(wanted["a dog barking"]["heard"], "hot dog stand")
    classes = [line.lower() for line in tagger_classes()]
    assert all(any(re.search(each["heard"], name) for name in classes) for each in wanted.values())


def words_of(tmp_path, **others):
    torch.manual_seed(0)
    network = tiny(clip_dim=384, sync_dim=64, text_dim=384, text_len=16)
    save_network(tmp_path / "g.safetensors", "generator", network)
    return argparse.Namespace(
        weights=tmp_path / "g.safetensors", teacher=None, named=[features(tmp_path / "named", voiced=True, seen=True)],
        features=[features(tmp_path / "scenes", voiced=False, seen=True)], sounds=None, sounds_share=1.0, known=1,
        batch=4, named_rows=24, noise=0.0, crop_s=2.0, threads=1, seed=0, out=tmp_path / "out", text_lost=0.5,
        rate=3e-3, **others,
    )  # fmt: skip


@pytest.mark.usefixtures("few_wordings")
def test_named_rows_always_say_what_is_heard_and_are_always_of_the_voice(script, tmp_path):
    named = script("learn_named").Named(words_of(tmp_path))
    rows = named.draw(0)
    told, recognised = rows.has_text, rows.clip.abs().sum((1, 2)) > 0
    assert (told | recognised).all()
    assert (told & ~recognised).any()
    assert (recognised & ~told).any()
    assert (told & recognised).any()
    assert rows.has_video.all()
    stored, facts = read_shards(tmp_path / "named", ["latent", "voiced_latent"])
    voiced = torch.from_numpy(stored["voiced_latent"][[k for k, fact in enumerate(facts) if "voice" in fact]]).float()
    of_voice = [
        (voiced.unfold(1, rows.latent.shape[1], 1).transpose(2, 3) - row).abs().amax((2, 3)).min()
        for row in rows.latent
    ]
    with_voice = sum(float(far) < 1e-6 for far in of_voice)
    assert with_voice >= 6  # half of the items have a voice


@pytest.mark.usefixtures("few_wordings")
def test_a_generator_learns_from_named_rows_and_keeps_the_others(script, tmp_path):
    named = script("learn_named").Named(words_of(tmp_path))
    optimizer = torch.optim.AdamW(named.student.parameters(), lr=3e-3)
    told = []
    for step in range(30):
        loss, figures = named.loss(step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        told.append(figures)
    assert told[0]["kept"] < 1e-4  # it starts as what it is kept as
    first, last = (np.mean([each["energy"] for each in part]) for part in (told[:6], told[-6:]))
    assert last < 0.9 * first
    assert all(np.isfinite(list(each.values())).all() for each in told)
