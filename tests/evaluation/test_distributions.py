"""Distances between sets, KL and inception scores against closed forms and against other programs."""

import numpy as np
import pytest
import torch

from mfv2a.errors import ConfigError
from mfv2a.evaluation.bootstrap import draw_weights, mean_estimate, percentiles, ratio_estimate, reach, telling
from mfv2a.evaluation.metrics import (
    frechet_distance,
    inception_score,
    kernel_distance,
    kl_divergence,
    sigmoid,
    softmax,
)
from mfv2a.evaluation.set_draws import drawn_frechet, drawn_inception, drawn_kernel
from mfv2a.training import validation


def rows(count, width, seed=0, *, shift=0.0, scale=1.0):
    return np.random.default_rng(seed).standard_normal((count, width)) * scale + shift


def test_kernel_distance_of_two_points_on_each_side_is_what_the_kernel_gives_by_hand():
    first, second = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[2.0, 0.0], [0.0, 2.0]])
    # k(a, b) = (a . b / 2 + 1)^3: across the axes 1, along them (2 / 2 + 1)^3 = 8.
    assert kernel_distance(first, second) == pytest.approx(1 + 1 - 2 * (8 + 1 + 1 + 8) / 4)


def test_kernel_distance_is_unbiased_around_zero_and_grows_with_a_shift():
    alike = [kernel_distance(rows(40, 4, seed), rows(40, 4, 1000 + seed)) for seed in range(200)]
    error = np.std(alike) / np.sqrt(len(alike))
    assert abs(np.mean(alike)) < 3 * error
    assert min(alike) < 0 < max(alike)
    assert kernel_distance(rows(40, 4), rows(40, 4, 1, shift=1.0)) > 5 * np.std(alike)


def test_kernel_distance_of_pairs_is_that_of_training():
    first, second = rows(30, 8), rows(30, 8, 1, shift=0.5)
    theirs = validation.kernel_distance(torch.from_numpy(first), torch.from_numpy(second))
    assert kernel_distance(first, second, own=np.arange(30)) == pytest.approx(theirs)


@pytest.mark.parametrize("count", [2, 12, 50])
def test_a_copy_has_no_kernel_distance_and_no_draw_of_it_has(count):
    first, owners = rows(count, 64), np.arange(count)
    assert kernel_distance(first, first) < -0.01  # taken for another set, its own rows lie too near
    assert kernel_distance(first, first, own=owners) == pytest.approx(0, abs=1e-9)
    weights = draw_weights(count, 20, 0)
    drawn = drawn_kernel(first, first, weights, weights, (owners, owners))
    told = (weights > 0).sum(axis=1) > 1
    np.testing.assert_allclose(drawn[told], 0, atol=1e-9)
    assert np.isnan(drawn[~told]).all()


def test_the_kernel_distance_of_made_sounds_does_not_hang_on_how_many_there_are():
    def made_of(true, seed):
        return 0.8 * true + 0.6 * rows(*true.shape, seed)  # as wide as the true ones, and near to its own

    told = {}
    for count in (6, 60):
        owners, once = np.arange(count), np.ones((1, count))
        sets = [(made_of(rows(count, 8, seed), 7000 + seed), rows(count, 8, seed)) for seed in range(200)]
        told[count] = [drawn_kernel(*pair, once, once, (owners, owners))[0] for pair in sets]
        assert abs(np.mean(told[count])) < 3 * np.std(told[count]) / np.sqrt(200)
        assert np.mean([drawn_kernel(*pair, once, once)[0] for pair in sets]) < np.mean(told[count])


@pytest.mark.slow  # its import takes long
def test_kernel_and_frechet_distance_are_those_of_torchmetrics():
    kid, fid = (pytest.importorskip(f"torchmetrics.image.{name}") for name in ("kid", "fid"))
    first, second = (torch.from_numpy(rows(20, 8, seed, shift=0.5 * seed)) for seed in (0, 1))
    ours = kernel_distance(first.numpy(), second.numpy())
    assert ours == pytest.approx(float(kid.poly_mmd(first, second)))
    moments = [part for each in (first, second) for part in (each.mean(0), each.T.cov())]
    wanted = float(fid._compute_fid(*moments))
    assert frechet_distance(first.numpy(), second.numpy()) == pytest.approx(wanted, rel=1e-6)


