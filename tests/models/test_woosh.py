"""Woosh's flow maps against the reference's numbers on pseudo-weights, and the laws they keep."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from golden.fill_woosh import fill
from golden.parity import assert_parity, case, file_on_meta, public_weights, shapes
from mfv2a.errors import ConfigError
from mfv2a.flow.sampler import sample
from mfv2a.models.upstream import adapt
from mfv2a.models.woosh import CONFIGS, Woosh, WooshConfig, rotary_tables
from mfv2a.models.woosh_layers import AUDIO, TEXT, VIDEO

SILENT = WooshConfig(**{**vars(WooshConfig.tiny()), "video_dim": 0})
SIZES = {
    "woosh_dvflow_8s": CONFIGS["dvflow_8s"],
    "woosh_dflow": CONFIGS["dflow"],
    "woosh_dvflow_tiny": WooshConfig.tiny(),
    "woosh_dflow_tiny": SILENT,
}
VALUES = {"woosh_dvflow_8s": 420_990_338, "woosh_dflow": 344_649_602}
NOTES = ("table", "unused", "optional", "ignored")
LIMITS = {"limit": 1e-4, "relative": 2e-5}


def filled(name):
    with torch.device("meta"):
        net = Woosh(SIZES[name]).eval().requires_grad_(False)
    net.load_state_dict(adapt("woosh", public_weights(name, draw=fill)), assign=True)
    return net


@pytest.fixture(scope="module")
def nets():
    return {name: filled(name) for name in ("woosh_dvflow_tiny", "woosh_dflow_tiny")}


def encode(net, inputs):
    return net.encode_conditions(inputs["text_cond"], inputs["text_mask"].bool(), inputs.get("synch_out"))


def velocity(net, inputs):
    numbers = {"t": inputs["t"], "r": inputs["r"], "guidance": inputs["cfg"]}
    return net(inputs["x"].transpose(1, 2), **numbers, conditions=encode(net, inputs)).transpose(1, 2)


@pytest.mark.parametrize("name", SIZES)
def test_keys_and_shapes_are_those_of_the_public_file(name):
    with torch.device("meta"):
        own = shapes(Woosh(SIZES[name]))
    for also in ((), NOTES):
        found = adapt("woosh", file_on_meta(name, also=also))
        assert {key: tuple(tensor.shape) for key, tensor in found.items()} == own
        assert adapt("woosh", found).keys() == own.keys()
    if name in VALUES:
        used = file_on_meta(name, also=("table", "unused", "optional"))
        assert sum(tensor.numel() for tensor in used.values()) == VALUES[name]


@pytest.mark.parametrize("name", ["woosh_dvflow_tiny", "woosh_dvflow_8s", "woosh_dflow"])
def test_rotary_tables_give_the_reference_numbers(name):
    _, outputs, _ = case(name, "rope")
    found = {}
    for stream, table in rotary_tables(SIZES[name]).items():
        label = {AUDIO: "audio", TEXT: "text", VIDEO: "video"}[stream]
        found |= {f"{label}_cos": table[0], f"{label}_sin": table[1]}
    assert set(found) == set(outputs)
    assert_parity(f"{name} rope", found, outputs, **LIMITS)


@pytest.mark.parametrize(
    ("name", "which"),
    [("woosh_dvflow_tiny", "forward"), ("woosh_dvflow_tiny", "forward_short_b2"), ("woosh_dflow_tiny", "forward")],
)
def test_forwards_give_the_reference_numbers(nets, name, which):
    inputs, outputs, _ = case(name, which)
    with torch.inference_mode():
        assert_parity(f"{name} {which}", {"velocity": velocity(nets[name], inputs)}, outputs, **LIMITS)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "which"), [("woosh_dvflow_8s", "forward_3s_b2"), ("woosh_dflow", "forward_5s")])
def test_the_reference_numbers_at_full_size(name, which):
    inputs, outputs, _ = case(name, which)
    with torch.inference_mode():
        assert_parity(f"{name} {which}", {"velocity": velocity(filled(name), inputs)}, outputs, **LIMITS)


def taps(net, inputs):
    """What goes through the network on the way, by the fixtures' names."""
    found = {}
    lengths = [inputs["x"].shape[2] + 1, inputs["text_cond"].shape[1]]
    lengths += [inputs["synch_out"].shape[1]] if "synch_out" in inputs else []
    names = ("x", "description", "video")[: len(lengths)]

    def keep(_, __, out, at):
        parts = out.values() if isinstance(out, dict) else out.split(lengths, 1)
        found.update({f"layer_{at}_{name}": part for name, part in zip(names, parts, strict=True)})

    hooks = [layer.register_forward_hook(partial(keep, at=at)) for at, layer in enumerate(net.layers)]
    hooks.append(net.times.register_forward_hook(lambda _, __, out: found.update(time_embed=out)))
    found["velocity"] = velocity(net, inputs)
    for hook in hooks:
        hook.remove()
    conditions = encode(net, inputs)
    found |= {"x_in": net.inputs.latent(inputs["x"].transpose(1, 2)), "description_in": conditions.text}
    return found | ({"video_features": conditions.video} if conditions.video is not None else {})


