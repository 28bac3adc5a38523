"""A generator's steps in one process or several; what the tests of teams compare.

The processes of a team are started once and go through all cases, since starting them costs the most.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mfv2a.config import ObjectiveConfig, OptimizerConfig, RunConfig, SourceConfig, ValidationConfig
from mfv2a.data.dataset import Source, StepDataset, batches
from mfv2a.models.mmaudio import MMAudio, MMAudioConfig
from mfv2a.training.loop import Training
from mfv2a.training.step import GeneratorTask
from mfv2a.training.team import Team, join_team
from mfv2a.training.validation import Validation
from mfv2a.training.wrapping import recompute_blocks, whole

ROWS, STEPS = 8, 3
TINY = MMAudioConfig(
    latent_dim=4, clip_dim=8, sync_dim=8, text_dim=8, text_len=4, dim=16, num_heads=2, joint_depth=1, fused_depth=2,
    mlp_ratio=1.0, time_scale=5.0, average=True,
)  # fmt: skip
OBJECTIVES = {
    "flow-matching": ObjectiveConfig(name="flow-matching"),
    "meanflow": ObjectiveConfig(name="meanflow", equal_share=0.5, jvp_ramp_steps=1),
    # One row of eight has r < t: one process of two has none.
    "meanflow-rare": ObjectiveConfig(name="meanflow", equal_share=0.875, jvp_ramp_steps=1),
    "meanflow-guided": ObjectiveConfig(name="meanflow", equal_share=0.5, jvp_ramp_steps=1, omega=0.6, kappa=0.5),
    "alphaflow": ObjectiveConfig(name="alphaflow", equal_share=0.5, alpha=0.3, jvp_ramp_steps=1),
    # The weight of guidance is an input of the network; one row of eight has r < t.
    "meanflow-input": ObjectiveConfig(
        name="meanflow", equal_share=0.875, jvp_ramp_steps=1, guidance=(1.0, 7.0), kappa=0.3
    ),
    "alphaflow-input": ObjectiveConfig(
        name="alphaflow", equal_share=0.5, alpha=0.3, jvp_ramp_steps=1, guidance=(1.0, 7.0)
    ),
    "distill-input": ObjectiveConfig(
        name="distill", teacher="given", equal_share=0.5, jvp_ramp_steps=1, guidance=(1.0, 7.0)
    ),
    "distill": ObjectiveConfig(name="distill", teacher="given", teacher_cfg=2.0, equal_share=0.5, jvp_ramp_steps=1),
    "distill-alphaflow": ObjectiveConfig(
        name="distill", teacher="given", distill_by="alphaflow", equal_share=0.875, alpha=0.3, jvp_ramp_steps=1
    ),
    "energy": ObjectiveConfig(name="energy", equal_share=0.25, text_noise=0.5),
}


def draw_row(rng: np.random.Generator) -> dict[str, Any]:
    """Features of a row, in double precision so that only the order of sums differs."""
    shapes = {"latent": (6, 4), "clip": (2, 8), "sync": (8, 8), "text": (4, 8)}
    row: dict[str, Any] = {name: rng.normal(0, 1, shape) for name, shape in shapes.items()}
    return row | {"has_video": rng.random() < 0.7, "has_text": np.array(True), "item": rng.integers(100)}


def tiny_network(seed: int = 0, *, guided: bool = False) -> MMAudio:
    """A network whose every weight matters: none starts at zero."""
    network = MMAudio(replace(TINY, guided=guided))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_(0.2 * torch.randn(weight.shape, generator=generator))
    return network.double()


def start(
    out: Path,
    objective: ObjectiveConfig,
    team: Team,
    parallel: str = "ddp",
    *,
    recompute: bool = False,
    network: MMAudio | None = None,
    **changes: Any,
) -> Training:
    """A run of `STEPS` steps, ready to go."""
    held = ValidationConfig(every=1, rows=4, steps=(1, 2), sources=(SourceConfig(type="features", path="held"),))
    values: dict[str, Any] = {"steps": STEPS, "log_every": 1, "workers": 0, **changes}
    config = RunConfig(
        task="generator", out=str(out), batch_size=ROWS, parallel=parallel,
        sources=(SourceConfig(type="features", path="features"),),
        objective=objective, optimizer=OptimizerConfig(warmup_steps=1, ema=0.5, learning_rate=1e-3, eps=1e-3),
        validation=held, **values,
    )  # fmt: skip
    network = tiny_network(guided=bool(objective.guidance)) if network is None else network
    if recompute:
        recompute_blocks(network)
    teacher = tiny_network(1).requires_grad_(False) if objective.teacher else None
    dataset = StepDataset([Source(draw_row)], batch_size=ROWS, seed=3, rows=team.rows(ROWS))
    rows = StepDataset([Source(draw_row)], batch_size=4, seed=3, rows=team.rows(4))[1 << 41]
    logged: list[Any] = []
    training = Training(
        config,
        GeneratorTask(network, objective, total=ROWS, teacher=teacher),
        lambda first: batches(dataset, first=first, steps=config.steps, workers=0),
        logged.append,
        team=team,
        validate=Validation(held, network, objective, rows, 2, 0),
    )
    training.logged = logged  # type: ignore[attr-defined]
    return training


def outcome(training: Training) -> dict[str, Any]:
    """Weights, average and log of a finished run."""
    weights = {name: whole(tensor).clone() for name, tensor in training.task.network.state_dict().items()}
    average = {f"ema/{name}": whole(tensor).clone() for name, tensor in training.ema.state.items()}
    return {"tensors": {**weights, **average}, "log": training.logged}  # type: ignore[attr-defined]


def run_cases(rank: int, size: int, folder: str, port: int, names: tuple[str, ...], more: bool) -> None:
    """Cases in one process of a team; the first one writes what came out.

    Args:
        rank: of the process.
        size: of the team.
        folder: for the runs and `results.pt`.
        port: where the processes meet.
        names: of objectives.
        more: also parts, activations computed again, a run that is stopped and taken up.
    """
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    results = {}
    with join_team(torch.device("cpu")) as team:
        for name in names:
            for parallel in ("ddp", "fsdp"):
                training = start(Path(folder) / f"{name}-{parallel}", OBJECTIVES[name], team, parallel)
                training.run()
                results[name, parallel] = outcome(training)
        for parallel in ("ddp", "fsdp") if more else ():
            out = Path(folder) / f"frugal-{parallel}"
            training = start(out, OBJECTIVES["meanflow"], team, parallel, recompute=True, accumulate=2)
            training.run()
            results["frugal", parallel] = outcome(training)
            broken = start(Path(folder) / f"broken-{parallel}", OBJECTIVES["meanflow"], team, parallel)
            broken.should_stop = lambda: rank == 1  # said in one process, heard in all
            assert not broken.run()
            again = start(Path(folder) / f"broken-{parallel}", OBJECTIVES["meanflow"], team, parallel)
            assert again.step == 1
            again.run()
            results["resumed", parallel] = outcome(again)
    if rank == 0:
        torch.save(results, Path(folder) / "results.pt")
