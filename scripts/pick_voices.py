"""Recordings that stand for a scene's label by words alone: those that are still heard as it after the codec.

    python scripts/pick_voices.py data/sounds-encoded --out data/sounds-voices

Drawn sounds and recordings bear the same words, and by words alone a generator that learned from both makes what lies
between. `voices.toml` says which recordings mean what a scene's label says, and as what they must be heard.
Their stored latents go through the embedded codec and vocoder; those that the tagger then hears as their label are
written as features under their own captions and the scene's, as many rows for each label (`share` times as many).
Prints, of each label, how many were looked at, heard, and taken.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tomllib
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mfv2a.config import SourceConfig
from mfv2a.data.manifest import STATISTICS, Item, read_shards, write_shard
from mfv2a.errors import ConfigError, Mfv2aError
from mfv2a.jobs.joining import feature_digests
from mfv2a.jobs.seed import whole_digest
from mfv2a.loader import load_pipeline
from mfv2a.models.stored import asset_path
from mfv2a.models.yamnet import Tagger
from mfv2a.packages import read_header
from mfv2a.pipeline import Pipeline
from mfv2a.scenes.captions import CAPTIONS

VOICES = Path(__file__).with_name("voices.toml")
EACH, LEAST, TAGS = 24, 3, 5
SHARD_ITEMS = 256


def is_heard(latent: Tensor, wanted: dict[str, Any], pipeline: Pipeline, tagger: Tagger) -> bool:
    """Whether latents [N, C] of the codec, decoded, are heard as what is wanted."""
    mean, std = pipeline.statistics
    with torch.inference_mode():
        wave = pipeline.vocode(pipeline.decode_latent((latent - mean) / std)).numpy()
    tags = tagger.tag(wave, sample_rate_hz=pipeline.info.sample_rate_hz, top=wanted.get("tags", TAGS))
    least = wanted.get("score", 0.0)
    return any(score >= least and re.search(wanted["heard"], name.lower()) for name, score in tags)


def check_codec(folder: Path) -> None:
    """Refuse latents of another codec than the embedded one, which decodes and encodes here.

    Raises:
        ConfigError: they are.
    """
    made = feature_digests([SourceConfig(type="features", path=str(folder))]).get("vae", [])
    learned = read_header(asset_path("embedded", "generator.safetensors")).facts.get("latents_of", [])
    if not set(made) <= {*learned, whole_digest(asset_path("embedded", "vae.safetensors"))}:
        raise ConfigError(
            f"{folder} was encoded by another codec than the embedded one",
            hint="ship yours first, for this checkout: docs/TRAINING.md, before pick_voices.py",
        )


def pick(folder: Path, out: Path) -> None:
    """Listen to the recordings, write those that are heard as their label."""
    table = tomllib.loads(VOICES.read_text(encoding="utf-8"))
    meant = {name: label for label, wanted in table.items() for name in wanted["recordings"]}
    if not (folder / STATISTICS).is_file():
        raise ConfigError(f"no {STATISTICS} in {folder}", hint="encode the recordings with mfv2a extract")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):  # what an earlier run picked would be read with it
        raise ConfigError(f"{out} is there already and not empty", hint="choose another folder")
    check_codec(folder)
    latents, facts = read_shards(folder, ["latent"])
    pipeline, tagger = load_pipeline("embedded", device="cpu"), Tagger.from_assets()
    torch.set_num_threads(1)
    looked_at, heard = Counter[str](), defaultdict[str, list[int]](list)
    for row, fact in enumerate(facts):
        if (label := meant.get(fact["label"])) is None:
            continue
        looked_at[label] += 1
        if is_heard(torch.from_numpy(latents["latent"][row]).float(), table[label], pipeline, tagger):
            heard[label].append(row)
    items: list[Item] = []
    for label, count in looked_at.items():
        rows = heard[label] if len(heard[label]) >= LEAST else []
        sys.stdout.write(f"{label}  {count} looked at  {len(heard[label])} heard  {len(set(rows))} taken\n")
        for number in range(EACH * table[label].get("share", 1) if rows else 0):
            row = rows[number % len(rows)]
            captions = [*facts[row]["captions"], *CAPTIONS[label].training]
            items.append(({"latent": latents["latent"][row]}, {**facts[row], "captions": captions, "means": label}))
    if not items:
        raise ConfigError(
            f"of no label, {LEAST} of the recordings in {folder} that {VOICES.name} names are heard as it",
            hint="look at what it names, and as what they must be heard",
        )
    for start in range(0, len(items), SHARD_ITEMS):
        write_shard(out, start // SHARD_ITEMS, items[start : start + SHARD_ITEMS])
    shutil.copy(folder / STATISTICS, out / STATISTICS)


def main() -> None:
    """Read the words."""
    parser = argparse.ArgumentParser(description="Pick the recordings that stand for scenes' labels by words alone.")
    parser.add_argument("sounds", type=Path, help="recordings, encoded")
    parser.add_argument("--out", type=Path, required=True, help="a new folder")
    words = parser.parse_args()
    try:
        pick(words.sounds, words.out)
    except Mfv2aError as error:
        raise SystemExit(f"{error} - {error.hint}" if error.hint else str(error)) from None


if __name__ == "__main__":
    main()
