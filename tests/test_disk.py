"""A full disk is known by its number and by its words; a file appears whole or leaves nothing."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from mfv2a.data import manifest
from mfv2a.disk import is_disk_full, remove_left, telling, writing
from mfv2a.errors import ConfigError, MediaError, StartError
from mfv2a.jobs.runlog import LOG, RunLog
from mfv2a.models.istft import ISTFTConfig, ISTFTVocoder
from mfv2a.models.weights import save_network
from mfv2a.training.ema import EMA
from mfv2a.training.state import checkpoint_paths, save_state

FULL = OSError(errno.ENOSPC, "No space left on device")
IN_WORDS = SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")


def refuse(path: Path, fault: BaseException) -> None:
    """Write a little, then fail."""
    path.write_bytes(b"half")
    raise fault


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (FULL, True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), True),
        (IN_WORDS, True),
        (MediaError("a", "failed", detail="av_interleaved_write_frame(): No space left on device"), True),
        (PermissionError(errno.EACCES, "Permission denied"), False),
        (ValueError("no space"), False),
    ],
)
def test_a_full_disk_is_known_by_its_number_and_by_its_words(error: Exception, full: bool) -> None:
    assert is_disk_full(error) is full


@pytest.mark.parametrize("fault", [FULL, IN_WORDS, PermissionError(errno.EACCES, "Permission denied")])
def test_what_cannot_be_written_is_told_and_leaves_the_file_as_it_was(tmp_path: Path, fault: Exception) -> None:
    path = tmp_path / "facts.json"
    path.write_text("old")
    with (
        pytest.raises(StartError, match=r"facts\.json: (the disk is full|cannot be written)"),
        writing(path) as pending,
    ):
        refuse(pending, fault)
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("facts.json", "old")]


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), ConfigError("no")])
def test_other_faults_stay_what_they_are_and_leave_nothing(tmp_path: Path, fault: BaseException) -> None:
    with pytest.raises(type(fault)), writing(tmp_path / "new" / "facts.json") as pending:
        refuse(pending, fault)
    assert not list((tmp_path / "new").iterdir())


def test_what_libraries_lay_beside_the_file_that_they_write_goes_with_it(tmp_path: Path) -> None:
    with writing(tmp_path / "facts.json") as pending:
        pending.with_name(".tmpAbC").write_bytes(b"half")
        pending.write_text("new")
    assert [each.name for each in tmp_path.iterdir()] == ["facts.json"]


def test_what_a_killed_process_left_is_removed_once_it_is_old(tmp_path: Path) -> None:
    for name in (".facts.json.9", ".facts.json.10", ".other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / ".tmpAbC").write_bytes(b"half")
    os.utime(tmp_path / ".facts.json.9", (0, 0))
    remove_left(tmp_path, ".facts*", older_s=60)
    assert {each.name for each in tmp_path.iterdir()} == {".facts.json.10", ".other"}
    remove_left(tmp_path, ".facts*")
    assert {each.name for each in tmp_path.iterdir()} == {".other"}
    remove_left(tmp_path / "nowhere", "*")


def test_what_a_library_says_in_words_is_told_as_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="Permission denied"), telling(tmp_path):
        raise SafetensorError("Error while serializing: I/O error: Permission denied (os error 13)")


def test_only_what_the_system_refuses_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="else"), telling(tmp_path):
        raise ValueError("something else")


def test_a_shard_on_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("safetensors.numpy.save_file", lambda arrays, path: refuse(path, IN_WORDS))
    with pytest.raises(StartError, match="disk is full") as caught:
        manifest.write_shard(tmp_path, 0, [({"mel": torch.zeros(2).numpy()}, {})])
    assert caught.value.exit_code == 4
    assert not list(tmp_path.iterdir())


def test_a_shard_takes_away_what_a_killed_process_left_of_it(tmp_path: Path) -> None:
    (tmp_path / ".shard-00000.safetensors.9").write_bytes(b"half")
    (tmp_path / ".shard-00001.jsonl.9").write_bytes(b"half")
    manifest.write_shard(tmp_path, 0, [({"mel": torch.zeros(2).numpy()}, {})])
    names = {each.name for each in tmp_path.iterdir()}
    assert names == {"shard-00000.safetensors", "shard-00000.jsonl", ".shard-00001.jsonl.9"}


def test_a_checkpoint_on_a_full_disk_is_told_and_the_one_before_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = torch.nn.Linear(2, 2)
    rest = (EMA(network, 0.9), torch.optim.AdamW(network.parameters()))
    first = save_state(tmp_path, network, *rest, {"step": 1})
    monkeypatch.setattr("safetensors.torch.save_file", lambda tensors, path, facts: refuse(path, IN_WORDS))
    with pytest.raises(StartError, match="disk is full"):
        save_state(tmp_path, network, *rest, {"step": 2})
    assert list(tmp_path.iterdir()) == checkpoint_paths(tmp_path) == [first]


def test_weights_on_a_full_disk_are_told_and_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("safetensors.torch.save_file", lambda tensors, path, facts: refuse(path, IN_WORDS))
    with pytest.raises(StartError, match="disk is full"):
        save_network(tmp_path / "final.safetensors", "vocoder", ISTFTVocoder(ISTFTConfig.tiny()))
    assert not list(tmp_path.iterdir())


def test_a_record_on_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> int:
        raise FULL

    with RunLog(tmp_path) as log:
        log.add({"step": 1, "loss": 0.5})
        monkeypatch.setattr("mfv2a.jobs.lines.Lines.add", full)
        with pytest.raises(StartError, match=r"log\.jsonl: the disk is full"):
            log.add({"step": 2, "loss": 0.4})
    assert (tmp_path / LOG).read_text() == '{"step": 1, "loss": 0.5}\n'
