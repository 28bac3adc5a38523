"""The mathematics between noise and data, against closed forms.

For the linear velocity v = a z the average velocity over [r, t] is z (1 - exp(-a (t - r))) / (t - r).
"""

from __future__ import annotations

import math

import pytest
import torch

from mfv2a.errors import ConfigError
from mfv2a.flow.guidance import combine, guide, guided_target, match_deviation, projection_scale
from mfv2a.flow.objective import (
    adaptive_weight,
    alphaflow_loss,
    distill_loss,
    energy_score,
    flow_matching_loss,
    meanflow_loss,
    meanflow_terms,
    sequence_distance,
)
from mfv2a.flow.path import interpolate, sample_time, sample_times
from mfv2a.flow.sampler import sample

RATE = 1.7


def linear_average(z, *, r, t):
    """Average velocity of v = RATE * z; its limit at r = t is the velocity itself."""
    gap = (t - r).reshape(-1, *[1] * (z.dim() - 1)).to(z)
    safe = torch.where(gap == 0, torch.ones_like(gap), gap)
    return z * torch.where(gap == 0, torch.full_like(gap, RATE), (1 - torch.exp(-RATE * safe)) / safe)


@pytest.fixture
def noise():
    return torch.randn(3, 7, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("steps", [1, 2, 5, 25])
def test_average_velocity_is_sampled_exactly_at_any_number_of_steps(noise, steps):
    expected = noise * math.exp(-RATE)
    assert torch.allclose(sample(linear_average, noise, steps=steps), expected, rtol=1e-6)


def test_swapping_the_two_times_is_far_off(noise):
    swapped = sample(lambda z, *, r, t: linear_average(z, r=t, t=r), noise, steps=1)
    assert (swapped - noise * math.exp(-RATE)).abs().max() > 0.5


def test_an_instantaneous_velocity_converges_as_euler_does(noise):
    def error(steps):
        return (sample(lambda z, *, r, t: RATE * z, noise, steps=steps) - noise * math.exp(-RATE)).abs().max()

    assert error(64) < error(8) / 6


def test_no_steps_are_refused(noise):
    with pytest.raises(ConfigError, match="at least 1"):
        sample(linear_average, noise, steps=0)


def test_meanflow_identity_holds_for_the_closed_form(noise):
    r, t = torch.tensor([0.0, 0.2, 0.5], dtype=torch.float64), torch.tensor([1.0, 0.7, 0.5], dtype=torch.float64)
    rows = (r < t).nonzero()[:, 0]
    terms = meanflow_terms(linear_average, linear_average, noise, RATE * noise, r, t)
    assert len(rows) == 2
    assert torch.allclose(terms.u, terms.target, atol=1e-12)
    assert terms.derivative[2].abs().max() == 0


def test_meanflow_loss_is_flow_matching_where_times_are_equal(noise):
    t = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    v = torch.randn(noise.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    weighted, error = meanflow_loss(linear_average, linear_average, noise, v, t, t, power=0.0)
    assert torch.allclose(weighted, flow_matching_loss(linear_average, noise, v, t))
    assert torch.allclose(weighted, error)


def scaled_average(scale):
    """`linear_average` times a number that can be learned."""
    return lambda z, *, r, t: scale * linear_average(z, r=r, t=t)


def gradient(loss, noise, power, **options):
    scale = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
    r, t = torch.tensor([0.0, 0.2, 0.5], dtype=torch.float64), torch.tensor([1.0, 0.7, 0.5], dtype=torch.float64)

    def frozen(z, *, r, t):
        return scaled_average(scale.detach())(z, r=r, t=t)

    weighted, _ = loss(scaled_average(scale), frozen, noise, RATE * noise, r, t, power=power, **options)
    weighted.sum().backward()
    return scale.grad.item()


@pytest.mark.parametrize("power", [0.0, 1.0])
def test_alphaflow_with_a_small_alpha_has_the_gradient_of_meanflow(noise, power):
    exact = gradient(meanflow_loss, noise, power)
    near, far = (gradient(alphaflow_loss, noise, power, alpha=alpha) for alpha in (0.01, 0.1))
    assert near == pytest.approx(exact, rel=0.05)
    assert abs(near - exact) < abs(far - exact)


def test_alphaflow_at_one_is_flow_matching_with_two_times(noise):
    r, t = torch.tensor([0.0, 0.2, 0.5], dtype=torch.float64), torch.tensor([1.0, 0.7, 0.5], dtype=torch.float64)
    weighted, error = alphaflow_loss(linear_average, linear_average, noise, RATE * noise, r, t, alpha=1.0, power=0.0)
    expected = (linear_average(noise, r=r, t=t) - RATE * noise).square().flatten(1).mean(1).float()
    assert torch.allclose(weighted, expected)
    assert torch.allclose(error, expected)


def test_a_straight_flow_satisfies_alphaflow_at_any_alpha(noise):
    def straight(z, *, r, t):
        return torch.full_like(z, 2.0)

    r, t = torch.tensor([0.0, 0.2, 0.5]), torch.tensor([1.0, 0.7, 0.5])
    for alpha in (0.1, 0.5, 1.0):
        _, error = alphaflow_loss(straight, straight, noise, torch.full_like(noise, 2.0), r, t, alpha=alpha)
        assert error.max() == 0


def test_adaptive_weight_makes_the_loss_insensitive_to_scale():
    error = torch.tensor([1.0, 100.0])
    assert torch.allclose(adaptive_weight(error, power=1.0), torch.ones(2), atol=2e-3)
    assert torch.equal(adaptive_weight(error, power=0.0), error)


def test_path_runs_from_data_to_noise(noise):
    data = torch.zeros_like(noise)
    z, v = interpolate(data, noise, torch.tensor([0.0, 0.5, 1.0]))
    assert torch.equal(z[0], data[0])
    assert torch.equal(z[2], noise[2])
    assert torch.equal(v, noise)


def average_of(rate):
    """`linear_average` of any rate, which may be learned."""

    def average(z, *, r, t):
        gap = (t - r).reshape(-1, *[1] * (z.dim() - 1)).to(z)
        safe = torch.where(gap == 0, torch.ones_like(gap), gap)
        return z * torch.where(gap == 0, rate + 0 * gap, (1 - torch.exp(-rate * safe)) / safe)

    return average


@pytest.mark.parametrize("alpha", [None, 0.05], ids=["meanflow", "alphaflow"])
def test_distillation_finds_the_average_of_the_guided_teacher(noise, alpha):
    # A teacher of velocity a z with its condition and b z without is, guided by w, one of rate b + w (a - b).
    a, b, w = 1.2, 0.9, 2.5
    guided = b + w * (a - b)

    def teacher(z, *, r, t):
        assert torch.equal(r, t)
        return combine(a * z, b * z, w, rescale=False)

    r, t = torch.tensor([0.0, 0.2, 0.5], dtype=torch.float64), torch.tensor([1.0, 0.7, 0.5], dtype=torch.float64)
    rate = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([rate], lr=0.05)
    for _ in range(250):
        frozen = average_of(rate.detach())
        weighted, error = distill_loss(average_of(rate), frozen, teacher, noise, r, t, alpha=alpha, power=0.0)
        optimizer.zero_grad()
        weighted.sum().backward()
        optimizer.step()
    assert rate.item() == pytest.approx(guided, rel=1e-3 if alpha is None else 0.05)
    if alpha is None:
        assert error.max() < 1e-6
        landed = sample(average_of(rate.detach()), noise, steps=1)
        assert torch.allclose(landed, noise * math.exp(-guided), rtol=1e-2)


@pytest.mark.parametrize("loss", [meanflow_loss, alphaflow_loss])
def test_rows_with_equal_times_may_be_among_those_looked_at_twice(noise, loss):
    r, t = torch.tensor([0.0, 0.2, 0.5], dtype=torch.float64), torch.tensor([1.0, 0.7, 0.5], dtype=torch.float64)
    options = {"alpha": 0.3} if loss is alphaflow_loss else {}
    velocity = scaled_average(0.8)
    expected = loss(velocity, velocity, noise, RATE * noise, r, t, **options)[1]
    rows = torch.tensor([0, 1, 2])
    assert torch.allclose(loss(velocity, velocity, noise, RATE * noise, r, t, rows=rows, **options)[1], expected)


def test_time_pairs_are_ordered_and_shared_as_asked():
    generator = torch.Generator().manual_seed(0)
    r, t = sample_times(1000, generator=generator, equal_share=0.75, full_share=0.4)
    assert (r <= t).all()
    assert (r == t).sum() == 750
    assert ((r == 0) & (t == 1)).sum() == 100
    again = sample_times(1000, generator=torch.Generator().manual_seed(0), equal_share=0.75, full_share=0.4)
    assert torch.equal(r, again[0])
    assert torch.equal(t, again[1])


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 12])
def test_of_small_batches_the_shares_are_right_in_the_mean(rows):
    generator = torch.Generator().manual_seed(0)
    drawn = [sample_times(rows, generator=generator, equal_share=0.75, full_share=0.4) for _ in range(4000)]
    apart = torch.stack([(r < t).float().mean() for r, t in drawn])
    full = torch.stack([((r == 0) & (t == 1)).float().mean() for r, t in drawn])
    assert apart.mean().item() == pytest.approx(0.25, abs=0.02)
    assert full.mean().item() == pytest.approx(0.1, abs=0.015)
    assert {round(rows * share) for share in apart.tolist()} <= {math.floor(rows / 4), math.ceil(rows / 4)}


