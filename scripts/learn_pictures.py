r"""Teach a generator scenes that it has not seen, under all their wordings; what words alone make stays as it is.

    python scripts/learn_pictures.py runs/wordings/final.safetensors --teacher runs/guided/final.safetensors \
        --features data/scenes-encoded --sounds data/sounds-encoded --minutes 48 --out runs/pictures

Of most rows with a picture two sounds are made in one step each, and the energy score draws them to the true one and
apart from each other (`mfv2a.flow.objective.energy_score`). The other rows, all by words alone among them, are to be
what the teacher makes of the same noise with a caption that it knows, as in `learn_wordings.py`. `join_runs.py` takes
over a share of what was learned.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from learning import add_common, add_rows, load_generator, start
from torch import Tensor
from two_draws import KEPT_WEIGHT, TwoDraws

from mfv2a.flow.objective import energy_score, sequence_distance

TRUE_SHARE = 0.75  # of the rows with a picture that learn from true sounds


class Pictures(TwoDraws):
    """A student beside its teacher.

    Args:
        words: of the command line.
    """

    def __init__(self, words: argparse.Namespace) -> None:
        super().__init__(words, "pictures", load_generator(words.teacher or words.weights)[0])

    def share(self, seen: Tensor, told: Tensor) -> Tensor:
        """Rows with a picture learn."""
        return TRUE_SHARE * seen

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        """The energy score of rows that learn from true sounds, the squares of those that are kept."""
        drawn = self.make(step)
        score = energy_score(drawn.made[0], drawn.made[1], drawn.true, sequence_distance)
        loss = (score.sum() + KEPT_WEIGHT * drawn.missed.sum()) / (len(score) + len(drawn.missed))
        return loss, {"energy": score.mean().item(), "kept": drawn.missed.mean().item()}


def main() -> None:
    """Read the words."""
    parser = argparse.ArgumentParser(description="Teach a generator scenes that it has not seen.")
    parser.add_argument("weights", type=Path)
    parser.add_argument("--teacher", type=Path, help="what words alone are kept as; the weights themselves if left out")
    add_common(parser, minutes=45.0, rate=1.5e-4, crop_s=3.0, threads=1)
    add_rows(parser, sounds_share=0.7, noise=0.2, batch=32)
    start(Pictures, parser.parse_args())


if __name__ == "__main__":
    main()
