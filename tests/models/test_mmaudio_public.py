"""The five public MMAudio networks against the reference's numbers on pseudo-weights, on the house's clock.

The full-size networks are compared in float64: the reference's numbers, of float32, lie within the limits of it on any
processor, while the rounding of float32 in our own products differs from one kind of processor to the next.
"""

from __future__ import annotations

from functools import partial

import pytest
import torch

from golden import parity
from golden.parity import assert_parity, public_shapes, public_weights, shapes
from mfv2a.errors import ConfigError
from mfv2a.flow.guidance import guide
from mfv2a.flow.sampler import ignore_interval, sample
from mfv2a.models.mmaudio import CONFIGS, MMAudio, MMAudioConfig

VALUES = {
    "small_16k": 157_283_644,
    "small_44k": 157_409_144,
    "medium_44k": 621_805_944,
    "large_44k": 1_030_002_168,
    "large_44k_v2": 1_030_575_608,
}
FORWARDS = {
    "small_44k": ("forward_8s", "forward_5s", "forward_10s"),
    "medium_44k": ("forward_8s",),
    "large_44k": ("forward_8s",),
    "large_44k_v2": ("forward_8s", "forward_5s"),
}


def filled(size):
    with torch.device("meta"):
        net = MMAudio(CONFIGS[size]).eval().requires_grad_(False)
    net.load_state_dict(public_weights(f"mmaudio_{size}"), assign=True)
    return net.double()


def case(name, which):
    """Inputs of a case in float64, outputs and options."""
    inputs, outputs, options = parity.case(name, which)
    return {key: x.double() if x.is_floating_point() else x for key, x in inputs.items()}, outputs, options


@pytest.fixture(scope="module")
def small():
    return filled("small_16k")


def encode(net, inputs):
    features = (inputs[name] for name in ("clip_f", "sync_f", "text_f"))
    return net.encode_conditions(*features, inputs["latent"].shape[1])


def flow(net, inputs, *, conditions=None):
    """The reference's velocity on its own clock, through ours: v(x, s) = -u(x, 1 - s)."""
    conditions = encode(net, inputs) if conditions is None else conditions
    t = 1 - inputs["t"].double().expand(len(inputs["latent"]))
    return -net(inputs["latent"], t=t, conditions=conditions)


def empty(net, inputs):
    """Conditions of nothing, for the batch of `inputs`."""
    batch, lengths = len(inputs["latent"]), [inputs[name].shape[1] for name in ("clip_f", "sync_f")]
    features = [net.empty_clip_feat.expand(batch, lengths[0], -1), net.empty_sync_feat.expand(batch, lengths[1], -1)]
    return net.encode_conditions(*features, net.empty_string_feat.expand(batch, -1, -1), inputs["latent"].shape[1])


@pytest.mark.parametrize("size", CONFIGS)
def test_keys_shapes_and_values_are_those_of_the_public_file(size):
    with torch.device("meta"):
        net = MMAudio(CONFIGS[size])
    assert shapes(net) == public_shapes(f"mmaudio_{size}")
    assert sum(tensor.numel() for tensor in net.state_dict().values()) == VALUES[size]


@pytest.mark.slow
@pytest.mark.parametrize("size", FORWARDS)
def test_forwards_give_the_reference_numbers_at_full_size(size):
    name, net = f"mmaudio_{size}", filled(size)
    with torch.inference_mode():
        for which in FORWARDS[size]:
            inputs, outputs, _ = case(name, which)
            assert_parity(f"{name} {which}", {"flow": flow(net, inputs)}, outputs, limit=1e-4)
        if size == "large_44k_v2":
            compare_taps(name, net)


@pytest.mark.slow
def test_forwards_of_the_small_network_give_the_reference_numbers(small):
    with torch.inference_mode():
        for which in ("forward_8s", "forward_5s", "forward_10s"):
            inputs, outputs, _ = case("mmaudio_small_16k", which)
            assert_parity(f"mmaudio_small_16k {which}", {"flow": flow(small, inputs)}, outputs, limit=1e-4)
        compare_taps("mmaudio_small_16k", small)


def compare_taps(name, net):
    inputs, outputs, _ = case(name, "taps_8s")
    found = {}

    def tap(place, *names):
        def keep(_, __, out):
            found.update(zip(names, out if isinstance(out, tuple) else (out,), strict=True))

        return net.get_submodule(place).register_forward_hook(keep)

    last = max(int(key.split("_")[1]) for key in outputs if key.startswith("joint"))
    hooks = [tap(f"joint_blocks.{i}", f"joint_{i}_latent", f"joint_{i}_clip", f"joint_{i}_text") for i in (0, last)] + [
        tap(f"fused_blocks.{i}", f"fused_{i}") for i in (0, len(net.fused_blocks) - 1)
    ]
    places = {"clip_cond_proj": "cond_clip_f_c", "text_cond_proj": "cond_text_f_c", "audio_input_proj": "latent_in"}
    hooks += [tap(place, of) for place, of in (places | {n: n for n in ("t_embed", "global_cond_mlp")}).items()]
    conditions = encode(net, inputs)
    found["flow"] = flow(net, inputs, conditions=conditions)
    for hook in hooks:
        hook.remove()
    found |= {"cond_clip_f": conditions.clip, "cond_sync_f": conditions.sync, "cond_text_f": conditions.text}
    assert set(found) == set(outputs)
    assert_parity(f"{name} taps_8s", found, outputs, limit=1e-4)


