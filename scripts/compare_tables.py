"""The tables of `compare_objectives.py` for the documents: means over seeds with 95 % intervals.

An interval is that of Student's t over the seeds (training, order, noise of training; the held-out clips and the noise
they are sampled from are the same for all), so with three seeds 4.3 standard errors wide to each side. Ratios are taken
seed by seed, and their interval is that of the mean logarithm.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from scipy import stats

Record = Mapping[str, Any]
Numbers = dict[int, float]
NAMES = {"flow-matching": "flow matching", "meanflow": "MeanFlow", "alphaflow": "alpha-Flow", "guided": "baked in"}
STEPS = (1, 2, 4, 25)


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half width of its 95 % interval by Student's t; infinite for one value."""
    mean = sum(values) / len(values)
    if len(values) < 2:
        return mean, math.inf
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
    return mean, float(stats.t.ppf(0.975, len(values) - 1)) * deviation / math.sqrt(len(values))


def told(values: Iterable[float], digits: int = 3) -> str:
    """`mean ± half width`, or how it stands with fewer than two seeds."""
    numbers = list(values)
    if not numbers:
        return ""
    mean, half = interval(numbers)
    return f"{mean:.{digits}f} ± {half:.{digits}f}" if math.isfinite(half) else f"{mean:.{digits}f} (one seed)"


def ratio(ours: Numbers, theirs: Numbers) -> str:
    """Geometric mean of ours / theirs over the seeds that both have, with its interval."""
    logs = [math.log(ours[seed] / theirs[seed]) for seed in ours if theirs.get(seed, 0) > 0 and ours[seed] > 0]
    if not logs:
        return ""
    mean, half = interval(logs)
    if not math.isfinite(half):
        return f"{math.exp(mean):.2f} (one seed)"
    return f"{math.exp(mean):.2f} ({math.exp(mean - half):.2f} to {math.exp(mean + half):.2f})"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines) + "\n"


def tables(records: Sequence[Record]) -> str:
    """All tables that the records fill."""
    found: dict[tuple[Any, ...], dict[str, Numbers]] = defaultdict(lambda: defaultdict(dict))
    for record in records:
        if record["kind"] == "measure":
            setting = record["setting"]
            key = (record["data"], record["objective"], *setting.values())
            for name in (
                "kernel",
                "frechet",
                "kernel_coded",
                "frechet_coded",
                "log_mel",
                "onset_f1",
                "class_agreement",
            ):
                if name in record:
                    found[key][name][record["seed"]] = record[name]
    parts = [_runs(records), _references(records)]
    parts += [_objectives(found, clips) for clips in ("recordings", "labels", "scenes")]
    parts += [_claim(found, clips) for clips in ("recordings", "labels")]
    parts += [_joint(found), _guidance(found)]
    return "\n".join(parts)


def _runs(records: Sequence[Record]) -> str:
    rows: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in records:
        if record["kind"] == "run":
            rows[record["data"], record["objective"]].append(record)
    head = ["data", "objective", "seeds", "steps", "TFLOP forward", "TFLOP in all", "diverged"]
    lines = [
        [
            data, NAMES.get(objective, objective), str(len(group)), str(group[0]["steps"]),
            f"{group[0]['forward_flops'] / 1e12:.2f}", f"{group[0]['all_flops'] / 1e12:.2f}",
            str(sum(record["diverged"] for record in group)),
        ]
        for (data, objective), group in rows.items()
    ]  # fmt: skip
    return table(head, lines)


def _references(records: Sequence[Record]) -> str:
    head = ["clips", "number", "kernel, real halves", "kernel, codec", "Frechet, real halves", "Frechet, codec"]
    lines = [
        [
            record["clips"], str(record["count"]),
            f"{record['half_kernel']:.4f} ({record['half_kernel_low']:.4f} to {record['half_kernel_high']:.4f})",
            f"{record['codec_kernel']:.4f}", f"{record['half_frechet']:.1f}", f"{record['codec_frechet']:.1f}",
        ]
        for record in records if record["kind"] == "reference"
    ]  # fmt: skip
    return table(head, lines)


