"""One clip's fault stays its own; memory and order are kept. The stages are made up here, the loop is real."""

from __future__ import annotations

import errno
import gc
import itertools
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from mfv2a.errors import MediaError, StartError
from mfv2a.jobs.ahead import Ahead
from mfv2a.jobs.batch import CLIPS_AHEAD, Batch, run_batch
from mfv2a.jobs.grouping import BatchSize
from mfv2a.jobs.plan import Item
from mfv2a.media.mux import MuxPlan
from mfv2a.media.patience import Turn, check_patience, check_writing
from mfv2a.records import ItemResult, VideoInfo

PLAN = MuxPlan(codec="aac", encoder="aac", suffix=".mp4", container="mp4")


def make_item(name: str) -> Item:
    info = VideoInfo(
        path=Path(name),
        container="mp4",
        duration_s=1.0,
        start_s=0.0,
        fps=25.0,
        width_px=8,
        height_px=8,
        rotation_deg=0,
        picture_index=0,
        streams=(),
    )
    return Item(
        source=Path(name),
        output=Path("out") / name,
        wav=None,
        info=info,
        mux=PLAN,
        prompt="",
        seed=0,
        settings={"seed": 0},
        details={},
    )


class Script:
    """Stages that note what happens and fail where they are told to."""

    def __init__(self, faults: dict[tuple[str, str], BaseException] | None = None, windows: int = 1) -> None:
        self.faults = faults or {}
        self.per_clip = windows
        self.samples: list[tuple[list[str], int]] = []
        self.alive = self.most_alive = 0
        self.lock = threading.Lock()

    def step(self, stage: str, name: str) -> None:
        if (stage, name) in self.faults:
            raise self.faults[stage, name]

    def decode(self, item: Item) -> None:
        self.step("decode", item.source.name)
        with self.lock:
            self.alive += 1
            self.most_alive = max(self.most_alive, self.alive)

    def prepare(self, item: Item, seconds: dict[str, float]) -> str:
        self.decode(item)
        self.step("prepare", item.source.name)
        seconds |= {"decode": 0.0, "features": 0.0}
        return item.source.name

    def windows(self, work: Any) -> int:
        return self.per_clip

    def sample(self, works: Sequence[Any], batch_size: int) -> list[torch.Tensor]:
        self.samples.append((list(works), batch_size))
        for work in works:
            self.step("sample", work)
        return [torch.zeros(1) for _ in works]

    def finish(self, item: Item, work: Any, latent: torch.Tensor, seconds: dict[str, float]) -> ItemResult:
        self.step("finish", work)
        with self.lock:
            self.alive -= 1
        return ItemResult(source=item.source, output=item.output, status="ok", seconds=seconds)


def run(
    script: Script,
    names: Sequence[str],
    batch_size: int = 2,
    tell: Callable[[str], None] = lambda text: None,
    **options: Any,
) -> dict[str, ItemResult]:
    items = [make_item(name) for name in names]
    results = run_batch(items, script, batch_size=batch_size, tell=tell, **options)
    return {result.source.name: result for result in results}


def test_clips_are_sampled_together_until_their_windows_fill_the_batch() -> None:
    script = Script()
    results = run(script, "abcde", batch_size=2)
    assert [works for works, _ in script.samples] == [["a", "b"], ["c", "d"], ["e"]]
    assert list(results) == list("abcde")
    assert set(results["a"].seconds) == {"decode", "features", "sample"}
    long = Script(windows=5)
    run(long, "ab", batch_size=4)
    assert [works for works, _ in long.samples] == [["a"], ["b"]]


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_decoding_runs_ahead_only_so_far_and_the_order_is_kept(workers: int) -> None:
    class Uneven(Script):
        def decode(self, item: Item) -> None:
            time.sleep(0.01 if item.source.name.endswith("0") else 0)
            super().decode(item)

    script, names = Uneven(), [f"{n:02}" for n in range(60)]
    assert list(run(script, names, batch_size=3, workers=workers)) == names
    assert script.most_alive <= 3 + workers + CLIPS_AHEAD + 2 * workers + CLIPS_AHEAD + 3
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("mfv2a-crew")]


