r"""Let words alone mean recordings where a scene's label has some; pictures stay as they are.

    python scripts/learn_words.py runs/pictures/final.safetensors --teacher runs/guided/final.safetensors \
        --voices data/sounds-voices --features data/scenes-encoded --sounds data/sounds-encoded \
        --minutes 30 --out runs/words

A generator that learned "rain" from drawn rain and from recordings of it makes, by words alone, what lies between. Here
the rows of `--voices` (made by `pick_voices.py`) learn by alpha-Flow with guidance in the target, as the generator did.
All else is to stay: with a picture what the weights made of the same words and noise; by words alone, of recordings
and of scenes whose label has no voices, what the teacher makes of a caption that it knows.
"""

from __future__ import annotations

import argparse
from argparse import Namespace
from collections.abc import Sequence, Set
from dataclasses import replace
from pathlib import Path

import torch
from learning import Learning, Rows, add_common, load_generator, start, vary
from torch import Tensor

from mfv2a.config import ObjectiveConfig
from mfv2a.data.batch import TrainingBatch
from mfv2a.data.manifest import read_shards
from mfv2a.training.step import FIELDS, GeneratorTask

VOICED_NOISE = 0.15
KEPT_WEIGHT = 2.0
OBJECTIVE = ObjectiveConfig(
    name="alphaflow", alpha=0.1, equal_share=0.4, full_share=0.6, time_mean=1.0, time_std=1.5, jvp_ramp_steps=1,
    omega=1.0, kappa=0.5, drop_both=0.05, drop_video=0.0, drop_text=0.0,
)  # fmt: skip


class WordsAlone(Learning):
    """A student, what it was, and its teacher.

    Args:
        words: of the command line.
    """

    def __init__(self, words: Namespace) -> None:
        super().__init__(words, "words")
        self.before, _ = load_generator(words.weights)
        self.teacher, _ = load_generator(words.teacher)
        self.task = GeneratorTask(self.student, replace(OBJECTIVE, kappa=words.kappa))
        _, voices = read_shards(words.voices, ["latent"])
        labels = {fact["means"] for fact in voices}
        self.voiced = self._rows(words.voiced, features=[], sounds=[words.voices])
        self.seen = self._rows(words.seen, sounds=[])
        self.unseen = self._rows(words.unseen, without=labels, sounds=[])
        self.recorded = self._rows(words.unseen, features=[])

    def _rows(self, batch: int, *, without: Set[str] = frozenset(), **folders: Sequence[Path]) -> Rows:
        return Rows(Namespace(**{**vars(self.words), **folders, "batch": batch, "sounds_share": 1.0}), without)

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        """Of voiced rows their own; squares of what is kept, with a picture and without."""
        voiced = self.voiced.batch("training", step)
        most = torch.full((len(voiced.latent),), VOICED_NOISE)
        voiced = replace(voiced, text=vary(voiced.text, voiced.text, most, self.generator))
        rows = {field: getattr(voiced, field) for field in FIELDS}
        loss, told = self.task.loss(rows, step=step, generator=self.generator)
        seen, recorded = self.seen.batch("training", step), self.recorded.batch("known", step)
        known, other = (blind(self.unseen.batch(name, step)) for name in ("known", "training"))
        square = self.missed(
            self.keep(self.before, seen, seen),
            self.keep(self.teacher, known, other),
            self.keep(self.teacher, recorded, recorded),
        )
        count, split = len(voiced.latent), len(seen.latent)
        figures = {
            "voiced": told["mse"],
            "pictures": square[:split].mean().item(),
            "words": square[split:].mean().item(),
        }
        return (count * loss + KEPT_WEIGHT * square.sum()) / (count + len(square)), figures


def blind(batch: TrainingBatch) -> TrainingBatch:
    """Rows without their picture."""
    return replace(batch, has_video=torch.zeros_like(batch.has_video))


def main() -> None:
    """Read the words."""
    parser = argparse.ArgumentParser(description="Let words alone mean recordings where a label has some.")
    parser.add_argument("weights", type=Path)
    parser.add_argument("--teacher", type=Path, required=True, help="what other words alone are kept as")
    parser.add_argument("--voices", type=Path, required=True, help="made by pick_voices.py")
    add_common(parser, minutes=30.0, rate=2e-4, crop_s=3.0, threads=1)
    parser.add_argument("--kappa", type=float, default=0.5, help="of the guidance in the voices' target; 0 for none")
    parser.add_argument("--voiced", type=int, default=12, help="rows of a step that learn from voices")
    parser.add_argument("--seen", type=int, default=16, help="rows with a picture")
    parser.add_argument("--unseen", type=int, default=6, help="rows of scenes, and of recordings, by words alone")
    start(WordsAlone, parser.parse_args())


if __name__ == "__main__":
    main()
