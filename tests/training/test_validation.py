"""What is measured on held-out rows."""

from __future__ import annotations

import pytest
import torch

from mfv2a.training.team import Team
from mfv2a.training.validation import kernel_distance, summarize
from training.team_cases import OBJECTIVES, start


def vectors(seed, shift=0.0, rows=200):
    return torch.randn(rows, 6, generator=torch.Generator().manual_seed(seed)) + shift


def test_the_kernel_distance_is_around_zero_for_sets_that_are_alike_and_grows_with_their_distance():
    alike = [kernel_distance(vectors(seed), vectors(seed + 100)) for seed in range(20)]
    assert min(alike) < 0 < max(alike), "unbiased: it may fall below zero"
    assert abs(sum(alike) / 20) < 0.05
    near, far = kernel_distance(vectors(0), vectors(1, 0.5)), kernel_distance(vectors(0), vectors(1, 1.0))
    assert 0.1 < near < far


def test_the_kernel_distance_is_that_of_its_definition():
    a, b = vectors(0, rows=3).double(), vectors(1, rows=3).double()

    def k(x, y):
        return float((x @ y / 6 + 1) ** 3)

    apart = [(i, j) for i in range(3) for j in range(3) if i != j]
    within = sum(k(x[i], x[j]) for x in (a, b) for i, j in apart) / 6
    assert kernel_distance(a, b) == pytest.approx(within - 2 * sum(k(a[i], b[j]) for i, j in apart) / 6)


def test_a_copy_has_no_kernel_distance_however_few_rows_there_are():
    assert kernel_distance(vectors(0, rows=3), vectors(0, rows=3)) == pytest.approx(0, abs=1e-9)


def test_a_latent_is_told_by_mean_and_deviation_of_each_channel():
    latent = torch.tensor([[[1.0, 5.0], [3.0, 5.0]]])
    assert torch.allclose(summarize(latent), torch.tensor([[2.0, 5.0, 2.0**0.5, 0.0]]))


def test_held_out_rows_are_measured_with_the_average_and_leave_the_run_as_it_was(tmp_path):
    measured = start(tmp_path / "a", OBJECTIVES["meanflow"], Team(), steps=6)
    measured.run()
    silent = start(tmp_path / "b", OBJECTIVES["meanflow"], Team(), steps=6)
    silent.validate = None
    silent.run()
    for name, tensor in silent.task.network.state_dict().items():
        assert torch.equal(tensor, measured.task.network.state_dict()[name])
    told = [record for record in measured.logged if "validation/flow" in record]
    assert [record["step"] for record in told] == [1, 2, 3, 4, 5, 6]
    assert {key.split("/")[1] for key in told[0] if key != "step"} == {
        *("flow", "mse@1", "mse@2", "kernel@1", "kernel@2")
    }
    assert told[0]["validation/mse@1"] != told[1]["validation/mse@1"]
    assert list(measured.validate.shown) == ["held out", "1 step", "2 steps"]
    assert all(rows.shape == (4, 6, 4) for rows in measured.validate.shown.values())
    assert not torch.equal(measured.validate.shown["1 step"], measured.validate.shown["2 steps"])
    with measured.ema.in_place_of(measured.task.network):
        again = measured.validate(measured.wrapped, Team())
    assert again == {key.split("/")[1]: value for key, value in told[-1].items() if key != "step"}


def test_each_number_of_steps_begins_from_the_same_noise(tmp_path):
    training = start(tmp_path, OBJECTIVES["meanflow"], Team())
    layer = training.task.network.final_layer.conv
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.constant_(layer.bias, 0.5)
    # a velocity that is the same everywhere makes the same of the same noise, in any number of steps
    numbers = training.validate(training.wrapped, Team())
    assert numbers["mse@1"] == pytest.approx(numbers["mse@2"], rel=1e-6)
