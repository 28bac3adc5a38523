"""What several candidates buy, and what the gate against speech and music refuses.

    python scripts/measure_candidates.py                      held-out scenes: N = 1, 4 and 8
    python scripts/measure_candidates.py --gate prompts.txt   prompts, one a line: what is heard before and after

Candidates are ranked by the tagger and by what the sync encoder sees. They are judged by what neither knows: the true
times of the scenes' events, the distance to the scenes' true sounds, and a class probe on cepstral statistics (that of
`mfv2a evaluate` hears by the tagger, too, and is no judge here). Intervals are 95 %, by bootstrap over scenes. The gate
is counted by the tagger that it listens with. Parts of the scenes may be measured at the same time (`--first`,
`--rows`) and put together (`--join`).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from fit_probe import keep, npz_path

from mfv2a.evaluation.metrics import log_mel_distance
from mfv2a.evaluation.onsets import detect_onsets, match_onsets
from mfv2a.evaluation.tagger import ClassProbe, fit_probe
from mfv2a.evaluation.timbre import timbres
from mfv2a.jobs.choice import ChoiceOptions
from mfv2a.jobs.evaluate import PROBE_OFFSET, see_scene, through_codec
from mfv2a.jobs.jury import Jury
from mfv2a.jobs.seed import candidate_seed
from mfv2a.jobs.tta import TtaOptions, make_sounds, plan_takes
from mfv2a.loader import load_pipeline
from mfv2a.pipeline import Pipeline, SampleOptions
from mfv2a.records import Audio
from mfv2a.scenes import HELD_OUT_SEED, Scene, make_scene

NUMBERS = (1, 4, 8)
ROUNDS = 10_000
Row = dict[str, Any]


def main() -> None:
    """Measure what was asked for and print it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scenes", type=int, default=100, help="held-out scenes")
    parser.add_argument("--first", type=int, default=0, help="added to the held-out seeds")
    parser.add_argument("--probe-scenes", type=int, default=400, help="other scenes, on which the probes are fitted")
    parser.add_argument("--probe", type=Path, help="keep what the probe is fitted on in this file (.npz)")
    parser.add_argument("--no-text", action="store_true", help="go by the picture alone")
    parser.add_argument("--rows", type=Path, help="also write what was measured of each scene, as JSON")
    parser.add_argument("--join", type=Path, nargs="+", help="measure nothing, put such files together")
    parser.add_argument("--gate", type=Path, help="prompts, one a line")
    parser.add_argument("--tries", type=int, default=4, help="of the gate")
    options = parser.parse_args()
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    sys.stderr.write(f"load when it began: {load}, {os.cpu_count()} cores\n")
    if options.gate is not None:
        figures = measure_gate(options.gate.read_text(encoding="utf-8").splitlines(), options.tries)
    elif options.join:
        figures = summarise([row for path in options.join for row in json.loads(path.read_text(encoding="utf-8"))])
    else:
        figures = measure_scenes(options)
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")


def measure_scenes(options: argparse.Namespace) -> dict[str, Any]:
    """Draw candidates for held-out scenes and measure the chosen ones."""
    pipeline, jury = load_pipeline("embedded"), Jury(ChoiceOptions(candidates=max(NUMBERS)))
    probe = fit_cepstral_probe(pipeline, options.probe_scenes, options.probe)
    rows: list[Row] = []
    for k in range(options.first, options.first + options.scenes):
        scene = make_scene(HELD_OUT_SEED + k)
        rows.append(measure_scene(scene, HELD_OUT_SEED + k, pipeline, jury, probe, text=not options.no_text))
        if len(rows) % 5 == 0 and options.rows is not None:
            options.rows.write_text(json.dumps(rows), encoding="utf-8")
            sys.stderr.write(f"{len(rows)} of {options.scenes}\n")
    if options.rows is not None:
        options.rows.write_text(json.dumps(rows), encoding="utf-8")
    return summarise(rows)


def fit_cepstral_probe(pipeline: Pipeline, count: int, kept: Path | None) -> ClassProbe:
    """A class probe on other scenes' sounds, as they are and through the codec."""
    kept = None if kept is None else npz_path(kept)
    if kept is not None and kept.exists():
        with np.load(kept) as file:
            return fit_probe(file["rows"], file["labels"].tolist())
    rate = pipeline.spec.sample_rate_hz
    scenes = [make_scene(HELD_OUT_SEED + PROBE_OFFSET + k) for k in range(count)]
    known = [scene.sound(rate) for scene in scenes]
    known += [through_codec(wave, pipeline) for wave in known]
    rows, labels = timbres(known, rate), [scene.label for scene in scenes] * 2
    if kept is not None:
        keep(kept, rows=rows, labels=labels)
    return fit_probe(rows, labels)


