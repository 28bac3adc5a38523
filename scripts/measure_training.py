"""What a step of a RUN.toml costs here, on made-up features of the true shapes: seconds, peak memory, loss.

    python scripts/measure_training.py examples/runs/mf-small-16k-vggsound.toml --steps 20 --rows 2
    python scripts/measure_training.py RUN.toml --objective meanflow --objective alphaflow --objective flow-matching

The network, objective, optimiser and precision are those of the run; the rows are noise, and public weights that the
run would start from are drawn at random. Each objective is measured in a process of its own, so that its peak of
memory is its own. One line of JSON each on stdout.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mfv2a.config import RunConfig, load_toml
from mfv2a.data.dataset import Arrays, Source, StepDataset, batches
from mfv2a.jobs.networks import network_config
from mfv2a.limits import NO_GUIDED_TARGET
from mfv2a.models.arithmetic import products_for
from mfv2a.models.mmaudio import MMAudio, MMAudioConfig
from mfv2a.models.weights import save_network
from mfv2a.training.loop import Training
from mfv2a.training.step import GeneratorTask
from mfv2a.training.team import Team
from mfv2a.training.wrapping import recompute_blocks

LATENTS = {20: 250, 40: 345}  # of 8 s at 16 and 44.1 kHz, by the width of a latent
FRAMES, TOKENS = 64, 192  # of 8 s: CLIP vectors, sync features


def made_row(sizes: MMAudioConfig, rng: np.random.Generator) -> Arrays:
    """A row of noise in the shapes of 8 s; latents are smooth in time, so that there is something to learn."""
    shapes = {"clip": (FRAMES, sizes.clip_dim), "sync": (TOKENS, sizes.sync_dim), "text": (77, sizes.text_dim)}
    row: dict[str, Any] = {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}
    row["clip"] /= np.linalg.norm(row["clip"], axis=-1, keepdims=True)
    row["text"] /= np.linalg.norm(row["text"], axis=-1, keepdims=True)
    latent = rng.standard_normal((LATENTS[sizes.latent_dim], sizes.latent_dim), np.float32).cumsum(0)
    row["latent"] = (latent - latent.mean(0)) / latent.std(0)
    return row | {"has_video": np.array(True), "has_text": np.array(True)}


def drawn_network(config: RunConfig, **changes: Any) -> MMAudio:
    """The run's network with weights drawn at random, none of them zero."""
    sizes = MMAudioConfig(**{**network_config(config), **changes})
    torch.manual_seed(config.seed)
    network = MMAudio(sizes)
    network.initialize(torch.Generator().manual_seed(config.seed))
    if config.init:  # as if trained: weights that start at zero are drawn, but for the second time's
        for name, weight in network.named_parameters():
            if not weight.detach().any() and not name.startswith(("h_embed", "w_embed")):
                torch.nn.init.normal_(weight, std=0.01)
    return network


