"""Noise topped up between steps, and networks of the instant, where the answer is known."""

from __future__ import annotations

import pytest
import torch

from mfv2a.errors import ConfigError
from mfv2a.flow.guidance import guide, guided_target
from mfv2a.flow.sampler import at_instant, sample, spread


def test_noise_is_topped_up_along_the_path():
    """With one true x the average velocity is (z - x) / t: what the network sees lies on the path, and x comes out."""
    x, seen = torch.tensor(0.3), []
    draw = torch.Generator().manual_seed(0)
    noise = [torch.randn(1, 200_000, generator=draw) for _ in range(4)]

    def velocity(z, *, r, t):
        seen.append((float(t[0]), float(r[0]), ((z - (1 - t) * x) / t).std().item(), z.mean().item()))
        return (z - x) / t

    out = sample(velocity, noise[0], steps=4, renoise=(0.9, 0.5, 0.5, 0.3), fresh=noise.__getitem__)
    assert torch.allclose(out, x.expand_as(out), atol=1e-5)
    times = [time for t, r, *_ in seen for time in (t, r)]
    assert times == pytest.approx([1, 0.75, 0.875, 0.5, 0.625, 0.25, 0.325, 0])
    for t, _, deviation, mean in seen:
        assert deviation == pytest.approx(1, abs=0.01)
        assert mean == pytest.approx((1 - t) * 0.3, abs=0.01)


def test_renoising_needs_a_share_for_each_step_and_noise():
    for shares, fresh in (((0.5,), lambda _: torch.zeros(1, 1)), ((0.5, 0.5), None)):
        with pytest.raises(ConfigError, match="2 shares"):
            sample(lambda z, *, r, t: z, torch.zeros(1, 1), steps=2, renoise=shares, fresh=fresh)


def test_shares_are_spread_over_another_number_of_steps():
    shares = (0.0, 0.5, 0.5, 0.3)
    assert spread(shares, 4) == shares
    assert spread((), 7) == ()
    assert spread(shares, 1) == (0.0,)
    assert spread(shares, 2) == pytest.approx((0.0, 0.3))
    assert spread(shares, 7) == pytest.approx((0.0, 0.25, 0.5, 0.5, 0.5, 0.4, 0.3))
    assert spread((0.4,), 3) == pytest.approx((0.4, 0.4, 0.4))


def test_both_branches_of_guidance_get_both_times():
    """Where u = r + 10 t + 100 for the conditional branch and r + 10 t for the other, w = 2 adds 200."""

    def doubled(z, *, r, t):
        branch = torch.tensor([100.0, 100.0, 0.0, 0.0])
        return (r + 10 * t + branch)[:, None]

    r, t = torch.tensor([0.1, 0.2]), torch.tensor([0.7, 0.9])
    out = guide(doubled, 2.0, rescale=False)(torch.zeros(2, 1), r=r, t=t)
    assert torch.allclose(out[:, 0], r + 10 * t + 200)


def test_the_guided_target_weighs_each_of_its_velocities():
    v, conditional, unconditional = (torch.full((1, 2), value) for value in (1.0, 10.0, 100.0))
    target = guided_target(v, conditional, unconditional, omega=0.3, kappa=0.5)
    assert torch.allclose(target, torch.full((1, 2), 0.3 + 5 + 20))


def test_a_network_of_the_instant_gets_one_time():
    times = []

    def velocity(z, *, r, t):
        times.append((float(r[0]), float(t[0])))
        return z

    sample(at_instant(velocity), torch.ones(1, 1), steps=2)
    assert times == [(1.0, 1.0), (0.5, 0.5)]
