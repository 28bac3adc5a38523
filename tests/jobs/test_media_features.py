"""Videos and recordings to a public model's features: what is stored, what is left out, and going on after a stop."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

import tiny_mmaudio
from local_hub import running_hub
from made_videos import make_video
from mfv2a.cli import main
from mfv2a.config import SourceConfig
from mfv2a.data.manifest import write_shard
from mfv2a.data.mapped import MappedSet
from mfv2a.jobs import media_features
from mfv2a.jobs.media_pieces import Cut, find_media
from mfv2a.jobs.sight import decode_clip
from mfv2a.loader import load_pipeline
from mfv2a.media.audio import write_audio
from mfv2a.media.probe import probe_video
from mfv2a.models.mel import MelSpectrogram
from mfv2a.records import Audio

RUN = """
out = "features"
model = "tiny-mm-16k"
duration_s = 1.0
shard_items = 2
batch_size = 3
workers = 1
[source]
type = "videos"
path = "videos"
listing = "list.csv"
"""
RECORDINGS = RUN.replace('"videos"', '"recordings"').replace("features", "sounds").replace('listing = "list.csv"', "")


@pytest.fixture(scope="module")
def published():
    return tiny_mmaudio.files()


@pytest.fixture
def lab(tmp_path, monkeypatch, published):
    """Five videos in VGGSound's names, one of them damaged and one mute, and a list with one more."""
    for name in ("HF_HUB_CACHE", "HF_TOKEN", "HF_HUB_OFFLINE", "RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MFV2A_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.chdir(tmp_path)
    tiny_mmaudio.add_sizes(monkeypatch)
    tiny_mmaudio.write_register(tmp_path, monkeypatch)
    for k in range(5):
        make_video(Path(f"videos/id{k}_00001{k}.mp4"), seconds=2.3 if k == 0 else 1.0, seed=k, sound=k != 3)
    Path("videos/id2_000012.mp4").write_bytes(b"no video")
    Path("list.csv").write_text("".join(f"id{k},1{k},dog barking {k},train\n" for k in range(6)))
    with running_hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        hub.files |= published
        yield tmp_path


def extract(text=RUN, *words):
    Path("x.toml").write_text(text)
    return main(["extract", "x.toml", *words])


def arrays(folder):
    return {path.name: load_file(path) for path in sorted(Path(folder).glob("shard-*.safetensors"))}


def assert_equal_sets(first, second):
    a, b = arrays(first), arrays(second)
    assert a.keys() == b.keys()
    for name, held in a.items():
        assert all(np.array_equal(held[key], b[name][key]) for key in held | b[name]), name
        other = (Path(second) / name).with_suffix(".jsonl")
        assert (Path(first) / name).with_suffix(".jsonl").read_text() == other.read_text()


def test_videos_become_a_set_that_training_reads(lab, capfd):
    assert extract() == 0
    out, err = capfd.readouterr()
    assert out == "features\n"
    assert "1 clip of the list not in the folder" in err
    assert "id2_000012.mp4: " in err
    assert "id3_000013.mp4: has no sound to learn from" in err
    stored = MappedSet.open(lab / "features")
    index = json.loads((lab / "features" / "index.json").read_text())
    assert stored.shapes == {
        "latent": (32, 20), "latent_std": (32, 20), "clip": (8, 24), "sync": (16, 24), "text": (77, 24),
    }  # fmt: skip
    assert [shard["items"] for shard in index["shards"]] == [3, 0, 1], (
        "two windows of the first, none of the second two"
    )
    assert (index["items"], index["failed"], index["model"]) == (len(stored), 2, "tiny-mm-16k")
    assert index["arrays"] == {name: list(shape) for name, shape in stored.shapes.items()}
    facts = [json.loads(line) for line in (lab / "features" / "shard-00000.jsonl").read_text().splitlines()]
    assert [(fact["id"], fact["start_s"], fact["caption"]) for fact in facts] == [
        ("id0", 0.0, "dog barking 0"), ("id0", 1.0, "dog barking 0"), ("id1", 0.0, "dog barking 1"),
    ]  # fmt: skip


def test_the_features_are_those_that_dub_sees_and_the_latents_those_of_the_codec(lab):
    assert extract() == 0
    pipeline = load_pipeline("tiny-mm-16k", device="cpu", dtype="float32")
    info = probe_video(Path("videos/id1_000011.mp4"))
    work = pipeline.prepare(decode_clip(info, pipeline), prompt="dog barking 1")
    stored = MappedSet.open(lab / "features")
    for name, tensor in (("clip", work.clip), ("sync", work.sync), ("text", work.text.tokens)):
        assert np.array_equal(stored.read(name, 2), tensor.half().float().numpy()), name
    from mfv2a.media.tracks import read_track

    wave = read_track(info, info.streams[1].index, 16000).mean(1)
    padded = np.pad(wave, (0, 32 * 512 - len(wave)))[None]
    with torch.inference_mode():
        mean, std = pipeline.vae.encode(MelSpectrogram()(torch.from_numpy(padded)))
    # Encoded beside others: the last bit may differ.
    assert np.allclose(stored.read("latent", 2), mean[0].numpy(), rtol=2e-3, atol=2e-3)
    assert np.allclose(stored.read("latent_std", 2), std[0].numpy(), rtol=2e-3, atol=2e-3)


def test_statistics_are_those_of_all_latents(lab):
    assert extract() == 0
    latents = np.concatenate([held["latent"] for held in arrays("features").values()]).astype(np.float64)
    told = json.loads((lab / "features" / "statistics.json").read_text())
    assert np.allclose(told["latent_mean"], latents.mean((0, 1)))
    assert np.allclose(told["latent_std"], latents.std((0, 1)))


def test_after_a_stop_between_shards_only_what_is_missing_is_made(lab, monkeypatch, capfd):
    assert extract() == 0
    real, made = media_features.write_shard, []

    def stop_at_the_second(folder, index, items, **words):
        if index == 1:
            raise KeyboardInterrupt
        made.append(index)
        return real(folder, index, items, **words)

    again = RUN.replace('"features"', '"again"')
    monkeypatch.setattr(media_features, "write_shard", stop_at_the_second)
    assert extract(again) == 130
    assert not Path("again/index.json").exists()
    first = Path("again/shard-00000.safetensors").stat().st_mtime_ns
    monkeypatch.setattr(media_features, "write_shard", real)
    assert extract(again) == 0
    assert made == [0]
    assert Path("again/shard-00000.safetensors").stat().st_mtime_ns == first
    assert_equal_sets("features", "again")
    assert json.loads(Path("again/index.json").read_text()) == json.loads(Path("features/index.json").read_text())
    monkeypatch.setattr(media_features, "MediaEncoder", None)
    assert extract(again) == 0, "a finished set needs no network"
    capfd.readouterr()


def test_two_processes_make_the_set_of_one(lab, monkeypatch, capfd):
    assert extract() == 0
    shared = RUN.replace('"features"', '"shared"')
    monkeypatch.setenv("WORLD_SIZE", "2")
    capfd.readouterr()
    monkeypatch.setenv("RANK", "1")
    assert extract(shared) == 0
    assert capfd.readouterr().out == "", "the first process alone tells the folder"
    assert sorted(arrays("shared")) == ["shard-00001.safetensors"]
    assert not Path("shared/index.json").exists()
    monkeypatch.setenv("RANK", "0")
    assert extract(shared) == 0
    assert capfd.readouterr().out == "shared\n"
    assert_equal_sets("features", "shared")
    for name in ("index.json", "statistics.json"):
        assert Path("shared", name).read_text() == Path("features", name).read_text()


def test_recordings_have_no_pictures_and_are_cut_to_windows(lab, capfd):
    Path("recordings").mkdir()
    rng = np.random.default_rng(0)
    for name, seconds in (("a.wav", 3.6), ("b.wav", 0.7)):
        wave = rng.uniform(-0.3, 0.3, round(16000 * seconds)).astype(np.float32)
        write_audio(Path("recordings", name), Audio(samples=wave, sample_rate_hz=16000))
    assert extract(RECORDINGS) == 0
    assert "b.wav: is too short: 0.70 s of 1 s" in capfd.readouterr().err
    stored = MappedSet.open(lab / "sounds")
    assert len(stored) == 3
    assert set(stored.shapes) == {"latent", "latent_std", "text"}
    assert extract(RECORDINGS.replace("sounds", "few") + "shortest_s = 0.5\nwindows = 2\n") == 0
    assert len(MappedSet.open(lab / "few")) == 3, "two of the first, and the second with silence after it"


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (RUN.replace("tiny-mm-16k", "embedded"), 2, "no public MMAudio model"),
        (RUN.replace("duration_s = 1.0", "duration_s = 9.0"), 2, "last 8 s, not 9 s"),
        (RUN.replace('path = "videos"', 'path = "nowhere"'), 2, "no folder"),
        (RUN.replace('model = "tiny-mm-16k"', ""), 2, 'goes with a source of type "videos"'),
        (RUN.replace("list.csv", "other.csv"), 2, "other.csv"),
    ],
)
def test_what_cannot_be_extracted_is_told(lab, capfd, text, code, words):
    assert extract(text) == code
    assert words in capfd.readouterr().err


