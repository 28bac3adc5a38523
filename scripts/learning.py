"""What the scripts that teach a finished generator have in common: rows under several captions, the loop, the end."""

from __future__ import annotations

import math
import sys
import time
from abc import ABC, abstractmethod
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mfv2a.config import RunConfig, SourceConfig
from mfv2a.data.batch import TrainingBatch
from mfv2a.data.dataset import FeatureSet, Source, StepDataset
from mfv2a.errors import DivergenceError, Mfv2aError
from mfv2a.flow.objective import mean_square
from mfv2a.flow.path import interpolate, sample_times
from mfv2a.jobs.generator_sources import Words, build_generator_sources
from mfv2a.models.mmaudio import MMAudio
from mfv2a.models.weights import load_network, save_network
from mfv2a.scenes.captions import CAPTIONS
from mfv2a.training.ema import EMA
from mfv2a.training.step import FIELDS, bind_conditions

FULL_SHARE = 0.75  # of the rows kept that take the whole step; the others any part of it
WARM_STEPS, TOLD_EVERY, SAVED_EVERY = 20, 20, 100
AVERAGE = 0.98
MIXED, TAKEN = 0.5, 0.3
SETS = ("known", "training", "other", "held_out")


def read_sources(folders: Sequence[Path], shares: Sequence[float], words: Namespace) -> list[Source]:
    """Sources of rows out of folders of encoded features, each with its share."""
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
    return build_generator_sources(config)


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


def without_labels(source: Source, labels: Set[str]) -> Source:
    """The rows whose label is none of some."""
    draw = source.draw
    assert isinstance(draw, partial)
    stored, *rest = draw.args
    rows = [row for row, fact in enumerate(stored.facts) if fact["label"] not in labels]
    kept = FeatureSet({name: array[rows] for name, array in stored.arrays.items()}, [stored.facts[row] for row in rows])
    return replace(source, draw=partial(draw.func, kept, *rest))


class Rows:
    """Rows of a step under several sets of captions, alike in all else.

    Args:
        words: of the command line.
        without: labels whose rows are left out.
    """

    def __init__(self, words: Namespace, without: Set[str] = frozenset()) -> None:
        scenes, sounds = words.features or [], words.sounds or []
        shares = [2.0 / len(scenes) for _ in scenes] + [words.sounds_share for _ in sounds]
        sources = read_sources([*scenes, *sounds], shares, words)
        if without:
            sources = [without_labels(source, without) for source in sources]
        self.sets = {
            name: StepDataset(with_captions(sources, name, words.known), batch_size=words.batch, seed=words.seed)
            for name in SETS
        }

    def batch(self, name: str, step: int) -> TrainingBatch:
        """The rows of a step under one set of captions."""
        rows = self.sets[name][step]
        return TrainingBatch(**{field: rows[field] for field in FIELDS})


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


class Aims(NamedTuple):
    """What a student reads and where it is asked, and the velocities it is to give."""

    read: TrainingBatch
    z: Tensor
    r: Tensor
    t: Tensor
    velocity: Tensor