@pytest.mark.parametrize("phased", [False, True])
def test_a_clip_that_is_not_known_yet_holds_up_no_other(monkeypatch: pytest.MonkeyPatch, *, phased: bool) -> None:
    monkeypatch.setattr("mfv2a.jobs.batch.PHASE_WAIT_S", 0.1)
    told = threading.Event()

    def look() -> Iterator[Item]:
        yield make_item("a")
        yield make_item("b")
        assert told.wait(20)  # a file server that answers late
        yield make_item("c")

    names = []
    items = Ahead(look(), 8).as_they_come()
    with Batch(items, Script(), batch_size=BatchSize(8), tell=str, workers=2, phased=phased) as batch:
        for result in batch:
            names.append(result.source.name)
            if len(names) == 2:
                told.set()
    assert names == ["a", "b", "c"]


def test_stages_of_different_clips_overlap() -> None:
    meet = threading.Barrier(2, timeout=10)

    class Meeting(Script):
        def decode(self, item: Item) -> None:
            if item.source.name == "b":
                meet.wait()
            super().decode(item)

        def finish(self, item: Item, work: Any, latent: torch.Tensor, seconds: dict[str, float]) -> ItemResult:
            if item.source.name == "a":
                meet.wait()
            return super().finish(item, work, latent, seconds)

    results = run(Meeting(), "abc", batch_size=1, workers=2)
    assert [result.status for result in results.values()] == ["ok"] * 3


@pytest.mark.parametrize("stage", ["decode", "prepare", "sample", "finish"])
@pytest.mark.parametrize(
    "fault", [MediaError("b", "is broken", hint="mend it"), ValueError("a fault of ours"), MemoryError()]
)
def test_one_clips_fault_is_its_own(stage: str, fault: Exception) -> None:
    results = run(Script({(stage, "b"): fault}), "abcd", batch_size=3)
    assert {name: result.status for name, result in results.items()} == {
        "a": "ok",
        "b": "failed",
        "c": "ok",
        "d": "ok",
    }
    assert results["b"].error
    assert results["b"].hint
    assert results["b"].settings == {"seed": 0}


def test_a_fault_of_the_tool_is_told_with_its_type_and_its_traceback_on_request() -> None:
    told: list[str] = []
    results = run(Script({("finish", "a"): KeyError("x")}), "a", tell=told.append)
    assert results["a"].error.startswith("KeyError")
    assert any("Traceback" in text for text in told)


def test_ffmpegs_words_are_told_on_request() -> None:
    told: list[str] = []
    run(Script({("finish", "a"): MediaError("a", "no", detail="20 lines")}), "a", tell=told.append)
    assert any("20 lines" in text for text in told)


