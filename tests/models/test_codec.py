"""Mel front end and codec against the public reference's numbers; the decoders to wave."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from golden.fill import fill_keys, load_case, pick, read_keys
from mfv2a.models.griffinlim import GriffinLim
from mfv2a.models.istft import ISTFTConfig, ISTFTVocoder
from mfv2a.models.mel import MelSpectrogram
from mfv2a.models.vae import VAE, VAEConfig


def golden(request, name):
    return str(request.config.rootpath / "tests/golden" / name)


@pytest.mark.parametrize("case", ["wave_1", "wave_2"])
def test_mel_gives_the_reference_numbers(request, case):
    inputs, outputs, _ = load_case(golden(request, "mel_16k"), case)
    mel = MelSpectrogram()(torch.from_numpy(inputs["waveform"])).numpy()
    assert np.abs(mel - outputs["mel"][0]).max() < 1e-4


def test_mel_filters_are_those_of_the_reference(request):
    _, outputs, _ = load_case(golden(request, "mel_16k"), "basis")
    stored, rule, _ = outputs["mel_basis"]
    assert np.abs(pick(MelSpectrogram().filters.T.numpy(), rule) - stored).max() < 1e-6


def test_codec_keys_are_those_of_the_public_checkpoint(request):
    with torch.device("meta"):
        own = VAE(VAEConfig()).state_dict()
    rows = read_keys(f"{golden(request, 'vae_16k')}/keys.tsv")
    public = {k: s for k, s, _, note in rows if not note}
    assert {k: tuple(v.shape) for k, v in own.items()} == public


@pytest.mark.slow
def test_codec_gives_the_reference_numbers_at_full_size(request):
    folder = golden(request, "vae_16k")
    vae = VAE(VAEConfig()).eval()
    vae.load_state_dict({k: torch.from_numpy(v) for k, v in fill_keys(f"{folder}/keys.tsv").items()})
    vae.fold_weights()
    with torch.inference_mode():
        for case in ("decode_8s", "decode_b2_t37"):
            inputs, outputs, _ = load_case(folder, case)
            assert_close(vae.decode(torch.from_numpy(inputs["z"])).numpy(), outputs["mel"][0])
        for case in ("encode_8s", "encode_b2_t64"):
            inputs, outputs, _ = load_case(folder, case)
            mean, std = vae.encode(torch.from_numpy(inputs["mel"]))
            assert_close(mean.mT.numpy(), outputs["mean"][0])
            assert_close(std.mT.numpy(), outputs["std"][0])


def assert_close(found, golden_values):
    assert np.abs(found - golden_values).max() < 1e-4
    assert np.linalg.norm(found - golden_values) < 1e-5 * np.linalg.norm(golden_values)


def test_folded_weights_change_nothing():
    torch.manual_seed(0)
    vae = VAE(VAEConfig.tiny()).eval()
    latent = torch.randn(1, 6, 20)
    with torch.no_grad():
        before = vae.decode(latent)
        vae.fold_weights()
        vae.fold_weights()  # a second time does nothing
        after = vae.decode(latent)
    assert before.shape == (1, 80, 12)
    assert torch.allclose(before, after, atol=1e-5)


def chirp():
    t = torch.arange(16000) / 16000
    return (0.5 * torch.sin(2 * torch.pi * (200 + 600 * t) * t))[None]


def test_griffin_lim_gives_back_what_the_mel_holds():
    mel = MelSpectrogram()
    wave = chirp()[:, : 62 * 256]
    logmel = mel(wave)
    rebuilt = GriffinLim()(logmel)
    assert rebuilt.shape == (1, 62 * 256)
    assert (mel(rebuilt)[:, :40] - logmel[:, :40]).abs().mean() < 0.25


def test_griffin_lim_of_one_item_equals_itself_in_a_batch():
    mel = MelSpectrogram()
    both = torch.cat([mel(chirp()), mel(0.3 * chirp().flip(1))])
    decode = GriffinLim()
    assert torch.allclose(decode(both)[1], decode(both[1:])[0], atol=1e-4)


def test_griffin_lim_puts_a_click_where_it_was():
    wave = torch.zeros(1, 16384)
    wave[0, 9000] = 0.9
    rebuilt = GriffinLim()(MelSpectrogram()(wave))[0]
    # the peak of the energy, within a tenth of the analysis window's length
    assert abs(int(rebuilt.abs().argmax()) - 9000) < 260


def test_vocoder_gives_a_hop_of_samples_a_frame():
    wave = ISTFTVocoder(ISTFTConfig.tiny())(torch.randn(2, 80, 9))
    assert wave.shape == (2, 9 * 256)
    assert wave.abs().max() <= 1
