"""One training step of the generator: conditions, times, path, loss. Joint training is masks, not a second loop.

Whatever is drawn, is drawn for all rows of the step and then taken for those at hand, so that the same step is made
of the same rows, times and noise, however many processes and parts share it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from mfv2a.config import ObjectiveConfig
from mfv2a.data.batch import TrainingBatch, disturb_text, drop_conditions
from mfv2a.errors import ConfigError
from mfv2a.flow.guidance import Velocity, guide, guided_target
from mfv2a.flow.objective import (
    adaptive_weight,
    alphaflow_loss,
    distill_loss,
    energy_score,
    flow_matching_loss,
    mean_square,
    meanflow_loss,
    sequence_distance,
)
from mfv2a.flow.path import interpolate, sample_time, sample_times
from mfv2a.flow.sampler import ignore_interval, sample
from mfv2a.models.mmaudio import Conditions, MMAudio

FIELDS = tuple(TrainingBatch.__dataclass_fields__)


def project_conditions(network: MMAudio, batch: TrainingBatch) -> Conditions:
    """Conditions of a batch; missing modalities become the learned empty features."""
    features = network.fill_missing(batch.clip, batch.sync, batch.text, batch.has_video, batch.has_text)
    return network.encode_conditions(*features, batch.latent.shape[1])


def bind_conditions(
    network: MMAudio,
    batch: TrainingBatch,
    rows: Tensor | None = None,
    *,
    call: Callable[..., Tensor] | None = None,
    guidance: Tensor | None = None,
) -> Velocity:
    """The network as u(z, *, r, t), its conditions projected once.

    Args:
        network: the generator; one of the instantaneous velocity does not look at r.
        batch: features; missing modalities become the learned empty features.
        rows: indices of the rows to bind, all if None.
        call: the network's forward pass, where it is another function (compiled).
        guidance: weight w of each row [B], for a network that takes it; none if None.
    """
    if rows is not None:
        batch = TrainingBatch(**{name: getattr(batch, name)[rows] for name in FIELDS})
    velocity = partial(network if call is None else call, conditions=project_conditions(network, batch))
    if guidance is not None:
        velocity = partial(velocity, guidance=guidance if rows is None else guidance[rows])
    return velocity if network.config.average else ignore_interval(velocity)


def differentiable(velocity: Velocity) -> Velocity:
    """The same velocity by written-out attention: the fused kernels have no forward-mode derivative."""

    def exact(z: Tensor, *, r: Tensor, t: Tensor) -> Tensor:
        with sdpa_kernel(SDPBackend.MATH):
            return velocity(z, r=r, t=t)

    return exact


def draw_guidance(objective: ObjectiveConfig, rows: int, generator: torch.Generator) -> Tensor | None:
    """A weight of guidance for each row [B], from the objective's range; None where it has none."""
    if not objective.guidance:
        return None
    low, high = objective.guidance
    share = torch.rand(rows, generator=generator)
    if objective.guidance_draw == "log-uniform":
        return low * (high / low) ** share
    return low + (high - low) * share


