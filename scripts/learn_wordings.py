r"""Teach a generator other wordings: with a new one it is to make what it makes with one that it knows.

    python scripts/learn_wordings.py generator.safetensors --features data/scenes-encoded --sounds data/sounds-encoded \
        --known 6 --minutes 20 --out runs/wordings

The teacher is the generator as it is. It reads one of the first `--known` captions of a scene, the student any of
them; both see the same picture, time and noise, and the student's average velocity is to be the teacher's. Where
nothing has another wording (recordings), both read the same, so that what is known stays. The target has no noise of
its own, unlike that of a flow, so that few steps are needed. What the student reads is varied: some tokens are those
of another wording, and there is noise. Prints, beside the loss, the squared difference on
wordings that nobody learns from (those held out in `captions.toml`), of scenes alone, and the square of the aim; then
the same of recordings, which have no other wordings: what the learning costs them.
"""

from __future__ import annotations

import argparse
import copy
from dataclasses import replace
from pathlib import Path

import torch
from learning import Learning, Rows, add_common, add_rows, start, vary
from torch import Tensor

from mfv2a.data.batch import drop_conditions
from mfv2a.flow.objective import mean_square
from mfv2a.training.step import bind_conditions

PICTURE_LOST = 0.2
JUDGED_STEP = 10**6  # whose rows no step of the run has


class Wordings(Learning):
    """A student that learns to read any wording, beside the teacher that it was.

    Args:
        words: of the command line.
    """

    def __init__(self, words: argparse.Namespace) -> None:
        super().__init__(words, "wordings")
        self.teacher = copy.deepcopy(self.student).requires_grad_(False).eval()
        self.rows = Rows(words)

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        """Mean squared difference of student and teacher on the rows of a step."""
        known, first, second = (self.rows.batch(name, step) for name in ("known", "training", "other"))
        noise = self.words.noise * first.has_video
        other = replace(first, text=vary(first.text, second.text, noise, self.generator))
        draw = torch.rand(len(known.latent), generator=self.generator)
        known, other = (
            drop_conditions(batch, both=0.0, video=PICTURE_LOST, text=self.words.text_lost, draw=draw)
            for batch in (known, other)
        )
        loss = self.missed(self.keep(self.teacher, known, other)).mean()
        return loss, {"loss": loss.item()}

    @torch.no_grad()
    def judge(self) -> str:
        """Squared difference of student (held-out wordings) and teacher (known ones) in one step; the aim's square."""
        generator = torch.Generator().manual_seed(self.words.seed)
        known, held = (self.rows.batch(name, JUDGED_STEP) for name in ("known", "held_out"))
        e = torch.randn(known.latent.shape, generator=generator)
        zero, one = torch.zeros(len(e)), torch.ones(len(e))
        target = bind_conditions(self.teacher, known)(e, r=zero, t=one)
        made = bind_conditions(self.student, held)(e, r=zero, t=one)
        told = ""
        for name, kept in (("held out", known.has_video), ("recordings", ~known.has_video)):
            if kept.any():
                apart = mean_square(made, target)[kept].mean().item()
                told += f"  {name} {apart:.4f} of {target[kept].square().mean().item():.4f}"
        return told


def main() -> None:
    """Read the words."""
    parser = argparse.ArgumentParser(description="Teach a generator other wordings.")
    parser.add_argument("weights", type=Path)
    add_common(parser, minutes=20.0, rate=2e-4, crop_s=4.0, threads=2)
    parser.add_argument("--text-lost", type=float, default=0.1, help="share of rows that have no caption")
    add_rows(parser, sounds_share=0.5, noise=0.3, batch=64)
    start(Wordings, parser.parse_args())


if __name__ == "__main__":
    main()
