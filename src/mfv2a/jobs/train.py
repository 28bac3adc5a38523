"""`mfv2a train`: a RUN.toml in, a folder with weights, checkpoints and a log out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from mfv2a.config import RunConfig
from mfv2a.data.dataset import Source, StepDataset, batches
from mfv2a.errors import CheckpointError, ConfigError
from mfv2a.jobs.joining import feature_digests
from mfv2a.jobs.lock import alone
from mfv2a.jobs.networks import load_teacher, make_network, network_config
from mfv2a.jobs.runlog import RunLog, StopFlag, finite
from mfv2a.loader import pick_device
from mfv2a.models.mel import MelSpectrogram
from mfv2a.models.vae import VAE
from mfv2a.models.weights import load_network, save_network
from mfv2a.training.adversarial import maker_state
from mfv2a.training.loop import Training, plain
from mfv2a.training.state import checkpoint_paths
from mfv2a.training.step import GeneratorTask
from mfv2a.training.tasks import SyncTask, Task, VAETask, VocoderTask
from mfv2a.training.team import Team, join_team
from mfv2a.training.validation import Validation
from mfv2a.training.wrapping import recompute_blocks, whole

Report = Callable[[Mapping[str, Any]], None]
STATISTICS_BATCHES = 12
STATISTICS_FIRST = 1 << 40  # batches that no run reaches
SHORTEST_CROP_S = 0.2
HELD_OUT = 1 << 41  # the batch of held-out rows


def train(config: RunConfig, report: Report, *, resume: bool = False) -> Path | None:
    """Train to the end of the run, or until SIGTERM or Ctrl-C, which save and stop.

    Args:
        config: the run.
        report: takes the log records.
        resume: refuse to begin anew: the run's folder must hold a checkpoint.

    Returns:
        `final.safetensors` of the run when it is finished, else its checkpoint (after a signal, that signal comes
        again once everything is saved); None in a process of a team that does not write.

    Raises:
        ConfigError: sources or components that cannot feed the task, or processes that cannot share it.
        CheckpointError: weights that do not fit, or none to go on from.
        DivergenceError: a loss was not finite.
        StartError: another training is writing into the run's folder, or nothing can be written there.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    if resume and not checkpoint_paths(Path(config.out)):
        raise CheckpointError(f"{config.out} holds no checkpoint to go on from", hint="leave out --resume to begin")
    with join_team(pick_device(config.device)) as team:
        # Only a generator's rows are dealt and drawn by their numbers.
        if team.size > 1 and config.task != "generator":
            raise ConfigError(f"a {config.task} is trained by one process", hint="start it without torchrun")
        with alone(Path(config.out)) if team.first else nullcontext():
            path = _train(config, team, report)
        return path if team.first else None


def _train(config: RunConfig, team: Team, report: Report) -> Path:
    dataset = StepDataset(
        _sources(config), batch_size=config.batch_size, seed=config.seed, rows=team.rows(config.batch_size)
    )
    features = feature_digests(config.sources)
    network, teacher = make_network(config), load_teacher(config)
    if teacher is not None:
        network.latent_mean.copy_(teacher.latent_mean)  # type: ignore[operator]
        network.latent_std.copy_(teacher.latent_std)  # type: ignore[operator]
    elif not config.init:
        _set_statistics(network, config, dataset)
    network.to(team.device)
    if team.device.type == "cuda":
        torch.backends.cudnn.benchmark = True  # shapes are the same at each step
    if config.recompute:
        recompute_blocks(network)
    task = _task(config, network, None if teacher is None else teacher.to(team.device))
    task.network.to(team.device)
    out = Path(config.out)
    with StopFlag() as stop, RunLog(out, write=team.first) as log:
        stream = partial(_stream, dataset, config)
        measure = _validation(config, network, team)

        def write(record: Mapping[str, Any]) -> None:
            told = finite(record)
            log.add(told)
            report(told)
            if measure is not None and "validation/flow" in record:
                note = log.add_sheet(record["step"], measure.shown)
                if note:
                    report({"step": record["step"], "note": note})

        training = Training(config, task, stream, write, stop.is_set, team, measure)
        log.take_up(training.step)
        finished = training.run()
    if not finished:
        stop.raise_again()
        return checkpoint_paths(out)[0]
    facts: dict[str, Any] = {"steps": training.step, "seconds": round(training.seconds)}
    facts |= {"run": plain(asdict(config)), "features": features}
    state = {name: whole(tensor) for name, tensor in maker_state(training.ema.state).items()}
    path = out / "final.safetensors"
    return save_network(path, config.task, network, state=state, facts=facts) if team.first else path


def _stream(dataset: StepDataset, config: RunConfig, first: int) -> Any:
    return batches(dataset, first=first, steps=config.steps, workers=config.workers)


