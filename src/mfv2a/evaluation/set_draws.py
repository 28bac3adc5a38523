"""Distances between sets of sounds in each draw of a bootstrap: Frechet, kernel, inception.

A draw is a row of weights: how often it holds each row of a set. Knows arrays of embeddings and class probabilities.

Sources: those of the figures, see `metrics`; Gretton et al., "A Kernel Two-Sample Test", JMLR 13, 2012, equation (4):
pairs of one true sound are left out across the sets too; Efron & Tibshirani, "An Introduction to the Bootstrap", 1993,
chapter 6.
"""

from __future__ import annotations

import numpy as np

from mfv2a.evaluation.bootstrap import Owners
from mfv2a.evaluation.metrics import Doubles, cubic_kernel, weighted_inception

_ROWS = 1024

_Weighted = tuple[Doubles, Doubles, Owners]  # rows, how often each draw holds them, the true sound of each


def drawn_frechet(
    first: Doubles, second: Doubles, first_weights: Doubles, second_weights: Doubles, *, quick: bool = False
) -> Doubles:
    """Frechet distances of two sets of rows in each draw.

    The trace of (C C')^1/2 is the sum of the singular values of A A'^T, where A^T A = C and A'^T A' = C': so it is
    quick for few rows of many values as well.

    Args:
        first: [K, D].
        second: [K', D].
        first_weights: how often each draw holds each row of the first [B, K].
        second_weights: the same of the second [B, K'].
        quick: where both have more rows than values, from the covariances, in half the time or less; directions in
            which nothing varies then add up to 1e-8 of the largest variance each.

    Returns:
        [B]; nan for a draw with fewer than two different rows.
    """
    if quick:
        middle = first.mean(axis=0)
        first, second = first - middle, second - middle
    way = _quick_frechet if quick else _weighted_frechet
    pairs = zip(first_weights, second_weights, strict=True)
    return np.array([way(first, second, ours, theirs) for ours, theirs in pairs], np.float64)


def _quick_frechet(first: Doubles, second: Doubles, weights: Doubles, other: Doubles) -> float:
    """By the eigenvalues of L^T C' L, C = L L^T, over the columns that vary in both sets."""
    if min(np.count_nonzero(weights), np.count_nonzero(other)) <= first.shape[1]:
        return _weighted_frechet(first, second, weights, other)
    mean, spread = _mean_and_covariance(first, weights)
    other_mean, other_spread = _mean_and_covariance(second, other)
    vary = (np.diag(spread) > 0) & (np.diag(other_spread) > 0)
    root = _lower_root(spread[np.ix_(vary, vary)])
    squares = np.linalg.eigvalsh(root.T @ other_spread[np.ix_(vary, vary)] @ root)
    gap = mean - other_mean
    crossed = np.sqrt(np.maximum(squares, 0)).sum()
    return max(float(gap @ gap + np.trace(spread) + np.trace(other_spread) - 2 * crossed), 0.0)


def _mean_and_covariance(rows: Doubles, weights: Doubles) -> tuple[Doubles, Doubles]:
    """Mean [D] and covariance [D, D] of rows [K, D] near the origin."""
    kept = weights > 0
    rows, weights = rows[kept], weights[kept]
    total = weights.sum()
    mean = weights @ rows / total
    products = (rows * weights[:, None]).T @ rows
    return mean, np.asarray((products - total * np.outer(mean, mean)) / (total - 1), np.float64)


def _lower_root(spread: Doubles) -> Doubles:
    """L with L L^T = C; where C is singular by its eigenvectors."""
    try:
        return np.asarray(np.linalg.cholesky(spread), np.float64)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(spread)
        return np.asarray(vectors * np.sqrt(np.maximum(values, 0)), np.float64)


def _weighted_frechet(first: Doubles, second: Doubles, weights: Doubles, other: Doubles) -> float:
    if min(np.count_nonzero(weights), np.count_nonzero(other)) < 2:
        return float("nan")
    mean, root = _mean_and_root(first, weights)
    other_mean, other_root = _mean_and_root(second, other)
    crossed = np.linalg.svd(root @ other_root.T, compute_uv=False).sum()
    gap = mean - other_mean
    distance = gap @ gap + np.square(root).sum() + np.square(other_root).sum() - 2 * crossed
    return max(float(distance), 0.0)