@pytest.mark.parametrize("draw", [sample_time, lambda *a, **k: sample_times(*a, equal_share=1.0, **k)[1]])
def test_times_of_rows_that_all_have_r_equal_t_are_logit_normal(draw):
    t = torch.logit(draw(20000, generator=torch.Generator().manual_seed(3), mean=0.5, std=0.7))
    assert t.mean().item() == pytest.approx(0.5, abs=0.02)
    assert t.std().item() == pytest.approx(0.7, abs=0.02)


def test_the_larger_of_two_logit_normal_times_stays_where_some_rows_have_r_below_t():
    r, t = sample_times(20000, generator=torch.Generator().manual_seed(3), equal_share=0.5, mean=0.5, std=0.7)
    # the larger of two normal draws has mean m + s / sqrt(pi)
    assert torch.logit(t).mean().item() == pytest.approx(0.5 + 0.7 / math.sqrt(math.pi), abs=0.02)
    assert torch.logit(r[r < t]).mean().item() == pytest.approx(0.5 - 0.7 / math.sqrt(math.pi), abs=0.02)


def test_projection_scale_is_the_best_scalar():
    generator = torch.Generator().manual_seed(4)
    unconditional = torch.randn(2, 5, 3, generator=generator)
    conditional = 2.5 * unconditional
    assert torch.allclose(projection_scale(conditional, unconditional), torch.full((2,), 2.5), atol=1e-5)
    # the unconditional branch, rescaled, then equals the conditional one: guidance of any strength changes nothing
    assert torch.allclose(combine(conditional, unconditional, 7.0), conditional, atol=1e-4)
    assert not torch.allclose(combine(conditional, unconditional, 7.0, rescale=False), conditional, atol=1.0)


