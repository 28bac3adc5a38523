"""Public MMAudio models from the command line, in small: pulled from a hub, checked, and dubbed with."""

from __future__ import annotations

import io
import json
import sys
import types
from pathlib import Path

import pytest
import soundfile
import torch

import tiny_mmaudio
from local_hub import running_hub
from made_videos import make_video
from mfv2a.cli import main
from mfv2a.models import upstream
from mfv2a.models.mmaudio import MMAudio

MODEL = "tiny-mm-16k"


@pytest.fixture(scope="module")
def published():
    return tiny_mmaudio.files()


@pytest.fixture
def server(tmp_path, monkeypatch, published):
    for name in ("HF_HUB_CACHE", "HF_TOKEN", "HF_HUB_OFFLINE", "MFV2A_MODEL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MFV2A_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.chdir(tmp_path)
    tiny_mmaudio.add_sizes(monkeypatch)
    tiny_mmaudio.write_register(tmp_path, monkeypatch)
    with running_hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        hub.files |= published
        yield hub


def checked(capsysbinary, *words):
    code = main(["models", "check", MODEL, "--json", *words])
    lines = [json.loads(line) for line in capsysbinary.readouterr().out.splitlines()]
    return code, {line["name"]: line for line in lines}


@pytest.mark.parametrize(("model", "rate"), [("tiny-mm-16k", 16000), ("tiny-mm-44k", 44100)])
def test_a_public_model_is_pulled_and_dubs_by_name(server, capsysbinary, model, rate):
    assert main(["models", "pull", model]) == 0
    assert len(capsysbinary.readouterr().out.splitlines()) == 6
    make_video(Path("in/a.mp4"), seconds=1.2)
    command = ["--offline", "dub", "in", "--out", "out", "--model", model, "--sample-rate", "model", "--also-wav"]
    assert main(command) == 0
    out, err = capsysbinary.readouterr()
    assert out == b"out/a.mp4\n"
    assert b"licence MIT" in err
    assert b"instantaneous" not in err
    wave, found = soundfile.read("out/a.wav")
    assert (found, len(wave)) == (rate, round(1.2 * rate))
    assert abs(wave).max() > 1e-3
    assert main(command) == 0
    assert b"1 done already" in capsysbinary.readouterr().err


def test_fewer_steps_than_serve_are_warned_of(server, capsysbinary):
    make_video(Path("in/a.mp4"), seconds=0.2)
    assert main(["dub", "in", "--out", "out", "--model", MODEL, "--steps", "1"]) == 0
    words = b"1 step serves it badly: use --steps 3 or more"
    assert words in capsysbinary.readouterr().err
    assert main(["tta", "rain", "-d", "0.3", "-o", "a.wav", "--model", MODEL, "--steps", "2"]) == 0
    assert b"2 steps serve it badly" in capsysbinary.readouterr().err
    assert main(["bench", "in/a.mp4", "--model", MODEL, "--steps", "1", "--repeats", "1", "--warmup", "0"]) == 0
    assert words in capsysbinary.readouterr().err
    assert main(["tta", "rain", "-d", "0.3", "-o", "a.wav", "--model", MODEL]) == 0
    assert b"badly" not in capsysbinary.readouterr().err


def test_bench_measures_a_size_without_its_files(server, capsysbinary):
    server.files.clear()
    make_video(Path("in/a.mp4"), seconds=0.2)
    words = ["bench", "in/a.mp4", "--repeats", "1", "--warmup", "0", "--json", "--random-weights"]
    assert main([*words, "--model", MODEL]) == 0
    told = json.loads(capsysbinary.readouterr().out)
    assert told["random_weights"]
    assert told["entries"][0]["nfe"] == 6
    assert not server.requests
    assert main([*words, "--model", "embedded"]) == 2
    assert b"sizes of embedded are in its files" in capsysbinary.readouterr().err


def test_a_check_pulls_loads_dubs_and_tells_all_in_a_table(server, capsysbinary):
    assert main(["models", "check", MODEL]) == 0
    lines = capsysbinary.readouterr().out.decode().splitlines()
    names = [line[8:19].strip() for line in lines]
    files = ["generator", "vae", "vocoder", "clip", "sync", "tokenizer"]
    assert names == ["mfv2a", "model", *files, "load", "dub", "finite", "level", "bandwidth", "upstream"]
    assert not any(line.startswith("FAILED") for line in lines)
    assert lines[-1].startswith("--")
    assert lines[-1].endswith("not installed, not compared")
    assert "sha256:" in lines[2]
    assert max(len(line) for line in lines) < 240


def test_the_check_of_the_embedded_model_passes(capsysbinary):
    assert main(["models", "check", "embedded"]) == 0
    assert b"no comparison is known for the layout compact" in capsysbinary.readouterr().out


@pytest.mark.parametrize(
    ("magnitude", "failed"), [(float("nan"), {"finite", "level", "bandwidth"}), (0.0, {"level", "bandwidth"})]
)
def test_a_model_that_makes_no_sound_fails_the_check(server, capsysbinary, magnitude, failed):
    state = tiny_mmaudio.published("bigvgan", "tiny_16k")
    state["generator"]["conv_post.weight_g"] *= magnitude
    state["generator"]["conv_post.bias"] *= 0
    buffer = io.BytesIO()
    torch.save(state, buffer)
    server.files["someone/mm", "best_netG.pt"] = buffer.getvalue()
    code, lines = checked(capsysbinary)
    assert code == 4
    assert {name for name, line in lines.items() if line["ok"] is False} == failed, lines


def test_a_wrong_file_fails_the_check_in_one_line(server, capsysbinary):
    server.files["someone/mm", "mm_16k.pth"] = server.files["someone/mm", "mm_44k.pth"]
    code, lines = checked(capsysbinary)
    assert code == 4
    assert list(lines)[-1] == "load"
    assert "wrong shapes" in lines["load"]["state"]
    del server.files["someone/mm", "best_netG.pt"]
    code, lines = checked(capsysbinary, "--device", "cuda:99")
    assert code == 4
    assert lines["load"]["ok"] is False


class Upstream(MMAudio):
    """Stands for the network of the models' authors: their clock, their names."""

    scale = 1.0

    def load_weights(self, state):
        self.load_state_dict(state)

    def update_seq_lengths(self, *, latent_seq_len, clip_seq_len, sync_seq_len):
        assert (latent_seq_len, clip_seq_len, sync_seq_len) == (250, 64, 192)

    def forward(self, latent, clip_f, sync_f, text_f, t):
        conditions = self.encode_conditions(clip_f, sync_f, text_f, latent.shape[1])
        return -self.scale * MMAudio.forward(self, latent, t=1 - t.double(), conditions=conditions)


@pytest.mark.parametrize(("scale", "ok"), [(1.0, True), (1.1, False)])
def test_the_upstream_package_is_asked_where_it_is_installed(server, capsysbinary, monkeypatch, scale, ok):
    networks = types.ModuleType("mmaudio.model.networks")
    networks.get_my_mmaudio = lambda name: Upstream(upstream.PUBLIC["mmaudio"].configs[name])
    package = types.ModuleType("mmaudio")
    package.__spec__ = types.SimpleNamespace(name="mmaudio")
    for name, module in (("mmaudio", package), ("mmaudio.model.networks", networks)):
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(Upstream, "scale", scale)
    code, lines = checked(capsysbinary)
    assert lines["upstream"]["ok"] is ok
    assert code == (0 if ok else 4)
    assert "velocities of 8 s differ by" in lines["upstream"]["state"]
