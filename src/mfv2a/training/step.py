"""One training step of the generator: conditions, times, path, loss. Joint training is masks, not a second loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from mfv2a.config import ObjectiveConfig
from mfv2a.data.batch import TrainingBatch, drop_conditions
from mfv2a.flow.guidance import Velocity, guided_target
from mfv2a.flow.objective import alphaflow_loss, flow_matching_loss, meanflow_loss
from mfv2a.flow.path import interpolate, sample_times
from mfv2a.models.mmaudio import MMAudio


def bind_conditions(network: MMAudio, batch: TrainingBatch, rows: Tensor | None = None) -> Velocity:
    """The network as u(z, *, r, t), its conditions projected once.

    Args:
        network: the generator.
        batch: features; missing modalities become the learned empty features.
        rows: indices of the rows to bind, all if None.
    """
    if rows is not None:
        batch = TrainingBatch(**{name: getattr(batch, name)[rows] for name in batch.__dataclass_fields__})
    features = network.fill_missing(batch.clip, batch.sync, batch.text, batch.has_video, batch.has_text)
    conditions = network.encode_conditions(*features, batch.latent.shape[1])
    return partial(network, conditions=conditions)


class GeneratorTask:
    """Flow matching, MeanFlow or alpha-Flow on latents, jointly with video, text, both or neither.

    Args:
        network: the generator; `latent_mean` and `latent_std` already set.
        objective: the loss.
    """

    def __init__(self, network: MMAudio, objective: ObjectiveConfig) -> None:
        self.network: nn.Module = network
        self.generator_network, self.objective = network, objective

    def loss(
        self, batch: Mapping[str, Tensor], *, step: int, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """Loss on a batch with the fields of `TrainingBatch`."""
        o, network = self.objective, self.generator_network
        full = TrainingBatch(**batch)
        dropped = drop_conditions(full, both=o.drop_both, video=o.drop_video, text=o.drop_text, generator=generator)
        x = (full.latent - network.latent_mean) / network.latent_std
        e = torch.randn(x.shape, generator=generator).to(x)
        times = {"mean": o.time_mean, "std": o.time_std, "generator": generator}
        if o.name == "flow-matching":
            _, t = sample_times(len(x), equal_share=1.0, **times)  # type: ignore[arg-type]
            z, v = interpolate(x, e, t.to(x))
            error = flow_matching_loss(bind_conditions(network, dropped), z, v, t.to(x))
            return error.mean(), {"mse": error.mean().item()}
        r, t = sample_times(len(x), equal_share=o.equal_share, full_share=o.full_share, **times)  # type: ignore[arg-type]
        r, t = r.to(x), t.to(x)
        z, v = interpolate(x, e, t)
        v = self._guided(full, dropped, z, v, t)
        rows = (r < t).nonzero()[:, 0]
        ramp = min(1.0, (step + 1) / max(1, o.jvp_ramp_steps))
        velocity = bind_conditions(network, dropped)
        with torch.no_grad():
            frozen = bind_conditions(network, dropped, rows) if len(rows) else velocity
        if o.name == "alphaflow":
            alpha = 1 + ramp * (o.alpha - 1)
            weighted, error = alphaflow_loss(velocity, frozen, z, v, r, t, alpha=alpha, power=o.power)
        else:
            # Fused attention has no forward-mode derivative; the written-out kernel has.
            with sdpa_kernel(SDPBackend.MATH):
                weighted, error = meanflow_loss(velocity, frozen, z, v, r, t, power=o.power, jvp_scale=ramp)
        apart = error[rows].mean().item() if len(rows) else 0.0
        return weighted.mean(), {"mse": error.mean().item(), "mse_apart": apart}

    def _guided(self, full: TrainingBatch, dropped: TrainingBatch, z: Tensor, v: Tensor, t: Tensor) -> Tensor:
        """Bake guidance into the velocity of rows that keep a condition."""
        o = self.objective
        if o.omega == 1.0 and o.kappa == 0.0:
            return v
        nothing = torch.zeros_like(full.has_video)
        with torch.no_grad():
            conditional = bind_conditions(self.generator_network, dropped)(z, r=t, t=t)
            empty = replace(dropped, has_video=nothing, has_text=nothing)
            unconditional = bind_conditions(self.generator_network, empty)(z, r=t, t=t)
        guided = guided_target(v, conditional, unconditional, omega=o.omega, kappa=o.kappa)
        kept = (dropped.has_video | dropped.has_text)[:, None, None]
        return torch.where(kept, guided, v)