def test_the_projection_scalar_minimises_the_distance():
    generator = torch.Generator().manual_seed(5)
    c, u = torch.randn(1, 40, generator=generator), torch.randn(1, 40, generator=generator)
    s = projection_scale(c, u)
    best = (c - s * u).square().sum()
    assert all((c - (s + d) * u).square().sum() > best for d in (-0.05, 0.05))


def test_guidance_evaluates_both_branches_in_one_doubled_batch():
    calls = []

    def doubled(z, *, r, t):
        calls.append(len(z))
        half = len(z) // 2
        return torch.cat([torch.full_like(z[:half], 3.0), torch.full_like(z[half:], 1.0)])

    z, time = torch.zeros(2, 4, 1), torch.ones(2)
    out = guide(doubled, 2.0, rescale=False)(z, r=time, t=time)
    assert calls == [4]
    assert torch.equal(out, torch.full_like(z, 5.0))


def test_strength_one_is_the_conditional_prediction():
    c, u = torch.randn(2, 3), torch.randn(2, 3)
    assert torch.allclose(combine(c, u, 1.0), c, atol=1e-6)


def test_guided_target_weights_sum_to_one():
    v = torch.randn(2, 3)
    assert torch.allclose(guided_target(v, v, v, omega=0.3, kappa=0.9), v, atol=1e-6)


