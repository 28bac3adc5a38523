"""A model of one's own: exported from a run, used from a file, a folder and the hub, pushed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import soundfile
import torch

import tiny_mmaudio
from local_hub import COMMIT, running_hub
from made_videos import make_video
from mfv2a import packages
from mfv2a.cli import main
from mfv2a.errors import CheckpointError, ConfigError
from mfv2a.hub import fetch
from mfv2a.jobs.seed import whole_digest
from mfv2a.loader import describe_model, load_pipeline
from mfv2a.models.mmaudio import MMAudio, MMAudioConfig
from mfv2a.models.weights import load_network, save_network
from mfv2a.register import files_of, find_checkpoint, find_model

SIZES = {"dim": 64, "num_heads": 2, "joint_depth": 1, "fused_depth": 1, "mlp_ratio": 1.0, "average": True}


@pytest.fixture
def server(tmp_path, monkeypatch):
    for name in ("HF_HUB_CACHE", "HF_HUB_OFFLINE", "MFV2A_MODEL", "MFV2A_CHECKPOINTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MFV2A_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    monkeypatch.chdir(tmp_path)
    with running_hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        yield hub


def write_run(folder, *, objective="alphaflow", guidance=(), features=None, **sizes):
    """A finished run of a small generator on the embedded model's features."""
    known = load_network(Path(find_model("embedded").path), "generator")[0].config
    widths = {name: getattr(known, name) for name in packages.WIDTHS}
    torch.manual_seed(0)
    network = MMAudio(MMAudioConfig(**{**SIZES, **widths, **sizes}))
    network.initialize()
    facts = {"steps": 7, "run": {"objective": {"name": objective, "guidance": guidance}, "init": ""}}
    facts |= {} if features is None else {"features": features}
    save_network(Path(folder) / "final.safetensors", "generator", network, facts=facts)
    return Path(folder)


def samples(path):
    return soundfile.read(path)[0]


@pytest.mark.parametrize(
    ("licence", "told"),
    [
        ("Apache-2.0", {"license": "apache-2.0"}),
        ("CC BY 4.0", {"license": "cc-by-4.0"}),
        ('Custom: see "the page"', {"license": "other", "license_name": 'Custom: see "the page"'}),
        (None, {"license": "other"}),
    ],
)
def test_a_card_states_licences_as_the_hub_reads_them(server, licence, told):
    yaml = pytest.importorskip("yaml")
    words = [] if licence is None else ["--licence", licence]
    assert main(["models", "export", str(write_run("run")), "mine", *words]) == 0
    head = yaml.safe_load(Path("mine/README.md").read_text(encoding="utf-8").split("---")[1])
    assert {name: value for name, value in head.items() if name.startswith("license")} == told


def test_one_model_as_file_folder_and_repo_makes_one_sound(server, capsysbinary):
    run = write_run("runs/mine")
    assert main(["models", "export", str(run), "mine", "--licence", "MIT"]) == 0
    assert sorted(path.name for path in Path("mine").iterdir()) == [
        "README.md",
        "checkpoints.toml",
        "generator.safetensors",
    ]
    assert "    mfv2a dub ./videos --out ./dubbed --model ./mine\n" in Path("mine/README.md").read_text()
    assert "1 step by default" in Path("mine/README.md").read_text()
    assert main(["models", "push", "mine", "me/mine"]) == 0
    assert capsysbinary.readouterr().out.decode().splitlines() == ["mine", f"{server.address}/me/mine"]
    assert server.files["me/mine", "generator.safetensors"] == Path("mine/generator.safetensors").read_bytes()
    assert b"license: mit" in server.files["me/mine", "README.md"]
    assert b"    mfv2a dub ./videos --out ./dubbed --model me/mine\n" in server.files["me/mine", "README.md"]
    make_video(Path("in/a.mp4"), seconds=1.0)
    for k, name in enumerate(["runs/mine/final.safetensors", "./mine", "me/mine", "me/mine@main"]):
        words = ["dub", "in", "--out", f"out{k}", "--model", name, "--also-wav", "--sample-rate", "model"]
        assert main(words) == 0
        assert (samples(f"out{k}/a.wav") == samples("out0/a.wav")).all()
    assert abs(samples("out0/a.wav")).max() > 1e-4
    assert main(["--offline", "tta", "rain", "--model", "me/mine", "--duration", "1", "--out", "r.wav"]) == 0
    assert b"licence MIT" in capsysbinary.readouterr().err
    assert main(["models", "verify", "me/mine"]) == 0
    assert main(["models", "check", "./mine"]) == 0
    assert main(["bench", "in/a.mp4", "--model", "./mine", "--repeats", "1", "--warmup", "0", "--json"]) == 0
    assert json.loads(capsysbinary.readouterr().out.splitlines()[-1])["files_mib"] > 1
    assert main(["models", "info", "./mine", "--json"]) == 0
    told = json.loads(capsysbinary.readouterr().out.splitlines()[-1])
    assert (told["kind"], told["steps"], told["runs"]) == ("average", 1, True)