@pytest.mark.parametrize(
    "fault",
    [
        MemoryError(),
        torch.OutOfMemoryError("x"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
        torch.AcceleratorError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
)
def test_out_of_memory_halves_the_batch_and_at_last_takes_each_clip_alone(fault: Exception) -> None:
    class Small(Script):
        def sample(self, works: Sequence[Any], batch_size: int) -> list[torch.Tensor]:
            self.samples.append((list(works), batch_size))
            if len(works) > 1 or works == ["c"]:
                raise fault
            return [torch.zeros(1) for _ in works]

    script = Small()
    results = run(script, "abcd", batch_size=4)
    assert script.samples[:3] == [(list("abcd"), 4), (list("abcd"), 2), (list("abcd"), 1)]
    assert [works for works, _ in script.samples[3:]] == [["a"], ["b"], ["c"], ["d"]]
    assert [name for name, result in results.items() if result.status == "failed"] == ["c"]
    assert "memory" in results["c"].error
    assert "--batch-size" in results["c"].hint


def test_half_a_batch_that_fits_is_enough_and_remembered() -> None:
    class Small(Script):
        def sample(self, works: Sequence[Any], batch_size: int) -> list[torch.Tensor]:
            self.samples.append((list(works), batch_size))
            if batch_size > 2:
                raise MemoryError
            return [torch.zeros(1) for _ in works]

    script = Small()
    results = run(script, "abcdefg", batch_size=4)
    assert script.samples == [(list("abcd"), 4), (list("abcd"), 2), (list("ef"), 2), (["g"], 2)]
    assert all(result.status == "ok" for result in results.values())


@pytest.mark.parametrize("stage", ["prepare", "finish"])
@pytest.mark.parametrize("phased", [False, True])
def test_a_clip_that_finds_no_memory_beside_others_is_tried_again_alone(stage: str, *, phased: bool) -> None:
    class Cramped(Script):
        def step(self, step: str, name: str) -> None:
            with self.lock:
                tries.append((step, name))
            if (step, name) == (stage, "b") and tries.count((step, name)) == 1:
                raise torch.OutOfMemoryError("CUDA out of memory")

    tries: list[tuple[str, str]] = []
    items = [make_item(name) for name in "abcd"]
    with Batch(items, Cramped(), batch_size=BatchSize(2), tell=str, workers=2, phased=phased) as batch:
        results = [(result.source.name, result.status) for result in batch]
    assert results[-1] == ("b", "ok")
    assert sorted(results) == [(name, "ok") for name in "abcd"]
    assert [name for step, name in tries if step == "finish"][-1] == "b"


@pytest.mark.parametrize(("stage", "hint"), [("prepare", "--low-memory"), ("sample", "--batch-size")])
def test_what_to_do_about_memory_hangs_on_the_stage(stage: str, hint: str) -> None:
    results = run(Script({(stage, "b"): torch.OutOfMemoryError("CUDA out of memory")}), "abc")
    assert {name: result.status for name, result in results.items()} == {"a": "ok", "b": "failed", "c": "ok"}
    assert hint in results["b"].hint


def test_what_a_clip_held_that_failed_is_let_go_at_once() -> None:
    class Big:
        """What fills the memory."""

    alive: weakref.WeakSet[Big] = weakref.WeakSet()
    most_alive: list[int] = []

    class Hungry(Script):
        def prepare(self, item: Item, seconds: dict[str, float]) -> str:
            if item.source.name == "a":
                assert rest.wait(10)  # a long film at the head: nobody looks at the failures behind it
                return "a"
            held = Big()
            alive.add(held)
            try:
                raise torch.OutOfMemoryError("CUDA out of memory")
            finally:
                most_alive.append(len(alive))
                if len(most_alive) == 3:
                    rest.set()

    rest = threading.Event()
    gc.disable()
    try:
        run(Hungry(), "abcd", workers=2)
    finally:
        gc.enable()
    assert max(most_alive) == 1


@pytest.mark.parametrize(
    "fault",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        MediaError("b", "failed", detail="av_interleaved_write_frame(): No space left on device"),
        StartError("the disk is full"),
    ],
)
@pytest.mark.parametrize("stage", ["prepare", "finish"])
def test_a_full_disk_stops_the_batch_after_its_item_is_told(stage: str, fault: Exception) -> None:
    script, told = Script({(stage, "b"): fault}), []
    results = run_batch([make_item(name) for name in "abcd"], script, batch_size=1, tell=lambda text: None)

    def all_of() -> None:
        told.extend((each.source.name, each.status) for each in results)

    with pytest.raises(StartError, match="disk is full"):
        all_of()
    assert told[-1] == ("b", "failed")
    assert not {name for name, _ in told} & set("cd")


@pytest.mark.parametrize("stage", ["decode", "prepare", "sample"])
def test_a_start_error_stops_the_batch(stage: str) -> None:
    with pytest.raises(StartError):
        run(Script({(stage, "b"): StartError("gone")}), "abc", batch_size=1)


def test_an_interrupt_does_not_wait_for_a_long_video() -> None:
    class Slow(Script):
        def decode(self, item: Item) -> None:
            while item.source.name == "b" and time.perf_counter() - start < 20:
                check_patience()
                time.sleep(0.01)
            super().decode(item)

        def finish(self, item: Item, work: Any, latent: torch.Tensor, seconds: dict[str, float]) -> ItemResult:
            raise KeyboardInterrupt

    start = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        run(Slow(), "abc", batch_size=1, workers=2)
    assert time.perf_counter() - start < 5
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("mfv2a-crew")]


def test_what_is_being_written_is_finished_after_an_interrupt_and_nothing_else_begins() -> None:
    writing, go_on = threading.Event(), threading.Event()

    class Writing(Script):
        def finish(self, item: Item, work: Any, latent: torch.Tensor, seconds: dict[str, float]) -> ItemResult:
            if item.source.name == "b":
                writing.set()
                assert go_on.wait(10)
                check_writing()
            return super().finish(item, work, latent, seconds)

    script, told = Writing(), []
    items = [make_item(name) for name in "abcdef"]
    with Batch(items, script, batch_size=BatchSize(1), tell=told.append, workers=1) as batch:
        results = iter(batch)
        assert next(results).source.name == "a"
        assert writing.wait(10)
        threading.Timer(0.2, go_on.set).start()
        # The first comes again: nobody has said by asking for the next that it was taken.
        assert [(result.source.name, result.status) for result in batch.wind_up()] == [("a", "ok"), ("b", "ok")]
    assert not told