def test_a_single_sound_has_no_kernel_distance():
    with pytest.raises(ConfigError, match="two sounds"):
        kernel_distance(rows(1, 3), rows(4, 3))


@pytest.mark.parametrize("shape", [(30, 4), (6, 50)])
def test_a_draw_that_holds_each_clip_once_is_the_distance_itself(shape):
    first, second = rows(*shape), rows(shape[0] + 3, shape[1], 1, shift=0.3, scale=2.0)
    once = np.ones((1, len(first))), np.ones((1, len(second)))
    assert drawn_frechet(first, second, *once)[0] == pytest.approx(frechet_distance(first, second), rel=1e-6)
    assert drawn_kernel(first, second, *once)[0] == pytest.approx(kernel_distance(first, second))


def test_a_draw_with_twins_is_the_distance_of_the_rows_written_out():
    first, second = rows(6, 3), rows(5, 3, 1, shift=1.0)
    weights = np.array([[2.0, 0, 1, 1, 0, 2]]), np.array([[1.0, 2, 0, 1, 1]])
    written = [
        np.repeat(each, weight[0].astype(int), axis=0) for each, weight in zip((first, second), weights, strict=True)
    ]
    assert drawn_frechet(first, second, *weights)[0] == pytest.approx(frechet_distance(*written), rel=1e-6)
    # The kernel leaves twins apart, which the written-out rows cannot.
    assert drawn_kernel(first, second, *weights)[0] < kernel_distance(*written)


@pytest.mark.parametrize("kind", ["plain", "falling", "dead", "bound"])
def test_the_quick_way_to_a_frechet_distance_is_the_slow_one(kind):
    first, second = rows(300, 24), rows(280, 24, 1, shift=0.3, scale=1.5)
    if kind == "falling":
        first, second = (each * 10.0 ** -np.linspace(0, 4, 24) for each in (first, second))
    if kind == "dead":
        first[:, 3], second[:, 7] = 0.0, 2.0
    if kind == "bound":
        first[:, 5], second[:, 6] = first[:, 4], second[:, 4] + second[:, 5]
    weights = draw_weights(300, 6, 0), draw_weights(280, 6, 1)
    slow = drawn_frechet(first, second, *weights)
    np.testing.assert_allclose(drawn_frechet(first, second, *weights, quick=True), slow, rtol=1e-6)


def test_the_quick_way_goes_the_slow_one_where_rows_are_few():
    first, weights = rows(6, 8), draw_weights(6, 5, 0)
    slow = drawn_frechet(first, first + 1, weights, weights)
    np.testing.assert_allclose(drawn_frechet(first, first + 1, weights, weights, quick=True), slow, rtol=1e-9)


def test_rows_of_one_true_sound_are_no_pair_of_a_kernel_distance():
    first, second = rows(9, 4), rows(7, 4, 1, shift=0.5)
    once = draw_weights(9, 6, 0), draw_weights(7, 6, 1)
    owners = np.tile(np.arange(9), 3), np.repeat(np.arange(7), 2)
    often = drawn_kernel(
        first[owners[0]], second[owners[1]], once[0][:, owners[0]], once[1][:, owners[1]], owners
    )  # fmt: skip
    np.testing.assert_allclose(often, drawn_kernel(first, second, *once, (np.arange(9), np.arange(7))))
    held = np.ones((1, 3)), np.ones((1, 7))
    assert np.isnan(drawn_kernel(first[:3], second, *held, (np.zeros(3, int), np.arange(7))))