def _mean_and_root(rows: Doubles, weights: Doubles) -> tuple[Doubles, Doubles]:
    """Mean [D] and a root A [R, D] of the covariance, A^T A = C, R at most D."""
    kept = weights > 0
    rows, weights = rows[kept], weights[kept]
    total = weights.sum()
    mean = weights @ rows / total
    root = (rows - mean) * np.sqrt(weights / (total - 1))[:, None]
    return mean, root if len(root) <= root.shape[1] else np.asarray(np.linalg.qr(root, mode="r"), np.float64)


def drawn_kernel(
    first: Doubles,
    second: Doubles,
    first_weights: Doubles,
    second_weights: Doubles,
    owners: tuple[Owners, Owners] | None = None,
) -> Doubles:
    """Kernel distances (`metrics.kernel_distance`) of two sets of rows in each draw.

    No row is paired with another of the same true sound, within a set or across them. Within a set they are alike, and
    would raise the distance, as twins of a draw would; across the sets, what was made of a clip is nearer to that
    clip's sound than to others, and would lower it, the more the fewer clips there are.

    Args:
        first: [K, D].
        second: [K', D].
        first_weights: how often each draw holds each row of the first [B, K].
        second_weights: the same of the second [B, K'].
        owners: the true sound of each row, [K] and [K']; None where each has its own, and the sets none in common.

    Returns:
        [B]; nan for a draw whose rows are of fewer than two true sounds.
    """
    ours, theirs = (np.arange(len(first)), -1 - np.arange(len(second))) if owners is None else owners
    return np.asarray(
        _mean_kernel((first, first_weights, ours), (first, first_weights, ours))
        + _mean_kernel((second, second_weights, theirs), (second, second_weights, theirs))
        - 2 * _mean_kernel((first, first_weights, ours), (second, second_weights, theirs)),
        np.float64,
    )


def _mean_kernel(first: _Weighted, second: _Weighted) -> Doubles:
    """The mean kernel of pairs of different true sounds in each draw [B]; nan where there is none."""
    (x, x_weights, ours), (y, y_weights, theirs) = first, second
    sums = _kernel_sums(x, y, x_weights, y_weights)
    pairs = x_weights.sum(axis=1) * y_weights.sum(axis=1)
    members, others = _members(ours), _members(theirs)
    for owner in members.keys() & others.keys():
        mine, other = members[owner], others[owner]
        held, there = x_weights[:, mine], y_weights[:, other]
        sums -= np.einsum("bi,ib->b", held, cubic_kernel(x[mine], y[other]) @ there.T)
        pairs -= held.sum(axis=1) * there.sum(axis=1)
    free = np.full(len(x_weights), np.nan)
    return np.asarray(np.divide(sums, pairs, out=free, where=pairs > 0), np.float64)


def _members(owner: Owners) -> dict[int, Owners]:
    """The rows of each owner."""
    order = np.argsort(owner, kind="stable")
    names, starts = np.unique(owner[order], return_index=True)
    return dict(zip(names.tolist(), np.split(order, starts[1:]), strict=True))


def _kernel_sums(first: Doubles, second: Doubles, weights: Doubles, other: Doubles) -> Doubles:
    """sum_ij w_bi k(x_i, y_j) v_bj of each draw [B], some rows at a time, so that no kernel is held whole."""
    sums = np.zeros(len(weights))
    for start in range(0, len(first), _ROWS):
        part = slice(start, start + _ROWS)
        sums += np.einsum("bi,ib->b", weights[:, part], cubic_kernel(first[part], second) @ other.T)
    return sums


def drawn_inception(probabilities: Doubles, weights: Doubles) -> Doubles:
    """Inception scores of a set of class probabilities [K, C] in each draw [B, K]: [B]."""
    return np.array([weighted_inception(probabilities, row) for row in weights], np.float64)
