"""Operations and bytes against what is known of a layer."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from made_videos import make_video
from mfv2a.jobs import machine
from mfv2a.jobs.bench import BenchOptions, measure
from mfv2a.jobs.counting import Cost, Counting, count, shares, weights_dtype
from mfv2a.jobs.sight import see_video
from mfv2a.jobs.sound import SoundOptions
from mfv2a.jobs.timing import Bench
from mfv2a.media.video import probe_video
from mfv2a.records import FrameRequest


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_a_linear_layer_costs_two_operations_a_weight_and_row_and_moves_its_tensors_once(mode: type) -> None:
    layer, rows = nn.Linear(64, 32), torch.randn(10, 64)
    with mode():
        _, cost = count(lambda: layer(rows))
    assert cost == Cost(flops=2 * 10 * 64 * 32, bytes=4 * (64 * 32 + 32 + 10 * 64 + 10 * 32))


def test_attention_is_two_products_on_the_processor_too() -> None:
    q = torch.randn(1, 2, 50, 16)
    with torch.inference_mode():
        _, cost = count(lambda: nn.functional.scaled_dot_product_attention(q, q, q))
    assert cost.flops == 2 * (2 * 2 * 50 * 50 * 16)


def test_a_convolution_costs_its_kernel_at_every_place() -> None:
    layer, wave = nn.Conv1d(8, 4, 3, padding=1), torch.randn(1, 8, 100)
    with torch.inference_mode():
        _, cost = count(lambda: layer(wave))
    assert cost.flops == 2 * 100 * 8 * 4 * 3


def test_a_view_moves_nothing_and_an_addition_in_place_does() -> None:
    rows = torch.zeros(100)
    with torch.inference_mode():
        assert count(lambda: rows.view(10, 10).T)[1] == Cost(0, 0)
        assert count(lambda: rows.add_(1))[1].bytes == 2 * 400


def test_shares_are_of_the_peaks() -> None:
    peaks = {"gflop_per_s": {"float32": 100.0}, "gbyte_per_s": 10.0}
    found = shares(Cost(flops=50_000_000_000, bytes=2_000_000_000), 1.0, peaks, "float32")
    assert found["share_of_compute"] == pytest.approx(0.5)
    assert found["share_of_memory"] == pytest.approx(0.2)
    assert found["flops_per_byte"] == pytest.approx(25)
    assert shares(Cost(0, 0), 1.0, peaks, "float32")["share_of_compute"] is None


def test_stages_are_set_against_the_peak_of_their_own_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(machine._SIDE, "cpu", 64)  # bfloat16 is slow where it is only imitated
    monkeypatch.setitem(machine._COPY_BYTES, "cpu", 1 << 20)
    video = make_video(tmp_path / "a.mp4", seconds=0.3)
    sound = SoundOptions(model="tiny", dtype="bfloat16")
    options = BenchOptions(video=video, sound=sound, repeats=1, warmup=0, counted=True)
    report = measure(options, begin=lambda *_: None, say=lambda _: None)
    work, peaks = report["entries"][0]["work"], report["peaks"]["gflop_per_s"]
    dtypes = {name: row["dtype"] for name, row in work.items()}
    assert dtypes == {"features": "float32", "sample": "bfloat16", "vae": "float32", "vocoder": "float32"}
    for row in work.values():
        if row["gflop_per_s"] is not None:
            assert row["share_of_compute"] == pytest.approx(row["gflop_per_s"] / peaks[row["dtype"]])


def test_most_weights_say_the_dtype_of_a_stage() -> None:
    small, large = nn.Linear(2, 2), nn.Linear(9, 9).to(torch.bfloat16)
    assert weights_dtype(small, "no network", large) == "bfloat16"
    assert weights_dtype(None) == "float32"


def test_what_shrinks_frames_is_counted_as_little_as_its_time_and_the_device_is_waited_for(tmp_path: Path) -> None:
    waited: list[str] = []
    layer = nn.Linear(3, 3, bias=False)

    class Looking:
        def add(self, name: str, frames: np.ndarray) -> None:
            waited.append("add")
            layer(torch.zeros(1, 3))

        def seen(self) -> str:
            waited.append("seen")
            return "seen"

    def shrink(frames: np.ndarray) -> np.ndarray:
        return torch.from_numpy(frames).float().mean(dim=(1, 2)).numpy()

    pipeline: Any = SimpleNamespace(
        frame_requests={"frames": FrameRequest(fps=4.0, size_px=16)},
        shrinkers={"frames": shrink},
        look=lambda *_, **__: Looking(),
    )
    info, counting = probe_video(make_video(tmp_path / "a.mp4", seconds=1.0)), Counting()
    with torch.inference_mode():
        see_video(info, pipeline, turn=counting, synchronize=lambda: waited.append("wait"))
        _, once = count(lambda: Looking().add("", np.zeros(0)))
    assert counting.cost == once
    assert waited[:5] == ["wait", "add", "wait", "seen", "wait"]


def test_bench_waits_for_whatever_queues_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[str] = []
    monkeypatch.setattr("torch.mps.synchronize", lambda: waited.append("mps"))
    for device in ("mps", "cpu"):
        bench: Any = SimpleNamespace(pipeline=SimpleNamespace(device=torch.device(device)))
        Bench.synchronize(bench)
    assert waited == ["mps"]