class GeneratorTask:
    """One of the objectives on latents, jointly with video, text, both or neither.

    Args:
        network: the generator; `latent_mean` and `latent_std` already set.
        objective: the loss.
        total: rows of a step over all processes and parts; 0 where a batch always holds them all.
        teacher: of "distill"; without gradients.
        compiled: the forward pass with gradient by torch.compile; the derivative's stays as it is.

    Raises:
        ConfigError: a network without a second time is to learn an average velocity, or one that does not take the
            weight of guidance is to learn to.
    """

    def __init__(
        self,
        network: MMAudio,
        objective: ObjectiveConfig,
        *,
        total: int = 0,
        teacher: MMAudio | None = None,
        compiled: bool = False,
    ) -> None:
        if objective.name != "flow-matching" and not network.config.average:
            raise ConfigError(f"{objective.name} needs a network with a second time", hint="[model] average = true")
        if objective.guidance and not network.config.guided:
            raise ConfigError("guidance = ... needs a network that takes its weight", hint="[model] guided = true")
        self.network: nn.Module = network
        self.generator_network, self.objective, self.total, self.teacher = network, objective, total, teacher
        self.call: Callable[..., Tensor] = torch.compile(network) if compiled else network

    def loss(
        self, batch: Mapping[str, Tensor], *, step: int, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """Mean loss of a batch: the fields of `TrainingBatch` and, where `total` is given, `row`, the rows' numbers."""
        o = self.objective
        full, here, total = self._rows(batch)
        draw = torch.rand(total, generator=generator)[here]
        dropped = drop_conditions(
            full, both=o.drop_both, video=o.drop_video, text=o.drop_text, draw=draw.to(full.latent.device)
        )
        if o.text_noise:
            share = (o.text_noise * torch.rand(total, generator=generator))[here].to(full.text)
            noise = torch.randn(total, *full.text.shape[1:], generator=generator)[here].to(full.text)
            dropped = disturb_text(dropped, noise, share)
        x = self._normalized(full)
        e = torch.randn(total, *x.shape[1:], generator=generator)[here].to(x)
        times = {"mean": o.time_mean, "std": o.time_std, "generator": generator}
        if o.name == "energy":
            return self._energy_loss(dropped, x, e, generator, here, total)
        if o.name == "flow-matching":
            t = sample_time(total, **times)[here].to(x)  # type: ignore[arg-type]
            z, v = interpolate(x, e, t)
            error = flow_matching_loss(bind_conditions(self.generator_network, dropped, call=self.call), z, v, t)
            return error.mean(), {"mse": error.mean().item()}
        pairs = sample_times(total, equal_share=o.equal_share, full_share=o.full_share, **times)  # type: ignore[arg-type]
        r, t = (time[here].to(x) for time in pairs)
        w = draw_guidance(o, total, generator)
        z, v = interpolate(x, e, t)
        apart, among = (r < t).nonzero()[:, 0], int((pairs[0] < pairs[1]).sum())
        # Where parameters are gathered for each pass, every process must make as many passes: a row with r = t then
        # takes part, which changes nothing.
        rows = apart.new_zeros(1) if among and not len(apart) else apart
        weighted, error = self._average_loss(dropped, z, v, r, t, rows, step, None if w is None else w[here].to(x))
        told = {"mse": error.mean().item()}
        if among:  # weighted by rows over parts and processes, this adds up to the mean over the rows with r < t
            told["mse_apart"] = error[apart].sum().item() * total / (len(x) * among)
        return weighted.mean(), told

    def _energy_loss(
        self,
        dropped: TrainingBatch,
        x: Tensor,
        e: Tensor,
        generator: torch.Generator,
        here: Tensor,
        total: int,
    ) -> tuple[Tensor, dict[str, float]]:
        """Two sounds of one step each for most rows, by the energy score; flow matching, twice, for the others."""
        o = self.objective
        again = torch.randn(total, *x.shape[1:], generator=generator)[here].to(x)
        equal = torch.rand(total, generator=generator) < o.equal_share
        still = equal[here].to(x.device)
        times = {"mean": o.time_mean, "std": o.time_std, "generator": generator}
        drawn = [sample_time(total, **times)[here].to(x) for _ in range(2)]  # type: ignore[arg-type]
        t = torch.cat([torch.where(still, each, 1.0) for each in drawn])
        r = torch.where(still.repeat(2), t, 0.0)
        z, v = interpolate(x.repeat(2, 1, 1), torch.cat([e, again]), t)
        both = TrainingBatch(**{name: torch.cat([getattr(dropped, name)] * 2) for name in FIELDS})
        u = bind_conditions(self.generator_network, both, call=self.call)(z, r=r, t=t)
        one, other = (z - u).chunk(2)
        score = energy_score(one, other, x, sequence_distance)
        mse = mean_square(u, v).unflatten(0, (2, -1)).mean(0)
        loss = torch.where(still, adaptive_weight(mse, power=o.power), score)
        # Weighted by rows over parts and processes, these add up to the means over the rows of each kind.
        moved, held = (total / (len(x) * max(1, int(kind.sum()))) for kind in (~equal, equal))
        told = {"energy_score": (~still * score).sum().item() * moved, "mse": (still * mse).sum().item() * held}
        return loss.mean(), told

    def _average_loss(
        self,
        dropped: TrainingBatch,
        z: Tensor,
        v: Tensor,
        r: Tensor,
        t: Tensor,
        rows: Tensor,
        step: int,
        w: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Weighted loss and squared error per sample of the objectives that learn an average velocity."""
        o, network = self.objective, self.generator_network
        v = self._guided(dropped, z, v, t, w)
        ramp = min(1.0, (step + 1) / max(1, o.jvp_ramp_steps))
        alpha = 1 + ramp * (o.alpha - 1)
        velocity = bind_conditions(network, dropped, call=self.call, guidance=w)
        with torch.no_grad():
            frozen = bind_conditions(network, dropped, rows, guidance=w) if len(rows) else velocity
        if o.name == "alphaflow":
            return alphaflow_loss(velocity, frozen, z, v, r, t, alpha=alpha, rows=rows, power=o.power)
        if o.name == "meanflow":
            exact = differentiable(frozen)
            return meanflow_loss(velocity, exact, z, v, r, t, rows=rows, power=o.power, jvp_scale=ramp)
        by_steps = o.distill_by == "alphaflow"
        return distill_loss(
            velocity,
            frozen if by_steps else differentiable(frozen),
            self._teacher_velocity(dropped, w),
            z,
            r,
            t,
            alpha=alpha if by_steps else None,
            rows=rows,
            power=o.power,
            jvp_scale=ramp,
        )

    @torch.no_grad()
    def samples(self, batch: Mapping[str, Tensor], *, steps: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Normalised latents that the network makes for a batch's conditions, and those of the batch: [B, N, C] each.

        Args:
            batch: as for `loss`.
            steps: of the sampler; with flow matching they are Euler's.
            generator: of the noise.
        """
        full, here, total = self._rows(batch)
        x = self._normalized(full)
        e = torch.randn(total, *x.shape[1:], generator=generator)[here].to(x)
        weight = self.objective.usual_guidance
        w = None if weight is None else torch.full((len(x),), weight, device=x.device)
        bound = bind_conditions(self.generator_network, full, guidance=w)
        euler = self.objective.name == "flow-matching"

        def velocity(z: Tensor, *, r: Tensor, t: Tensor) -> Tensor:
            return bound(z, r=t if euler else r, t=t)

        return sample(velocity, e, steps=steps), x

    def _rows(self, batch: Mapping[str, Tensor]) -> tuple[TrainingBatch, Tensor, int]:
        """The features, their rows' numbers [B] on the CPU and how many rows there are in all."""
        full = TrainingBatch(**{name: batch[name] for name in FIELDS})
        if self.total:
            return full, batch["row"].cpu(), self.total
        return full, torch.arange(len(full.latent)), len(full.latent)

    def _normalized(self, batch: TrainingBatch) -> Tensor:
        network = self.generator_network
        return (batch.latent - network.latent_mean) / network.latent_std

    def _teacher_velocity(self, dropped: TrainingBatch, w: Tensor | None) -> Velocity:
        """The teacher's guided velocity; rows without a condition are the same with and without guidance."""
        o, teacher = self.objective, self.teacher
        if teacher is None:
            raise ConfigError("distill needs a teacher")
        if o.teacher_cfg == 1.0 and w is None:
            return bind_conditions(teacher, dropped)
        nothing = torch.zeros_like(dropped.has_video)
        empty = replace(dropped, has_video=nothing, has_text=nothing)
        both = TrainingBatch(**{name: torch.cat([getattr(dropped, name), getattr(empty, name)]) for name in FIELDS})
        return guide(bind_conditions(teacher, both), o.teacher_cfg if w is None else w, rescale=o.teacher_rescale)

    def _guided(self, dropped: TrainingBatch, z: Tensor, v: Tensor, t: Tensor, w: Tensor | None) -> Tensor:
        """Bake guidance into the velocity of rows that keep a condition, of the weight that each row was given."""
        o = self.objective
        if o.name == "distill" or (w is None and o.omega == 1.0 and o.kappa == 0.0):
            return v
        nothing = torch.zeros_like(dropped.has_video)
        with torch.no_grad():
            conditional = bind_conditions(self.generator_network, dropped, guidance=w)(z, r=t, t=t)
            empty = replace(dropped, has_video=nothing, has_text=nothing)
            unconditional = bind_conditions(self.generator_network, empty, guidance=w)(z, r=t, t=t)
        omega = o.omega if w is None else w * (1 - o.kappa)
        guided = guided_target(v, conditional, unconditional, omega=omega, kappa=o.kappa)
        kept = (dropped.has_video | dropped.has_text)[:, None, None]
        return torch.where(kept, guided, v)
