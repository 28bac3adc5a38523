r"""Teach a listener to tell labels from the codec's latents.

    python scripts/learn_listener.py runs/joined/final.safetensors --features data/scenes-encoded \
        --sounds data/sounds-encoded --minutes 8 --out runs/listener

Scenes have the labels of `captions.toml`; recordings, and the voices of scenes, labels of their own, so that drawn rain
and a recording of rain are two things. Every eighth item is kept for testing.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from listener import Listener
from numpy.typing import NDArray
from torch import Tensor

from mfv2a.data.manifest import read_shards
from mfv2a.jobs.generator_sources import LATENTS_A_SECOND
from mfv2a.models.mmaudio import MMAudio
from mfv2a.models.weights import load_network

TESTED, BATCH, TOLD_EVERY = 8, 64, 200
MOST_NOISE, SMOOTHED = 0.4, 0.05
RECORDED = "recording: "


class Sounds:
    """Latents of a folder or several with their labels.

    Args:
        scenes: folders of encoded scenes.
        recordings: folders of encoded recordings.
        mean: of the latents [C].
        std: their deviations [C].
    """

    def __init__(self, scenes: list[Path], recordings: list[Path], mean: Tensor, std: Tensor) -> None:
        self.mean, self.std = mean, std
        self.latents: list[NDArray[np.float16]] = []
        self.names: list[str] = []
        for folder in scenes:
            self._add(folder, "latent", "label", "")
            self._add(folder, "voiced_latent", "voice", RECORDED)
        for folder in recordings:
            self._add(folder, "latent", "label", RECORDED)
        self.labels = sorted(set(self.names))
        self.classes = np.array([self.labels.index(name) for name in self.names])
        self.tested = np.arange(len(self.names)) % TESTED == 0

    def _add(self, folder: Path, array: str, label: str, prefix: str) -> None:
        arrays, facts = read_shards(folder, [array])
        for latent, fact in zip(arrays[array], facts, strict=True):
            if label in fact:
                self.latents.append(latent)
                self.names.append(prefix + fact[label])

    def draw(self, rng: np.random.Generator, frames: int, *, tested: bool) -> tuple[Tensor, Tensor]:
        """A batch of stretches [B, N, C], of mean zero and deviation one, and their classes [B]."""
        rows = rng.choice(np.flatnonzero(self.tested == tested), BATCH)
        starts = [int(rng.integers(len(self.latents[row]) - frames + 1)) for row in rows]
        x = np.stack([self.latents[row][start : start + frames] for row, start in zip(rows, starts, strict=True)])
        return (torch.from_numpy(x).float() - self.mean) / self.std, torch.from_numpy(self.classes[rows])


def learn(words: argparse.Namespace) -> None:
    """Train until the time is over, tell, write."""
    torch.set_num_threads(words.threads)
    torch.manual_seed(words.seed)
    generator, _ = load_network(words.generator, "generator")
    assert isinstance(generator, MMAudio)
    sounds = Sounds(words.features, words.sounds, generator.latent_mean.float(), generator.latent_std.float())
    listener = Listener(sounds.mean.shape[-1], sounds.labels).train()
    optimizer = torch.optim.AdamW(listener.parameters(), lr=words.rate, weight_decay=0.05)
    rng, frames = np.random.default_rng(words.seed), round(words.crop_s * LATENTS_A_SECOND)
    step, began = 0, time.monotonic()
    while (spent := max((time.monotonic() - began) / (60 * words.minutes), step / words.steps)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = words.rate * min(1.0, (step + 1) / 100) * 0.5 * (1 + math.cos(math.pi * spent))
        x, classes = sounds.draw(rng, frames, tested=False)
        x = x + MOST_NOISE * torch.rand(len(x), 1, 1) * torch.randn_like(x)
        loss = F.cross_entropy(listener(x).logits, classes, label_smoothing=SMOOTHED)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        step += 1
        if step % TOLD_EVERY == 0:
            told = f"step {step}  seconds {time.monotonic() - began:.0f}  loss {loss.item():.3f}"
            sys.stdout.write(f"{told}  right, of those it did not hear {test(listener, sounds, frames):.3f}\n")
            sys.stdout.flush()
    listener.eval().measure(torch.cat([sounds.draw(rng, frames, tested=False)[0] for _ in range(8)]))
    listener.save(words.out / "listener.safetensors")


@torch.no_grad()
def test(listener: Listener, sounds: Sounds, frames: int) -> float:
    """Share of right labels among sounds that it did not learn from."""
    rng = np.random.default_rng(0)
    rows = [sounds.draw(rng, frames, tested=True) for _ in range(8)]
    return float(np.mean([(listener(x).logits.argmax(1) == classes).float().mean().item() for x, classes in rows]))


def main() -> None:
    """Read the words."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("generator", type=Path, help="whose mean and deviation of latents are taken")
    parser.add_argument("--features", type=Path, action="append", required=True, help="scenes, encoded; repeatable")
    parser.add_argument("--sounds", type=Path, action="append", required=True, help="recordings, encoded; repeatable")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--steps", type=float, default=math.inf, help="the most; the schedule follows what ends first")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--crop-s", type=float, default=3.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    learn(parser.parse_args())


if __name__ == "__main__":
    main()
