"""The public mel front ends and codecs, 16k and 44k, against the reference's numbers."""

from __future__ import annotations

import pytest
import torch

from golden.parity import assert_parity, case, public_shapes, public_weights, shapes
from mfv2a.models.mel import CONFIGS as MELS
from mfv2a.models.mel import MelSpectrogram
from mfv2a.models.vae import CONFIGS, VAE


@pytest.mark.parametrize("size", MELS)
def test_the_mel_gives_the_reference_numbers(size):
    name, front = f"mel_{size}", MelSpectrogram(MELS[size])
    for which in ("wave_1", "wave_2"):
        inputs, outputs, options = case(name, which)
        config = MELS[size]
        assert (config.sample_rate_hz, config.hop) == (options["sampling_rate"], options["hop_size"])
        assert_parity(f"{name} {which}", {"mel": front(inputs["waveform"])}, outputs, limit=1e-4)
    _, outputs, _ = case(name, "basis")
    found = {"mel_basis": front.filters.T, "window": front.window}
    assert_parity(f"{name} basis", found, outputs, limit=1e-6)


@pytest.mark.parametrize(("size", "values"), [("16k", 171_657_378), ("44k", 305_479_938)])
def test_the_codecs_keys_are_those_of_the_public_files(size, values):
    with torch.device("meta"):
        vae = VAE(CONFIGS[size])
    assert shapes(vae) == public_shapes(f"vae_{size}")
    assert sum(tensor.numel() for tensor in vae.state_dict().values()) == values


@pytest.mark.slow
@pytest.mark.parametrize("size", CONFIGS)
def test_the_codec_gives_the_reference_numbers_at_full_size(size):
    name = f"vae_{size}"
    with torch.device("meta"):
        vae = VAE(CONFIGS[size]).eval()
    vae.load_state_dict(public_weights(name), assign=True)
    vae.fold_weights()
    with torch.inference_mode():
        for which in ("decode_8s", "decode_b2_t37"):
            inputs, outputs, _ = case(name, which)
            assert_parity(f"{name} {which}", {"mel": vae.decode(inputs["z"])}, outputs, limit=1e-4)
        for which in ("encode_8s", "encode_b2_t64"):
            inputs, outputs, _ = case(name, which)
            mean, std = vae.encode(inputs["mel"])
            assert_parity(f"{name} {which}", {"mean": mean.mT, "std": std.mT}, outputs, limit=1e-4)
        inputs, outputs, _ = case(name, "decode_taps")
        found = {}
        for place in (key for key in outputs if key != "normalized_mel"):
            vae.get_submodule(place).register_forward_hook(lambda _, __, out, at=place: found.update({at: out}))
        found["normalized_mel"] = (vae.decode(inputs["z"]) - vae.data_mean) / vae.data_std
        assert set(found) == set(outputs)
        assert_parity(f"{name} decode_taps", found, outputs, limit=1e-4)
