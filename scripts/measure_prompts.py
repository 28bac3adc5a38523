"""What words alone give: rain that is heard as rain, labels found again, distances, sharpness and spread, by steps.

    python scripts/measure_prompts.py --sounds sfx                      the embedded model, 1, 2, 4 and 25 steps
    python scripts/measure_prompts.py --sounds sfx --model own --steps 1

Prompts are labels of the held-out recordings (`embedded-sounds-heldout.tsv`, part "unseen recordings": other authors'
recordings of the label were trained on) and of the part "unseen labels". One JSON line a number of steps and part:

    rain in three    seeds of 10, or as many as --rain-seeds, in which "rain on tin roof", 8 s, has a kind of rain among
                     the tagger's first three
    labels found     share of sounds whose nearest label, of 20 or as many as there are, is the one asked for. A label
                     is the mean embedding of its true sounds
    of true sounds   the same share of true ones, each left out of its label's mean
    kernel, frechet  to the true sounds, of the tagger's embeddings (MMD^2, unbiased, Gaussian as wide as their median)
    level, dB        of made sounds over true ones
    sharpness        mean step of the log-mel from frame to frame and band to band, over that of true sounds
    spread           mean distance of the log-mels' means over time of two seeds of a prompt, over that of two true
                     sounds of one label

and, for each number of steps after the first, a line a part with the first's kernel distance over its own. 95 %
intervals are by bootstrap over the sounds, of kernels and their ratio by leaving out one label after the other. With
--heard-tries sounds are drawn until the words are heard, by the tagger that tells all of this; "drawn" counts them.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from best_of import BestOf
from measure_codec import RATE_HZ, interval
from numpy.typing import NDArray
from scipy import stats
from split_sounds import HELD_OUT, LABELS, RECORDINGS

from mfv2a.config import ExtractConfig, load_toml
from mfv2a.data.sounds import arrange
from mfv2a.errors import Mfv2aError
from mfv2a.evaluation.metrics import frechet_distance, gaussian_kernel_distance, median_distance
from mfv2a.evaluation.tagger import embed_sounds
from mfv2a.jobs.items import load_sounds, mel_of
from mfv2a.loader import load_pipeline
from mfv2a.models.yamnet import Tagger
from mfv2a.pipeline import SampleOptions

ROOT = Path(__file__).parents[1]
SECONDS, ASKED, SEEDS, MEANS = 4.0, 20, 3, 1024
RAIN = "rain on tin roof"
Wave = NDArray[np.float32]
Rows = list[NDArray[np.float32]]  # embeddings [K, D] of each label


def true_sounds(folder: str, part: str) -> dict[str, list[Wave]]:
    """Arrangements of the held-out sounds of a part, by label: the 20 labels with the most files."""
    rows = [line.split("\t") for line in HELD_OUT.read_text(encoding="utf-8").splitlines()]
    wanted = {row[0] for row in rows if row[1] == part}
    exclude = load_toml(ROOT / "examples/runs/embedded-1-sounds.toml", ExtractConfig).source.exclude
    found = defaultdict(list)
    try:
        sounds = load_sounds(folder, "", exclude, str(HELD_OUT))
    except Mfv2aError as error:
        raise SystemExit(str(error)) from None
    for k, sound in enumerate(sorted(sounds, key=lambda sound: sound.file)):
        if sound.file in wanted:
            rng = np.random.default_rng([k, 5])
            found[sound.label].append(arrange(sound, round(SECONDS * RATE_HZ), RATE_HZ, rng))
    if not found:
        raise SystemExit(f"no held-out recording of a label that is {part} is in {folder}")
    most = sorted(found, key=lambda label: (-len(found[label]), label))[:ASKED]
    return {label: found[label] for label in sorted(most)}


def make(draw: BestOf, prompts: Sequence[tuple[str, int]], seconds: float) -> list[Wave]:
    """A sound [S] for each prompt and seed; of several candidates the one that `mfv2a tta` takes."""
    waves = []
    for prompt, seed in prompts:
        work = draw.pipeline.prepare(None, prompt=prompt, duration_s=seconds, seed=seed)
        waves.append(np.asarray(draw.make(work, [prompt]).samples, np.float32))
    return waves


def nearest(rows: NDArray[np.float32], means: NDArray[np.float32], scale: NDArray[np.float32]) -> NDArray[np.int64]:
    """Number of the nearest mean, each column measured by its scale."""
    apart = ((rows[:, None] - means[None]) / scale).astype(np.float64)
    return np.square(apart).sum(-1).argmin(1)


def sharpness(wave: Wave) -> float:
    """Mean absolute step of the log-mel over time and over bands."""
    mel = mel_of(wave)
    return float(np.abs(np.diff(mel, axis=0)).mean() + np.abs(np.diff(mel, axis=1)).mean())


def spread(groups: Sequence[Sequence[Wave]]) -> float:
    """Mean distance between the sounds of a group, of their log-mels' means over time."""
    apart = []
    for group in groups:
        colours = [mel_of(wave).mean(1) for wave in group]
        apart += [float(np.abs(a - b).mean()) for a, b in combinations(colours, 2)]
    return float(np.mean(apart))


def level(wave: Wave) -> float:
    """Of a sound, dBFS."""
    return float(10 * np.log10(np.square(wave).mean() + 1e-12))


def rain(draw: BestOf, tagger: Tagger, seeds: int) -> int:
    """Of the first seeds, those heard as rain."""
    found = 0
    for first in range(0, seeds, 10):
        waves = make(draw, [(RAIN, seed) for seed in range(first, min(seeds, first + 10))], 8.0)
        heard = [tagger.tag(wave, sample_rate_hz=RATE_HZ, top=3) for wave in waves]
        found += sum(any("rain" in name.lower() for name, _ in tags) for tags in heard)
    return found