SECOND = "2" * 40


def package(licence, digest=""):
    """Files of a package with a generator of its own: the weights are a word, as nobody loads them here."""
    entry = f"""
[mine]
role = "generator"
path = "generator.safetensors"
licence = "{licence}"
licence_url = "x"
layout = "compact"
digest = "{digest}"
"""
    return {"checkpoints.toml": entry.encode(), "generator.safetensors": f"weights of {licence}".encode()}


def put(hub, files):
    hub.files |= {("me/mine", file): data for file, data in files.items()}


def test_a_package_is_of_one_commit_whatever_was_pushed_meanwhile(server, capsysbinary):
    put(server, package("V1"))
    assert main(["models", "info", "me/mine"]) == 0  # the register alone
    capsysbinary.readouterr()
    server.commit("me/mine", SECOND, package("V2"))
    file = files_of(packages.find_model("me/mine"))[0]
    assert (file.licence, file.revision) == ("V1", COMMIT)
    assert fetch(file).read_bytes() == b"weights of V1"


def test_pull_asks_for_the_newest_commit_and_says_what_was_here(server, capsysbinary, monkeypatch):
    put(server, package("V1"))
    assert main(["models", "pull", "me/mine"]) == 0
    assert b"was here" not in capsysbinary.readouterr().err
    server.commit("me/mine", SECOND, package("V2"))
    with monkeypatch.context() as offline:
        offline.setenv("HF_HUB_OFFLINE", "1")
        assert main(["models", "pull", "me/mine"]) == 0
    told = capsysbinary.readouterr()
    assert b"licence V1" in told.err
    assert b"was not asked" in told.err
    assert main(["models", "pull", f"me/mine@{COMMIT}"]) == 0
    assert b"licence V1" in capsysbinary.readouterr().err
    assert main(["models", "pull", "me/mine"]) == 0
    told = capsysbinary.readouterr()
    assert f"me/mine is at commit {SECOND[:7]} now; {COMMIT[:7]} was here".encode() in told.err
    assert b"licence V2" in told.err
    assert Path(told.out.decode().strip()).read_bytes() == b"weights of V2"
    assert packages.find_model("me/mine").licence == "V2"


def test_pull_uses_what_is_here_where_the_hub_does_not_answer(server, capsysbinary):
    put(server, package("V1"))
    assert main(["models", "pull", "me/mine"]) == 0
    server.status = 403
    assert main(["models", "pull", "me/mine"]) == 0
    told = capsysbinary.readouterr().err
    assert b"whether there is a newer one is not known" in told
    assert told.count(b"trusted and remembered") == 1, "the second time nothing came"


def test_a_network_that_learned_flow_matching_alone_takes_many_steps(server):
    path = write_run("flow", objective="flow-matching") / "final.safetensors"
    info = describe_model(str(path))
    assert (info.kind, info.default_steps) == ("instantaneous", 25)
    pipeline = load_pipeline(str(path), device="cpu")
    work, seen = pipeline.prepare(None, prompt="rain", duration_s=0.5), []
    pipeline.generator.register_forward_hook(lambda _, __, kwargs, ___: seen.append(kwargs), with_kwargs=True)
    from mfv2a.pipeline import SampleOptions

    pipeline.sample([work], SampleOptions(steps=3))
    assert [float(k["t"][0]) for k in seen] == pytest.approx([1, 2 / 3, 1 / 3])
    assert all(torch.equal(k["r"], k["t"]) for k in seen)


def test_a_network_that_takes_the_weight_of_guidance_is_told_it_in_one_evaluation(server, capsysbinary):
    write_run("run", guidance=(1.0, 3.0), guided=True)
    assert main(["models", "export", "run", "mine"]) == 0
    assert 'guidance = "input"' in Path("mine/checkpoints.toml").read_text()
    info = describe_model("./mine")
    assert (info.guidance, info.default_cfg, info.guides(6.0)) == ("input", 3.0, False)
    pipeline, seen = load_pipeline("./mine", device="cpu"), []
    torch.nn.init.normal_(pipeline.generator.w_embed.mlp[2].weight, std=0.1)
    work = pipeline.prepare(None, prompt="rain", duration_s=0.5)
    pipeline.generator.register_forward_hook(lambda _, __, kwargs, ___: seen.append(kwargs), with_kwargs=True)
    from mfv2a.pipeline import SampleOptions

    for strength in (None, 2.0):
        pipeline.sample([work, work], SampleOptions(steps=1, cfg_strength=strength))
    assert [k["guidance"].tolist() for k in seen] == [[3.0, 3.0], [2.0, 2.0]], "no second branch"
    make_video(Path("in/a.mp4"), seconds=1.0)
    for words in ([], ["--cfg", "2"]):
        assert main(["dub", "in", "--out", "out", "--model", "./mine", *words]) == 0
    assert main(["dub", "in", "--out", "other", "--model", "./mine", "--negative-prompt", "voices"]) == 2
    assert b"takes no negative prompt" in capsysbinary.readouterr().err


