"""Measures of a sound against its true one: closed forms, and None where there is no number."""

import numpy as np
import pytest

from mfv2a.evaluation.pairs import (
    cepstral_distortion,
    envelope_agreement,
    frame_distortion,
    intelligibility,
    mel_cepstra,
    onset_agreement,
)

RATE = 16_000


def noise(seconds=2.0, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))).astype(np.float32)


def clicks(*times_s, seconds=2.0):
    wave = np.zeros(round(seconds * RATE), np.float32)
    tone = np.sin(np.arange(800) * 0.9) * np.exp(-np.arange(800) / 200)
    for time_s in times_s:
        first = round(time_s * RATE)
        wave[first : first + 800] += 0.5 * tone.astype(np.float32)
    return wave


def test_a_cosine_over_the_mel_axis_is_one_cepstrum_and_its_distortion_is_known():
    bands = np.arange(80) + 0.5
    flat = np.zeros((7, 80), np.float32)
    wavy = flat + 0.3 * np.cos(np.pi * 5 * bands / 80).astype(np.float32)
    cepstra = mel_cepstra(wavy)
    assert cepstra[0, 4] == pytest.approx(0.3, abs=1e-6)
    assert np.abs(np.delete(cepstra[0], 4)).max() < 1e-6
    wanted = 10 / np.log(10) * np.sqrt(2) * 0.3
    assert frame_distortion(cepstra, mel_cepstra(flat)) == pytest.approx(wanted, rel=1e-5)
    # which is the root mean square of the difference of both spectra in dB
    decibels = 20 / np.log(10) * (wavy - flat)
    assert np.sqrt(np.mean(decibels[0] ** 2)) == pytest.approx(wanted, rel=1e-5)


def test_level_alone_is_no_cepstral_distortion_and_another_sound_is():
    wave = noise()
    assert cepstral_distortion(wave * 0.5, wave, RATE) < 0.01
    assert cepstral_distortion(np.diff(wave, prepend=np.float32(0)), wave, RATE) > 1


def test_onsets_of_the_sound_itself_agree_and_those_of_another_do_not():
    true = clicks(0.3, 0.9, 1.5)
    assert onset_agreement(true, true, RATE).f1 == 1.0
    match = onset_agreement(clicks(0.3, 1.2), true, RATE)
    assert (match.hits, match.n_found, match.n_true) == (1, 2, 3)


def test_envelopes_agree_with_themselves_and_are_undefined_for_silence_alone():
    true = clicks(0.3, 0.9, 1.5)
    same = envelope_agreement(true, true, RATE)
    assert same.correlation == pytest.approx(1.0)
    assert same.above_chance is not None
    assert same.above_chance > 0.9
    assert envelope_agreement(np.zeros_like(true), true, RATE) == (0.0, 0.0)
    assert envelope_agreement(true, np.zeros_like(true), RATE) == (None, None)


def test_what_strikes_at_other_times_is_not_above_chance():
    true, often = clicks(0.3, 0.9, 1.5), clicks(*np.arange(0.05, 1.95, 0.1))
    other, steady = envelope_agreement(clicks(0.6, 1.2, 1.8), true, RATE), envelope_agreement(often, true, RATE)
    assert other.above_chance is not None
    assert other.above_chance < 0.05
    assert steady.above_chance is not None
    assert abs(steady.above_chance) < 0.2


def test_sounds_too_short_to_be_turned_round_have_no_chance_to_compare_with():
    true = clicks(0.1)[: RATE // 4]
    match = envelope_agreement(true, true, RATE)
    assert match.correlation == pytest.approx(1.0)
    assert match.above_chance is None


def test_stoi_is_one_for_itself_falls_with_noise_and_is_none_where_the_package_gives_up():
    pytest.importorskip("pystoi")
    wave = noise(3.0) * np.abs(np.sin(np.arange(3 * RATE) / 2000)).astype(np.float32)
    assert intelligibility(wave, wave, RATE) == pytest.approx(1.0, abs=1e-3)
    assert intelligibility(noise(3.0, seed=1), wave, RATE) < 0.9
    assert intelligibility(wave, np.zeros_like(wave), RATE) is None
    assert intelligibility(np.zeros_like(wave), wave, RATE) == pytest.approx(0.0, abs=1e-3)
    short = wave[: RATE // 5]  # the package would say 1e-5
    assert intelligibility(short, short, RATE) is None
    assert intelligibility(wave[:100], wave[:100], RATE) is None


def test_a_distortion_is_the_mean_of_its_frames_not_of_their_squares():
    still = np.zeros((2, 13), np.float32)
    moved = still.copy()
    moved[1, 0] = 1.0
    assert frame_distortion(still, moved) == pytest.approx(10 / np.log(10) * np.sqrt(2) / 2)


def test_stoi_does_not_look_at_what_is_made_where_the_true_sound_is_silent():
    pytest.importorskip("pystoi")
    true = noise(3.0) * np.abs(np.sin(np.arange(3 * RATE) / 2000)).astype(np.float32)
    true[RATE : 2 * RATE] = 0
    filled = true.copy()
    filled[RATE : 2 * RATE] = noise(1.0, seed=1)
    assert intelligibility(filled, true, RATE) > 0.95
    assert intelligibility(true, filled, RATE) < 0.7
