"""The straight path from data to noise, and how training draws times on it."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def expand_time(t: Tensor, like: Tensor) -> Tensor:
    """Shape times [B] so that they broadcast over a tensor [B, ...]."""
    return t.reshape(-1, *[1] * (like.dim() - 1)).to(like.dtype)


def interpolate(x: Tensor, e: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """The point of the path at time t and its velocity.

    Args:
        x: data [B, ...].
        e: noise [B, ...].
        t: times [B].

    Returns:
        z = (1 - t) x + t e and v = e - x, both [B, ...].

    Source: Lipman et al., "Flow Matching for Generative Modeling", arXiv 2210.02747, with the clock turned.
    """
    time = expand_time(t, x)
    return (1 - time) * x + time * e, e - x


def sample_time(batch_size: int, *, generator: torch.Generator, mean: float = -0.4, std: float = 1.0) -> Tensor:
    """Draw logit-normal times t, one draw a row: those of flow matching.

    Args:
        batch_size: B.
        generator: source of randomness, on the CPU.
        mean: of the normal under the sigmoid.
        std: of the same.

    Returns:
        t [B], float32 on the CPU.

    Source: Esser et al., "Scaling Rectified Flow Transformers", arXiv 2403.03206, section 3.1.
    """
    return torch.sigmoid(torch.randn(batch_size, generator=generator) * std + mean)


def sample_times(
    batch_size: int,
    *,
    generator: torch.Generator,
    mean: float = -0.4,
    std: float = 1.0,
    equal_share: float = 0.75,
    full_share: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Draw pairs r <= t: both logit-normal, the larger is t; for a share of the batch r = t.

    Of a small batch a share may be no whole number of rows: then it is drawn which of the two next to it, so that the
    mean over many batches is the share.

    The times of rows with r = t are thus larger than those of `sample_time`, unless all rows are such: then they are
    the same.

    Args:
        batch_size: B.
        generator: source of randomness, on the CPU.
        mean: of the normal under the sigmoid.
        std: of the same.
        equal_share: share of rows with r = t, where MeanFlow is plain flow matching.
        full_share: share of the remaining rows that get r = 0, t = 1, the interval of one-step sampling.

    Returns:
        r [B] and t [B], float32 on the CPU.

    Source: MeanFlow, arXiv 2505.13447, section 4.3 and its table of ablations.
    """
    if equal_share == 1.0:
        t = sample_time(batch_size, generator=generator, mean=mean, std=std)
        return t.clone(), t
    pair = torch.sigmoid(torch.randn(2, batch_size, generator=generator) * std + mean)
    t, r = pair.amax(0), pair.amin(0)
    order = torch.randperm(batch_size, generator=generator)
    num_equal = _rows(equal_share, batch_size, generator)
    r[order[:num_equal]] = t[order[:num_equal]]
    full = order[num_equal : num_equal + _rows(full_share, batch_size - num_equal, generator)]
    r[full], t[full] = 0.0, 1.0
    return r, t


def _rows(share: float, count: int, generator: torch.Generator) -> int:
    """A share of so many rows; where it is not whole one more or less is drawn, with the share as its mean."""
    whole = math.floor(share * count + 1e-9)
    rest = share * count - whole
    return whole + (rest > 1e-9 and float(torch.rand((), generator=generator)) < rest)
