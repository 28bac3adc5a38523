"""Linear maps and attention, on some processors by way of convolutions.

torch leaves products of float32 matrices to MKL, which on AMD's Zen 5 is half as fast as oneDNN, to which it leaves
convolutions. A convolution by one pixel of an image whose channels lie side by side is a product of matrices, of the
same arrays: nothing is copied. Measured with two threads: 204 to 225 GFLOP/s as products, 409 to 502 as convolutions.
In bfloat16 torch takes oneDNN itself. Knows no networks.
"""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mfv2a.models import arithmetic

ROWS, MULTIPLICATIONS = 128, 1 << 24
"""Fewer rows or multiplications are done sooner as a product."""
KEYS = 512
"""Shorter sequences are attended to sooner by torch's own kernel, which holds all their scores at once."""


@functools.cache
def prefers_convolutions() -> bool:
    """Whether oneDNN does float32 twice as fast here as MKL: on AMD's Zen 5, the first of AMD's with VP2INTERSECT."""
    tell = getattr(torch.cpu, "get_capabilities", None)
    can = tell() if tell else {}
    is_zen5 = bool(can.get("avx512_vp2intersect")) and "AMD" in str(can.get("cpu_name"))
    return is_zen5 and torch.backends.mkldnn.is_available()


def _suits(x: Tensor, weight: Tensor) -> bool:
    """Whether x [..., K] times weight [N, K] is to be a convolution: where nothing asks for derivatives."""
    return (
        x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and torch.is_inference_mode_enabled()
        and not torch.compiler.is_compiling()
        and x.numel() >= ROWS * x.shape[-1]
        and x.numel() * len(weight) >= MULTIPLICATIONS
        and prefers_convolutions()
    )


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None, *, scale: float = 1.0) -> Tensor:
    """A linear map, scaled: scale (x W^T + b).

    Args:
        x: [..., K].
        weight: W [N, K].
        bias: b [N], or None.
        scale: of all of it.

    Returns:
        [..., N].
    """
    if _suits(x, weight):
        out = _convolve(x.flatten(0, -2), weight, bias)
        scaled = out if scale == 1 else out.mul_(scale)
        found: Tensor = scaled.unflatten(0, x.shape[:-1])
        return found
    if scale == 1:
        return F.linear(x, weight, bias)
    rows = x.flatten(0, -2)
    product = rows @ weight.T * scale if bias is None else torch.addmm(bias, rows, weight.T, beta=scale, alpha=scale)
    whole: Tensor = product.unflatten(0, x.shape[:-1])
    return whole


def _convolve(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Rows [M, K] as the pixels of an image M high and one wide: their product [M, N] with a weight [N, K]."""
    image = rows.contiguous()[None, :, None].movedim(3, 1)
    return F.conv2d(image, weight[:, :, None, None], bias).movedim(1, 3)[0, :, 0]


class Linear(nn.Linear):
    """torch's linear layer by way of `linear`."""

    def forward(self, input: Tensor) -> Tensor:
        """Map [..., K] to [..., N]."""
        return linear(input, self.weight, self.bias)


def attention(q: Tensor, k: Tensor, v: Tensor, *, causal: bool = False) -> Tensor:
    """Attention, softmax(q k^T / sqrt(d)) v; scores and softmax are in float32.

    Args:
        q: [..., M, d].
        k: [..., N, d].
        v: [..., N, d].
        causal: a token sees none after it.

    Returns:
        [..., M, d].
    """
    if causal or not _by_head(q, k):
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    heads = q.shape[:-2]
    out = torch.empty(q.shape, dtype=v.dtype)
    shares = torch.empty(q.shape[-2], k.shape[-2])  # of one head, in the cache
    narrow = shares if v.dtype == shares.dtype else torch.empty_like(shares, dtype=v.dtype)
    scaled, wide = q.float().mul(q.shape[-1] ** -0.5), k.float()
    each = zip(*(y.reshape(-1, *y.shape[len(heads) :]) for y in (scaled, wide, v, out)), strict=True)
    for query, key, value, target in each:
        torch.softmax(_convolve(query, key), -1, out=shares)
        if narrow is shares:
            target.copy_(_convolve(shares, value.T.contiguous()))
        else:
            torch.mm(narrow.copy_(shares), value, out=target)
    return out


def _by_head(q: Tensor, k: Tensor) -> bool:
    """Whether attention is to be done head by head: long sequences, where `linear` would be a convolution."""
    return (
        q.device.type == "cpu"
        and q.dtype in (torch.float32, torch.bfloat16)
        and arithmetic.is_native(q.dtype)
        and torch.is_inference_mode_enabled()
        and not torch.compiler.is_compiling()
        and min(q.shape[-2], k.shape[-2]) >= KEYS
        and prefers_convolutions()
    )
