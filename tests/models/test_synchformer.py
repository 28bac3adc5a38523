"""The sync encoder against the public reference's numbers on pseudo-weights, and the laws it keeps."""

from __future__ import annotations

import pytest
import torch

from golden.parity import assert_parity, case, public_shapes, public_weights, shapes
from mfv2a.errors import ConfigError
from mfv2a.models.synchformer import CONFIGS, DividedAttention, Synchformer, SynchformerConfig
from mfv2a.models.upstream import PUBLIC, adapt


def test_keys_and_shapes_are_those_of_the_public_file():
    with torch.device("meta"):
        own = shapes(Synchformer(CONFIGS["public"]))
    prefix, unused = PUBLIC["synchformer"].prefix, PUBLIC["synchformer"].dropped
    public = public_shapes("synchformer", unused=[prefix + name for name in unused])
    assert own == {key.removeprefix(prefix): shape for key, shape in public.items()}


def in_public_order(tokens, places=196):
    """Tokens [moments, B, places or 1 + places, D], or an end's [B', D], as the public code has them: [B, N, D]."""
    if tokens.ndim < 4:
        return tokens
    members = tokens[:, :, -places:].transpose(0, 1).flatten(1, 2)
    return members if tokens.shape[2] == places else torch.cat([tokens[0, :, :1], members], 1)


@pytest.mark.slow
def test_the_reference_numbers_at_full_size():
    with torch.device("meta"):
        net = Synchformer(CONFIGS["public"]).eval()
    net.load_state_dict(adapt("synchformer", public_weights("synchformer")), assign=True)
    found = {}
    with torch.inference_mode():
        for which in ("frames_30", "frames_b2_16"):
            inputs, outputs, options = case("synchformer", which)
            frames = (inputs["frames"] / 127.5 - 1).permute(0, 3, 1, 2).unflatten(0, (options["B"], options["T"]))
            assert_parity(f"synchformer {which}", {"sync_f": net.encode(frames, chunk=1)}, outputs, limit=5e-5)
        inputs, outputs, _ = case("synchformer", "taps")
        for place in (key for key in outputs if key != "sync_f"):
            net.get_submodule(place).register_forward_hook(
                lambda _, __, out, at=place: found.update({at: in_public_order(out)})
            )
        found["sync_f"] = net((inputs["frames"] / 127.5 - 1).permute(0, 3, 1, 2)[None])[None]
        assert set(found) == set(outputs)
        assert_parity("synchformer taps", found, outputs, limit=5e-5)


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(0)
    net = Synchformer(SynchformerConfig.tiny()).eval()
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.2)
    return net


def test_a_video_alone_equals_itself_in_any_chunk_of_a_batch(tiny):
    frames = torch.rand(2, 31, 3, 224, 224) * 2 - 1
    with torch.no_grad():
        together = tiny.encode(frames, chunk=3)
        alone = tiny.encode(frames[1:], chunk=1)
    assert together.shape == (2, 16, 24)
    assert torch.allclose(together[1:], alone, atol=1e-5)


def test_a_segment_does_not_see_the_others(tiny):
    frames = torch.rand(1, 24, 3, 224, 224) * 2 - 1
    with torch.no_grad():
        whole = tiny.encode(frames)
        assert torch.allclose(whole[:, 8:], tiny.encode(frames[:, 8:]), atol=1e-5)


def test_fewer_frames_than_a_segment_are_refused(tiny):
    with pytest.raises(ConfigError, match="16 frames"):
        tiny.encode(torch.zeros(1, 15, 3, 224, 224))


@pytest.mark.parametrize(
    ("over", "seen"), [("time", {(0, 0), (0, 2), (1, 2), (2, 2)}), ("space", {(1, 0), (1, 1), (1, 2), (1, 3)})]
)
def test_a_token_sees_the_class_token_and_its_group(over, seen):
    torch.manual_seed(0)
    net = DividedAttention(8, 2, over=over)
    x = torch.randn(3, 1, 4, 8, requires_grad=True)  # three moments, of the class token and three places each
    net(x)[1, 0, 2].sum().backward()
    assert {(m, s) for m in range(3) for s in range(4) if x.grad[m, 0, s].abs().sum() > 0} == seen


@pytest.mark.parametrize("over", ["time", "space"])
def test_the_class_token_sees_all_tokens_once(over):
    torch.manual_seed(0)
    net = DividedAttention(8, 2, over=over)
    x = torch.randn(3, 2, 4, 8)
    x[:, :, 0] = x[0, :, 0]
    with torch.no_grad():
        each = torch.cat([x[:1, :, 0], x[:, :, 1:].transpose(1, 2).flatten(0, 1)]).transpose(0, 1)  # [2, 10, 8]
        q, k, v = net.qkv(each).unflatten(-1, (3, 2, 4)).permute(2, 0, 3, 1, 4)
        seen = (q[:, :, :1] @ k.transpose(-1, -2) / 2).softmax(-1) @ v
        expected = net.proj(seen.transpose(1, 2).flatten(2))
        assert torch.allclose(net(x)[:, :, 0], expected[:, 0].expand(3, -1, -1), atol=1e-6)