class Learning(ABC):
    """A student that learns until the time is over, the average of its weights, and draws.

    Args:
        words: of the command line.
        what: it learns, a name for the facts beside the weights.
    """

    def __init__(self, words: Namespace, what: str) -> None:
        torch.set_num_threads(words.threads)
        self.student, self.facts = load_generator(words.weights)
        self.student.requires_grad_(True).train()
        self.words, self.what = words, what
        self.average = EMA(self.student, AVERAGE)
        self.generator = torch.Generator().manual_seed(words.seed)

    @abstractmethod
    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        """Of the rows of a step, with figures to tell."""

    def judge(self) -> str:
        """What more to tell, by the average of the weights."""
        return ""

    def run(self) -> None:
        """Learn, tell, save."""
        words, step, began = self.words, 0, time.monotonic()
        optimizer = torch.optim.AdamW(self.student.parameters(), lr=words.rate, betas=(0.9, 0.95), weight_decay=0.0)
        told: list[dict[str, float]] = []
        self._tell(step, began, told)
        while (spent := (time.monotonic() - began) / (60 * words.minutes)) < 1:
            for group in optimizer.param_groups:
                group["lr"] = words.rate * min(1.0, (step + 1) / WARM_STEPS) * 0.5 * (1 + math.cos(math.pi * spent))
            with torch.autocast("cpu", torch.bfloat16, enabled=words.precision == "bfloat16"):
                loss, figures = self.loss(step)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(self.student.parameters(), 1.0)
            if not torch.isfinite(loss.detach() + norm):
                raise DivergenceError(f"step {step}: loss or gradient is not finite; what was saved before stays")
            optimizer.step()
            self.average.update(self.student, step)
            told.append(figures)
            step += 1
            if step % TOLD_EVERY == 0:
                self._tell(step, began, told)
                told = []
            if step % SAVED_EVERY == 0:
                self._save(step, began)
        self._save(step, began)

    def keep(self, source: MMAudio, known: TrainingBatch, other: TrainingBatch) -> Aims:
        """Rows that the student reads as in `other`, and what a network gives for them as in `known`."""
        x = (known.latent - self.student.latent_mean) / self.student.latent_std
        e = torch.randn(x.shape, generator=self.generator)
        r, t = sample_times(len(x), generator=self.generator, mean=1.0, std=1.5, equal_share=0.1, full_share=FULL_SHARE)
        z, _ = interpolate(x, e, t)
        with torch.no_grad():
            return Aims(other, z, r, t, bind_conditions(source, known)(z, r=r, t=t))

    def missed(self, *aims: Aims) -> Tensor:
        """Mean square by which the student misses each row of some aims [B]."""
        read, z, r, t, velocity = zip(*aims, strict=True)
        given = bind_conditions(self.student, joined(*read))(torch.cat(z), r=torch.cat(r), t=torch.cat(t))
        return mean_square(given, torch.cat(velocity))

    def _tell(self, step: int, began: float, told: Sequence[Mapping[str, float]]) -> None:
        figures = "".join(
            f"  {name} {np.nanmean([each[name] for each in told]):.4f}" for name in (told[0] if told else ())
        )
        with self.average.in_place_of(self.student):
            more = self.judge()
        sys.stdout.write(f"step {step}  seconds {time.monotonic() - began:.0f}{figures}{more}\n")
        sys.stdout.flush()

    def _save(self, step: int, began: float) -> None:
        seconds = round(time.monotonic() - began)
        told = {**self.facts, self.what: {"steps": step, "seconds": seconds, "rate": self.words.rate}}
        path = self.words.out / "final.safetensors"
        save_network(path, "generator", self.student, state=self.average.state, facts=told)


def start(learning: Callable[[Namespace], Learning], words: Namespace) -> None:
    """Learn; what goes wrong is told in one line."""
    try:
        learning(words).run()
    except Mfv2aError as error:
        raise SystemExit(str(error)) from None


def load_generator(path: Path) -> tuple[MMAudio, dict[str, Any]]:
    """A generator and what is told beside its weights."""
    network, facts = load_network(path, "generator")
    assert isinstance(network, MMAudio)
    return network, facts


def rows_of(batch: TrainingBatch, rows: Tensor) -> TrainingBatch:
    """Some rows of a batch."""
    return TrainingBatch(**{field: getattr(batch, field)[rows] for field in FIELDS})


def joined(*batches: TrainingBatch) -> TrainingBatch:
    """The rows of several batches."""
    return TrainingBatch(**{field: torch.cat([getattr(batch, field) for batch in batches]) for field in FIELDS})


def add_common(parser: ArgumentParser, *, minutes: float, rate: float, crop_s: float, threads: int) -> None:
    """The options that all of them take, with the defaults of one."""
    parser.add_argument("--features", type=Path, action="append", help="scenes, encoded; repeatable")
    parser.add_argument("--sounds", type=Path, action="append", help="recordings, encoded; repeatable")
    parser.add_argument("--known", type=int, default=6, help="captions of a label that the teacher learned from")
    parser.add_argument("--minutes", type=float, default=minutes)
    parser.add_argument("--rate", type=float, default=rate)
    parser.add_argument("--crop-s", type=float, default=crop_s)
    parser.add_argument("--threads", type=int, default=threads)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--precision", choices=("float32", "bfloat16"), default="float32", help="bfloat16 where it is multiplied itself"
    )
    parser.add_argument("--out", type=Path, required=True)


def add_rows(parser: ArgumentParser, *, sounds_share: float, batch: int, noise: float | None = None) -> None:
    """The options of scripts whose rows are scenes and recordings together, with the defaults of one; noise if any."""
    parser.add_argument(
        "--sounds-share", type=float, default=sounds_share, help="share of a folder of recordings; scenes have 2"
    )
    if noise is not None:
        parser.add_argument(
            "--noise", type=float, default=noise, help="most noise in scenes' captions, of tokens' size"
        )
    parser.add_argument("--batch", type=int, default=batch)
