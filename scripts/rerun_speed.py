"""Time a second run over a folder of which everything is done: no video is opened.

    python scripts/rerun_speed.py --entries 100000
    python scripts/rerun_speed.py --entries 100000 --new     # how long until the first of so many new videos is dubbed

The folder is made up: empty files with the names of videos, and the report that a first run would have written.
Prints seconds, CPU seconds and the largest memory of `mfv2a dub` on it, and again for the run after that.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mfv2a.jobs.dub import DubOptions
from mfv2a.jobs.report import encode_json, result_record
from mfv2a.jobs.reported import REPORT_NAME
from mfv2a.loader import describe_model
from mfv2a.records import ItemResult

A_FOLDER = 1000  # videos
CLIP = Path(__file__).resolve().parent.parent / "examples" / "videos" / "stream.mp4"


def make_done(root: Path, entries: int) -> tuple[Path, Path]:
    """Make the folder, its outputs and the report of a finished run; return the first two."""
    videos, out = root / "videos", root / "dubbed"
    options = DubOptions(out=out)
    settings = {**options.sound.settings(describe_model(options.sound.model)), **options.settings(), "prompt": ""}
    out.mkdir()
    with (out / REPORT_NAME).open("wb") as report:
        for number in range(entries):
            source, output = (
                folder / f"{number // A_FOLDER:04}" / f"a clip from a camera {number:06}.mp4"
                for folder in (videos, out)
            )
            for path in (source, output):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
            report.write(encode_json(result_record(_result(source, output, settings), out)))
    return videos, out


def _result(source: Path, output: Path, settings: dict[str, object]) -> ItemResult:
    status = source.stat()
    details = {
        "size_bytes": 0,
        "mtime_ns": status.st_mtime_ns,
        "content_key": f"0-{'0' * 64}",
        "prompt_from": "",
        "duration_s": 8.0,
        "windows": 1,
        "confidence": 0.9,
        "uncertain": False,
        "recognized": ["dog", "tabby cat"],
        "strikes_s": [0.04 * k for k in range(8)],
        "output_bytes": 0,
    }
    stages = ("decode", "features", "sample", "vae", "vocoder", "mux")
    seconds = dict.fromkeys(stages, 0.1)
    return ItemResult(source=source, output=output, status="ok", settings=settings, seconds=seconds, details=details)


def run_again(videos: Path, out: Path, code: int = 0) -> str:
    """Run the command as a process of its own and tell what it took."""
    # Its children count together: the program is started by a small one that measures it.
    line = [sys.executable, "-m", "mfv2a", "dub", str(videos), "--out", str(out), "--quiet"]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(line, stdout=subprocess.PIPE, check=False)
    wall_s, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != code:
        raise SystemExit(f"mfv2a ended with {done.returncode}")
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return f"{done.stdout.count(10)} lines, {wall_s:.1f} s, CPU {cpu_s:.1f} s, at most {after.ru_maxrss / 1024:.0f} MB"


def begin_new(root: Path, entries: int) -> str:
    """Dub a folder of new videos, all one file under many names, until the first is done; tell what that took."""
    videos = root / "videos"
    for number in range(entries):
        path = videos / f"{number // A_FOLDER:04}" / f"a clip from a camera {number:06}.mp4"
        if number % A_FOLDER == 0:  # a file has room for some 65,000 names
            path.parent.mkdir(parents=True)
            clip = path.with_name("clip")
            shutil.copy(CLIP, clip)
        path.hardlink_to(clip)
    line = [sys.executable, "-m", "mfv2a", "dub", str(videos), "--out", str(root / "dubbed"), "--quiet"]
    start = time.perf_counter()
    with subprocess.Popen(line, stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        run.stdout.readline()
        wall_s = time.perf_counter() - start
        status = Path(f"/proc/{run.pid}/status").read_text().splitlines()
        run.terminate()
    peak_mb = next(int(each.split()[1]) for each in status if each.startswith("VmHWM")) / 1024
    return f"the first of {entries} new videos dubbed after {wall_s:.1f} s, at most {peak_mb:.0f} MB until then"


def main() -> None:
    """Read the words, make the folder, run twice."""
    parser = argparse.ArgumentParser(description="Time a run over a folder that is done.")
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--new", action="store_true", help="none is done: the time to the first dubbed video")
    wanted = parser.parse_args()
    entries = wanted.entries
    with tempfile.TemporaryDirectory(prefix="mfv2a-rerun-") as scratch:
        if wanted.new:
            sys.stdout.write(begin_new(Path(scratch), entries) + "\n")
            return
        videos, out = make_done(Path(scratch), entries)
        for name in ("second run", "third run"):
            size_mb = (out / REPORT_NAME).stat().st_size / 1e6
            sys.stdout.write(f"{entries} done, report {size_mb:.0f} MB, {name}: {run_again(videos, out)}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