def test_what_is_not_written_soon_after_an_interrupt_is_told_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mfv2a.jobs.batch.WIND_UP_S", 0.01)
    writing, go_on = threading.Event(), threading.Event()

    class Writing(Script):
        def finish(self, item: Item, work: Any, latent: torch.Tensor, seconds: dict[str, float]) -> ItemResult:
            if item.source.name == "b":
                writing.set()
                assert go_on.wait(60)
            return super().finish(item, work, latent, seconds)

    items = [make_item(name) for name in "ab"]
    with Batch(items, Writing(), batch_size=BatchSize(1), tell=lambda text: None, workers=1) as batch:
        assert next(iter(batch)).source.name == "a"
        assert writing.wait(60)
        told = {result.source.name: result for result in batch.wind_up()}
        go_on.set()
    assert "not written within 0.01 s" in told["b"].error
    assert told["b"].hint == "run it again"


def test_clips_whose_writing_stalls_have_one_deadline_together_and_hold_up_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mfv2a.jobs.batch.WIND_UP_S", 1.0)
    go_on, writing = threading.Event(), threading.Semaphore(0)

    class Writing(Script):
        def finish(self, item: Item, work: Any, latent: torch.Tensor, seconds: dict[str, float]) -> ItemResult:
            writing.release()
            assert item.source.name == "d" or go_on.wait(60)
            return super().finish(item, work, latent, seconds)

    items = [make_item(name) for name in "abcd"]
    with Batch(items, Writing(), batch_size=BatchSize(4), tell=str, workers=4) as batch:
        results = iter(batch)
        threading.Thread(target=lambda: next(results, None), daemon=True).start()
        assert all(writing.acquire(timeout=20) for _ in items)
        start = time.monotonic()
        told = [(result.source.name, result.status) for result in batch.wind_up()]
        assert time.monotonic() - start < 2.5
        go_on.set()
    assert told == [("d", "ok"), ("a", "failed"), ("b", "failed"), ("c", "failed")]


def test_a_clip_that_takes_too_long_has_failed_and_the_others_go_on() -> None:
    class Slow(Script):
        def decode(self, item: Item) -> None:
            while item.source.name == "b":
                check_patience()
                time.sleep(0.01)
            super().decode(item)

    results = run(Slow(), "abc", timeout_s=2, workers=1)
    assert {name: result.status for name, result in results.items()} == {"a": "ok", "b": "failed", "c": "ok"}
    assert "--timeout 2 s" in results["b"].error
    assert "--timeout" in results["b"].hint


def test_waiting_for_ones_turn_is_not_counted_as_work() -> None:
    turn = Turn()

    class Queue(Script):
        def decode(self, item: Item) -> None:
            with turn:
                time.sleep(0.7)
            check_patience()
            super().decode(item)

    results = run(Queue(), "abcd", timeout_s=2, workers=4)
    assert {result.status for result in results.values()} == {"ok"}


def test_who_waits_for_one_that_hangs_is_given_up_too_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mfv2a.jobs.batch.GRACE_S", 0.1)
    monkeypatch.setattr("mfv2a.jobs.batch.CLOSE_S", 0.1)
    monkeypatch.setattr("mfv2a.media.patience.HANGS_S", 0.1)
    turn, end = Turn(), threading.Event()

    class Queue(Script):
        def decode(self, item: Item) -> None:
            if item.source.name in "ab":
                with turn:
                    end.wait(60)
            super().decode(item)

    start = time.perf_counter()
    try:
        results = run(Queue(), "abcd", timeout_s=2, workers=2)
    finally:
        end.set()
    statuses = {name: result.status for name, result in results.items()}
    assert statuses == {"a": "failed", "b": "failed", "c": "ok", "d": "ok"}
    assert "--timeout 2 s" in results["a"].error
    assert "--timeout 2 s" in results["b"].error
    assert time.perf_counter() - start < 50


