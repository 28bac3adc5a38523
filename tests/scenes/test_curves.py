"""Rhythms and tracks: gaps that hold, blows that fall fast and stop at the beat."""

from __future__ import annotations

import numpy as np
import pytest

from mfv2a.scenes.curves import Rhythm, Swing, rhythm, since_last, strike_track, track, until_next


@pytest.mark.parametrize("seed", range(30))
def test_a_rhythm_keeps_its_shortest_gap_and_stays_inside(seed: int) -> None:
    beat = rhythm(np.random.default_rng(seed), 8.0, fastest_s=0.2, lead_s=0.3)
    assert len(beat) >= 1
    assert beat.times_s[0] >= 0.3
    assert beat.times_s[-1] < 8.0 - 0.08
    assert (np.diff(beat.times_s) >= 0.199).all()
    assert ((beat.strengths >= 0.2) & (beat.strengths <= 1)).all()


def test_a_moment_too_short_for_a_hit_has_none() -> None:
    assert len(rhythm(np.random.default_rng(0), 0.1)) == 0


def test_rhythms_are_of_many_kinds() -> None:
    counts = {len(rhythm(np.random.default_rng(seed), 8.0)) for seed in range(60)}
    assert 1 in counts
    assert max(counts) > 20


def test_gains_span_twenty_four_decibels() -> None:
    assert Rhythm(np.zeros(2), np.array([0.0, 1.0])).gains == pytest.approx([10 ** (-24 / 20), 1.0])


def test_a_blow_is_at_rest_high_then_falls_fast_and_stops() -> None:
    beat = Rhythm(np.array([1.0, 2.0]), np.array([1.0, 0.5]))
    height = strike_track(beat, Swing(swing_s=0.1, dwell_s=0.05))
    assert height.at(beat.times_s) == pytest.approx([0, 0], abs=1e-9)
    t = np.linspace(0, 3, 3001)
    assert height.at(t).min() >= 0
    speed = np.abs(np.gradient(height.at(t), t))
    assert speed[990:1000].min() > 5 * speed[1005:1040].max() + 1
    assert height.at(np.array([0.9])) > height.at(np.array([1.9]))


def test_a_track_passes_through_its_keys_and_holds_after_them() -> None:
    path = track([(0.0, 1.0, 0.0), (1.0, 3.0, 2.0), (1.0, 9.0, 0.0), (2.0, 2.0, -2.0)])
    assert path.at(np.array([-1.0, 0.0, 1.0, 2.0, 5.0])) == pytest.approx([1, 1, 3, 2, 2])
    assert path.at(np.array([0.5])) == pytest.approx([1.5])


def test_time_since_and_until_the_moments() -> None:
    moments = np.array([1.0, 2.0])
    age, index = since_last(np.array([0.5, 1.5, 2.5]), moments)
    assert age == pytest.approx([1000, 0.5, 0.5])
    assert list(index) == [0, 0, 1]
    wait, index = until_next(np.array([0.5, 1.5, 2.5]), moments)
    assert wait == pytest.approx([0.5, 0.5, 99])
    assert list(index) == [0, 1, 1]
    assert since_last(np.zeros(2), np.zeros(0))[0] == pytest.approx([1000, 1000])
