"""How sure a figure is: clips drawn again with replacement, the same draws for every measure and both of two systems.

A draw is a row of weights: how often it holds each clip. Means get percentile intervals. Distances between sets are
biased in a resample (a clip drawn twice has a twin), so theirs are the figure plus and minus 1.96 standard errors.
Fewer than five clips tell nothing of others, and neither do draws of which more than a twentieth have no figure.
Knows arrays of scores and embeddings, nan where a clip has no score; not what they measure.

Source: Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 6 and 13.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mfv2a.evaluation.metrics import Doubles, cubic_kernel, weighted_inception

LEVEL = 0.95
FEWEST_CLIPS = 5
_MOST_UNDEFINED = 0.05
_NORMAL = 1.959964
_ROWS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure of a set of clips.

    Attributes:
        value: the figure.
        low, high: ends of its 95 % interval, None where it cannot be told.
        clips: how many clips it is of.
        undefined: how many clips have no score of it.
        drawn: the figure in each draw [B]; nan for a draw that holds no clip with a score.
    """

    value: float
    low: float | None
    high: float | None
    clips: int
    undefined: int
    drawn: Doubles

    def record(self) -> dict[str, float | int | None]:
        """As JSON takes it."""
        return {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "clips": self.clips,
            "undefined": self.undefined,
        }


def draw_weights(clips: int, draws: int, seed: int) -> Doubles:
    """How often each draw holds each clip: [B, K], rows sum to K."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(clips, np.full(clips, 1 / clips), size=draws).astype(np.float64)


def mean_estimate(scores: Doubles, weights: Doubles) -> Estimate | None:
    """The mean of scores, over the clips that have one.

    Args:
        scores: [K], nan where there is none.
        weights: of the draws [B, K].

    Returns:
        None if no clip has a score.
    """
    defined = np.isfinite(scores)
    values = np.where(defined, scores, 0.0)
    return _ratio_estimate(values, defined.astype(np.float64), weights, defined)


def ratio_estimate(above: Doubles, below: Doubles, weights: Doubles) -> Estimate | None:
    """A ratio of sums over clips, such as pooled F1.

    Args:
        above: of each clip [K].
        below: of each clip [K].
        weights: of the draws [B, K].

    Returns:
        None if the lower sum is 0.
    """
    return _ratio_estimate(above, below, weights, np.ones(len(above), bool))


def _ratio_estimate(above: Doubles, below: Doubles, weights: Doubles, defined: NDArray[np.bool_]) -> Estimate | None:
    total = float(below.sum())
    if total == 0:
        return None
    sums = weights @ below
    drawn = np.divide(weights @ above, sums, out=np.full(len(weights), np.nan), where=sums > 0)
    low, high = percentiles(telling(drawn, int(defined.sum())))
    return Estimate(
        value=float(above.sum()) / total,
        low=low,
        high=high,
        clips=int(defined.sum()),
        undefined=int((~defined).sum()),
        drawn=drawn,
    )


def telling(drawn: Doubles, clips: int) -> Doubles:
    """The draws by which an interval or a share can be told: those with a figure, or none at all.

    Args:
        drawn: a figure in each draw [B], nan where a draw has none.
        clips: how many clips the figure is of.

    Returns:
        up to B figures; none for fewer than five clips, or where more than a twentieth of the draws have none.
    """
    known = drawn[np.isfinite(drawn)]
    can_tell = clips >= FEWEST_CLIPS and len(known) >= (1 - _MOST_UNDEFINED) * len(drawn)
    return known if can_tell else known[:0]


def percentiles(drawn: Doubles) -> tuple[float | None, float | None]:
    """Ends of the 95 % interval of what was drawn [B], nan left out."""
    known = drawn[np.isfinite(drawn)]
    if len(known) < 2:
        return None, None
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def set_estimate(value: float, drawn: Doubles, clips: int, *, least: float = -np.inf) -> Estimate:
    """A figure of a whole set, with the standard error of its draws; its interval ends at the least it can be."""
    low, high = normal_interval(value, telling(drawn, clips))
    low = None if low is None else max(low, least)
    return Estimate(value=value, low=low, high=high, clips=clips, undefined=0, drawn=drawn)


def normal_interval(value: float, drawn: Doubles) -> tuple[float | None, float | None]:
    """A figure plus and minus 1.96 standard deviations of its draws [B], nan left out."""
    known = drawn[np.isfinite(drawn)]
    if len(known) < 2:
        return None, None
    error = _NORMAL * float(np.std(known, ddof=1))
    return value - error, value + error


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


def drawn_kernel(first: Doubles, second: Doubles, first_weights: Doubles, second_weights: Doubles) -> Doubles:
    """Kernel distances (`metrics.kernel_distance`) of two sets of rows in each draw.

    A row is never paired with itself, drawn again or not: twins would raise the distance.

    Args:
        first: [K, D].
        second: [K', D].
        first_weights: how often each draw holds each row of the first [B, K].
        second_weights: the same of the second [B, K'].

    Returns:
        [B]; nan for a draw with fewer than two different rows.
    """

    def within(rows: Doubles, weights: Doubles) -> Doubles:
        sums = _kernel_sums(rows, rows, weights, weights)
        own = np.square(weights) @ cubic_diagonal(rows)
        pairs = np.square(weights.sum(axis=1)) - np.square(weights).sum(axis=1)
        free = np.full(len(weights), np.nan)
        return np.asarray(np.divide(sums - own, pairs, out=free, where=pairs > 0), np.float64)

    between = _kernel_sums(first, second, first_weights, second_weights)
    between /= first_weights.sum(axis=1) * second_weights.sum(axis=1)
    return np.asarray(within(first, first_weights) + within(second, second_weights) - 2 * between, np.float64)


def cubic_diagonal(rows: Doubles) -> Doubles:
    """The kernel of each row [K, D] with itself: [K]."""
    return np.asarray((np.square(rows).sum(axis=1) / rows.shape[1] + 1) ** 3, np.float64)


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
