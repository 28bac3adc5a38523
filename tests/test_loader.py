"""The register of models and how they load."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mfv2a.errors import CheckpointError, ConfigError, DeviceError
from mfv2a.hub import digest_of
from mfv2a.loader import describe_model, load_pipeline, pick_device, pick_dtype
from mfv2a.models import arithmetic, tiny
from mfv2a.models.vae import VAE, VAEConfig
from mfv2a.models.weights import load_network, save_network
from mfv2a.register import files_of, find_model, model_names


def test_an_unknown_model_names_the_closest():
    with pytest.raises(ConfigError, match="embeded") as error:
        describe_model("embeded")
    assert "embedded" in error.value.hint


def test_every_model_states_its_licence_and_settings():
    for name in model_names():
        info = describe_model(name)
        assert info.licence
        assert info.licence_url.startswith("https://")
        assert info.default_steps >= 1


def test_shipped_weights_have_the_digests_of_the_register():
    for file in files_of(find_model("embedded")):
        assert digest_of(Path(file.path), "sha256") == file.digest, file.name
        assert Path(file.path).stat().st_size <= 24 << 20


def test_the_embedded_model_loads_and_makes_sound():
    from mfv2a.pipeline import SampleOptions

    pipeline = load_pipeline("embedded", device="cpu")
    work = pipeline.prepare(None, prompt="rain on a tin roof", duration_s=2.0, seed=1)
    audio = pipeline.decode(work, pipeline.sample([work], SampleOptions())[0])
    assert (audio.sample_rate_hz, len(audio.samples)) == (32000, 64000)
    assert 0.003 < float(abs(audio.samples).max()) <= 1.0


def test_a_device_that_is_not_there_is_named():
    with pytest.raises(DeviceError, match=r"cuda:99"):
        pick_device("cuda:99")
    with pytest.raises(ConfigError, match=r"nonsense") as caught:
        pick_device("nonsense")
    assert "cuda:1" in caught.value.hint


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="this machine has one")
def test_a_device_of_another_kind_of_machine_is_told_in_a_short_line():
    with pytest.raises(DeviceError, match="device 'mps' cannot be used: there is none here") as caught:
        pick_device("mps")
    assert len(str(caught.value)) < 100


def test_dtype_follows_the_device_and_rejects_others():
    assert pick_dtype("auto", torch.device("cpu")) is torch.float32
    assert pick_dtype("bfloat16", torch.device("cpu")) is torch.bfloat16
    with pytest.raises(ConfigError, match="int8"):
        pick_dtype("int8", torch.device("cpu"))


@pytest.mark.parametrize(
    ("capability", "hip", "expected"),
    [
        ((9, 0), None, torch.bfloat16),
        ((8, 0), None, torch.bfloat16),
        ((7, 5), None, torch.float32),
        ((7, 0), "6.4", torch.bfloat16),
    ],
)
def test_a_gpu_that_only_imitates_bfloat16_runs_in_float32(capability, hip, expected, monkeypatch):
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda device: capability)
    monkeypatch.setattr("torch.version.hip", hip)
    assert pick_dtype("auto", torch.device("cuda", 1)) is expected
    assert pick_dtype("bfloat16", torch.device("cuda", 1)) is torch.bfloat16


@pytest.mark.parametrize(("multiplies", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_public_networks_take_the_dtype_that_a_processor_multiplies_best(multiplies, expected, monkeypatch):
    monkeypatch.setattr(arithmetic, "is_surely_native", lambda dtype: multiplies)
    assert pick_dtype("auto", torch.device("cpu"), large=True) is expected
    assert pick_dtype("auto", torch.device("cpu")) is torch.float32
    assert load_pipeline("embedded", device="cpu", generator=False).dtype is torch.float32
    assert load_pipeline("mmaudio-small-16k", device="cpu", random_weights=True, low_memory=True).dtype is expected


@pytest.fixture
def stored(tmp_path):
    return save_network(tmp_path / "vae.safetensors", "vae", VAE(VAEConfig.tiny()), facts={"steps": 3})


def test_a_network_comes_back_as_it_was_stored(stored):
    network, facts = load_network(stored, "vae")
    assert facts == {"steps": 3}
    assert network.config == VAEConfig.tiny()
    assert not network.training


def test_weights_of_another_kind_are_refused(stored):
    with pytest.raises(CheckpointError, match="holds vae, not a sync"):
        load_network(stored, "sync")


def test_cut_or_missing_weights_are_named(stored):
    stored.write_bytes(stored.read_bytes()[:200])
    with pytest.raises(CheckpointError, match=r"vae\.safetensors") as caught:
        load_network(stored, "vae")
    assert "remove it, then fetch it again" in caught.value.hint
    with pytest.raises(CheckpointError, match="nothere"):
        load_network(stored.with_name("nothere"), "vae")


def test_missing_surplus_and_misshaped_keys_are_named(stored):
    from mfv2a.models.weights import load_strict

    network, _ = load_network(stored, "vae")
    state = dict(network.state_dict())
    lacking = {k: v for k, v in state.items() if k != "data_mean"}
    with pytest.raises(CheckpointError, match="lacks data_mean"):
        load_strict(network, lacking, stored)
    with pytest.raises(CheckpointError, match="unknown keys extra"):
        load_strict(network, state | {"extra": torch.zeros(1)}, stored)
    with pytest.raises(CheckpointError, match="wrong shapes for data_mean"):
        load_strict(network, state | {"data_mean": torch.zeros(1)}, stored)


def test_a_model_with_a_vocoder_of_its_own_uses_it(monkeypatch):
    from mfv2a.models.istft import ISTFTConfig, ISTFTVocoder
    from mfv2a.pipeline import SampleOptions

    networks = tiny.tiny_networks()
    networks["vocoder"] = ISTFTVocoder(ISTFTConfig.tiny()).eval()
    monkeypatch.setattr(tiny, "tiny_networks", lambda: networks)
    pipeline = load_pipeline("tiny", device="cpu")
    assert pipeline.vocoder is networks["vocoder"]
    work = pipeline.prepare(None, prompt="rain", duration_s=1.0)
    assert len(pipeline.decode(work, pipeline.sample([work], SampleOptions())[0]).samples) == 16000


def test_the_layouts_that_run_are_those_that_are_told_without_torch():
    from mfv2a import layouts, loader
    from mfv2a.register import read_register

    assert set(layouts.LAYOUTS) == loader.LAYOUTS
    assert {entry.layout for entry in read_register().values() if entry.role == "generator"} <= loader.LAYOUTS
