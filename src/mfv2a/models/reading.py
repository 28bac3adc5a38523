"""Prompts -> wordings that a generator knows: a linear probe on sentence vectors.

A small generator that learned some wordings of what it can make is less sure of others. Sentence vectors know better
what they mean: a prompt that surely means one of the kinds is read as the wording of it that is nearest. What means
none of them, or several at once, stays as it is. Knows no generator and no text encoder.

Source: linear probes, Alain and Bengio, arXiv 1610.01644; the vectors, Reimers and Gurevych 2019, "Sentence-BERT".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

_BETWEEN = re.compile(r"[,;.&+]|\b(?:and|then|while|as|with|before|after|over|followed by|plus)\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class ReaderConfig:
    """What a reader tells apart.

    Attributes:
        wordings: of each of K kinds, those that the generator knows best; one at least.
        width: D, length of a sentence vector.
        sure: least probability of a kind for a prompt to be read as one of its wordings.
        near: cosine from which on a prompt is as good as a wording itself, and stays as it is.
    """

    wordings: Sequence[Sequence[str]]
    width: int = 384
    sure: float = 0.6
    near: float = 0.9


class Reader(nn.Module):
    """Tells which kind a sentence means, or none, and which wording of that kind is nearest.

    Args:
        config: what it tells apart.
    """

    vectors: Tensor

    def __init__(self, config: ReaderConfig) -> None:
        super().__init__()
        self.config = config
        self.kind = nn.Linear(config.width, len(config.wordings) + 1)
        """Logits of the kinds [K] and, last, of none of them."""
        self.register_buffer("vectors", torch.zeros(sum(map(len, config.wordings)), config.width))

    def forward(self, sentences: Tensor) -> Tensor:
        """Probabilities [B, K + 1] of each kind and of none, of sentence vectors [B, D] of unit norm."""
        probabilities: Tensor = self.kind(sentences.float()).softmax(-1)
        return probabilities

    @torch.no_grad()
    def read(self, sentences: Tensor) -> str:
        """The wording that a prompt is read as.

        Args:
            sentences: vectors of unit norm [1 + P, D], of the prompt and of its `parts`.

        Returns:
            a wording of the kind that the prompt surely means; "" where it surely means none, where a part of it surely
            means another one, or where it nearly is a wording itself.
        """
        nearness = self.vectors @ sentences[0].float()
        probability, kinds = self(sentences).max(-1)
        surely = [int(kind) for kind in kinds[probability >= self.config.sure] if kind < len(self.config.wordings)]
        kind = int(kinds[0])
        if probability[0] < self.config.sure or set(surely) != {kind} or nearness.max() >= self.config.near:
            return ""
        wordings = self.config.wordings[kind]
        first = sum(len(each) for each in self.config.wordings[:kind])
        return wordings[int(nearness[first : first + len(wordings)].argmax())]


def parts(prompt: str) -> list[str]:
    """What a prompt names one after the other or at once; nothing where it names one thing."""
    found = [part.strip() for part in _BETWEEN.split(prompt) if part.strip()]
    return found if len(found) > 1 else []
