"""Dub one clip from Python: the stages of `mfv2a dub` one by one, each a call you can look between.

python examples/dub_one_clip.py examples/videos/flower.mp4 flower-dubbed.mp4
python examples/dub_one_clip.py clip.mp4 dubbed.mp4 --prompt "footsteps on gravel" --seed 3
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mfv2a import Mfv2aError, SampleOptions, load_pipeline
from mfv2a.jobs.sight import see_video
from mfv2a.media.containers import plan_mux
from mfv2a.media.mux import mux_audio
from mfv2a.media.probe import probe_video


def main() -> int:
    """Read the words, dub the clip, say what was seen."""
    parser = argparse.ArgumentParser(description="Give one video sound.")
    parser.add_argument("video", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--prompt", default="")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="embedded")
    words = parser.parse_args()
    try:
        dub(words.video, words.out, prompt=words.prompt, seed=words.seed, model=words.model)
    except Mfv2aError as error:
        print(f"error: {error} - {error.hint}", file=sys.stderr)
        return error.exit_code
    return 0


def dub(video: Path, out: Path, *, prompt: str, seed: int, model: str) -> None:
    """One clip from file to dubbed file."""
    info = probe_video(video)
    plan = plan_mux(info, "auto")  # before any work: can this container take the sound?
    pipeline = load_pipeline(model)

    seen = see_video(info, pipeline)  # frames by presentation time, looked at as they come
    work = pipeline.prepare(seen, prompt=prompt, duration_s=info.duration_s, seed=seed)  # ready to sample
    print(f"{work.duration_s:.2f} s, confidence {work.confidence:.2f}")
    print("recognised:", ", ".join(work.recognized) or "nothing")
    print("strikes at:", ", ".join(f"{time_s:.2f}" for time_s in work.strikes_s) or "none")

    (latent,) = pipeline.sample([work], SampleOptions())  # noise to sound in the model's own number of steps
    audio = pipeline.decode(work, latent, sample_rate_hz=48_000)
    mux_audio(info, audio, out, plan)  # picture packets copied bit for bit
    print(out)


if __name__ == "__main__":
    sys.exit(main())