@pytest.mark.parametrize("stage", ["decode", "finish"])
def test_a_clip_that_hangs_for_ever_is_given_up_and_its_thread_replaced(
    stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mfv2a.jobs.batch.GRACE_S", 0.1)
    monkeypatch.setattr("mfv2a.jobs.batch.CLOSE_S", 0.1)
    end = threading.Event()

    class Hanging(Script):
        def step(self, name_of_stage: str, name: str) -> None:
            if (name_of_stage, name) == (stage, "b"):
                end.wait(60)

    start = time.perf_counter()
    try:
        results = run(Hanging(), "abcd", timeout_s=2, workers=1)
    finally:
        end.set()
    assert {name: result.status for name, result in results.items()} == {
        "a": "ok",
        "b": "failed",
        "c": "ok",
        "d": "ok",
    }
    assert time.perf_counter() - start < 50


def test_a_batch_grows_while_it_fits_and_stays_at_what_did() -> None:
    class Small(Script):
        def sample(self, works: Sequence[Any], batch_size: int) -> list[torch.Tensor]:
            self.samples.append((list(works), batch_size))
            if batch_size > 5:
                raise MemoryError
            return [torch.zeros(1) for _ in works]

    script, size = Small(), BatchSize(2, most=64)
    items = [make_item(f"{n:02}") for n in range(30)]
    with Batch(items, script, batch_size=size, tell=lambda text: None) as batch:
        assert all(result.status == "ok" for result in batch)
    assert [windows for _, windows in script.samples] == [2, 4, 8, *[4] * 5]


def test_an_empty_batch_ends() -> None:
    assert run(Script(), []) == {}


def test_stages_that_share_one_place_in_memory_come_one_kind_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mfv2a.jobs.batch.PHASE_CLIPS", 3)
    stages: list[str] = []

    class Noted(Script):
        def step(self, stage: str, name: str) -> None:
            if stage != "decode":
                with self.lock:
                    stages.append(stage)
            super().step(stage, name)

    script = Noted({("prepare", "1.mp4"): MediaError("1.mp4", "no")})
    items = [make_item(f"{k}.mp4") for k in range(7)]
    told: list[str] = []
    with Batch(items, script, batch_size=BatchSize(2), tell=told.append, workers=2, phased=True) as batch:
        results = list(batch)
    assert sorted(result.source.name for result in results) == [item.source.name for item in items]
    kinds = [stage for stage, before in zip(stages, ["", *stages], strict=False) if stage != before]
    assert kinds[:3] == ["prepare", "sample", "finish"]
    assert kinds == kinds[:3] * (len(kinds) // 3)
    assert [batch_size for _, batch_size in script.samples] == [2] * len(script.samples)
    assert max(len(works) for works, _ in script.samples) == 3


class Picky(Script):
    """Stages that are content with a clip only after so many rounds."""

    def __init__(self, rounds: dict[str, int]) -> None:
        super().__init__()
        self.rounds, self.order = dict(rounds), list[str]()

    def finish(self, item: Item, work: Any, latent: torch.Tensor, seconds: dict[str, float]) -> ItemResult | None:
        self.order.append(f"finish {work}")
        self.rounds[work] = self.rounds.get(work, 1) - 1
        return None if self.rounds[work] > 0 else super().finish(item, work, latent, seconds)

    def sample(self, works: Sequence[Any], batch_size: int) -> list[torch.Tensor]:
        self.order += [f"sample {work}" for work in works]
        return super().sample(works, batch_size)


@pytest.mark.parametrize("phased", [False, True])
def test_a_clip_that_shall_be_sampled_again_is_and_the_others_go_on(phased: bool) -> None:
    script = Picky({"b": 3, "e": 2})
    items = [make_item(name) for name in "abcde"]
    with Batch(items, script, batch_size=BatchSize(2), tell=print, workers=2, phased=phased) as batch:
        results = [result.source.name for result in batch]
    assert sorted(results) == list("abcde")
    drawn = [work for works, _ in script.samples for work in works]
    assert {name: drawn.count(name) for name in "abcde"} == {"a": 1, "b": 3, "c": 1, "d": 1, "e": 2}
    if phased:  # no network is asked for while another is at work: rounds do not mix
        kinds = [step.split()[0] for step in script.order]
        changes = sum(first != second for first, second in itertools.pairwise(kinds))
        assert changes == 5


def test_what_waits_for_another_round_is_not_told_when_the_batch_is_wound_up() -> None:
    script = Picky({"a": 99})
    with Batch([make_item("a")], script, batch_size=BatchSize(1), tell=print) as batch:
        batch._decode_ahead()
        batch._ready[0].future.result()
        list(batch._gather(batch._ready.popleft()))
        list(batch._sample())
        assert list(batch.wind_up()) == []
