"""Teach a generator other wordings: with a new one it is to make what it makes with one that it knows.

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
import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mfv2a.config import RunConfig, SourceConfig
from mfv2a.data.batch import TrainingBatch, drop_conditions
from mfv2a.data.dataset import Source, StepDataset
from mfv2a.errors import Mfv2aError
from mfv2a.flow.objective import mean_square
from mfv2a.flow.path import interpolate, sample_times
from mfv2a.jobs.generator_sources import Words, build_generator_sources
from mfv2a.models.mmaudio import MMAudio
from mfv2a.models.weights import load_network, save_network
from mfv2a.scenes.captions import CAPTIONS
from mfv2a.training.ema import EMA
from mfv2a.training.step import FIELDS, bind_conditions

FULL_SHARE = 0.75  # of the rows that take the whole step; the others any part of it
TOLD_EVERY = 20
TOLD_STEP = 10**6  # whose rows no step of the run has
SAVED_EVERY = 100
AVERAGE = 0.98
MIXED, TAKEN = 0.5, 0.3
SETS = ("known", "training", "other", "held_out")


def with_captions(sources: Sequence[Source], choose: str, known: int) -> list[Source]:
    """The same rows under other captions, one of `SETS`: "other" draws from "training" backwards."""
    out = []
    for source in sources:
        draw = source.draw
        assert isinstance(draw, partial)
        stored, words, *rest = draw.args
        stored = replace(stored, facts=[relabelled(fact, choose, known) for fact in stored.facts])
        out.append(replace(source, draw=partial(draw.func, stored, with_all(words), *rest)))
    return out


@cache
def all_wordings() -> Words:
    """Every caption of `captions.toml`, encoded."""
    return Words.encode([text for pair in CAPTIONS.values() for text in (*pair.training, *pair.held_out)])


def with_all(words: Words) -> Words:
    """Words and every wording of the scenes."""
    more, first = all_wordings(), len(words.tokens)
    return Words(
        {**{text: first + row for text, row in more.index.items()}, **words.index},
        np.concatenate([words.tokens, more.tokens]),
        np.concatenate([words.pooled, more.pooled]),
    )


def relabelled(fact: Mapping[str, Any], choose: str, known: int) -> dict[str, Any]:
    """Facts of an item with the captions chosen; recordings keep theirs."""
    wordings = CAPTIONS.get(fact["label"]) if "family" in fact else None
    if wordings is None:
        return dict(fact)
    chosen = {
        "known": wordings.training[:known],
        "training": wordings.training,
        "other": wordings.training[::-1],
        "held_out": wordings.held_out,
    }[choose]
    return {**fact, "captions": list(chosen)}


class Rows:
    """Rows of a step under several sets of captions, alike in all else."""

    def __init__(self, words: argparse.Namespace) -> None:
        folders = [*(words.features or []), *(words.sounds or [])]
        shares = [2.0 / max(1, len(words.features or []))] * len(words.features or []) + [words.sounds_share] * len(
            words.sounds or []
        )
        config = RunConfig(
            task="generator",
            steps=1,
            out=str(words.out),
            crop_s=words.crop_s,
            sources=tuple(
                SourceConfig(type="features", path=str(folder), weight=share)
                for folder, share in zip(folders, shares, strict=True)
            ),
        )
        sources = build_generator_sources(config)
        self.sets = {
            name: StepDataset(with_captions(sources, name, words.known), batch_size=words.batch, seed=words.seed)
            for name in SETS
        }

    def batch(self, name: str, step: int) -> TrainingBatch:
        """The rows of a step under one set of captions."""
        rows = self.sets[name][step]
        return TrainingBatch(**{field: rows[field] for field in FIELDS})


@torch.no_grad()
def differences(teacher: MMAudio, student: MMAudio, rows: Rows, seed: int) -> str:
    """Squared difference of student (held-out wordings) and teacher (known ones) in one step; the square of the aim."""
    generator = torch.Generator().manual_seed(seed)
    known, held = (rows.batch(name, TOLD_STEP) for name in ("known", "held_out"))
    told = []
    e = torch.randn(known.latent.shape, generator=generator)
    zero, one = torch.zeros(len(e)), torch.ones(len(e))
    target = bind_conditions(teacher, known)(e, r=zero, t=one)
    made = bind_conditions(student, held)(e, r=zero, t=one)
    for name, kept in (("held out", known.has_video), ("recordings", ~known.has_video)):
        if kept.any():
            apart = mean_square(made, target)[kept].mean().item()
            told.append(f"{name} {apart:.4f} of {target[kept].square().mean().item():.4f}")
    return "  ".join(told)


def learn(words: argparse.Namespace) -> None:
    """Load, learn until the time is over, save."""
    torch.set_num_threads(words.threads)
    teacher, facts = load_network(words.weights, "generator")
    assert isinstance(teacher, MMAudio)
    student = copy.deepcopy(teacher).requires_grad_(True).train()
    rows = Rows(words)
    optimizer = torch.optim.AdamW(student.parameters(), lr=words.rate, betas=(0.9, 0.95), weight_decay=0.0)
    average = EMA(student, AVERAGE)
    began, step = time.monotonic(), 0
    tell(step, 0.0, began, differences(teacher, student, rows, words.seed))
    generator = torch.Generator().manual_seed(words.seed)
    while (spent := (time.monotonic() - began) / (60 * words.minutes)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = words.rate * min(1.0, (step + 1) / 20) * 0.5 * (1 + math.cos(math.pi * spent))
        loss = difference(teacher, student, rows, step, generator, words.noise)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        average.update(student, step)
        step += 1
        if step % TOLD_EVERY == 0:
            with average.in_place_of(student):
                tell(step, loss.item(), began, differences(teacher, student, rows, words.seed))
        if step % SAVED_EVERY == 0:
            save(words, student, average, facts, step, began)
    save(words, student, average, facts, step, began)


def difference(
    teacher: MMAudio, student: MMAudio, rows: Rows, step: int, generator: torch.Generator, noise: float
) -> Tensor:
    """Mean squared difference of student and teacher on the rows of a step."""
    known, first, second = (rows.batch(name, step) for name in ("known", "training", "other"))
    other = replace(first, text=vary(first.text, second.text, noise * first.has_video, generator))
    draw = torch.rand(len(known.latent), generator=generator)
    known, other = (drop_conditions(batch, both=0.0, video=0.2, text=0.0, draw=draw) for batch in (known, other))
    x = (known.latent - student.latent_mean) / student.latent_std
    e = torch.randn(x.shape, generator=generator)
    r, t = sample_times(len(x), generator=generator, mean=1.0, std=1.5, equal_share=0.1, full_share=FULL_SHARE)
    z, _ = interpolate(x, e, t)
    with torch.no_grad():
        target = bind_conditions(teacher, known)(z, r=r, t=t)
    return mean_square(bind_conditions(student, other)(z, r=r, t=t), target).mean()


def vary(text: Tensor, other: Tensor, most: Tensor, generator: torch.Generator) -> Tensor:
    """Token vectors [B, L, D], in some rows with tokens of another wording of the same among them, and with noise.

    Args:
        text: the token vectors.
        other: those of another wording of the same.
        most: [B], the most noise of a row, as a share of its tokens' root mean square.
        generator: of the draws.
    """
    rows, length, _ = text.shape
    mixed = torch.rand(rows, 1, 1, generator=generator) < MIXED
    taken = mixed & (torch.rand(rows, length, 1, generator=generator) < TAKEN)
    text = torch.where(taken, other, text)
    noise = torch.randn(text.shape, generator=generator) * text.square().mean(-1, keepdim=True).sqrt()
    return text + most[:, None, None] * torch.rand(rows, 1, 1, generator=generator) * noise


def tell(step: int, loss: float, began: float, found: str) -> None:
    """One line."""
    seconds = time.monotonic() - began
    sys.stdout.write(f"step {step}  seconds {seconds:.0f}  loss {loss:.4f}  {found}\n")
    sys.stdout.flush()


def save(
    words: argparse.Namespace, student: MMAudio, average: EMA, facts: Mapping[str, Any], step: int, began: float
) -> None:
    """Write the average of the weights, with what made them."""
    told = {**facts, "wordings": {"steps": step, "seconds": round(time.monotonic() - began), "rate": words.rate}}
    save_network(words.out / "final.safetensors", "generator", student, state=average.state, facts=told)


def main() -> None:
    """Read the words."""
    parser = argparse.ArgumentParser(description="Teach a generator other wordings.")
    parser.add_argument("weights", type=Path)
    parser.add_argument("--features", type=Path, action="append", help="scenes, encoded; repeatable")
    parser.add_argument("--sounds", type=Path, action="append", help="recordings, encoded; repeatable")
    parser.add_argument("--known", type=int, default=6, help="captions of a label that the generator learned from")
    parser.add_argument(
        "--sounds-share", type=float, default=0.5, help="share of a folder of recordings; scenes have 2"
    )
    parser.add_argument("--noise", type=float, default=0.3, help="most noise in scenes' captions, of the tokens' size")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=2e-4)
    parser.add_argument("--crop-s", type=float, default=4.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    try:
        learn(parser.parse_args())
    except Mfv2aError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
