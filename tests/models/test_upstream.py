"""Public files -> networks: every layout they come in, and what damaged, wrong and hostile ones say."""

from __future__ import annotations

import hashlib
import os

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from golden.parity import public_weights
from mfv2a.errors import CheckpointError, ConfigError
from mfv2a.models import upstream
from mfv2a.models.bigvgan import BigVGANConfig
from mfv2a.models.clap import CLAPTextConfig
from mfv2a.models.clip import CLIPConfig
from mfv2a.models.cnn14 import Cnn14Config
from mfv2a.models.desync import DesyncConfig
from mfv2a.models.meanaudio import MeanAudioConfig
from mfv2a.models.mmaudio import MMAudioConfig
from mfv2a.models.roberta import RobertaConfig
from mfv2a.models.synchformer import SynchformerConfig
from mfv2a.models.t5 import T5Config
from mfv2a.models.upstream import PUBLIC, adapt, convert_public, fold_pairs, load_public, random_public, read_public
from mfv2a.models.vae import VAEConfig
from mfv2a.models.vggish import VGGishConfig
from mfv2a.models.woosh import WooshConfig
from mfv2a.models.woosh_autoencoder import WooshAutoencoderConfig

TINY = {
    "mmaudio": MMAudioConfig(
        latent_dim=4, clip_dim=8, sync_dim=8, text_dim=8, dim=16, num_heads=2, joint_depth=1, fused_depth=1,
        mlp_ratio=1.0, noise_at_zero=True,
    ),
    "vae": VAEConfig.tiny(),
    "bigvgan": BigVGANConfig.tiny(),
    "clip": CLIPConfig.tiny(),
    "synchformer": SynchformerConfig.tiny(),
    "meanaudio": MeanAudioConfig.tiny(),
    "woosh": WooshConfig.tiny(),
    "woosh_autoencoder": WooshAutoencoderConfig.tiny(),
    "roberta": RobertaConfig.tiny(),
    "t5": T5Config.tiny(),
    "clap_text": CLAPTextConfig.tiny(),
    "cnn14": Cnn14Config.tiny(),
    "vggish": VGGishConfig.tiny(),
    "desync": DesyncConfig.tiny(),
}  # fmt: skip


@pytest.fixture(autouse=True)
def tiny_sizes(monkeypatch):
    """Each kind gets a size "tiny"."""
    small = {
        kind: upstream.PublicNetwork(**{**vars(public), "configs": {"tiny": TINY[kind]}})
        for kind, public in PUBLIC.items()
    }
    monkeypatch.setattr(upstream, "PUBLIC", small)


@pytest.fixture
def nets():
    torch.manual_seed(0)
    return {kind: PUBLIC[kind].network(TINY[kind]).eval() for kind in PUBLIC}


def split_pairs(state, *, new=False):
    """A vocoder's weights as a public file holds them: magnitude and direction of each convolution."""
    names = upstream.PAIRS[int(new)]
    out = {}
    for key, value in state.items():
        if key.endswith(".weight"):
            layer, norm = key.removesuffix("weight"), value.flatten(1).norm(dim=1).view(-1, 1, 1)
            out |= {layer + names[0]: norm.clone(), layer + names[1]: 3.0 * value}
        else:
            out[key] = value.clone()
    return out


def published(kind, net):
    """A state dict as the authors of each network publish it."""
    state = {key: value.clone() for key, value in net.state_dict().items()}
    if kind == "mmaudio":
        return state | {"latent_rot": torch.zeros(1, 4), "clip_rot": torch.zeros(1), "t_embed.freqs": torch.zeros(8)}
    if kind == "bigvgan":
        return {"generator": split_pairs(state)}
    if kind == "clip":
        return state | {"logit_scale": torch.zeros([]), "text_projection": torch.zeros(24, 24)}
    if kind == "synchformer":
        inner = {f"vfeat_extractor.{key}": value for key, value in state.items()}
        inner["vfeat_extractor.patch_embed.proj.weight"] = torch.zeros(2)
        return inner | {"afeat_extractor.norm.weight": torch.zeros(3), "vproj.weight": torch.zeros(2)}
    if kind == "meanaudio":
        return {f"ema_model.{key}": value for key, value in (state | {"r_embed.freqs": torch.zeros(8)}).items()}
    if kind == "roberta":
        inner = {f"sentence_frontend.{key}": value for key, value in state.items()}
        extra = ("sentence_frontend.pooler.dense.bias", "sentence_frontend.encoder.layer.23.output.dense.bias")
        return inner | {key: torch.zeros(2) for key in (*extra, "sentence_head.0.bias")}
    if kind == "woosh_autoencoder":
        inner = {key if key.startswith("z_") else f"autoencoder.{key}": value for key, value in state.items()}
        return inner | {"autoencoder.decoder.head.istft.window": torch.zeros(96)}
    if kind == "t5":
        table = {"encoder.embed_tokens.weight": state["shared.weight"], "lm_head.weight": torch.zeros(2)}
        return state | table | {"decoder.block.0.layer.0.SelfAttention.q.weight": torch.zeros(2)}
    if kind == "clap_text":
        extra = ("text_branch.embeddings.position_ids", "audio_branch.bn0.weight", "audio_projection.0.bias")
        state |= {key: torch.zeros(2) for key in (*extra, "text_transform.sequential.0.bias", "logit_scale_a")}
        return {"epoch": 15, "state_dict": {f"module.{key}": value for key, value in state.items()}, "name": "clap"}
    if kind == "cnn14":
        state["logmel_extractor.melW"] = state.pop("filters")
        return {"iteration": 1, "model": state | {"spectrogram_extractor.stft.conv_real.weight": torch.zeros(2)}}
    if kind == "desync":
        return state | {"vfeat_extractor.patch_embed.proj.weight": torch.zeros(2)}
    return published_woosh(state) if kind == "woosh" else state


