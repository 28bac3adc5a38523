"""Two processes against one: the same rows, times and noise, the same weights afterwards."""

from __future__ import annotations

import socket

import pytest
import torch
import torch.multiprocessing

from mfv2a.errors import ConfigError
from mfv2a.training.team import Team, join_team
from training.team_cases import OBJECTIVES, outcome, run_cases, start

PARALLEL = ("ddp", "fsdp")
QUICK = ("meanflow-rare", "meanflow-input")


def run_team(folder, names, more):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(run_cases, (2, str(folder), port, names, more), nprocs=2)
    return torch.load(folder / "results.pt")


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    return run_team(tmp_path_factory.mktemp("team"), tuple(OBJECTIVES), True)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    results = {}
    for name, objective in OBJECTIVES.items():
        training = start(folder / name, objective, Team())
        assert training.run()
        results[name] = outcome(training)
    return results


def compare(found, expected):
    assert found["tensors"].keys() == expected["tensors"].keys()
    for name, tensor in expected["tensors"].items():
        assert torch.allclose(found["tensors"][name], tensor, rtol=1e-5, atol=1e-7), name
    assert len(found["log"]) == len(expected["log"])
    for ours, theirs in zip(found["log"], expected["log"], strict=True):
        told = {key: value for key, value in theirs.items() if key != "seconds"}
        assert {key: ours[key] for key in told} == pytest.approx(told, rel=1e-4, abs=1e-6)


def test_two_processes_learn_by_meanflow_what_one_learns(tmp_path, alone):
    found = run_team(tmp_path, QUICK, False)
    for name in QUICK:
        for parallel in PARALLEL:
            compare(found[name, parallel], alone[name])
    assert any(key.startswith("w_embed") for key in alone["meanflow-input"]["tensors"])


@pytest.mark.slow
@pytest.mark.parametrize("parallel", PARALLEL)
@pytest.mark.parametrize("name", OBJECTIVES)
def test_two_processes_learn_what_one_learns(together, alone, name, parallel):
    compare(together[name, parallel], alone[name])


@pytest.mark.slow
@pytest.mark.parametrize("parallel", PARALLEL)
def test_parts_and_activations_computed_again_change_nothing(together, alone, parallel):
    compare(together["frugal", parallel], alone["meanflow"])


@pytest.mark.slow
@pytest.mark.parametrize("parallel", PARALLEL)
def test_a_team_that_stopped_goes_on_as_if_it_had_not(together, parallel):
    straight, resumed = together["meanflow", parallel], together["resumed", parallel]
    for name, tensor in straight["tensors"].items():
        assert torch.equal(resumed["tensors"][name], tensor), name


def test_weights_have_moved_in_every_case(alone):
    for name, result in alone.items():
        other = alone["flow-matching" if name != "flow-matching" else "meanflow"]
        assert not torch.allclose(
            result["tensors"]["final_layer.conv.weight"], other["tensors"]["final_layer.conv.weight"]
        )


def test_rows_that_cannot_be_dealt_evenly_are_refused():
    assert [list(Team(rank, 4).rows(8)) for rank in range(4)] == [[0, 1], [2, 3], [4, 5], [6, 7]]
    with pytest.raises(ConfigError, match="evenly to 3"):
        Team(0, 3).rows(8)


def test_without_torchrun_a_process_is_alone(monkeypatch):
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    with join_team(torch.device("cpu")) as team:
        assert (team.rank, team.size, team.first) == (0, 1, True)
        assert team.add_up([2.0]) == [2.0]