def halve(teacher: MMAudio) -> MMAudio:
    """A teacher kept in bfloat16 beside a student in float32; where that is only imitated, products are float32's."""

    def wide(inner: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            with torch.no_grad(), products_for(teacher.latent_mean):
                return inner(*args, **options)

        return call

    teacher.to(torch.bfloat16)
    for name in ("forward", "encode_conditions", "fill_missing"):
        setattr(teacher, name, wide(getattr(teacher, name)))
    return teacher


def measure(config: RunConfig, save: Path | None, *, average: bool, half_teacher: bool) -> dict[str, Any]:
    """Run the steps of a run; gives seconds a step, peak memory and losses."""
    network = drawn_network(config)
    if config.recompute:
        recompute_blocks(network)
    teacher = None
    if config.objective.teacher:
        number = torch.bfloat16 if config.precision == "bfloat16" else torch.float32
        teacher = drawn_network(config, average=False, guided=False).requires_grad_(False)
        teacher = halve(teacher) if half_teacher else teacher.to(number)
    task = GeneratorTask(network, config.objective, total=config.batch_size, teacher=teacher, compiled=config.compile)
    dataset = StepDataset([Source(partial(made_row, network.config))], batch_size=config.batch_size, seed=config.seed)
    ends: list[float] = []
    records: list[dict[str, Any]] = []

    def log(record: Any) -> None:
        ends.append(time.perf_counter())
        records.append(dict(record))

    stream = partial(batches, dataset, steps=config.steps, workers=0)
    training = Training(config, task, lambda first: stream(first=first), log, team=Team())
    training.save = lambda: None  # type: ignore[method-assign]
    if not average:
        training.ema.state = {}
        training.ema.update = lambda *_: None  # type: ignore[assignment, method-assign]
    began = time.perf_counter()
    training.run()
    peak_gib = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)
    if save is not None:
        state, facts = training.ema.state, {"steps": training.step}
        del training, task, teacher  # a large network is copied once to be saved
        network.zero_grad(set_to_none=True)
        save_network(save, "generator", network, state=state, facts=facts)
    times = np.diff([began, *ends])
    steady = times[1:] if len(times) > 1 else times
    return {
        "objective": config.objective.name,
        "parameters": sum(weight.numel() for weight in network.parameters()),
        "rows": config.batch_size,
        "steps": config.steps,
        "seconds_first": round(float(times[0]), 2),
        "seconds_a_step": round(float(np.median(steady)), 3),
        "peak_gib": peak_gib,
        "loss": [round(record["loss"], 4) for record in records],
        "mse": [round(record["mse"], 4) for record in records],
        "average": average,
        "recompute": config.recompute,
        "compile": config.compile,
        "grad_norm": [round(record["grad_norm"], 3) for record in records],
        "threads": torch.get_num_threads(),
        "load": [round(value, 2) for value in os.getloadavg()],
    }


def changed(config: RunConfig, options: argparse.Namespace, objective: str, out: str) -> RunConfig:
    """The run with few rows and steps, logged at each."""
    aim = config.objective
    if objective and objective != aim.name:
        if objective in NO_GUIDED_TARGET:
            aim = replace(aim, omega=1.0, kappa=0.0)
        aim = replace(aim, name=objective, teacher="")  # type: ignore[arg-type]
    if options.equal_share is not None:
        aim = replace(aim, equal_share=options.equal_share)
    values: dict[str, Any] = {"validation": type(config.validation)(), "log_every": 1, "out": out}
    values |= {"batch_size": options.rows, "steps": options.steps, "accumulate": 1, "objective": aim}
    if options.precision:
        values["precision"] = options.precision
    values |= {name: True for name in ("recompute", "compile") if getattr(options, name)}
    if options.no_warmup:
        values["optimizer"] = replace(config.optimizer, warmup_steps=0)
    if objective == "flow-matching":
        values["model"] = {**config.model, "average": True}  # the same network for all
    return replace(config, **values)


def main() -> None:
    """Measure each objective in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rows", type=int, default=2)
    parser.add_argument(
        "--objective", action="append", default=[], help="instead of the run's; more than one may be given"
    )
    parser.add_argument("--equal-share", type=float, help="instead of the run's")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], help="instead of the run's")
    parser.add_argument("--no-warmup", action="store_true", help="the full learning rate from the first step")
    parser.add_argument("--no-average", action="store_true", help="without the moving average: a copy less")
    parser.add_argument("--half-teacher", action="store_true", help="keep a teacher in bfloat16 beside float32")
    parser.add_argument("--recompute", action="store_true", help="activations computed again, as the run's recompute")
    parser.add_argument("--compile", action="store_true", help="the forward pass by torch.compile")
    parser.add_argument("--save", type=Path, help="write the average's weights here")
    options = parser.parse_args()
    if len(options.objective) > 1:
        words = [word for word in sys.argv[1:] if word not in {"--objective", *options.objective}]
        for name in options.objective:
            subprocess.run([sys.executable, __file__, *words, "--objective", name], check=True)
        return
    config = load_toml(options.run, RunConfig)
    with tempfile.TemporaryDirectory() as out:
        run = changed(config, options, next(iter(options.objective), ""), out)
        told = {
            "run": options.run.name,
            **measure(run, options.save, average=not options.no_average, half_teacher=options.half_teacher),
            "precision": run.precision,
        }
    told["objective_settings"] = {
        name: value for name, value in asdict(run.objective).items() if name in ("equal_share", "full_share")
    }
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
