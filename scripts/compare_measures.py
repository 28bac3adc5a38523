"""What the runs of `compare_objectives.py` make of held-out clips, told by numbers; a line of JSON a measurement.

The deciding figure is the unbiased kernel distance (MMD^2, RBF kernel, bandwidth the median distance of the set's true
sounds) between the tagger's mean embeddings of made and true sounds; the Frechet distance stands beside it, and
both against the true sounds through the codec, which is what a generator learns. Sampling and decoding are those of
the pipeline that `mfv2a dub` and `mfv2a tta` run, on latents that the shipped codec decodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from compare_heldout import EVERY, MEANS, HeldOut, base_pipeline, embed, held_out, probe_sounds, with_generator
from compare_objectives import add_record, read_records
from comparison import Plan, Run, all_runs
from numpy.typing import NDArray

from mfv2a.evaluation.metrics import frechet_distance, gaussian_kernel_distance, log_mel_distance, median_distance
from mfv2a.evaluation.onsets import detect_onsets, match_onsets, mean_onset_f1
from mfv2a.evaluation.tagger import fit_probe
from mfv2a.jobs.items import SAMPLE_RATE_HZ
from mfv2a.pipeline import Pipeline
from mfv2a.work import SampleOptions

STEPS = (1, 25, 4, 2)
WEIGHTS = (1.5, 2.0, 3.0, 4.5, 7.0)
HALVES = 200
Rows = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How a run is sampled.

    Attributes:
        clips: a held-out set; "scenes-video" are the scenes without their captions.
        steps: of the sampler; weight: of guidance.
        by: "none", "plain", "rescaled", "matched" at sampling, or "input" of the network.
    """

    clips: str
    steps: int
    weight: float = 1.0
    by: str = "none"


def settings_of(run: Run, only: str = "") -> Iterator[tuple[str, Setting]]:
    """What is measured of a run, what matters most first, with the part of the comparison it is for."""
    if run.objective == "warm-up":
        return
    wanted: list[tuple[str, Setting]] = []
    if run.objective == "guided":
        wanted = [
            ("guidance", Setting(clips="recordings", steps=1, weight=weight, by="input")) for weight in (1.0, *WEIGHTS)
        ]
    elif run.data == "joint":
        wanted = [("objectives", Setting(clips="recordings", steps=steps)) for steps in STEPS]
        wanted += [("objectives", Setting(clips="scenes", steps=steps)) for steps in STEPS]
        wanted += [("objectives", Setting(clips="labels", steps=steps)) for steps in STEPS[:2]]
    else:
        sets = ("recordings", "labels") if run.data == "text" else ("scenes", "scenes-video")
        wanted = [("joint", Setting(clips=clips, steps=1)) for clips in sets]
    if run.data == "joint" and run.objective == "alphaflow":
        wanted += [("joint", Setting(clips="scenes-video", steps=1))]
        wanted += [
            ("guidance", Setting(clips="recordings", steps=1, weight=weight, by=by))
            for weight in WEIGHTS
            for by in ("plain", "rescaled", "matched")
        ]
    if run.data == "joint" and run.objective == "flow-matching":
        wanted += [
            ("guidance", Setting(clips="recordings", steps=25, weight=weight, by="rescaled")) for weight in WEIGHTS[1:3]
        ]
    yield from (pair for pair in wanted if not only or pair[0] == only)


def measure_runs(plan: Plan, seeds: Sequence[int], records: Path, *, only: str = "") -> None:
    """Measure what is trained and not yet measured."""
    torch.set_num_threads(1)
    base = base_pipeline()
    found = read_records(records)
    trained = {record["run"] for record in found if record["kind"] == "run" and not record["diverged"]}
    done = {(record["run"], *record["setting"].values()) for record in found if record["kind"] == "measure"}
    wanted = [
        (place, run, part, setting)
        for run in all_runs(seeds)
        if run.name in trained
        for place, (part, setting) in enumerate(settings_of(run, only))
    ]
    for _, run, part, setting in sorted(wanted, key=lambda each: each[0]):  # all runs in one setting, then the next
        if (run.name, *asdict(setting).values()) in done:
            continue
        kind = "instantaneous" if run.objective == "flow-matching" else "average"
        pipeline = with_generator(base, Path(plan.runs) / run.name / "final.safetensors", kind)
        facts = {"kind": "measure", "part": part, **asdict(run), "run": run.name, "setting": asdict(setting)}
        add_record(records, {**facts, **measure(pipeline, setting, plan, base)})


