"""Checkpoints: whole or not there, the newest ones kept, damage passed over, a killed process taken up again."""

from __future__ import annotations

import json
import multiprocessing
import random
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mfv2a.errors import CheckpointError, ConfigError, StartError
from mfv2a.training.state import checkpoint_paths, save_state
from mfv2a.training.team import Team
from training.team_cases import OBJECTIVES, outcome, start, tiny_network


def steps_of(out):
    return [int(path.stem.split("-")[1]) for path in checkpoint_paths(out)]


def test_the_newest_checkpoints_are_kept(tmp_path):
    start(tmp_path, OBJECTIVES["flow-matching"], Team(), steps=6, checkpoint_minutes=0.0, checkpoint_keep=3).run()
    assert steps_of(tmp_path) == [6, 5, 4]


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path):
    changes = {"steps": 4, "checkpoint_minutes": 0.0}
    straight = start(tmp_path / "straight", OBJECTIVES["meanflow"], Team(), **changes)
    straight.run()
    first = start(tmp_path / "cut", OBJECTIVES["meanflow"], Team(), **changes)
    first.run()
    newest = checkpoint_paths(tmp_path / "cut")[0]
    newest.write_bytes(newest.read_bytes()[:-100])
    again = start(tmp_path / "cut", OBJECTIVES["meanflow"], Team(), **changes)
    assert again.step == 3
    again.run()
    for name, tensor in outcome(straight)["tensors"].items():
        assert torch.equal(outcome(again)["tensors"][name], tensor), name
    for path in checkpoint_paths(tmp_path / "cut"):
        path.write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="damaged"):
        start(tmp_path / "cut", OBJECTIVES["meanflow"], Team(), **changes)


def test_a_write_that_fails_leaves_the_checkpoint_before_it(tmp_path, monkeypatch):
    training = start(tmp_path, OBJECTIVES["flow-matching"], Team(), steps=1)
    training.run()
    before = {path: path.read_bytes() for path in checkpoint_paths(tmp_path)}

    def half(tensors, path, metadata):
        Path(path).write_bytes(b"half of it")
        raise OSError("no space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", half)
    with pytest.raises(StartError, match="no space"):
        save_state(tmp_path, training.task.network, training.ema, training.optimizer, {"step": 2})
    assert {path: path.read_bytes() for path in checkpoint_paths(tmp_path)} == before
    assert start(tmp_path, OBJECTIVES["flow-matching"], Team(), steps=2).step == 1
    monkeypatch.undo()
    (tmp_path / ".checkpoint-00000002.safetensors.9").write_bytes(b"half of it")
    save_state(tmp_path, training.task.network, training.ema, training.optimizer, {"step": 2})
    assert not list(tmp_path.glob(".checkpoint-*")), "what a killed process left goes with the next one"


def test_a_run_with_another_seed_or_batch_is_not_taken_up(tmp_path):
    start(tmp_path, OBJECTIVES["flow-matching"], Team(), steps=1).run()
    with pytest.raises(ConfigError, match="seed = 0, not 5"):
        start(tmp_path, OBJECTIVES["flow-matching"], Team(), steps=2, seed=5)


def test_what_another_version_wrote_down_of_a_run_is_compared_or_told(tmp_path, caplog):
    training = start(tmp_path, OBJECTIVES["flow-matching"], Team(), steps=1)
    kept = {**training._fixed(), "gone": 3}
    with pytest.raises(ConfigError, match="gone = 3, not None"):
        training._compare({"step": 1, "run": kept})
    training._compare({"step": 1, "run": training._fixed(), "told": {"gone": 3}})
    assert "another gone than before" in caplog.text


def test_a_network_of_another_function_is_not_taken_up(tmp_path):
    training = start(tmp_path, OBJECTIVES["flow-matching"], Team(), steps=1)
    training.run()
    network = training.task.network
    network.config = replace(network.config, time_scale=9.0)
    with pytest.raises(ConfigError, match=r"holds a run with model\.time_scale = 5\.0, not 9\.0"):
        replace(training)


