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
from mfv2a.jobs.networks import network_config
from mfv2a.jobs.sources import check_crop
from mfv2a.loader import pick_device
from mfv2a.models.mmaudio import MMAudioConfig

SEEN_SHARE = 0.5
VOICED_SHARE = 0.25
SEEN_SIMILARITY = 0.45
SEEN_CHOICES = 8
SYNC_DIM = 64
BLOCK_LATENTS = 5  # of 4 sync frames: 31.25 and 25 a second
LATENTS_A_SECOND = 31.25


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
    """Mean and deviation of the latents [C], of the first source.

    Raises:
        ConfigError: they are missing, damaged, not finite or of another number of channels than the network's.
    """
    path, again = Path(config.sources[0].path) / STATISTICS, "remove it and run the same mfv2a extract again"
    if not path.exists():
        raise ConfigError(f"no {STATISTICS} in {path.parent}", hint="encode the features with mfv2a extract")
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        mean, std = (np.array(facts[name], np.float32) for name in ("latent_mean", "latent_std"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is damaged: {type(error).__name__}: {error}", hint=again) from error
    width = network_config(config)["latent_dim"]
    if mean.shape != (width,) or std.shape != (width,):
        raise ConfigError(f"{path} is of {mean.size} and {std.size} channels, and [model] has latent_dim = {width}")
    if not (np.isfinite(mean).all() and np.isfinite(std).all() and (std > 0).all()):
        raise ConfigError(f"{path} holds a mean or deviation that is not finite, or a deviation of 0", hint=again)
    return mean, std


def build_generator_sources(config: RunConfig) -> list[Source]:
    """Sources of a generator run from folders of encoded features.

    A folder with sync features gives video-audio rows (and voiced ones, where events were voiced), one without
    gives text-audio rows. Folders whose items bring all that the network sees are read by `feature_sources`.

    Raises:
        ConfigError: folders that are not encoded, or do not fit the network or each other.
    """
    complete = [source.path for source in config.sources if holds_complete_features(Path(source.path))]
    if len(complete) == len(config.sources):
        return build_feature_sources(config)
    if complete:
        raise ConfigError(f"{complete[0]} holds features of a public model, the other sources do not")
    sets = [(_load(source), source) for source in config.sources]
    sizes = MMAudioConfig(**network_config(config)) if config.model else None  # scripts ask for rows alone
    if sizes is not None:
        _check_widths(sets, sizes)
    for stored, source in sets:
        blocks = stored.arrays["latent"].shape[1] // BLOCK_LATENTS
        check_crop(config, source, round(config.crop_s * LATENTS_A_SECOND) // BLOCK_LATENTS <= blocks)
    texts = [text for stored, _ in sets for fact in stored.facts for text in _texts(fact)]
    words = Words.encode(["", *texts], config.device)
    if sizes is not None:
        _check_words(words, sizes)
    sync_dim = SYNC_DIM if sizes is None else sizes.sync_dim
    labels = {fact[key] for stored, _ in sets for fact in stored.facts for key in ("label", "voice") if key in fact}
    sights = Sights.find(sorted(labels), words)
    return [
        Source(partial(_row, stored, words, sights, config.crop_s, sync_dim), source.weight) for stored, source in sets
    ]


def _check_widths(sets: Sequence[tuple[FeatureSet, SourceConfig]], sizes: MMAudioConfig) -> None:
    """Refuse features that the network does not take.

    Raises:
        ConfigError: names the folder and the key of `[model]`.
    """
    keys = {"latent": "latent_dim", "voiced_latent": "latent_dim", "sync": "sync_dim"}
    for stored, source in sets:
        for name, key in keys.items():
            wanted = getattr(sizes, key)
            found = stored.arrays[name].shape[-1] if name in stored.arrays else wanted
            if found != wanted:
                raise ConfigError(
                    f"{source.path} holds {name} of width {found}, and [model] has {key} = {wanted}",
                    hint="correct [model], or encode the features with the networks that it was made for",
                )


def _check_words(words: Words, sizes: MMAudioConfig) -> None:
    """Refuse a network that does not take the embedded text encoder's vectors, which stand for pictures too.

    Raises:
        ConfigError: names the key of `[model]`.
    """
    length, width = words.tokens.shape[1:]
    for key, found in (("text_len", length), ("text_dim", width), ("clip_dim", words.pooled.shape[1])):
        if getattr(sizes, key) != found:
            raise ConfigError(
                f"[model] has {key} = {getattr(sizes, key)}, and the text encoder gives {found}",
                hint="the embedded one reads captions here: text_len = 16, text_dim = clip_dim = 384",
            )


def _load(source: SourceConfig) -> FeatureSet:
    with opened(find_shards(Path(source.path))[0]) as shard:
        names = list(shard.keys())
    if "latent" not in names:
        raise ConfigError(f"{source.path} holds no latents", hint="encode the features with mfv2a extract (vae = ...)")
    return FeatureSet.load(Path(source.path), names)


def _texts(fact: dict[str, Any]) -> list[str]:
    texts = [*fact["captions"], readable(fact["label"])]
    if "voice" in fact:
        texts += [*fact["voice_captions"], readable(fact["voice"])]
    return texts


def _row(
    stored: FeatureSet,
    words: Words,
    sights: Sights,
    crop_s: float,
    sync_dim: int,
    rng: np.random.Generator,
    *,
    voiced_share: float = VOICED_SHARE,
) -> Arrays:
    blocks = round(crop_s * LATENTS_A_SECOND) // BLOCK_LATENTS
    length = blocks * BLOCK_LATENTS
    item = int(rng.integers(len(stored)))
    fact = stored.facts[item]
    offset = int(rng.integers(0, stored.arrays["latent"].shape[1] // BLOCK_LATENTS - blocks + 1))
    start = offset * BLOCK_LATENTS
    has_video = "sync" in stored.arrays
    voiced = "voice" in fact and rng.random() < voiced_share
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
    sync = stored.crop("sync", item, offset * 4, frames) if has_video else np.zeros((frames, sync_dim), np.float32)
    return {
        "latent": latent,
        "clip": clip.astype(np.float32),
        "sync": sync,
        "text": words.tokens[caption].astype(np.float32),
        "has_video": np.array(has_video),
        "has_text": np.array(True),
        "item": np.array(item),
    }