def test_a_folder_keeps_to_the_settings_it_was_begun_with(lab, capfd):
    assert extract() == 0
    assert extract(RUN.replace("shard_items = 2", "shard_items = 3")) == 2
    assert "begun with another shard_items" in capfd.readouterr().err


def test_a_list_of_which_nothing_can_be_read_is_told(lab, capfd):
    Path("list.csv").write_text("id2,12,x,train\nid3,13,y,train\n")
    assert extract() == 2
    assert "holds no item" in capfd.readouterr().err


def test_a_folder_named_like_a_video_is_none(tmp_path):
    (tmp_path / "x.mp4").mkdir()
    (tmp_path / "x.mp4" / "y.mp4").touch()
    found, _ = find_media(SourceConfig(type="videos", path=str(tmp_path)))
    assert [listed.item.file for listed in found] == ["x.mp4/y.mp4"]


def test_windows_follow_each_other_within_their_stretch():
    cut = Cut(duration_s=8.0, samples=1, rate_hz=1)
    assert cut.starts(0.0, 10.0) == [0.0]
    assert cut.starts(0.0, 7.96) == [0.0]
    assert cut.starts(0.0, 7.9) == []
    assert cut.starts(2.0, 18.0) == [2.0, 10.0]
    assert Cut(duration_s=8.0, samples=1, rate_hz=1, windows=1).starts(0.0, 60.0) == [0.0]


