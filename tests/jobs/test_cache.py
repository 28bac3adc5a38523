"""What was seen is kept: hits need no decoder and no encoder, and nothing stale or damaged is ever taken."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save, save_file

from made_videos import make_video
from mfv2a.cli import main
from mfv2a.errors import StartError
from mfv2a.jobs import cache as module
from mfv2a.jobs import stages
from mfv2a.jobs.cache import SUFFIX, FeatureCache
from mfv2a.jobs.drafts import Shot
from mfv2a.loader import encoder_digest, load_pipeline
from mfv2a.media.audio import read_audio
from mfv2a.media.video import probe_video
from mfv2a.pipeline import Pipeline, Seen

TINY = ["--model", "tiny", "--also-wav", "--quiet"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return load_pipeline("tiny", device="cpu")


def entries() -> list[Path]:
    return sorted(Path("kept").rglob(f"*{SUFFIX}"))


def last_lines(folder: str) -> dict[str, dict[str, object]]:
    lines = [json.loads(line) for line in (Path(folder) / "report.jsonl").read_text().splitlines()]
    return {line["name"] or "": line for line in lines}


def forbid(*_: object, **__: object) -> None:
    raise AssertionError("a video was looked at")


def some(seed: int = 0, length: int = 8) -> Seen:
    noise = torch.Generator().manual_seed(seed)
    return Seen(
        confidence=0.5,
        recognized=("a dog",),
        sound="a dog barking",
        strikes_s=(0.2, 1.5),
        clip=torch.randn(length, 4, generator=noise),
        sync=torch.randn(2 * length, 3, generator=noise).bfloat16(),
        movement=torch.randn(2 * length, generator=noise),
    )


def test_another_seed_prompt_or_step_count_neither_decodes_nor_encodes(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        make_video(Path(f"in/{number}.mp4"), seconds=0.5 + number / 5, seed=number)
    assert main(["dub", "in", "--out", "plain", "--seed", "7", *TINY]) == 0
    assert main(["dub", "in", "--out", "first", "--cache", "kept", *TINY]) == 0
    assert len(entries()) == 3
    monkeypatch.setattr("mfv2a.jobs.stages.see_video", forbid)
    assert main(["dub", "in", "--out", "second", "--cache", "kept", "--seed", "7", *TINY]) == 0
    assert main(["dub", "in", "--out", "third", "--cache", "kept", "--prompt", "rain", "--steps", "3", *TINY]) == 0
    plain, first, second = (last_lines(folder) for folder in ("plain", "first", "second"))
    for name, line in second.items():
        assert line["details"]["cached_features"] is True  # type: ignore[index]
        assert "decode" not in line["seconds"]  # type: ignore[operator]
        assert "cached_features" not in first[name]["details"]  # type: ignore[operator]
        for fact in ("confidence", "recognized", "strikes_s", "quiet"):
            assert line["details"][fact] == plain[name]["details"][fact]  # type: ignore[index]
        wav = Path(name).with_suffix(".wav")
        np.testing.assert_array_equal(read_audio("second" / wav).samples, read_audio("plain" / wav).samples)


def test_a_copy_under_another_name_is_a_hit_and_another_content_is_none(pipeline: Pipeline) -> None:
    make_video(Path("a.mp4"), seed=1)
    Path("b.mp4").write_bytes(Path("a.mp4").read_bytes())
    make_video(Path("c.mp4"), seed=2)
    cache = FeatureCache(Path("kept"), encoders="x", pipeline=pipeline)
    a, b, c = (cache.key(probe_video(Path(f"{name}.mp4"))) for name in "abc")
    assert a == b
    assert a != c


def test_the_key_holds_all_that_decides_what_is_seen(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    info = probe_video(make_video(Path("a.mp4")))
    usual = FeatureCache(Path("kept"), encoders="x", pipeline=pipeline).key(info)
    keys = {
        usual,
        FeatureCache(Path("kept"), encoders="y", pipeline=pipeline).key(info),
        FeatureCache(Path("kept"), encoders="x", pipeline=pipeline, semantics=False).key(info),
        FeatureCache(Path("kept"), encoders="x", pipeline=pipeline, reuse=0.0).key(info),
        FeatureCache(Path("kept"), encoders="x", pipeline=pipeline, reuse=2.0).key(info),
        FeatureCache(Path("kept"), encoders="x", pipeline=pipeline, decode_device="cuda").key(info),
        FeatureCache(Path("kept"), encoders="x", pipeline=pipeline).key(replace(info, duration_s=9.0)),
    }
    monkeypatch.setattr(module, "PREPROCESSING", module.PREPROCESSING + 1)
    keys.add(FeatureCache(Path("kept"), encoders="x", pipeline=pipeline).key(info))
    monkeypatch.setattr(module, "PREPROCESSING", module.PREPROCESSING - 1)
    monkeypatch.setattr(pipeline, "dtype", torch.float16)
    keys.add(FeatureCache(Path("kept"), encoders="x", pipeline=pipeline).key(info))
    assert len(keys) == 9


def test_models_that_share_their_encoders_share_their_features() -> None:
    assert encoder_digest("mmaudio-small-16k") == encoder_digest("mmaudio-large-44k-v2")
    assert encoder_digest("mmaudio-small-16k") != encoder_digest("embedded")


def test_what_is_kept_comes_back_as_it_was(pipeline: Pipeline) -> None:
    cache = FeatureCache(Path("kept"), encoders="x", pipeline=pipeline)
    for key, seen in {"0" * 64: some(), "1" * 64: replace(some(), clip=None), "2" * 64: Seen()}.items():
        cache.put(key, [Shot(0.0, seen)])
        ((start_s, back),) = cache.get(key) or ()
        assert start_s == 0
        assert (back.confidence, back.recognized, back.strikes_s) == (seen.confidence, seen.recognized, seen.strikes_s)
        for before, after in ((seen.clip, back.clip), (seen.sync, back.sync), (seen.movement, back.movement)):
            if before is None or after is None:
                assert before is after
            else:
                assert after.dtype == before.dtype
                assert torch.equal(after, before)


def test_the_shots_of_a_video_are_kept_in_order(pipeline: Pipeline) -> None:
    cache = FeatureCache(Path("kept"), encoders="x", pipeline=pipeline)
    shots = [Shot(0.0, some(1)), Shot(1.25, replace(some(2), clip=None)), Shot(4.0, some(3))]
    cache.put("0" * 64, shots)
    back = cache.get("0" * 64) or []
    assert [shot.start_s for shot in back] == [0.0, 1.25, 4.0]
    assert back[1].seen.clip is None
    for before, after in zip(shots, back, strict=True):
        assert before.seen.sync is not None
        assert after.seen.sync is not None
        assert torch.equal(before.seen.sync, after.seen.sync)
    info = probe_video(make_video(Path("a.mp4")))
    assert cache.key(info) != cache.key(info, split=True)


@pytest.mark.parametrize("harm", ["cut", "flip", "empty", "other", "tail", "bit", "facts", "deep", "unsaid"])
def test_a_damaged_entry_is_made_again(pipeline: Pipeline, harm: str) -> None:
    cache = FeatureCache(Path("kept"), encoders="x", pipeline=pipeline)
    cache.put("0" * 64, [Shot(0.0, some())])
    (path,) = entries()
    data = path.read_bytes()
    deep = "[" * 100_000
    harmed = {
        "cut": data[:-9],
        "flip": b"\xff" * 12 + data[12:],
        "empty": b"",
        "other": b"no safetensors at all",
        "tail": data[:-40] + bytes(40),
        "bit": data[:-1] + bytes([data[-1] ^ 1]),
        "facts": data.replace(b"a dog", b"a cat"),
        "deep": save({}, {"facts": deep, "digest": module._digest(deep, {})}),
        "unsaid": data.replace(b'"digest"', b'"dig_st"'),
    }
    assert sum(each == data for each in harmed.values()) == 0
    path.write_bytes(harmed[harm])
    assert cache.get("0" * 64) is None
    assert not path.exists()
    cache.put("0" * 64, [Shot(0.0, some())])
    assert cache.get("0" * 64) is not None


def test_what_in_the_folder_cannot_be_looked_at_costs_nothing(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    circle = Path("kept/00") / f"{'0' * 64}{SUFFIX}"
    circle.parent.mkdir(parents=True)
    circle.symlink_to(circle.name)
    cache = FeatureCache(Path("kept"), encoders="x", pipeline=pipeline, most_bytes=10_000)
    for number in range(20):  # more than it holds
        cache.put(f"f{number:063x}", [Shot(0.0, some(number))])
    assert cache.get(f"f{19:063x}") is not None
    assert cache.get("0" * 64) is None
    cache.put("0" * 64, [Shot(0.0, some())])
    assert cache.get("0" * 64) is not None
    stat = Path.stat

    def gone(path: Path, **more: Any) -> os.stat_result:
        if path.name.endswith(SUFFIX):
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(path))
        return stat(path, **more)

    monkeypatch.setattr(Path, "stat", gone)
    FeatureCache(Path("kept"), encoders="x", pipeline=pipeline, most_bytes=10_000).put("1" * 64, [Shot(0.0, some())])


def test_an_entry_of_another_user_is_read_and_left_alone(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = FeatureCache(Path("kept"), encoders="x", pipeline=pipeline)
    cache.put("0" * 64, [Shot(0.0, some())])

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "utime", refused)
    assert cache.get("0" * 64) is not None
    monkeypatch.setattr(Path, "unlink", refused)
    (path,) = entries()
    path.write_bytes(b"damaged")
    assert cache.get("0" * 64) is None
    full = FeatureCache(Path("kept"), encoders="x", pipeline=pipeline, most_bytes=3 * path.stat().st_size)
    full.put("1" * 64, [Shot(0.0, some())])
    full.put("2" * 64, [Shot(0.0, some())])  # no room, and none to be made


def test_the_longest_unused_go_first_and_the_bound_holds(pipeline: Pipeline) -> None:
    FeatureCache(Path("kept"), encoders="x", pipeline=pipeline).put("0" * 64, [Shot(0.0, some())])
    size = entries()[0].stat().st_size
    cache = FeatureCache(Path("kept"), encoders="x", pipeline=pipeline, most_bytes=5 * size)
    for number in range(1, 5):
        cache.put(str(number) * 64, [Shot(0.0, some(number))])
    for age, path in enumerate(entries()):
        os.utime(path, ns=(age * 10**9, age * 10**9))
    assert cache.get("0" * 64) is not None  # used just now
    cache.put("5" * 64, [Shot(0.0, some(5))])
    left = {path.name[0] for path in entries()}
    assert "0" in left
    assert "5" in left
    assert "1" not in left
    assert sum(path.stat().st_size for path in entries()) <= 5 * size
    tiny = FeatureCache(Path("kept"), encoders="x", pipeline=pipeline, most_bytes=10)
    tiny.put("6" * 64, [Shot(0.0, some(6))])
    assert tiny.get("6" * 64) is None


def test_several_processes_keep_one_bound(pipeline: Pipeline) -> None:
    first = FeatureCache(Path("kept"), encoders="x", pipeline=pipeline)
    first.put("0" * 64, [Shot(0.0, some())])
    size = entries()[0].stat().st_size
    most = 20 * size
    caches = [FeatureCache(Path("kept"), encoders="x", pipeline=pipeline, most_bytes=most) for _ in range(3)]
    for number in range(60):
        caches[number % 3].put(f"{number:064x}", [Shot(0.0, some(number))])
        assert sum(path.stat().st_size for path in entries()) <= most


def test_what_killed_runs_left_half_written_is_removed_in_time(pipeline: Pipeline) -> None:
    parts = [Path("kept/ab/.mfv2a-old.part"), Path("kept/ab/.mfv2a-new.part")]
    parts[0].parent.mkdir(parents=True)
    for part in parts:
        part.write_bytes(b"half")
    os.utime(parts[0], (1, 1))
    FeatureCache(Path("kept"), encoders="x", pipeline=pipeline)
    assert [part.exists() for part in parts] == [False, True]


def test_a_cache_that_cannot_be_written_costs_no_clip(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    make_video(Path("in/a.mp4"))
    make_video(Path("in/b.mp4"), seed=1)

    write = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if "kept" in path.parts:
            raise OSError(28, "No space left on device")
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    assert main(["dub", "in", "--out", "out", "--cache", "kept", *TINY]) == 0
    assert not list(Path("kept").rglob("*.part"))
    assert sum("the run goes on without" in record.getMessage() for record in caplog.records) == 1


def test_a_video_that_changes_while_it_is_looked_at_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    make_video(Path("in/a.mp4"))
    see = stages.see_video

    def replaced(*args: Any, **more: Any) -> Seen:
        make_video(Path("in/a.mp4"), seconds=2.0, seed=9)
        return see(*args, **more)

    monkeypatch.setattr(stages, "see_video", replaced)
    assert main(["dub", "in", "--out", "out", "--cache", "kept", *TINY]) == 3
    assert entries() == []
    assert "has changed" in str(last_lines("out"))


def test_a_cache_in_a_place_that_cannot_be_is_refused_before_anything_is_made(pipeline: Pipeline) -> None:
    Path("file").write_text("x")
    with pytest.raises(StartError, match="--cache file/kept cannot be made"):
        FeatureCache(Path("file/kept"), encoders="x", pipeline=pipeline)


def test_an_entry_that_holds_what_is_no_number_is_made_again(pipeline: Pipeline) -> None:
    make_video(Path("in/a.mp4"), seconds=0.5)
    assert main(["dub", "in", "--out", "first", "--cache", "kept", *TINY]) == 0
    (path,) = entries()
    with safe_open(path, framework="pt") as file:
        facts, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    first = next(iter(tensors))
    tensors[first] = torch.full_like(tensors[first], float("nan"))
    save_file(tensors, path, facts | {"digest": module._digest(facts["facts"], tensors)})
    assert main(["dub", "in", "--out", "second", "--cache", "kept", "--seed", "2", *TINY]) == 0
    (line,) = last_lines("second").values()
    assert "decode" in line["seconds"]  # type: ignore[operator]
