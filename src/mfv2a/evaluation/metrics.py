"""Distances between sounds and between sets of sounds. Knows arrays, not networks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mfv2a.errors import ConfigError
from mfv2a.evaluation.spectrum import Floats, log_mel

Doubles = NDArray[np.float64]


def log_mel_distance(first: Floats, second: Floats, sample_rate_hz: int) -> float:
    """Mean absolute difference of two natural-log mel spectra of 80 bands, over the time both have.

    Args:
        first: mono [S].
        second: mono [S'].
        sample_rate_hz: of both.
    """
    length = min(len(first), len(second))
    ours, theirs = (log_mel(wave[:length], sample_rate_hz) for wave in (first, second))
    return float(np.abs(ours - theirs).mean())


def frechet_distance(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Frechet distance between two sets of embeddings, each taken for a Gaussian.

    Args:
        first: [K, D], K >= 2.
        second: [K', D], K' >= 2.

    Raises:
        ConfigError: a set has fewer than two rows.

    Source: Kilgour et al. 2019, "Frechet Audio Distance".
    """
    if min(len(first), len(second)) < 2:
        raise ConfigError("a Frechet distance needs two sounds on each side", hint="evaluate more clips")
    ours, theirs = np.asarray(first, np.float64), np.asarray(second, np.float64)
    return gaussian_distance(
        ours.mean(axis=0), np.cov(ours, rowvar=False), theirs.mean(axis=0), np.cov(theirs, rowvar=False)
    )


def kernel_distance(
    first: NDArray[np.floating], second: NDArray[np.floating], *, bandwidth: float | None = None
) -> float:
    """Squared maximum mean discrepancy of two sets of embeddings, unbiased: around zero where they are alike.

    The kernel is k(a, b) = exp(-|a - b|^2 / (2 h^2)). No Gaussian is assumed, and unlike a Frechet distance it does not
    grow as the sets get smaller; it may be negative. Compare values of one bandwidth alone.

    Args:
        first: [K, D], K >= 2.
        second: [K', D], K' >= 2.
        bandwidth: h, in the embeddings' unit; `median_distance` of the second set, the true sounds, by default.

    Raises:
        ConfigError: a set has fewer than two rows, or a bandwidth is not above zero.

    Source: Gretton et al., "A Kernel Two-Sample Test", JMLR 13, 2012, equation (3); kernel and bandwidth as in Chung et
    al., "KAD: No More FAD!", arXiv 2502.15602.
    """
    if min(len(first), len(second)) < 2:
        raise ConfigError("a kernel distance needs two sounds on each side", hint="evaluate more clips")
    ours, theirs = np.asarray(first, np.float64), np.asarray(second, np.float64)
    width = median_distance(theirs) if bandwidth is None else bandwidth
    if not width > 0:
        raise ConfigError(f"the bandwidth of a kernel must be above zero, not {width}")

    def kernel(a: Doubles, b: Doubles) -> Doubles:
        values: Doubles = np.exp(-_square_distances(a, b) / (2 * width**2))
        return values

    def within(a: Doubles) -> float:
        return float((kernel(a, a).sum() - len(a)) / (len(a) * (len(a) - 1)))

    return within(ours) + within(theirs) - 2 * float(kernel(ours, theirs).mean())


def median_distance(rows: NDArray[np.floating]) -> float:
    """Median Euclidean distance of the pairs of different rows of [K, D], K >= 2: a kernel's usual bandwidth.

    Source: Gretton et al., JMLR 13, 2012, section 8.
    """
    values = np.asarray(rows, np.float64)
    pairs = np.triu_indices(len(values), 1)
    return float(np.median(np.sqrt(_square_distances(values, values)[pairs])))


def _square_distances(a: Doubles, b: Doubles) -> Doubles:
    """|a_i - b_j|^2: [K, K'], never below zero."""
    square = np.square(a).sum(1)[:, None] + np.square(b).sum(1)[None] - 2 * a @ b.T
    kept: Doubles = np.maximum(square, 0)
    return kept


def gaussian_distance(mean: Doubles, cov: Doubles, other_mean: Doubles, other_cov: Doubles) -> float:
    """Frechet (2-Wasserstein, squared) distance of two Gaussians.

    |m - m'|^2 + tr(C + C' - 2 (C^1/2 C' C^1/2)^1/2); the symmetric form keeps everything real.

    Args:
        mean: [D].
        cov: [D, D].
        other_mean: [D].
        other_cov: [D, D].

    Source: Dowson & Landau 1982, equation 6.
    """
    cov, other_cov = np.atleast_2d(cov), np.atleast_2d(other_cov)
    values, vectors = np.linalg.eigh(cov)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    crossed = np.maximum(np.linalg.eigvalsh(root @ other_cov @ root), 0)
    gap = np.atleast_1d(mean) - np.atleast_1d(other_mean)
    distance = gap @ gap + np.trace(cov) + np.trace(other_cov) - 2 * np.sqrt(crossed).sum()
    return max(float(distance), 0.0)
