"""Networks in numbers that a processor only imitates: fast, and as near to float32 as those numbers allow."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from mfv2a.models import arithmetic
from mfv2a.models.clip import CLIP, CLIPConfig
from mfv2a.models.synchformer import Synchformer, SynchformerConfig


@pytest.fixture
def imitated(monkeypatch):
    monkeypatch.setattr(arithmetic, "is_native", lambda dtype: dtype == torch.float32)


class Watch(TorchFunctionMode):
    """Dtypes in which products are really done."""

    def __init__(self):
        super().__init__()
        self.dtypes = set()

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in arithmetic._PRODUCTS:
            self.dtypes |= {value.dtype for value in args if isinstance(value, torch.Tensor)}
        return func(*args, **(kwargs or {}))


def networks():
    torch.manual_seed(0)
    clip, sync = CLIP(CLIPConfig.tiny()).eval(), Synchformer(SynchformerConfig.tiny()).eval()
    frames, film = torch.rand(1, 3, 3, 384, 384), torch.rand(1, 24, 3, 224, 224) * 2 - 1
    tokens = torch.randint(0, 400, (1, 77))
    return clip, sync, lambda: (clip.encode_image(frames), clip.encode_text(tokens), sync.encode(film))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_no_product_is_done_in_imitated_numbers_and_the_features_keep_their_dtype(dtype, imitated):
    clip, sync, encode = networks()
    with torch.inference_mode():
        exact = encode()
        clip.to(dtype), sync.to(dtype)
        with Watch() as watch:
            found = encode()
    assert watch.dtypes == {torch.float32}
    for a, b in zip(found, exact, strict=True):
        assert a.dtype == dtype
        assert (a.float() - b).norm() < 1e-2 * b.norm()


def test_where_the_processor_has_them_or_derivatives_are_asked_for_nothing_changes(monkeypatch):
    monkeypatch.setattr(arithmetic, "is_native", lambda dtype: True)
    weight, x = torch.randn(4, 4).bfloat16(), torch.randn(2, 4).bfloat16()
    with torch.inference_mode(), Watch() as watch, arithmetic.products_for(weight):
        F.linear(x, weight)
    assert watch.dtypes == {torch.bfloat16}
    monkeypatch.setattr(arithmetic, "is_native", lambda dtype: False)
    with Watch() as watch, arithmetic.products_for(weight):
        F.linear(x, weight)
    assert watch.dtypes == {torch.bfloat16}


def test_a_product_in_float32_rounded_is_what_the_numbers_stand_for(imitated):
    weight, x, bias = (torch.randn(*shape).bfloat16() for shape in ((8, 16), (4, 16), (8,)))
    with torch.inference_mode(), arithmetic.products_for(weight):
        found, scaled = F.linear(x, weight, bias), torch.addmm(bias, x, weight.T, alpha=0.5)
    assert torch.equal(found, F.linear(x.float(), weight.float(), bias.float()).bfloat16())
    assert torch.equal(scaled, torch.addmm(bias.float(), x.float(), weight.float().T, alpha=0.5).bfloat16())


@pytest.mark.parametrize(
    ("can", "native", "surely"),
    [
        ({"architecture": "x86_64", "avx2": True, "avx512_bf16": False}, False, False),
        ({"architecture": "x86_64", "amx_bf16": True}, True, True),
        ({"architecture": "x86_64", "avx512_bf16": True}, True, True),
        ({"architecture": "aarch64"}, True, False),
    ],
)
def test_the_processor_says_what_it_has(can, native, surely, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: can, raising=False)
    assert arithmetic.is_native.__wrapped__(torch.bfloat16) is native
    assert arithmetic.is_surely_native(torch.bfloat16) is surely
    assert arithmetic.is_native.__wrapped__(torch.float32) is arithmetic.is_surely_native(torch.float32) is True
