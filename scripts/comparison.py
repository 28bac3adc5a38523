"""The plan of `compare_objectives.py`: which small generators are trained, on what, for how many FLOPs.

Every run is an ordinary RUN.toml of `mfv2a train`. A run of an average velocity starts from its seed's flow-matching
warm-up, and pays for it: `share` of the budget is the warm-up's, the rest its own. The budget is counted in FLOPs of
forward passes by torch's counter - the derivative's and the target's passes among them, backward passes not - and
turned into steps of each objective.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
MODEL: Mapping[str, Any] = {
    "latent_dim": 20, "clip_dim": 384, "sync_dim": 64, "text_dim": 384, "text_len": 16,
    "dim": 64, "num_heads": 2, "joint_depth": 1, "fused_depth": 3, "mlp_ratio": 1.0,
    "feature_scale": 20.0, "time_scale": 5.0, "average": True, "skip": True,
}  # fmt: skip
TIMES = {"time_mean": 0.5, "time_std": 1.5}
SLOW_START = {"full_share": 0.5, "jvp_ramp_steps": 100}
OBJECTIVES: Mapping[str, Mapping[str, Any]] = {
    "flow-matching": {"name": "flow-matching"},
    "meanflow": {"name": "meanflow", "equal_share": 0.75, **SLOW_START},
    "alphaflow": {"name": "alphaflow", "alpha": 0.15, "equal_share": 0.5, **SLOW_START},
    "guided": {"name": "alphaflow", "alpha": 0.15, "equal_share": 0.5, "guidance": [1.0, 7.0], **SLOW_START},
}
"""`guided` takes the weight of guidance as an input; its target is guided by it."""
SOURCES: Mapping[str, Sequence[tuple[str, float]]] = {
    "joint": (("scenes", 1.0), ("sounds", 1.0)),
    "video": (("scenes", 1.0),),
    "text": (("sounds", 1.0),),
}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is compared.

    Attributes:
        data: folder of features; runs: folder of runs.
        sounds: folder of labelled sounds, its `index.tsv` in it.
        scenes, arrangements: how many items are extracted.
        flow_steps: of flow matching; its forward FLOPs are every run's budget.
        warm_share: of the budget, for the warm-up.
        batch_size, crop_s: rows and seconds of a step.
        learning_rate: peak, of all runs.
    """

    data: str = "data/compare"
    runs: str = "runs/compare"
    sounds: str = "sfx"
    scenes: int = 1024
    arrangements: int = 1536
    flow_steps: int = 1200
    warm_share: float = 0.5
    batch_size: int = 16
    crop_s: float = 2.0
    learning_rate: float = 1e-3
    model: Mapping[str, Any] = field(default_factory=lambda: dict(MODEL))


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training run.

    Attributes:
        data: a key of `SOURCES`; objective: of `OBJECTIVES`, or "warm-up"; seed: of the run.
    """

    data: str
    objective: str
    seed: int

    @property
    def name(self) -> str:
        """Of the run's folder."""
        return f"{self.data}-{self.objective}-{self.seed}"

    @property
    def warm_up(self) -> Run | None:
        """The run that it starts from."""
        return None if self.objective == "warm-up" else Run(data=self.data, objective="warm-up", seed=self.seed)


def all_runs(seeds: Sequence[int]) -> list[Run]:
    """Every run, what matters most first."""
    wanted = [("joint", name) for name in ("warm-up", "flow-matching", "alphaflow", "meanflow", "guided")]
    wanted += [(data, name) for data in ("text", "video") for name in ("warm-up", "alphaflow")]
    return [Run(data=data, objective=name, seed=seed) for data, name in wanted for seed in seeds]


def aim(run: Run) -> dict[str, Any]:
    """The `[objective]` of a run."""
    return {**OBJECTIVES["flow-matching" if run.objective == "warm-up" else run.objective], **TIMES}


def sizes(run: Run, plan: Plan) -> dict[str, Any]:
    """The `[model]` of a run."""
    return {**plan.model, "guided": run.objective == "guided"}


def steps_of(run: Run, plan: Plan) -> int:
    """Steps that the run's part of the budget pays for."""
    budget = plan.flow_steps * step_flops("flow-matching", plan)[0]
    share = plan.warm_share if run.objective == "warm-up" else 1 - plan.warm_share
    objective = "flow-matching" if run.objective == "warm-up" else run.objective
    return round(share * budget / step_flops(objective, plan)[0])