def _sources(config: RunConfig) -> list[Source]:
    if config.task == "generator":
        from mfv2a.jobs.generator_sources import build_generator_sources

        return build_generator_sources(config)
    from mfv2a.jobs.sources import build_sources

    return build_sources(config)


def _task(config: RunConfig, network: Any, teacher: Any) -> Task:
    if config.task == "vae":
        return VAETask(network, adversarial=config.adversarial)
    if config.task == "sync":
        return SyncTask(network)
    if config.task == "vocoder":
        device = next(network.parameters()).device
        codec = config.components.get("vae")
        return VocoderTask(
            network,
            MelSpectrogram().to(device),
            codec=None if codec is None else cast(VAE, load_network(Path(codec), "vae")[0]).to(device),
            adversarial=config.adversarial,
        )
    return GeneratorTask(network, config.objective, total=config.batch_size, teacher=teacher, compiled=config.compile)


def _validation(config: RunConfig, network: Any, team: Team) -> Validation | None:
    held = config.validation
    if not held.every:
        return None
    trained_on = {Path(source.path).resolve() for source in config.sources}
    if shared := [source.path for source in held.sources if Path(source.path).resolve() in trained_on]:
        raise ConfigError(f"{shared[0]} is trained on, so it is not held out", hint="give another folder")
    rows = StepDataset(
        _sources(replace(config, sources=held.sources)),
        batch_size=held.rows,
        seed=config.seed,
        rows=team.rows(held.rows),
    )[HELD_OUT]
    batch = {name: tensor.to(team.device) for name, tensor in rows.items()}
    part = -(-config.batch_size // (team.size * config.accumulate))
    return Validation(held, network, config.objective, batch, part, config.seed)


def _set_statistics(network: Any, config: RunConfig, dataset: StepDataset) -> None:
    """Mean and deviation of what the network sees, from the first batches or the extraction's statistics."""
    if config.task == "generator":
        from mfv2a.jobs.generator_sources import latent_statistics

        mean, std = latent_statistics(config)
        network.latent_mean.copy_(torch.from_numpy(mean).reshape(1, 1, -1))
        network.latent_std.copy_(torch.from_numpy(std).reshape(1, 1, -1))
        return
    name = {"vae": "mel", "sync": "motion"}.get(config.task)
    if name is None:
        return
    rows = np.concatenate([dataset[STATISTICS_FIRST + k][name].numpy() for k in range(STATISTICS_BATCHES)])
    if config.task == "vae":
        network.data_mean.copy_(torch.from_numpy(rows.mean((0, 2))).reshape(1, -1, 1))
        network.data_std.copy_(torch.from_numpy(rows.std((0, 2))).reshape(1, -1, 1))
    else:
        network.mean.copy_(torch.from_numpy(rows.mean((0, 1))))
        network.std.copy_(torch.from_numpy(rows.std((0, 1)) + 1e-2))


def read_run(path: Path) -> RunConfig:
    """The run of a RUN.toml.

    Raises:
        ConfigError: see `mfv2a.config.load_toml`; the sizes of `[model]` must make a network.
    """
    from mfv2a.config import load_toml

    config = load_toml(path, RunConfig)
    if config.task == "generator" and any(source.type != "features" for source in config.sources):
        raise ConfigError("a generator learns from stored features", hint="make them with mfv2a extract")
    _check_values(config, path)
    try:
        network_config(config)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}", hint=error.hint) from error
    return config


def _check_values(config: RunConfig, path: Path) -> None:
    """Refuse numbers that no run can work with.

    Raises:
        ConfigError: names the key.
    """
    optimizer, weights = config.optimizer, [source.weight for source in config.sources]
    counts = {key: getattr(config, key) for key in ("workers", "threads", "minutes", "checkpoint_minutes")}
    wrong = {
        "out must name a folder": not config.out,
        **{f"{key} must be 0 or more, not {value:g}": not value >= 0 for key, value in counts.items()},
        f"crop_s must be {SHORTEST_CROP_S} or more, not {config.crop_s:g}": not config.crop_s >= SHORTEST_CROP_S,
        f"optimizer.learning_rate must be positive, not {optimizer.learning_rate}": not optimizer.learning_rate > 0,
        f"optimizer.ema must be at least 0 and below 1, not {optimizer.ema}": not 0 <= optimizer.ema < 1,
        "the weights of sources must be 0 or more, and one of them positive": min(weights) < 0 or not any(weights),
    }
    for key in ("dim", "latent_dim"):
        width = config.model.get(key, 1)
        wrong[f"model.{key} must be a positive number, not {width!r}"] = not (isinstance(width, int) and width > 0)
    ratio = config.model.get("mlp_ratio", 1.0)
    wrong[f"model.mlp_ratio must be above 0, not {ratio!r}"] = not (isinstance(ratio, int | float) and ratio > 0)
    for what, is_wrong in wrong.items():
        if is_wrong:
            raise ConfigError(f"{path}: {what}", hint="docs/TRAINING.md lists the keys")
