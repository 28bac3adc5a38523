r"""Teach a generator to be heard as what it is to be: true sounds, compared by what a listener finds in them.

    python scripts/learn_heard.py runs/joined/final.safetensors --listener runs/listener/listener.safetensors \
        --features data/scenes-encoded --sounds data/sounds-encoded --minutes 45 --out runs/heard

Of most rows two sounds are made in one step each. The energy score draws them to the true one and apart from each
other, as in `learn_pictures.py`, but its distance is of latents and of the features of a listener
(`learn_listener.py`), which hold what sounds are told by; and the labels that the listener tells of what is made are
to be those that it tells of the true sound. The other rows are to be what the weights made before, or what
those of `--kept` make.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from learning import add_common, add_rows, load_generator, start
from listener import Listener
from torch import Tensor
from two_draws import KEPT_WEIGHT, TEXT_LOST, TwoDraws

from mfv2a.flow.objective import energy_score, sequence_distance
from mfv2a.training.step import bind_conditions

TESTED = range(1 << 20, (1 << 20) + 4)  # steps whose rows are made to tell how far it is


class BeingHeard(TwoDraws):
    """A student, what it was, and who listens.

    Args:
        words: of the command line.
    """

    def __init__(self, words: argparse.Namespace) -> None:
        super().__init__(words, "heard", load_generator(words.kept or words.weights)[0], words.text_lost)
        self.listener = Listener.load(words.listener).eval().requires_grad_(False)
        self.tested = [self.rows.batch("held_out", step) for step in TESTED]

    def share(self, seen: Tensor, told: Tensor) -> Tensor:
        """Rows with a picture learn, and recordings; those with a picture alone as much as is asked for."""
        words = self.words
        pictures = torch.where(told, words.true_seen, words.true_seen if words.true_mute is None else words.true_mute)
        return torch.where(seen, pictures, words.true_recorded)

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        """The energy score and the labels' divergence of rows that learn, the squares of those that are kept."""
        drawn, words = self.make(step), self.words
        score = energy_score(drawn.made[0], drawn.made[1], drawn.true, sequence_distance)
        listened, labels = self.listen(drawn.made, drawn.true)
        learned = (score + words.listened * listened + words.labels * labels) / (1 + words.listened)
        loss = (learned.sum() + KEPT_WEIGHT * drawn.missed.sum()) / (len(score) + len(drawn.missed))
        return loss, {
            "energy": score.mean().item(),
            "listened": listened.mean().item(),
            "labels": labels[drawn.seen].mean().item(),
            "labels by words": labels[~drawn.seen].mean().item(),
            "kept": drawn.missed.mean().item(),
        }

    def listen(self, made: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Energy score of the listener's features and KL of its labels [B] each, of [2, B, N, C] against [B, N, C]."""
        with torch.no_grad():
            true = self.listener(x)
        one, other = self.listener(made[0]), self.listener(made[1])
        scores = [
            energy_score(a, b, y, sequence_distance)
            for a, b, y in zip(one.levels, other.levels, true.levels, strict=True)
        ]
        told = true.logits.float().softmax(1)
        labels = sum(-(told * heard.logits.float().log_softmax(1)).sum(1) for heard in (one, other))
        assert isinstance(labels, Tensor)
        return torch.stack(scores).mean(0), labels / 2 + (told * told.clamp_min(1e-9).log()).sum(1)

    @torch.no_grad()
    def judge(self) -> str:
        """How many sounds of one step have the label of the true ones, with a picture and by words alone."""
        right: dict[bool, list[Tensor]] = {True: [], False: []}
        noise = torch.Generator().manual_seed(self.words.seed)
        for rows in self.tested:
            x = (rows.latent - self.student.latent_mean) / self.student.latent_std
            e = torch.randn(x.shape, generator=noise)
            velocity = bind_conditions(self.student, rows)(e, r=torch.zeros(len(x)), t=torch.ones(len(x)))
            same = self.listener(x).logits.argmax(1) == self.listener(e - velocity).logits.argmax(1)
            for seen, found in right.items():
                found.append(same[rows.has_video == seen])
        seen, unseen = (torch.cat(right[each]).float().mean().item() for each in (True, False))
        return f"  heard as the true one {seen:.3f}, by words {unseen:.3f}"


def main() -> None:
    """Read the words."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("weights", type=Path)
    parser.add_argument("--listener", type=Path, required=True, help="made by learn_listener.py")
    add_common(parser, minutes=45.0, rate=2e-4, crop_s=3.0, threads=2)
    parser.add_argument("--listened", type=float, default=1.0, help="weight of the listener's features beside latents")
    parser.add_argument("--labels", type=float, default=0.1, help="weight of the labels it tells")
    parser.add_argument("--true-seen", type=float, default=0.75, help="share of rows with a picture that learn")
    parser.add_argument("--true-mute", type=float, help="of those of them without a caption; as many if left out")
    parser.add_argument("--text-lost", type=float, default=TEXT_LOST, help="share of rows with a picture, no caption")
    parser.add_argument("--kept", type=Path, help="what the others are kept as; the weights themselves if left out")
    parser.add_argument("--true-recorded", type=float, default=0.5, help="share of recordings that learn")
    add_rows(parser, sounds_share=1.0, noise=0.2, batch=48)
    start(BeingHeard, parser.parse_args())


if __name__ == "__main__":
    main()
