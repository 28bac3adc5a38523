"""Teach a generator scenes that it has not seen, under all their wordings; what words alone make stays as it is.

    python scripts/learn_pictures.py runs/wordings/final.safetensors --teacher runs/guided/final.safetensors \
        --features data/scenes-encoded --sounds data/sounds-encoded --minutes 48 --out runs/pictures

Of most rows with a picture two sounds are made in one step each, and the energy score draws them to the true one and
apart from each other (`mfv2a.flow.objective.energy_score`). The other rows, all by words alone among them, are to be
what the teacher makes of the same noise with a caption that it knows, as in `learn_wordings.py`. `join_runs.py` takes
over a share of what was learned.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from learning import Learning, Rows, add_common, joined, load_generator, rows_of, start, vary
from torch import Tensor

from mfv2a.data.batch import TrainingBatch
from mfv2a.flow.objective import energy_score, mean_square, sequence_distance
from mfv2a.training.step import bind_conditions

PICTURE_LOST, TEXT_LOST = 0.15, 0.15  # of the rows with a picture
TRUE_SHARE = 0.75  # of the rows with a picture that learn from true sounds
KEPT_WEIGHT = 2.0


class Pictures(Learning):
    """A student beside its teacher.

    Args:
        words: of the command line.
    """

    def __init__(self, words: argparse.Namespace) -> None:
        super().__init__(words, "pictures")
        self.teacher, _ = load_generator(words.teacher or words.weights)
        self.rows = Rows(words)

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        """The energy score of rows that learn from true sounds, the squares of those that are kept."""
        known, other, true = self.draw(step)
        first, rest = true.nonzero()[:, 0], (~true).nonzero()[:, 0]
        kept = self.keep(self.teacher, rows_of(known, rest), rows_of(other, rest))
        x = ((known.latent - self.student.latent_mean) / self.student.latent_std)[first]
        e = torch.randn((2, *x.shape), generator=self.generator)
        asked, count = rows_of(other, first), len(first)
        given = bind_conditions(self.student, joined(asked, asked, kept.read))(
            torch.cat([e[0], e[1], kept.z]),
            r=torch.cat([torch.zeros(2 * count), kept.r]),
            t=torch.cat([torch.ones(2 * count), kept.t]),
        )
        score = energy_score(e[0] - given[:count], e[1] - given[count : 2 * count], x, sequence_distance)
        square = mean_square(given[2 * count :], kept.velocity)
        loss = (score.sum() + KEPT_WEIGHT * square.sum()) / len(true)
        return loss, {"energy": score.mean().item(), "kept": square.mean().item()}

    def draw(self, step: int) -> tuple[TrainingBatch, TrainingBatch, Tensor]:
        """Rows under captions that the teacher knows and under others; bool [B], which learn from true sounds."""
        known, first, second = (self.rows.batch(name, step) for name in ("known", "training", "other"))
        seen, count = first.has_video, len(first.latent)
        text = vary(first.text, second.text, self.words.noise * seen, self.generator)
        chance = torch.rand(3, count, generator=self.generator)
        blind = seen & (chance[0] < PICTURE_LOST)
        mute = seen & ~blind & (chance[1] < TEXT_LOST)
        kept = {"has_video": seen & ~blind, "has_text": first.has_text & ~mute}
        true = seen & ~blind & (chance[2] < TRUE_SHARE)
        return replace(known, **kept), replace(first, text=text, **kept), true


def main() -> None:
    """Read the words."""
    parser = argparse.ArgumentParser(description="Teach a generator scenes that it has not seen.")
    parser.add_argument("weights", type=Path)
    parser.add_argument("--teacher", type=Path, help="what words alone are kept as; the weights themselves if left out")
    add_common(parser, minutes=45.0, rate=1.5e-4, crop_s=3.0, threads=1)
    parser.add_argument(
        "--sounds-share", type=float, default=0.7, help="share of a folder of recordings; scenes have 2"
    )
    parser.add_argument("--noise", type=float, default=0.2, help="most noise in scenes' captions, of the tokens' size")
    parser.add_argument("--batch", type=int, default=32)
    start(Pictures, parser.parse_args())


if __name__ == "__main__":
    main()
