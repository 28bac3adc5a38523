"""How sure a figure is: clips drawn again with replacement, the same draws for every measure and both of two systems.

A draw is a row of weights: how often it holds each clip. Clips of one true sound are not independent: the true sounds
are drawn, each with all its clips, and it is they that are counted. Means get percentile intervals. Distances between
sets are biased in a resample (a clip drawn twice has a twin), so theirs are the figure plus and minus some standard
errors. Both are as much wider for few true sounds as Student's intervals are: draws vary less than what they are drawn
from, and how much that varies is not known. Fewer than five true sounds tell nothing of others, and neither do draws of
which more than a twentieth have no figure.
Knows arrays of scores and embeddings, nan where a clip has no score; not what they measure.

Sources: Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 6 and 13; Davison & Hinkley, "Bootstrap
Methods and their Application", 1997, section 3.8 (groups drawn whole); Hesterberg, "What Teachers Should Know About the
Bootstrap", 2014, arXiv 1411.5279, section 5.3 (few clips).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from mfv2a.evaluation.metrics import Doubles

LEVEL = 0.95
FEWEST_UNITS = 5
FEWEST_BEYOND = 0.25  # draws beyond an end of an interval
_MOST_UNDEFINED = 0.05

Owners = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure of a set of clips.

    Attributes:
        value: the figure.
        low, high: ends of its 95 % interval, None where it cannot be told.
        clips: how many clips it is of.
        undefined: how many clips have no score of it.
        drawn: the figure in each draw [B]; nan for a draw that holds no clip with a score.
        units: how many true sounds the clips are of, which is what is drawn.
        biased: it hangs on the number of clips, which the interval does not hold: it may be compared at the same number
            alone, and of two systems it favours the narrower.
    """

    value: float
    low: float | None
    high: float | None
    clips: int
    undefined: int
    drawn: Doubles
    units: int
    biased: bool = False

    def record(self) -> dict[str, float | int | None]:
        """As JSON takes it."""
        return {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "clips": self.clips,
            "undefined": self.undefined,
            "biased": self.biased,
        }


def draw_weights(clips: int, draws: int, seed: int, *, owners: Owners | None = None) -> Doubles:
    """How often each draw holds each clip.

    Args:
        clips: K, how many there are.
        draws: B.
        seed: of the draws.
        owners: the true sound of each clip [K], numbered from 0 with none left out; None where each has its own.

    Returns:
        [B, K]; a draw holds as many true sounds as there are, and all clips of one equally often.
    """
    units = clips if owners is None else int(owners.max()) + 1
    generator = np.random.default_rng(seed)
    weights = generator.multinomial(units, np.full(units, 1 / units), size=draws).astype(np.float64)
    return weights if owners is None else weights[:, owners]


def mean_estimate(scores: Doubles, weights: Doubles, *, owners: Owners | None = None) -> Estimate | None:
    """The mean of scores, over the clips that have one.

    Args:
        scores: [K], nan where there is none.
        weights: of the draws [B, K].
        owners: the true sound of each clip [K]; None where each has its own.

    Returns:
        None if no clip has a score.
    """
    defined = np.isfinite(scores)
    values = np.where(defined, scores, 0.0)
    return _ratio_estimate(values, defined.astype(np.float64), weights, defined, owners)


def ratio_estimate(
    above: Doubles, below: Doubles, weights: Doubles, *, owners: Owners | None = None
) -> Estimate | None:
    """A ratio of sums over clips, such as pooled F1.

    Args:
        above: of each clip [K].
        below: of each clip [K].
        weights: of the draws [B, K].
        owners: the true sound of each clip [K]; None where each has its own.

    Returns:
        None if the lower sum is 0.
    """
    return _ratio_estimate(above, below, weights, np.ones(len(above), bool), owners)


