"""The vocoders against the public references' numbers on pseudo-weights, and the laws they keep."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from golden.fill import FILTER
from golden.parity import assert_parity, case, public_shapes, public_weights, shapes
from mfv2a.errors import ConfigError
from mfv2a.models.bigvgan import CONFIGS, AntiAliased, BigVGAN, BigVGANConfig, lowpass_filter
from mfv2a.models.upstream import adapt

PUBLIC = {"16k": ("bigvgan_16k", 112_233_866), "44k": ("bigvgan_v2_44k", 122_187_145)}


@pytest.mark.parametrize("size", CONFIGS)
def test_keys_and_shapes_are_those_of_the_public_file_with_its_pairs_folded(size):
    name, values = PUBLIC[size]
    with torch.device("meta"):
        own = shapes(BigVGAN(CONFIGS[size]))
    public = public_shapes(name)
    folded = {key.removesuffix("_v"): shape for key, shape in public.items() if not key.endswith("weight_g")}
    assert own == folded
    assert sum(int(np.prod(shape)) for shape in public.values()) == values


@pytest.mark.slow
@pytest.mark.parametrize("size", CONFIGS)
def test_the_reference_numbers_at_full_size(size):
    name, _ = PUBLIC[size]
    with torch.device("meta"):
        net = BigVGAN(CONFIGS[size]).eval()
    net.load_state_dict(adapt("bigvgan", public_weights(name)), assign=True)
    with torch.inference_mode():
        for which in ("mel_32", "mel_b2_9"):
            inputs, outputs, _ = case(name, which)
            assert_parity(f"{name} {which}", {"wave": net(inputs["mel"])[:, None]}, outputs, limit=5e-5)
        inputs, outputs, _ = case(name, "taps")
        found = {}
        for place in (key for key in outputs if key != "wave"):
            net.get_submodule(place).register_forward_hook(lambda _, __, out, at=place: found.update({at: out}))
        found["wave"] = net(inputs["mel"])[:, None]
        assert set(found) == set(outputs)
        assert_parity(f"{name} taps", found, outputs, limit=5e-5)


def test_the_filter_is_that_of_the_reference():
    assert np.abs(lowpass_filter().numpy().ravel() - FILTER).max() < 1e-7


def test_an_activation_on_a_slow_wave_is_that_of_its_samples():
    act = AntiAliased(1)
    x = torch.sin(torch.arange(400) * 0.02)[None, None]
    with torch.no_grad():
        found, plain = act(x)[0, 0], (x + torch.sin(x).square())[0, 0]
    assert (found - plain)[8:-8].abs().max() < 2e-3


def test_a_wave_has_a_hop_of_samples_a_frame_and_is_bounded():
    torch.manual_seed(0)
    for bound in ("tanh", "clamp"):
        net = BigVGAN(BigVGANConfig(dim=16, rates=(4, 2), kernels=(8, 4), bound=bound)).eval()
        with torch.no_grad():
            wave = net(torch.randn(2, 80, 9) * 100)
        assert net.hop == 8
        assert wave.shape == (2, 72)
        assert wave.abs().max() <= 1


def test_one_item_alone_equals_itself_in_a_batch():
    torch.manual_seed(0)
    net, mel = BigVGAN(BigVGANConfig.tiny()).eval(), torch.randn(3, 80, 5)
    with torch.no_grad():
        assert torch.allclose(net(mel)[1:2], net(mel[1:2]), atol=1e-6)


def test_stages_must_agree():
    with pytest.raises(ConfigError, match="stages"):
        BigVGANConfig(rates=(4,), kernels=(8, 8))
    with pytest.raises(ConfigError, match="halved"):
        BigVGANConfig(dim=20)
