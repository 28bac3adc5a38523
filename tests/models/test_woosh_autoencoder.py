"""Woosh's autoencoder against the reference's numbers on pseudo-weights, and the laws it keeps."""

from __future__ import annotations

import pytest
import torch

from golden.fill_woosh import fill
from golden.parity import assert_parity, case, file_on_meta, public_weights, shapes
from mfv2a.models.upstream import adapt
from mfv2a.models.woosh_autoencoder import CONFIGS, WooshAutoencoder, WooshAutoencoderConfig

SIZES = {"woosh_ae": CONFIGS["48k"], "woosh_ae_tiny": WooshAutoencoderConfig.tiny()}
LIMITS = {"limit": 1e-4, "relative": 1e-5}


def filled(name):
    with torch.device("meta"):
        net = WooshAutoencoder(SIZES[name]).eval().requires_grad_(False)
    net.load_state_dict(adapt("woosh_autoencoder", public_weights(name, draw=fill)), assign=True)
    return net


@pytest.fixture(scope="module")
def small():
    return filled("woosh_ae_tiny")


def compare(name, net, decoded, encoded):
    with torch.inference_mode():
        inputs, outputs, _ = case(name, decoded)
        found = {"audio": net.decode(inputs["latent"].transpose(1, 2))[:, None]}
        assert_parity(f"{name} {decoded}", found, outputs, **LIMITS)
        inputs, outputs, _ = case(name, encoded)
        found = {"latent": net.encode(inputs["audio"][:, 0]).transpose(1, 2)}
        assert_parity(f"{name} {encoded}", found, outputs, **LIMITS)


@pytest.mark.parametrize("name", SIZES)
def test_keys_and_shapes_are_those_of_the_public_file(name):
    with torch.device("meta"):
        own = shapes(WooshAutoencoder(SIZES[name]))
    for also in ((), ("table",)):
        found = adapt("woosh_autoencoder", file_on_meta(name, also=also))
        assert {key: tuple(tensor.shape) for key, tensor in found.items()} == own
    if name == "woosh_ae":
        assert sum(tensor.numel() for tensor in file_on_meta(name, also=("table",)).values()) == 221_161_123


def test_both_halves_of_a_small_autoencoder_give_the_reference_numbers(small):
    compare("woosh_ae_tiny", small, "decode_66", "encode_b2_1000")


@pytest.mark.slow
def test_the_reference_numbers_at_full_size():
    compare("woosh_ae", filled("woosh_ae"), "decode_b2_26", "encode_b2_10001")


def taps(net, decode, encode):
    """What goes through both halves on the way, by the fixtures' names."""
    coded, heard = {}, {}
    backbone = net.decoder.backbone
    last = len(backbone.convnext) - 1
    places = {
        "embed": backbone.embed, "norm": backbone.norm, "block_0": backbone.convnext[0],
        f"block_{last}": backbone.convnext[last], "final_norm": backbone.final_layer_norm, "head": net.decoder.head.out,
        "bins": net.decoder.head,
    }  # fmt: skip
    hooks = [
        place.register_forward_hook(lambda _, __, out, name=name: heard.update({name: out}))
        for name, place in places.items()
    ]
    hooks += [net.encoder.register_forward_hook(lambda _, __, out: coded.update(latent_unnormalised=out))]
    hooks += [net.encoder.backbone.register_forward_hook(lambda _, __, out: coded.update(backbone=out))]
    heard["audio"] = net.decode(decode["latent"].transpose(1, 2))
    bins = heard.pop("bins")
    raw = decode["latent"] * net.z_std[:, None] + net.z_mean[:, None]
    heard |= {"latent_unnormalised": raw, "magnitude": bins.abs(), "real": bins.real, "imag": bins.imag}
    net.encode(encode["audio"][:, 0])
    coded["stft"] = net.encoder.spectrum(encode["audio"][:, 0])
    for hook in hooks:
        hook.remove()
    return heard, coded


def test_activations_on_the_way_give_the_reference_numbers(small):
    decode, heard, _ = case("woosh_ae_tiny", "taps_decode")
    encode, coded, _ = case("woosh_ae_tiny", "taps_encode")
    with torch.inference_mode():
        found = taps(small, decode, encode)
    assert set(found[0]) == set(heard)
    assert set(found[1]) == set(coded)
    assert_parity("woosh_ae_tiny taps_decode", found[0], heard, **LIMITS)
    assert_parity("woosh_ae_tiny taps_encode", found[1], coded, **LIMITS)


def test_a_wave_has_a_hop_of_samples_between_latents(small):
    wave = small.decode(torch.randn(2, 11, 8))
    assert wave.shape == (2, 480)
    assert small.encode(wave).shape == (2, 11, 8)
    assert torch.allclose(small.decode(torch.zeros(1, 5, 8)), small.decode(torch.zeros(3, 5, 8))[2:], atol=1e-6)


def test_a_direction_longer_than_the_bound_is_louder_than_its_magnitude():
    features = torch.zeros(1, 48, 1)
    head = WooshAutoencoder(SIZES["woosh_ae_tiny"]).decoder.head
    lengths = []
    for size in (1.0, 20.0, 100.0):
        with torch.no_grad():
            head.out.bias.copy_(torch.tensor([0.0, size, 0.0]).repeat_interleave(49))
            lengths.append(head(features).abs().max().item() / torch.nn.functional.softplus(torch.zeros(1)).item())
    assert lengths == pytest.approx([1, 1, 10**0.5], rel=1e-5)