@pytest.mark.parametrize("t", [1.0, 0.4])
def test_matched_guidance_predicts_data_as_wide_as_without_it(noise, t):
    # The guided prediction is 3 x_c + 2: matched, its deviation is that of x_c again, its mean its own.
    time = torch.full((3,), t, dtype=torch.float64)
    wanted = torch.randn(3, 7, 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    conditional, guided = (noise - wanted) / t, (noise - (3 * wanted + 2)) / t
    made = noise - t * match_deviation(guided, conditional, noise, time)
    mean = wanted.mean((1, 2), keepdim=True)
    assert torch.allclose(made, 3 * mean + 2 + (wanted - mean), atol=1e-4)


def test_matched_guidance_of_one_is_none(noise):
    time, z = torch.ones(3, dtype=torch.float64), noise
    doubled = lambda both, *, r, t: torch.cat([both[:3] * 0.5, both[3:] * -2])  # noqa: E731
    assert torch.allclose(guide(doubled, 1.0, rescale=False, match=True)(z, r=time, t=time), z * 0.5, atol=1e-5)
    strong = guide(doubled, 4.5, rescale=False, match=True)(z, r=time, t=time)
    assert torch.allclose((z - strong).std((1, 2)), (z - z * 0.5).std((1, 2)), rtol=1e-4)
    assert not torch.allclose(strong, z * 0.5, atol=0.1)


def test_the_energy_score_of_a_normal_variable_is_its_closed_form():
    """E|X - Y| = 2 s / sqrt(pi) for independent normals of deviation s, s sqrt(2 / pi) from their mean."""
    generator = torch.Generator().manual_seed(2)
    true, one, other = (3 + 2 * torch.randn(200_000, 1, generator=generator, dtype=torch.float64) for _ in range(3))

    def mean(a, b):
        return energy_score(a, b, true, lambda c, d: (c - d).abs()[:, 0]).mean().item()

    right, centre = mean(one, other), torch.full_like(true, 3.0)
    assert right == pytest.approx(2 / math.sqrt(math.pi), rel=0.01)
    assert mean(centre, centre) == pytest.approx(2 * math.sqrt(2 / math.pi), rel=0.01)
    assert right < mean(3 + 0.5 * (one - 3), 3 + 0.5 * (other - 3))
    assert right < mean(3 + 1.5 * (one - 3), 3 + 1.5 * (other - 3))


def test_the_distance_of_sequences_looks_at_each_scale_of_time():
    a = torch.zeros(2, 64, 20)
    steady = sequence_distance(a, a + 0.5)
    # single values, stretches of 1, 4 and 16 frames, and the means over 4, 16 and 64
    expected = 0.5 * (1 + 3 + 4**0.25 + 16**0.25 + 64**0.25) / 7
    assert torch.allclose(steady, torch.full((2,), expected), rtol=1e-4)
    noise = torch.randn(4, 64, 500, generator=torch.Generator().manual_seed(0))
    expected = (0.798 + 3 + 4**-0.25 + 16**-0.25 + 64**-0.25) / 7
    assert torch.allclose(sequence_distance(noise, torch.zeros_like(noise)), torch.full((4,), expected), atol=0.02)
    assert torch.allclose(
        sequence_distance(a[:, :3], a[:, :3] + 0.5), torch.full((2,), 0.5 * (1 + 1 + 3**0.25) / 3), rtol=1e-4
    )