def test_a_shard_of_no_items_lies_among_others(tmp_path):
    shapes = {"latent": (3, 2)}
    for k, values in enumerate(([1.0], [], [2.0, 3.0])):
        items = [({"latent": np.full((3, 2), value)}, {}) for value in values]
        write_shard(tmp_path, k, items, shapes=shapes)
    stored = MappedSet.open(tmp_path)
    assert [float(stored.read("latent", k)[0, 0]) for k in range(len(stored))] == [1.0, 2.0, 3.0]


@pytest.mark.slow
def test_torchrun_deals_shards_to_processes(tmp_path):
    """Whole processes, each of which makes the tiny model known to itself."""
    script = tmp_path / "two.py"
    tests = Path(tiny_mmaudio.__file__).parent
    script.write_text(
        f"import sys\nsys.path.insert(0, {str(tests)!r})\n"
        "import pytest, tiny_mmaudio\n"
        "patch = pytest.MonkeyPatch()\n"
        "tiny_mmaudio.add_sizes(patch)\n"
        "from mfv2a.cli import main\n"
        "sys.exit(main(['extract', 'x.toml']))\n"
    )
    with pytest.MonkeyPatch.context() as patch, running_hub() as hub:
        hub.files |= tiny_mmaudio.files()
        patch.chdir(tmp_path)
        tiny_mmaudio.write_register(tmp_path, patch)
        for k in range(4):
            make_video(Path(f"videos/{k}.mp4"), seconds=1.0, seed=k, sound=True)
        Path("x.toml").write_text(RUN.replace("shard_items = 2", "shard_items = 1").replace('listing = "list.csv"', ""))
        environment = {
            **os.environ,
            "HF_ENDPOINT": hub.address,
            "HF_HOME": str(tmp_path / "hf"),
            "OMP_NUM_THREADS": "1",
        }
        environment |= {"MFV2A_HOME": str(tmp_path / "home"), "PYTHONPATH": os.pathsep.join(sys.path)}
        words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["features"]
    assert len(MappedSet.open(tmp_path / "features")) == 4
    assert (tmp_path / "features" / "index.json").is_file()


def test_hidden_files_and_folders_are_not_searched(tmp_path):
    for name in ("a.mp4", ".b.mp4", ".hidden/c.mp4", "d/.mfv2a/e.mp4", "d/f.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found, missing = find_media(SourceConfig(type="videos", path=str(tmp_path)))
    assert ([listed.path.name for listed in found], missing) == (["a.mp4", "f.mp4"], 0)
