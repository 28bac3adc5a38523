"""A folder of clips through `mfv2a dub`: clips a minute, CPU seconds a stage, peak memory, and what a cache saves.

    python scripts/throughput.py                      # 200 clips of 8 s at 720p
    python scripts/throughput.py --clips 20 --height 360 --loop 3

Measured are: the whole folder; its first 20 clips alone, for the memory; the folder again with another seed and the
features of the first run (--cache); and a loop of one process a file over a few clips. CPU seconds of a stage are
those of the threads that carry it out; what ffmpeg spends counts as mux; what is left is the sampler's other threads,
loading, planning and writing the report. The clips are the films of examples/videos, looped and scaled, as H.264,
each with bytes of its own. POSIX only.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from mfv2a.media.ffmpeg import find_ffmpeg

FILMS = Path(__file__).resolve().parent.parent / "examples" / "videos"
SECONDS, KINDS, FEW = 8, 10, 20
STAGES = ("cache", "decode", "features", "sample", "sound", "mux")


def make_clips(folder: Path, count: int, height_px: int) -> list[Path]:
    """`KINDS` encoded films, copied into `count` files that differ in a comment."""
    folder.mkdir(parents=True)
    films = sorted(path for path in FILMS.glob("*.mp4") if path.stem in ("flower", "friday"))
    size = f"scale={height_px * 16 // 9 // 2 * 2}:{height_px},setsar=1,fps=30"
    program = [find_ffmpeg(), "-nostdin", "-loglevel", "error"]
    kinds = [folder.parent / f"kind{k}.mp4" for k in range(min(KINDS, count))]
    for k, path in enumerate(kinds):
        looped = [*program, "-stream_loop", "-1", "-ss", f"{k * 0.3:.1f}", "-i", films[k % len(films)]]
        encoded = ["-t", str(SECONDS), "-an", "-vf", size, "-c:v", "libx264", "-preset", "fast"]
        subprocess.run([*looped, *encoded, path], check=True)
    paths = [folder / f"clip{k:03}.mp4" for k in range(count)]
    for k, path in enumerate(paths):
        copied = ["-i", kinds[k % len(kinds)], "-c", "copy", "-metadata", f"comment={k}", path]
        subprocess.run([*program, *copied], check=True)
    return paths


def dub(arguments: list[str], *, facts: Path | None = None) -> dict[str, Any]:
    """One process of `mfv2a dub`: its wall time, CPU seconds with all it started, and peak memory.

    Args:
        arguments: of `mfv2a dub`.
        facts: where CPU seconds a stage shall be written; None does not take them.
    """
    program = [sys.executable, "-m", "mfv2a"] if facts is None else [sys.executable, __file__, "--measured", str(facts)]
    start = time.perf_counter()
    child = subprocess.Popen([*program, "dub", *arguments, "--quiet"], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    wall_s = time.perf_counter() - start
    if child.returncode != 0:
        raise SystemExit(f"mfv2a dub {' '.join(arguments)}: exit status {child.returncode}")
    measured: dict[str, Any] = {"wall_s": wall_s, "cpu_s": used.ru_utime + used.ru_stime}
    measured["peak_mib"] = used.ru_maxrss / 2**10
    if facts is not None:
        stages = json.loads(facts.read_text())
        measured["stages_cpu_s"] = {**stages, "rest": measured["cpu_s"] - sum(stages.values())}
    return measured


def measured_main(facts: Path, words: list[str]) -> int:
    """`mfv2a` with its stages watched, in this process."""
    from mfv2a.cli import main as mfv2a
    from mfv2a.jobs import stages

    spent: Counter[str] = Counter()
    lock, mark = threading.Lock(), threading.local()

    def add(name: str, seconds: float) -> None:
        with lock:
            spent[name] += seconds

    class Watched(stages.DubStages):
        """The stages, with the CPU time of their threads."""

        def __init__(self, pipeline: Any, sound: Any, out: Any, begin: Any, **more: Any) -> None:
            def begun(item: Any, stage: str) -> None:
                switch(stage)
                begin(item, stage)

            super().__init__(pipeline, sound, out, begun, **more)
            look = pipeline.look
            pipeline.look = lambda *args, **named: Seeing(look(*args, **named))

        def prepare(self, item: Any, seconds: dict[str, float]) -> Any:
            switch("decode")
            try:
                return super().prepare(item, seconds)
            finally:
                switch("cache" if "cache" in seconds else None)

        def sample(self, works: Any, batch_size: int) -> Any:
            switch("sample")
            try:
                return super().sample(works, batch_size)
            finally:
                switch(None)

        def finish(self, *args: Any) -> Any:
            try:
                return super().finish(*args)
            finally:
                switch(None)

    class Seeing:
        """Encoders that look while frames are decoded."""

        def __init__(self, look: Any) -> None:
            self._look = look

        def add(self, name: str, frames: Any) -> None:
            before = switch("features")
            self._look.add(name, frames)
            switch(before)

        def seen(self) -> Any:
            return self._look.seen()

    def switch(name: str | None) -> str | None:
        """From here on this thread's time belongs to another stage."""
        now = time.thread_time()
        before = getattr(mark, "name", None)
        if before is not None:
            # what a hit of the cache took is known for one only when it is over
            add("cache" if before == "decode" and name == "cache" else before, now - mark.time)
        mark.name, mark.time = (None if name == "cache" else name), now
        return before

    stages.DubStages = Watched  # type: ignore[misc]
    code = mfv2a(words)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent["mux"] += children.ru_utime + children.ru_stime
    facts.write_text(json.dumps({name: spent[name] for name in STAGES if name in spent}))
    return code


