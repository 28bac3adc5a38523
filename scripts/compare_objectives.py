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
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from comparison import Plan, Run, all_runs, extractions, run_table, step_flops, steps_of, toml

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


def tool(words: Sequence[str]) -> int:
    """Run a command of the tool in a process of its own."""
    return subprocess.run([sys.executable, "-m", "mfv2a", *words], stdout=sys.stderr, check=False).returncode


def write_table(table: dict[str, Any], path: Path) -> Path:
    """A TOML beside what it makes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(toml(table), encoding="utf-8")
    return path


def make_data(plan: Plan) -> None:
    """Extract; what is there stays."""
    for name, table in extractions(plan).items():
        if code := tool(["extract", str(write_table(table, Path(plan.runs) / f"extract-{name}.toml"))]):
            raise SystemExit(code)


def told(run: Run, plan: Plan) -> dict[str, Any]:
    """A run's steps and FLOPs, its warm-up's among them."""
    objective = "flow-matching" if run.objective == "warm-up" else run.objective
    steps, (forward, both) = steps_of(run, plan), step_flops(objective, plan)
    totals = [steps * forward, steps * both]
    if run.warm_up is not None:
        warm = told(run.warm_up, plan)
        totals = [totals[0] + warm["forward_flops"], totals[1] + warm["all_flops"]]
    facts = {"run": run.name, "data": run.data, "objective": run.objective, "seed": run.seed, "steps": steps}
    return {**facts, "forward_flops": totals[0], "all_flops": totals[1]}


def train(plan: Plan, seeds: Sequence[int], records: Path) -> None:
    """Train what is missing; a run that diverges is written down and not tried again."""
    done = {record["run"] for record in read_records(records) if record["kind"] == "run"}
    for run in all_runs(seeds):
        if run.name in done:
            continue
        path = write_table(run_table(run, plan), Path(plan.runs) / f"{run.name}.toml")
        code = tool(["train", str(path)])
        if code not in (0, 5):  # a signal, or a fault that must be seen to
            raise SystemExit(code)
        log = Path(plan.runs) / run.name / "log.jsonl"
        last = json.loads(log.read_text(encoding="utf-8").splitlines()[-1]) if log.exists() else {}
        add_record(records, {"kind": "run", **told(run, plan), "diverged": code == 5, "last": last})


def main() -> None:
    """One part of the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=["data", "plan", "train", "measure", "tables"])
    parser.add_argument("--seed", type=int, action="append", default=[], help="only this one; 0, 1 and 2 by default")
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
        train(plan, seeds, options.records)
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
