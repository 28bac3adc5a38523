"""Raw training items: a scene or an arrangement of a labelled sound, as waveform, mel and motion.

The one place where scenes, media and the mel front end meet to make data. Items are made by worker processes.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfv2a.data.sounds import SHORT_S, Sound, arrange, trim_silence, voice_events
from mfv2a.errors import ConfigError, MediaError

log = logging.getLogger(__name__)
SAMPLE_RATE_HZ = 16000
Wave = NDArray[np.float32]
ItemArrays = dict[str, NDArray[Any]]


def mel_of(wave: Wave) -> NDArray[np.float32]:
    """Log10-mel [M, F] of a wave [S], by the 16k front end."""
    import torch

    mel: NDArray[np.float32] = _front_end()(torch.from_numpy(wave)[None])[0].numpy()
    return mel


@lru_cache(maxsize=1)
def _front_end() -> Any:
    from mfv2a.models.mel import MelSpectrogram

    return MelSpectrogram()


def load_sounds(
    folder: str, label: str = "", exclude: str = "", only_files: str = "", except_files: str = ""
) -> tuple[Sound, ...]:
    """Labelled sounds of a folder; see `read_sounds`."""
    return read_sounds(folder, label, exclude, only_files, except_files)[0]


@lru_cache(maxsize=4)
def read_sounds(
    folder: str, label: str = "", exclude: str = "", only_files: str = "", except_files: str = ""
) -> tuple[tuple[Sound, ...], tuple[MediaError, ...]]:
    """Labelled sounds of a folder with an `index.tsv` (file, seconds, label, title, set, licence), at 16 kHz.

    Sound files lie in the folder or in its `audio`; what cannot be read is left out. Silence at both ends is cut.

    Args:
        folder: of the index.
        label: only labels that match this regular expression.
        exclude: no labels that match this one.
        only_files: only files that this table names.
        except_files: no files that this one names.

    Returns:
        the sounds, and what went wrong with those that are left out.

    Raises:
        ConfigError: no index or table there, one that cannot be read, or no sound matches or can be read.
    """
    from mfv2a.media.audio import read_audio

    root = Path(folder)
    only, without = (frozenset(named_files(Path(table))) if table else None for table in (only_files, except_files))
    sounds = []
    unread: list[MediaError] = []
    for row in _read_index(root / "index.tsv"):
        if (only is not None and row["file"] not in only) or (without is not None and row["file"] in without):
            continue
        if re.search(label, row["label"]) and not (exclude and re.search(exclude, row["label"])):
            try:
                wave = read_audio(sound_path(root, row["file"]), SAMPLE_RATE_HZ).samples
            except MediaError as error:
                unread.append(error)
                continue
            sounds.append(Sound(trim_silence(wave, SAMPLE_RATE_HZ), row["label"], row.get("title", ""), row["file"]))
    if not sounds and unread:
        raise ConfigError(
            f"none of the {len(unread)} sounds asked of {folder} can be read: {unread[0].path}: {unread[0]}",
            hint="they lie beside index.tsv, or in audio there",
        )
    if not sounds:
        raise ConfigError(f"no sound of {folder} matches")
    if unread:
        total, first = len(sounds) + len(unread), unread[0]
        log.warning("%d of %d sounds of %s cannot be read, first %s: %s", len(unread), total, root, first.path, first)
    return tuple(sounds), tuple(unread)


def sound_path(folder: Path, file: str) -> Path:
    """Where a sound of a folder lies that its index names: beside the index, or in `audio` there."""
    return folder / file if (folder / file).exists() else folder / "audio" / file


def _read_index(index: Path) -> list[dict[str, str]]:
    """The rows of an index of sounds, each with its file and label.

    Raises:
        ConfigError: it is missing, no text, or has not these columns.
    """
    hint = "a tab-separated table of file, seconds, label, title, set, licence, with a first line of names"
    if not index.is_file():
        raise ConfigError(f"no index.tsv in {index.parent}", hint=hint)
    return _read_table(index, {"file", "label"}, hint)


def named_files(table: Path) -> list[str]:
    """The column `file` of a tab-separated table.

    Raises:
        ConfigError: no such table, or none with that column.
    """
    return [row["file"] for row in _read_table(table, {"file"}, "a tab-separated table with a first line of names")]


def _read_table(path: Path, columns: set[str], hint: str) -> list[dict[str, str]]:
    """The rows of a tab-separated table that have these columns, `file` among them, and name a file.

    Raises:
        ConfigError: it cannot be read, or has not these columns.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")  # not splitlines: a label may hold U+0085
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}", hint=hint) from error
    names = lines[0].split("\t")
    if missing := columns - set(names):
        raise ConfigError(f"{path} has no column {', '.join(sorted(missing))}", hint=hint)
    rows = [dict(zip(names, line.split("\t"), strict=False)) for line in lines[1:]]
    return [row for row in rows if columns <= row.keys() and row["file"].strip()]


