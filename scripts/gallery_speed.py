"""Measure the page of a folder with many clips: how long it takes, how large it is, how long a second time.

    python scripts/gallery_speed.py --clips 1000

Dubs examples/videos once with the embedded model, then lays copies (links) of the results under many names, with a
report that knows them all; a part of the lines is turned into failures. What is seen and heard of each copy is made
anew: none shares a name.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from marks import ROOT

from mfv2a.cli import main
from mfv2a.jobs.gallery import make_gallery
from mfv2a.jobs.report import encode_json
from mfv2a.jobs.reported import read_records
from mfv2a.jobs.sketches import FOLDER


def multiply(out: Path, clips: int, *, failures_every: int = 50) -> None:
    """Turns an output folder of few clips into one of many."""
    records = [record for record in read_records(out / "report.jsonl") if record["status"] == "ok"]
    lines = []
    for number in range(clips):
        record = json.loads(json.dumps(records[number % len(records)]))
        name = f"{number:05d}-{record['name']}"
        (out / name).hardlink_to(out / record["name"])
        copied = {"name": name, "source": record["source"].replace(record["name"], name)}
        if number % failures_every == 7:
            copied |= {
                "status": "failed",
                "error": "is cut short or damaged",
                "hint": "copy the file again",
                "name": None,
            }
        lines.append(encode_json({**record, **copied}))
    (out / "report.jsonl").write_bytes(b"".join(lines))


def measure(folder: Path, clips: int) -> None:
    """Prints the figures of one folder."""
    out = folder / "dubbed"
    with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())):
        main(["dub", str(ROOT / "examples" / "videos"), "--out", str(out), "--quiet"])
    multiply(out, clips)
    for word in ("first", "second"):
        start, cpu = time.perf_counter(), time.process_time()
        gallery = make_gallery(out)
        spent_s, cpu_s = time.perf_counter() - start, time.process_time() - cpu
        kept = [path.stat().st_size for path in (out / FOLDER).iterdir()]
        sys.stdout.write(
            f"{word} time: {gallery.clips} clips, {gallery.sketched} looked at, {spent_s:.1f} s, CPU {cpu_s:.1f} s; "
            f"page {gallery.page_bytes / 1e6:.1f} MB, kept {len(kept)} files of {sum(kept) / 1e6:.1f} MB\n"
        )
    sys.stdout.write(
        f"states {dict(gallery.states)}; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; {gallery.path}\n"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("--keep", type=Path, help="make the folder here and leave it")
    words = parser.parse_args()
    if words.keep:
        measure(words.keep, words.clips)
    else:
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder), words.clips)
