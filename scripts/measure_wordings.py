"""What it costs a generator to read a caption that it does not know: the same scenes, noise and pictures, other words.

    python scripts/measure_wordings.py --scenes 200                     the embedded model
    python scripts/measure_wordings.py --scenes 200 --seed 300 --model runs/wordings/final.safetensors

Of each held-out scene one sound a set of captions is made, and the probe on the tagger's embeddings tells its label:

    known       one of the first six of its label, which every generator learned from
    held out    the scene's own, kept for judging in `captions.toml`
    judged      of `judged_wordings.toml`: nobody learns from them either; who wrote them had seen no others kept
    none        the picture alone
    codec       the true sound through the codec: what is left to reach

Prints the share of right labels with its 95 % interval over the scenes, and how much less than with known captions it
is, scene by scene; then the labels that the judged captions lose most of.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

import numpy as np
from measure_codec import interval
from numpy.typing import NDArray

from mfv2a.encoders.protocol import see
from mfv2a.evaluation.tagger import ClassProbe, embed_sounds
from mfv2a.jobs.evaluate import see_scene, through_codec
from mfv2a.loader import load_pipeline
from mfv2a.models.yamnet import Tagger
from mfv2a.pipeline import Pipeline, SampleOptions
from mfv2a.scenes import CAPTIONS, HELD_OUT_SEED, Scene, make_scene

JUDGED = Path(__file__).with_name("judged_wordings.toml")
FIRST = HELD_OUT_SEED + 20_000  # other scenes than those of `mfv2a evaluate` in the results
KNOWN, TOLD = 6, 10


def captions_of(scene: Scene, judged: dict[str, list[str]]) -> dict[str, str]:
    """A caption of each set; which one, the scene's seed decides."""
    known, other = CAPTIONS[scene.label].training[:KNOWN], judged[scene.label]
    return {
        "known": known[scene.seed % len(known)],
        "held out": scene.caption,
        "judged": other[scene.seed % len(other)],
        "none": "",
    }


def right(pipeline: Pipeline, scenes: list[Scene], steps: int) -> dict[str, NDArray[np.bool_]]:
    """Which scenes are heard as their label, under each set of captions and through the codec [K]."""
    judged = tomllib.loads(JUDGED.read_text(encoding="utf-8"))
    waves, rate = defaultdict(list), pipeline.spec.sample_rate_hz
    for scene in scenes:
        seen = see(pipeline.encoders, see_scene(scene, pipeline), scene.duration_s)
        for name, caption in captions_of(scene, judged).items():
            work = pipeline.prepare(seen, prompt=caption, duration_s=scene.duration_s, seed=scene.seed)
            latent = pipeline.sample([work], SampleOptions(steps=steps))[0]
            waves[name].append(pipeline.decode(work, latent, sample_rate_hz=rate).samples)
        true = scene.sound(rate)[: len(waves["known"][-1])]
        waves["codec"].append(through_codec(true, pipeline))
    tagger, probe = Tagger.from_assets(), ClassProbe.from_assets()
    labels = np.array([scene.label for scene in scenes])
    told = {name: probe.predict(embed_sounds(sounds, tagger, sample_rate_hz=rate)) for name, sounds in waves.items()}
    return {name: np.array(each) == labels for name, each in told.items()}


def main() -> None:
    """Read the words, make the sounds, print who is right how often."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0, help=f"of the first scene, added to {FIRST}")
    parser.add_argument("--model", default="embedded", help="a model, or a generator's weights")
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--as-written", action="store_true", help="without the reader of prompts")
    words = parser.parse_args()
    scenes = [make_scene(FIRST + words.seed + k) for k in range(words.scenes)]
    found = right(load_pipeline(words.model, as_written=words.as_written), scenes, words.steps)
    for name, each in found.items():
        less = "" if name in ("known", "codec") else f"  below known by {interval([*(found['known'] * 1.0 - each)])}"
        sys.stdout.write(f"{name:9} {interval([*(each * 1.0)])}{less}\n")
    lost: dict[str, int] = defaultdict(int)
    for scene, known, judged in zip(scenes, found["known"], found["judged"], strict=True):
        lost[scene.label] += int(known) - int(judged)
    worst = sorted(lost, key=lambda label: -lost[label])[:TOLD]
    sys.stdout.write("lost most: " + ", ".join(f"{label} {lost[label]}" for label in worst) + "\n")


if __name__ == "__main__":
    main()
