"""Distances between sounds and between sets of sounds. Knows arrays, not networks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mfv2a.errors import ConfigError
from mfv2a.evaluation.spectrum import Floats, log_mel

Doubles = NDArray[np.float64]
KL_FLOOR = 1e-6
SPLITS, SPLIT_SEED = 10, 2020


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


def gaussian_kernel_distance(
    first: NDArray[np.floating],
    second: NDArray[np.floating],
    *,
    bandwidth: float | None = None,
    own: NDArray[np.integer] | None = None,
) -> float:
    """Squared maximum mean discrepancy of two sets of embeddings, unbiased: around zero where they are alike.

    The kernel is k(a, b) = exp(-|a - b|^2 / (2 h^2)). No Gaussian is assumed, and unlike a Frechet distance it does not
    grow as the sets get smaller; it may be negative. Compare values of one bandwidth alone.

    Args:
        first: [K, D], K >= 2.
        second: [K', D], K' >= 2.
        bandwidth: h, in the embeddings' unit; `median_distance` of the second set, the true sounds, by default.
        own: where rows of the first were made of rows of the second, of which one each [K]. Such a pair is nearer than
            others, and is left out: counted, it would bias the distance by -2 / K' of what it is nearer by.

    Raises:
        ConfigError: a set has fewer than two rows, or a bandwidth is not above zero.

    Source: Gretton et al., "A Kernel Two-Sample Test", JMLR 13, 2012, equations (3) and, of pairs, (4); kernel and
    bandwidth as in Chung et al., "KAD: No More FAD!", arXiv 2502.15602.
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

    return within(ours) + within(theirs) - 2 * _mean_of_others(kernel(ours, theirs), own)


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


def kernel_distance(
    first: NDArray[np.floating], second: NDArray[np.floating], *, own: NDArray[np.integer] | None = None
) -> float:
    """Squared maximum mean discrepancy of two sets of embeddings, unbiased: around zero where they are alike.

    The kernel is the cubic polynomial of the kernel inception distance, k(a, b) = (a . b / D + 1)^3, which has no
    bandwidth to choose.

    Args:
        first: [K, D], K >= 2.
        second: [K', D], K' >= 2.
        own: as in `gaussian_kernel_distance`.

    Raises:
        ConfigError: a set has fewer than two rows.

    Source: Binkowski et al., "Demystifying MMD GANs", arXiv 1801.01401, section 4; the estimator is equation (3), of
    pairs equation (4), of Gretton et al., "A Kernel Two-Sample Test", JMLR 13, 2012.
    """
    if min(len(first), len(second)) < 2:
        raise ConfigError("a kernel distance needs two sounds on each side", hint="evaluate more clips")
    ours, theirs = np.asarray(first, np.float64), np.asarray(second, np.float64)

    def within(x: Doubles) -> float:
        values = cubic_kernel(x, x)
        return float((values.sum() - np.trace(values)) / (len(x) * (len(x) - 1)))

    return within(ours) + within(theirs) - 2 * _mean_of_others(cubic_kernel(ours, theirs), own)


def _mean_of_others(values: Doubles, own: NDArray[np.integer] | None) -> float:
    """Mean of [K, K'] without, in each row, the column that is its own."""
    if own is None:
        return float(values.mean())
    mine = values[np.arange(len(values)), own]
    return float((values.sum() - mine.sum()) / (values.size - len(mine)))


def cubic_kernel(first: Doubles, second: Doubles) -> Doubles:
    """(a . b / D + 1)^3 of all pairs of rows: [K, D], [K', D] -> [K, K']."""
    return np.asarray((first @ second.T / first.shape[1] + 1) ** 3, np.float64)


def softmax(logits: NDArray[np.floating]) -> Doubles:
    """Class probabilities that sum to one: [..., C] -> [..., C]."""
    raised = np.exp(logits - np.max(logits, axis=-1, keepdims=True), dtype=np.float64)
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True), np.float64)


def sigmoid(logits: NDArray[np.floating]) -> Doubles:
    """Independent class probabilities: [..., C] -> [..., C]."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * np.asarray(logits, np.float64))), np.float64)


def kl_divergence(reference: Doubles, generated: Doubles) -> Doubles:
    """KL(reference || generated) of each pair of class probabilities, in nats.

    sum_c p_c (ln p_c - ln(q_c + 1e-6)): the floor under the generated probabilities is that of the field's programs.
    Over sigmoid probabilities, which do not sum to one, this is their number too, though no divergence: it may be
    negative.

    Args:
        reference: p [..., C] in 0..1.
        generated: q [..., C] in 0..1.

    Returns:
        [...].

    Source: audioldm_eval, metrics/kl.py (its second input is the reference; AudioGen and MMAudio report the softmax
    form).
    """
    logarithm = np.log(reference, out=np.zeros_like(reference), where=reference > 0)
    return np.asarray((reference * (logarithm - np.log(generated + KL_FLOOR))).sum(axis=-1), np.float64)


def inception_score(logits: NDArray[np.floating], *, splits: int = 1, seed: int = SPLIT_SEED) -> float:
    """The exponential of the mean KL of each sound's class probabilities from the set's; 1 where all are alike.

    Args:
        logits: [K, C], softmaxed here.
        splits: parts that the shuffled set is cut into, whose scores are averaged; the field's tables have 10.
        seed: of the shuffling, where there are several parts.

    Raises:
        ConfigError: fewer sounds than parts.

    Source: Salimans et al., "Improved Techniques for Training GANs", arXiv 1606.03498, section 4; parts and seed as in
    audioldm_eval, metrics/isc.py.
    """
    count = len(logits)
    if count < max(splits, 1):
        raise ConfigError(f"an inception score in {splits} parts needs as many sounds, not {count}")
    rows = softmax(logits)
    if splits > 1:
        rows = rows[np.random.RandomState(seed).permutation(count)]
    parts = [rows[i * count // splits : (i + 1) * count // splits] for i in range(splits)]
    return float(np.mean([weighted_inception(part, np.ones(len(part))) for part in parts]))


def weighted_inception(probabilities: Doubles, weights: Doubles) -> float:
    """The inception score of a set in which row k of [K, C] counts `weights[k]` times."""
    share = weights / weights.sum()
    mean = share @ probabilities
    inside = np.log(probabilities, out=np.zeros_like(probabilities), where=probabilities > 0)
    outside = np.log(mean, out=np.zeros_like(mean), where=mean > 0)
    return float(np.exp(share @ (probabilities * (inside - outside)).sum(axis=1)))
