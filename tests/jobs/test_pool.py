"""Several worker processes at one list: the results of one process, whatever becomes of the workers."""

from __future__ import annotations

import errno
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made_videos import make_video
from mfv2a.cli import main
from mfv2a.errors import ConfigError, DeviceError, StartError
from mfv2a.jobs.ahead import Ahead
from mfv2a.jobs.discover import find_videos
from mfv2a.jobs.dub import DubOptions, _plan_options
from mfv2a.jobs.hand import Hand
from mfv2a.jobs.plan import Item, Planner
from mfv2a.jobs.pool import Pool
from mfv2a.jobs.report import Report
from mfv2a.jobs.reported import read_records
from mfv2a.jobs.sound import SoundOptions
from mfv2a.jobs.start import split_devices
from mfv2a.jobs.worker import run_worker
from mfv2a.loader import describe_model
from mfv2a.media.audio import read_audio

TINY = ["--model", "tiny", "--quiet"]
MANY = 12  # clips: far more than two workers make within a moment of the first


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make_clips(count: int) -> None:
    for number in range(count):
        make_video(Path(f"in/{number}.mov"), seconds=0.2 + number / 10, seed=number)


def statuses(folder: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for record in read_records(Path(folder, "report.jsonl")):
        found.setdefault(Path(record["source"]).name, []).append(record["status"])
    return found


def options(**changes: object) -> DubOptions:
    return replace(DubOptions(out=Path("out"), sound=SoundOptions(model="tiny")), **changes)


def to_dub(wanted: DubOptions) -> Iterator[list[Item]]:
    options = _plan_options(wanted, describe_model("tiny"), {})
    for group in Planner(find_videos(["in"], Path("out")), options, Report(Path("out"))):
        yield [each for each in group if isinstance(each, Item)]


@pytest.fixture
def pools() -> Iterator[list[Pool]]:
    made: list[Pool] = []
    yield made
    for pool in made:
        pool.close()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_for_the_end_of(workers: list[int]) -> None:
    end = time.monotonic() + 20
    while any(is_alive(pid) for pid in workers):
        assert time.monotonic() < end
        time.sleep(0.05)


def children_of(pid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(path.parent.name))
    return found


def start_run() -> tuple[subprocess.Popen[bytes], list[int]]:
    """A run with two workers that has made its first output, and the workers."""
    line = [sys.executable, "-m", "mfv2a", "dub", "in", "--out", "out", "--device", "cpu,cpu", *TINY]
    run = subprocess.Popen(line, stdout=subprocess.DEVNULL)
    while not list(Path("out").glob("[0-9]*.mov")):
        time.sleep(0.05)
        assert run.poll() is None
    return run, children_of(run.pid)


def test_two_workers_make_what_one_process_makes() -> None:
    make_clips(5)
    Path("in/bad.mp4").write_text("no video")
    more = ["--also-wav", "--variants", "2", "--dtype", "float32"]
    assert main(["dub", "in", "--out", "one", *more, *TINY]) == 3
    assert main(["dub", "in", "--out", "two", "--device", "cpu,cpu", "--heartbeat", "beat", *more, *TINY]) == 3
    assert statuses("one") == statuses("two")
    for path in Path("one").glob("*.wav"):
        np.testing.assert_allclose(read_audio("two" / Path(path.name)).samples, read_audio(path).samples, atol=1e-4)
    assert sorted(path.name for path in Path("two").iterdir()) == sorted(path.name for path in Path("one").iterdir())
    assert json.loads(Path("beat").read_text())["ok"] == 10
    assert main(["dub", "in", "--out", "two", "--device", "cpu,cpu", *more, *TINY]) == 3  # nothing left but the bad one
    assert set(statuses("two")["0.mov"][2:]) == {"skipped"}


def test_a_video_that_is_not_known_yet_holds_up_no_other(pools: list[Pool]) -> None:
    make_clips(4)
    wanted, told = options(), threading.Event()

    def late() -> Iterator[list[Item]]:
        for number, group in enumerate(to_dub(wanted)):
            if number == 1:
                assert told.wait(60)
            yield group

    groups = Ahead(late(), 8).as_they_come()
    pool = Pool(groups, wanted, ("cpu", "cpu"), begin=lambda item, stage: None, tell=str, cores=2)
    pools.append(pool)
    results = []
    for result in pool:
        results.append(result.source.name)
        told.set()
    assert results[0] == "0.mov"
    assert sorted(results) == [f"{number}.mov" for number in range(4)]


def test_a_worker_that_is_killed_is_replaced_and_its_clips_are_done(pools: list[Pool]) -> None:
    make_clips(6)
    told: list[str] = []
    wanted = options()
    killed: list[int] = []

    def begin(item: Item, stage: str) -> None:
        if stage == "features" and len(killed) < 2:
            hand = next(hand for hand in pool._hands if item in hand.held.values())
            if pool._tried.isdisjoint(hand.held):  # a clip that is lost twice has failed
                killed.append(hand.process.pid)
                os.kill(hand.process.pid, signal.SIGKILL)

    pool = Pool(to_dub(wanted), wanted, ("cpu", "cpu"), begin=begin, tell=told.append, cores=2)
    pools.append(pool)
    results = list(pool)
    assert sorted((result.source.name, result.status) for result in results) == [(f"{k}.mov", "ok") for k in range(6)]
    assert len(killed) == 2
    assert any("was killed by signal 9" in text for text in told)


def test_a_clip_that_kills_its_worker_fails_alone(pools: list[Pool]) -> None:
    make_clips(5)
    wanted = options()

    def begin(item: Item, stage: str) -> None:
        if item.source.name == "2.mov" and stage == "decode":
            hand = next(hand for hand in pool._hands if item in hand.held.values())
            os.kill(hand.process.pid, signal.SIGKILL)

    pool = Pool(to_dub(wanted), wanted, ("cpu", "cpu"), begin=begin, tell=str, cores=2)
    pools.append(pool)
    results = {result.source.name: result for result in pool}
    assert {name: result.status for name, result in results.items()} == {
        f"{k}.mov": "failed" if k == 2 else "ok" for k in range(5)
    }
    assert "was killed by signal 9 while this clip was on its way, twice" in results["2.mov"].error
    assert not Path("out/2.mov").exists()


def test_a_model_that_cannot_be_loaded_ends_the_run() -> None:
    make_clips(2)
    assert main(["dub", "in", "--out", "out", "--device", "cuda:98,cuda:99", *TINY]) == 4
    assert not list(Path("out").glob("*.part*"))


def test_too_many_failures_end_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    make_clips(8)
    for number in range(1, 8):  # cut in the middle: found out when it is decoded
        data = Path(f"in/{number}.mov").read_bytes()
        Path(f"in/{number}.mov").write_bytes(data.replace(data[200:700], b"\xff" * 500))
    code = main(["dub", "in", "--out", "out", "--device", "cpu,cpu", "--max-failures", "1", *TINY])
    failures = sum(words[-1] == "failed" for words in statuses("out").values())
    assert (code == 3) == (failures > 0)
    assert failures <= 1 + 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_signal_finishes_what_is_written_and_leaves_no_worker(number: signal.Signals, code: int) -> None:
    make_clips(MANY)
    run, workers = start_run()
    run.send_signal(number)
    assert run.wait(60) == code
    wait_for_the_end_of(workers)
    assert not list(Path("out").glob(".*.part*"))
    made = {path.name for path in Path("out").glob("[0-9]*.mov")}
    assert made == set(statuses("out"))
    assert len(made) < MANY
    assert main(["dub", "in", "--out", "out", *TINY]) == 0
    assert sum(words.count("ok") for words in statuses("out").values()) == MANY


def test_a_result_that_was_just_told_when_the_signal_came_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    make_clips(3)
    wanted, ended = options(), []
    told: list[tuple[Any, ...]] = []
    groups = iter([[(number, item) for item in group] for number, group in enumerate(to_dub(wanted))])

    class Pipe:
        """The parent's end: gives a clip, and lets one be written; sends the signal as the first result comes."""

        def __init__(self) -> None:
            self._answers: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()

        def send(self, message: tuple[Any, ...]) -> None:
            if message[0] == "want":
                group = next(groups, None)
                self._answers.put(("end",) if group is None else ("take", group))
            elif message[0] == "claim":
                self._answers.put(("claimed",))
            elif message[0] == "result":
                told.append(message)
                if len(told) == 1:
                    signal.raise_signal(signal.SIGTERM)

        def recv(self) -> tuple[Any, ...]:
            return self._answers.get()

        def close(self) -> None:
            """Nothing is open."""

    monkeypatch.setattr(os, "_exit", ended.append)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)}
    try:
        run_worker(Pipe(), wanted, "cpu", 2)  # type: ignore[arg-type]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert ended == [0]
    numbers = [number for _, number, _ in told]
    assert numbers
    assert len(set(numbers)) == len(numbers)