def _objectives(found: Mapping[tuple[Any, ...], Mapping[str, Numbers]], clips: str) -> str:
    columns = [("kernel", "kernel", 3), ("Frechet", "frechet", 0)]
    columns += [("kernel, to coded", "kernel_coded", 3), ("Frechet, to coded", "frechet_coded", 0)]
    if clips == "scenes":
        columns = [("onset F1", "onset_f1", 3), ("classes", "class_agreement", 3), ("log-mel", "log_mel", 2), *columns]
    lines = []
    for objective in ("flow-matching", "meanflow", "alphaflow"):
        for steps in STEPS:
            numbers = found.get(("joint", objective, clips, steps, 1.0, "none"))
            if numbers:
                cells = [told(numbers[name].values(), digits) for _, name, digits in columns]
                lines.append([NAMES[objective], str(steps), *cells])
    return f"{clips}:\n\n" + table(["objective", "steps", *(name for name, _, _ in columns)], lines)


def _claim(found: Mapping[tuple[Any, ...], Mapping[str, Numbers]], clips: str) -> str:
    """One step of each objective against the flow's best number of steps, and against its one step."""

    def at(objective: str, steps: int, name: str) -> Numbers:
        return found.get(("joint", objective, clips, steps, 1.0, "none"), {}).get(name, {})

    def best(name: str) -> Numbers:
        tried = [at("flow-matching", steps, name) for steps in STEPS]
        seeds = set().union(*tried)
        return {seed: min(numbers[seed] for numbers in tried if seed in numbers) for seed in seeds}

    lines = []
    for objective in ("meanflow", "alphaflow"):
        cells = [NAMES[objective]]
        for name in ("kernel", "frechet", "kernel_coded", "frechet_coded"):
            one = at(objective, 1, name)
            cells += [ratio(one, best(name)), ratio(one, at("flow-matching", 1, name))]
        lines.append(cells)
    head = ["one step of"]
    for name in ("kernel", "Frechet", "kernel to coded", "Frechet to coded"):
        head += [f"{name} / flow's best", f"{name} / flow's one step"]
    return f"{clips}, ratios:\n\n" + table(head, lines)


def _joint(found: Mapping[tuple[Any, ...], Mapping[str, Numbers]]) -> str:
    lines = []
    for clips in ("recordings", "labels", "scenes", "scenes-video"):
        for data in ("joint", "text", "video"):
            numbers = found.get((data, "alphaflow", clips, 1, 1.0, "none"))
            if numbers:
                names = (("kernel", 3), ("frechet", 0), ("onset_f1", 3), ("class_agreement", 3))
                lines.append([clips, data, *(told(numbers[name].values(), digits) for name, digits in names)])
    return "trained on:\n\n" + table(["clips", "data", "kernel", "Frechet", "onset F1", "classes"], lines)


def _guidance(found: Mapping[tuple[Any, ...], Mapping[str, Numbers]]) -> str:
    kinds = [("alphaflow", 1, by) for by in ("rescaled", "plain", "matched")]
    kinds += [("guided", 1, "input"), ("flow-matching", 25, "rescaled")]
    weights = (1.0, 1.5, 2.0, 3.0, 4.5, 7.0)
    head = ["guidance", "figure", *(f"{weight:g}" for weight in weights)]
    lines = []
    pick: Callable[[str, int, str, float], Mapping[str, Numbers]] = lambda objective, steps, by, weight: found.get(  # noqa: E731
        ("joint", objective, "recordings", steps, weight, "none" if weight == 1 and by != "input" else by), {}
    )
    for objective, steps, by in kinds:
        for name, digits in (("kernel", 3), ("frechet", 0), ("log_mel", 2)):
            cells = [told(pick(objective, steps, by, weight).get(name, {}).values(), digits) for weight in weights]
            if any(cells):
                lines.append([f"{NAMES[objective]}, {steps} steps, {by}", name, *cells])
    return "guidance, recordings:\n\n" + table(head, lines)
