"""The transformer against the public reference's numbers on pseudo-weights, and the laws it must keep."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from golden.fill import fill_keys, load_case, pick, read_keys
from mfv2a.errors import ConfigError
from mfv2a.flow.path import interpolate
from mfv2a.models.blocks import linear_guess
from mfv2a.models.mmaudio import MMAudio, MMAudioConfig


@pytest.fixture
def folder(request):
    return str(request.config.rootpath / "tests/golden/mmaudio_small_16k")


def features(net, batch=2, latents=12, seed=0):
    c, g = net.config, torch.Generator().manual_seed(seed)
    shapes = ((3, c.clip_dim), (16, c.sync_dim), (c.text_len, c.text_dim))
    return [torch.randn(batch, *shape, generator=g) for shape in shapes], torch.randn(
        batch, latents, c.latent_dim, generator=g
    )


@pytest.fixture
def tiny():
    net = MMAudio(MMAudioConfig.tiny()).eval()
    g = torch.Generator().manual_seed(0)
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.1, generator=g)
    return net


def test_keys_and_shapes_are_those_of_the_public_checkpoint(folder):
    with torch.device("meta"):
        own = MMAudio(MMAudioConfig(latent_dim=20)).state_dict()
    public = {k: tuple(s) for k, s, _, note in read_keys(f"{folder}/keys.tsv") if not note}
    assert {k: tuple(v.shape) for k, v in own.items()} == public
    assert sum(v.numel() for v in own.values()) == 157_283_644


def test_forward_gives_the_reference_numbers(folder):
    net = MMAudio(MMAudioConfig(latent_dim=20)).eval()
    net.load_state_dict({k: torch.from_numpy(v) for k, v in fill_keys(f"{folder}/keys.tsv").items()})
    inputs, outputs, _ = load_case(folder, "forward_5s")
    i = {k: torch.from_numpy(np.asarray(v)) for k, v in inputs.items()}
    with torch.inference_mode():
        conditions = net.encode_conditions(i["clip_f"], i["sync_f"], i["text_f"], i["latent"].shape[1])
        flow = net(i["latent"], t=i["t"], conditions=conditions).numpy()
    golden, rule, _ = outputs["flow"]
    difference = pick(flow, rule) - golden
    assert np.abs(difference).max() < 1e-4
    assert np.linalg.norm(difference) < 1e-5 * np.linalg.norm(golden)


def test_one_item_alone_equals_itself_in_a_batch(tiny):
    (clip, sync, text), z = features(tiny, batch=3)
    t, r = torch.tensor([0.3, 0.9, 1.0]), torch.tensor([0.1, 0.2, 0.0])
    with torch.no_grad():
        together = tiny(z, t=t, r=r, conditions=tiny.encode_conditions(clip, sync, text, 12))
        alone = tiny(z[1:2], t=t[1:2], r=r[1:2], conditions=tiny.encode_conditions(clip[1:2], sync[1:2], text[1:2], 12))
    # Outputs are as large as 40 here: a matrix product rounds in another order for another batch.
    assert (together[1:2] - alone).norm() < 2e-5 * alone.norm()


def test_a_missing_modality_equals_its_empty_feature(tiny):
    (clip, sync, text), _ = features(tiny)
    yes, no = torch.tensor([True, True]), torch.tensor([False, True])
    filled = tiny.fill_missing(clip, sync, text, no, yes)
    assert torch.equal(filled[0][0], tiny.empty_clip_feat.expand(3, -1))
    assert torch.equal(filled[1][0], tiny.empty_sync_feat.expand(16, -1))
    assert torch.equal(filled[0][1], clip[1])
    assert torch.equal(filled[2], text)
    assert torch.equal(tiny.fill_missing(clip, sync, text, yes, no)[2][0], tiny.empty_string_feat)


def test_the_second_time_starts_without_effect():
    net = MMAudio(MMAudioConfig.tiny())
    net.initialize(torch.Generator().manual_seed(0))
    torch.nn.init.normal_(net.final_layer.conv.weight, generator=torch.Generator().manual_seed(1))
    (clip, sync, text), z = features(net)
    t = torch.tensor([0.5, 1.0])
    with torch.no_grad():
        conditions = net.encode_conditions(clip, sync, text, 12)
        assert torch.equal(net(z, t=t, r=torch.zeros(2), conditions=conditions), net(z, t=t, conditions=conditions))


def test_both_times_matter_once_trained(tiny):
    (clip, sync, text), z = features(tiny)
    with torch.no_grad():
        conditions = tiny.encode_conditions(clip, sync, text, 12)
        one = tiny(z, t=torch.ones(2), r=torch.zeros(2), conditions=conditions)
        assert not torch.allclose(one, tiny(z, t=torch.ones(2), r=torch.ones(2) * 0.9, conditions=conditions))


def test_a_forward_derivative_in_time_exists(tiny):
    from torch.nn.attention import SDPBackend, sdpa_kernel

    (clip, sync, text), z = features(tiny)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        conditions = tiny.encode_conditions(clip, sync, text, 12)
        r, t = torch.zeros(2), torch.tensor([0.5, 0.8])
        call = lambda a, b: tiny(z, r=a, t=b, conditions=conditions)  # noqa: E731
        _, slope = torch.func.jvp(call, (r, t), (torch.zeros(2), torch.ones(2)))
        difference = (call(r, t + 1e-2) - call(r, t - 1e-2)) / 2e-2
    assert torch.allclose(slope, difference, rtol=2e-2, atol=5e-3)


def test_an_instantaneous_network_refuses_a_second_time():
    sizes = {"latent_dim": 4, "clip_dim": 8, "sync_dim": 8, "text_dim": 8, "dim": 64, "num_heads": 2}
    net = MMAudio(MMAudioConfig(**sizes, joint_depth=1, fused_depth=0))
    conditions = net.encode_conditions(torch.zeros(1, 1, 8), torch.zeros(1, 8, 8), torch.zeros(1, 77, 8), 4)
    with pytest.raises(ConfigError, match="second time"):
        net(torch.zeros(1, 4, 4), t=torch.ones(1), r=torch.zeros(1), conditions=conditions)


def test_heads_must_divide_the_width():
    with pytest.raises(ConfigError, match="heads"):
        MMAudioConfig(latent_dim=20, dim=100, num_heads=3)


def test_pictures_and_words_are_scaled_before_they_are_projected():
    net, seen = MMAudio(replace(MMAudioConfig.tiny(), feature_scale=7.0)).eval(), []
    for layer in (net.clip_input_proj, net.text_input_proj):
        layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    (clip, sync, text), _ = features(net)
    net.encode_conditions(clip, sync, text, 12)
    assert torch.equal(seen[0], 7 * clip)
    assert torch.equal(seen[1], 7 * text)


def test_the_weight_of_guidance_enters_by_its_logarithm():
    net, seen = MMAudio(replace(MMAudioConfig.tiny(), guided=True)).eval(), []
    net.w_embed.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].tolist()))
    inputs, z = features(net)
    conditions = net.encode_conditions(*inputs, 12)
    for weight in (torch.tensor([0.0, 4.5]), None):
        net(z, t=torch.ones(2), guidance=weight, conditions=conditions)
    assert seen == [pytest.approx([0, math.log(5.5)]), pytest.approx([math.log(2)] * 2)]


@pytest.mark.parametrize("t", [0.1, 0.5, 0.9])
def test_the_linear_guess_is_the_best_of_all_multiples_for_data_of_unit_variance(t):
    generator = torch.Generator().manual_seed(0)
    x, e = torch.randn(2, 1, 20_000, 4, generator=generator)
    z, v = interpolate(x, e, torch.tensor([t]))
    best = (z * v).sum() / z.square().sum()
    assert torch.allclose(linear_guess(z, torch.tensor([t])), best * z, atol=0.08)
