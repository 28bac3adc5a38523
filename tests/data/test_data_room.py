"""Shards, arrangements of sounds, targets and dropped conditions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mfv2a.data.batch import TrainingBatch, disturb_text, drop_conditions
from mfv2a.data.manifest import keep_settings, read_facts, read_settings, read_shards, shard_path, write_shard
from mfv2a.data.mapped import MappedSet
from mfv2a.data.sounds import Sound, arrange, onset_sample, trim_silence, voice_events
from mfv2a.data.targets import band_energies, onset_curve
from mfv2a.errors import ConfigError

RATE = 16000


def click(length=800, at=100):
    wave = np.zeros(length, np.float32)
    wave[at] = 0.8
    wave[at + 1 : at + 200] = 0.3 * np.exp(-np.arange(199) / 40)
    return wave


def test_shards_come_back_in_order(tmp_path):
    for shard in (0, 1):
        items = [({"mel": np.full((2, 3), 10 * shard + k)}, {"label": f"{shard}{k}"}) for k in range(2)]
        write_shard(tmp_path, shard, items)
    arrays, facts = read_shards(tmp_path, ["mel"])
    assert arrays["mel"].dtype == np.float16
    assert arrays["mel"][:, 0, 0].tolist() == [0, 1, 10, 11]
    assert [fact["label"] for fact in facts] == ["00", "01", "10", "11"]
    assert not list(tmp_path.glob(".*"))


def test_facts_may_hold_separators_of_lines(tmp_path):
    path = write_shard(tmp_path, 0, [({"mel": np.zeros(2)}, {"label": "a"})])
    path.with_suffix(".jsonl").write_text('{"label": "rain\u2028wind"}\n', encoding="utf-8")
    assert read_facts(path) == [{"label": "rain\u2028wind"}]


def test_transposed_arrays_are_stored_as_they_read(tmp_path):
    rows = np.arange(12.0).reshape(3, 4)
    write_shard(tmp_path, 0, [({"mel": rows.T}, {}), ({"mel": rows.T + 100}, {})])
    arrays, _ = read_shards(tmp_path, ["mel"])
    assert np.array_equal(arrays["mel"], np.stack([rows.T, rows.T + 100]))


def test_missing_features_are_named(tmp_path):
    with pytest.raises(ConfigError, match="no features"):
        read_shards(tmp_path, ["mel"])
    write_shard(tmp_path, 0, [({"mel": np.zeros(1)}, {})])
    with pytest.raises(ConfigError, match="holds no sync"):
        read_shards(tmp_path, ["sync"])


def test_damaged_shards_are_named(tmp_path):
    path = write_shard(tmp_path, 0, [({"mel": np.zeros(1)}, {})])
    facts = path.with_suffix(".jsonl")
    for text in ('{"a": 1}\n{"b": 2}\n', "{cut"):
        facts.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError, match=r"shard-00000.*(different items|damaged)"):
            read_shards(tmp_path, ["mel"])
    facts.unlink()
    with pytest.raises(ConfigError, match=r"shard-00000\.jsonl: No such file"):
        read_shards(tmp_path, ["mel"])
    path.write_bytes(path.read_bytes()[:-1])
    for read in (lambda: read_shards(tmp_path, ["mel"]), lambda: MappedSet.open(tmp_path)):
        with pytest.raises(ConfigError, match=r"shard-00000\.safetensors is damaged"):
            read()


def test_silence_is_trimmed_at_both_ends():
    wave = np.concatenate([np.zeros(8000), 0.5 * np.ones(1600), np.zeros(8000)]).astype(np.float32)
    trimmed = trim_silence(wave, RATE)
    assert 1600 <= len(trimmed) <= 1600 + 4 * 80


def test_voices_are_heard_on_the_events():
    rng = np.random.default_rng(0)
    sound = Sound(click(), "click")
    times = [0.0, 0.5, 1.25]
    track = voice_events(sound, times, [1, 1, 1], 2 * RATE, RATE, rng)
    assert len(track) == 2 * RATE
    for time in times:
        window = track[round(time * RATE) : round(time * RATE) + 200]
        assert onset_sample(window) < 0.005 * RATE
    assert np.abs(track[round(0.1 * RATE) : round(0.45 * RATE)]).max() < 1e-3


def test_a_strong_event_is_louder():
    track = voice_events(Sound(click(), "c"), [0.2, 1.0], [0.1, 1.0], 2 * RATE, RATE, np.random.default_rng(1))
    assert np.abs(track[: RATE // 2]).max() < 0.7 * np.abs(track[RATE // 2 :]).max()


@pytest.mark.parametrize("length", [300, 20000, 200000])
def test_arrangements_fill_the_asked_length(length):
    wave = np.random.default_rng(2).normal(0, 0.1, length).astype(np.float32)
    track = arrange(Sound(wave, "noise"), 4 * RATE, RATE, np.random.default_rng(3))
    assert track.shape == (4 * RATE,)
    assert 0.25 < np.abs(track).max() <= 0.9
    again = arrange(Sound(wave, "noise"), 4 * RATE, RATE, np.random.default_rng(3))
    assert np.array_equal(track, again)


def test_onset_bumps_stand_on_the_events():
    curve = onset_curve([0.4, 1.0], 50)
    assert curve[10] == pytest.approx(1)
    assert curve[25] == pytest.approx(1)
    assert curve[17] < 0.01
    assert onset_curve([], 5).tolist() == [0] * 5


def test_band_energies_follow_the_mel_in_time():
    mel = np.full((80, 500), -5.0, np.float32)
    mel[:10, 250:] = 0.0
    bands = band_energies(mel, 200)
    assert bands.shape == (200, 8)
    assert bands[50, 0] == pytest.approx(-2)
    assert bands[150, 0] == pytest.approx(3)
    assert bands[150, 7] == pytest.approx(-2)


def test_conditions_are_dropped_in_their_shares():
    rows = 4000
    ones, zeros = torch.ones(rows, dtype=torch.bool), torch.zeros(rows, 1, 1)
    batch = TrainingBatch(latent=zeros, clip=zeros, sync=zeros, text=zeros, has_video=ones, has_text=ones)
    draw = torch.rand(rows, generator=torch.Generator().manual_seed(0))
    kept = drop_conditions(batch, both=0.1, video=0.2, text=0.3, draw=draw)
    both = (~kept.has_video & ~kept.has_text).float().mean().item()
    assert both == pytest.approx(0.1, abs=0.02)
    assert (~kept.has_video).float().mean().item() == pytest.approx(0.3, abs=0.03)
    assert (~kept.has_text).float().mean().item() == pytest.approx(0.4, abs=0.03)


def test_text_is_disturbed_in_the_share_of_its_size():
    yes, zeros = torch.ones(2, dtype=torch.bool), torch.zeros(2, 1, 1)
    text = torch.tensor([1.0, 10.0])[None, :, None].expand(2, 2, 2000)
    batch = TrainingBatch(latent=zeros, clip=zeros, sync=zeros, text=text, has_video=yes, has_text=yes)
    noise = torch.randn(text.shape, generator=torch.Generator().manual_seed(0))
    added = disturb_text(batch, noise, torch.tensor([0.0, 0.3])).text - text
    assert not added[0].any()
    assert added[1].std(dim=-1).tolist() == pytest.approx([0.3, 3.0], rel=0.1)


def test_a_missing_modality_is_never_invented():
    no = torch.zeros(50, dtype=torch.bool)
    zeros = torch.zeros(50, 1, 1)
    batch = TrainingBatch(latent=zeros, clip=zeros, sync=zeros, text=zeros, has_video=no, has_text=~no)
    assert not drop_conditions(batch, both=0.1, video=0.1, text=0.1, draw=torch.linspace(0, 0.99, 50)).has_video.any()


def test_settings_that_are_left_out_count_as_others(tmp_path):
    keep_settings(tmp_path, {"count": 2, "sounds": "abc"}, grows="count")
    keep_settings(tmp_path, {"count": 3, "sounds": "abc"}, grows="count")
    shard_path(tmp_path, 0).touch()
    for settings in ({"count": 3}, {"count": 3, "sounds": "abc", "label": "x"}, {"count": 2, "sounds": "abc"}):
        with pytest.raises(ConfigError, match="was begun with another"):
            keep_settings(tmp_path, settings, grows="count")


def test_a_folder_without_a_shard_takes_other_settings(tmp_path):
    keep_settings(tmp_path, {"count": 2, "sounds": "abc"})
    keep_settings(tmp_path, {"count": 1, "sounds": "mended"})
    assert read_settings(tmp_path) == {"count": 1, "sounds": "mended"}
