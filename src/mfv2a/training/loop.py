"""The training loop: batches in, a network out. Knows no task, no file format of data and no terminal."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mfv2a.config import OptimizerConfig, RunConfig
from mfv2a.disk import writing
from mfv2a.errors import ConfigError, DivergenceError, StartError
from mfv2a.training.adversarial import Contest, rated_weights
from mfv2a.training.ema import EMA
from mfv2a.training.state import load_state, save_state, step_generator
from mfv2a.training.tasks import Task
from mfv2a.training.team import Team
from mfv2a.training.wrapping import Wrapped, whole

Log = Callable[[Mapping[str, Any]], None]
DIVERGED = "diverged.json"
FIXED = ("task", "seed", "batch_size", "frozen")
"""What a run must keep when it is taken up again: the rows and noise of each step hang on it, and which weights have
moments."""
TOLD = ("crop_s", "objective", "sources")
"""What may be another when a run is taken up again, and is told then."""
log = logging.getLogger(__name__)


def learning_rate(config: OptimizerConfig, step: int, progress: float) -> float:
    """Rate of a step: linear warm-up, then cosine decay to a twentieth, steps down to tenths, or constant.

    Args:
        config: the optimiser.
        step: number of the step, from 0.
        progress: share of the run done, 0 to 1.
    """
    warm = min(1.0, (step + 1) / max(1, config.warmup_steps))
    if config.decay == "cosine":
        warm *= 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    if config.decay == "step":
        warm *= 0.1 ** sum(progress >= share for share in config.decay_at)
    return config.learning_rate * warm


@dataclass
class Training:
    """A run in progress.

    Attributes:
        config: the run.
        task: network and loss.
        batches: makes the stream of batches from a given step on; of a team's process, its own rows.
        log: takes a record every `log_every` steps; called in the team's first process alone.
        should_stop: asked after each step; True saves and ends the run early, wherever in the team it is said.
        team: the processes that share the run.
        validate: measures the network; its numbers are logged.
    """

    config: RunConfig
    task: Task
    batches: Callable[[int], Iterable[Mapping[str, Tensor]]]
    log: Log
    should_stop: Callable[[], bool] = lambda: False
    team: Team = field(default_factory=Team)
    validate: Callable[[Wrapped, Team], Mapping[str, float]] | None = None
    step: int = 0
    seconds: float = 0.0
    wrapped: Wrapped = field(init=False)
    ema: EMA = field(init=False)
    optimizer: torch.optim.AdamW = field(init=False)
    _is_whole: bool = field(default=True, init=False)  # between two steps, not within one

    def __post_init__(self) -> None:
        o = self.config.optimizer
        self.wrapped = Wrapped(self.task.network, self.team, self.config.parallel)
        self.ema = EMA(self.task.network, o.ema)
        groups = rated_weights(self.task.network, o.learning_rate)
        fused = self.team.device.type == "cuda" or None
        self.optimizer = torch.optim.AdamW(
            groups, o.learning_rate, (0.9, o.beta2), o.eps, weight_decay=o.weight_decay, fused=fused
        )
        facts = load_state(Path(self.config.out), self.task.network, self.ema, self.optimizer, self._compare)
        if facts is not None:
            self.step, self.seconds = facts["step"], facts["seconds"]

    def finished(self) -> bool:
        """Whether all steps or all minutes are used."""
        minutes = self.config.minutes
        return self.step >= self.config.steps or bool(minutes and self.seconds >= 60 * minutes)

    def progress(self) -> float:
        """Share of the run done, by steps or by time, whichever is further."""
        by_time = self.seconds / (60 * self.config.minutes) if self.config.minutes else 0.0
        return max(self.step / self.config.steps, by_time)

    def run(self) -> bool:
        """Train until the end or until asked to stop; saves in both cases.

        Returns:
            True if the run is finished.

        Raises:
            DivergenceError: a loss was not finite; the weights are those before that step.
            StartError: nothing can be written into the run's folder, for instance the disk is full; or a process that
                makes batches was ended from outside.
        """
        try:
            self._learn()
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            if self._is_whole and self.team.size == 1:
                self.save()
            hint = "memory may be short: use fewer workers or a smaller batch; the same line goes on from the last save"
            raise StartError("a process that makes batches was ended from outside", hint=hint) from error
        self.save()
        return self.finished()

    def _learn(self) -> None:
        """Take step after step until the end or until asked to stop."""
        began = last_saved = time.monotonic()
        self.task.network.train()
        if not self.finished():
            for batch in self.batches(self.step):
                record = self._advance({name: tensor.to(self.team.device) for name, tensor in batch.items()})
                now = time.monotonic()
                spent, began = self.seconds + now - began, now
                due = now - last_saved > 60 * self.config.checkpoint_minutes
                self.seconds, save = self.team.add_up([spent, float(due)] if self.team.first else [0.0, 0.0])
                self._tell(record)
                self._measure()
                (stop,) = self.team.add_up([float(self.should_stop())])
                if self.finished() or stop:
                    break
                if save:
                    self.save()
                    last_saved = time.monotonic()

    def save(self) -> None:
        """Write a checkpoint; every process of the team must call this."""
        facts = {"step": self.step, "seconds": self.seconds, "run": self._fixed(), "model": self._sizes()}
        facts["told"] = plain({name: asdict(self.config)[name] for name in TOLD})
        keep, first = self.config.checkpoint_keep, self.team.first
        save_state(Path(self.config.out), self.task.network, self.ema, self.optimizer, facts, keep=keep, write=first)
        self.team.wait()

    def _compare(self, facts: Mapping[str, Any]) -> None:
        sizes = self._sizes()
        model = {name: value for name, value in facts.get("model", {}).items() if name in sizes}
        kept = {**facts["run"], **{f"model.{name}": value for name, value in model.items()}}
        own = {**self._fixed(), **{f"model.{name}": value for name, value in sizes.items()}}
        for name, value in kept.items():
            if own.get(name) != value:
                raise ConfigError(
                    f"{self.config.out} holds a run with {name} = {value!r}, not {own.get(name)!r}",
                    hint="give this run another folder; it can start from the weights of that one (init)",
                )
        now = plain(asdict(self.config))
        changed = [name for name, value in facts.get("told", {}).items() if now.get(name) != value]
        if changed and self.team.first:
            at, out = facts["step"], self.config.out
            log.warning("%s goes on from step %d with another %s than before", out, at, ", ".join(changed))

    def _sizes(self) -> dict[str, Any]:
        """What decides the function of the network, as JSON has it; {} where the network does not say."""
        network = self.task.network
        config = getattr(network.maker if isinstance(network, Contest) else network, "config", None)
        return dict(plain(asdict(config))) if config is not None else {}

    def _fixed(self) -> dict[str, Any]:
        """What a run keeps, as JSON has it."""
        return dict(plain({name: getattr(self.config, name) for name in FIXED}))

    def _advance(self, batch: Mapping[str, Tensor]) -> dict[str, float]:
        """One step: its loss and figures, of this process's rows alone."""
        rate = learning_rate(self.config.optimizer, self.step, self.progress())
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["share"]
        self.optimizer.zero_grad(set_to_none=True)
        loss, numbers = self._gradient(batch)
        weights = self.task.network.parameters()
        clipped = torch.nn.utils.clip_grad_norm_(weights, self.config.optimizer.clip or math.inf)
        norm = float(whole(clipped))
        if not math.isfinite(loss) or not math.isfinite(norm):
            self._tell_divergence(batch, loss, norm)
        self._is_whole = False
        self.optimizer.step()
        self.step += 1
        self.ema.update(self.task.network, self.step)
        self._is_whole = True
        return {"loss": loss, "grad_norm": norm, "lr": rate, **numbers}

    def _tell(self, record: Mapping[str, float]) -> None:
        """Log a step whose turn it is, and the last one; every process of the team must call this."""
        if self.step % self.config.log_every and not self.finished():
            return
        own = [name for name in record if name not in ("loss", "grad_norm", "lr")]
        means = self.team.add_up([record[name] / self.team.size for name in own])
        if self.team.first:
            told = {"step": self.step, "seconds": round(self.seconds, 1), **record}
            self.log(told | dict(zip(own, means, strict=True)))

    def _gradient(self, batch: Mapping[str, Tensor]) -> tuple[float, dict[str, float]]:
        """Add up the gradient over the parts of a batch: the team's mean loss, and this process's numbers."""
        rows = len(next(iter(batch.values())))
        size = -(-rows // self.config.accumulate)
        total, numbers = 0.0, dict[str, float]()
        for start in range(0, rows, size):
            part = {name: tensor[start : start + size] for name, tensor in batch.items()}
            share = len(next(iter(part.values()))) / rows
            generator = step_generator(self.config.seed, self.step)
            work = partial(self.task.loss, part, step=self.step, generator=generator)
            kind = self.team.device.type
            autocast = torch.autocast(kind, torch.bfloat16, enabled=self.config.precision == "bfloat16")
            with self.wrapped.sharing(start + size >= rows):
                with autocast:
                    loss, values = self.wrapped.run(work)
                (loss * share).backward()
            total += share * float(loss.detach())
            numbers = {name: numbers.get(name, 0.0) + share * value for name, value in values.items()}
        return self.team.add_up([total / self.team.size])[0], numbers

    def _tell_divergence(self, batch: Mapping[str, Tensor], loss: float, norm: float) -> None:
        """Write the batch down and stop; the optimiser has not moved."""
        rows = [row for rows in self.team.collect(_describe(batch)) for row in rows]
        path = Path(self.config.out) / DIVERGED
        if self.team.first:
            facts = {"step": self.step, "seed": self.config.seed, "loss": str(loss), "grad_norm": str(norm)}
            with writing(path) as pending:
                pending.write_text(json.dumps({**facts, "rows": rows}, indent=1), encoding="utf-8")
        what = f"loss is {loss}" if not math.isfinite(loss) else f"gradient is {norm}"
        raise DivergenceError(
            f"{what} at step {self.step}; its rows are in {path}", hint="lower the learning rate or look at the data"
        )

    def _measure(self) -> None:
        every = self.config.validation.every
        if self.validate is None or not every or (self.step % every and not self.finished()):
            return
        self.task.network.eval()
        with self.ema.in_place_of(self.task.network):
            numbers = self.validate(self.wrapped, self.team)
        self.task.network.train()
        if self.team.first:
            self.log({"step": self.step, **{f"validation/{name}": value for name, value in numbers.items()}})


def plain(value: Any) -> Any:
    """A value as it comes back from JSON."""
    return json.loads(json.dumps(value))


def _describe(batch: Mapping[str, Tensor]) -> list[dict[str, Any]]:
    """What is known of each row: its whole numbers (row, source, item), and the largest value of each feature."""
    rows: list[dict[str, Any]] = [{} for _ in next(iter(batch.values()))]
    for name, tensor in batch.items():
        for row, value in zip(rows, tensor, strict=True):
            if value.dim() == 0:
                row[name] = value.item()
            elif value.is_floating_point():
                row[name] = {"finite": bool(value.isfinite().all()), "largest": str(float(value.abs().max()))}
    return rows