def measure_scene(scene: Scene, seed: int, pipeline: Pipeline, jury: Jury, probe: ClassProbe, *, text: bool) -> Row:
    """All candidates of one scene: their verdicts, their figures and their cost, JSON-ready."""
    rate, clip = pipeline.spec.sample_rate_hz, see_scene(scene, pipeline)
    prompt = scene.caption if text else ""
    work, cost = spent(lambda: pipeline.prepare(clip, prompt=prompt, duration_s=scene.duration_s, seed=seed))
    works = [replace(work, seed=candidate_seed(seed, number)) for number in range(1, max(NUMBERS) + 1)]
    phrases, curve = [prompt] if prompt else work.recognized, pipeline.encoders.strike_curve(_seen(work))
    costs, latents = {}, []
    for number in NUMBERS:
        latents, sampling = spent(partial(pipeline.sample, works[:number], SampleOptions()))
        costs[number] = cost + sampling
    waves, verdicts, listening = [], [], []
    for number, (each, latent) in enumerate(zip(works, latents, strict=True), start=1):
        audio, decoding = spent(partial(pipeline.decode, each, latent, sample_rate_hz=rate))
        verdict, heard = spent(partial(jury.judge, audio, phrases, curve, work.strikes_s))
        waves.append(audio.samples)
        verdicts.append(verdict)
        listening.append(heard)
        for most in NUMBERS:
            if number <= most:
                costs[most] = costs[most] + decoding + (heard if most > 1 else 0)
    true, events = scene.sound(rate), [event.time_s for event in scene.events]
    rows, found = timbres(waves, rate), probe.labels.index(scene.label) if scene.label in probe.labels else None
    return {
        "label": scene.label,
        "chosen": [max(range(n), key=lambda k: (verdicts[k].rank, -k)) for n in NUMBERS],
        "f1": [match_onsets(detect_onsets(wave, rate), events).f1 for wave in waves] if events else None,
        "log_mel": [log_mel_distance(wave, true[: len(wave)], rate) for wave in waves],
        "class_probability": None if found is None else probe.predict_all(rows)[:, found].tolist(),
        "class_agreement": [float(said == scene.label) for said in probe.predict(rows)],
        "class_agreement_true_sound": [float(probe.predict(timbres([true], rate))[0] == scene.label)] * len(waves),
        "synchrony": [verdict.synchrony for verdict in verdicts],
        "agreement": [verdict.agreement for verdict in verdicts],
        "tags": [verdict.tags[0] for verdict in verdicts],
        "cost": [costs[n].tolist() for n in NUMBERS],
        "listening": np.mean(listening, 0).tolist(),
    }


def _seen(work: Any) -> Any:
    """What was seen, of a work."""
    from mfv2a.pipeline import Seen

    return Seen(sync=work.sync, strikes_s=work.strikes_s)


def spent(make: Callable[[], Any]) -> tuple[Any, Any]:
    """What a function makes, and its wall and CPU seconds [2]."""
    start, cpu = time.perf_counter(), time.process_time()
    made = make()
    return made, np.array([time.perf_counter() - start, time.process_time() - cpu])


def summarise(rows: Sequence[Row]) -> dict[str, Any]:
    """Means with intervals at each N, and the differences to N = 1."""
    figures: dict[str, Any] = {"scenes": len(rows), "with events": sum(row["f1"] is not None for row in rows)}
    for name in ("f1", "class_probability", "class_agreement", "class_agreement_true_sound", "log_mel"):
        known = [row for row in rows if row[name] is not None]
        chosen = {n: np.array([row[name][row["chosen"][k]] for row in known]) for k, n in enumerate(NUMBERS)}
        best = min if name == "log_mel" else max
        figures[name] = {
            **{f"N = {n}": interval(values) for n, values in chosen.items()},
            **{f"N = {n} against 1": interval(chosen[n] - chosen[1]) for n in NUMBERS[1:]},
            "any of 8": round(float(np.mean([np.mean(row[name]) for row in known])), 4),
            "best of 8": round(float(np.mean([best(row[name]) for row in known])), 4),
        }
    for k, n in enumerate(NUMBERS):
        wall_s, cpu_s = np.mean([row["cost"][k] for row in rows], 0).round(3).tolist()
        figures[f"seconds a clip, N = {n}"] = {"wall": wall_s, "cpu": cpu_s}
    figures["seconds of listening, wall and CPU"] = np.mean([row["listening"] for row in rows], 0).round(3).tolist()
    return figures


def interval(values: Any) -> list[float]:
    """Mean, and the 2.5 and 97.5 % of it by bootstrap."""
    rng = np.random.default_rng(0)
    means = values[rng.integers(0, len(values), (ROUNDS, len(values)))].mean(axis=1)
    return [round(float(each), 4) for each in (values.mean(), *np.quantile(means, (0.025, 0.975)))]


def measure_gate(prompts: Sequence[str], tries: int) -> dict[str, Any]:
    """Make a sound of each prompt with both gates, and count what was heard in the first and in the one taken."""
    rows: list[Row] = []

    def done(take: Any, audio: Audio, facts: dict[str, Any]) -> None:
        first = facts["candidates"][0]
        rows.append(
            {
                "prompt": take.prompt,
                "first": first.get("refused", []),
                "taken": facts.get("still_heard", []),
                "drawn": len(facts["candidates"]),
                "speech": [row["speech"] for row in facts["candidates"]],
                "music": [row["music"] for row in facts["candidates"]],
            }
        )

    choice = ChoiceOptions(candidates=1, no_speech=True, no_music=True, tries=tries)
    wanted = [prompt for prompt in prompts if prompt.strip()]
    with tempfile.TemporaryDirectory() as folder:
        options = TtaOptions(out=f"{folder}/", choice=choice)
        make_sounds(plan_takes(wanted, options), options, begin=lambda *_: None, done=done)
    heard = {name: sum(bool(row[name]) for row in rows) for name in ("first", "taken")}
    return {"prompts": len(rows), "heard": heard, "drawn": sum(row["drawn"] for row in rows), "rows": rows}


if __name__ == "__main__":
    main()
