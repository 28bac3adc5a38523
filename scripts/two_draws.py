"""What scripts that learn from true sounds have in common: of some rows two sounds are drawn, the others are kept."""

from __future__ import annotations

from abc import abstractmethod
from argparse import Namespace
from dataclasses import replace
from typing import NamedTuple

import torch
from learning import Learning, Rows, joined, rows_of, vary
from torch import Tensor

from mfv2a.data.batch import TrainingBatch
from mfv2a.flow.objective import mean_square
from mfv2a.models.mmaudio import MMAudio
from mfv2a.training.step import bind_conditions

PICTURE_LOST, TEXT_LOST = 0.15, 0.15  # of the rows with a picture
KEPT_WEIGHT = 2.0


def left(rows: TrainingBatch, chance: Tensor, text_lost: float) -> dict[str, Tensor]:
    """What rows still have once some with a picture lost it and others their caption, by two draws [2, B] of [0, 1)."""
    blind = rows.has_video & (chance[0] < PICTURE_LOST)
    mute = rows.has_video & ~blind & (chance[1] < text_lost)
    return {"has_video": rows.has_video & ~blind, "has_text": rows.has_text & ~mute}


class Drawn(NamedTuple):
    """What a student makes of a step's rows.

    Attributes:
        made: two sounds of one step each of the rows that learn [2, B, N, C], of mean zero and deviation one.
        true: the true ones [B, N, C].
        seen: which of them have a picture [B].
        missed: mean squares by which the student misses the rows that are kept.
    """

    made: Tensor
    true: Tensor
    seen: Tensor
    missed: Tensor


class TwoDraws(Learning):
    """A student whose rows learn from true sounds, or are what another network makes of them.

    Args:
        words: of the command line.
        what: it learns, a name for the facts beside the weights.
        source: what the others are kept as.
        text_lost: the share of rows with a picture that have no caption.
    """

    def __init__(self, words: Namespace, what: str, source: MMAudio, text_lost: float = TEXT_LOST) -> None:
        super().__init__(words, what)
        self.source, self.rows, self.text_lost = source, Rows(words), text_lost

    @abstractmethod
    def share(self, seen: Tensor, told: Tensor) -> Tensor:
        """The share of rows that learn from true sounds, by whether they have a picture and a caption [B]."""

    def make(self, step: int) -> Drawn:
        """Draw the rows of a step and what the student makes of them."""
        known, other, true = self.draw(step)
        first, rest = true.nonzero()[:, 0], (~true).nonzero()[:, 0]
        kept = self.keep(self.source, rows_of(known, rest), rows_of(other, rest))
        x = ((known.latent - self.student.latent_mean) / self.student.latent_std)[first]
        e = torch.randn((2, *x.shape), generator=self.generator)
        asked, count = rows_of(other, first), len(first)
        given = bind_conditions(self.student, joined(asked, asked, kept.read))(
            torch.cat([e[0], e[1], kept.z]),
            r=torch.cat([torch.zeros(2 * count), kept.r]),
            t=torch.cat([torch.ones(2 * count), kept.t]),
        ).float()
        made = torch.stack([e[0] - given[:count], e[1] - given[count : 2 * count]])
        return Drawn(made, x, asked.has_video, mean_square(given[2 * count :], kept.velocity))

    def draw(self, step: int) -> tuple[TrainingBatch, TrainingBatch, Tensor]:
        """Rows under captions known from the start and under others; bool [B], which learn from true sounds."""
        known, first, second = (self.rows.batch(name, step) for name in ("known", "training", "other"))
        seen, count = first.has_video, len(first.latent)
        text = vary(first.text, second.text, self.words.noise * seen, self.generator)
        chance = torch.rand(3, count, generator=self.generator)
        kept = left(first, chance[:2], self.text_lost)
        blind = seen & ~kept["has_video"]
        true = ~blind & (chance[2] < self.share(seen, kept["has_text"]))
        return replace(known, **kept), replace(first, text=text, **kept), true
