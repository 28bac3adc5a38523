"""Training sources: what a row of a batch is, for each task and type of source."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfv2a.config import RunConfig, SourceConfig
from mfv2a.data.dataset import Arrays, FeatureSet, Source
from mfv2a.data.targets import band_energies, onset_curve
from mfv2a.errors import ConfigError
from mfv2a.jobs.items import SAMPLE_RATE_HZ, load_sounds, mel_of, scene_item, scene_wave, sound_wave
from mfv2a.media.motion import mirror_motion

MEL_FPS, SYNC_FPS = 62.5, 25
MAX_STRETCH = 0.25  # of log speed


def build_sources(config: RunConfig) -> list[Source]:
    """The sources of a run of the codec, sync encoder or vocoder (the generator has its own room).

    Raises:
        ConfigError: a source that cannot feed the task.
    """
    makers = {"vae": _mel_draw, "sync": _sync_draw, "vocoder": _wave_draw}
    return [Source(makers[config.task](config, source), source.weight) for source in config.sources]


def _whole_latents(config: RunConfig) -> RunConfig:
    """The run with crops of a whole number of latents: each stands for two frames of the mel."""
    return replace(config, crop_s=2 * max(1, round(config.crop_s * MEL_FPS / 2)) / MEL_FPS)


def _mel_draw(config: RunConfig, source: SourceConfig) -> Any:
    config = _whole_latents(config)
    if source.type == "features":
        arrays = ["mel", "voiced_mel"] if source.voices else ["mel"]
        stored = FeatureSet.load(Path(source.path), arrays)
        check_crop(config, source, round(config.crop_s * MEL_FPS) <= stored.arrays["mel"].shape[-1])
        return partial(_stored_mel, stored, arrays, config.crop_s)
    return partial(_made_mel, config.crop_s, source)


def check_crop(config: RunConfig, source: SourceConfig, fits: bool) -> None:
    """Refuse rows that are longer than the items they are cut from.

    Raises:
        ConfigError: they do not fit.
    """
    if not fits:
        raise ConfigError(
            f"crop_s = {config.crop_s:g} is longer than the items in {source.path}", hint="make it smaller"
        )


def _stored_mel(stored: FeatureSet, names: list[str], crop_s: float, rng: np.random.Generator) -> Arrays:
    length = round(crop_s * MEL_FPS)
    item = int(rng.integers(len(stored)))
    mel = stored.arrays[names[int(rng.integers(len(names)))]][item].astype(np.float32)
    start = int(rng.integers(0, mel.shape[1] - length + 1))
    return {"mel": mel[:, start : start + length]}


def _made_mel(crop_s: float, source: SourceConfig, rng: np.random.Generator) -> Arrays:
    return {"mel": mel_of(_made_wave(crop_s, source, rng)["wave"])}


def _wave_draw(config: RunConfig, source: SourceConfig) -> Any:
    if source.type == "features":
        raise ConfigError("a vocoder learns from waves: sources of type scenes or sounds")
    if "vae" in config.components:
        config = _whole_latents(config)
    return partial(_made_wave, config.crop_s, source)


def _made_wave(crop_s: float, source: SourceConfig, rng: np.random.Generator) -> dict[str, NDArray[np.float32]]:
    if source.type == "scenes":
        span = source.count or 1_000_000
        wave = scene_wave(source.first_seed + int(rng.integers(span)), max(crop_s, 4.0))
    else:
        files = (source.exclude, source.only_files, source.except_files)
        wave, _ = sound_wave(load_sounds(source.path, source.label, *files), max(crop_s, 4.0), rng)
    length = round(crop_s * SAMPLE_RATE_HZ)
    start = int(rng.integers(0, len(wave) - length + 1))
    return {"wave": wave[start : start + length]}


def _sync_draw(config: RunConfig, source: SourceConfig) -> Any:
    from mfv2a.scenes import LABELS

    if source.type == "sounds":
        raise ConfigError("the sync encoder learns from scenes: sources of type scenes or features")
    number = {label: i for i, label in enumerate(LABELS)}
    if source.type == "features":
        stored = FeatureSet.load(Path(source.path), ["motion", "mel"])
        check_crop(config, source, round(config.crop_s * SYNC_FPS) <= stored.arrays["motion"].shape[1])
        return partial(_stored_sync, stored, number, config.crop_s)
    return partial(_made_sync, source, number, config.crop_s)


def _stored_sync(stored: FeatureSet, number: dict[str, int], crop_s: float, rng: np.random.Generator) -> Arrays:
    item = int(rng.integers(len(stored)))
    motion, mel = (stored.arrays[name][item].astype(np.float32) for name in ("motion", "mel"))
    return _sync_row(motion, mel, stored.facts[item], number, crop_s, rng)


def _made_sync(source: SourceConfig, number: dict[str, int], crop_s: float, rng: np.random.Generator) -> Arrays:
    seed = source.first_seed + int(rng.integers(source.count or 1_000_000))
    arrays, facts = scene_item(seed, max(crop_s, 4.0))
    return _sync_row(arrays["motion"], arrays["mel"], facts, number, crop_s, rng)


def _sync_row(
    motion: NDArray[np.float32],
    mel: NDArray[np.float32],
    facts: dict[str, Any],
    number: dict[str, int],
    crop_s: float,
    rng: np.random.Generator,
) -> Arrays:
    length = round(crop_s * SYNC_FPS)
    # A faster or slower world: `taken` of its frames become `length`.
    taken = min(len(motion), round(length * float(np.exp(rng.uniform(-MAX_STRETCH, MAX_STRETCH)))))
    start = int(rng.integers(0, len(motion) - taken + 1))
    position = start + (np.arange(length) + 0.5) * taken / length - 0.5
    times_s = [(time_s - start / SYNC_FPS) * length / taken for time_s, _ in facts["events"]]
    bands = band_energies(mel, len(motion))
    motion = _rows_at(motion, position) * np.float32(np.sqrt(taken / length))  # flow is stored as its square root
    return {
        "motion": mirror_motion(motion) if rng.random() < 0.5 else motion,
        "onset": onset_curve(times_s, length),
        "bands": _rows_at(bands, position),
        "label": np.array(number[facts["label"]], np.int64),
    }


def _rows_at(rows: NDArray[np.float32], position: NDArray[np.float64]) -> NDArray[np.float32]:
    """Rows [Y, F] read at fractional positions [K], linearly between neighbours."""
    position = np.clip(position, 0, len(rows) - 1)
    low = np.minimum(position.astype(np.int64), max(0, len(rows) - 2))
    share = (position - low).astype(np.float32)[:, None]
    read: NDArray[np.float32] = rows[low] * (1 - share) + rows[np.minimum(low + 1, len(rows) - 1)] * share
    return read
