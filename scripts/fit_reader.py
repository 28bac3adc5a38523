"""Fit the reader of prompts: which kind of the drawn scenes a sentence means, or none of them.

    python scripts/fit_reader.py --sounds data/sounds-encoded --out runs/reader

It learns from the captions of `captions.toml` that are for training, from the captions of recordings (of `voices.toml`
those that mean a kind, of others none) and from `other_prompts.toml`, which name what is none of the kinds, nothing
that sounds, or several at once. The wordings that a prompt is read as are the first six of each kind. Prints how
prompts are read that it did not learn from: a fifth of the captions each time, the held-out captions of
`captions.toml`, those of `judged_wordings.toml`, and the labels of held-out recordings; then, of the prompts
that name several things, how many stay as they are once their parts are looked at.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from split_sounds import HELD_OUT
from torch import Tensor

from mfv2a.data.manifest import read_shards
from mfv2a.errors import Mfv2aError
from mfv2a.models.reading import Reader, ReaderConfig, parts
from mfv2a.models.text import TextEncoder
from mfv2a.models.weights import save_network
from mfv2a.scenes import CAPTIONS

HERE = Path(__file__).parent
KNOWN, PARTS = 6, 5
PENALTY = 1e-5
OF_RECORDINGS, OF_OTHERS = 0.3, 2.0  # weights of a sentence without a kind; of those with one it is 1
KINDS = sorted(CAPTIONS)
NONE = len(KINDS)


class Sentences(NamedTuple):
    """Sentences and which kind each means, `NONE` for none."""

    texts: list[str]
    kinds: Tensor


def sentences(rows: dict[str, int]) -> Sentences:
    """Texts and their kinds."""
    return Sentences(list(rows), torch.tensor(list(rows.values())))


def table(name: str) -> dict[str, list[str]]:
    """A table of lists beside this script."""
    found: dict[str, list[str]] = tomllib.loads((HERE / name).read_text(encoding="utf-8"))
    return found


def captions_of_recordings(folder: str) -> dict[str, int]:
    """Captions of the recordings that the generator learned from; of most of them no kind is meant."""
    voices = tomllib.loads((HERE / "voices.toml").read_text(encoding="utf-8"))
    meant = {name: KINDS.index(kind) for kind, wanted in voices.items() for name in wanted["recordings"]}
    rows: dict[str, int] = {}
    for fact in read_shards(Path(folder), [])[1]:
        kind = meant.get(fact["label"], NONE)
        rows |= {caption: min(kind, rows.get(caption, NONE)) for caption in fact["captions"]}
    return rows


def fit(vectors: Tensor, kinds: Tensor, weight: Tensor) -> torch.nn.Linear:
    """The probe of sentence vectors [N, D], each with its weight; deterministic (convex loss, zero start)."""
    probe = torch.nn.Linear(vectors.shape[1], NONE + 1)
    torch.nn.init.zeros_(probe.weight)
    torch.nn.init.zeros_(probe.bias)
    optimizer = torch.optim.LBFGS(probe.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        each = F.cross_entropy(probe(vectors), kinds, reduction="none")
        value = (each * weight).sum() / weight.sum() + PENALTY * probe.weight.square().sum() / 2
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return probe.requires_grad_(False)


def shares(probe: torch.nn.Linear, vectors: Tensor, kinds: Tensor, sure: float) -> Tensor:
    """How many are read as their kind, as another one, and as they are [3]."""
    probability, kind = probe(vectors).softmax(-1).max(-1)
    read = (kind != NONE) & (probability >= sure)
    right = read & (kind == kinds)
    return torch.stack([right, read & ~right, ~read]).float().mean(1)


def tell(name: str, found: Tensor, count: int) -> None:
    """Print shares."""
    line = "as its kind {:.3f}, as another {:.3f}, as it is {:.3f}".format(*found.tolist())
    sys.stdout.write(f"{name} ({count}): {line}\n")


def main() -> None:
    """Read the words, encode, fit, tell, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sounds", required=True, help="folder of recordings that mfv2a extract made")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    words = parser.parse_args()
    try:
        write(words.sounds, words.out)
    except Mfv2aError as error:
        raise SystemExit(str(error)) from None


def write(sounds: str, out: Path) -> None:
    """Fit the reader, tell how it reads what it did not learn from, and store it."""
    others, judged = table("other_prompts.toml"), table("judged_wordings.toml")
    captions = {text: number for number, kind in enumerate(KINDS) for text in CAPTIONS[kind].training}
    none = {text: NONE for texts in others.values() for text in texts}
    learned_rows = captions_of_recordings(sounds) | none | captions
    learned = sentences(learned_rows)
    kept = {
        "held-out captions": {text: k for k, kind in enumerate(KINDS) for text in CAPTIONS[kind].held_out},
        "judged captions": {text: k for k, kind in enumerate(KINDS) for text in judged[kind]},
        "labels of held-out recordings": {
            row.split("\t")[2]: NONE for row in HELD_OUT.read_text(encoding="utf-8").splitlines()[1:]
        },
    }
    encoder = TextEncoder.from_assets()
    vectors = encoder.encode(learned.texts)[1]
    reader = Reader(ReaderConfig(wordings=[list(CAPTIONS[kind].training[:KNOWN]) for kind in KINDS]))
    sure = reader.config.sure
    weight = torch.tensor(
        [OF_OTHERS if text in none else OF_RECORDINGS if kind == NONE else 1.0 for text, kind in learned_rows.items()]
    )
    part = torch.arange(len(learned.texts)) % PARTS
    rest = [part != k for k in range(PARTS)]
    fitted = [fit(vectors[rows], learned.kinds[rows], weight[rows]) for rows in rest]
    for name, asked in (("captions not learned", captions), ("prompts of none not learned", none)):
        rows = torch.tensor([text in asked for text in learned.texts])
        each = [
            shares(probe, vectors[rows & (part == k)], learned.kinds[rows & (part == k)], sure)
            for k, probe in enumerate(fitted)
        ]
        tell(name, torch.stack(each).mean(0), int(rows.sum()))
    reader.kind = fit(vectors, learned.kinds, weight)
    for name, kinds in kept.items():
        texts = sentences(kinds)
        tell(name, shares(reader.kind, encoder.encode(texts.texts)[1], texts.kinds, sure), len(texts.texts))
    reader.vectors.copy_(encoder.encode([text for kind in reader.config.wordings for text in kind])[1])
    left = [not reader.read(encoder.encode([text, *parts(text)])[1]) for text in others["several"]]
    sys.stdout.write(f"prompts of several, learned ({len(left)}): by their parts as they are {np.mean(left):.3f}\n")
    path = save_network(out / "final.safetensors", "reader", reader, facts={"sentences": len(learned.texts)})
    sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
