"""Who listens: networks that turn a sound into embeddings and, some of them, into class logits.

A judge is anything with the methods of `Embedding`; the measures know no more of it. Those of the field are made here
from networks that are loaded already: this room knows neither files nor the hub.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mfv2a.evaluation.spectrum import Floats
from mfv2a.models.yamnet import SAMPLE_RATE_HZ, Tagger

PASST_SAMPLES = 320_000
_SURE = 1e-7


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One sound as a judge hears it.

    Attributes:
        embeddings: [N, D]; one row, or one for each stretch of the sound where the judge's measures are over stretches.
        logits: class logits [C], None of a judge that knows no classes.
        top: name or number of the likeliest class, None where there are none.
    """

    embeddings: NDArray[np.float32]
    logits: NDArray[np.float32] | None = None
    top: str | int | None = None


class Embedding(Protocol):
    """A judge.

    Attributes:
        name: short, as measures are called by it: "panns".
        rate_hz: sample rate of what it hears.
    """

    @property
    def name(self) -> str:
        """As measures are called by it."""

    @property
    def rate_hz(self) -> int:
        """Sample rate of what it hears."""

    def hear(self, waves: Sequence[Floats]) -> list[Heard]:
        """Listen to mono waves [S] in [-1, 1], each for itself."""


@dataclass(frozen=True, slots=True)
class YamnetEmbedding:
    """The tagger that ships: mean embedding over patches [1, 1024], logits of the mean scores over patches [521]."""

    tagger: Tagger
    name: str = "yamnet"
    rate_hz: int = SAMPLE_RATE_HZ

    def hear(self, waves: Sequence[Floats]) -> list[Heard]:
        """See `Embedding.hear`."""
        heard = []
        for wave in waves:
            scores, embeddings = self.tagger.hear(wave, sample_rate_hz=self.rate_hz)
            mean = scores.mean(dim=0).clamp(_SURE, 1 - _SURE)
            heard.append(
                Heard(
                    embeddings=embeddings.mean(dim=0, keepdim=True).numpy(),
                    logits=torch.logit(mean).numpy(),
                    top=self.tagger.names[int(mean.argmax())],
                )
            )
        return heard


@dataclass(frozen=True, slots=True)
class PannsEmbedding:
    """PANNs' Cnn14 for 16 kHz: the 2048 values before its classes, logits of 527 classes.

    Source: Kong et al., "PANNs", arXiv 1912.10211; audioldm_eval and av-benchmark take FD, KL and IS of it so, with the
    wave's mean taken off, as before PaSST and VGGish.
    """

    network: nn.Module
    name: str = "panns"
    rate_hz: int = 16_000

    def hear(self, waves: Sequence[Floats]) -> list[Heard]:
        """See `Embedding.hear`."""

        def run(batch: Tensor) -> tuple[Tensor, Tensor]:
            embeddings, logits = self.network(batch)
            return embeddings, logits

        return _in_batches([centred(wave) for wave in waves], self.network, run)


@dataclass(frozen=True, slots=True)
class PasstEmbedding:
    """PaSST of the package hear21passt: 10 s at 32 kHz, cut or padded with silence; 768 values, 527 logits.

    Source: Koutini et al., "Efficient Training of Audio Transformers with Patchout", arXiv 2110.05069; length and
    layers as in av-benchmark, extract.py.
    """

    network: nn.Module
    name: str = "passt"
    rate_hz: int = 32_000

    def hear(self, waves: Sequence[Floats]) -> list[Heard]:
        """See `Embedding.hear`."""
        cut = [centred(wave)[:PASST_SAMPLES] for wave in waves]
        fitted = [np.pad(wave, (0, PASST_SAMPLES - len(wave))) for wave in cut]

        def run(batch: Tensor) -> tuple[Tensor, Tensor]:
            logits, embeddings = self.network(batch).split([527, 768], dim=1)
            return embeddings, logits

        return _in_batches(fitted, self.network, run)


@dataclass(frozen=True, slots=True)
class VggishEmbedding:
    """VGGish: 128 values for each 0.96 s [N, 128], before its last ReLU and without PCA; no classes.

    Source: Hershey et al., arXiv 1609.09430; Kilgour et al., "Frechet Audio Distance", arXiv 1812.08466; layers as in
    audioldm_eval, metrics/fad.py.
    """

    network: nn.Module
    name: str = "vggish"
    rate_hz: int = 16_000

    def hear(self, waves: Sequence[Floats]) -> list[Heard]:
        """See `Embedding.hear`."""
        with torch.inference_mode():
            return [
                Heard(embeddings=self.network(_tensor(centred(wave), self.network))[0].float().cpu().numpy())
                for wave in waves
            ]


def centred(wave: Floats) -> Floats:
    """A wave [S] without its mean, as the field's programs give it to their networks."""
    return np.asarray(wave - wave.mean(), np.float32)


def _in_batches(waves: Sequence[Floats], network: nn.Module, run: Any) -> list[Heard]:
    """Waves of one length go through the network together; each row is what it would be alone."""
    heard: dict[int, Heard] = {}
    lengths = [len(wave) for wave in waves]
    for length in sorted(set(lengths)):
        places = [place for place, each in enumerate(lengths) if each == length]
        with torch.inference_mode():
            embeddings, logits = run(torch.cat([_tensor(waves[place], network) for place in places]))
        rows = zip(places, embeddings.float().cpu().numpy(), logits.float().cpu().numpy(), strict=True)
        for place, embedding, row in rows:
            heard[place] = Heard(embeddings=embedding[None], logits=row, top=int(row.argmax()))
    return [heard[place] for place in range(len(waves))]


def _tensor(wave: Floats, network: nn.Module) -> Tensor:
    weight = next(network.parameters())
    return torch.from_numpy(np.array(wave, np.float32))[None].to(weight.device)
