"""Distances against closed forms."""

import numpy as np
import pytest

from mfv2a.errors import ConfigError
from mfv2a.evaluation.metrics import (
    frechet_distance,
    gaussian_distance,
    gaussian_kernel_distance,
    log_mel_distance,
    median_distance,
)


def test_a_sound_has_no_distance_from_itself():
    wave = np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    assert log_mel_distance(wave, wave, 16_000) == 0.0


def test_a_sound_e_times_as_loud_is_one_away():
    wave = np.random.default_rng(0).standard_normal(16_000).astype(np.float32) * 0.1
    assert log_mel_distance(wave, wave * np.float32(np.e), 16_000) == pytest.approx(1.0, abs=1e-3)


def test_only_the_time_both_have_is_compared():
    wave = np.random.default_rng(0).standard_normal(32_000).astype(np.float32)
    assert log_mel_distance(wave, wave[:16_000], 16_000) == 0.0


def test_gaussians_that_differ_in_mean_and_diagonal_match_the_closed_form():
    mean, other = np.array([0.0, 1.0, 2.0]), np.array([1.0, 1.0, 0.0])
    spread, other_spread = np.array([1.0, 4.0, 9.0]), np.array([4.0, 4.0, 1.0])
    expected = ((mean - other) ** 2).sum() + ((np.sqrt(spread) - np.sqrt(other_spread)) ** 2).sum()
    assert gaussian_distance(mean, np.diag(spread), other, np.diag(other_spread)) == pytest.approx(expected)


def test_rotating_both_gaussians_changes_nothing():
    rng = np.random.default_rng(0)
    turn, _ = np.linalg.qr(rng.standard_normal((4, 4)))
    cov, other = np.diag([1.0, 2.0, 3.0, 4.0]), np.diag([2.0, 2.0, 1.0, 1.0])
    zero = np.zeros(4)
    straight = gaussian_distance(zero, cov, zero, other)
    assert gaussian_distance(zero, turn @ cov @ turn.T, zero, turn @ other @ turn.T) == pytest.approx(straight)


def test_samples_of_two_gaussians_come_near_the_closed_form():
    rng = np.random.default_rng(1)
    first = rng.standard_normal((20_000, 3))
    second = rng.standard_normal((20_000, 3)) * 2 + 1
    assert frechet_distance(first, second) == pytest.approx(3 + 3, rel=0.05)
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-6)


def test_fewer_sounds_than_dimensions_still_give_a_finite_distance():
    rng = np.random.default_rng(2)
    distance = frechet_distance(rng.standard_normal((5, 64)), rng.standard_normal((7, 64)))
    assert np.isfinite(distance)
    assert distance > 0


def test_a_single_sound_has_no_distribution():
    with pytest.raises(ConfigError, match="two sounds"):
        frechet_distance(np.zeros((1, 4)), np.zeros((5, 4)))


def test_the_kernel_distance_of_two_normals_is_near_the_closed_form():
    # E k(a, b) of N(m, s^2) in each of D directions: (h^2 / (h^2 + 2 s^2))^(D / 2) exp(-|m|^2 / (2 (h^2 + 2 s^2))).
    rng, dim, width = np.random.default_rng(3), 3, 2.0
    gap = np.array([1.0, 0.0, 0.5])
    alike = (width**2 / (width**2 + 2)) ** (dim / 2)
    expected = 2 * alike * (1 - np.exp(-gap @ gap / (2 * (width**2 + 2))))
    first, second = rng.standard_normal((4000, dim)), rng.standard_normal((4000, dim)) + gap
    assert gaussian_kernel_distance(first, second, bandwidth=width) == pytest.approx(expected, rel=0.08)


def test_the_kernel_distance_of_two_pairs_is_what_is_worked_out_by_hand():
    first, second = np.array([[0.0], [1.0]]), np.array([[0.0], [2.0]])
    k = {square: np.exp(-square / 2) for square in (0, 1, 4)}
    expected = k[1] + k[4] - 2 * (k[0] + k[4] + k[1] + k[1]) / 4
    assert gaussian_kernel_distance(first, second, bandwidth=1.0) == pytest.approx(expected)


def test_a_row_is_not_set_against_its_own():
    true = np.random.default_rng(0).normal(size=(10, 16))
    made = true[::2]
    assert gaussian_kernel_distance(true, true, bandwidth=4.0, own=np.arange(10)) == pytest.approx(0, abs=1e-12)
    assert gaussian_kernel_distance(true, true, bandwidth=4.0) < -0.01
    kernel = np.exp(-np.square(true[:, None] - true[None]).sum(-1) / 32)
    among = (kernel[::2, ::2].sum() - 5) / 20, (kernel.sum() - 10) / 90
    across = (kernel[::2].sum() - 5) / 45
    found = gaussian_kernel_distance(made, true, bandwidth=4.0, own=np.arange(0, 10, 2))
    assert found == pytest.approx(sum(among) - 2 * across)


def test_the_kernel_distance_is_unbiased_where_a_frechet_distance_is_not():
    rng = np.random.default_rng(4)
    sets = [rng.standard_normal((2, 12, 16)) for _ in range(200)]
    kernel = [gaussian_kernel_distance(a, b, bandwidth=4.0) for a, b in sets]
    assert abs(np.mean(kernel)) < 4 * np.std(kernel) / np.sqrt(len(kernel))
    assert min(kernel) < 0
    assert np.mean([frechet_distance(a, b) for a, b in sets]) > 5


def test_the_usual_bandwidth_is_the_median_of_the_true_sounds_distances():
    second = np.array([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]])
    assert median_distance(second) == pytest.approx(5.0)
    first = np.ones((4, 2))
    assert gaussian_kernel_distance(first, second) == pytest.approx(
        gaussian_kernel_distance(first, second, bandwidth=5.0)
    )


def test_a_kernel_needs_pairs_and_a_width():
    with pytest.raises(ConfigError, match="two sounds"):
        gaussian_kernel_distance(np.zeros((1, 4)), np.zeros((5, 4)))
    with pytest.raises(ConfigError, match="above zero"):
        gaussian_kernel_distance(np.zeros((3, 4)), np.zeros((5, 4)))


def test_a_log_mel_distance_grows_with_the_difference_and_not_with_its_square():
    wave = (0.1 * np.random.default_rng(0).standard_normal(64_000)).astype(np.float32)
    louder = wave.copy()
    louder[32_000:] *= np.float32(np.e**2)  # half of the frames are two away, the others are the same
    assert log_mel_distance(wave, louder, 16_000) == pytest.approx(1.0, abs=0.03)
