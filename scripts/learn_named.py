r"""Teach a generator that words and what is recognised say what is heard, and motion only when.

    python scripts/revoice.py data/scenes-encoded --sounds sfx --out data/scenes-revoiced
    python scripts/learn_named.py generator.safetensors --named data/scenes-revoiced --features data/scenes-encoded \
        --sounds data/sounds-encoded --minutes 60 --out runs/named

Rows of `--named` have the motion of one thing and the sound of another, which a caption names, what a recogniser
would say, or both; of some a recogniser says something else than the caption, which counts. Of most, two sounds are
made in one step each, and the energy score draws them to the true one (`mfv2a.flow.objective.energy_score`); the
others learn the flow. All other rows, under captions or without, are to be what the generator was, as in
`learn_wordings.py`.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from learning import Learning, Rows, add_common, add_rows, joined, load_generator, read_sources, rows_of, start, vary
from torch import Tensor
from two_draws import KEPT_WEIGHT, left

from mfv2a.data.batch import TrainingBatch
from mfv2a.data.dataset import Draw, Source, StepDataset
from mfv2a.flow.objective import energy_score, mean_square, sequence_distance
from mfv2a.flow.path import interpolate, sample_times
from mfv2a.training.step import FIELDS, bind_conditions

FLOW_SHARE = 0.2  # of the named rows that learn the flow
UNTOLD, UNSEEN, MISTAKEN = 0.35, 0.35, 0.1
"""Shares of the named rows without a caption; with one alone; with one, and another row's recognition."""


def always_voiced(source: Source) -> Draw:
    """A source's rows, all of which sound like their voice where they have one."""
    draw = source.draw
    assert isinstance(draw, partial)
    return partial(draw.func, *draw.args, voiced_share=1.0)


class Named(Learning):
    """A student beside what it was.

    Args:
        words: of the command line.
    """

    def __init__(self, words: argparse.Namespace) -> None:
        super().__init__(words, "named")
        self.teacher = load_generator(words.teacher or words.weights)[0]
        self.rows = Rows(words)
        sources = read_sources(words.named, [1.0] * len(words.named), words)
        voiced = [replace(source, draw=always_voiced(source)) for source in sources]
        self.named = StepDataset(voiced, batch_size=words.named_rows, seed=words.seed + 1)

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        """The energy score and the flow's error of named rows, the squares of those that are kept."""
        known, other = self.kept(step)
        kept = self.keep(self.teacher, known, other)
        named = self.draw(step)
        x = (named.latent - self.student.latent_mean) / self.student.latent_std
        count, flows = len(x), round(FLOW_SHARE * len(x))
        e = torch.randn((2, *x.shape), generator=self.generator)
        _, t = sample_times(flows, generator=self.generator, mean=0.0, std=1.0, equal_share=1.0, full_share=0.0)
        z, velocity = interpolate(x[:flows], e[0, :flows], t)
        drawn, asked = rows_of(named, torch.arange(flows, count)), rows_of(named, torch.arange(flows))
        zeros, ones = torch.zeros(2 * (count - flows)), torch.ones(2 * (count - flows))
        given = bind_conditions(self.student, joined(drawn, drawn, asked, kept.read))(
            torch.cat([e[0, flows:], e[1, flows:], z, kept.z]),
            r=torch.cat([zeros, t, kept.r]),
            t=torch.cat([ones, t, kept.t]),
        ).float()
        parts = given.split([count - flows, count - flows, flows, len(kept.z)])
        score = energy_score(e[0, flows:] - parts[0], e[1, flows:] - parts[1], x[flows:], sequence_distance)
        flow, missed = mean_square(parts[2], velocity), mean_square(parts[3], kept.velocity)
        loss = (score.sum() + flow.sum() + KEPT_WEIGHT * missed.sum()) / (len(score) + len(flow) + len(missed))
        return loss, {"energy": score.mean().item(), "flow": flow.mean().item(), "kept": missed.mean().item()}

    def kept(self, step: int) -> tuple[TrainingBatch, TrainingBatch]:
        """Rows that are kept, under captions known from the start and under others."""
        known, first, second = (self.rows.batch(name, step) for name in ("known", "training", "other"))
        text = vary(first.text, second.text, self.words.noise * first.has_video, self.generator)
        given = left(first, torch.rand(2, len(text), generator=self.generator), self.words.text_lost)
        return replace(known, **given), replace(first, text=text, **given)

    def draw(self, step: int) -> TrainingBatch:
        """Named rows of a step: some without a caption, some without what a recogniser says, some with a false one."""
        rows = self.named[step]
        batch = TrainingBatch(**{field: rows[field] for field in FIELDS})
        chance = torch.rand(len(batch.clip), generator=self.generator)
        recognised = batch.clip.abs().sum((1, 2)) > 0
        untold, unseen = recognised & (chance < UNTOLD), (chance >= UNTOLD) & (chance < UNTOLD + UNSEEN)
        mistaken = (chance >= 1 - MISTAKEN)[:, None, None]
        clip = torch.where(mistaken, batch.clip.roll(1, 0), batch.clip) * ~unseen[:, None, None]
        text = vary(batch.text, batch.text, torch.full((len(clip),), float(self.words.noise)), self.generator)
        return replace(batch, clip=clip, text=text, has_text=batch.has_text & ~untold)


def main() -> None:
    """Read the words."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("weights", type=Path)
    parser.add_argument("--teacher", type=Path, help="what other rows are kept as; the weights themselves if left out")
    parser.add_argument("--named", type=Path, action="append", required=True, help="of `revoice.py`; repeatable")
    parser.add_argument("--named-rows", type=int, default=24)
    parser.add_argument("--text-lost", type=float, default=0.3, help="share of kept rows with a picture, no caption")
    add_common(parser, minutes=60.0, rate=3e-4, crop_s=3.0, threads=2)
    add_rows(parser, sounds_share=0.7, noise=0.2, batch=32)
    start(Named, parser.parse_args())


if __name__ == "__main__":
    main()
