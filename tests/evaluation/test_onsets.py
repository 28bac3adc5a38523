"""The hit detector on sounds with known hits, and the matching by its laws."""

import numpy as np
import pytest

from mfv2a.evaluation.onsets import (
    OnsetMatch,
    detect_onsets,
    envelope_correlation,
    flux_envelope,
    match_onsets,
    mean_onset_f1,
    onset_envelope,
    onset_f1,
    shifted_correlations,
)
from mfv2a.scenes import make_scene

RATE = 16_000


def clicks(times, *, seconds=4.0, rate=RATE, decay_s=0.05, tone_hz=900.0, noise=0.0):
    """Decaying tones that start at given times."""
    wave = noise * np.random.default_rng(0).standard_normal(round(seconds * rate))
    for time in times:
        start = round(time * rate)
        age = np.arange(len(wave) - start) / rate
        wave[start:] += np.exp(-age / decay_s) * np.sin(2 * np.pi * tone_hz * age)
    return wave.astype(np.float32)


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_clicks_are_found_where_they_are(rate):
    times = [0.3, 0.9, 1.45, 2.2, 3.7]
    found = detect_onsets(clicks(times, rate=rate), rate)
    assert len(found) == len(times)
    assert np.abs(found - times).max() < 0.02


@pytest.mark.parametrize("rate", [11_025, 22_050])
def test_times_do_not_stretch_where_ten_milliseconds_are_no_whole_samples(rate):
    times = [1.0, 30.0, 58.0]
    found = detect_onsets(clicks(times, seconds=60.0, rate=rate), rate)
    assert len(found) == len(times)
    assert np.abs(found - times).max() < 0.02


def test_a_hit_at_the_very_start_is_found():
    found = detect_onsets(clicks([0.0, 1.0]), RATE)
    assert len(found) == 2
    assert found[0] < 0.03


def test_level_does_not_matter():
    wave = clicks([0.5, 1.5, 3.0], noise=0.001)
    np.testing.assert_allclose(detect_onsets(wave, RATE), detect_onsets(wave * 1e-3, RATE))


def test_quiet_hits_beside_loud_ones_are_found():
    wave = clicks([0.5, 2.5]) + 0.25 * clicks([1.5, 3.2], tone_hz=1400)
    assert match_onsets(detect_onsets(wave, RATE), [0.5, 1.5, 2.5, 3.2]).f1 == 1.0


def test_hits_in_noise_are_found():
    times = [0.4, 1.1, 1.9, 2.6, 3.3]
    assert match_onsets(detect_onsets(clicks(times, noise=0.02), RATE), times).f1 > 0.9


def test_fast_hits_are_told_apart():
    times = np.arange(0.2, 3.5, 0.12)
    assert match_onsets(detect_onsets(clicks(times, decay_s=0.02), RATE), times).f1 > 0.95


def test_silence_and_emptiness_have_no_hits():
    assert len(detect_onsets(np.zeros(RATE, np.float32), RATE)) == 0
    assert len(detect_onsets(np.zeros(0, np.float32), RATE)) == 0
    assert len(detect_onsets(np.zeros(3, np.float32), RATE)) == 0


