"""Linear maps and attention by way of convolutions: what the products give, and only where they pay."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from mfv2a.models import arithmetic, linear
from mfv2a.models.attention import PackedAttention
from mfv2a.models.clip import CLIP, CLIPConfig

ZEN5 = {"avx512_f": True, "avx512_vp2intersect": True, "cpu_name": "AMD EPYC"}


class Convolutions(TorchFunctionMode):
    """Counts them."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.count += func is F.conv2d
        return func(*args, **(kwargs or {}))


@pytest.fixture
def preferred(monkeypatch):
    """As on a processor that prefers convolutions, however small the product."""
    monkeypatch.setattr(linear, "prefers_convolutions", lambda: True)
    monkeypatch.setattr(linear, "ROWS", 1)
    monkeypatch.setattr(linear, "MULTIPLICATIONS", 1)
    monkeypatch.setattr(linear, "KEYS", 2)


def close(found, wanted, tolerance=1e-5):
    assert found.shape == wanted.shape
    assert found.dtype == wanted.dtype
    assert (found - wanted).norm() <= tolerance * wanted.norm()


@pytest.mark.parametrize("shape", [(1, 7), (5, 7), (2, 3, 7), (2, 3, 4, 7)])
@pytest.mark.parametrize("scale", [1.0, 0.3])
@pytest.mark.parametrize("biased", [True, False])
def test_a_convolution_gives_what_the_product_gives(preferred, shape, scale, biased):
    x, weight, bias = torch.randn(shape), torch.randn(6, 7), torch.randn(6) if biased else None
    with torch.inference_mode(), Convolutions() as seen:
        found = linear.linear(x, weight, bias, scale=scale)
    assert seen.count == 1
    close(found, scale * F.linear(x, weight, bias))


@pytest.mark.parametrize("biased", [True, False])
def test_the_product_itself_is_scaled_too(biased):
    x, weight, bias = torch.randn(2, 3, 7), torch.randn(6, 7), torch.randn(6) if biased else None
    close(linear.linear(x, weight, bias, scale=0.3), 0.3 * F.linear(x, weight, bias))


def test_a_view_is_taken_and_the_weight_may_be_part_of_another(preferred):
    x, weight = torch.randn(7, 5).T, torch.randn(12, 7)[2:8]
    with torch.inference_mode():
        close(linear.linear(x, weight), F.linear(x, weight))


def test_it_is_a_product_with_derivatives_in_other_numbers_and_where_it_is_small(preferred, monkeypatch):
    layer, x = linear.Linear(7, 6), torch.randn(3, 7)
    with Convolutions() as seen:
        layer(x).sum().backward()
        with torch.no_grad():
            layer(x)
        with torch.inference_mode():
            layer.double()(x.double())
            layer.float()
            monkeypatch.setattr(linear, "ROWS", 4)
            layer(x)
            monkeypatch.setattr(linear, "ROWS", 3)
            monkeypatch.setattr(linear, "MULTIPLICATIONS", 3 * 7 * 6 + 1)
            layer(x)
            assert seen.count == 0
            monkeypatch.setattr(linear, "MULTIPLICATIONS", 3 * 7 * 6)
            layer(x)
    assert seen.count == 1


@pytest.mark.parametrize(
    ("can", "wanted"),
    [
        (ZEN5, True),
        ({**ZEN5, "avx512_vp2intersect": False}, False),
        ({**ZEN5, "cpu_name": "Intel(R) Xeon(R) Platinum"}, False),
        ({"architecture": "aarch64"}, False),
        ({}, False),
    ],
)
def test_which_processors_prefer_convolutions(can, wanted, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: can, raising=False)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    assert linear.prefers_convolutions.__wrapped__() is wanted


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 6e-3)])
def test_attention_head_by_head_is_attention(preferred, monkeypatch, dtype, tolerance):
    monkeypatch.setattr(arithmetic, "is_native", lambda dtype: True)
    q, k, v = (2 * torch.randn(2, 3, n, 8).to(dtype) for n in (5, 9, 9))
    wanted = F.scaled_dot_product_attention(q.double(), k.double(), v.double())
    with torch.inference_mode(), Convolutions() as seen:
        found = linear.attention(q, k, v)
    assert seen.count >= 6
    assert found.dtype == dtype
    close(found.double(), wanted, tolerance)


def test_large_scores_in_bfloat16_are_not_rounded(preferred, monkeypatch):
    monkeypatch.setattr(arithmetic, "is_native", lambda dtype: True)
    q, k, v = (torch.randn(1, 1, 64, 16).bfloat16() * size for size in (12, 12, 1))
    wanted = F.scaled_dot_product_attention(q.double(), k.double(), v.double())
    with torch.inference_mode():
        found = linear.attention(q, k, v).double()
    scores = (q @ k.mT).float() * 16**-0.5
    rounded = (scores.softmax(-1).bfloat16() @ v).double()
    assert (found - wanted).norm() < 0.2 * (rounded - wanted).norm()


def test_attention_with_a_mask_derivatives_or_imitated_numbers_is_torchs(preferred, monkeypatch):
    q, k, v = (torch.randn(1, 2, 6, 8) for _ in range(3))
    with Convolutions() as seen:
        linear.attention(q, k, v)
        with torch.inference_mode():
            causal = linear.attention(q, k, v, causal=True)
            monkeypatch.setattr(arithmetic, "is_native", lambda dtype: dtype == torch.float32)
            linear.attention(q.bfloat16(), k.bfloat16(), v.bfloat16())
    assert seen.count == 0
    close(causal, F.scaled_dot_product_attention(q, k, v, is_causal=True))


def test_the_image_tower_sees_the_same_both_ways(preferred, monkeypatch):
    torch.manual_seed(0)
    clip, frames = CLIP(CLIPConfig.tiny()).eval(), torch.rand(1, 2, 3, 384, 384)
    with torch.inference_mode(), Convolutions() as seen:
        found = clip.encode_image(frames)
        ways = seen.count
        monkeypatch.setattr(linear, "prefers_convolutions", lambda: False)
        wanted = clip.encode_image(frames)
    assert ways > 2 * 4  # projections and scores of both blocks
    assert seen.count - ways == 1  # the patches
    close(found, wanted)


def test_the_first_token_alone_sees_all_both_ways(preferred, monkeypatch):
    attend, x = PackedAttention(8, 2), torch.randn(2, 9, 8)
    with torch.inference_mode():
        found = attend(x, first=3)
        monkeypatch.setattr(linear, "prefers_convolutions", lambda: False)
        close(found, attend(x, first=3))
