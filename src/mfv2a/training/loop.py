"""The training loop: batches in, a network out. Knows no task, no file format of data and no terminal."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mfv2a.config import OptimizerConfig, RunConfig
from mfv2a.errors import DivergenceError
from mfv2a.training.ema import EMA
from mfv2a.training.state import NAME, load_state, save_state, step_generator
from mfv2a.training.tasks import Task

Log = Callable[[Mapping[str, Any]], None]


def learning_rate(config: OptimizerConfig, step: int, progress: float) -> float:
    """Rate of a step: linear warm-up, then cosine decay to a twentieth, or constant.

    Args:
        config: the optimiser.
        step: number of the step, from 0.
        progress: share of the run done, 0 to 1.
    """
    warm = min(1.0, (step + 1) / max(1, config.warmup_steps))
    if config.decay == "cosine":
        warm *= 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    return config.learning_rate * warm


@dataclass
class Training:
    """A run in progress.

    Attributes:
        config: the run.
        task: network and loss.
        batches: makes the stream of batches from a given step on.
        log: takes a record every `log_every` steps.
        should_stop: asked after each step; True saves and ends the run early.
    """

    config: RunConfig
    task: Task
    batches: Callable[[int], Iterable[Mapping[str, Tensor]]]
    log: Log
    should_stop: Callable[[], bool] = lambda: False
    step: int = 0
    seconds: float = 0.0
    ema: EMA = field(init=False)
    optimizer: torch.optim.AdamW = field(init=False)

    def __post_init__(self) -> None:
        o = self.config.optimizer
        self.ema = EMA(self.task.network, o.ema)
        self.optimizer = torch.optim.AdamW(
            self.task.network.parameters(), lr=o.learning_rate, betas=(0.9, o.beta2), weight_decay=o.weight_decay
        )
        run = Path(self.config.out)
        if (run / NAME).exists():
            facts = load_state(run, self.task.network, self.ema, self.optimizer)
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
        """
        last_saved = time.monotonic()
        self.task.network.train()
        if not self.finished():
            for batch in self.batches(self.step):
                began = time.monotonic()
                self._advance(batch)
                self.seconds += time.monotonic() - began
                if time.monotonic() - last_saved > 60 * self.config.checkpoint_minutes:
                    self.save()
                    last_saved = time.monotonic()
                if self.finished() or self.should_stop():
                    break
        self.save()
        return self.finished()

    def save(self) -> None:
        """Write a checkpoint."""
        facts = {"step": self.step, "seconds": self.seconds}
        save_state(Path(self.config.out), self.task.network, self.ema, self.optimizer, facts)

    def _advance(self, batch: Mapping[str, Tensor]) -> None:
        rate = learning_rate(self.config.optimizer, self.step, self.progress())
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        autocast = torch.autocast("cpu", torch.bfloat16, enabled=self.config.precision == "bfloat16")
        with autocast:
            loss, numbers = self.task.loss(batch, step=self.step, generator=step_generator(self.config.seed, self.step))
        if not torch.isfinite(loss):
            raise DivergenceError(
                f"loss is {loss.item()} at step {self.step}", hint="lower the learning rate or look at the data"
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.task.network.parameters(), self.config.optimizer.clip)
        if not torch.isfinite(norm):
            raise DivergenceError(f"gradient is {norm.item()} at step {self.step}")
        self.optimizer.step()
        self.step += 1
        self.ema.update(self.task.network, self.step)
        if self.step % self.config.log_every == 0 or self.finished():
            record = {"step": self.step, "seconds": round(self.seconds, 1), "loss": loss.item(), **numbers}
            self.log({**record, "grad_norm": norm.item(), "lr": rate})
