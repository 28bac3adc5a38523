"""What `mfv2a extract` starts ends with it, and begins nothing more once it is told to stop."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import pytest

from mfv2a.config import ExtractConfig, SourceConfig
from mfv2a.errors import StartError
from mfv2a.jobs import extract as job

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

    def make(config: ExtractConfig, index: int) -> int:
        assert index == 0 or Pool.closing.wait(60)
        made.append(index)
        return 1

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
