"""What `mfv2a extract` starts ends with it, and begins nothing more once it is told to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from mfv2a.config import ExtractConfig, SourceConfig
from mfv2a.errors import StartError
from mfv2a.jobs import extract as job
from mfv2a.media.audio import write_audio
from mfv2a.records import Audio

PARENT = """
import sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from mfv2a.jobs.extract import start_worker

if __name__ == "__main__":
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=start_worker) as pool:
        pool.submit(abs, -1).result()
        pool.submit(time.sleep, 600)
        print("busy", flush=True)
        time.sleep(600)
"""


def test_a_worker_ends_when_its_parent_is_killed(tmp_path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT, encoding="utf-8")
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "busy\n"
        parent.kill()
        # The worker holds the other end of the pipe as long as it lives.
        rest, _ = parent.communicate(timeout=60)
    assert rest == ""


def scenes(out, count: int) -> ExtractConfig:
    """An extraction of scenes, one a shard, by one worker."""
    source = SourceConfig(type="scenes", count=count)
    return ExtractConfig(source=source, out=str(out), shard_items=1, workers=1)


class Pool(ThreadPoolExecutor):
    """Threads in place of processes; shards after the first wait until the pool is being closed."""

    closing: threading.Event

    def __init__(self, workers: int, **_: object) -> None:
        super().__init__(workers)
        Pool.closing = threading.Event()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        super().shutdown(wait=False, cancel_futures=cancel_futures)
        self.closing.set()
        super().shutdown(wait=wait)


def test_an_interrupt_begins_no_further_shard(tmp_path, monkeypatch) -> None:
    made: list[int] = []

    def make(config: ExtractConfig, index: int) -> tuple[int, dict[str, object]]:
        assert index == 0 or Pool.closing.wait(60)
        made.append(index)
        return 1, {}

    def interrupted(record: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(job, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(job, "_make_shard", make)
    with pytest.raises(KeyboardInterrupt):
        job.extract(scenes(tmp_path, 10), interrupted)
    assert made in ([0], [0, 1])  # what was begun is made whole


def test_a_worker_that_was_killed_is_told_with_what_to_do(tmp_path, monkeypatch) -> None:
    def make(config: ExtractConfig, index: int) -> int:
        raise BrokenProcessPool("A process in the process pool was terminated abruptly")

    monkeypatch.setattr(job, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(job, "_make_shard", make)
    with pytest.raises(StartError, match="ended from outside") as caught:
        job.extract(scenes(tmp_path, 2), print)
    assert "fewer workers" in caught.value.hint


def test_no_more_shards_are_begun_than_there_are_processes(tmp_path, monkeypatch) -> None:
    begun: list[int] = []

    def make(config: ExtractConfig, index: int) -> tuple[int, dict[str, object]]:
        begun.append(index)
        return 1, {"unread": 1}

    told: list[dict[str, object]] = []

    def report(record: dict[str, object]) -> None:
        told.append(record)
        if "items" in record:
            assert len(begun) <= record["items"] + 1

    monkeypatch.setattr(job, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(job, "_make_shard", make)
    monkeypatch.setattr(job, "write_index", lambda *_: None)
    job.extract(scenes(tmp_path, 6), report)
    assert begun == list(range(6))
    assert told[0] == {"unread": 1}
    assert [record.get("items") for record in told[1:]] == list(range(1, 7)), "what is unread is told once"


def test_a_ctrl_c_in_the_shell_lets_a_worker_go_on() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=job.start_worker) as pool:
        pid = pool.submit(os.getpid).result()
        busy = pool.submit(time.sleep, 0.5)
        os.kill(pid, signal.SIGINT)
        assert busy.result() is None
        assert pool.submit(os.getpid).result() == pid


def test_sounds_that_cannot_be_read_are_told_once(tmp_path) -> None:
    rows = ["file\tseconds\tlabel\ttitle\tset\tlicence"]
    for k in range(3):
        if k != 1:
            wave = (0.3 * np.random.default_rng(k).standard_normal(16000)).astype(np.float32)
            write_audio(tmp_path / f"{k}.wav", Audio(samples=wave, sample_rate_hz=16000))
        rows.append(f"{k}.wav\t1.0\tthing\t\ta\tCC0")
    (tmp_path / "index.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    config = ExtractConfig(
        source=SourceConfig(type="sounds", path=str(tmp_path), count=2), out=str(tmp_path / "out"), shard_items=1,
        workers=1, duration_s=4.0,
    )  # fmt: skip
    told: list[dict[str, object]] = []
    job.extract(config, told.append)
    (record,) = [record for record in told if "unread" in record]
    assert (record["unread"], record["sounds"], Path(str(record["first"])).name) == (1, 3, "1.wav")
