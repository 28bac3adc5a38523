"""Rows of the generator's batches: latents with sync features, captions and what a recogniser would have seen."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mfv2a.config import RunConfig, SourceConfig
from mfv2a.data.dataset import Arrays, FeatureSet, Source
from mfv2a.data.manifest import STATISTICS
from mfv2a.data.mapped import find_shards, opened
from mfv2a.errors import ConfigError
from mfv2a.jobs.feature_sources import build_feature_sources, holds_complete_features
from mfv2a.jobs.sources import check_crop
from mfv2a.loader import pick_device

SEEN_SHARE = 0.5
VOICED_SHARE = 0.25
SEEN_SIMILARITY = 0.45
SEEN_CHOICES = 8
SYNC_DIM = 64
LATENTS_PER_SYNC = 5  # latents every 4 sync frames: 31.25 and 25 per second


@dataclass(frozen=True)
class Words:
    """Token and sentence vectors of all texts of a run, each encoded once.

    Attributes:
        index: text to row.
        tokens: [texts, L, D] float16.
        pooled: [texts, D] float16.
    """

    index: dict[str, int]
    tokens: NDArray[np.float16]
    pooled: NDArray[np.float16]

    @classmethod
    def encode(cls, texts: Sequence[str], device: str = "cpu") -> Words:
        """Encode with the embedded text encoder, on a device."""
        from mfv2a.models.text import TextEncoder

        unique = list(dict.fromkeys(texts))
        encoder = TextEncoder.from_assets().to(pick_device(device))
        tokens, pooled = [], []
        with torch.inference_mode():
            for start in range(0, len(unique), 64):
                a, b = encoder.encode(unique[start : start + 64])
                tokens.append(a.half().cpu().numpy())
                pooled.append(b.half().cpu().numpy())
        return cls({text: i for i, text in enumerate(unique)}, np.concatenate(tokens), np.concatenate(pooled))


@dataclass(frozen=True)
class Sights:
    """What an image recogniser would say of the source of a sound.

    Drawn scenes mean nothing to a recogniser of photographs, and sounds have no picture. In training, the vectors
    of the classes that lie near a label in the text encoder's space stand in, so that the generator learns to
    follow a recogniser.

    Attributes:
        choices: label to vectors [K, D] float32: the label's own, then those of the nearest classes.
    """

    choices: dict[str, NDArray[np.float32]]

    @classmethod
    def find(cls, labels: Sequence[str], words: Words) -> Sights:
        """Choices for labels whose texts are among the words."""
        from mfv2a.models.efficientnet import ImageRecognizer

        classes = ImageRecognizer.from_assets().words.float().numpy()
        choices = {}
        for label in labels:
            own = words.pooled[words.index[readable(label)]].astype(np.float32)
            similar = classes @ own
            near = np.argsort(-similar)[:SEEN_CHOICES]
            choices[label] = np.concatenate([own[None], classes[near[similar[near] > SEEN_SIMILARITY]]])
        return cls(choices)


def readable(label: str) -> str:
    """A label in words: `dog_bark` as `dog bark`."""
    return label.replace("_", " ")


def latent_statistics(config: RunConfig) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and deviation of the latents [C], of the first source."""
    path = Path(config.sources[0].path) / STATISTICS
    if not path.exists():
        raise ConfigError(f"no {STATISTICS} in {path.parent}", hint="encode the features with mfv2a extract")
    facts = json.loads(path.read_text(encoding="utf-8"))
    return np.array(facts["latent_mean"], np.float32), np.array(facts["latent_std"], np.float32)


def build_generator_sources(config: RunConfig) -> list[Source]:
    """Sources of a generator run from folders of encoded features.

    A folder with sync features gives video-audio rows (and voiced ones, where events were voiced), one without
    gives text-audio rows. Folders whose items bring all that the network sees are read by `feature_sources`.
    """
    complete = [source.path for source in config.sources if holds_complete_features(Path(source.path))]
    if len(complete) == len(config.sources):
        return build_feature_sources(config)
    if complete:
        raise ConfigError(f"{complete[0]} holds features of a public model, the other sources do not")
    sets = [(_load(source), source) for source in config.sources]
    for stored, source in sets:
        blocks = stored.arrays["latent"].shape[1] // LATENTS_PER_SYNC
        check_crop(config, source, round(config.crop_s * 31.25) // LATENTS_PER_SYNC <= blocks)
    texts = [text for stored, _ in sets for fact in stored.facts for text in _texts(fact)]
    words = Words.encode(["", *texts], config.device)
    labels = {fact[key] for stored, _ in sets for fact in stored.facts for key in ("label", "voice") if key in fact}
    sights = Sights.find(sorted(labels), words)
    return [Source(partial(_row, stored, words, sights, config.crop_s), source.weight) for stored, source in sets]


def _load(source: SourceConfig) -> FeatureSet:
    with opened(find_shards(Path(source.path))[0]) as shard:
        names = list(shard.keys())
    return FeatureSet.load(Path(source.path), names)


def _texts(fact: dict[str, Any]) -> list[str]:
    texts = [*fact["captions"], readable(fact["label"])]
    if "voice" in fact:
        texts += [*fact["voice_captions"], readable(fact["voice"])]
    return texts


def _row(stored: FeatureSet, words: Words, sights: Sights, crop_s: float, rng: np.random.Generator) -> Arrays:
    blocks = round(crop_s * 31.25) // LATENTS_PER_SYNC
    length = blocks * LATENTS_PER_SYNC
    item = int(rng.integers(len(stored)))
    fact = stored.facts[item]
    offset = int(rng.integers(0, stored.arrays["latent"].shape[1] // LATENTS_PER_SYNC - blocks + 1))
    start = offset * LATENTS_PER_SYNC
    has_video = "sync" in stored.arrays
    voiced = "voice" in fact and rng.random() < VOICED_SHARE
    latent = stored.crop("voiced_latent" if voiced else "latent", item, start, length)
    prefix = "voice_" if voiced else ""
    captions = fact[prefix + "captions"]
    caption = words.index[captions[int(rng.integers(len(captions)))]]
    seconds = max(1, int(crop_s))
    clip = np.zeros((seconds, words.pooled.shape[1]), np.float32)
    # A voice says nothing of what is seen: it is always named, by what a recogniser would say or by text.
    if voiced or rng.random() < SEEN_SHARE:
        seen = sights.choices[fact["voice" if voiced else "label"]]
        clip[:] = seen[int(rng.integers(len(seen)))] * rng.uniform(0.4, 1.0)
        clip += rng.normal(0, 0.01, clip.shape)
    frames = blocks * 4
    sync = stored.crop("sync", item, offset * 4, frames) if has_video else np.zeros((frames, SYNC_DIM), np.float32)
    return {
        "latent": latent,
        "clip": clip.astype(np.float32),
        "sync": sync,
        "text": words.tokens[caption].astype(np.float32),
        "has_video": np.array(has_video),
        "has_text": np.array(True),
        "item": np.array(item),
    }
