"""What a sound is heard as: embeddings of the tagger, and a probe that tells classes by them.

Class agreement of generated sounds: fit a probe on the sounds of *other* clips, both true and through the
generator's codec (else it tells the codec, not the class), then ask it about the generated ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mfv2a.errors import ConfigError
from mfv2a.evaluation.spectrum import Floats
from mfv2a.models.stored import asset_path, read_tensors
from mfv2a.models.yamnet import SAMPLE_RATE_HZ, Tagger


def embed_sounds(waves: Sequence[Floats], tagger: Tagger, *, sample_rate_hz: int = SAMPLE_RATE_HZ) -> Floats:
    """Mean and standard deviation of each wave's patch embeddings.

    Args:
        waves: mono waves [S].
        tagger: who listens.
        sample_rate_hz: of the waves.

    Returns:
        [K, 2048]: the mean (1024), which is what Frechet distances are taken of, then the deviation (1024).
    """
    rows = []
    for wave in waves:
        _, embeddings = tagger.hear(wave, sample_rate_hz=sample_rate_hz)
        rows.append(over_time(embeddings))
    return np.stack(rows) if rows else np.zeros((0, 2048), np.float32)


def over_time(embeddings: Tensor) -> Floats:
    """Mean and standard deviation [2048] of a wave's patch embeddings [P, 1024]."""
    return np.asarray(torch.cat([embeddings.mean(dim=0), embeddings.std(dim=0, correction=0)]).numpy())


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassProbe:
    """Multinomial logistic regression on standardised embeddings.

    Attributes:
        labels: the classes, sorted.
        mean: [E] of the training embeddings.
        scale: [E] of the training embeddings, never 0.
        weight: [E, K].
        bias: [K].
    """

    labels: tuple[str, ...]
    mean: Tensor
    scale: Tensor
    weight: Tensor
    bias: Tensor

    @classmethod
    def from_assets(cls) -> ClassProbe:
        """The probe that ships in the package: the labels of drawn scenes, of `scripts/fit_probe.py`.

        Raises:
            CheckpointError: the file is missing or damaged.
        """
        rows = read_tensors(asset_path("tagger", "scenes.safetensors"))
        labels = tuple(sorted(rows))
        table = torch.stack([rows[label] for label in labels], dim=1)
        size = len(table) - 1
        return cls(labels=labels, mean=torch.zeros(size), scale=torch.ones(size), weight=table[:-1], bias=table[-1])

    def rows(self) -> dict[str, Tensor]:
        """What `from_assets` reads: of each label its weights on embeddings as they are, then its bias, [E + 1]."""
        weight = self.weight / self.scale[:, None]
        table = torch.cat([weight, (self.bias - self.mean @ weight)[None]])
        return {label: table[:, k].contiguous() for k, label in enumerate(self.labels)}

    def predict(self, embeddings: Floats) -> list[str]:
        """The likeliest label of each row of [N, E]."""
        standard = (torch.from_numpy(np.asarray(embeddings, np.float32)) - self.mean) / self.scale
        return [self.labels[i] for i in (standard @ self.weight + self.bias).argmax(dim=1).tolist()]

    def predict_all(self, embeddings: Floats) -> Floats:
        """The probability of each label [N, K], of rows [N, E]."""
        standard = (torch.from_numpy(np.asarray(embeddings, np.float32)) - self.mean) / self.scale
        return np.asarray((standard @ self.weight + self.bias).softmax(dim=1).numpy())

    def accuracy(self, embeddings: Floats, labels: Sequence[str]) -> float:
        """Share of rows of [N, E] that are told rightly; 0 for none."""
        if not labels:
            return 0.0
        predicted = self.predict(embeddings)
        return sum(p == label for p, label in zip(predicted, labels, strict=True)) / len(labels)


def fit_probe(embeddings: Floats, labels: Sequence[str], *, penalty: float = 1e-2) -> ClassProbe:
    """Fit a probe; deterministic (convex loss, zero start).

    Args:
        embeddings: [N, E], from `embed_sounds`.
        labels: N class names.
        penalty: weight of the squared norm of the coefficients.

    Raises:
        ConfigError: fewer than two classes, or counts that differ.
    """
    names = tuple(sorted(set(labels)))
    if len(names) < 2 or len(labels) != len(embeddings):
        raise ConfigError(f"a probe needs two classes and a label a row: {len(names)} classes, {len(labels)} labels")
    x = torch.from_numpy(np.asarray(embeddings, np.float32))
    target = torch.tensor([names.index(label) for label in labels])
    mean, scale = x.mean(dim=0), x.std(dim=0, correction=0).clamp_min(1e-4)
    x = (x - mean) / scale
    weight = torch.zeros(x.shape[1], len(names), requires_grad=True)
    bias = torch.zeros(len(names), requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(x @ weight + bias, target) + penalty * weight.square().sum() / 2
        value.backward()
        return value

    with torch.enable_grad():
        optimizer.step(loss)
    return ClassProbe(labels=names, mean=mean, scale=scale, weight=weight.detach(), bias=bias.detach())
