"""`mfv2a train`: a RUN.toml in, a folder with weights, checkpoints and a log out."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import nn

from mfv2a.config import RunConfig
from mfv2a.data.dataset import Source, StepDataset, batches
from mfv2a.errors import ConfigError
from mfv2a.models.mel import MelSpectrogram
from mfv2a.models.weights import build_network, load_network, load_strict, save_network
from mfv2a.training.loop import Training
from mfv2a.training.step import GeneratorTask
from mfv2a.training.tasks import SyncTask, Task, VAETask, VocoderTask

Report = Callable[[Mapping[str, Any]], None]
STATISTICS_BATCHES = 12
STATISTICS_FIRST = 1 << 40  # batches that no run reaches


def train(config: RunConfig, report: Report) -> Path:
    """Train to the end of the run, or until SIGTERM or Ctrl-C, which save and stop.

    Args:
        config: the run.
        report: takes the log records.

    Returns:
        `final.safetensors` of the run when it is finished, else its checkpoint (after a signal, that signal comes
        again once everything is saved).

    Raises:
        ConfigError: sources or components that cannot feed the task.
        CheckpointError: weights that do not fit.
        DivergenceError: a loss was not finite.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    sources = _sources(config)
    dataset = StepDataset(sources, batch_size=config.batch_size, seed=config.seed)
    network = _network(config)
    if not config.init:
        _set_statistics(network, config, dataset)
    out = Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    with _StopFlag() as stop, (out / "log.jsonl").open("a", encoding="utf-8") as log:

        def write(record: Mapping[str, Any]) -> None:
            log.write(json.dumps(dict(record)) + "\n")
            log.flush()
            report(record)

        stream = partial(_stream, dataset, config)
        training = Training(config, _task(config, network), stream, write, stop.is_set)
        finished = training.run()
    if not finished:
        stop.raise_again()
        return out / "checkpoint.safetensors"
    facts = {"steps": training.step, "seconds": round(training.seconds), "run": _plain(asdict(config))}
    return save_network(out / "final.safetensors", config.task, network, state=training.ema.state, facts=facts)


def _plain(value: Any) -> Any:
    """Mappings and tuples as JSON takes them."""
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value


def _stream(dataset: StepDataset, config: RunConfig, first: int) -> Any:
    return batches(dataset, first=first, steps=config.steps, workers=config.workers)


def _sources(config: RunConfig) -> list[Source]:
    if config.task == "generator":
        from mfv2a.jobs.generator_sources import build_generator_sources

        return build_generator_sources(config)
    from mfv2a.jobs.sources import build_sources

    return build_sources(config)


def _network(config: RunConfig) -> nn.Module:
    network = build_network(config.task, dict(config.model))
    if config.task == "generator":
        network.initialize(torch.Generator().manual_seed(config.seed))  # type: ignore[operator]
    if config.init:
        start, _ = load_network(Path(config.init), config.task)
        tensors = start.state_dict()
        if config.task == "generator":
            # A flow-matching network has no second time yet: it starts as zero, which changes nothing.
            own = network.state_dict()
            tensors |= {k: v for k, v in own.items() if k.startswith("h_embed.") and k not in tensors}
        load_strict(network, tensors, Path(config.init))
    return network


def _task(config: RunConfig, network: Any) -> Task:
    if config.task == "vae":
        return VAETask(network)
    if config.task == "sync":
        return SyncTask(network)
    if config.task == "vocoder":
        return VocoderTask(network, MelSpectrogram())
    return GeneratorTask(network, config.objective)


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


class _StopFlag:
    """Set by SIGTERM and Ctrl-C while open; the handlers before it come back afterwards."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._number: int | None = None
        self._before: dict[int, Any] = {}

    def is_set(self) -> bool:
        """Whether a signal came."""
        return self._event.is_set()

    def __enter__(self) -> _StopFlag:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._set)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def raise_again(self) -> None:
        """Deliver the signal to whoever handled it before: the run is saved, the process may end."""
        if self._number is not None:
            signal.raise_signal(self._number)

    def _set(self, number: int, _frame: FrameType | None) -> None:
        self._number = number
        self._event.set()


def read_run(path: Path) -> RunConfig:
    """The run of a RUN.toml.

    Raises:
        ConfigError: see `mfv2a.config.load_toml`; the run's folder must not hold another task's checkpoint.
    """
    from mfv2a.config import load_toml

    config = load_toml(path, RunConfig)
    if config.task == "generator" and any(source.type != "features" for source in config.sources):
        raise ConfigError("a generator learns from stored features", hint="make them with mfv2a extract")
    return config