def measure(pipeline: Pipeline, setting: Setting, plan: Plan, base: Pipeline) -> dict[str, Any]:
    """Numbers of one run in one setting."""
    name = setting.clips.removesuffix("-video")
    clips = held_out(name, plan, base).thinned(EVERY[name])
    works = clips.works
    if setting.clips.endswith("-video"):
        works = [base_work(work) for work in works]
    options = SampleOptions(
        steps=setting.steps,
        cfg_strength=setting.weight,
        rescale=setting.by == "rescaled",
        match_deviation=setting.by == "matched",
        batch_size=20,
    )
    latents = pipeline.sample(works, options)
    waves = [
        pipeline.decode(work, latent, sample_rate_hz=SAMPLE_RATE_HZ).samples
        for work, latent in zip(works, latents, strict=True)
    ]
    rows = embed(waves)
    folder = Path(plan.runs) / "embeddings"
    folder.mkdir(parents=True, exist_ok=True)
    words = (pipeline.info.name, setting.clips, setting.steps, setting.by, setting.weight)
    np.save(folder / ("_".join(map(str, words)) + ".npy"), rows.astype(np.float16))
    return figures(clips, EVERY[name], waves, rows, plan, base)


def base_work(work: Any) -> Any:
    """A work without its words."""
    from dataclasses import replace

    return replace(work, text=None)


def figures(
    clips: HeldOut, every: int, waves: Sequence[Rows], rows: Rows, plan: Plan, base: Pipeline
) -> dict[str, Any]:
    """Distances of sounds made of every so-manieth true one and, of scenes, onsets, classes and log-mel."""
    true, coded, made = clips.true[:, :MEANS], clips.coded[:, :MEANS], rows[:, :MEANS]
    width, own = median_distance(true), np.arange(len(made)) * every
    numbers: dict[str, Any] = {
        "clips": len(rows),
        "kernel": gaussian_kernel_distance(made, true, bandwidth=width, own=own),
        "frechet": frechet_distance(made, true),
        "kernel_coded": gaussian_kernel_distance(made, coded, bandwidth=width, own=own),
        "frechet_coded": frechet_distance(made, coded),
        "log_mel": float(np.mean([log_mel_distance(a, b, SAMPLE_RATE_HZ) for a, b in pairs(waves, clips.waves)])),
    }
    if any(clips.events_s):
        struck = [k for k, events in enumerate(clips.events_s) if events]
        found = [match_onsets(detect_onsets(waves[k], SAMPLE_RATE_HZ), clips.events_s[k]) for k in struck]
        probe = fit_probe(*probe_sounds(plan, base))
        numbers |= {"onset_f1": mean_onset_f1(found), "class_agreement": probe.accuracy(rows, clips.labels)}
    return {name: round(value, 5) if isinstance(value, float) else value for name, value in numbers.items()}


def pairs(ours: Sequence[Rows], theirs: Sequence[Rows]) -> Iterator[tuple[Rows, Rows]]:
    """Waves side by side."""
    return zip(ours, theirs, strict=True)


def measure_reference(plan: Plan, records: Path) -> None:
    """Floor and ceiling of each set: true sounds against each other by halves, and through the codec."""
    torch.set_num_threads(1)
    base = base_pipeline()
    done = {record["clips"] for record in read_records(records) if record["kind"] == "reference"}
    for name in ("recordings", "labels", "scenes"):
        if name in done:
            continue
        clips = held_out(name, plan, base).thinned(EVERY[name])
        true, coded = clips.true[:, :MEANS], clips.coded[:: EVERY[name], :MEANS]
        numbers: dict[str, Any] = {
            "count": len(true),
            "made": len(coded),
            "bandwidth": median_distance(true),
            **halves(true),
        }
        numbers |= {
            "codec_kernel": gaussian_kernel_distance(
                coded, true, bandwidth=median_distance(true), own=np.arange(0, len(true), EVERY[name])
            ),
            "codec_frechet": frechet_distance(coded, true),
        }
        if name == "scenes":
            for who, waves, rows in (("true", clips.waves, clips.true), ("codec", clips.coded_waves, clips.coded)):
                told = figures(clips, EVERY[name], waves, rows, plan, base)
                numbers |= {f"{who}_{key}": told[key] for key in ("onset_f1", "class_agreement", "log_mel")}
        add_record(records, {"kind": "reference", "clips": name, **numbers})


def halves(true: Rows) -> dict[str, float]:
    """Distances of random halves of the true sounds: what two sets of the same thing have, at half the number."""
    rng, width = np.random.default_rng(0), median_distance(true)
    kernel, frechet = [], []
    for k in range(HALVES):
        order = rng.permutation(len(true))
        first, second = true[order[: len(true) // 2]], true[order[len(true) // 2 :]]
        kernel.append(gaussian_kernel_distance(first, second, bandwidth=width))
        if k < 8:  # each takes two decompositions of 1024 x 1024
            frechet.append(frechet_distance(first, second))
    low, high = np.quantile(kernel, [0.025, 0.975])
    return {
        "half_kernel": float(np.mean(kernel)),
        "half_kernel_low": float(low),
        "half_kernel_high": float(high),
        "half_frechet": float(np.mean(frechet)),
    }
