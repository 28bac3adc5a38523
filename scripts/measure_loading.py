"""How much memory loading a public network adds, against the size of its file.

    python scripts/measure_loading.py --dtype float32 --dtype bfloat16

Files of the public sizes are written with random weights. Each is loaded in a process of its own, after all imports,
and every weight is looked at, for a mapped file is in memory only where it was looked at. `private` leaves out
the pages of the file itself, which the system may drop and read again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file

from mfv2a.models import upstream

NETWORKS = (
    ("mmaudio", "small_16k"), ("vae", "16k"), ("bigvgan", "16k"), ("synchformer", "public"), ("clip", "vit_h"),
)  # fmt: skip


def resident() -> tuple[int, int]:
    """Bytes in memory: all, and those that are no file's."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines())
    return tuple(1024 * int(fields[name].split()[0]) for name in ("VmRSS", "RssAnon"))  # type: ignore[return-value]


def load(kind: str, config: str, path: Path, dtype: str) -> None:
    """Load one file and print how much memory grew, at most and at last."""
    number, before = getattr(torch, dtype), resident()
    network = upstream.load_public(kind, config, path, dtype=number)
    total = sum(float(tensor.sum(dtype=torch.float32)) for tensor in network.state_dict().values())
    after, size = resident(), path.stat().st_size
    assert total == total
    grown = [(b - a) / size for a, b in zip(before, after, strict=True)]
    sys.stdout.write(
        f"{kind} {config} {dtype}: file {size / 2**20:.0f} MiB, grown {grown[0]:.2f} of it, private {grown[1]:.2f}\n"
    )


def main() -> None:
    """Read the words; write the files, and load each in a process of its own."""
    parser = argparse.ArgumentParser(description="Measure loading.")
    parser.add_argument("--dtype", action="append", metavar="NAME", help="repeatable")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.one:
        kind, config, path, dtype = words.one
        load(kind, config, Path(path), dtype)
        return
    for kind, config in NETWORKS:
        with tempfile.TemporaryDirectory(prefix="mfv2a-loading-") as scratch:
            path = Path(scratch) / "weights.safetensors"
            save_file(upstream.random_public(kind, config).state_dict(), path)
            for dtype in words.dtype or ["float32"]:
                subprocess.run([sys.executable, __file__, "--one", kind, config, path, dtype], check=True)


if __name__ == "__main__":
    main()
