"""Pieces that the transformers share: attention, gated MLPs, norms, rotary and time embeddings, the last layer.

Knows nothing of conditions, audio or video. Key names follow the public MMAudio checkpoints, so that their
files load into these modules by name.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mfv2a.models.linear import Linear, attention

RMS_EPS = torch.finfo(torch.float32).eps


class RMSNorm(nn.Module):
    """Root-mean-square norm with a gain over the last axis.

    Args:
        dim: length of the last axis.
        eps: added to the mean square; float32's machine epsilon by default.
    """

    def __init__(self, dim: int, eps: float = RMS_EPS) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise [..., D] to unit root mean square times the gain; squares of float16 would soon be infinite."""
        wide = x.float()
        return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)).to(x.dtype) * self.weight


class TokenConv(nn.Conv1d):
    """A 1-D convolution along the token axis of channels-last tokens [B, N, D], 'same' padding."""

    def __init__(self, in_dim: int, out_dim: int, kernel_size: int, *, bias: bool = True) -> None:
        super().__init__(in_dim, out_dim, kernel_size, padding=kernel_size // 2, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, N, D_in] to [B, N, D_out]."""
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


def inner_width(hidden_dim: int, multiple: int = 256) -> int:
    """Width inside a gated MLP: two thirds of `hidden_dim`, rounded up to a multiple."""
    return -(-int(2 * hidden_dim / 3) // multiple) * multiple


class GatedMLP(nn.Module):
    """SwiGLU block w2(silu(w1 x) * w3 x); with `kernel_size` > 1 the three maps are convolutions along tokens.

    Args:
        dim: width D of the tokens.
        hidden_dim: nominal hidden width; the true one is `inner_width(hidden_dim)`.
        kernel_size: 1 for linear maps, else the convolution's kernel.
    """

    def __init__(self, dim: int, hidden_dim: int, kernel_size: int = 1) -> None:
        super().__init__()
        inner = inner_width(hidden_dim)

        def layer(n_in: int, n_out: int) -> nn.Module:
            if kernel_size == 1:
                return Linear(n_in, n_out, bias=False)
            return TokenConv(n_in, n_out, kernel_size, bias=False)

        self.w1, self.w2, self.w3 = layer(dim, inner), layer(inner, dim), layer(dim, inner)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens [B, N, D] to [B, N, D]."""
        out: Tensor = self.w2(F.silu(self.w1(x)) * self.w3(x))
        return out


def sinusoids(t: Tensor, width: int, scale: float = 1.0) -> Tensor:
    """Cosines, then sines, of a number at geometrically falling frequencies, in float32.

    Args:
        t: [B].
        width: number of sinusoids W (half cosines, half sines).
        scale: the fastest angle in radians per unit of `t`.

    Returns:
        [B, W] float32.
    """
    # The order exponent, power, reciprocal, scale matters: at scale 10000 a float32 ulp is 1e-3 rad.
    exponent = torch.arange(0, width, 2, dtype=torch.float32, device=t.device) / width
    frequencies = (1.0 / (10000.0**exponent)) * scale
    angles = t.float()[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], -1)


class TimeEmbedding(nn.Module):
    """Sinusoidal embedding of a time in [0, 1], then two linear layers.

    Args:
        dim: output width D.
        width: number of sinusoids W (half cosines, half sines).
        scale: the fastest angle in radians per unit of time. MeanFlow needs a slow embedding: its training
            target holds the derivative of the network in time.
    """

    def __init__(self, dim: int, width: int = 256, scale: float = 1.0) -> None:
        super().__init__()
        self.width, self.scale = width, scale
        self.mlp = nn.Sequential(Linear(width, dim), nn.SiLU(), Linear(dim, dim))

    def forward(self, t: Tensor) -> Tensor:
        """Embed times [B] as [B, D]; angles are computed in float32."""
        weight: Tensor = self.mlp[0].weight  # type: ignore[assignment]
        out: Tensor = self.mlp(sinusoids(t, self.width, self.scale).to(weight.dtype))
        return out


def rotary_table(num_tokens: int, dim: int, *, stretch: float = 1.0, device: torch.device) -> Tensor:
    """Cosines and sines of the rotary angles n * stretch * 10000^(-2i/dim).

    Returns:
        [2, N, dim/2] float32: cosines, then sines.
    """
    exponent = torch.arange(0, dim, 2, dtype=torch.float32, device=device) / dim
    frequencies = (1.0 / (10000.0**exponent)) * stretch
    angles = torch.arange(num_tokens, dtype=torch.float32, device=device)[:, None] * frequencies
    return torch.stack([angles.cos(), angles.sin()])


def rotate(x: Tensor, table: Tensor) -> Tensor:
    """Rotate adjacent channel pairs of [B, H, N, dim] by a `rotary_table`, in float32, back to x's dtype."""
    even, odd = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    cos, sin = table[0], table[1]
    out = torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-2)
    return out.to(x.dtype)


class QKV(nn.Module):
    """Queries, keys and values of one stream, with per-head RMS norms on q and k.

    The projection's outputs hold the index q/k/v innermost: channel (head * head_dim + d) * 3 + j.
    """

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = Linear(dim, 3 * dim)
        self.q_norm = RMSNorm(dim // num_heads)
        self.k_norm = RMSNorm(dim // num_heads)

    def forward(self, x: Tensor, table: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Project tokens [B, N, D] to q, k, v, each [B, H, N, D/H], rotated if a table is given."""
        q, k, v = self.qkv(x).unflatten(-1, (self.num_heads, -1, 3)).transpose(1, 2).unbind(-1)
        q, k = self.q_norm(q), self.k_norm(k)
        if table is not None:
            q, k = rotate(q, table), rotate(k, table)
        return q, k, v


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Unmasked attention of [B, H, N, d] tensors; heads concatenated to [B, N, H d]."""
    out = attention(q.contiguous(), k.contiguous(), v.contiguous())
    return out.transpose(1, 2).flatten(2)


def modulate(x: Tensor, shift: Tensor, scale: Tensor, *, eps: float = 1e-5) -> Tensor:
    """Parameter-free layer norm of [B, N, D], scaled and shifted by the condition."""
    return F.layer_norm(x, x.shape[-1:], eps=eps) * (1 + scale) + shift


class StreamBlock(nn.Module):
    """One stream of an attention block, modulated by a condition (adaptive layer norm with gates).

    Args:
        dim: width D.
        num_heads: heads H.
        mlp_ratio: hidden width of the gated MLP over D.
        kernel_size: kernel of the output projection and of the MLP.
        pre_only: the stream only gives q, k, v and is returned unchanged.
    """

    def __init__(self, dim: int, num_heads: int, *, mlp_ratio: float, kernel_size: int, pre_only: bool = False) -> None:
        super().__init__()
        self.pre_only = pre_only
        self.attn = QKV(dim, num_heads)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), Linear(dim, (2 if pre_only else 6) * dim))
        if not pre_only:
            self.linear1 = Linear(dim, dim) if kernel_size == 1 else TokenConv(dim, dim, kernel_size)
            self.ffn = GatedMLP(dim, int(dim * mlp_ratio), kernel_size)

    def project(
        self, x: Tensor, condition: Tensor, table: Tensor | None
    ) -> tuple[tuple[Tensor, Tensor, Tensor], tuple[Tensor, ...]]:
        """Give q, k, v of tokens [B, N, D] and the modulation that `update` needs.

        Args:
            x: tokens [B, N, D].
            condition: [B, 1, D] or [B, N, D].
            table: rotary table or None.
        """
        parts = self.adaLN_modulation(condition).chunk(2 if self.pre_only else 6, -1)
        return self.attn(modulate(x, parts[0], parts[1]), table), parts[2:]

    def update(self, x: Tensor, attended: Tensor, gates: tuple[Tensor, ...]) -> Tensor:
        """Add the attention's output [B, N, D] and the MLP to the stream [B, N, D]."""
        if self.pre_only:
            return x
        gate1, shift2, scale2, gate2 = gates
        x = x + gate1 * self.linear1(attended)
        out: Tensor = x + gate2 * self.ffn(modulate(x, shift2, scale2))
        return out

    def forward(self, x: Tensor, condition: Tensor, table: Tensor | None) -> Tensor:
        """Self-attention of this stream alone: [B, N, D] to [B, N, D]."""
        qkv, gates = self.project(x, condition, table)
        return self.update(x, attend(*qkv), gates)


def attend_together(
    blocks: Sequence[StreamBlock],
    streams: Sequence[Tensor],
    conditions: Sequence[Tensor],
    tables: Sequence[Tensor | None],
) -> list[Tensor]:
    """Update streams by one attention over the tokens of all of them; each keeps its own weights.

    Args:
        blocks: one a stream.
        streams: tokens [B, N_s, D] of each.
        conditions: [B, 1, D] or [B, N_s, D] of each.
        tables: rotary table of each, or None.

    Returns:
        tokens [B, N_s, D] of each stream.
    """
    args = zip(blocks, streams, conditions, tables, strict=True)
    projected = [block.project(x, condition, table) for block, x, condition, table in args]
    q, k, v = (torch.cat([qkv[j] for qkv, _ in projected], 2) for j in range(3))
    attended = attend(q, k, v).split([x.shape[1] for x in streams], 1)
    parts = zip(blocks, streams, attended, projected, strict=True)
    return [block.update(x, a, gates) for block, x, a, (_, gates) in parts]


class FinalLayer(nn.Module):
    """Modulated norm and a convolution to the latent channels.

    Conditioned on the shared condition only, not on sync: the public weights were trained so.

    Args:
        dim: width D.
        latent_dim: channels C.
    """

    def __init__(self, dim: int, latent_dim: int) -> None:
        super().__init__()
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), Linear(dim, 2 * dim))
        self.conv = TokenConv(dim, latent_dim, 7)

    def forward(self, x: Tensor, shared: Tensor) -> Tensor:
        """Map [B, N, D] to [B, N, C]."""
        shift, scale = self.adaLN_modulation(shared).chunk(2, -1)
        out: Tensor = self.conv(modulate(x, shift, scale))
        return out


def linear_guess(z: Tensor, t: Tensor) -> Tensor:
    """The best linear guess of v = e - x from z = (1 - t) x + t e, for data and noise of unit variance.

    Args:
        z: [B, N, C].
        t: [B], 1 is noise.

    Returns:
        (2 t - 1) / (t^2 + (1 - t)^2) z, [B, N, C].
    """
    gain = (2 * t - 1) / (t.square() + (1 - t).square())
    return gain.to(z.dtype)[:, None, None] * z
