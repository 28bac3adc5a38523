"""From a run of the examples to a dubbed file at true shapes, on made-up features and weights. Prints JSON lines.

    python scripts/true_shape.py small                 20 steps of mf-small-16k-vggsound, 2 rows
    python scripts/true_shape.py large                 2 steps of distill-mmaudio-large-44k, 1 row, bf16, recompute
    python scripts/true_shape.py small --steps 2 --rows 1 --clip examples/videos/stream.mp4
    python scripts/true_shape.py small --precision float32 --dtype float32      where bfloat16 is only imitated

Training is that of `scripts/measure_training.py`: seconds a step, peak memory, loss. Its weights then go through
`mfv2a models export` and `mfv2a dub --model`; encoders and decoders are of the public sizes with random weights, since
their files are not needed to show that the way holds. What comes out is noise; told are its length, level and time.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RUNS = {
    "small": ("mf-small-16k-vggsound.toml", 20, 2, ()),
    # without the moving average and warm-up: 24 GB of memory hold it (in float32 with the teacher alone in bfloat16),
    # and two steps move
    "large": ("distill-mmaudio-large-44k.toml", 2, 1, ("--precision", "bfloat16", "--recompute", "--no-average")),
}


def say(what: str, **facts: Any) -> None:
    """One line of JSON."""
    sys.stdout.write(json.dumps({"part": what, **facts}) + "\n")
    sys.stdout.flush()


def train(options: argparse.Namespace, weights: Path) -> None:
    """The steps, in a process of their own: their peak of memory is their own."""
    run, steps, rows, words = RUNS[options.size]
    steps, rows = options.steps or steps, options.rows or rows
    command = [sys.executable, str(ROOT / "scripts/measure_training.py"), str(ROOT / "examples/runs" / run)]
    command += ["--steps", str(steps), "--rows", str(rows), "--no-warmup", "--save", str(weights), *words]
    command += ["--precision", options.precision] if options.precision else []
    command += ["--half-teacher"] if options.size == "large" and options.precision == "float32" else []
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    say("train", **json.loads(done.stdout))


def made_up_parts() -> None:
    """In this process, all but the generator is of public size with random weights; no file of theirs is read."""
    from mfv2a import layouts
    from mfv2a.models import upstream
    from mfv2a.models.clip_tokenizer import CLIPTokenizer

    load, fetch = layouts.PublicFiles.load, layouts.hub.fetch

    def made(self: Any, role: str, dtype: Any) -> Any:
        if role == "generator":
            return load(self, role, dtype)
        return upstream.random_public(self.kinds[role], self.files[role].config, device=self.device, dtype=dtype)

    layouts.PublicFiles.load = made  # type: ignore[method-assign]
    layouts.hub.fetch = lambda entry: Path() if entry.role == "tokenizer" else fetch(entry)  # type: ignore[assignment]
    CLIPTokenizer.from_file = classmethod(lambda cls, _: cls.of_letters())  # type: ignore[assignment, method-assign]


def command(words: Sequence[str]) -> float:
    """Run a command of the tool here; gives its seconds."""
    from mfv2a.cli import main as tool

    began = time.perf_counter()
    code = tool(list(words))
    if code:
        raise SystemExit(f"mfv2a {' '.join(words)} ended with {code}")
    return round(time.perf_counter() - began, 1)


def dub(options: argparse.Namespace, package: Path, folder: Path) -> None:
    """Dub one clip with the package, and look at what came out."""
    import numpy as np

    from mfv2a.media.audio import read_audio
    from mfv2a.media.probe import probe_video

    out = folder / "out"
    words = ["--also-wav", "--sample-rate", "model", "--low-memory", "--dtype", options.dtype, "--quiet"]
    seconds = command(["dub", str(options.clip), "--out", str(out), "--model", str(package), *words])
    (video,), (wave,) = sorted(out.rglob("*.mp4")), sorted(out.rglob("*.wav"))
    audio = read_audio(wave)
    say(
        "dub",
        clip=options.clip.name,
        seconds=seconds,
        picture_s=round(float(probe_video(video).duration_s), 3),
        sound_s=round(len(audio.samples) / audio.sample_rate_hz, 3),
        sample_rate_hz=audio.sample_rate_hz,
        finite=bool(np.isfinite(audio.samples).all()),
        rms=round(float(np.sqrt(np.mean(np.square(audio.samples)))), 5),
        peak_gib=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    )


def main() -> None:
    """Train, export, dub."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("size", choices=RUNS)
    parser.add_argument("--steps", type=int, default=0, help="instead of the size's own")
    parser.add_argument("--rows", type=int, default=0, help="instead of the size's own")
    parser.add_argument("--clip", type=Path, default=ROOT / "examples/videos/stream.mp4")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], help="of training, instead of the run's own")
    parser.add_argument("--dtype", default="bfloat16", help="of encoders and generator in the dub")
    parser.add_argument("--folder", type=Path, help="where to put the weights meanwhile; else the system's own place")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        folder = Path(scratch)
        weights, package = folder / "run" / "final.safetensors", folder / f"{options.size}-true-shape"
        weights.parent.mkdir()
        train(options, weights)
        seconds = command(["models", "export", str(weights.parent), str(package), "--licence", "none"])
        size = sum(path.stat().st_size for path in package.iterdir())
        say(
            "export", seconds=seconds, gib=round(size / 2**30, 2), files=sorted(path.name for path in package.iterdir())
        )
        made_up_parts()
        dub(options, package, folder)


if __name__ == "__main__":
    main()
