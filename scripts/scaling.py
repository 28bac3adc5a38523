"""What a million clips take: cores, days, memory and traffic, worked out from what `scripts/throughput.py` measured.

    python scripts/throughput.py --json docs/measured/throughput.json
    python scripts/scaling.py docs/measured/throughput.json            # the tables of docs/SCALING.md

The CPU rows are measured seconds multiplied. The rows of the full-size networks are estimates: their arithmetic at a
share of a GPU's peak that you state (--gpu-tflops, --gpu-share).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CLIPS = 1_000_000
TFLOP = {
    "CLIP ViT-H, 64 frames": 39.0,
    "Synchformer": 8.9,
    "small generator, 1 call": 2.8 / 50,
    "small generator, 50 calls (25 steps, guided)": 2.8,
    "vocoder": 0.9,
}
"""Arithmetic a clip of 8 s of MMAudio's networks, in TFLOP; the vocoder of the 16 kHz model."""


def measured_rows(figures: dict[str, Any]) -> Iterator[str]:
    """The table of the embedded model on processors."""
    whole, clips = figures["whole"], figures["clips"]
    yield f"| stage | CPU seconds a clip | core hours for {CLIPS:,} clips | hours on 64 cores |"
    yield "|---|---|---|---|"
    for name, seconds in (*whole["stages_cpu_s"].items(), ("all", whole["cpu_s"])):
        hours = seconds / clips * CLIPS / 3600
        yield f"| {name} | {seconds / clips:.3f} | {hours:,.0f} | {hours / 64:.2f} |"
    yield ""
    per_clip = {name: figures[name] / clips for name in ("bytes_in", "bytes_out")}
    yield "| what | a clip | a million clips |"
    yield "|---|---|---|"
    for name, value in (("read", per_clip["bytes_in"]), ("written", per_clip["bytes_out"])):
        yield f"| {name} | {value / 1e6:.2f} MB | {value * CLIPS / 1e12:.2f} TB |"
    days = whole["wall_s"] / clips * CLIPS / 86400
    yield f"| wall time on {figures['cores']} cores | {whole['wall_s'] / clips:.2f} s | {days:.1f} days |"
    again = figures["again"]["wall_s"] / clips
    yield f"| the same with the features kept | {again:.2f} s | {again * CLIPS / 86400:.1f} days |"


def estimated_rows(tflops: float, share: float) -> Iterator[str]:
    """The table of the full-size networks on a GPU."""
    speed = f"{share:.0%} of {tflops:g} TFLOP/s"
    yield f"| network | TFLOP a clip | seconds a clip at {speed} | GPU hours for {CLIPS:,} clips |"
    yield "|---|---|---|---|"
    for name, work in TFLOP.items():
        seconds = work / tflops / share
        yield f"| {name} | {work:.2g} | {seconds:.4f} | {seconds * CLIPS / 3600:,.0f} |"


def main() -> None:
    """Read the words, print the tables."""
    parser = argparse.ArgumentParser(description="Work out what a million clips take.")
    parser.add_argument("figures", type=Path, metavar="FILE", help="that scripts/throughput.py --json wrote")
    parser.add_argument("--gpu-tflops", type=float, default=400.0, metavar="N", help="bf16 peak of the GPU, dense")
    parser.add_argument("--gpu-share", type=float, default=0.4, metavar="X", help="share of it that is reached")
    wanted = parser.parse_args()
    figures = json.loads(wanted.figures.read_text(encoding="utf-8"))
    rows = [*measured_rows(figures), "", *estimated_rows(wanted.gpu_tflops, wanted.gpu_share)]
    sys.stdout.write("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