def test_activations_on_the_way_give_the_reference_numbers(nets):
    inputs, outputs, _ = case("woosh_dvflow_tiny", "taps")
    with torch.inference_mode():
        found = taps(nets["woosh_dvflow_tiny"], inputs)
    assert set(found) == set(outputs)
    assert_parity("woosh_dvflow_tiny taps", found, outputs, **LIMITS)


def test_one_step_of_the_houses_sampler_gives_the_reference_numbers(nets):
    inputs, outputs, options = case("woosh_dvflow_tiny", "sample_1")
    net = nets["woosh_dvflow_tiny"]
    bound = partial(net, guidance=torch.tensor([options["cfg"]]), conditions=encode(net, inputs))
    with torch.inference_mode():
        found = sample(bound, inputs["x"].transpose(1, 2), steps=1).transpose(1, 2)
    assert_parity("woosh_dvflow_tiny sample_1", {"latent": found}, outputs, **LIMITS)


@pytest.mark.parametrize("name", ["woosh_dvflow_tiny", "woosh_dflow_tiny"])
def test_the_houses_sampler_renoises_as_the_reference(nets, name):
    inputs, outputs, options = case(name, "sample_4")
    net = nets[name]
    bound = partial(net, guidance=torch.tensor([options["cfg"]]), conditions=encode(net, inputs))
    seen = []

    def velocity(z, *, t, r):
        seen.append([float(t[0]), float(r[0])])
        return bound(z, t=t, r=r)

    def fresh(step):
        return inputs[f"renoise_{step}"].transpose(1, 2)

    with torch.inference_mode():
        x = sample(velocity, inputs["x"].transpose(1, 2), steps=4, renoise=options["renoise"], fresh=fresh)
    assert seen == options["times_seen"]
    assert_parity(f"{name} sample_4", {"latent": x.transpose(1, 2)}, outputs, **LIMITS)


def test_one_item_alone_equals_itself_in_a_batch(nets):
    inputs, _, _ = case("woosh_dvflow_tiny", "forward_short_b2")
    together = velocity(nets["woosh_dvflow_tiny"], inputs)
    alone = velocity(nets["woosh_dvflow_tiny"], {name: value[1:] for name, value in inputs.items()})
    assert torch.allclose(together[1:], alone, atol=1e-5)


def test_what_stands_behind_the_last_token_says_nothing(nets):
    inputs, _, _ = case("woosh_dvflow_tiny", "forward")
    padded = inputs["text_mask"][0] == 0
    assert 0 < padded.sum() < len(padded)
    other = {**inputs, "text_cond": inputs["text_cond"].clone()}
    other["text_cond"][:, padded] = 9
    net = nets["woosh_dvflow_tiny"]
    assert torch.equal(velocity(net, inputs), velocity(net, other))
    other["text_cond"][:, ~padded] = 9
    assert not torch.allclose(velocity(net, inputs), velocity(net, other), atol=1e-2)


def test_video_goes_with_the_networks_that_see_it(nets):
    text, mask = torch.randn(1, 9, 24), torch.ones(1, 9, dtype=torch.bool)
    with pytest.raises(ConfigError, match="needs video"):
        nets["woosh_dvflow_tiny"].encode_conditions(text, mask)
    with pytest.raises(ConfigError, match="sees no video"):
        nets["woosh_dflow_tiny"].encode_conditions(text, mask, torch.randn(1, 4, 20))


def test_more_than_the_network_has_places_for_is_refused(nets):
    net, one = nets["woosh_dvflow_tiny"], torch.ones(1)
    for latents, frames in ((83, 4), (10, 83)):
        text = torch.randn(1, 9, 24), torch.ones(1, 9, dtype=torch.bool)
        conditions = net.encode_conditions(*text, torch.randn(1, frames, 20))
        with pytest.raises(ConfigError, match="more than 82"):
            net(torch.randn(1, latents, 8), t=one, r=0 * one, guidance=one, conditions=conditions)


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match="split into 3 heads"):
        WooshConfig(num_heads=3)
    with pytest.raises(ConfigError, match="fit in a head"):
        WooshConfig(rotated_dim=130)
