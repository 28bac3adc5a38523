"""Woosh's windows over Synchformer against the reference's numbers on pseudo-weights, and the laws they keep."""

from __future__ import annotations

import pytest
import torch

from golden.parity import assert_parity, case, public_weights
from mfv2a.errors import ConfigError
from mfv2a.models.synchformer import CONFIGS, Synchformer, SynchformerConfig
from mfv2a.models.upstream import adapt
from mfv2a.models.woosh_sync import WooshSync


def encode_woosh(net: Synchformer, frames: torch.Tensor, *, at_once: int = 8) -> torch.Tensor:
    """Features [1, T, D] of a video that is there as a whole: [T, H, W, 3] uint8."""
    sync = WooshSync(net, len(frames), at_once=at_once)
    sync.add(frames.numpy())
    return sync.features()[None]


@pytest.mark.slow
def test_the_reference_numbers_at_full_size():
    with torch.device("meta"):
        net = Synchformer(CONFIGS["public"]).eval()
    net.load_state_dict(adapt("synchformer", public_weights("synchformer")), assign=True)
    for which in ("frames_5", "frames_20"):
        inputs, outputs, _ = case("woosh_synch", which)
        with torch.inference_mode():
            found = encode_woosh(net, inputs["frames"], at_once=2)
        assert_parity(f"woosh_synch {which}", {"synch_out": found}, outputs, limit=5e-5)


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(0)
    net = Synchformer(SynchformerConfig.tiny()).eval().requires_grad_(False)
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.2)
    return net


def film(count):
    return torch.randint(0, 256, (count, 224, 224, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("count", [1, 7, 8, 9, 37])
def test_there_is_a_feature_a_frame_as_of_a_film_with_grey_before_it(tiny, count):
    frames = film(count)
    grey = torch.zeros(1, 16, 3, 224, 224)
    whole = torch.cat([grey, (frames / 127.5 - 1).permute(0, 3, 1, 2)[None]], 1)
    found = encode_woosh(tiny, frames, at_once=3)
    assert found.shape == (1, count, 24)
    assert torch.allclose(found, tiny.encode(whole)[:, :count], atol=1e-5)


def test_a_feature_does_not_depend_on_what_comes_later(tiny):
    frames = film(40)
    assert torch.allclose(encode_woosh(tiny, frames)[:, :24], encode_woosh(tiny, frames[:24]), atol=1e-5)
    changed = frames.clone()
    changed[16:] = 0
    same = encode_woosh(tiny, changed)[:, :24] - encode_woosh(tiny, frames)[:, :24]
    assert same.abs().max() < 1e-5


def test_the_frames_are_made_numbers_a_few_segments_at_a_time(tiny, monkeypatch):
    seen = []
    encode = Synchformer.encode
    monkeypatch.setattr(
        Synchformer, "encode", lambda net, x, *, chunk: seen.append(x.shape[1]) or encode(net, x, chunk=chunk)
    )
    encode_woosh(tiny, film(40), at_once=2)
    assert seen == [24, 24, 24]


def test_what_are_no_frames_is_refused(tiny):
    with pytest.raises(ConfigError, match="a frame at least"):
        encode_woosh(tiny, film(0))
    with pytest.raises(ConfigError, match="bytes"):
        encode_woosh(tiny, film(8).float())
