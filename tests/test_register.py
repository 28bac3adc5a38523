"""The register: what it holds, what it refuses, and the user's own."""

from __future__ import annotations

import pytest

from mfv2a.errors import ConfigError
from mfv2a.register import Checkpoint, files_of, find_model, read_register

OWN = """
[mine]
role = "generator"
repo = "someone/model"
file = "generator.safetensors"
licence = "MIT"
licence_url = "https://example.org"
layout = "compact"
components = { vae = "embedded-vae", sync = "embedded-sync" }
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.setenv("MFV2A_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MFV2A_MODEL", raising=False)
    path = tmp_path / "own.toml"
    path.write_text(OWN)
    monkeypatch.setenv("MFV2A_CHECKPOINTS", str(path))
    return path


def test_every_entry_names_its_licence_and_how_it_is_known():
    for entry in read_register().values():
        assert entry.licence
        assert entry.licence_url.startswith("https://")
        assert entry.evidence or entry.name == "tiny"
        assert entry.path or entry.repo or entry.url.startswith("https://") or entry.name == "tiny"


def test_every_model_has_its_components_by_role():
    for entry in read_register().values():
        for role, name in entry.components.items():
            wanted = {"pooled": "text", "pooled_tokenizer": "tokenizer", "preprocessor": "config"}.get(role, role)
            assert read_register()[name].role == wanted, f"{entry.name}: {name}"


def test_the_users_own_register_adds_models(own):
    assert [file.name for file in files_of(find_model("mine"))] == ["mine", "embedded-vae", "embedded-sync"]


def test_a_name_that_is_taken_is_refused(own):
    own.write_text(OWN.replace("[mine]", "[embedded]"))
    with pytest.raises(ConfigError, match="embedded is in the register already"):
        read_register()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('layout = "compact"', ""), "needs a layout"),
        (('"embedded-vae"', '"nowhere"'), "nowhere, which is in no register"),
        (('licence = "MIT"', 'license = "MIT"'), "unknown key 'license'"),
        (('file = "generator.safetensors"', ""), "repo and file belong together"),
        (('repo = "someone/model"', 'repo = "someone/model"\ndigest = "abc"'), "neither sha256"),
        (('"someone/model"', '"https://huggingface.co/someone/model"'), "no repo of the hub"),
        (('"someone/model"', '"someone/model.git"'), "no repo of the hub"),
        (('"generator.safetensors"', '"../../etc/passwd"'), "no file of a repo"),
        (('layout = "compact"', 'layout = "compact"\nsample_rate_hz = 0'), "sample_rate_hz must be 8000 to 192000"),
        (('layout = "compact"', 'layout = "compact"\nwindow_s = -1.0'), "window_s must be above 0"),
        (('layout = "compact"', 'layout = "compact"\ncfg = -3.0'), "cfg at least 0"),
        (('layout = "compact"', 'layout = "compact"\nwords_tries = 0'), "words_tries must be 1 to 32"),
        (("[mine]", "[mine"), "is not TOML"),
        (('layout = "compact"', 'layout = "compact"\npath = 5'), "path"),
    ],
)
def test_a_wrong_register_is_told(own, change, words):
    own.write_text(OWN.replace(*change))
    with pytest.raises(ConfigError, match=words):
        read_register()


def test_a_register_that_is_not_there_is_named(own):
    own.unlink()
    with pytest.raises(ConfigError, match=r"own\.toml"):
        read_register()


def test_a_digest_must_be_whole():
    with pytest.raises(ConfigError, match="neither sha256"):
        Checkpoint(name="x", role="vae", licence="MIT", licence_url="https://x", digest="sha256:12")