def test_a_run_at_a_public_models_widths_takes_its_encoders(server, monkeypatch, tmp_path):
    tiny_mmaudio.add_sizes(monkeypatch)
    tiny_mmaudio.write_register(tmp_path, monkeypatch)
    server.files |= tiny_mmaudio.files()
    sizes = {"clip_dim": 24, "text_dim": 24, "sync_dim": 24, "text_len": 77, "latent_dim": 20}
    path = write_run("wide", **sizes) / "final.safetensors"
    with pytest.raises(ConfigError, match="no known model has these inputs: clip_dim 24"):
        describe_model(str(path))
    monkeypatch.setitem(packages.BASES, (24, 24, 77, 24, 20), "tiny-mm-16k")
    pipeline = load_pipeline(str(path), device="cpu")
    assert type(pipeline.encoders).__name__ == "MMAudioEncoders"
    assert (pipeline.info.kind, pipeline.info.default_steps, pipeline.info.default_cfg) == ("average", 1, 1.0)
    assert main(["models", "export", "wide", "packed", "--like", "tiny-mm-16k"]) == 0
    assert main(["tta", "rain", "--model", "./packed", "--duration", "1", "--out", "r.wav", "--quiet"]) == 0
    assert len(samples("r.wav")) == 48000


def own_codec(folder):
    """A package by hand, as docs/TRAINING.md has it: codec and sync encoder are copies under other names."""
    page = (Path(__file__).parents[2] / "docs" / "TRAINING.md").read_text(encoding="utf-8")
    register = page.partition("A codec of your own.")[2].partition("```toml\n")[2].partition("```")[0]
    folder.mkdir()
    (folder / "checkpoints.toml").write_text(register, encoding="utf-8")
    for role in ("vae", "sync"):
        network, _ = load_network(Path(find_checkpoint(f"embedded-{role}").path), role)
        save_network(folder / f"{role}.safetensors", role, network)
    shutil.copyfile("run/final.safetensors", folder / "generator.safetensors")


def test_a_generator_of_another_codec_is_not_joined_to_the_embedded_one(server, capsysbinary, monkeypatch):
    known = {role: find_checkpoint(f"embedded-{role}").digest.removeprefix("sha256:") for role in ("vae", "sync")}
    write_run("same", features={role: [digest] for role, digest in known.items()})
    assert main(["models", "export", "same", "packed"]) == 0
    write_run("run")
    own_codec(Path("own"))
    digests = {role: [whole_digest(Path(f"own/{role}.safetensors"))] for role in ("vae", "sync")}
    for features, role in (
        (digests, "vae"),
        ({"vae": [known["vae"], "0" * 64]}, "vae"),
        ({"sync": ["0" * 64]}, "sync"),
    ):
        write_run("run", features=features)
        for words in ([], ["--like", "embedded"]):
            assert main(["models", "export", "run", "mine", *words]) == 2
            told = capsysbinary.readouterr().err.decode()
            assert f"learned from features of another {role} than that of embedded" in told
            assert "A codec of your own" in told
        assert not Path("mine").exists()
    write_run("run", features=digests)
    shutil.copyfile("run/final.safetensors", "own/generator.safetensors")
    assert main(["tta", "rain", "--model", "./own", "--duration", "1", "--out", "r.wav", "--quiet"]) == 0
    monkeypatch.setenv("MFV2A_CHECKPOINTS", "own/checkpoints.toml")
    assert main(["models", "export", "run", "like-mine", "--like", "mine"]) == 0
    assert main(["tta", "rain", "--model", "./like-mine", "--duration", "1", "--out", "s.wav", "--quiet"]) == 0
    assert (samples("r.wav") == samples("s.wav")).all()


