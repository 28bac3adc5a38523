"""A device that fails is no fault of the clips: the run ends, or a new process goes on, and none has failed by it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from test_batch import Script, make_item
from test_pool import options, to_dub

from made_videos import make_video
from mfv2a import loader
from mfv2a.cli import main
from mfv2a.errors import DeviceFaultError, StartError
from mfv2a.jobs import worker
from mfv2a.jobs.actor import Dubber
from mfv2a.jobs.batch import Batch
from mfv2a.jobs.faults import is_device_fault
from mfv2a.jobs.grouping import BatchSize
from mfv2a.jobs.plan import Item
from mfv2a.jobs.pool import Pool
from mfv2a.jobs.reported import read_records
from mfv2a.media.patience import Turn
from mfv2a.pipeline import Pipeline

TINY = ["--model", "tiny", "--quiet"]
WORDS = "CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be reported elsewhere"


@pytest.fixture
def clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number in range(6):
        make_video(Path(f"in/{number}.mov"), seconds=0.2, seed=number)


def failing_after(calls: int) -> Callable[..., list[torch.Tensor]]:
    """`Pipeline.sample` on a GPU that fails for good after so many calls."""
    real, count = Pipeline.sample, [0]

    def sample(self: Pipeline, works: Sequence[Any], options: Any) -> list[torch.Tensor]:
        count[0] += 1
        if count[0] > calls:
            raise torch.AcceleratorError(WORDS)
        return real(self, works, options)

    return sample


def worker_of_a_weak_gpu(pipe: Any, options: Any, device: str, cores: int) -> None:
    """A worker process; the GPU of the first one fails after two clips."""
    with suppress(FileExistsError):
        Path("first").touch(exist_ok=False)
        Pipeline.sample = failing_after(2)  # type: ignore[method-assign]
    worker.run_worker(pipe, replace(options, sound=replace(options.sound, batch_size=1)), device, cores)


def worker_of_a_broken_gpu(pipe: Any, options: Any, device: str, cores: int) -> None:
    """A worker process whose GPU fails at once."""
    Pipeline.sample = failing_after(0)  # type: ignore[method-assign]
    worker.run_worker(pipe, options, device, cores)


def worker_of_a_full_gpu(pipe: Any, options: Any, device: str, cores: int) -> None:
    """A worker process whose GPU has no room for the model."""

    def load(*_: object, **__: object) -> Pipeline:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    loader.load_pipeline = load
    worker.run_worker(pipe, options, device, cores)


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (torch.AcceleratorError(WORDS), True),
        (RuntimeError(WORDS), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), True),
        (torch.AcceleratorError("CUDA error: out of memory"), False),
        (torch.AcceleratorError("CUDA error: invalid configuration argument"), False),
        (RuntimeError("CUDA error: CUBLAS_STATUS_NOT_SUPPORTED when calling `cublasLtMatmul`"), False),
        (RuntimeError("The size of tensor a (3) must match"), False),
        (ValueError("CUDA error: told by a file"), False),
    ],
)
def test_a_device_that_failed_is_told_from_a_call_that_did(error: Exception, *, wanted: bool) -> None:
    assert is_device_fault(error) is wanted


@pytest.mark.parametrize("stage", ["prepare", "sample", "finish"])
def test_a_device_that_fails_ends_the_batch_and_no_clip_has_failed(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise torch.AcceleratorError(WORDS)

    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.empty_cache", refuse)
    script, details = Script({(stage, name): torch.AcceleratorError(WORDS) for name in "cdef"}), list[str]()
    items = [make_item(name) for name in "abcdef"]
    told: list[tuple[str, str]] = []
    with Batch(items, script, batch_size=BatchSize(1), tell=details.append, workers=2) as batch:

        def all_of() -> None:
            told.extend((each.source.name, each.status) for each in batch)

        with pytest.raises(DeviceFaultError, match="the GPU failed: CUDA error: an illegal memory access") as caught:
            all_of()
        told += [(each.source.name, each.status) for each in batch.wind_up()]
    assert "run the same command again" in caught.value.hint
    assert {status for _, status in told} <= {"ok"}
    assert {name for name, _ in told} <= set("ab")
    assert "the device failed at c" in details


def test_a_call_that_keeps_the_device_for_ever_ends_the_batch_and_fails_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mfv2a.jobs.batch.GRACE_S", 0.1)
    monkeypatch.setattr("mfv2a.jobs.batch.CLOSE_S", 0.1)
    monkeypatch.setattr("mfv2a.media.patience.DEVICE_HANGS_S", 0.5)
    turn, end = Turn(of_device=True), threading.Event()

    class Hanging(Script):
        def prepare(self, item: Item, seconds: dict[str, float]) -> str:
            with turn:
                if item.source.name == "c":
                    end.wait(60)
            return super().prepare(item, seconds)

    told: list[tuple[str, str]] = []
    items = [make_item(f"{name}") for name in "abcdefghij"]
    with Batch(items, Hanging(), batch_size=BatchSize(1), tell=str, workers=2, timeout_s=1.0) as batch:

        def all_of() -> None:
            told.extend((each.source.name, each.status) for each in batch)

        try:
            with pytest.raises(DeviceFaultError, match="the device does not answer"):
                all_of()
        finally:
            end.set()
    assert {name for name, status in told if status == "failed"} <= {"c"}


@pytest.mark.usefixtures("clips")
def test_a_run_whose_gpu_fails_says_so_and_the_next_one_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Pipeline, "sample", failing_after(2))
        assert main(["dub", "in", "--out", "out", "--batch-size", "1", *TINY]) == 4
    assert "error: the GPU failed: CUDA error: an illegal memory access" in capsys.readouterr().err
    assert {record["status"] for record in read_records(Path("out/report.jsonl"))} <= {"ok"}
    assert main(["dub", "in", "--out", "out", *TINY]) == 0
    assert len(list(Path("out").glob("*.mov"))) == 6


@pytest.mark.usefixtures("clips")
def test_a_worker_whose_gpu_fails_is_replaced_and_its_clips_are_made(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("mfv2a.jobs.pool.run_worker", worker_of_a_weak_gpu)
    wanted = options()
    with Pool(to_dub(wanted), wanted, ("cpu",), begin=lambda item, stage: None, tell=str, cores=1) as pool:
        results = list(pool)
    assert sorted((result.source.name, result.status) for result in results) == [(f"{k}.mov", "ok") for k in range(6)]
    assert "--device cpu: the GPU failed: CUDA error" in caplog.text


@pytest.mark.usefixtures("clips")
def test_a_gpu_that_fails_again_and_again_does_not_eat_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mfv2a.jobs.pool.run_worker", worker_of_a_broken_gpu)
    monkeypatch.setattr("mfv2a.jobs.pool.FAULTS", 3)
    wanted, failed = options(workers=1), list[str]()
    with Pool(to_dub(wanted), wanted, ("cpu",), begin=lambda item, stage: None, tell=str, cores=1) as pool:

        def all_of() -> None:
            failed.extend(result.source.name for result in pool)

        with pytest.raises(StartError, match="cpu fails again and again"):
            all_of()
    assert len(failed) < 3


@pytest.mark.usefixtures("clips")
def test_a_worker_without_memory_for_the_model_ends_the_run_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mfv2a.jobs.pool.run_worker", worker_of_a_full_gpu)
    wanted = options()
    with Pool(to_dub(wanted), wanted, ("cpu", "cpu"), begin=lambda item, stage: None, tell=str, cores=2) as pool:
        with pytest.raises(StartError, match="not enough memory: CUDA out of memory") as caught:
            list(pool)
        assert "--low-memory" in caught.value.hint


@pytest.mark.usefixtures("clips")
def test_an_actor_whose_gpu_fails_raises_after_what_it_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pipeline, "sample", failing_after(2))
    wanted = options()
    wanted = replace(wanted, sound=replace(wanted.sound, batch_size=1))
    chunk = list(enumerate(item for group in to_dub(wanted) for item in group))
    said: list[str] = []

    def all_of() -> Iterator[None]:
        said.extend(word for word, _ in Dubber(wanted, "cpu", 1).dub(chunk))
        yield

    with pytest.raises(DeviceFaultError):
        next(all_of())
    assert said == ["result", "result"] + ["detail"] * said.count("detail")
