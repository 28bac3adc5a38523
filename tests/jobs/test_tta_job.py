"""How sounds made from words are named and seeded."""

from __future__ import annotations

import os
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from mfv2a.cli import main
from mfv2a.errors import ConfigError, MediaError, SoundError
from mfv2a.jobs.sound import SoundOptions
from mfv2a.jobs.sound_maker import SoundMaker
from mfv2a.jobs.sound_names import slug
from mfv2a.jobs.tta import TtaOptions, make_sounds, plan_takes
from mfv2a.media.loudness import true_peak_dbtp
from mfv2a.pipeline import Pipeline
from scarce_memory import let_fit


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(*prompts: str, out: str = "", variants: int = 1) -> list[str]:
    return [str(take.path) for take in plan_takes(prompts, TtaOptions(out=out, variants=variants))]


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("Rain on a tin roof!", "rain-on-a-tin-roof"),
        ("../../etc/passwd", "etc-passwd"),
        ("Straße 漢字", "straße-漢字"),
        ("?!", "sound"),
        ("🐶", "dog-face"),
        ("🐶 barks", "barks"),
        ("word " * 2000, ("word-" * 12).rstrip("-")),
    ],
)
def test_a_file_is_named_after_its_prompt(prompt: str, name: str) -> None:
    assert slug(prompt) == name


def test_one_sound_takes_the_name_it_is_given_and_several_are_numbered() -> None:
    assert names("a", out="x.flac") == ["x.flac"]
    assert names("a", out="sub/x.wav", variants=3) == ["sub/x-1.wav", "sub/x-2.wav", "sub/x-3.wav"]
    assert names(*"abcdefghij", out="x.wav")[::9] == ["x-01.wav", "x-10.wav"]


def test_made_up_names_never_replace_a_file(here: Path) -> None:
    assert names("rain", "hail", variants=2) == ["rain.wav", "rain-2.wav", "hail.wav", "hail-2.wav"]
    (here / "rain.wav").touch()
    assert names("rain", "Rain") == ["rain-2.wav", "rain-3.wav"]
    (here / "sounds").mkdir()
    (here / "x-2.wav").touch()
    assert names("rain", "hail", out="x.wav") == ["x-1.wav", "x-3.wav"]
    assert names("rain", out="sounds") == names("rain", out="sounds/") == ["sounds/rain.wav"]


