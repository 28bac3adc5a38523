"""The loop: resume equals not having stopped, bad losses stop before the update, schedules."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from mfv2a.config import ObjectiveConfig, OptimizerConfig, RunConfig, SourceConfig
from mfv2a.data.dataset import Source, StepDataset, batches
from mfv2a.errors import CheckpointError, DivergenceError
from mfv2a.models.mmaudio import MMAudio, MMAudioConfig
from mfv2a.models.vae import VAE, VAEConfig
from mfv2a.training.ema import EMA
from mfv2a.training.loop import Training, learning_rate
from mfv2a.training.step import GeneratorTask
from mfv2a.training.tasks import VAETask, spectral_distance


def draw_mel(rng):
    return {"mel": rng.normal(-3, 1, (80, 16)).astype(np.float32)}


def start(tmp_path, steps=6, stop_after=None, draw=draw_mel, out="run", **changes):
    torch.manual_seed(0)
    config = RunConfig(
        task="vae", out=str(tmp_path / out), steps=steps, batch_size=2, log_every=1, workers=0,
        sources=(SourceConfig(type="scenes"),), optimizer=OptimizerConfig(warmup_steps=2, ema=0.5), **changes,
    )  # fmt: skip
    dataset = StepDataset([Source(draw)], batch_size=2, seed=3)
    logged = []
    training = Training(
        config,
        VAETask(VAE(VAEConfig.tiny())),
        lambda first: batches(dataset, first=first, steps=steps, workers=0),
        logged.append,
        lambda: stop_after is not None and len(logged) >= stop_after,
    )
    return training, logged


def test_resume_equals_not_having_stopped(tmp_path):
    straight, logged = start(tmp_path, out="straight")
    assert straight.run()
    first, _ = start(tmp_path, out="broken", stop_after=3)
    assert not first.run()
    second, resumed = start(tmp_path, out="broken")
    assert second.step == 3
    assert second.run()
    assert [r["step"] for r in resumed] == [4, 5, 6]
    assert [r["loss"] for r in resumed] == [r["loss"] for r in logged[3:]]
    for name, tensor in straight.task.network.state_dict().items():
        assert torch.equal(tensor, second.task.network.state_dict()[name])
        assert torch.equal(straight.ema.state[name], second.ema.state[name])


def test_a_loss_that_is_not_finite_stops_before_the_update(tmp_path):
    def poisoned(rng):
        return {"mel": np.full((80, 16), np.nan, np.float32)}

    training, _ = start(tmp_path, draw=poisoned)
    before = {k: v.clone() for k, v in training.task.network.state_dict().items()}
    with pytest.raises(DivergenceError, match="step 0"):
        training.run()
    assert all(torch.equal(v, before[k]) for k, v in training.task.network.state_dict().items())


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    training, _ = start(tmp_path, steps=1)
    training.run()
    config = training.config
    with pytest.raises(CheckpointError, match="checkpoint"):
        Training(config, VAETask(VAE(VAEConfig(dim=12))), lambda _: [], lambda _: None)


def test_a_finished_run_does_nothing_more(tmp_path):
    start(tmp_path, steps=2)[0].run()
    again, logged = start(tmp_path, steps=2)
    assert again.run()
    assert logged == []


def test_learning_rate_warms_up_and_falls_to_a_twentieth():
    config = OptimizerConfig(learning_rate=1.0, warmup_steps=10)
    assert learning_rate(config, 0, 0.0) == pytest.approx(0.1)
    assert learning_rate(config, 9, 0.0) == pytest.approx(1.0)
    assert learning_rate(config, 99, 0.5) == pytest.approx(0.05 + 0.95 / 2)
    assert learning_rate(config, 99, 1.0) == pytest.approx(0.05)
    assert learning_rate(replace(config, decay="constant"), 99, 1.0) == 1.0


def test_average_moves_towards_the_weights():
    layer = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(layer.weight)
    ema = EMA(layer, 0.9)
    torch.nn.init.ones_(layer.weight)
    ema.update(layer, 1000)
    assert ema.state["weight"].item() == pytest.approx(0.1)
    ema.update(layer, 0)
    assert ema.state["weight"].item() == pytest.approx(0.1 * 0.1 + 0.9)


def test_batches_are_functions_of_seed_and_step():
    dataset = StepDataset([Source(draw_mel, 1.0), Source(draw_mel, 3.0)], batch_size=4, seed=1)
    assert torch.equal(dataset[5]["mel"], dataset[5]["mel"])
    assert not torch.equal(dataset[5]["mel"], dataset[6]["mel"])
    later = list(batches(dataset, first=5, steps=7, workers=0))
    assert len(later) == 2
    assert torch.equal(later[0]["mel"], dataset[5]["mel"])


def generator_batch(rows=6):
    g = torch.Generator().manual_seed(0)
    return {
        "latent": torch.randn(rows, 10, 20, generator=g),
        "clip": torch.randn(rows, 1, 384, generator=g),
        "sync": torch.randn(rows, 8, 64, generator=g),
        "text": torch.randn(rows, 16, 384, generator=g),
        "has_video": torch.tensor([True] * (rows // 2) + [False] * (rows - rows // 2)),
        "has_text": torch.ones(rows, dtype=torch.bool),
    }


@pytest.mark.parametrize(
    "objective",
    [
        ObjectiveConfig(name="flow-matching"),
        ObjectiveConfig(name="meanflow", equal_share=0.5),
        ObjectiveConfig(name="meanflow", equal_share=1.0),
        ObjectiveConfig(name="meanflow", omega=0.5, kappa=0.5),
    ],
    ids=["flow", "meanflow", "equal-times", "guided"],
)
def test_every_objective_trains_the_generator(objective):
    torch.manual_seed(0)
    network = MMAudio(MMAudioConfig.tiny())
    network.initialize(torch.Generator().manual_seed(0))
    task = GeneratorTask(network, objective)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    errors = []
    for step in range(30):
        loss, numbers = task.loss(generator_batch(), step=step, generator=torch.Generator().manual_seed(1))
        assert torch.isfinite(loss)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        errors.append(numbers["mse"])
    assert errors[-1] < 0.9 * errors[0]
    assert network.empty_clip_feat.grad is not None


def test_spectral_distance_is_zero_for_equals_and_grows_with_noise():
    wave = torch.sin(torch.arange(8192) / 9.0)[None]
    noise = torch.randn(1, 8192, generator=torch.Generator().manual_seed(0))
    assert spectral_distance(wave, wave).item() == pytest.approx(0, abs=1e-6)
    assert spectral_distance(wave, wave + 0.01 * noise) < spectral_distance(wave, wave + 0.1 * noise)
    assert math.isfinite(spectral_distance(wave, torch.zeros_like(wave) + 1e-7).item())