def test_a_batch_that_diverges_is_written_down(tmp_path):
    from mfv2a.errors import DivergenceError

    training = start(tmp_path, OBJECTIVES["meanflow"], Team())
    stream = training.batches

    def poisoned(first):
        for batch in stream(first):
            batch["latent"][5, 0, 0] = float("inf")
            yield batch

    training.batches = poisoned
    before = {name: tensor.clone() for name, tensor in training.task.network.state_dict().items()}
    with pytest.raises(DivergenceError, match=r"diverged\.json") as error:
        training.run()
    assert error.value.exit_code == 5
    told = json.loads((tmp_path / "diverged.json").read_text(encoding="utf-8"))
    assert (told["step"], told["loss"]) in ((0, "nan"), (0, "inf"))
    assert [row["row"] for row in told["rows"] if not row["latent"]["finite"]] == [5]
    assert all({"source", "item"} <= row.keys() for row in told["rows"])
    assert all(torch.equal(tensor, before[name]) for name, tensor in training.task.network.state_dict().items())


def every_step(out, steps, **changes):
    """A run that saves after each step."""
    changes = {"checkpoint_minutes": 0.0, **changes}
    return start(out, OBJECTIVES["flow-matching"], Team(), steps=steps, log_every=50, **changes)


def train_on(out, steps):
    torch.set_num_threads(1)
    every_step(out, steps).run()


def kill_at_random(out, steps, moments):
    """Starts the run in a process of its own and kills it, as often as there are moments; tells how far it came."""
    reached = [0]
    for moment in moments:
        process = multiprocessing.get_context("spawn").Process(target=train_on, args=(out, steps))
        process.start()
        while process.is_alive() and steps_of(out)[:1] <= reached[-1:]:
            time.sleep(0.02)
        time.sleep(moment)
        process.kill()
        process.join()
        reached.append(every_step(out, steps).step)
    return reached


@pytest.mark.parametrize("kills", [1, pytest.param(6, marks=pytest.mark.slow)])
def test_a_process_killed_at_any_moment_loses_no_checkpoint(tmp_path, kills):
    chance = random.Random(kills)
    steps = 20 + 20 * kills
    reached = kill_at_random(tmp_path / "killed", steps, [chance.uniform(0, 0.3) for _ in range(kills)])
    assert reached == sorted(set(reached)), "every life of the run adds to what is kept"
    resumed = every_step(tmp_path / "killed", steps)
    assert resumed.run()
    straight = every_step(tmp_path / "straight", steps, checkpoint_minutes=9.0)
    straight.run()
    for name, tensor in outcome(straight)["tensors"].items():
        assert torch.equal(outcome(resumed)["tensors"][name], tensor), name


def test_a_damaged_checkpoint_never_pushes_out_one_just_written(tmp_path, caplog):
    changes = {"checkpoint_minutes": 0.0, "checkpoint_keep": 2}
    start(tmp_path, OBJECTIVES["flow-matching"], Team(), steps=4, **changes).run()
    newest = checkpoint_paths(tmp_path)[0]
    newest.write_bytes(newest.read_bytes()[:-100])
    again = start(tmp_path, OBJECTIVES["flow-matching"], Team(), steps=3, checkpoint_keep=1)
    assert again.step == 3
    assert f"{newest.name} is damaged" in caplog.text
    again.run()
    assert steps_of(tmp_path) == [3]
    assert newest.with_name(f"{newest.name}.damaged").exists()
    assert start(tmp_path, OBJECTIVES["flow-matching"], Team(), steps=3).step == 3


def test_a_run_that_trains_other_weights_is_not_taken_up(tmp_path):
    first = start(tmp_path, OBJECTIVES["flow-matching"], Team(), steps=1)
    first.run()
    with pytest.raises(ConfigError, match="frozen = "):
        start(tmp_path, OBJECTIVES["flow-matching"], Team(), steps=2, frozen=("final_layer",))
    facts = {"step": 1, "seconds": 0.0, "run": {}}  # as earlier versions wrote them
    save_state(tmp_path, first.task.network, first.ema, first.optimizer, facts)
    network = tiny_network()
    weights = list(network.parameters())
    for weight in weights[: len(weights) // 2]:
        weight.requires_grad_(False)
    with pytest.raises(CheckpointError, match="moments of other weights"):
        start(tmp_path, OBJECTIVES["flow-matching"], Team(), steps=2, network=network)
