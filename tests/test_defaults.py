"""The model used where none is named."""

from __future__ import annotations

import errno

import pytest

from mfv2a.defaults import default_model, keep_default, kept_path, known_default
from mfv2a.errors import ConfigError, StartError


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    for name in ("MFV2A_MODEL", "MFV2A_CHECKPOINTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MFV2A_HOME", str(tmp_path))


def test_the_default_is_what_was_kept_and_the_environment_goes_before(monkeypatch):
    assert default_model() == known_default() == "embedded"
    keep_default("mmaudio-small-16k")
    assert default_model() == known_default() == "mmaudio-small-16k"
    monkeypatch.setenv("MFV2A_MODEL", "tiny")
    assert default_model() == known_default() == "tiny"


def test_a_default_that_is_not_known_says_what_made_it_one(monkeypatch):
    keep_default("gone")
    with pytest.raises(ConfigError, match="unknown model 'gone'") as caught:
        known_default()
    assert str(kept_path()) in str(caught.value)
    assert "mfv2a models default embedded" in caught.value.hint
    monkeypatch.setenv("MFV2A_MODEL", "lost")
    with pytest.raises(ConfigError, match="the default by MFV2A_MODEL"):
        known_default()


def test_a_repo_and_a_folder_may_be_the_default(tmp_path):
    for name in ("me/mine", str(tmp_path)):
        keep_default(name)
        assert known_default() == name


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, StartError), (errno.EACCES, ConfigError)])
def test_a_full_disk_is_no_wrong_value(monkeypatch, number, kind):
    def fail(*_, **__):
        raise OSError(number, "it cannot be")

    monkeypatch.setattr("pathlib.Path.write_text", fail)
    with pytest.raises(kind):
        keep_default("embedded")