def colored_noise(seed, slope, *, seconds=4.0):
    """Noise whose magnitude falls with frequency to the power of `slope`: 0 white, 0.5 pink, 1 brown."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(round(seconds * RATE)))
    return np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)), 32.0) ** slope).astype(np.float32)


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0])
def test_what_sounds_steadily_from_end_to_end_has_no_hit(slope):
    assert sum(len(detect_onsets(colored_noise(seed, slope), RATE)) for seed in range(20)) == 0


@pytest.mark.parametrize("tone_hz", [110.0, 261.6, 500.0, 1397.0])
@pytest.mark.parametrize("phase", [0.0, 0.7, 1.6])
def test_a_steady_chord_has_no_hit(tone_hz, phase):
    times = np.arange(4 * RATE) / RATE
    chord = sum(np.sin(2 * np.pi * tone_hz * k * times + k * phase) / k for k in range(1, 6))
    assert len(detect_onsets(chord.astype(np.float32), RATE)) == 0


@pytest.mark.parametrize("kind", ["noise", "tone"])
@pytest.mark.parametrize("rise_s", [0.5, 1.0, 2.5])
def test_what_swells_slowly_has_no_hit(kind, rise_s):
    wave = colored_noise(5, 0.5) if kind == "noise" else np.sin(2 * np.pi * 500 * np.arange(4 * RATE) / RATE)
    swell = np.minimum(1, np.arange(4 * RATE) / (rise_s * RATE))
    assert len(detect_onsets((wave * swell).astype(np.float32), RATE)) == 0


@pytest.mark.parametrize("seconds", [0.9, 1.3, 2.0, 2.55])
def test_a_sound_that_is_cut_has_no_hit_at_the_cut(seconds):
    noise = colored_noise(3, 0.5)
    wave = clicks([0.3, 1.1], decay_s=0.2) + 0.05 * noise / np.abs(noise).max()
    found = detect_onsets(wave[: round(seconds * RATE)], RATE)
    np.testing.assert_allclose(found, [time for time in (0.3, 1.1) if time < seconds], atol=0.03)


@pytest.mark.parametrize("start", [0.0, 0.004, 0.02, 0.05])
@pytest.mark.parametrize("beside", ["noise", "tone"])
def test_a_hit_that_a_steady_sound_begins_with_is_found(start, beside):
    steady = colored_noise(1, 0.5) if beside == "noise" else np.sin(2 * np.pi * 500 * np.arange(4 * RATE) / RATE)
    wave = clicks([start, 1.5]) + 0.1 * steady / np.abs(steady).max()
    np.testing.assert_allclose(detect_onsets(wave.astype(np.float32), RATE), [start, 1.5], atol=0.04)


@pytest.mark.parametrize(
    ("found", "true", "expected"),
    [
        ([], [], (0, 0, 0)),
        ([1.0], [], (0, 1, 0)),
        ([], [1.0], (0, 0, 1)),
        ([1.0, 1.05], [1.02], (1, 2, 1)),
        ([1.02], [1.0, 1.05], (1, 1, 2)),
        ([0.95, 1.05], [1.0, 1.1], (2, 2, 2)),
        ([1.05, 1.15], [1.1, 1.0], (2, 2, 2)),
        ([1.0], [1.11], (0, 1, 1)),
    ],
)
def test_each_hit_is_matched_once(found, true, expected):
    assert match_onsets(found, true) == expected


def test_hits_at_the_tolerance_are_pairs_wherever_they_lie():
    for k in range(790):
        assert match_onsets([k * 0.01], [(k + 10) * 0.01]).hits == 1, k
        assert match_onsets([(k + 10) * 0.01], [k * 0.01]).hits == 1, k
    assert match_onsets([0.5], [0.61]).hits == 0


def test_matching_finds_the_largest_number_of_pairs():
    scipy_graph = pytest.importorskip("scipy.sparse.csgraph")
    sparse = pytest.importorskip("scipy.sparse")
    rng = np.random.default_rng(0)
    for _ in range(50):
        found, true = rng.uniform(0, 2, 12), rng.uniform(0, 2, 15)
        near = np.abs(found[:, None] - true[None]) <= 0.1
        best = (scipy_graph.maximum_bipartite_matching(sparse.csr_array(near)) >= 0).sum()
        assert match_onsets(found, true).hits == best


def test_f1_counts_hits_over_all_clips_and_the_mean_counts_clips():
    matches = [OnsetMatch(8, 8, 8), OnsetMatch(0, 0, 2), OnsetMatch(0, 1, 0)]
    assert onset_f1(matches) == pytest.approx(2 * 8 / (9 + 10))
    assert mean_onset_f1(matches) == pytest.approx(0.5)
    assert onset_f1([]) == mean_onset_f1([]) == 1.0


def test_the_envelope_has_a_value_a_frame_and_peaks_at_hits():
    envelope = onset_envelope(clicks([1.0, 2.0]), RATE, 25.0)
    assert envelope.shape == (100,)
    strongest = sorted(np.argsort(envelope)[-2:])
    assert abs(strongest[0] - 25) <= 1
    assert abs(strongest[1] - 50) <= 1


@pytest.mark.parametrize("fps", [12.5, 25, 100, 240])
def test_the_envelope_fits_any_frame_rate(fps):
    assert len(onset_envelope(clicks([1.0], seconds=2), RATE, fps)) == round(2 * fps)
    assert onset_envelope(np.zeros(10, np.float32), RATE, fps).shape == (1,)


@pytest.mark.parametrize("rate", [11_025, 16_000, 22_050])
def test_an_envelope_does_not_drift_where_ten_milliseconds_are_no_whole_samples(rate):
    envelope = onset_envelope(clicks([59.51], seconds=60.0, rate=rate), rate, 50.0)
    assert abs(int(envelope.argmax()) / 50 - 59.50) < 0.03


@pytest.mark.parametrize("fps", [25.0, 30.0, 50.0, 100.0])
def test_a_spectrum_at_the_begin_of_a_frame_is_in_it(fps):
    flux = np.arange(6000, dtype=np.float32)
    whole = [k for k in range(6000) if k * fps % 100 == 0]
    envelope = flux_envelope(flux, 60.0, fps)
    before = [round(k * fps / 100) - 1 for k in whole if k]
    assert (envelope[before] < [k for k in whole if k]).all()


def test_like_envelopes_correlate_and_shifted_ones_do_not():
    rng = np.random.default_rng(2)
    times = np.sort(rng.uniform(0.1, 3.8, 7))
    ours = onset_envelope(clicks(times), RATE, 25.0)
    theirs = onset_envelope(clicks(times, tone_hz=2500), RATE, 25.0)
    null = shifted_correlations(ours, theirs)
    assert envelope_correlation(ours, theirs) > 0.8
    assert envelope_correlation(ours, theirs) > null.max()
    assert abs(null.mean()) < 0.15


@pytest.mark.parametrize("frames", [11, 40])
def test_the_null_is_the_correlation_with_each_turned_envelope(frames):
    ours, theirs = np.random.default_rng(3).uniform(0, 1, (2, frames)).astype(np.float32)
    wanted = [np.corrcoef(ours, np.roll(theirs, turn))[0, 1] for turn in range(5, frames - 4)]
    np.testing.assert_allclose(shifted_correlations(ours, theirs), wanted, atol=1e-6)


def test_a_constant_envelope_correlates_with_nothing():
    assert envelope_correlation(np.ones(10, np.float32), np.arange(10, dtype=np.float32)) == 0.0
    assert not shifted_correlations(np.ones(20, np.float32), np.arange(20, dtype=np.float32)).any()
    assert len(shifted_correlations(np.ones(4, np.float32), np.ones(4, np.float32))) == 0


def test_hits_of_unseen_scenes_are_found_in_their_true_sound():
    drawn = [make_scene(1_000_000_000 + i) for i in range(40)]
    matches = [
        match_onsets(detect_onsets(scene.sound(), RATE), [event.time_s for event in scene.events])
        for scene in drawn
        if scene.events
    ]
    assert mean_onset_f1(matches) > 0.85
