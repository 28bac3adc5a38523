"""Scores of clips -> figures of a set with their intervals, of one system or of the difference of two."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mfv2a.evaluation.bootstrap import (
    Estimate,
    Owners,
    draw_weights,
    mean_estimate,
    normal_interval,
    percentiles,
    ratio_estimate,
    set_estimate,
    telling,
)
from mfv2a.evaluation.embeddings import Heard
from mfv2a.evaluation.measures import find_measure
from mfv2a.evaluation.metrics import (
    SPLITS,
    Doubles,
    inception_score,
    softmax,
)
from mfv2a.evaluation.set_draws import drawn_frechet, drawn_inception, drawn_kernel
from mfv2a.jobs.judges import Missing
from mfv2a.jobs.measure import Scores, System

SET_DRAWS = 200
"""Draws of a distance between sets, which takes far longer than a mean."""
SETS = ("frechet_", "kernel_", "inception_")
FEW = Missing(
    "of too few clips", "a distance between sets needs 2 true sounds, an inception score in ten parts 20 clips"
)
ODD = Missing("its judge gave numbers that are none", "see which clips have no score of it in --per-clip")
NO_SCORE = Missing("defined for none of the clips", "see docs/MEASURE.md for what each measure needs")

Figures = dict[str, Estimate]


def estimate_all(
    scores: Scores,
    wanted: Sequence[str],
    *,
    draws: int,
    seed: int,
    say: Callable[[str], None] = lambda line: None,
) -> tuple[list[Figures], dict[str, Missing]]:
    """Figures of each system, all over the same draws of true sounds, each with all its clips.

    Where there are two systems, a measure is of the clips for which both have a score.

    Args:
        scores: of the clips.
        wanted: names of measures that have their judges.
        draws: resamples; at most 200 of them for distances between sets.
        seed: of the draws.
        say: is told of each judge whose distances are about to be drawn.

    Returns:
        figures by measure of each system, and why a measure has none.
    """
    clips = len(scores.pairs)
    owners = scores.owners
    weights = draw_weights(clips, draws, seed, owners=owners)
    figures: list[Figures] = [{} for _ in scores.systems]
    left_out: dict[str, Missing] = {}
    found: list[Estimate | Missing]
    told: set[str] = set()
    for name in wanted:
        if name.startswith(SETS):
            judge = name.rpartition("_")[2]
            if judge not in told and clips > 1:
                told.add(judge)
                say(f"{judge}: distances of {clips} clips, and of {min(draws, SET_DRAWS)} draws of them")
            found = [_set_figure(name, system, scores, weights) for system in scores.systems]
        elif name == "onset_f1_pooled":
            found = [_pooled_f1(system, weights, owners) for system in scores.systems]
        else:
            found = _means(name, scores.systems, weights, owners)
        missing = [each for each in found if isinstance(each, Missing)]
        if missing:
            left_out[name] = missing[0]
            continue
        for mine, estimate in zip(figures, found, strict=True):
            mine[name] = estimate  # type: ignore[assignment]
    return figures, left_out


def _means(name: str, systems: Sequence[System], weights: Doubles, owners: Owners) -> list[Estimate | Missing]:
    columns = np.array([[_number(row.get(name)) for row in system.scores] for system in systems])
    columns[:, ~np.isfinite(columns).all(axis=0)] = np.nan
    return [mean_estimate(column, weights, owners=owners) or NO_SCORE for column in columns]


def _number(value: float | None) -> float:
    return np.nan if value is None else value


def _pooled_f1(system: System, weights: Doubles, owners: Owners) -> Estimate | Missing:
    hits = np.array([2.0 * match.hits for match in system.matches])
    total = np.array([float(match.n_found + match.n_true) for match in system.matches])
    return ratio_estimate(hits, total, weights, owners=owners) or NO_SCORE


def _set_figure(name: str, system: System, scores: Scores, weights: Doubles) -> Estimate | Missing:
    kind, _, judge = name.rpartition("_")
    ours, theirs = system.heard[judge], scores.reference[judge]
    few, units = weights[:SET_DRAWS], scores.true_sounds
    if kind.startswith("inception"):
        return _inception(kind, ours, few, units)
    if units < 2:
        return FEW
    (first, clip), (second, other) = _rows(ours), _rows(theirs)
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        return ODD
    every = np.ones((1, len(ours)))  # the figure itself is a draw that holds each clip once
    if kind == "frechet":
        value = drawn_frechet(first, second, every[:, clip], every[:, other])[0]
        draws = drawn_frechet(first, second, few[:, clip], few[:, other], quick=True)
        once = np.isin(other, np.unique(scores.owners, return_index=True)[1])  # rows of each true sound once
        biased = min(len(first), int(once.sum())) <= first.shape[1]
        return set_estimate(float(value), draws, len(ours), units=units, least=0.0, biased=biased)
    every = np.concatenate([every, few])
    owners = scores.owners[clip], scores.owners[other]
    value, *rest = drawn_kernel(first, second, every[:, clip], every[:, other], owners)
    return set_estimate(float(value), np.array(rest), len(ours), units=units)


def _rows(heard: Sequence[Heard]) -> tuple[Doubles, Any]:
    """Embeddings of all clips [K, D], and the clip of each row [K]."""
    clip = np.repeat(np.arange(len(heard)), [len(each.embeddings) for each in heard])
    return np.concatenate([each.embeddings for each in heard]).astype(np.float64), clip


def _inception(kind: str, heard: Sequence[Heard], weights: Doubles, units: int) -> Estimate | Missing:
    parts = SPLITS if kind == "inception_10" else 1
    if len(heard) < 2 * parts:
        return FEW
    logits = np.stack([each.logits for each in heard if each.logits is not None])
    if not np.isfinite(logits).all():
        return ODD
    # The draws of the score in ten parts would be of a tenth of the clips each: it is given without an interval.
    drawn = drawn_inception(softmax(logits), weights) if parts == 1 else np.zeros(0)
    value, biased = inception_score(logits, splits=parts), len(logits) // parts <= logits.shape[1]
    return set_estimate(value, drawn, len(heard), units=units, least=1.0, biased=biased)


def compare(first: Figures, second: Figures) -> dict[str, dict[str, Any]]:
    """Two systems by measure, JSON-ready: the difference with its paired interval, how often the first is better.

    Args:
        first: figures of A.
        second: figures of B, over the same draws.

    Returns:
        by measure: a, b, difference (a - b), low, high, and share_a_better of the draws, None where no way is better
        or the draws tell nothing (see `bootstrap.telling`); where the figures are biased all three are None. Draws in
        which both are equal count half. Draws of distances between sets, which are biased, are moved so that their mean
        is the difference.

    Sources: Chong & Forsyth, "Effectively Unbiased FID and Inception Score", arXiv 1911.07023; Gui et al., "Adapting
    Frechet Audio Distance for Generative Music Evaluation", arXiv 2311.01616: of few rows both hang on their number,
    for each system in its own way, so that the sign of a difference may be that of the bias.
    """
    compared = {}
    for name in first:
        a, b = first[name], second[name]
        units, biased = min(a.units, b.units), a.biased or b.biased
        difference, drawn = a.value - b.value, telling(a.drawn - b.drawn, 0 if biased else units)
        if name.startswith(SETS):
            low, high = normal_interval(difference, drawn, units)
            # The draws are biased, the interval lies around the difference: what is counted must lie there, too.
            drawn = drawn - drawn.mean() + difference if len(drawn) else drawn
        else:
            low, high = percentiles(drawn, units)
        compared[name] = {
            "a": a.value,
            "b": b.value,
            "difference": difference,
            "low": low,
            "high": high,
            "share_a_better": _share_better(drawn, find_measure(name).better),
            "clips": a.clips,
            "undefined": a.undefined,
            "biased": biased,
        }
    return compared


def _share_better(drawn: Doubles, better: str) -> float | None:
    if not better or not len(drawn):
        return None
    ahead = drawn > 0 if better == "higher" else drawn < 0
    return float((ahead + 0.5 * (drawn == 0)).mean())


def records(figures: Mapping[str, Estimate]) -> dict[str, dict[str, Any]]:
    """Figures as JSON takes them, with what they are."""
    found = {}
    for name, estimate in figures.items():
        measure = find_measure(name)
        found[name] = {
            **estimate.record(),
            "title": measure.title,
            "unit": measure.unit,
            "better": measure.better,
        }
    return found