@pytest.mark.slow
def test_the_absence_of_conditions_gives_the_reference_numbers(small):
    inputs, _, _ = case("mmaudio_small_16k", "forward_8s")
    with torch.inference_mode():
        _, outputs, _ = case("mmaudio_small_16k", "empty_conditions")
        nothing = empty(small, inputs)
        found = {"clip_f": nothing.clip[:1], "sync_f": nothing.sync[:1], "text_f": nothing.text[:1]}
        found |= {"clip_f_c": small.clip_cond_proj(nothing.clip.mean(1))[:1]}
        found |= {"text_f_c": small.text_cond_proj(nothing.text.mean(1))[:1]}
        assert_parity("mmaudio_small_16k empty", found, outputs, limit=1e-4)
        negative, outputs, _ = case("mmaudio_small_16k", "empty_conditions_negative")
        text = small.text_input_proj(negative["negative_text_f"])
        found = {"text_f": text, "text_f_c": small.text_cond_proj(text.mean(1))}
        assert_parity("mmaudio_small_16k negative", found, outputs, limit=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("strength", [4.5, 1.0, 0.5])
def test_guidance_gives_the_reference_numbers(small, strength):
    inputs, outputs, _ = case("mmaudio_small_16k", f"ode_cfg_{strength}")
    with torch.inference_mode():
        found = flow(small, inputs)
        if strength >= 1:  # below 1 the reference does not guide at all
            found = strength * found + (1 - strength) * flow(small, inputs, conditions=empty(small, inputs))
    assert_parity(f"mmaudio_small_16k ode_cfg_{strength}", {"flow": found}, outputs, limit=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("steps", [1, 4, 25])
def test_the_houses_sampler_gives_the_reference_numbers(small, steps):
    inputs, outputs, _ = case("mmaudio_small_16k", f"euler_{steps}_cfg4.5")
    with torch.inference_mode():
        pairs = zip(encode(small, inputs), empty(small, inputs), strict=True)
        both = type(encode(small, inputs))(*(torch.cat(pair) for pair in pairs))
        velocity = guide(ignore_interval(partial(small, conditions=both)), 4.5, rescale=False)
        x = sample(velocity, inputs["latent"], steps=steps)
    found = {"x1": x, "x1_unnormalized": x * small.latent_std + small.latent_mean}
    limit = 5e-4 if steps > 4 else 2e-4
    assert_parity(f"mmaudio_small_16k euler_{steps}", found, outputs, limit=limit)


def test_the_clock_of_the_public_networks_is_turned_once():
    sizes = {"latent_dim": 4, "clip_dim": 8, "sync_dim": 8, "text_dim": 8, "dim": 16, "num_heads": 2}
    config = MMAudioConfig(**sizes, joint_depth=1, fused_depth=1, mlp_ratio=1.0)
    torch.manual_seed(0)
    own = MMAudio(config).eval()
    turned = MMAudio(MMAudioConfig(**{**vars(config), "noise_at_zero": True})).eval()
    turned.load_state_dict(own.state_dict())
    z, t = torch.randn(2, 6, 4), torch.tensor([0.25, 1.0])
    with torch.no_grad():
        conditions = own.encode_conditions(torch.randn(2, 3, 8), torch.randn(2, 8, 8), torch.randn(2, 77, 8), 6)
        assert torch.equal(turned(z, t=t, conditions=conditions), -own(z, t=1 - t, conditions=conditions))


def test_a_network_on_the_turned_clock_has_no_skip():
    with pytest.raises(ConfigError, match="turned clock"):
        MMAudioConfig(latent_dim=4, skip=True, noise_at_zero=True)


def test_an_average_velocity_made_from_an_instantaneous_one_starts_equal_to_it_for_every_interval():
    config = MMAudioConfig(
        latent_dim=4, clip_dim=8, sync_dim=8, text_dim=8, dim=16, num_heads=2, joint_depth=1, fused_depth=1,
        mlp_ratio=1.0, noise_at_zero=True,
    )  # fmt: skip
    torch.manual_seed(0)
    teacher = MMAudio(config).eval()
    student = MMAudio(MMAudioConfig(**{**vars(config), "average": True})).eval()
    student.initialize(torch.Generator().manual_seed(1))
    student.load_state_dict(teacher.state_dict(), strict=False)
    z, t = torch.randn(3, 6, 4), torch.tensor([0.25, 0.6, 1.0])
    with torch.no_grad():
        conditions = teacher.encode_conditions(torch.randn(3, 3, 8), torch.randn(3, 8, 8), torch.randn(3, 77, 8), 6)
        expected = teacher(z, t=t, conditions=conditions)
        for r in (t, torch.zeros(3), 0.3 * t):
            assert torch.equal(student(z, r=r, t=t, conditions=conditions), expected)
