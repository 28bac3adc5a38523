"""The held-out clips of `compare_objectives.py`: prompts and features made once, true sounds, what they are heard as.

    recordings    text alone: files of `embedded-sounds-heldout.tsv` of labels that others' recordings are learned from
    labels        text alone: every second file of labels of which nothing is learned
    scenes        drawn scenes from the held-out seeds on, video and caption

Each sound is arranged once, as for training; its prompt is one of the wordings of its label. A set is kept in the runs'
folder: encoders and tagger go over it once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from compare_objectives import WORDINGS
from comparison import ROOT, Plan
from numpy.typing import NDArray
from split_sounds import HELD_OUT, LABELS, RECORDINGS

from mfv2a.config import ExtractConfig, load_toml
from mfv2a.data.sounds import arrange
from mfv2a.evaluation.tagger import embed_sounds
from mfv2a.jobs.evaluate import see_scene, through_codec
from mfv2a.jobs.items import SAMPLE_RATE_HZ, load_sounds, named_files
from mfv2a.loader import load_pipeline
from mfv2a.models.weights import load_network
from mfv2a.models.yamnet import Tagger
from mfv2a.pipeline import Pipeline
from mfv2a.scenes import HELD_OUT_SEED, make_scene
from mfv2a.work import Work

TEXT_S, SCENE_S = 2.0, 4.0
SCENES, PROBE_SCENES, PROBE_OFFSET = 40, 200, 500_000
MEANS = 1024
"""Columns of the tagger's embedding that distances are taken of: means over time, without the deviations."""
EVERY = {"recordings": 2, "labels": 2, "scenes": 1}
"""Every which prompt of a set sound is made for; true sounds are compared with all."""
Wave = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """A set of held-out clips.

    Attributes:
        works: ready to sample; seeds of their noise are 0, 1, 2 ...
        waves: true sounds [S] at 16 kHz.
        labels: what they are.
        events_s: when something strikes, of scenes.
        true, coded: the tagger's embeddings of the true sounds, and of these through the codec [K, 2048].
        coded_waves: true sounds through the codec, of scenes.
    """

    works: list[Work]
    waves: list[Wave]
    labels: list[str]
    events_s: list[list[float]]
    true: NDArray[np.float32]
    coded: NDArray[np.float32]
    coded_waves: list[Wave]

    def thinned(self, every: int) -> HeldOut:
        """Every so-manieth prompt with its sound, label and events; the embeddings stay whole."""
        names = ("works", "waves", "labels", "events_s", "coded_waves")
        return replace(self, **{name: getattr(self, name)[::every] for name in names})


def base_pipeline() -> Pipeline:
    """The embedded model's pipeline: its encoders and decoders, and its numbers for the codec's latents."""
    return load_pipeline("embedded", device="cpu")


def with_generator(base: Pipeline, weights: Path, kind: str) -> Pipeline:
    """The same pipeline around another generator.

    Args:
        base: whose encoders and decoders are used.
        weights: `final.safetensors` of a run.
        kind: "average", or "instantaneous" for flow matching.
    """
    network: Any = load_network(weights, "generator")[0]
    guidance = "input" if network.config.guided else "none"
    info = replace(
        base.info, name=weights.parent.name, kind=kind, default_steps=1, default_cfg=1.0, digest="", guidance=guidance
    )
    return Pipeline(
        info=info, generator=network, vae=base.vae, vocoder=base.vocoder, encoders=base.encoders, spec=base.spec
    )


def held_out(name: str, plan: Plan, base: Pipeline) -> HeldOut:
    """A set by its name, made or read."""
    path = Path(plan.runs) / f"held-out-{name}.pt"
    if path.exists():
        found: HeldOut = torch.load(path, weights_only=False)
        return found
    made = _scenes(base) if name == "scenes" else _sounds(name, plan, base)
    pending = path.with_suffix(".pending")
    torch.save(made, pending)
    pending.replace(path)
    return made


def files_of(part: str) -> list[str]:
    """Files of a part of the held-out list."""
    rows = [line.split("\t") for line in HELD_OUT.read_text(encoding="utf-8").splitlines()]
    return [row[0] for row in rows if row[1] == part]


def _sounds(name: str, plan: Plan, base: Pipeline) -> HeldOut:
    exclude = load_toml(ROOT / "examples/runs/embedded-1-sounds.toml", ExtractConfig).source.exclude
    wanted = files_of(RECORDINGS) if name == "recordings" else files_of(LABELS)[::2]
    assert set(wanted) <= set(named_files(HELD_OUT))
    known = {sound.file: sound for sound in load_sounds(plan.sounds, "", exclude, str(HELD_OUT))}
    works, waves, labels = [], [], []
    for k, file in enumerate(wanted):
        rng = np.random.default_rng([k, 5])
        waves.append(arrange(known[file], round(TEXT_S * SAMPLE_RATE_HZ), SAMPLE_RATE_HZ, rng))
        labels.append(known[file].label)
        prompt = WORDINGS[int(rng.integers(len(WORDINGS)))].format(known[file].label)
        works.append(base.prepare(None, prompt=prompt, duration_s=TEXT_S, seed=k))
    coded = [through_codec(wave, base) for wave in waves]
    return _heard(works, waves, labels, [[] for _ in works], coded, keep=False)


def _scenes(base: Pipeline) -> HeldOut:
    scenes = [make_scene(HELD_OUT_SEED + k, duration_s=SCENE_S) for k in range(SCENES)]
    works = [
        base.prepare(see_scene(scene, base), prompt=scene.caption, duration_s=SCENE_S, seed=k)
        for k, scene in enumerate(scenes)
    ]
    waves = [scene.sound(SAMPLE_RATE_HZ)[: round(SCENE_S * SAMPLE_RATE_HZ)] for scene in scenes]
    events = [[event.time_s for event in scene.events] for scene in scenes]
    coded = [through_codec(wave, base) for wave in waves]
    return _heard(works, waves, [scene.label for scene in scenes], events, coded, keep=True)


def _heard(
    works: list[Work],
    waves: list[Wave],
    labels: list[str],
    events_s: list[list[float]],
    coded: list[Wave],
    *,
    keep: bool,
) -> HeldOut:
    true, through = embed(waves), embed(coded)
    kept = coded if keep else []
    return HeldOut(
        works=works, waves=waves, labels=labels, events_s=events_s, true=true, coded=through, coded_waves=kept
    )


def embed(waves: Sequence[Wave]) -> NDArray[np.float32]:
    """The tagger's embeddings [K, 2048] of 16 kHz waves."""
    return embed_sounds(waves, Tagger.from_assets(), sample_rate_hz=SAMPLE_RATE_HZ)


def probe_sounds(plan: Plan, base: Pipeline) -> tuple[NDArray[np.float32], list[str]]:
    """Embeddings and labels of other scenes' sounds, true and through the codec, that a class probe is fitted on."""
    path = Path(plan.runs) / "probe.pt"
    if not path.exists():
        scenes = [make_scene(HELD_OUT_SEED + PROBE_OFFSET + k, duration_s=SCENE_S) for k in range(PROBE_SCENES)]
        waves = [scene.sound(SAMPLE_RATE_HZ) for scene in scenes]
        rows = embed([*waves, *(through_codec(wave, base) for wave in waves)])
        torch.save((rows, [scene.label for scene in scenes] * 2), path)
    found: tuple[NDArray[np.float32], list[str]] = torch.load(path, weights_only=False)
    return found