def published_woosh(state):
    """Woosh's weights under the names of the video network's file, with some of what it holds besides."""
    times = "dit.preprocessing."
    inputs = f"{times}old_preprocessing.old_preprocessing."
    theirs = {"inputs.": inputs, "times.": times, "last.": "dit.postprocessing.old_postprocessing."}
    theirs |= {"layers.": "dit.layers.", "video_input.": "conditioners.video_features.linear_encoder."}
    out = {}
    for key, value in state.items():
        ours = next(name for name in theirs if key.startswith(name))
        out[theirs[ours] + key.removeprefix(ours)] = value
    extra = (f"{inputs}to_timestep_embed.0.bias", f"{times}to_logvar_ctm.2.bias", f"{times}cfg_features.freqs")
    out |= {key: torch.zeros(2) for key in extra}
    return out | {f"{inputs}memory_tokens_description": torch.zeros(1, 0, 64)}


def assert_same(found, wanted):
    state, other = found.state_dict(), wanted.state_dict()
    assert state.keys() == other.keys()
    for key, value in state.items():
        assert torch.allclose(value, other[key], atol=1e-6), key


@pytest.mark.parametrize("kind", PUBLIC)
def test_published_files_load(tmp_path, nets, kind):
    path = tmp_path / "file.pth"
    torch.save(published(kind, nets[kind]), path)
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    found = load_public(kind, "tiny", path)
    assert_same(found, nets[kind])
    assert not found.training
    assert not any(p.requires_grad or p.is_meta for p in (*found.parameters(), *found.buffers()))
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before


@pytest.mark.parametrize("kind", PUBLIC)
def test_a_converted_copy_loads_to_the_same_network(tmp_path, nets, kind):
    source, target = tmp_path / "file.pth", tmp_path / "cache" / "copy.safetensors"
    torch.save(published(kind, nets[kind]), source)
    assert convert_public(kind, source, target) == target
    assert [path.name for path in target.parent.iterdir()] == ["copy.safetensors"]
    assert set(load_file(target)) == set(nets[kind].state_dict())
    one, other = load_public(kind, "tiny", source), load_public(kind, "tiny", target)
    for key, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[key]), key


def test_a_safetensors_file_is_not_changed_by_folding(tmp_path, nets):
    path = tmp_path / "file.safetensors"
    save_file(split_pairs(nets["bigvgan"].state_dict()), path)
    before = path.read_bytes()
    assert_same(load_public("bigvgan", "tiny", path), nets["bigvgan"])
    assert path.read_bytes() == before


@pytest.mark.parametrize("new", [False, True])
def test_weight_norm_pairs_of_both_styles_fold_to_what_torch_computes(new):
    torch.manual_seed(0)
    for layer in (nn.Conv1d(3, 5, 7), nn.ConvTranspose1d(4, 2, 8)):
        paired = nn.Sequential(torch.nn.utils.parametrizations.weight_norm(layer))
        paired[0].parametrizations.weight.original0.data.mul_(1.7)
        wanted = paired[0].weight.detach().clone()
        state = {key: value.clone() for key, value in paired.state_dict().items()}
        if not new:
            old = dict(zip(upstream.PAIRS[1], upstream.PAIRS[0], strict=True))
            state = {f"0.{old.get(key[2:], key[2:])}": value for key, value in state.items()}
        folded = fold_pairs(state)
        assert set(folded) == {"0.weight", "0.bias"}
        assert torch.allclose(folded["0.weight"], wanted, atol=1e-6)


@pytest.mark.parametrize("wrapper", upstream.WRAPPERS)
def test_prefixes_of_training_tools_are_taken_off(nets, wrapper):
    state = {wrapper + key: value for key, value in nets["vae"].state_dict().items()}
    assert adapt("vae", state | {f"{wrapper}_extra_state": torch.zeros(1)}).keys() == nets["vae"].state_dict().keys()


def test_files_of_the_old_format_load_too(tmp_path, nets):
    path = tmp_path / "old.pt"
    torch.save(published("vae", nets["vae"]), path, _use_new_zipfile_serialization=False)
    assert_same(load_public("vae", "tiny", path), nets["vae"])