def step_flops(objective: str, plan: Plan) -> tuple[int, int]:
    """FLOPs of one step: of its forward passes, and with the backward pass."""
    key = json.dumps([sizes(Run(data="joint", objective=objective, seed=0), plan), plan.batch_size, plan.crop_s])
    return _count(objective, key)


@cache
def _count(objective: str, key: str) -> tuple[int, int]:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from mfv2a.config import ObjectiveConfig, build
    from mfv2a.models.mmaudio import MMAudio, MMAudioConfig
    from mfv2a.training.state import step_generator
    from mfv2a.training.step import GeneratorTask

    model, rows, crop_s = json.loads(key)
    network = MMAudio(MMAudioConfig(**model))
    network.initialize(torch.Generator().manual_seed(0))
    blocks = round(crop_s * 31.25) // 5
    shapes = {"latent": (5 * blocks, 20), "clip": (round(crop_s * 8), 384), "sync": (4 * blocks, 64), "text": (16, 384)}
    batch = {name: torch.zeros(rows, *shape) for name, shape in shapes.items()}
    batch |= {name: torch.ones(rows, dtype=torch.bool) for name in ("has_video", "has_text")}
    config = build(ObjectiveConfig, dict(OBJECTIVES[objective]), where="objective")
    task = GeneratorTask(network, config)
    with FlopCounterMode(display=False) as counter:
        loss, _ = task.loss(batch, step=10**6, generator=step_generator(0, 0))
        forward = counter.get_total_flops()
        loss.backward()
    return forward, counter.get_total_flops()


def run_table(run: Run, plan: Plan) -> dict[str, Any]:
    """The RUN.toml of a run."""
    warm, steps = run.warm_up, steps_of(run, plan)
    table: dict[str, Any] = {"task": "generator", "out": f"{plan.runs}/{run.name}", "steps": steps, "seed": run.seed}
    if warm is not None:
        table["init"] = f"{plan.runs}/{warm.name}/final.safetensors"
    table |= {"batch_size": plan.batch_size, "crop_s": plan.crop_s, "workers": 0, "threads": 1, "log_every": 10}
    decay = "constant" if warm is None else "cosine"
    optimizer = {"learning_rate": plan.learning_rate, "warmup_steps": 20, "decay": decay, "ema": 0.99}
    sources = [
        {"type": "features", "path": f"{plan.data}/{name}-encoded", "weight": weight}
        for name, weight in SOURCES[run.data]
    ]
    return {**table, "model": sizes(run, plan), "objective": aim(run), "optimizer": optimizer, "sources": sources}


def extractions(plan: Plan) -> dict[str, dict[str, Any]]:
    """The tables of `mfv2a extract` that make the features, in order, by name."""
    from mfv2a.config import ExtractConfig, load_toml

    assets = "src/mfv2a/assets/embedded"
    exclude = load_toml(ROOT / "examples/runs/embedded-1-sounds.toml", ExtractConfig).source.exclude
    scenes = {"type": "scenes", "first_seed": 0, "count": plan.scenes}
    sounds = {"type": "sounds", "path": plan.sounds, "count": plan.arrangements, "exclude": exclude}
    sounds["except_files"] = "examples/runs/embedded-sounds-heldout.tsv"
    tables: dict[str, dict[str, Any]] = {
        "scenes": {"workers": 2, "duration_s": 8.0, "shard_items": 128, "source": scenes},
        "sounds": {"workers": 2, "duration_s": 4.0, "shard_items": 256, "source": sounds},
    }
    for name in list(tables):
        source = {"type": "features", "path": f"{plan.data}/{name}"}
        tables[f"{name}-encoded"] = {"vae": f"{assets}/vae.safetensors", "source": source}
    tables["scenes-encoded"]["sync"] = f"{assets}/sync.safetensors"
    return {name: {"out": f"{plan.data}/{name}", **table} for name, table in tables.items()}


def toml(table: Mapping[str, Any]) -> str:
    """A table as TOML: values first, then tables and lists of tables."""
    lines = [f"{name} = {json.dumps(value)}" for name, value in table.items() if not _is_table(value)]
    for name, value in table.items():
        if isinstance(value, Mapping):
            lines += ["", f"[{name}]", toml(value).rstrip()]
        elif _is_table(value):
            lines += [line for row in value for line in ("", f"[[{name}]]", toml(row).rstrip())]
    return "\n".join(lines) + "\n"


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list) and bool(value) and isinstance(value[0], Mapping))