def kernel(made: Rows, true: Rows, width: float) -> float:
    """Kernel distance of made and true sounds of all labels."""
    return gaussian_kernel_distance(np.concatenate(made), np.concatenate(true), bandwidth=width)


def without_each(figure: Callable[[list[int]], float], labels: int) -> tuple[float, float]:
    """A figure of all labels, and the half width of its 95 % interval by the jackknife, labels left out one by one."""
    left = [figure([k for k in range(labels) if k != out]) for out in range(labels)]
    error = math.sqrt((labels - 1) / labels * sum((value - sum(left) / labels) ** 2 for value in left))
    return figure(list(range(labels))), float(stats.t.ppf(0.975, labels - 1)) * error


def kernel_ratio(ours: Rows, theirs: Rows, true: Rows) -> str:
    """Kernel distance of one way over that of another, with its interval, which is that of its logarithm."""
    width = median_distance(np.concatenate(true))

    def logarithm(kept: list[int]) -> float:
        first, second = (kernel([made[k] for k in kept], [true[k] for k in kept], width) for made in (ours, theirs))
        return math.log(first / second) if min(first, second) > 0 else math.nan

    mean, half = without_each(logarithm, len(true))
    if math.isnan(half):
        return "not defined" if math.isnan(mean) else f"{math.exp(mean):.2f} (a part of the labels has no distance)"
    return f"{math.exp(mean):.2f} ({math.exp(mean - half):.2f} to {math.exp(mean + half):.2f})"


def measure(draw: BestOf, tagger: Tagger, true: dict[str, list[Wave]], seeds: int) -> tuple[dict[str, Any], Rows, Rows]:
    """The numbers of one part at one number of steps, and the embeddings of what was made and of true sounds."""
    labels = list(true)
    real = [embed_sounds(true[label], tagger, sample_rate_hz=RATE_HZ)[:, :MEANS] for label in labels]
    known = np.concatenate(real)
    scale, means = known.std(0) + 1e-3, np.stack([rows.mean(0) for rows in real])
    left = []
    for number, rows in enumerate(real):
        for k in range(len(rows)) if len(rows) > 1 else ():
            means_without = means.copy()
            means_without[number] = np.delete(rows, k, 0).mean(0)
            left.append(float(nearest(rows[k : k + 1], means_without, scale)[0] == number))
    prompts = [(label, seed) for label in labels for seed in range(seeds)]
    before = draw.drawn
    waves = make(draw, prompts, SECONDS)
    rows = embed_sounds(waves, tagger, sample_rate_hz=RATE_HZ)[:, :MEANS]
    asked = np.repeat(np.arange(len(labels)), seeds)
    groups = [waves[k : k + seeds] for k in range(0, len(waves), seeds)]
    all_true, made = [wave for label in labels for wave in true[label]], np.split(rows, len(labels))
    width = median_distance(known)
    distance, half = without_each(
        lambda kept: kernel([made[k] for k in kept], [real[k] for k in kept], width), len(real)
    )
    return (
        {
            "labels": len(labels),
            "sounds": len(waves),
            "drawn": draw.drawn - before,
            "labels found": interval([float(hit) for hit in nearest(rows, means, scale) == asked]),
            "of true sounds": interval(left),
            "kernel": f"{distance:.4f} ({distance - half:.4f} to {distance + half:.4f})",
            "frechet": f"{frechet_distance(rows, known):.1f}",
            "level, dB": f"{np.mean([level(w) for w in waves]) - np.mean([level(w) for w in all_true]):.1f}",
            "sharpness": f"{np.mean([sharpness(w) for w in waves]) / np.mean([sharpness(w) for w in all_true]):.2f}",
            "spread": f"{spread(groups) / spread([true[label] for label in labels if len(true[label]) > 1]):.2f}",
        },
        made,
        real,
    )


def main() -> None:
    """Read the words, measure, print JSON lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sounds", default="sfx", help="folder of labelled sounds")
    parser.add_argument("--model", default="embedded", help="name of a model, or a folder with one of your own")
    parser.add_argument("--steps", type=int, action="append", help="sampler steps; several to compare")
    parser.add_argument("--cfg", type=float, help="weight of guidance; the model's own if left out")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many times each label is asked for, two or more")
    parser.add_argument("--rain-seeds", type=int, default=10, help="how many times rain is asked for")
    parser.add_argument("--heard-tries", type=int, default=1, help="sounds drawn at most until the words are heard")
    words = parser.parse_args()
    torch.set_num_threads(1)
    tagger, pipeline = Tagger.from_assets(), load_pipeline(words.model, device="cpu")
    parts = {part: true_sounds(words.sounds, part) for part in (RECORDINGS, LABELS)}
    first: dict[str, tuple[int, Rows]] = {}
    for steps in words.steps or [1, 2, 4, 25]:
        options = SampleOptions(steps=steps, cfg_strength=pipeline.info.default_cfg if words.cfg is None else words.cfg)
        draw = BestOf(pipeline, options, heard_tries=words.heard_tries, sample_rate_hz=RATE_HZ)
        heard = rain(draw, tagger, words.rain_seeds)
        tell({"steps": steps, "rain in three": heard, "of": words.rain_seeds})
        for part, true in parts.items():
            told, made, real = measure(draw, tagger, true, words.seeds)
            tell({"steps": steps, "part": part, **told})
            before, theirs = first.setdefault(part, (steps, made))
            if before != steps:
                tell({"part": part, f"kernel of {before} over {steps}": kernel_ratio(theirs, made, real)})


def tell(line: dict[str, Any]) -> None:
    """Writes a line of JSON."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
