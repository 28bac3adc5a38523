"""The synthesiser: partials where they should be, bands that hold, the same scene at any rate."""

from __future__ import annotations

import numpy as np
import pytest

from mfv2a.scenes import make_scene, materials
from mfv2a.scenes.script import CONTROL_HZ, Burst, Hits, Modes, Noise, Tone
from mfv2a.scenes.sound import colored_noise, play


def spectrum(wave: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
    return np.fft.rfftfreq(len(wave), 1 / rate), np.abs(np.fft.rfft(wave)) ** 2


@pytest.mark.parametrize("rate", [16000, 44100, 48000])
def test_a_struck_body_rings_at_its_partials_and_decays(rate: int) -> None:
    modes = Modes(np.array([500.0, 1700.0]), np.array([0.2, 0.1]), np.array([1.0, 0.8]))
    wave = play([Hits(np.array([0.1]), np.array([0.5]), modes)], (1,), rate, rate)
    hz, power = spectrum(wave, rate)
    assert hz[np.argmax(power)] == pytest.approx(500, rel=0.01)
    assert power[(hz > 1650) & (hz < 1750)].sum() > 20 * power[(hz > 1000) & (hz < 1100)].sum()
    assert np.abs(wave[: int(0.0995 * rate)]).max() == 0
    assert np.abs(wave).max() == pytest.approx(0.5, rel=0.05)
    late, early = wave[int(0.5 * rate) : int(0.6 * rate)], wave[int(0.1 * rate) : int(0.2 * rate)]
    assert np.abs(late).max() < 0.2 * np.abs(early).max()


def test_partials_above_the_band_are_left_out() -> None:
    modes = Modes(np.array([9000.0]), np.array([0.2]), np.array([1.0]))
    assert np.abs(play([Hits(np.array([0.1]), np.array([1.0]), modes)], (1,), 16000, 16000)).max() == 0


@pytest.mark.parametrize("rate", [16000, 48000])
def test_coloured_noise_stays_in_its_band_at_the_level_asked_for(rate: int) -> None:
    wave = colored_noise(np.random.default_rng(0), rate * 2, rate, 500.0, 2000.0)
    assert np.sqrt(np.mean(wave**2)) == pytest.approx(1.0, rel=0.15)
    hz, power = spectrum(wave, rate)
    inside = power[(hz > 400) & (hz < 2500)].sum()
    assert inside > 0.85 * power.sum()


def test_noise_follows_its_level_curve() -> None:
    level = np.concatenate([np.full(200, 0.01), np.full(200, 0.1), np.full(2, 0.1)])
    assert CONTROL_HZ == 200
    wave = play([Noise(level, 200.0, 4000.0)], (2,), 32000, 16000)
    quiet, loud = wave[:15000].std(), wave[17000:].std()
    assert loud / quiet == pytest.approx(10, rel=0.2)


def test_a_tone_glides() -> None:
    count = 402
    wave = play([Tone(np.linspace(300, 900, count), np.full(count, 0.5))], (3,), 32000, 16000)
    for at_s, expected in ((0.2, 360), (1.8, 840)):
        piece = wave[int((at_s - 0.1) * 16000) : int((at_s + 0.1) * 16000)] * np.hanning(3200)
        hz, power = spectrum(piece, 16000)
        assert hz[np.argmax(power)] == pytest.approx(expected, rel=0.06)


def test_one_scene_sounds_alike_at_every_rate() -> None:
    for family in ("hammer", "rain", "dogs"):
        scene = make_scene(4, family=family, duration_s=3)
        levels = [np.sqrt(np.mean(scene.sound(rate) ** 2)) for rate in (16000, 48000)]
        assert len(scene.sound(44100)) == (3 * 44100)
        assert abs(20 * np.log10(levels[0] / levels[1])) < 4


def test_gravel_crunches_in_grains() -> None:
    smooth = Burst(500.0, 6000.0, 0.1)
    grains = Burst(500.0, 6000.0, 0.1, 1.0, 0.0, 150.0)
    flatness = []
    for burst in (smooth, grains):
        wave = play([Hits(np.array([0.0]), np.array([1.0]), None, (burst,))], (5,), 2400, 16000)
        flatness.append(np.mean(wave**4) / np.mean(wave**2) ** 2)
    assert flatness[1] > 1.2 * flatness[0]


def test_a_body_of_no_material_is_no_floor() -> None:
    with pytest.raises(KeyError, match="flor"):
        materials.body(np.random.default_rng(0), "flor")
