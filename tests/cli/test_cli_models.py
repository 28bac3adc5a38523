"""`mfv2a models` and `mfv2a doctor`, against a small hub with small weights."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from local_hub import leave_home, running_hub
from made_videos import make_video
from mfv2a.cli import main
from mfv2a.models.tiny import tiny_networks
from mfv2a.models.weights import save_network

REGISTER = """
[small]
role = "generator"
repo = "someone/small"
file = "generator.safetensors"
licence = "MIT"
licence_url = "https://example.org/licence"
layout = "compact"
components = { vae = "small-vae", sync = "small-sync" }

[small-vae]
role = "vae"
repo = "someone/small"
file = "vae.safetensors"
licence = "MIT"
licence_url = "https://example.org/licence"

[small-sync]
role = "sync"
repo = "someone/small"
file = "sync.safetensors"
licence = "MIT"
licence_url = "https://example.org/licence"
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    leave_home(monkeypatch, tmp_path)
    for name in ("MFV2A_MODEL", "MFV2A_CHECKPOINTS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def server(home, monkeypatch):
    register = home / "own.toml"
    register.write_text(REGISTER)
    monkeypatch.setenv("MFV2A_CHECKPOINTS", str(register))
    with running_hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        for role, network in tiny_networks().items():
            path = save_network(home / f"{role}.safetensors", role, network)
            hub.files["someone/small", path.name] = path.read_bytes()
        yield hub


def test_the_list_names_kind_licence_and_state(home, capsysbinary):
    assert main(["models", "list"]) == 0
    lines = capsysbinary.readouterr().out.decode().splitlines()
    embedded = next(line for line in lines if " embedded " in line)
    assert embedded.startswith("*")
    assert "Apache-2.0" in embedded
    assert any("mmaudio-large-44k-v2" in line and "not here" in line and "CC-BY-NC-4.0" in line for line in lines)


def test_info_tells_every_file_and_its_evidence(home, capsysbinary):
    assert main(["models", "info", "mmaudio-small-16k", "--json"]) == 0
    record = json.loads(capsysbinary.readouterr().out)
    assert [file["role"] for file in record["files"]] == ["generator", "vae", "vocoder", "clip", "sync", "tokenizer"]
    assert record["files"][0]["digest"] == "md5:af93cde404179f58e3919ac085b8033b"
    assert record["files"][1]["evidence"] == "likely"


def test_a_model_of_ones_own_is_pulled_verified_and_dubs(server, home, capsysbinary):
    assert main(["models", "pull", "small"]) == 0
    told = capsysbinary.readouterr()
    assert len(told.out.splitlines()) == 3
    assert b"licence MIT" in told.err
    assert b"trusted and remembered" in told.err
    assert main(["--offline", "models", "verify", "small"]) == 0
    assert capsysbinary.readouterr().out.count(b"of the first download") == 3
    video = make_video(home / "clip.mp4")
    assert main(["dub", str(video), "--out", str(home / "out"), "--model", "small"]) == 0
    assert b"licence MIT" in capsysbinary.readouterr().err
    assert (home / "out" / "clip.mp4").exists()


def test_one_wrong_file_is_told_and_the_others_are_read_all_the_same(server, home, capsysbinary):
    assert main(["models", "pull", "small"]) == 0
    first = Path(os.fsdecode(capsysbinary.readouterr().out.splitlines()[0])).resolve()
    whole = bytearray(first.read_bytes())
    whole[-1] ^= 1
    first.write_bytes(whole)
    assert main(["models", "verify", "small"]) == 4
    out, err = capsysbinary.readouterr()
    assert out.count(b"of the first download") == 2
    assert err.count(b"error: ") == 1
    assert first.name.encode() in err or b"generator.safetensors" in err


def test_a_model_without_a_loader_is_refused_in_one_line(server, home, capsysbinary, monkeypatch):
    register = home / "other.toml"
    register.write_text('[other]\nrole = "generator"\nlicence = "MIT"\nlicence_url = ""\nlayout = "another"\n')
    monkeypatch.setenv("MFV2A_CHECKPOINTS", str(register))
    video = make_video(home / "clip.mp4")
    assert main(["dub", str(video), "--out", str(home / "out"), "--model", "other"]) == 4
    assert b"cannot be run by this version" in capsysbinary.readouterr().err


def test_paths_of_what_is_not_here_are_refused(home, capsysbinary):
    assert main(["models", "path", "mmaudio-small-16k"]) == 4
    assert b"mfv2a models pull mmaudio-small-16k" in capsysbinary.readouterr().err
    assert main(["models", "path", "panns-cnn14-16k"]) == 4
    assert b"panns-cnn14-16k is here - download https://" in capsysbinary.readouterr().err
    assert main(["models", "path", "embedded"]) == 0
    assert capsysbinary.readouterr().out.splitlines()[0].endswith(b"generator.safetensors")


def test_the_default_is_kept_and_used(home, capsysbinary):
    assert main(["models", "default", "tiny"]) == 0
    assert main(["tta", "rain", "--duration", "0.5", "-o", str(home / "rain.wav")]) == 0
    assert b"model tiny" in capsysbinary.readouterr().err
    assert main(["models", "default", "tinny"]) == 2


def test_the_doctor_is_well_here_and_says_so_in_json(home, capsysbinary):
    assert main(["doctor", "--json"]) == 0
    told = json.loads(capsysbinary.readouterr().out)
    assert told["ok"]
    assert [f["name"] for f in told["findings"]] == [
        "python", "torch", "decoder", "ffmpeg", "hub", "cache", "embedded", "default"
    ]  # fmt: skip


def test_the_doctor_exits_with_4_without_ffmpeg(home, capsysbinary, monkeypatch):
    monkeypatch.setenv("MFV2A_FFMPEG", str(home / "no-ffmpeg"))
    assert main(["doctor"]) == 4
    assert b"--  ffmpeg" in capsysbinary.readouterr().out


def test_the_doctor_exits_with_4_where_ffmpeg_is_too_old_to_write_an_mp4(home, capsysbinary, monkeypatch):
    monkeypatch.setattr("mfv2a.media.ffmpeg.has_option", lambda *_: False)
    assert main(["doctor"]) == 4
    assert b"does not know -movie_timescale - install ffmpeg 5 or newer" in capsysbinary.readouterr().out


def test_the_doctor_exits_with_4_where_pyav_lacks_what_is_needed(home, capsysbinary, monkeypatch):
    monkeypatch.setitem(sys.modules, "mfv2a.media.mux", None)
    assert main(["doctor"]) == 4
    assert b"--  decoder" in capsysbinary.readouterr().out


def test_info_tells_of_a_file_and_of_a_judge(home, capsysbinary):
    for name, role in (("embedded-vae", "vae"), ("panns-cnn14-16k", "judge")):
        assert main(["models", "info", name, "--json"]) == 0
        record = json.loads(capsysbinary.readouterr().out)
        assert (record["name"], record["role"], len(record["files"]) > 0) == (name, role, True)
    assert main(["models", "info", "embedded-va"]) == 2
    assert b"embedded-vae" in capsysbinary.readouterr().err


def test_info_tells_how_a_model_makes_sound_from_words_alone(home, capsysbinary):
    told = []
    for name in ("embedded", "mmaudio-small-16k"):
        assert main(["models", "info", name, "--json"]) == 0
        record = json.loads(capsysbinary.readouterr().out)
        told.append((record["steps"], record["words_steps"], record["words_tries"]))
    assert told == [(1, 4, 3), (25, 25, 1)]


def test_a_package_of_ones_own_may_be_the_default_from_anywhere(home, capsysbinary, monkeypatch):
    package = home / "mine"
    package.mkdir()
    entry = '[mine]\nrole = "generator"\nlicence = "MIT"\nlicence_url = ""\nlayout = "tiny"\n'
    (package / "checkpoints.toml").write_text(entry)
    monkeypatch.chdir(home)
    assert main(["models", "default", "./mine"]) == 0
    assert capsysbinary.readouterr().out.decode().strip() == str(package)
    monkeypatch.chdir("/")
    assert main(["tta", "rain", "--duration", "0.5", "-o", str(home / "rain.wav")]) == 0
    monkeypatch.setenv("MFV2A_MODEL", "tiny")
    capsysbinary.readouterr()
    assert main(["models", "default", "embedded"]) == 0
    told = capsysbinary.readouterr()
    assert told.out == b"tiny\n"
    assert b"embedded is kept, but MFV2A_MODEL goes before" in told.err


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes")
def test_a_package_in_a_folder_whose_name_is_no_utf8_works(home, capsysbinary, monkeypatch):
    package = home / os.fsdecode(b"m\xe9")
    package.mkdir()
    entry = '[mine]\nrole = "generator"\nlicence = "MIT"\nlicence_url = ""\nlayout = "tiny"\n'
    (package / "checkpoints.toml").write_text(entry)
    monkeypatch.chdir(home)
    for words in (["info"], ["verify"], ["default"]):
        assert main(["models", *words, str(package)]) == 0, capsysbinary.readouterr().err
    assert b"m\\udce9" in capsysbinary.readouterr().out
    assert main(["tta", "rain", "--duration", "0.5", "-o", "rain.wav"]) == 0
    make_video(Path("a.mp4"), seconds=0.2)
    assert main(["dub", "a.mp4", "--out", "out", "--gallery"]) == 0
    monkeypatch.setenv("HF_HOME", str(package / "hub"))
    assert main(["doctor"]) == 0
    assert b"ffmpeg" in capsysbinary.readouterr().out


def test_a_model_that_cannot_run_is_no_default(home, capsysbinary, monkeypatch):
    register = home / "other.toml"
    register.write_text('[other]\nrole = "generator"\nlicence = "MIT"\nlicence_url = ""\nlayout = "another"\n')
    monkeypatch.setenv("MFV2A_CHECKPOINTS", str(register))
    assert main(["models", "default", "other"]) == 2
    assert b"cannot be run by this version" in capsysbinary.readouterr().err


def test_the_doctor_exits_with_4_where_the_default_is_neither_here_nor_to_be_had(home, capsysbinary, monkeypatch):
    monkeypatch.setenv("MFV2A_MODEL", "mmaudio-small-16k")
    assert main(["doctor"]) == 0
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    capsysbinary.readouterr()
    assert main(["doctor"]) == 4
    assert b"unset HF_HUB_OFFLINE" in capsysbinary.readouterr().out


def test_the_doctor_says_that_a_cache_cannot_be_written(home, capsysbinary, monkeypatch):
    (home / "file").write_text("no folder")
    monkeypatch.setenv("HF_HOME", str(home / "file"))
    assert main(["doctor"]) == 0
    assert b"nothing can be written there" in capsysbinary.readouterr().out


@pytest.mark.parametrize("name", ["me/mine.git", "me/-x", "me/" + "x" * 97])
def test_a_name_that_the_hub_takes_for_none_is_refused(home, capsysbinary, name):
    assert main(["models", "info", name]) == 2
    assert b"is no repo of the hub" in capsysbinary.readouterr().err
