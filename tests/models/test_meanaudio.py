"""The networks of MeanAudio and FluxAudio against the reference's numbers on pseudo-weights, and the laws they keep."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from golden.parity import assert_parity, case, file_on_meta, public_weights, shapes
from mfv2a.errors import ConfigError
from mfv2a.flow.guidance import guide
from mfv2a.flow.sampler import ignore_interval, sample
from mfv2a.models.meanaudio import CONFIGS, MeanAudio, MeanAudioConfig
from mfv2a.models.upstream import adapt

FILES = {"s_full": "meanaudio_s", "s_ac": "meanaudio_s", "l_full": "meanaudio_l", "flux_s_full": "fluxaudio_s"}
FORWARDS = ("forward", "forward_5s")


def filled(size):
    with torch.device("meta"):
        net = MeanAudio(CONFIGS[size]).eval().requires_grad_(False)
    net.load_state_dict(public_weights(FILES[size]), assign=True)
    return net


@pytest.fixture(scope="module")
def small():
    return filled("s_full")


@pytest.fixture(scope="module")
def flux():
    return filled("flux_s_full")


def encode(net, inputs):
    return net.encode_conditions(inputs["text_f"], inputs["text_f_c"])


def flow(net, inputs):
    batch = len(inputs["latent"])
    times = {name: inputs[name].expand(batch) for name in ("t", "r") if name in inputs}
    return net(inputs["latent"], **times, conditions=encode(net, inputs))


def sampled(net, inputs, *, steps, strength):
    """The house's sampler, with the learned empty features where it guides."""
    velocity = partial(net, conditions=encode(net, inputs))
    if strength:
        pairs = [torch.cat([inputs[name]] * 2) for name in ("text_f", "text_f_c")]
        both = net.encode_conditions(*net.fill_missing(*pairs, torch.tensor([True, False])))
        velocity = partial(net, conditions=both)
    velocity = velocity if net.config.average else ignore_interval(velocity)
    x = sample(guide(velocity, strength, rescale=False) if strength else velocity, inputs["latent"], steps=steps)
    return {"x1": x, "x1_unnormalized": x * net.latent_std + net.latent_mean}


@pytest.mark.parametrize("size", CONFIGS)
def test_keys_and_shapes_are_those_of_the_public_file(size):
    with torch.device("meta"):
        own = shapes(MeanAudio(CONFIGS[size]))
    for also in ((), ("optional",)):
        assert {
            key: tuple(t.shape) for key, t in adapt("meanaudio", file_on_meta(FILES[size], also=also)).items()
        } == own


@pytest.mark.slow
def test_forwards_give_the_reference_numbers(small, flux):
    for name, net in (("meanaudio_s", small), ("fluxaudio_s", flux)):
        for which in FORWARDS:
            inputs, outputs, _ = case(name, which)
            with torch.inference_mode():
                assert_parity(f"{name} {which}", {"flow": flow(net, inputs)}, outputs, limit=1e-4)


@pytest.mark.slow
def test_forwards_of_the_large_network_give_the_reference_numbers():
    net = filled("l_full")
    for which in FORWARDS:
        inputs, outputs, _ = case("meanaudio_l", which)
        with torch.inference_mode():
            assert_parity(f"meanaudio_l {which}", {"flow": flow(net, inputs)}, outputs, limit=1e-4)


@pytest.mark.slow
def test_activations_on_the_way_give_the_reference_numbers(small):
    inputs, outputs, _ = case("meanaudio_s", "taps")
    found = {}

    def tap(place, *names):
        def keep(_, __, out):
            found.update(zip(names, out if isinstance(out, tuple) else (out,), strict=True))

        return small.get_submodule(place).register_forward_hook(keep)

    hooks = [tap(f"joint_blocks.{i}", f"joint_{i}_latent", f"joint_{i}_text") for i in (0, 3)]
    hooks += [tap("fused_blocks.0", "fused_0"), tap("t_embed", "t_embed"), tap("r_embed", "r_embed")]
    places = {"text_cond_proj": "text_c", "text_input_proj": "text_in", "audio_input_proj": "latent_in"}
    hooks += [tap(place, name) for place, name in places.items()]
    with torch.inference_mode():
        found["flow"] = flow(small, inputs)
    for hook in hooks:
        hook.remove()
    assert set(found) == set(outputs)
    assert_parity("meanaudio_s taps", found, outputs, limit=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "which", "steps", "strength"),
    [
        ("meanaudio_s", "meanflow_1_cfg0", 1, 0.0),
        ("meanaudio_s", "meanflow_2_cfg0", 2, 0.0),
        ("meanaudio_s", "meanflow_2_cfg3", 2, 3.0),
        ("fluxaudio_s", "euler_1_cfg4.5", 1, 4.5),
        ("fluxaudio_s", "euler_4_cfg0", 4, 0.0),
    ],
)
def test_the_houses_sampler_gives_the_reference_numbers(small, flux, name, which, steps, strength):
    inputs, outputs, _ = case(name, which)
    with torch.inference_mode():
        found = sampled(small if name == "meanaudio_s" else flux, inputs, steps=steps, strength=strength)
    assert_parity(f"{name} {which}", found, outputs, limit=2e-4)


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(0)
    return MeanAudio(MeanAudioConfig.tiny()).eval().requires_grad_(False)


def test_one_item_alone_equals_itself_in_a_batch(tiny):
    z, text, pooled, t = torch.randn(2, 6, 4), torch.randn(2, 5, 8), torch.randn(2, 6), torch.tensor([1.0, 0.5])
    r = t / 2
    together = tiny(z, t=t, r=r, conditions=tiny.encode_conditions(text, pooled))
    alone = tiny(z[1:], t=t[1:], r=r[1:], conditions=tiny.encode_conditions(text[1:], pooled[1:]))
    assert torch.allclose(together[1:], alone, atol=1e-6)


def test_no_end_of_the_interval_is_an_interval_of_no_length(tiny):
    z, t = torch.randn(1, 6, 4), torch.tensor([0.7])
    conditions = tiny.encode_conditions(torch.randn(1, 5, 8), torch.randn(1, 6))
    assert torch.equal(tiny(z, t=t, conditions=conditions), tiny(z, t=t, r=t, conditions=conditions))
    assert not torch.allclose(tiny(z, t=t, conditions=conditions), tiny(z, t=t, r=0 * t, conditions=conditions))


def test_without_text_there_are_the_learned_empty_features():
    net = MeanAudio(MeanAudioConfig.tiny()).requires_grad_(False)
    net.empty_string_feat += 2
    net.empty_string_feat_c += 3
    text, pooled = net.fill_missing(torch.ones(2, 5, 8), torch.ones(2, 6), torch.tensor([True, False]))
    assert [text[0].unique().item(), text[1].unique().item()] == [1, 2]
    assert [pooled[0].unique().item(), pooled[1].unique().item()] == [1, 3]


def test_an_instantaneous_velocity_takes_no_second_time():
    net = MeanAudio(MeanAudioConfig(**{**vars(MeanAudioConfig.tiny()), "average": False}))
    conditions = net.encode_conditions(torch.randn(1, 5, 8), torch.randn(1, 6))
    with pytest.raises(ConfigError, match="second time"):
        net(torch.randn(1, 6, 4), t=torch.ones(1), r=torch.zeros(1), conditions=conditions)
    with pytest.raises(ConfigError, match="even width"):
        MeanAudioConfig(dim=10, num_heads=4)