@lru_cache(maxsize=4)
def short_sounds(folder: str, exclude: str = "", only_files: str = "", except_files: str = "") -> tuple[Sound, ...]:
    """Sounds of a folder short enough to be laid on events, by label so that each label is drawn alike.

    Raises:
        ConfigError: see `load_sounds`, or none is short enough.
    """
    limit = SHORT_S * SAMPLE_RATE_HZ
    sounds = load_sounds(folder, "", exclude, only_files, except_files)
    short = tuple(s for s in sounds if 0.02 * SAMPLE_RATE_HZ < len(s.wave) < limit)
    if not short:
        raise ConfigError(
            f"voices = {folder}: no sound of it is short enough to be laid on events",
            hint=f"sounds between 0.02 and {SHORT_S:g} s without the silence at both ends",
        )
    return short


def draw_sound(sounds: Sequence[Sound], rng: np.random.Generator) -> Sound:
    """Pick a label, then a sound of it: frequent labels do not crowd out rare ones (square root of their share)."""
    weights, groups = _label_groups(tuple(sounds))
    group = groups[int(rng.choice(len(groups), p=weights))]
    return sounds[group[int(rng.integers(len(group)))]]


@lru_cache(maxsize=8)
def _label_groups(sounds: tuple[Sound, ...]) -> tuple[NDArray[np.float64], list[list[int]]]:
    groups: dict[str, list[int]] = {}
    for index, sound in enumerate(sounds):
        groups.setdefault(sound.label, []).append(index)
    weights = np.array([len(group) for group in groups.values()], np.float64) ** 0.5
    return weights / weights.sum(), list(groups.values())


def scene_wave(seed: int, duration_s: float) -> Wave:
    """Sound of a scene: [S]."""
    from mfv2a.scenes import make_scene

    return _fit(make_scene(seed, duration_s=duration_s).sound(SAMPLE_RATE_HZ), duration_s)


def sound_wave(sounds: Sequence[Sound], duration_s: float, rng: np.random.Generator) -> tuple[Wave, Sound]:
    """An arrangement of a drawn sound: [S], and what it is."""
    sound = draw_sound(sounds, rng)
    return arrange(sound, round(duration_s * SAMPLE_RATE_HZ), SAMPLE_RATE_HZ, rng), sound


def scene_item(
    seed: int,
    duration_s: float,
    voices: str = "",
    exclude: str = "",
    only_files: str = "",
    except_files: str = "",
) -> tuple[ItemArrays, dict[str, Any]]:
    """Motion and mel of a scene, and what happens in it.

    Args:
        seed: of the scene.
        duration_s: length.
        voices: folder of labelled sounds; events then also get a real voice, as a second mel `voiced_mel`
            (the scene's own where nothing strikes).
        exclude: labels not used as voices.
        only_files: table of the only files used as voices.
        except_files: table of files not used as voices.
    """
    from mfv2a.media.motion import MOTION_FPS, MOTION_SIZE_PX, motion_features
    from mfv2a.scenes import CAPTIONS, make_scene

    scene = make_scene(seed, duration_s=duration_s)
    frames = scene.render(MOTION_FPS, MOTION_SIZE_PX, MOTION_SIZE_PX, gray=True)
    mel = mel_of(_fit(scene.sound(SAMPLE_RATE_HZ), duration_s))
    facts: dict[str, Any] = {
        "seed": seed,
        "family": scene.family,
        "label": scene.label,
        "captions": list(dict.fromkeys([scene.caption, *CAPTIONS[scene.label].training])),
        "events": [[round(e.time_s, 4), round(e.strength, 3)] for e in scene.events],
    }
    arrays: ItemArrays = {"motion": motion_features(frames), "mel": mel}
    if voices:
        arrays["voiced_mel"] = mel
        if scene.events:
            rng = np.random.default_rng([seed, 1])
            sound = draw_sound(short_sounds(voices, exclude, only_files, except_files), rng)
            times, strengths = zip(*facts["events"], strict=True)
            samples = round(duration_s * SAMPLE_RATE_HZ)
            arrays["voiced_mel"] = mel_of(voice_events(sound, times, strengths, samples, SAMPLE_RATE_HZ, rng))
            facts |= {"voice": sound.label, "voice_captions": list(sound.captions())}
    return arrays, facts


def sound_item(
    folder: str,
    seed: int,
    duration_s: float,
    label: str = "",
    exclude: str = "",
    only_files: str = "",
    except_files: str = "",
) -> tuple[ItemArrays, dict[str, Any]]:
    """Mel of an arrangement of labelled sounds, and how to ask for it; see `load_sounds`."""
    rng = np.random.default_rng([seed, 2])
    wave, sound = sound_wave(load_sounds(folder, label, exclude, only_files, except_files), duration_s, rng)
    facts = {"seed": seed, "file": sound.file, "label": sound.label, "captions": list(sound.captions())}
    return {"mel": mel_of(wave)}, facts


def _fit(wave: Wave, duration_s: float) -> Wave:
    samples = round(duration_s * SAMPLE_RATE_HZ)
    out = np.zeros(samples, np.float32)
    out[: len(wave)] = wave[:samples]
    return out
