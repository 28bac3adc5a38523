"""Objectives compared at equal compute: small generators are trained and measured. Takes up where it was cut.

    python scripts/compare_objectives.py data                      features of scenes and sounds, held-out ones left out
    python scripts/compare_objectives.py plan                      every run with its steps and FLOPs
    python scripts/compare_objectives.py train --seed 0            all runs of a seed, one after the other
    python scripts/compare_objectives.py measure --seed 0          what the finished runs make of held-out clips
    python scripts/compare_objectives.py measure --reference       the true sounds: floor and ceiling
    python scripts/compare_objectives.py tables                    what is measured so far, as tables for the documents

Each finished run and each measurement is a line of `docs/measured/comparison.jsonl`; what has one is not done again.
Runs and features lie in `runs/compare` and `data/compare`. The plan is `scripts/comparison.py`, the measures are
`scripts/compare_measures.py`. Several seeds may be trained or measured side by side.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from comparison import Plan, Run, all_runs, extractions, run_table, step_flops, steps_of, toml

from mfv2a.data.sounds import TEMPLATES

WORDINGS = (TEMPLATES[0], TEMPLATES[2])
RECORDS = Path(__file__).parents[1] / "docs/measured/comparison.jsonl"


def read_records(path: Path) -> list[dict[str, Any]]:
    """What is done; a line that was cut by a crash is left out."""
    records = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return records


def add_record(path: Path, record: dict[str, Any]) -> None:
    """One line more, written at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")
    sys.stdout.write(json.dumps(record) + "\n")
    sys.stdout.flush()


def extract(path: Path) -> None:
    """`mfv2a extract` in a process of its own."""
    if code := subprocess.run([sys.executable, "-m", "mfv2a", "extract", str(path)], check=False).returncode:
        raise SystemExit(code)


def write_table(table: dict[str, Any], path: Path) -> Path:
    """A TOML beside what it makes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(toml(table), encoding="utf-8")
    return path


def make_data(plan: Plan) -> None:
    """Extract; what is there stays."""
    for name, table in extractions(plan).items():
        extract(write_table(table, Path(plan.runs) / f"extract-{name}.toml"))
        if name == "sounds":
            keep_captions(Path(plan.data) / name, WORDINGS)


def keep_captions(folder: Path, wordings: Sequence[str]) -> None:
    """Leave each stored sound only these wordings of its label: a run encodes all its texts before it begins."""
    for path in sorted(folder.glob("shard-*.jsonl")):
        facts = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        kept = [{**fact, "captions": [wording.format(fact["label"]) for wording in wordings]} for fact in facts]
        path.write_text("".join(json.dumps(fact) + "\n" for fact in kept), encoding="utf-8")


def keep_words(path: Path) -> None:
    """Let the runs of this process take the vectors of their texts from a file, once they are in it."""
    from mfv2a.jobs.generator_sources import Words

    encode = Words.encode

    def kept(texts: Sequence[str], device: str = "cpu") -> Words:
        unique = list(dict.fromkeys(texts))
        if path.exists():
            with np.load(path) as stored:
                known = {str(text): k for k, text in enumerate(stored["texts"])}
                if set(unique) <= known.keys():
                    rows = [known[text] for text in unique]
                    index = {text: k for k, text in enumerate(unique)}
                    return Words(index, stored["tokens"][rows], stored["pooled"][rows])
        words = encode(unique, device)
        pending = path.with_name(f"{path.stem}-{os.getpid()}.npz")
        np.savez(pending, texts=np.array(unique), tokens=words.tokens, pooled=words.pooled)
        pending.replace(path)
        return words

    Words.encode = kept  # type: ignore[method-assign, assignment]


def told(run: Run, plan: Plan) -> dict[str, Any]:
    """A run's steps and FLOPs, its warm-up's among them."""
    objective = "flow-matching" if run.objective == "warm-up" else run.objective
    steps, (forward, both) = steps_of(run, plan), step_flops(objective, plan)
    totals = [steps * forward, steps * both]
    if run.warm_up is not None:
        warm = told(run.warm_up, plan)
        totals = [totals[0] + warm["forward_flops"], totals[1] + warm["all_flops"]]
    facts = {
        "flow_steps": plan.flow_steps,
        "run": run.name,
        "data": run.data,
        "objective": run.objective,
        "seed": run.seed,
        "steps": steps,
    }
    return {**facts, "forward_flops": totals[0], "all_flops": totals[1]}


def train(plan: Plan, runs: Sequence[Run], records: Path) -> None:
    """Train what of these is missing; a run that diverges is written down and not tried again."""
    from mfv2a.errors import DivergenceError
    from mfv2a.jobs.train import read_run
    from mfv2a.jobs.train import train as train_run

    keep_words(Path(plan.data) / "words.npz")
    for run in runs:
        done = {record["run"] for record in read_records(records) if record["kind"] == "run"}
        if run.name in done:
            continue
        path = write_table(run_table(run, plan), Path(plan.runs) / f"{run.name}.toml")
        seen: list[Any] = []
        try:
            train_run(read_run(path), seen.append)
            diverged = False
        except DivergenceError:
            diverged = True
        add_record(records, {"kind": "run", **told(run, plan), "diverged": diverged, "log": seen[-1:]})


def main() -> None:
    """One part of the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=["data", "plan", "train", "measure", "tables"])
    parser.add_argument("--seed", type=int, action="append", default=[], help="only this one; 0, 1 and 2 by default")
    parser.add_argument("--data", default="", help="train only on: joint, text, video")
    parser.add_argument("--objective", default="", help="train only this one, or warm-up; its warm-up must be there")
    parser.add_argument("--only", default="", help="measure only sets of this kind: objectives, joint, guidance")
    parser.add_argument("--reference", action="store_true", help="measure the true sounds")
    parser.add_argument("--sounds", default="sfx", help="folder of labelled sounds")
    parser.add_argument("--records", type=Path, default=RECORDS)
    options = parser.parse_args()
    plan, seeds = Plan(sounds=options.sounds), options.seed or [0, 1, 2]
    if options.part == "data":
        make_data(plan)
    elif options.part == "plan":
        for run in all_runs(seeds):
            sys.stdout.write(json.dumps(told(run, plan)) + "\n")
    elif options.part == "train":
        wanted = [run for run in all_runs(seeds) if options.data in ("", run.data)]
        train(plan, [run for run in wanted if options.objective in ("", run.objective)], options.records)
    elif options.part == "measure":
        import compare_measures

        if options.reference:
            compare_measures.measure_reference(plan, options.records)
        else:
            compare_measures.measure_runs(plan, seeds, options.records, only=options.only)
    else:
        import compare_tables

        sys.stdout.write(compare_tables.tables(read_records(options.records)))


if __name__ == "__main__":
    main()
