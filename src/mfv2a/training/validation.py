"""How well the moving average does on held-out rows, in latent space, at several numbers of steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor

from mfv2a.config import ObjectiveConfig, ValidationConfig
from mfv2a.models.mmaudio import MMAudio
from mfv2a.training.state import step_generator
from mfv2a.training.step import GeneratorTask
from mfv2a.training.team import Team
from mfv2a.training.wrapping import Wrapped


def kernel_distance(first: Tensor, second: Tensor) -> float:
    """Squared maximum mean discrepancy of two sets of vectors in pairs, unbiased: around zero where they are alike.

    The kernel is k(a, b) = (a . b / D + 1)^3. What was made of a row is nearer to that row than to others, so no row is
    set against its own.

    Args:
        first: [K, D], K >= 2.
        second: [K, D], each row the true one of the first's.

    Source: Binkowski et al., "Demystifying MMD GANs", arXiv 1801.01401, section 4; the estimator is equation (4) of
    Gretton et al., "A Kernel Two-Sample Test", JMLR 13, 2012.
    """
    a, b = first.double(), second.double()

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        return (x @ y.T / x.shape[1] + 1).pow(3)

    def of_others(x: Tensor, y: Tensor) -> Tensor:
        values = kernel(x, y)
        return (values.sum() - values.diagonal().sum()) / (len(x) * (len(x) - 1))

    return float(of_others(a, a) + of_others(b, b) - 2 * of_others(a, b))


def summarize(latent: Tensor) -> Tensor:
    """Mean and deviation over time of each channel: [B, N, C] to [B, 2C]."""
    return torch.cat([latent.mean(1), latent.std(1)], 1)


@dataclass
class Validation:
    """Measures a generator on the same rows with the same noise each time.

    Attributes:
        config: which numbers of steps, how many rows.
        network: the generator.
        objective: of the run; one of flow matching is sampled as Euler does.
        batch: this process's rows, with their numbers in `row`.
        part: rows at a time.
        seed: of times and noise.
        shown: after a measurement, normalised latents of `config.shown` of this process's rows [K, N, C]: "held out",
            and "1 step" and so on.
    """

    config: ValidationConfig
    network: MMAudio
    objective: ObjectiveConfig
    batch: Mapping[str, Tensor]
    part: int
    seed: int
    shown: dict[str, Tensor] = field(default_factory=dict)

    def __call__(self, wrapped: Wrapped, team: Team) -> dict[str, float]:
        """The numbers; all processes take part and get the same ones.

        Returns:
            `flow`: |u(z, t, t) - (e - x)|^2, against the velocity without guidance, so that it may rise while guidance
            in the target is learned; for n steps `mse@n`: mean squared distance to the row's own latent;
            `kernel@n`: `kernel_distance` of `summarize` between what was made and what was held out.
        """
        plain = self.objective.plain()
        flow = GeneratorTask(self.network, plain, total=self.config.rows)
        learned = (
            plain
            if self.objective.name == "flow-matching"
            else replace(plain, name="meanflow", guidance=self.objective.guidance)
        )
        made = GeneratorTask(self.network, learned, total=self.config.rows)
        errors = []
        for part in self._parts():
            with torch.no_grad():
                loss = wrapped.run(partial(flow.loss, part, step=0, generator=step_generator(self.seed, 0)))[0]
            errors.append(loss.float().expand(len(part["row"])))
        numbers = {"flow": float(team.gather(torch.cat(errors)).mean())}
        for steps in self.config.steps:
            numbers |= self._measure(made, steps, wrapped, team)
        return numbers

    def _measure(self, task: GeneratorTask, steps: int, wrapped: Wrapped, team: Team) -> dict[str, float]:
        ours, theirs, errors, first_rows = [], [], [], []
        for part in self._parts():
            work = partial(task.samples, part, steps=steps, generator=step_generator(self.seed, 1))
            made, held = wrapped.run(work)
            errors.append((made - held).float().square().flatten(1).mean(1))
            ours.append(summarize(made.float()))
            theirs.append(summarize(held.float()))
            first_rows.append(torch.stack([held, made]).float().cpu())
        held_out, sampled = torch.cat(first_rows, 1)[:, : self.config.shown]
        self.shown |= {"held out": held_out, f"{steps} step{'s' * (steps != 1)}": sampled}
        first, second = team.gather(torch.cat(ours)), team.gather(torch.cat(theirs))
        mse = float(team.gather(torch.cat(errors)).mean())
        return {f"mse@{steps}": mse, f"kernel@{steps}": kernel_distance(first, second)}

    def _parts(self) -> Sequence[dict[str, Tensor]]:
        rows = len(self.batch["row"])
        return [
            {name: tensor[start : start + self.part] for name, tensor in self.batch.items()}
            for start in range(0, rows, self.part)
        ]