def test_workers_end_with_their_parent() -> None:
    make_clips(MANY)
    run, workers = start_run()
    run.kill()
    run.wait(10)
    wait_for_the_end_of(workers)
    assert main(["dub", "in", "--out", "out", *TINY]) == 0
    assert sum(words.count("ok") for words in statuses("out").values()) == MANY
    assert not list(Path("out").glob(".*"))


def test_devices_are_named_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    assert split_devices("auto") == ("auto",)
    assert split_devices("cuda:0, cuda:1") == ("cuda:0", "cuda:1")
    with pytest.raises(ConfigError, match="--device cpu,"):
        split_devices("cpu,")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    assert split_devices("all") == ("cuda:0", "cuda:1", "cuda:2")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    with pytest.raises(DeviceError, match="no GPU here"):
        split_devices("all")


def test_a_listener_that_breaks_ends_the_worker_instead_of_hanging(pools: list[Pool]) -> None:
    make_clips(1)
    wanted = options()

    def begin(item: Item, stage: str) -> None:
        if stage == "features":
            raise BrokenPipeError

    pool = Pool(to_dub(wanted), wanted, ("cpu", "cpu"), begin=begin, tell=str, cores=2)
    pools.append(pool)
    assert {result.status for result in pool} == {"failed"}


def test_workers_that_never_come_up_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    make_clips(1)
    monkeypatch.setattr("mfv2a.jobs.pool.run_worker", os._exit)
    wanted = options()
    pool = Pool(to_dub(wanted), wanted, ("cpu", "cpu"), begin=print, tell=str, cores=2)
    with pool, pytest.raises(StartError, match="no worker can be started"):
        list(pool)


def test_what_a_worker_tells_of_a_clip_that_was_given_up_is_passed_over(pools: list[Pool]) -> None:
    make_clips(1)
    wanted = options()
    pool = Pool(to_dub(wanted), wanted, ("cpu", "cpu"), begin=print, tell=str, cores=2)
    pools.append(pool)
    told: list[tuple[object, ...]] = []

    class Pipe:
        def send(self, message: tuple[object, ...]) -> None:
            told.append(message)

    hand = Hand("cpu", None, Pipe())
    pool._hear(hand, ("stage", 99, "sample"))
    pool._hear(hand, ("claim", 99))
    assert [(word, code) for word, code, *_ in told] == [("claimed", errno.ECANCELED)]
    assert {result.status for result in pool} == {"ok"}
