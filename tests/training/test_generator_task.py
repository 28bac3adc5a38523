"""What a generator's loss makes of each setting of its objective."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from test_guidance_input import batch, generator

from mfv2a.config import ObjectiveConfig
from mfv2a.flow.guidance import combine
from mfv2a.training import step as steps
from mfv2a.training.step import GeneratorTask
from training.team_cases import tiny_network


def objective(name: str, **settings: Any) -> ObjectiveConfig:
    """One that drops no condition and does not weigh errors, if nothing else is said."""
    return ObjectiveConfig(**{"name": name, "drop_both": 0, "drop_video": 0, "drop_text": 0, "power": 0.0, **settings})


def loss_of(task: GeneratorTask, rows: dict[str, torch.Tensor], step: int = 0) -> float:
    return task.loss(rows, step=step, generator=generator(1))[0].item()


def test_rows_without_any_condition_are_not_guided() -> None:
    none = torch.zeros(3, dtype=torch.bool)
    rows = {**batch(), "has_video": none, "has_text": none}
    # both branches are one here: guided, (omega + kappa - 1) (v - u) would be added to v
    plain, guided = (
        loss_of(GeneratorTask(tiny_network(), objective("meanflow", equal_share=1.0, omega=omega, kappa=kappa)), rows)
        for omega, kappa in ((1.0, 0.0), (0.6, 0.5))
    )
    assert guided == pytest.approx(plain, rel=1e-12)


@pytest.mark.parametrize(("share", "dropped", "kept"), [("drop_video", "clip", "text"), ("drop_text", "text", "clip")])
def test_the_shares_drop_the_conditions_that_they_name(share: str, dropped: str, kept: str) -> None:
    task, rows = GeneratorTask(tiny_network(), objective("flow-matching", **{share: 1.0})), batch()
    loss = loss_of(task, rows)
    assert loss_of(task, {**rows, dropped: 2 * rows[dropped]}) == loss
    assert loss_of(task, {**rows, kept: 2 * rows[kept]}) != loss


def test_latents_are_normalised_by_the_networks_mean_and_deviation() -> None:
    network, rows = tiny_network(), batch()
    network.latent_mean[:], network.latent_std[:] = 3.0, 2.0
    _, held = GeneratorTask(network, objective("flow-matching")).samples(rows, steps=1, generator=generator())
    assert torch.allclose(held, (rows["latent"] - 3) / 2)


@pytest.mark.parametrize(
    ("name", "passed_on", "expected"),
    [("meanflow", "jvp_scale", [0.1, 0.5, 1, 1]), ("alphaflow", "alpha", [0.92, 0.6, 0.2, 0.2])],
)
def test_what_sets_an_average_apart_grows_over_the_ramp(
    name: str, passed_on: str, expected: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[float] = []
    loss = getattr(steps, f"{name}_loss")

    def watched(*inputs: Any, **options: Any) -> Any:
        told.append(options[passed_on])
        return loss(*inputs, **options)

    monkeypatch.setattr(steps, f"{name}_loss", watched)
    task = GeneratorTask(tiny_network(), objective(name, equal_share=0.0, jvp_ramp_steps=10, alpha=0.2))
    for step in (0, 4, 9, 99):
        loss_of(task, batch(), step)
    assert told == pytest.approx(expected)


def test_the_full_share_of_the_rows_gets_the_whole_interval() -> None:
    network, seen = tiny_network(), []
    network.register_forward_hook(lambda _, __, times, ___: seen.append(times), with_kwargs=True)
    loss_of(GeneratorTask(network, objective("alphaflow", equal_share=0.0, full_share=1.0)), batch())
    assert (seen[0]["r"].tolist(), seen[0]["t"].tolist()) == ([0, 0, 0], [1, 1, 1])


@pytest.mark.parametrize("rescale", [False, True])
def test_a_teachers_unconditional_branch_is_scaled_where_asked(rescale: bool) -> None:
    student, teacher = tiny_network(), tiny_network(1).requires_grad_(False)
    made: list[torch.Tensor] = []
    taught: list[torch.Tensor] = []
    student.register_forward_hook(lambda _, __, out: made.append(out.detach()))
    teacher.register_forward_hook(lambda _, __, out: taught.append(out))
    settings = {"teacher": "given", "teacher_cfg": 3.0, "teacher_rescale": rescale, "equal_share": 1.0}
    loss = loss_of(GeneratorTask(student, objective("distill", **settings), teacher=teacher), batch())
    target = combine(*taught[0].chunk(2), 3.0, rescale=rescale)
    assert loss == pytest.approx((made[-1] - target).square().mean().item(), rel=1e-4)