def measure(count: int, height_px: int, loop: int, scratch: Path) -> dict[str, Any]:
    """All figures, in seconds, MiB and clips a minute."""
    clips = make_clips(scratch / "clips", count, height_px)
    names = [str(path) for path in clips]
    kept = ["--cache", str(scratch / "kept")]
    whole = dub([str(clips[0].parent), "--out", str(scratch / "whole"), *kept], facts=scratch / "whole.json")
    again = dub(
        [str(clips[0].parent), "--out", str(scratch / "again"), "--seed", "1", *kept], facts=scratch / "again.json"
    )
    few = dub([*names[:FEW], "--out", str(scratch / "few")])
    start = time.perf_counter()
    for name in names[:loop]:
        dub([name, "--out", str(scratch / "loop")])
    alone_s = (time.perf_counter() - start) / max(1, loop)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {
        "clips": count,
        "height_px": height_px,
        "cores": cores,
        "bytes_in": sum(path.stat().st_size for path in clips),
        "bytes_out": sum(path.stat().st_size for path in (scratch / "whole").rglob("*.mp4")),
        "whole": whole,
        "clips_per_minute": 60 * count / whole["wall_s"],
        "wall_over_cpu_share": whole["wall_s"] / (whole["cpu_s"] / cores),
        "peak_mib_few": few["peak_mib"],
        "few": min(FEW, count),
        "process_a_file_s": alone_s,
        "times_a_process_a_file": alone_s * count / whole["wall_s"],
        "again": again,
        "again_clips_per_minute": 60 * count / again["wall_s"],
    }


def tell(figures: dict[str, Any]) -> str:
    """The figures in words."""
    whole, again = figures["whole"], figures["again"]

    def parts(run: dict[str, Any]) -> str:
        return ", ".join(f"{name} {value:.1f}" for name, value in run["stages_cpu_s"].items())

    return "\n".join(
        (
            f"{figures['clips']} clips of {SECONDS} s, {figures['height_px']}p, {figures['cores']} cores: "
            f"{whole['wall_s']:.1f} s, {figures['clips_per_minute']:.1f} clips a minute",
            f"CPU seconds {whole['cpu_s']:.1f}: {parts(whole)}",
            f"wall time over CPU seconds a core: {figures['wall_over_cpu_share']:.3f}",
            f"a process a file: {figures['process_a_file_s']:.2f} s each, "
            f"{figures['times_a_process_a_file']:.2f} times as long",
            f"peak memory: {figures['peak_mib_few']:.0f} MiB with {figures['few']} clips, "
            f"{whole['peak_mib']:.0f} MiB with {figures['clips']}",
            f"again with another seed and the features kept: {again['wall_s']:.1f} s, "
            f"{figures['again_clips_per_minute']:.1f} clips a minute; CPU seconds {again['cpu_s']:.1f}: {parts(again)}",
        )
    )


def main() -> None:
    """Read the words, measure, tell."""
    if sys.argv[1:2] == ["--measured"]:
        raise SystemExit(measured_main(Path(sys.argv[2]), sys.argv[3:]))
    parser = argparse.ArgumentParser(description="Measure a folder of clips through `mfv2a dub`.")
    parser.add_argument("--clips", type=int, default=200, metavar="N", help="in the folder")
    parser.add_argument("--height", type=int, default=720, metavar="PX", help="of the picture")
    parser.add_argument("--loop", type=int, default=10, metavar="N", help="clips that get a process each")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mfv2a-throughput-") as scratch:
        figures = measure(wanted.clips, wanted.height, min(wanted.loop, wanted.clips), Path(scratch))
    sys.stdout.write(tell(figures) + "\n")
    if wanted.json:
        wanted.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
