r"""Teach one generator what several are good at: one with picture and caption, one by the picture alone, one by words.

    python scripts/learn_apart.py runs/half/final.safetensors --seen-told runs/half/final.safetensors \
        --mute runs/before/final.safetensors --words-alone runs/most/final.safetensors \
        --features data/scenes-encoded --sounds data/sounds-encoded --minutes 14 --out runs/apart

Shares of one run's change are better or worse at each of the three; which a row is the network knows from what it is
given, so that it can be each of them. All rows are to be what the teacher of their kind makes of the same noise.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from learning import Learning, Rows, add_common, add_rows, load_generator, rows_of, start
from torch import Tensor
from two_draws import left

from mfv2a.data.batch import TrainingBatch

KINDS = ("seen_told", "mute", "words_alone")


class Apart(Learning):
    """A student of three teachers.

    Args:
        words: of the command line.
    """

    def __init__(self, words: argparse.Namespace) -> None:
        super().__init__(words, "apart")
        self.rows = Rows(words)
        self.teachers = {kind: load_generator(getattr(words, kind) or words.weights)[0] for kind in KINDS}

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        """Mean of the squares by which the rows of a step miss what their teachers make."""
        rows = self.draw(step)
        kinds = dict(zip(KINDS, self.kinds(rows), strict=True))
        asked = {kind: rows_of(rows, chosen) for kind, chosen in kinds.items() if chosen.any()}
        missed = self.missed(*(self.keep(self.teachers[kind], some, some) for kind, some in asked.items()))
        parts = missed.split([len(some.latent) for some in asked.values()])
        told = dict.fromkeys(KINDS, float("nan"))
        told.update({kind: part.mean().item() for kind, part in zip(asked, parts, strict=True)})
        return missed.mean(), told

    def draw(self, step: int) -> TrainingBatch:
        """Rows of a step, of some of which the picture is taken away, of others the caption."""
        rows = self.rows.batch("training", step)
        chance = torch.rand(2, len(rows.latent), generator=self.generator)
        return replace(rows, **left(rows, chance, self.words.text_lost))

    @staticmethod
    def kinds(rows: TrainingBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Of which of `KINDS` each row is, [B] each."""
        return rows.has_video & rows.has_text, rows.has_video & ~rows.has_text, ~rows.has_video


def main() -> None:
    """Read the words."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("weights", type=Path)
    for kind, rows in zip(KINDS, ("picture and caption", "a picture alone", "words alone"), strict=True):
        teaches = f"the teacher of rows with {rows}; the weights themselves if left out"
        parser.add_argument("--" + kind.replace("_", "-"), type=Path, help=teaches)
    add_common(parser, minutes=15.0, rate=2e-4, crop_s=3.0, threads=2)
    parser.add_argument("--text-lost", type=float, default=0.5, help="share of rows with a picture, no caption")
    add_rows(parser, sounds_share=1.0, batch=64)
    start(Apart, parser.parse_args())


if __name__ == "__main__":
    main()