def test_weights_come_in_the_dtype_asked_for(tmp_path, nets):
    path = tmp_path / "file.safetensors"
    save_file({key: value.half() for key, value in nets["vae"].state_dict().items()}, path)
    assert load_public("vae", "tiny", path).data_mean.dtype == torch.float16
    for tensor in load_public("vae", "tiny", path, dtype=torch.bfloat16).state_dict().values():
        assert tensor.dtype == torch.bfloat16


def test_missing_surplus_and_misshapen_keys_are_named_with_the_file(tmp_path, nets):
    path = tmp_path / "wrong.safetensors"
    state = {key: value.clone() for key, value in nets["vae"].state_dict().items()}
    del state["data_mean"]
    state |= {"surplus.weight": torch.zeros(2), "data_std": torch.ones(1, 7, 1)}
    save_file(state, path)
    with pytest.raises(
        CheckpointError, match=r"wrong\.safetensors lacks data_mean; has unknown keys surplus\.weight; "
    ):
        load_public("vae", "tiny", path)
    with pytest.raises(CheckpointError, match=r"wrong shapes for data_std \(1x7x1, not 1x80x1\)"):
        load_public("vae", "tiny", path)


def test_half_a_pair_is_named(tmp_path, nets):
    state = split_pairs(nets["bigvgan"].state_dict())
    del state["conv_pre.weight_g"]
    save_file(state, tmp_path / "half.safetensors")
    with pytest.raises(CheckpointError, match=r"lacks conv_pre\.weight; has unknown keys conv_pre\.weight_v"):
        load_public("bigvgan", "tiny", tmp_path / "half.safetensors")


def test_the_file_of_another_network_is_refused(tmp_path, nets):
    torch.save(published("vae", nets["vae"]), tmp_path / "vae.pth")
    with pytest.raises(CheckpointError, match=r"lacks .* and \d+ more; has unknown keys") as caught:
        load_public("synchformer", "tiny", tmp_path / "vae.pth")
    assert "Synchformer" in caught.value.hint


class Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(tmp_path, zipped):
    path, trace = tmp_path / "hostile.pth", tmp_path / "trace"
    torch.save({"weight": Hostile(trace)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r"cannot read .*hostile\.pth"):
        load_public("vae", "tiny", path)
    assert not trace.exists()


@pytest.mark.parametrize("name", ["cut.pth", "cut.safetensors"])
@pytest.mark.parametrize("part", [0.0, 0.1, 0.9])
def test_a_cut_file_is_a_checkpoint_error(tmp_path, nets, name, part):
    path = tmp_path / name
    if name.endswith(".pth"):
        torch.save(published("vae", nets["vae"]), path)
    else:
        save_file(nets["vae"].state_dict(), path)
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    with pytest.raises(CheckpointError, match=f"cannot read .*{name}"):
        load_public("vae", "tiny", path)


def test_what_holds_no_tensors_is_a_checkpoint_error(tmp_path):
    for held, said in (([1, 2], "holds a list"), ({"a": 1, "b": torch.zeros(1)}, "no tensors: a")):
        torch.save(held, tmp_path / "odd.pt")
        with pytest.raises(CheckpointError, match=said):
            read_public(tmp_path / "odd.pt")
    with pytest.raises(CheckpointError, match="no weights file"):
        read_public(tmp_path / "weights.txt")
    with pytest.raises(CheckpointError, match=r"cannot read .*none\.safetensors"):
        read_public(tmp_path / "none.safetensors")


def test_a_failed_conversion_leaves_nothing(tmp_path):
    (tmp_path / "broken.pth").write_bytes(b"PK\x03\x04 not a checkpoint")
    with pytest.raises(CheckpointError):
        convert_public("vae", tmp_path / "broken.pth", tmp_path / "cache" / "copy.safetensors")
    assert not list(tmp_path.glob("cache/*"))


def test_unknown_names_are_told_the_known_ones():
    with pytest.raises(ConfigError, match="unknown kind") as caught:
        upstream.find_public("vocoder", "tiny")
    assert "bigvgan" in caught.value.hint
    with pytest.raises(ConfigError, match="unknown vae configuration '48k'") as caught:
        upstream.find_public("vae", "48k")
    assert "tiny" in caught.value.hint


def test_random_weights_are_finite_and_follow_the_seed():
    for kind in PUBLIC:
        one, same, other = (random_public(kind, "tiny", seed=seed).state_dict() for seed in (1, 1, 2))
        assert all(value.isfinite().all() for value in one.values())
        assert all(torch.equal(one[key], same[key]) for key in one)
        assert any(not torch.equal(one[key], other[key]) for key in one)


@pytest.mark.slow
def test_a_public_file_of_full_size_loads_through_its_nesting(tmp_path, monkeypatch):
    monkeypatch.setattr(upstream, "PUBLIC", PUBLIC)
    weights = public_weights("bigvgan_16k")
    torch.save({"generator": weights}, tmp_path / "best_netG.pt")
    found = load_public("bigvgan", "16k", tmp_path / "best_netG.pt").state_dict()
    assert all(torch.equal(found[key], value) for key, value in adapt("bigvgan", weights).items())