def test_pieces_of_clips_that_are_alike_leave_the_kernel_distance_unbiased():
    owners = np.repeat(np.arange(20), 6)

    def clips(seed):
        return rows(20, 4, seed)[owners] + 0.3 * rows(120, 4, 1000 + seed)

    every = np.ones((1, 120))
    alike = [
        drawn_kernel(clips(seed), clips(500 + seed), every, every, (owners, owners))[0] for seed in range(200)
    ]  # fmt: skip
    assert abs(np.mean(alike)) < 3 * np.std(alike) / np.sqrt(len(alike))


def test_a_draw_of_one_clip_alone_has_no_distance():
    first, weights = rows(3, 2), np.array([[3.0, 0, 0]])
    assert np.isnan(drawn_frechet(first, first, weights, np.ones((1, 3))))
    assert np.isnan(drawn_kernel(first, first, weights, np.ones((1, 3))))


def test_kl_of_known_distributions_is_reference_over_generated():
    reference, generated = np.array([0.5, 0.5]), np.array([0.9, 0.1])
    expected = 0.5 * np.log(0.5 / 0.9) + 0.5 * np.log(0.5 / 0.1)
    assert kl_divergence(reference, generated) == pytest.approx(expected, abs=1e-5)
    assert kl_divergence(generated, reference) != pytest.approx(expected, abs=0.05)
    assert kl_divergence(np.array([1.0, 0.0]), np.array([0.25, 0.75])) == pytest.approx(np.log(4), abs=1e-5)
    assert kl_divergence(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == pytest.approx(np.log(1e6))


def test_kl_is_the_number_of_torch_with_the_floor_of_the_fields_programs():
    ours, theirs = rows(5, 527, scale=3), rows(5, 527, 1, scale=3)
    for probabilities, form in ((softmax, torch.softmax), (sigmoid, None)):
        generated, reference = (torch.from_numpy(each) for each in (ours, theirs))
        shape = torch.sigmoid if form is None else lambda x: torch.softmax(x, dim=1)
        wanted = torch.nn.functional.kl_div((shape(generated) + 1e-6).log(), shape(reference), reduction="sum") / 5
        assert kl_divergence(probabilities(theirs), probabilities(ours)).mean() == pytest.approx(float(wanted))


def test_inception_scores_of_known_distributions():
    sure = np.log(np.eye(4)[[0, 1, 2, 3, 0, 1, 2, 3]] + 1e-12)
    assert inception_score(sure) == pytest.approx(4.0, rel=1e-6)
    assert inception_score(np.zeros((8, 4))) == pytest.approx(1.0)
    assert inception_score(np.tile(sure[:1], (8, 1))) == pytest.approx(1.0)
    halves = np.log(np.array([[0.75, 0.25], [0.25, 0.75]]))
    assert inception_score(halves) == pytest.approx(2 * np.exp(0.75 * np.log(0.75) + 0.25 * np.log(0.25)))


def test_inception_score_in_ten_parts_is_that_of_the_fields_programs():
    logits = rows(57, 20, scale=4)
    order = np.random.RandomState(2020).permutation(57)
    p = torch.from_numpy(logits[order]).softmax(dim=1)
    scores = []
    for i in range(10):
        part = p[i * 57 // 10 : (i + 1) * 57 // 10]
        scores.append(float((part * (part.log() - part.mean(0, keepdim=True).log())).sum(1).mean().exp()))
    assert inception_score(logits, splits=10) == pytest.approx(np.mean(scores))
    with pytest.raises(ConfigError, match="10 parts"):
        inception_score(logits[:9], splits=10)


def test_an_inception_draw_counts_rows_as_often_as_it_holds_them():
    probabilities = softmax(rows(4, 6, scale=3))
    written = np.log(probabilities[[0, 0, 2, 3]])
    assert drawn_inception(probabilities, np.array([[2.0, 0, 1, 1]]))[0] == pytest.approx(inception_score(written))


def test_intervals_of_a_mean_hold_the_truth_as_often_as_they_say():
    held = 0
    for seed in range(200):
        scores = np.random.default_rng(seed).normal(3.0, 1.0, 60)
        estimate = mean_estimate(scores, draw_weights(60, 400, seed))
        held += estimate.low < 3.0 < estimate.high
    assert 0.88 < held / 200 < 0.99


@pytest.mark.parametrize("clips", [5, 8, 15])
def test_intervals_of_few_clips_hold_the_truth_nearly_as_often_as_they_say(clips):
    held = 0
    for seed in range(400):
        estimate = mean_estimate(
            np.random.default_rng(seed).normal(3.0, 1.0, clips), draw_weights(clips, 1000, seed)
        )  # fmt: skip
        held += estimate.low < 3.0 < estimate.high
    assert 0.91 < held / 400 < 0.98


def test_an_interval_reaches_as_far_as_students():
    stats = pytest.importorskip("scipy.stats")
    for clips in (5, 6, 12, 103, 10_000):
        wanted = stats.t.ppf(0.975, clips - 1) * (clips / (clips - 1)) ** 0.5
        assert reach(clips) == pytest.approx(wanted, abs=1e-3)


def test_clips_without_a_score_are_left_out_and_counted():
    scores = np.array([1.0, np.nan, 3.0, np.nan, 1.0, 3.0, 1.0, 3.0])
    estimate = mean_estimate(scores, draw_weights(8, 500, 0))
    assert (estimate.value, estimate.clips, estimate.undefined) == (2.0, 6, 2)
    assert 1.0 <= estimate.low <= estimate.high <= 3.0
    assert mean_estimate(np.full(4, np.nan), draw_weights(4, 10, 0)) is None


def test_clips_of_one_true_sound_are_drawn_together_and_count_once():
    scores, owners = np.random.default_rng(0).normal(size=12), np.tile(np.arange(12), 5)
    one = mean_estimate(scores, draw_weights(12, 300, 0))
    five = mean_estimate(scores[owners], draw_weights(60, 300, 0, owners=owners), owners=owners)
    assert (five.low, five.high) == (pytest.approx(one.low), pytest.approx(one.high))
    assert (five.clips, five.units) == (60, 12)
    few = owners[owners < 4]
    assert mean_estimate(scores[few], draw_weights(20, 300, 0, owners=few), owners=few).low is None


def test_few_clips_and_draws_without_a_figure_tell_no_interval():
    for clips in (1, 2, 4):
        assert mean_estimate(np.arange(1.0 + clips)[1:], draw_weights(clips, 500, 0)).low is None
    assert mean_estimate(np.arange(5.0), draw_weights(5, 500, 0)).low is not None
    rare = np.full(1000, np.nan)
    rare[:2] = 1.0, 3.0
    assert np.isnan(mean_estimate(rare, draw_weights(1000, 500, 0)).drawn).any()
    drawn = np.arange(100.0)
    assert len(telling(drawn, 5)) == 100
    assert len(telling(drawn, 4)) == 0
    drawn[:5] = np.nan
    assert len(telling(drawn, 9)) == 95
    drawn[:6] = np.nan
    assert len(telling(drawn, 9)) == 0


def test_a_ratio_is_of_sums_and_none_where_there_is_nothing():
    weights = draw_weights(2, 10, 0)
    assert ratio_estimate(np.array([1.0, 0.0]), np.array([1.0, 3.0]), weights).value == 0.25
    assert ratio_estimate(np.zeros(2), np.zeros(2), weights) is None


def test_draws_are_the_same_for_the_same_seed_and_hold_as_many_clips_as_there_are():
    weights = draw_weights(7, 50, 3)
    assert (weights.sum(axis=1) == 7).all()
    assert (weights == draw_weights(7, 50, 3)).all()
    assert (weights != draw_weights(7, 50, 4)).any()
    assert percentiles(np.array([np.nan, 1.0]), 7) == (None, None)


def test_draws_that_are_too_few_to_have_a_value_beyond_tell_no_interval():
    drawn = np.linspace(0.0, 1.0, 1000)
    assert percentiles(drawn[::500], 40) == (None, None)
    assert percentiles(drawn[::10], 5) == (None, None)
    low, high = percentiles(drawn, 5)
    assert 0 <= low < 0.01
    assert 0.99 < high <= 1