@pytest.mark.parametrize("name", ["embedded", "mmaudio-small-16k", "tiny"])
def test_a_generator_of_other_widths_is_not_joined(server, capsysbinary, name):
    write_run("run", latent_dim=8)
    assert main(["models", "export", "run", "mine", "--like", name]) == 2
    told = capsysbinary.readouterr().err.decode()
    assert ("cannot take the encoders of tiny" if name == "tiny" else "and " + name + " has") in told
    assert not Path("mine").exists()


@pytest.mark.parametrize(
    ("objective", "steps", "candidates"), [("flow-matching", (25, 0), 1), ("alphaflow", (1, 4), 3)]
)
def test_words_alone_get_as_many_steps_as_the_velocity_needs(server, objective, steps, candidates):
    path = write_run("run", objective=objective) / "final.safetensors"
    entry = packages.find_model(str(path))
    assert (entry.steps, entry.words_steps) == steps
    assert entry.words_tries == candidates


def test_other_weights_are_other_settings(server):
    first = write_run("a") / "final.safetensors"
    before = describe_model(str(first)).digest
    assert describe_model(str(first)).digest == before
    first.touch()
    assert describe_model(str(first)).digest != before


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["models", "export", "nothing", "x"], 2, "has no final.safetensors"),
        (["models", "export", "run", "full"], 2, "not empty"),
        (["models", "push", "full", "me/x"], 2, "full is no model"),
        (["models", "push", "mine", "not a name"], 4, "no name of a repo"),
        (["tta", "x", "--model", "missing.safetensors"], 2, "no model file missing.safetensors"),
        (["tta", "x", "--model", "broken.safetensors"], 4, "broken.safetensors"),
        (["tta", "x", "--model", "plain.safetensors"], 4, "does not say what network it is"),
        (["tta", "x", "--model", "me/nothing"], 4, "no me/nothing"),
        (["tta", "x", "--model", "full"], 2, "full is no model"),
        (["tta", "x", "--model", "embeded"], 2, "unknown model"),
    ],
)
def test_what_cannot_be_is_told_in_a_line(server, capsysbinary, words, code, told):
    from safetensors.torch import save_file

    write_run("run")
    assert main(["models", "export", "run", "mine"]) == 0
    Path("full").mkdir()
    Path("full/a").write_text("a")
    Path("broken.safetensors").write_bytes(b"no weights")
    save_file({"a": torch.zeros(1)}, "plain.safetensors")
    capsysbinary.readouterr()
    assert main(words) == code
    error = capsysbinary.readouterr().err.decode()
    assert told in error
    assert "fault of mfv2a" not in error
    assert not Path("x").exists()


def test_a_package_says_all_that_the_file_does(server):
    from dataclasses import replace

    from mfv2a.packages import find_model

    write_run("run")
    assert main(["models", "export", "run", "mine", "--licence", "MIT"]) == 0
    ours, packed = find_model("run/final.safetensors"), find_model("./mine")
    same = ("name", "path", "digest", "licence", "licence_url", "scope", "bytes", "note", "evidence", "components")
    assert replace(packed, **{name: getattr(ours, name) for name in same}) == ours


def test_a_damaged_package_is_refused(server, capsysbinary):
    write_run("run")
    assert main(["models", "export", "run", "mine"]) == 0
    weights = Path("mine/generator.safetensors")
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    make_video(Path("in/a.mp4"), seconds=0.4)
    assert main(["dub", "in", "--out", "out", "--model", "./mine"]) == 4
    assert b"sha256" in capsysbinary.readouterr().err
    assert not Path("out").exists()


@pytest.mark.parametrize("name", ["./nothere", "../nothere", "~/nothere", "a--b/c"])
def test_a_folder_that_is_not_there_is_told_and_the_hub_is_not_asked(server, capsysbinary, name):
    make_video(Path("in/a.mp4"), seconds=0.4)
    assert main(["dub", "in", "--out", "out", "--model", name]) == 2
    assert f"there is no model {name}".encode() in capsysbinary.readouterr().err
    assert server.requests == []


def test_a_push_without_a_right_is_told(server, monkeypatch, capsysbinary):
    write_run("run")
    assert main(["models", "export", "run", "mine"]) == 0
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    assert main(["models", "push", "mine", "me/mine"]) == 4
    assert b"401" in capsysbinary.readouterr().err
    assert main(["--offline", "models", "push", "mine", "me/mine"]) == 4
    assert b"off limits" in capsysbinary.readouterr().err


def test_changed_weights_are_not_pushed(server):
    from mfv2a.jobs.export import push

    write_run("run")
    assert main(["models", "export", "run", "mine"]) == 0
    with Path("mine/generator.safetensors").open("ab") as file:
        file.write(b"x")
    with pytest.raises(CheckpointError, match="and not sha256"):
        push(Path("mine"), "me/mine", private=False)
    assert not server.files