def _ratio_estimate(
    above: Doubles, below: Doubles, weights: Doubles, defined: NDArray[np.bool_], owners: Owners | None
) -> Estimate | None:
    total = float(below.sum())
    if total == 0:
        return None
    sums = weights @ below
    drawn = np.divide(weights @ above, sums, out=np.full(len(weights), np.nan), where=sums > 0)
    units = int(defined.sum()) if owners is None else len(np.unique(owners[defined]))
    low, high = percentiles(telling(drawn, units), units)
    return Estimate(
        value=float(above.sum()) / total,
        low=low,
        high=high,
        clips=int(defined.sum()),
        undefined=int((~defined).sum()),
        drawn=drawn,
        units=units,
    )


def telling(drawn: Doubles, units: int) -> Doubles:
    """The draws by which an interval or a share can be told: those with a figure, or none at all.

    Args:
        drawn: a figure in each draw [B], nan where a draw has none.
        units: how many true sounds the figure is of.

    Returns:
        up to B figures; none for fewer than five true sounds, or where more than a twentieth of the draws have none.
    """
    known = drawn[np.isfinite(drawn)]
    can_tell = units >= FEWEST_UNITS and len(known) >= (1 - _MOST_UNDEFINED) * len(drawn)
    return known if can_tell else known[:0]


def reach(units: int) -> float:
    """How many standard deviations of the draws of a mean its 95 % interval reaches to either side.

    sqrt(K / (K - 1)) t, with the 97.5 % quantile t of Student's distribution with K - 1 degrees of freedom: the
    deviation of draws lacks the factor. The quantile is by four terms, from five on within 0.001.

    Args:
        units: K true sounds, at least 2.

    Sources: Hesterberg 2014, section 5.3; Abramowitz & Stegun, "Handbook of Mathematical Functions", 26.7.5.
    """
    n, x = float(units - 1), NormalDist().inv_cdf((1 + LEVEL) / 2)
    terms = (
        (x**3 + x) / 4,
        (5 * x**5 + 16 * x**3 + 3 * x) / 96,
        (3 * x**7 + 19 * x**5 + 17 * x**3 - 15 * x) / 384,
        (79 * x**9 + 776 * x**7 + 1482 * x**5 - 1920 * x**3 - 945 * x) / 92160,
    )
    return math.sqrt(units / n) * (x + sum(term / n**power for power, term in enumerate(terms, 1)))


def percentiles(drawn: Doubles, units: int) -> tuple[float | None, float | None]:
    """Ends of the 95 % interval of a mean: expanded percentiles, those that a normal distribution has at `reach`.

    Args:
        drawn: the mean in each draw [B], nan left out.
        units: of how many true sounds.

    Returns:
        both ends; None where so few draws have no value that far out, and their least and largest would pass for it.

    Source: Hesterberg 2014, section 5.3.
    """
    known = drawn[np.isfinite(drawn)]
    if len(known) < 2 or units < 2:
        return None, None
    beyond = NormalDist().cdf(-reach(units))
    if len(known) * beyond < FEWEST_BEYOND:
        return None, None
    low, high = np.quantile(known, [beyond, 1 - beyond])
    return float(low), float(high)


def set_estimate(
    value: float,
    drawn: Doubles,
    clips: int,
    *,
    units: int | None = None,
    least: float = -np.inf,
    biased: bool = False,
) -> Estimate:
    """A figure of a whole set, with the standard error of its draws.

    Args:
        value: the figure.
        drawn: it in each draw [B].
        clips: how many there are.
        units: of how many true sounds; None where each clip has its own.
        least: the least it can be, where its interval ends.
        biased: see `Estimate`.
    """
    units = clips if units is None else units
    low, high = normal_interval(value, telling(drawn, units), units)
    low = None if low is None else max(low, least)
    return Estimate(value=value, low=low, high=high, clips=clips, undefined=0, drawn=drawn, units=units, biased=biased)


def normal_interval(value: float, drawn: Doubles, units: int) -> tuple[float | None, float | None]:
    """A figure plus and minus `reach` standard deviations of its draws [B], nan left out; of so many true sounds."""
    known = drawn[np.isfinite(drawn)]
    if len(known) < 2 or units < 2:
        return None, None
    error = reach(units) * float(np.std(known, ddof=1))
    return value - error, value + error