def test_a_name_that_another_run_took_meanwhile_is_not_replaced(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = Pipeline.sample

    def late(self: Pipeline, works: Any, options: Any) -> Any:
        (here / "rain.wav").write_bytes(b"of another run")
        return sample(self, works, options)

    monkeypatch.setattr(Pipeline, "sample", late)
    told: list[Path | None] = []
    options = TtaOptions(sound=SoundOptions(model="tiny"), duration_s=0.2, variants=2)
    make_sounds(
        plan_takes(["rain"], options), options, begin=lambda *_: None, done=lambda take, *_: told.append(take.path)
    )
    assert (here / "rain.wav").read_bytes() == b"of another run"
    assert sorted(map(str, told)) == ["rain-2-2.wav", "rain-2.wav"]
    assert sorted(path.name for path in here.iterdir()) == ["rain-2-2.wav", "rain-2.wav", "rain.wav"]
    named = replace(options, out="rain.wav", variants=1)
    make_sounds(plan_takes(["rain"], named), named, begin=lambda *_: None, done=lambda take, *_: told.append(take.path))
    assert (here / "rain.wav").read_bytes()[:4] == b"RIFF"


def test_a_name_is_given_back_where_no_sound_is_written(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise MediaError(here / "rain.wav", "cannot be written: Input/output error")

    monkeypatch.setattr("mfv2a.media.audio.write_audio", full)
    options = TtaOptions(sound=SoundOptions(model="tiny"), duration_s=0.2)
    with pytest.raises(MediaError):
        make_sounds(plan_takes(["rain"], options), options, begin=lambda *_: None, done=lambda *_: None)
    assert not list(here.iterdir())


def test_names_of_many_alike_are_each_looked_for_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []
    exists = os.path.lexists
    monkeypatch.setattr(os.path, "lexists", lambda path: asked.append(path) or exists(path))
    (here / "rain-3.wav").touch()
    made = names("rain 2", *["rain", "Rain!"] * 100, "hail")
    assert made[:5] == ["rain-2.wav", "rain.wav", "rain-4.wav", "rain-5.wav", "rain-6.wav"]
    assert made[-2:] == ["rain-202.wav", "hail.wav"]
    assert len(asked) == len(made) + 2  # rain-2.wav once more, and the one that is there


@pytest.mark.parametrize(
    ("prompts", "options"),
    [
        ([], {}),
        (["rain", "  "], {}),
        (["a", "b"], {"out": "-"}),
        (["a"], {"out": "-", "variants": 2}),
        (["a"], {"out": "x.mp4"}),
        (["a"], {"out": "noend"}),
        (["a"], {"duration_s": 0.0}),
        (["a"], {"duration_s": 1e-5}),
        (["a"], {"duration_s": float("nan")}),
        (["a"], {"duration_s": 1e9}),
        (["a"], {"variants": 0}),
    ],
)
def test_what_cannot_work_is_refused_with_what_to_do(prompts: list[str], options: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as caught:
        plan_takes(prompts, TtaOptions(**options))  # type: ignore[arg-type]
    assert caught.value.hint


def test_every_take_has_its_own_noise_and_keeps_it() -> None:
    takes = plan_takes(["rain", "hail"], TtaOptions(variants=2))
    assert len({take.seed for take in takes}) == 4
    assert plan_takes(["hail"], TtaOptions())[0].seed == takes[2].seed
    assert plan_takes(["hail"], TtaOptions(sound=SoundOptions(seed=1)))[0].seed != takes[2].seed


def test_prompts_are_sampled_in_smaller_batches_while_memory_is_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    sample = Pipeline.sample

    def short(self: Pipeline, works: Any, options: Any) -> Any:
        sizes.append(options.batch_size)
        if options.batch_size > most:
            raise torch.OutOfMemoryError("no memory")
        return sample(self, works, options)

    monkeypatch.setattr(Pipeline, "sample", short)
    words = ["tta", "rain", "wind", "sea", "--model", "tiny", "--duration", "0.2", "-o", f"{tmp_path}/"]
    most = 2
    assert main(words) == 0
    assert sizes == [8, 4, 2]
    most = 0
    assert main(words) == 4


def test_who_asks_for_no_failures_gets_the_first_as_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def spoiled(*_: Any) -> Any:
        raise SoundError("is no sound")

    monkeypatch.setattr(Pipeline, "sample", spoiled)
    options = TtaOptions(sound=SoundOptions(model="tiny"), duration_s=0.2)
    failed: list[str] = []
    tell: dict[str, Any] = {"begin": lambda *_: None, "done": lambda *_: None}
    make_sounds(
        plan_takes(["rain", "wind"], options),
        options,
        **tell,
        failed=lambda take, error: failed.append(f"{take.prompt} {error}"),
    )
    assert failed == ["rain is no sound", "wind is no sound"]
    with pytest.raises(SoundError, match="is no sound"):
        make_sounds(plan_takes(["rain", "wind"], options), options, **tell)


@pytest.mark.parametrize(
    ("prompt", "name"), [("बारिश की आवाज़", "बारिश-की-आवाज़"), ("ฝนตกบนหลังคา", "ฝนตกบนหลังคา"), ("தமிழ் மழை", "தமிழ்-மழை")]
)
def test_vowels_of_all_scripts_stay_in_names(prompt: str, name: str) -> None:
    assert slug(prompt) == unicodedata.normalize("NFKC", name)


@pytest.mark.parametrize("name", ["a.mp3", "a.ogg", "a.opus"])
def test_a_levelled_sound_is_below_the_ceiling_once_it_is_coded(name: str) -> None:
    words = ["tta", "rain", "--model", "tiny", "--duration", "2", "--loudness", "-8", "-o", f"new/{name}"]
    assert main(words) == 0
    with av.open(f"new/{name}") as container:
        stream = container.streams.audio[0]
        wave = np.concatenate([frame.to_ndarray() for frame in container.decode(stream)], axis=-1)
        assert true_peak_dbtp(np.ascontiguousarray(wave[0]), stream.rate) <= -0.99
    assert [path.name for path in Path("new").iterdir()] == [name]


def test_the_batch_that_fitted_is_remembered_from_group_to_group(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = let_fit(monkeypatch, 2)
    options = TtaOptions(sound=SoundOptions(model="tiny", batch_size=8), out="sounds/", duration_s=1.0)
    takes = plan_takes(["rain", "hail", "snow"], options)
    maker = SoundMaker(options, 16000)
    for take in takes:
        assert len(list(maker.make([take]))) == 1
    assert sizes == [8, 4, 2, 2, 2]
