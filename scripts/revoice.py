r"""Give scenes the sound of something else: what moves says when it is heard, words say what.

    python scripts/revoice.py data/scenes-encoded --sounds sfx \
        --except-files examples/runs/embedded-sounds-heldout.tsv --out data/scenes-revoiced

Filmed motion is no drawn motion, and a recogniser says what it belongs to. A generator that only ever saw a kind's own
motion takes from it what should be heard, and not from words. So each scene of a folder made by `mfv2a extract` gets a
voice that its picture knows nothing of: at its events one hit of another kind, drawn or recorded, or under all of it
a drawn or recorded sound that goes on. It bears the name that a recogniser gives (`sights.toml`), a drawn scene's
label, or a recording's. The features are those of the folder with other `voiced_latent`, `voice` and
`voice_captions`, as `mfv2a extract` writes them. `pick_heard.py` leaves those that are heard as their name.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import shutil
import sys
import tomllib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pick_voices import check_codec

from mfv2a.data.manifest import SETTINGS, STATISTICS, Item, check_complete, read_facts, write_index, write_shard
from mfv2a.data.mapped import find_shards, opened
from mfv2a.data.sounds import SHORT_S, Sound, arrange, normalize_peak, voice_events
from mfv2a.errors import ConfigError, Mfv2aError
from mfv2a.jobs.items import SAMPLE_RATE_HZ, draw_sound, load_sounds, mel_of
from mfv2a.models.stored import asset_path
from mfv2a.models.vae import VAE
from mfv2a.models.weights import load_network
from mfv2a.scenes import CAPTIONS, make_scene
from mfv2a.scenes.scene import STEADY

SIGHTS = Path(__file__).with_name("sights.toml")
FIRST_SEED, SEEDS, EACH = 500_000, 4_000, 24
"""Seeds of the scenes whose sounds are taken, and how many of each label."""
STRUCK, NAMED_BY_SIGHT, NAMED_BY_SCENE = 0.65, 0.6, 0.25
LEAD_S, SHORTEST_S, TEXTS = 0.01, 0.12, 6
STARTS_S, RINGS = (
    0.4,
    0.1,
)  # of a long sound that is struck: its loudest moment, power of its second half to the first's
CAPTIONED = 24  # captions of an item, beside the first two
SAMPLES = 8 * SAMPLE_RATE_HZ
Wave = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Voices:
    """What a name may sound like.

    Attributes:
        name: a recogniser's, a scene's label or a recording's.
        captions: how else it is asked for.
        sounds: short ones, to be struck, and others, which go on.
        drawn: whether they are those of drawn scenes, whose level is their own.
    """

    name: str
    captions: tuple[str, ...]
    sounds: tuple[Sound, ...]
    drawn: bool

    def of(self, struck: bool) -> tuple[Sound, ...]:
        """Its sounds of one sort; what rings for long is of both."""
        return tuple(sound for sound in self.sounds if (is_struck(sound) if struck else not is_short(sound)))


def is_short(sound: Sound) -> bool:
    """Whether a sound is too short to go on."""
    return len(sound.wave) < SHORT_S * SAMPLE_RATE_HZ


def is_struck(sound: Sound) -> bool:
    """Whether a sound may stand for one hit: a short one, or one that starts at once and dies away."""
    if is_short(sound):
        return True
    half = len(sound.wave) // 2
    first, rest = (float(np.square(part).mean()) for part in (sound.wave[:half], sound.wave[half:]))
    return int(np.abs(sound.wave).argmax()) < STARTS_S * SAMPLE_RATE_HZ and rest < RINGS * first


def drawn_sounds() -> dict[str, list[Sound]]:
    """Of each label of scenes some sounds: one hit of a scene with events, or the whole of a steady one."""
    found: dict[str, list[Sound]] = {label: [] for label in CAPTIONS}
    for seed in range(FIRST_SEED, FIRST_SEED + SEEDS):
        scene = make_scene(seed)
        kept = found[scene.label]
        if len(kept) >= EACH:
            continue
        wave = scene.sound(SAMPLE_RATE_HZ)
        if scene.label in STEADY:
            kept.append(Sound(wave, scene.label))
        elif scene.events:
            times = np.array([event.time_s for event in scene.events] + [scene.duration_s])
            loud = np.array([event.strength for event in scene.events])
            lasts = np.minimum(np.diff(times), SHORT_S - 0.1) * (0.3 + loud)
            which = int(lasts.argmax())
            if times[which + 1] - times[which] >= SHORTEST_S:
                start = max(0, round((times[which] - LEAD_S) * SAMPLE_RATE_HZ))
                stop = round(min(times[which + 1] - LEAD_S, times[which] + SHORT_S - 0.1) * SAMPLE_RATE_HZ)
                kept.append(Sound(wave[start:stop], scene.label))
    return found


def gather(folder: Path, except_files: str, exclude: str) -> list[list[Voices]]:
    """Voices by a recogniser's names, by scenes' labels, and by recordings' labels."""
    drawn = drawn_sounds()
    recorded: dict[str, list[Sound]] = {}
    for sound in load_sounds(str(folder), "", exclude, "", except_files):
        recorded.setdefault(sound.label, []).append(sound)
    texts: dict[str, list[str]] = {}
    with asset_path("image", "classes.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            texts.setdefault(row["sound"], []).append(row["text"])
    sights, scenes, others = [], [], []
    for name, made_of in tomllib.loads(SIGHTS.read_text(encoding="utf-8")).items():
        for kind in made_of.get("scenes", ()):
            captions = (name, name, *texts[name][:TEXTS], *CAPTIONS[kind].training)
            sights.append(Voices(name, captions, tuple(drawn[kind]), True))
        sounds = [sound for label in made_of.get("recordings", ()) for sound in recorded.get(label, ())]
        if sounds:
            captions = (name, name, *texts[name][:TEXTS], *(text for sound in sounds for text in sound.captions()))
            sights.append(Voices(name, tuple(dict.fromkeys(captions)), tuple(sounds), False))
    for label, hits in drawn.items():
        scenes.append(Voices(label, CAPTIONS[label].training, tuple(hits), True))
    for label, sounds in recorded.items():
        others.append(Voices(label, sounds[0].captions(), tuple(sounds), False))
    return [sights, scenes, others]


def draw_voices(groups: Sequence[Sequence[Voices]], struck: bool, rng: np.random.Generator) -> Voices:
    """Some that have sounds of the sort; a recogniser's names are drawn alike, whatever they are made of.

    Raises:
        ConfigError: none has.
    """
    chance = rng.random()
    which = 0 if chance < NAMED_BY_SIGHT else 1 if chance < NAMED_BY_SIGHT + NAMED_BY_SCENE else 2
    for group in (groups[which], *groups):
        fit = [voices for voices in group if voices.of(struck)]
        if fit:
            names = sorted({voices.name for voices in fit})
            name = names[int(rng.integers(len(names)))]
            same = [voices for voices in fit if voices.name == name]
            return same[int(rng.integers(len(same)))]
    raise ConfigError(f"no sound that {'is struck' if struck else 'goes on'} to draw from")


def revoice(groups: Sequence[Sequence[Voices]], fact: dict[str, Any], seed: int) -> tuple[Wave, dict[str, Any]]:
    """What is heard now of a scene [S], and its facts with the voice's name."""
    rng = np.random.default_rng([seed, fact["seed"], 5])
    struck = bool(fact["events"]) and rng.random() < STRUCK
    voices = draw_voices(groups, struck, rng)
    sounds = voices.of(struck)
    sound = sounds[int(rng.integers(len(sounds)))] if voices.drawn else draw_sound(sounds, rng)
    if struck:
        times, strengths = zip(*fact["events"], strict=True)
        wave = voice_events(sound, times, strengths, SAMPLES, SAMPLE_RATE_HZ, rng)
        wave = normalize_peak(wave, float(np.abs(sound.wave).max())) if voices.drawn else wave
    else:
        wave = sound.wave[:SAMPLES] if voices.drawn else arrange(sound, SAMPLES, SAMPLE_RATE_HZ, rng)
    first, rest = list(voices.captions[:2]), list(voices.captions[2:])
    told = first + [str(text) for text in rng.permutation(rest)[:CAPTIONED]]
    return wave, {**fact, "voice": voices.name, "voice_captions": told}


@cache
def codec() -> VAE:
    """The embedded codec."""
    torch.set_num_threads(1)
    network, _ = load_network(asset_path("embedded", "vae.safetensors"), "vae")
    assert isinstance(network, VAE)
    return network.eval()


@torch.inference_mode()
def revoice_shard(folder: Path, out: Path, groups: Sequence[Sequence[Voices]], seed: int, index: int) -> int:
    """One shard of a folder, with other voices."""
    path = find_shards(folder)[index]
    with opened(path) as shard:
        stored = {name: shard.get_tensor(name) for name in ("latent", "sync")}
    items: list[Item] = []
    for row, fact in enumerate(read_facts(path)):
        wave, told = revoice(groups, fact, seed)
        mel = torch.from_numpy(mel_of(wave))
        latent = codec().encode(mel[None])[0][0]
        arrays = {name: stored[name][row] for name in stored} | {"voiced_latent": latent.numpy()}
        items.append((arrays, told))
    write_shard(out, index, items)
    return len(items)


def main() -> None:
    """Read the words."""
    parser = argparse.ArgumentParser(description="Give scenes the sound of something else.")
    parser.add_argument("folder", type=Path, help="scenes, encoded")
    parser.add_argument("--sounds", type=Path, required=True, help="labelled recordings, with index.tsv")
    parser.add_argument("--except-files", default="", help="table of recordings that are not used")
    parser.add_argument("--exclude", default="", help="labels that are not used, a pattern")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    words = parser.parse_args()
    try:
        check_complete(words.folder)
        check_codec(words.folder)
        groups = gather(words.sounds, words.except_files, words.exclude)
        words.out.mkdir(parents=True, exist_ok=True)
        shards = range(len(find_shards(words.folder)))
        work = partial(revoice_shard, words.folder, words.out, groups, words.seed)
        spawned = multiprocessing.get_context("spawn")  # a fork of a process whose torch has threads may hang
        with ProcessPoolExecutor(words.workers, spawned) as pool:
            sys.stdout.write(f"items {sum(pool.map(work, shards))}\n")
        for name in (STATISTICS, SETTINGS):
            if (words.folder / name).is_file():
                shutil.copyfile(words.folder / name, words.out / name)
        write_index(words.out, {"type": "features"})
    except Mfv2aError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
