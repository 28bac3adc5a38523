"""A Ray cluster of two nodes at one list; one of them is lost in the middle."""

from __future__ import annotations

import json
import logging
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made_videos import make_video
from mfv2a.cli import main
from mfv2a.jobs import cluster as module
from mfv2a.jobs.actor import _warnings_to, options_from_root
from mfv2a.jobs.discover import find_videos
from mfv2a.jobs.dub import DubOptions, _plan_options
from mfv2a.jobs.plan import Item, Planner
from mfv2a.jobs.report import Report
from mfv2a.jobs.reported import read_records
from mfv2a.jobs.sound import SoundOptions
from mfv2a.loader import describe_model
from mfv2a.media.audio import read_audio

TINY = ["--model", "tiny", "--quiet"]
STORE_BYTES = 80_000_000


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def nodes() -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ray.cluster_utils import Cluster

        made = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 1, "object_store_memory": STORE_BYTES, "include_dashboard": False},
        )
        yield made
        made.shutdown()


def make_clips(count: int) -> None:
    for number in range(count):
        make_video(Path(f"in/{number:02}.mov"), seconds=0.2 + number % 5 / 10, seed=number)


def statuses(folder: str) -> Counter[tuple[str, str]]:
    records = read_records(Path(folder, "report.jsonl"))
    return Counter((Path(record["source"]).name, record["status"]) for record in records)


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    make_clips(1)
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["dub", "in", "--out", "out", "--ray", "local", *TINY]) == 2
    assert "pip install 'mfv2a[ray]'" in capsys.readouterr().err


def test_a_single_gpu_does_not_go_with_a_cluster(capsys: pytest.CaptureFixture[str]) -> None:
    make_clips(1)
    assert main(["dub", "in", "--out", "out", "--ray", "local", "--device", "cuda:1", *TINY]) == 2
    assert "--device cuda:1 does not go with --ray" in capsys.readouterr().err


def test_an_actor_keeps_its_warnings_for_the_driver() -> None:
    said: list[str] = []
    with _warnings_to(said.append):
        logging.getLogger("mfv2a.media.mux").warning("%s: is odd", "a.mp4")
    logging.getLogger("mfv2a.media.mux").warning("not any more")
    assert said == ["a.mp4: is odd"]


def test_an_actor_gets_models_and_folders_from_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine").mkdir()
    asked = DubOptions(out=Path("out"), sound=SoundOptions(model="./mine"), cache=Path("kept"))
    given = options_from_root(asked)
    assert (given.out, given.cache, given.sound.model) == (
        tmp_path / "out",
        tmp_path / "kept",
        str(tmp_path / "mine"),
    )
    Path("tiny").mkdir()
    assert options_from_root(replace(asked, sound=SoundOptions(model="tiny"))).sound.model == "tiny"


@pytest.mark.ray
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_makes_what_one_process_makes(nodes: Any) -> None:
    nodes.add_node(num_cpus=1, object_store_memory=STORE_BYTES)
    make_clips(6)
    Path("in/bad.mov").write_bytes(Path("in/00.mov").read_bytes()[:900])
    more = ["--also-wav", "--variants", "2", "--dtype", "float32"]
    assert main(["dub", "in", "--out", "one", *more, *TINY]) == 3
    ray = ["--ray", nodes.address, "--ray-cpus", "1", "--heartbeat", "beat"]
    assert main(["dub", "in", "--out", "two", *ray, *more, *TINY]) == 3
    assert statuses("one") == statuses("two")
    assert json.loads(Path("beat").read_text())["ok"] == 12
    for path in Path("one").glob("*.wav"):
        np.testing.assert_allclose(read_audio("two" / Path(path.name)).samples, read_audio(path).samples, atol=1e-4)
    assert sorted(path.name for path in Path("two").iterdir()) == sorted(path.name for path in Path("one").iterdir())


@pytest.mark.ray
@pytest.mark.filterwarnings("ignore")
def test_a_node_that_is_lost_costs_no_clip(nodes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    second = nodes.add_node(num_cpus=1, object_store_memory=STORE_BYTES)
    make_clips(60)
    told = module.RayPool._take
    results = 0

    def counted(self: module.RayPool, hand: Any, stopping: bool) -> None:
        nonlocal results
        told(self, hand, stopping)
        results += 1
        if results == 12:
            nodes.remove_node(second, allow_graceful=False)

    monkeypatch.setattr(module.RayPool, "_take", counted)
    assert main(["dub", "in", "--out", "out", "--ray", nodes.address, "--ray-cpus", "1", *TINY]) == 0
    assert statuses("out") == Counter({(f"{number:02}.mov", "ok"): 1 for number in range(60)})
    assert not list(Path("out").glob(".*"))


@pytest.mark.ray
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_without_room_says_so(nodes: Any, capsys: pytest.CaptureFixture[str]) -> None:
    make_clips(1)
    assert main(["dub", "in", "--out", "out", "--ray", nodes.address, "--ray-cpus", "64", *TINY]) == 4
    assert "no node of the Ray cluster has 64 cores" in capsys.readouterr().err


@pytest.mark.ray
@pytest.mark.filterwarnings("ignore")
def test_a_gpu_that_no_node_has_is_not_replaced_by_a_processor(nodes: Any, capsys: pytest.CaptureFixture[str]) -> None:
    make_clips(1)
    assert main(["dub", "in", "--out", "out", "--ray", nodes.address, "--device", "cuda", *TINY]) == 4
    assert "the Ray cluster has no GPU" in capsys.readouterr().err


@pytest.mark.ray
@pytest.mark.filterwarnings("ignore")
def test_winding_up_finishes_what_is_written(nodes: Any) -> None:
    make_clips(40)
    wanted = replace(DubOptions(out=Path("out"), sound=SoundOptions(model="tiny")), ray=nodes.address, ray_cpus=1)
    options = _plan_options(wanted, describe_model("tiny"), {})
    planner = Planner(find_videos(["in"], Path("out")), options, Report(Path("out")))
    groups = ([each for each in group if isinstance(each, Item)] for group in planner)
    begun: list[Item] = []
    with module.RayPool(groups, wanted, begin=lambda item, stage: begun.append(item), tell=str) as pool:
        results = [next(iter(pool))]
        start = time.monotonic()
        results += [result for result in pool.wind_up() if result is not results[0]]
        assert time.monotonic() - start < module.WIND_UP_S
    made = {path.stem for path in Path("out").glob("[0-9]*.mov")}
    assert made == {result.source.stem for result in results}
    assert len(made) < 40
    assert not list(Path("out").glob(".*.part*"))
