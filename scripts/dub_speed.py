"""Time `mfv2a dub` on clips of 8 s against decoding the same files alone with PyAV.

    python scripts/dub_speed.py --height 720 --height 1080 --clips 10 --clips 40

The more clips, the less the start of the program weighs.

The clips are the filmed ones of examples/videos, looped and scaled, as H.264; each time is the better of two. CPU
seconds are those of both runs of `mfv2a dub` and all that they started, halved. POSIX only.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av

from mfv2a.media.ffmpeg import find_ffmpeg

FILMS = sorted(
    Path(__file__).resolve().parent.parent / "examples" / "videos" / name for name in ("flower.mp4", "friday.mp4")
)
CLIPS, SECONDS = 10, 8


def make_clips(folder: Path, height_px: int, number: int) -> list[Path]:
    """Loop and scale the films: so many files, each film in turn."""
    folder.mkdir(parents=True)
    paths = [folder / f"clip{k}.mp4" for k in range(number)]
    size = f"scale={height_px * 16 // 9 // 2 * 2}:{height_px},setsar=1,fps=30"
    for path, film in zip(paths, FILMS, strict=False):
        line = [find_ffmpeg(), "-nostdin", "-loglevel", "error", "-stream_loop", "-1", "-i", film, "-t", str(SECONDS)]
        subprocess.run([*line, "-an", "-vf", size, "-c:v", "libx264", "-preset", "fast", path], check=True)
    for k, path in enumerate(paths[len(FILMS) :]):
        shutil.copyfile(paths[k % len(FILMS)], path)
    return paths


def decode(paths: list[Path]) -> None:
    """Decode every frame and keep none, with the decoder's own threads."""
    for path in paths:
        with av.open(str(path)) as container:
            picture = container.streams.video[0]
            picture.thread_type = "AUTO"
            for _ in container.decode(picture):
                pass


def spent() -> float:
    """CPU seconds of the programs that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def best_of_two(work: Callable[[int], object]) -> float:
    """The shorter of two times in seconds."""
    times = []
    for turn in range(2):
        start = time.perf_counter()
        work(turn)
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Read the words, make the clips, time both."""
    parser = argparse.ArgumentParser(description="Time dubbing against decoding.")
    parser.add_argument("--height", type=int, action="append", metavar="PX", help="of the picture; repeatable")
    parser.add_argument("--clips", type=int, action="append", metavar="N", help="how many; repeatable")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mfv2a-speed-") as scratch:
        for height_px, number in itertools.product(words.height or [720, 1080], words.clips or [CLIPS]):
            clips = make_clips(Path(scratch) / f"{height_px}-{number}", height_px, number)
            program = [sys.executable, "-m", "mfv2a", "dub", clips[0].parent, "--quiet", "--out"]
            alone = best_of_two(lambda _, clips=clips: decode(clips))
            before = spent()
            dubbed = best_of_two(
                lambda turn, line=program: subprocess.run([*line, f"{line[4]}-{turn}"], check=True, capture_output=True)
            )
            sys.stdout.write(
                f"{height_px}p, {number} clips: decoding alone {alone:.2f} s, dub {dubbed:.2f} s, "
                f"ratio {dubbed / alone:.2f}, {(spent() - before) / 2:.1f} CPU s\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
