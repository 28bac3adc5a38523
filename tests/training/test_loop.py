"""The loop: resume equals not having stopped, bad losses stop before the update, schedules."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch

from mfv2a.config import ObjectiveConfig, OptimizerConfig, RunConfig, SourceConfig, ValidationConfig
from mfv2a.data.dataset import Source, StepDataset, batches
from mfv2a.errors import CheckpointError, ConfigError, DivergenceError, MediaError, StartError
from mfv2a.models.mmaudio import MMAudio, MMAudioConfig
from mfv2a.models.vae import VAE, VAEConfig
from mfv2a.training.ema import EMA
from mfv2a.training.loop import Training, learning_rate
from mfv2a.training.step import GeneratorTask
from mfv2a.training.tasks import VAETask, spectral_distance
from mfv2a.training.wrapping import recompute_blocks


def draw_mel(rng):
    return {"mel": rng.normal(-3, 1, (80, 16)).astype(np.float32)}


def start(tmp_path, steps=6, stop_after=None, draw=draw_mel, out="run", clip=1.0, **changes):
    torch.manual_seed(0)
    config = RunConfig(
        task="vae", out=str(tmp_path / out), steps=steps, batch_size=2, log_every=1, workers=0,
        sources=(SourceConfig(type="scenes"),), optimizer=OptimizerConfig(warmup_steps=2, ema=0.5, clip=clip),
        **changes,
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


def test_the_last_step_of_a_run_that_ends_by_time_is_logged_and_validated(tmp_path):
    held_out = ValidationConfig(every=900, sources=(SourceConfig(type="sounds", path="held-out"),))
    training, logged = start(tmp_path, steps=1000, minutes=0.02)
    training.config = replace(training.config, log_every=900)
    object.__setattr__(training.config, "validation", held_out)  # a codec's run would refuse it
    training.validate = lambda wrapped, team: {"mse": 1.0}
    assert training.run()
    assert 0 < training.step < 900
    assert [(record["step"], "loss" in record, "validation/mse" in record) for record in logged] == [
        (training.step, True, False), (training.step, False, True),
    ]  # fmt: skip


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
    with pytest.raises(ConfigError, match=r"holds a run with model\.dim = \d+, not 12"):
        Training(config, VAETask(VAE(VAEConfig(dim=12))), lambda _: [], lambda _: None)
    other = VAE(VAEConfig.tiny())
    other.decoder = torch.nn.Identity()
    with pytest.raises(CheckpointError, match="checkpoint"):
        Training(config, VAETask(other), lambda _: [], lambda _: None)


def test_a_clip_of_0_leaves_gradients_as_they_are(tmp_path):
    runs = [start(tmp_path, 2, out=f"run-{clip}", clip=clip)[0] for clip in (0.0, 1e9, 1e-9)]
    for training in runs:
        training.run()
    none, loose, tight = (torch.cat([w.flatten() for w in each.task.network.parameters()]) for each in runs)
    assert torch.equal(none, loose)
    assert not torch.equal(none, tight)


def test_what_changed_when_a_run_is_taken_up_is_told(tmp_path, caplog):
    start(tmp_path, steps=2)[0].run()
    start(tmp_path, steps=4, minutes=9.0)
    assert not caplog.messages, "the length of a run may change"
    start(tmp_path, steps=4, crop_s=2.0, objective=ObjectiveConfig(alpha=0.5))
    assert caplog.messages == [f"{tmp_path / 'run'} goes on from step 2 with another crop_s, objective than before"]


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
    steps = replace(config, decay="step", decay_at=(0.8, 0.9))
    rates = [learning_rate(steps, 99, progress) for progress in (0.79, 0.8, 0.95)]
    assert rates == pytest.approx([1.0, 0.1, 0.01])


def test_average_moves_towards_the_weights():
    layer = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(layer.weight)
    ema = EMA(layer, 0.9)
    torch.nn.init.ones_(layer.weight)
    ema.update(layer, 1000)
    assert ema.state["weight"].item() == pytest.approx(0.1)
    ema.update(layer, 0)
    assert ema.state["weight"].item() == pytest.approx(0.1 * 0.1 + 0.9)


def test_weights_come_back_when_the_average_cannot_take_their_place():
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    average = EMA(network, 0.9)
    average.state = {name: value + 1 for name, value in average.state.items()}
    average.state["1.bias"] = torch.zeros(3)  # a failure half-way
    with pytest.raises(RuntimeError), average.in_place_of(network):
        pass
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_rows_are_functions_of_seed_step_and_number():
    dataset = StepDataset([Source(draw_mel, 1.0), Source(draw_mel, 3.0)], batch_size=4, seed=1)
    assert torch.equal(dataset[5]["mel"], dataset[5]["mel"])
    assert not torch.equal(dataset[5]["mel"], dataset[6]["mel"])
    part = StepDataset(dataset.sources, batch_size=4, seed=1, rows=range(2, 4))[5]
    assert torch.equal(part["mel"], dataset[5]["mel"][2:])
    assert part["row"].tolist() == [2, 3]
    later = list(batches(dataset, first=5, steps=7, workers=0))
    assert len(later) == 2
    assert torch.equal(later[0]["mel"], dataset[5]["mel"])


def some_network(seed, **changes):
    """A tiny generator whose output is not zero."""
    torch.manual_seed(seed)
    network = MMAudio(replace(MMAudioConfig.tiny(), **changes))
    generator = torch.Generator().manual_seed(seed)
    network.initialize(generator)
    for weight in (network.final_layer.conv.weight, network.final_layer.adaLN_modulation[1].weight):
        torch.nn.init.normal_(weight, std=0.05, generator=generator)
    return network


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
        ObjectiveConfig(name="alphaflow", equal_share=0.5),
        ObjectiveConfig(name="distill", teacher="given", equal_share=0.5),
        ObjectiveConfig(name="distill", teacher="given", distill_by="alphaflow", teacher_cfg=1.0),
        ObjectiveConfig(name="energy", equal_share=0.5),
    ],
    ids=["flow", "meanflow", "equal-times", "guided", "alphaflow", "distill", "distill-alphaflow", "energy"],
)
def test_every_objective_trains_the_generator(objective):
    torch.manual_seed(0)
    network = MMAudio(MMAudioConfig.tiny())
    network.initialize(torch.Generator().manual_seed(0))
    teacher = some_network(7).requires_grad_(False) if objective.teacher else None
    task = GeneratorTask(network, objective, teacher=teacher)
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


@pytest.mark.parametrize("name", ["flow-matching", "energy"])
def test_flow_matching_draws_one_logit_normal_time_a_row(name):
    network, seen = some_network(3), []
    network.register_forward_hook(lambda _, __, kwargs, ___: seen.append(kwargs["t"].float()), with_kwargs=True)
    objective = ObjectiveConfig(name=name, equal_share=1.0, time_mean=0.5, time_std=0.7)
    GeneratorTask(network, objective).loss(generator_batch(2000), step=0, generator=torch.Generator().manual_seed(1))
    times = torch.logit(seen[0].double())
    assert times.mean().item() == pytest.approx(0.5, abs=0.06)
    assert times.std().item() == pytest.approx(0.7, abs=0.06)


def gradients(network, objective, autocast=False, **options):
    network.zero_grad()
    task = GeneratorTask(network, objective, **options)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        loss, numbers = task.loss(generator_batch(), step=9, generator=torch.Generator().manual_seed(1))
    loss.backward()
    return {name: weight.grad.clone() for name, weight in network.named_parameters()}, numbers


@pytest.mark.parametrize("name", ["meanflow", "alphaflow"])
def test_activations_computed_again_give_the_same_gradient(name):
    objective = ObjectiveConfig(name=name, equal_share=0.5, jvp_ramp_steps=1)
    expected, _ = gradients(some_network(1), objective)
    frugal = some_network(1)
    recompute_blocks(frugal)
    calls = []
    frugal.fused_blocks[0].ffn.register_forward_hook(lambda *_: calls.append(torch.is_grad_enabled()))
    found, _ = gradients(frugal, objective)
    assert calls.count(True) == 2, "once forth and once back"
    assert all(torch.allclose(found[name], grad, atol=1e-6) for name, grad in expected.items())


def test_bfloat16_gives_nearly_the_gradient_of_float32_guidance_included():
    objective = ObjectiveConfig(name="meanflow", equal_share=0.5, jvp_ramp_steps=1, omega=0.6, kappa=0.5)
    expected, _ = gradients(some_network(1), objective)
    found, _ = gradients(some_network(1), objective, autocast=True)
    exact = torch.cat([grad.flatten() for grad in expected.values()])
    near = torch.cat([grad.flatten() for grad in found.values()])
    assert torch.linalg.vector_norm(near - exact) < 0.1 * torch.linalg.vector_norm(exact)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
def test_a_compiled_forward_pass_gives_the_same_gradient():
    objective = ObjectiveConfig(name="meanflow", equal_share=0.5, jvp_ramp_steps=1)
    expected, _ = gradients(some_network(1), objective)
    found, _ = gradients(some_network(1), objective, compiled=True)
    assert all(torch.allclose(found[name], grad, atol=1e-5) for name, grad in expected.items())


def test_a_student_starts_as_its_teacher_on_the_turned_clock_too():
    turned = {"average": False, "noise_at_zero": True}
    teacher = some_network(3, **turned).requires_grad_(False)
    student = some_network(4, **{**turned, "average": True})
    student.load_state_dict(teacher.state_dict(), strict=False)
    for teacher_cfg, zero in ((1.0, True), (3.0, False)):
        objective = ObjectiveConfig(name="distill", teacher="given", equal_share=1.0, teacher_cfg=teacher_cfg)
        _, numbers = gradients(student, objective, teacher=teacher)
        assert (numbers["mse"] < 1e-12) is zero, "the rows with r = t ask for the teacher's own velocity"


def test_an_average_velocity_needs_a_second_time():
    with pytest.raises(ConfigError, match="second time"):
        GeneratorTask(some_network(0, average=False), ObjectiveConfig(name="meanflow"))
    task = GeneratorTask(some_network(0, average=False), ObjectiveConfig(name="flow-matching"))
    assert torch.isfinite(task.loss(generator_batch(), step=0, generator=torch.Generator())[0])


def test_spectral_distance_is_zero_for_equals_and_grows_with_noise():
    wave = torch.sin(torch.arange(8192) / 9.0)[None]
    noise = torch.randn(1, 8192, generator=torch.Generator().manual_seed(0))
    assert spectral_distance(wave, wave).item() == pytest.approx(0, abs=1e-6)
    assert spectral_distance(wave, wave + 0.01 * noise) < spectral_distance(wave, wave + 0.1 * noise)
    assert math.isfinite(spectral_distance(wave, torch.zeros_like(wave) + 1e-7).item())


def test_an_error_of_a_source_stays_what_it_is_in_a_process_of_its_own():
    def draw(rng):
        raise MediaError("a.wav", "cannot be read", hint="mend it")

    for workers in (0, 1):
        with pytest.raises(MediaError, match=r"^cannot be read$") as caught:
            next(batches(StepDataset([Source(draw)], batch_size=1, seed=0), first=0, steps=2, workers=workers))
        assert (caught.value.path.name, caught.value.hint, caught.value.detail) == ("a.wav", "mend it", "")


def test_the_end_of_a_process_that_makes_batches_cuts_no_step(tmp_path):
    before = signal.getsignal(signal.SIGCHLD)
    stream = batches(StepDataset([Source(draw_mel)], batch_size=2, seed=3), first=0, steps=9, workers=1)
    next(stream)
    assert signal.getsignal(signal.SIGCHLD) == before
    for child in multiprocessing.active_children():
        child.kill()
        child.join()
    with pytest.raises(RuntimeError, match="DataLoader worker"):
        list(stream)


@pytest.mark.parametrize("error", [ConnectionResetError("reset"), EOFError(), FileNotFoundError("socket")])
def test_a_process_that_dies_while_its_batch_is_fetched_is_told_alike(error, monkeypatch):
    stream = batches(StepDataset([Source(draw_mel)], batch_size=2, seed=3), first=0, steps=9, workers=1)
    next(stream)

    def lose(*_):
        raise error

    monkeypatch.setattr(torch.utils.data.dataloader._MultiProcessingDataLoaderIter, "_try_get_data", lose)
    with pytest.raises(RuntimeError, match="DataLoader worker was lost") as caught:
        next(stream)
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_that_a_source_misses_is_no_lost_process(workers):
    def draw(rng):
        raise FileNotFoundError("a.wav")

    with pytest.raises(FileNotFoundError, match=r"a\.wav"):
        next(batches(StepDataset([Source(draw)], batch_size=1, seed=0), first=0, steps=2, workers=workers))


def test_a_process_that_is_ended_from_outside_is_told_and_what_was_learned_is_kept(tmp_path):
    def draw(rng):
        if os.getpid() != here and (tmp_path / "end").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        return draw_mel(rng)

    here = os.getpid()
    training, logged = start(tmp_path, steps=10_000)
    dataset = StepDataset([Source(draw)], batch_size=2, seed=3)
    training.batches = lambda first: batches(dataset, first=first, steps=10_000, workers=1)
    training.should_stop = lambda: len(logged) == 3 and (tmp_path / "end").touch() is not None
    with pytest.raises(StartError, match="ended from outside") as caught:
        training.run()
    assert "fewer workers" in caught.value.hint
    again, _ = start(tmp_path, steps=10_000)
    assert 3 <= again.step == training.step
