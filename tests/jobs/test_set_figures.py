"""Figures of sets of sounds and of the difference of two: what the draws of clips can tell, and what they cannot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mfv2a.evaluation.bootstrap import Estimate
from mfv2a.evaluation.embeddings import Heard
from mfv2a.jobs.figures import compare, estimate_all
from mfv2a.jobs.measure import Scores, System
from mfv2a.jobs.pairing import Pair


def estimate(value: float, drawn: np.ndarray) -> Estimate:
    return Estimate(value=value, low=None, high=None, clips=40, undefined=0, drawn=drawn, units=40)


@pytest.mark.parametrize(("name", "sign"), [("frechet_yamnet", 1), ("kernel_yamnet", 1), ("inception_yamnet", -1)])
def test_the_share_that_is_better_agrees_with_the_interval_though_draws_are_biased(name: str, sign: int) -> None:
    spread = np.random.default_rng(0).normal(0.0, 1.0, 200)
    # In the draws A, which is better by 10, is worse by 5: its bias is the larger one.
    first, second = estimate(20.0 - sign * 10.0, 20.0 + sign * 5.0 + spread), estimate(20.0, np.full(200, 20.0))
    row = compare({name: first}, {name: second})[name]
    assert row["difference"] == pytest.approx(-sign * 10.0)
    assert max(sign * row["low"], sign * row["high"]) < 0
    assert row["share_a_better"] == 1.0


def test_the_share_of_means_counts_the_draws_as_they_are() -> None:
    drawn = np.concatenate([np.full(30, 0.1), np.full(10, -0.1)])
    row = compare({"stoi": estimate(0.5, drawn)}, {"stoi": estimate(0.3, np.zeros(40))})["stoi"]
    assert row["share_a_better"] == 0.75


WIDTH = 8
SET_NAMES = ("frechet_panns", "inception_panns", "kernel_panns")


def heard(clips: int, seed: int, scale: float = 1.0) -> list[Heard]:
    generator = np.random.default_rng(seed)
    rows = scale * generator.normal(size=(clips, 1, WIDTH)).astype(np.float32)
    return [Heard(embeddings=row, logits=row[0], top=int(row[0].argmax())) for row in rows]


def scores(clips: int, *, captions: int = 1) -> Scores:
    """Two systems, the second of which makes what is more alike than the true sounds are."""
    place = Path()
    pairs = [Pair(key=str(k), reference=place, generated=(), true_sound=str(k // captions)) for k in range(clips)]
    true = heard(clips // captions, 0)
    systems = [System(heard={"panns": heard(clips, 1 + k, scale)}) for k, scale in enumerate((1.0, 0.75))]
    reference = {"panns": [each for each in true for _ in range(captions)]}
    return Scores(systems=systems, pairs=pairs, reference=reference)


@pytest.mark.parametrize(("clips", "captions", "biased"), [(8, 1, True), (9, 1, False), (16, 2, True)])
def test_of_few_clips_two_systems_are_told_apart_by_the_kernel_distance_alone(
    clips: int, captions: int, biased: bool
) -> None:
    (first, second), left_out = estimate_all(scores(clips, captions=captions), SET_NAMES, draws=50, seed=0)
    assert left_out == {}
    told = [biased, biased and captions == 1, False]  # each caption has a sound of its own, whose classes are counted
    assert [first[name].record()["biased"] for name in SET_NAMES] == told
    assert all(first[name].low is not None for name in SET_NAMES)
    for name, without in zip(SET_NAMES, told, strict=True):
        row = compare(first, second)[name]
        assert row["biased"] == without
        assert row["difference"] == first[name].value - second[name].value
        assert [row[key] is None for key in ("low", "high", "share_a_better")] == [without] * 3


def test_two_systems_are_compared_over_the_clips_for_which_both_have_a_score() -> None:
    columns = [0.9, 0.1, *[0.5] * 5], [0.9, None, *[0.5] * 5]  # the second has no score of the hard clip
    systems = [System(scores=[{"stoi": value} for value in column]) for column in columns]
    pairs = [Pair(key=str(k), reference=Path(), generated=()) for k in range(7)]
    (first, second), _ = estimate_all(Scores(systems=systems, pairs=pairs), ("stoi",), draws=200, seed=0)
    assert (first["stoi"].clips, second["stoi"].clips, first["stoi"].undefined) == (6, 6, 1)
    assert compare(first, second)["stoi"]["difference"] == 0


def test_a_draw_holds_the_same_clips_on_both_sides() -> None:
    sounds = heard(12, 0)
    pairs = [Pair(key=str(k), reference=Path(), generated=()) for k in range(12)]
    copies = Scores(systems=[System(heard={"panns": sounds})], pairs=pairs, reference={"panns": sounds})
    (figures,), _ = estimate_all(copies, ("frechet_panns",), draws=30, seed=0)
    np.testing.assert_allclose(figures["frechet_panns"].drawn, 0, atol=1e-4)
