"""What went wrong on the way to the hub is told by its name, with what helps."""

from __future__ import annotations

import errno
import shutil
from collections import namedtuple

import pytest

from local_hub import leave_home, running_hub
from mfv2a import downloads, hub, surroundings
from mfv2a.errors import CheckpointError, ConfigError
from mfv2a.register import Checkpoint

REPO, FILE = "someone/model", "net.safetensors"
ENTRY = Checkpoint(name="net", role="vae", licence="MIT", licence_url="x", repo=REPO, file=FILE)


@pytest.fixture
def server(tmp_path, monkeypatch):
    leave_home(monkeypatch, tmp_path)
    monkeypatch.setattr(downloads.time, "sleep", lambda seconds: None)
    with running_hub() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.address)
        running.files[REPO, FILE] = bytes(1000)
        yield running


def refusal(entry=ENTRY):
    with pytest.raises(CheckpointError) as caught:
        hub.fetch(entry)
    return str(caught.value), caught.value.hint


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        (403, "set HF_TOKEN"),
        (404, "HF_ENDPOINT"),
        (429, "with HF_TOKEN set"),
        (500, "troubles of its own"),
        (502, "troubles of its own"),
    ],
)
def test_an_answer_is_told_by_its_number_and_not_taken_for_none(server, status, hint):
    server.status = status
    said, advice = refusal()
    assert f"the hub answered {status} for {REPO}/{FILE}" in said
    assert hint in advice


def test_a_page_that_is_no_hubs_is_told_as_such(server):
    server.status = 200
    said, advice = refusal()
    assert "does not answer as a hub does" in said
    assert "proxy" in advice


def test_a_token_without_the_right_is_named(server, monkeypatch):
    server.status = 403
    monkeypatch.setenv("HF_TOKEN", server.token)
    assert "the token in HF_TOKEN may not read it" in refusal()[1]


def test_a_refused_token_is_named_and_not_asked_for(server, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_stale")
    said, advice = refusal()
    assert "401" in said
    assert "the token in HF_TOKEN is refused" in advice


def test_a_gated_repo_names_the_token_that_did_not_open_it(server, monkeypatch):
    server.gated.add(REPO)
    assert refusal()[1].endswith("set HF_TOKEN")
    monkeypatch.setenv("HF_TOKEN", server.token)
    server.token = "hf_other"
    assert "the token in HF_TOKEN" in refusal()[1]


def test_a_token_of_a_login_is_known_by_its_file(tmp_path, monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
    monkeypatch.delenv("HF_TOKEN_PATH", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert surroundings.token_source() == ""
    (tmp_path / "token").write_text("hf_stale\n")
    assert surroundings.token_source() == str(tmp_path / "token")


@pytest.mark.parametrize(
    ("number", "hint"),
    [(errno.ENOSPC, "free some space"), (errno.EACCES, "HF_HOME"), (errno.EROFS, "HF_HOME")],
)
def test_a_fault_of_the_disk_is_none_of_the_line(server, monkeypatch, number, hint):
    def fail(*_):
        raise OSError(number, "it cannot be", "/some/file")

    monkeypatch.setattr(downloads, "_fill", fail)
    said, advice = refusal()
    assert said == "/some/file: it cannot be"
    assert hint in advice


def test_a_cache_below_a_file_is_told(server, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "file"))
    assert "HF_HOME" in refusal()[1]


def test_a_token_that_no_header_can_hold_is_told(server, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_ü")
    assert "HF_TOKEN" in refusal()[1]


@pytest.mark.parametrize("address", ["localhost:18765", "http://127.0.0.1:99999", "http://[::1", "ftp://x", "https://"])
def test_an_endpoint_that_is_no_address_is_refused_before_anything_is_asked(monkeypatch, address):
    monkeypatch.setenv("HF_ENDPOINT", address)
    with pytest.raises(ConfigError, match="HF_ENDPOINT is no address"):
        hub.find_file(ENTRY)


def test_the_room_that_is_wanted_is_told_with_what_stays_free(server, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 9, 60_000_000))
    said, _ = refusal()
    assert "needs 67 MB with what is to stay free" in said
    assert "has 60 MB free" in said


def test_offline_names_what_forbids(server, monkeypatch):
    monkeypatch.setenv("TRANSFORMERS_OFFLINE", "1")
    said, advice = refusal()
    assert "off limits" in said
    assert "unset TRANSFORMERS_OFFLINE" in advice
    assert server.requests == []


def test_a_wrong_file_in_a_cache_that_cannot_be_written_is_told(server, monkeypatch):
    path = hub.fetch(ENTRY)
    path.resolve().write_bytes(b"x")

    def forbid(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("pathlib.Path.unlink", forbid)
    with pytest.raises(CheckpointError, match="and not sha256") as caught:
        hub.verify(ENTRY, path, again=True)
    assert "have it removed" in caught.value.hint
    assert path.is_file()


def test_a_file_that_cannot_be_read_is_told(server, monkeypatch):
    path = hub.fetch(ENTRY)

    def forbid(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(hub, "digest_of", forbid)
    with pytest.raises(CheckpointError, match="Permission denied") as caught:
        hub.verify(ENTRY, path, again=True)
    assert "HF_HOME" in caught.value.hint


@pytest.mark.parametrize("status", [0, 404, 500])
def test_a_password_in_the_hubs_address_is_not_shown(server, monkeypatch, status):
    address = server.address.replace("http://", "http://me:s3cret@") if status else "http://me:s3cret@127.0.0.1:1"
    monkeypatch.setenv("HF_ENDPOINT", address)
    server.status = status
    said, advice = refusal()
    assert "s3cret" not in said + advice
    assert "me@127.0.0.1" in said + advice or status == 500
