"""What this machine and program are, and the most it can do: matrix products and memory, measured here."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from mfv2a.pipeline import Pipeline

IDENTITY = ("platform", "processor", "cores", "device", "dtype", "threads")
"""What must be the same for times to be compared."""
_COPY_BYTES = {"cpu": 1 << 28, "cuda": 1 << 30}
_SIDE = {"cpu": 1024, "cuda": 8192}
_ROUNDS = 7
_ROUNDS_S = 2.0  # a processor that only imitates a dtype takes seconds for one product


def describe_program() -> dict[str, str]:
    """What made a report, and when: "version" of mfv2a, "made_at" in UTC."""
    from mfv2a import __version__

    return {"version": __version__, "made_at": datetime.now(UTC).isoformat(timespec="seconds")}


def load_average() -> float | None:
    """How many processes ran or waited in the last minute, None where the system does not tell."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):  # Windows
        return None


def describe_machine(pipeline: Pipeline) -> dict[str, Any]:
    """The machine as reports have it, JSON-ready."""
    import platform

    import torch

    cuda = pipeline.device.type == "cuda"
    return {
        "device": str(pipeline.device),
        "dtype": str(pipeline.dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "platform": platform.platform(),
        "processor": torch.cuda.get_device_name(pipeline.device) if cuda else _processor(),
        "cores": os.cpu_count(),
    }


def _processor() -> str:
    """The processor's name as Linux tells it, else as Python does."""
    import platform

    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def measure_peaks(pipeline: Pipeline, synchronize: Callable[[], None]) -> dict[str, Any]:
    """The most that matrix products and memory reach here, the best of seven, or of as many as two seconds hold.

    Returns:
        "gflop_per_s" by dtype (of the pipeline, and float32): square matrices of side 1024 on a processor, 8192 on a
        GPU, 2 n^3 operations; "gbyte_per_s": a copy of 256 MiB (1 GiB on a GPU), read once and written once.
    """
    import torch

    kind = "cuda" if pipeline.device.type == "cuda" else "cpu"
    dtypes = dict.fromkeys((torch.float32, pipeline.dtype))
    products = {
        str(dtype).removeprefix("torch."): product_speed(pipeline.device, dtype, synchronize) / 1e9 for dtype in dtypes
    }
    source = torch.zeros(_COPY_BYTES[kind], dtype=torch.uint8, device=pipeline.device)
    target = torch.empty_like(source)
    seconds = fastest(lambda: target.copy_(source), synchronize)
    return {"gflop_per_s": products, "gbyte_per_s": 2 * _COPY_BYTES[kind] / seconds / 1e9}


def higher_peaks(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Of peaks that were measured twice, the higher: other work makes them lower alone."""
    products = {dtype: max(speed, second["gflop_per_s"][dtype]) for dtype, speed in first["gflop_per_s"].items()}
    return {"gflop_per_s": products, "gbyte_per_s": max(first["gbyte_per_s"], second["gbyte_per_s"])}


def product_speed(device: torch.device, dtype: torch.dtype, synchronize: Callable[[], None]) -> float:
    """Operations a second of a product of square matrices, as `measure_peaks` has them and networks do it."""
    import torch

    from mfv2a.models.linear import linear

    side = _SIDE["cuda" if device.type == "cuda" else "cpu"]
    first, second = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    with torch.inference_mode():
        return 2 * side**3 / fastest(lambda: linear(first, second), synchronize)


def fastest(work: Callable[[], Any], synchronize: Callable[[], None]) -> float:
    """Seconds of the fastest of several runs, after one that does not count; of fewer where they are slow."""
    times: list[float] = []
    for _ in range(_ROUNDS + 1):
        if sum(times[1:]) > _ROUNDS_S:
            break
        start = time.perf_counter()
        work()
        synchronize()
        times.append(time.perf_counter() - start)
    return min(times[1:])
