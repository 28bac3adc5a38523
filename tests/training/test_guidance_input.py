"""The weight of guidance as an input of the network: drawn in training, in the target, from zero."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mfv2a.config import ObjectiveConfig, RunConfig, SourceConfig
from mfv2a.errors import ConfigError
from mfv2a.flow.guidance import combine, guided_target
from mfv2a.models.mmaudio import MMAudio
from mfv2a.training.step import GeneratorTask, bind_conditions, draw_guidance
from mfv2a.training.team import Team
from training.team_cases import TINY, start, tiny_network

W = torch.tensor([1.0, 2.0, 5.0])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def guided_network():
    network = MMAudio(replace(TINY, guided=True))
    network.initialize(generator())
    network.double()
    network.load_state_dict(tiny_network().state_dict(), strict=False)
    return network


def inputs():
    g = generator(5)
    return {name: torch.randn(3, *shape, generator=g).double() for name, shape in
            {"z": (6, 4), "clip": (2, 8), "sync": (8, 8), "text": (4, 8)}.items()}  # fmt: skip


def test_a_network_begins_equal_to_the_one_without_the_input_whatever_the_weight():
    plain, guided, x = tiny_network(), guided_network(), inputs()
    conditions = plain.encode_conditions(x["clip"], x["sync"], x["text"], 6)
    t, r = torch.tensor([0.3, 0.8, 1.0]).double(), torch.tensor([0.1, 0.8, 0.0]).double()
    expected = plain(x["z"], t=t, r=r, conditions=conditions)
    for weight in (None, W, 0 * W):
        assert torch.equal(guided(x["z"], t=t, r=r, guidance=weight, conditions=conditions), expected)
    torch.nn.init.normal_(guided.w_embed.mlp[2].weight)
    assert not torch.allclose(guided(x["z"], t=t, r=r, guidance=W, conditions=conditions), expected)
    with pytest.raises(ConfigError, match="does not take"):
        plain(x["z"], t=t, r=r, guidance=W, conditions=conditions)


@pytest.mark.parametrize("kappa", [0.0, 0.5])
def test_the_target_of_each_row_is_that_of_its_weight(kappa):
    # The guided field is the fixed point: with v and both branches constant, w v + (1 - w) u0.
    v, unconditional = torch.full((3, 2, 2), 3.0), torch.full((3, 2, 2), 1.0)
    field = combine(v, unconditional, W, rescale=False)
    assert torch.allclose(field[:, 0, 0], 3 * W + (1 - W))
    assert torch.allclose(guided_target(v, field, unconditional, omega=W * (1 - kappa), kappa=kappa), field)


@pytest.mark.parametrize(("how", "mean"), [("uniform", 4.0), ("log-uniform", 6 / torch.tensor(7.0).log().item())])
def test_weights_are_drawn_from_the_range(how, mean):
    drawn = draw_guidance(ObjectiveConfig(guidance=(1.0, 7.0), guidance_draw=how), 20000, generator())
    assert drawn.min() >= 1
    assert drawn.max() <= 7
    assert drawn.mean().item() == pytest.approx(mean, rel=0.02)
    assert draw_guidance(ObjectiveConfig(), 3, generator()) is None


def batch():
    x = inputs()
    ones = torch.ones(3, dtype=torch.bool)
    return {"latent": x["z"], "clip": x["clip"], "sync": x["sync"], "text": x["text"], "has_video": ones,
            "has_text": ones}  # fmt: skip


@pytest.mark.parametrize("kappa", [0.0, 0.3])
def test_the_loss_guides_each_row_by_the_weight_that_the_network_is_told(kappa):
    objective = ObjectiveConfig(
        name="meanflow", equal_share=1.0, power=0.0, guidance=(2.0, 6.0), kappa=kappa, drop_both=0.0, drop_video=0.0,
        drop_text=0.0,
    )  # fmt: skip
    network, seen = guided_network(), []
    task = GeneratorTask(network, objective)
    network.register_forward_hook(lambda _, a, k, out: seen.append((a[0], k, out.detach())), with_kwargs=True)
    loss, _ = task.loss(batch(), step=0, generator=generator(3))
    weight = seen[0][1]["guidance"]
    assert len(set(weight.tolist())) == 3
    assert all(torch.equal(k["guidance"], weight) for _, k, _ in seen)
    conditional, (z, k, unconditional), prediction = seen[0][2], seen[1], seen[-1][2]
    t = k["t"][:, None, None]
    x = batch()["latent"]
    v = (z - x) / t  # z = x + t (e - x)
    field = weight[:, None, None] * v + (1 - weight[:, None, None]) * unconditional
    target = (1 - kappa) * field + kappa * conditional  # whose fixed point is the field of this weight
    assert loss.item() == pytest.approx((prediction - target).square().mean().item(), rel=1e-4)


def test_a_teacher_is_guided_by_each_rows_weight():
    objective = ObjectiveConfig(
        name="distill", teacher="given", equal_share=1.0, power=0.0, guidance=(2.0, 6.0), drop_both=0, drop_video=0,
        drop_text=0,
    )  # fmt: skip
    student, teacher, seen, told = guided_network(), tiny_network(1).requires_grad_(False), [], []
    student.register_forward_hook(lambda _, a, k, out: seen.append((k, out.detach())), with_kwargs=True)
    teacher.register_forward_hook(lambda _, a, k, out: told.append(out), with_kwargs=True)
    loss, _ = GeneratorTask(student, objective, teacher=teacher).loss(batch(), step=0, generator=generator(3))
    conditional, unconditional = told[0].chunk(2)
    weight = seen[-1][0]["guidance"][:, None, None]
    target = unconditional + weight * (conditional - unconditional)
    assert loss.item() == pytest.approx((seen[-1][1] - target).square().mean().item(), rel=1e-4)


@pytest.mark.parametrize("name", ["meanflow", "alphaflow"])
def test_the_weight_changes_the_network_after_training(tmp_path, name):
    objective = ObjectiveConfig(name=name, equal_share=0.5, jvp_ramp_steps=1, guidance=(1.0, 7.0), kappa=0.3)
    training = start(tmp_path, objective, Team(), network=guided_network())
    training.run()
    network = training.task.network
    assert network.w_embed.mlp[2].weight.abs().max() > 0
    velocities = [bind_conditions(network, as_batch(), guidance=torch.full((3,), w)) for w in (1.0, 6.0)]
    t = torch.full((3,), 0.9).double()
    low, high = (velocity(inputs()["z"], r=0 * t, t=t) for velocity in velocities)
    assert (high - low).abs().max() > 1e-6


def as_batch():
    from mfv2a.data.batch import TrainingBatch

    return TrainingBatch(**batch())


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"guidance": (3.0,)}, "lowest and a highest"),
        ({"guidance": (7.0, 1.0)}, "lowest and a highest"),
        ({"guidance": (0.0, 1.0)}, "lowest and a highest"),
        ({"guidance": (1.0, 7.0), "omega": 2.0}, "does not go with omega"),
        ({"guidance": (1.0, 7.0), "kappa": 1.0}, "kappa"),
        ({"guidance": (1.0, 7.0), "name": "flow-matching"}, "does not go with flow-matching"),
    ],
)
def test_ranges_that_cannot_be_are_refused(values, told):
    with pytest.raises(ConfigError, match=told):
        ObjectiveConfig(**values)


def test_network_and_objective_must_agree():
    with pytest.raises(ConfigError, match="takes its weight"):
        GeneratorTask(tiny_network(), ObjectiveConfig(guidance=(1.0, 7.0)))
    with pytest.raises(ConfigError, match="learns it from a range"):
        RunConfig(
            task="generator",
            out="x",
            steps=1,
            sources=(SourceConfig(type="features", path="features"),),
            model={"guided": True},
        )
    with pytest.raises(ConfigError, match="goes with an average"):
        replace(TINY, average=False, guided=True)
