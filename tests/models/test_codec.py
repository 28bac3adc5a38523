"""The codec's laws and the decoders to wave; the reference's numbers are in test_codec_public.py."""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from mfv2a.models.griffinlim import GriffinLim
from mfv2a.models.istft import ISTFTConfig, ISTFTVocoder
from mfv2a.models.mel import MelSpectrogram
from mfv2a.models.vae import VAE, VAEConfig


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


def test_corrections_bring_the_wave_to_the_mel_it_was_given():
    torch.manual_seed(0)
    mel, tiny = MelSpectrogram(), ISTFTConfig.tiny()
    wanted = mel(chirp()[:, : 62 * 256])
    plain = ISTFTVocoder(tiny).eval()
    errors = []
    for corrections in (0, 1, 3, 6):
        vocoder = ISTFTVocoder(replace(tiny, corrections=corrections))
        vocoder.load_state_dict(plain.state_dict())
        with torch.no_grad():
            errors.append((mel(vocoder(wanted)) - wanted).abs().mean().item())
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < errors[0] / 3


def test_corrections_can_be_learned_through():
    torch.manual_seed(0)
    vocoder = ISTFTVocoder(replace(ISTFTConfig.tiny(), corrections=2))
    vocoder(torch.full((1, 80, 9), -5.0)).square().mean().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in vocoder.parameters())


def test_corrections_of_one_item_equal_those_in_a_batch():
    torch.manual_seed(0)
    vocoder, mel = ISTFTVocoder(replace(ISTFTConfig.tiny(), corrections=3)).eval(), torch.randn(3, 80, 9) - 2
    with torch.no_grad():
        assert torch.allclose(vocoder(mel)[1], vocoder(mel[1:2])[0], atol=1e-5)


def test_the_vocoder_puts_a_frame_where_the_mel_has_it():
    vocoder = ISTFTVocoder(ISTFTConfig.tiny()).eval()

    def strike(network, inputs, out):
        """A click in the middle of the tenth frame; the first is the one that is padded."""
        magnitude, phase = torch.full((1, 22, 513), -30.0), math.pi * (torch.arange(513) % 2)
        magnitude[:, 1 + 9] = 0
        return torch.cat([magnitude, phase.expand(1, 22, 513)], 2)

    vocoder.head.register_forward_hook(strike)
    wave = vocoder(torch.zeros(1, 80, 20))[0]
    assert int(wave.abs().argmax()) == 9 * 256 + 128  # where the mel's frames have their middle


def test_the_vocoder_sees_usual_mels_around_zero():
    vocoder, seen = ISTFTVocoder(ISTFTConfig.tiny()).eval(), []
    vocoder.stem.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].unique().tolist()))
    for level in (-4.0, -2.0, 0.0):
        vocoder(torch.full((1, 80, 6), level))
    assert seen == [[-1.0], [0.0], [1.0]]
