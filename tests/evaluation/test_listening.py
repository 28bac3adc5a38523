"""A sound is heard the same in one piece and bit by bit, and ranks of sounds are those of their closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from mfv2a.evaluation import listening
from mfv2a.evaluation.agreement import NEAREST, WordClasses, agreement, class_weights
from mfv2a.evaluation.listening import PATCH_SAMPLES, listen
from mfv2a.evaluation.onsets import ENVELOPE, detect_onsets, spectral_flux
from mfv2a.evaluation.synchrony import blurred_correlation, synchrony
from mfv2a.evaluation.timbre import COEFFICIENTS, timbre, timbres
from mfv2a.evaluation.unwanted import CLASSES, THRESHOLDS, heard_of, is_heard
from mfv2a.models.text import TextEncoder
from mfv2a.models.yamnet import Tagger

RATE = 16000


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return Tagger.from_assets()


def clicks(times_s: list[float], duration_s: float, rate: int = RATE, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    wave = 1e-3 * rng.standard_normal(round(duration_s * rate))
    for time_s in times_s:
        start = round(time_s * rate)
        burst = 0.5 * rng.standard_normal(rate // 20) * np.exp(-np.arange(rate // 20) / (0.01 * rate))
        wave[start : start + len(burst)] += burst[: len(wave) - start]
    return wave.astype(np.float32)


@pytest.mark.parametrize("samples", [0, 1, 800, 40_000, 61_440, 61_441, 69_360, 100_000])
def test_piece_by_piece_is_the_whole(samples: int, tagger: Tagger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "BLOCK_PATCHES", 2)
    wave = clicks([0.2, 0.9, 1.7, 2.55, 3.1, 4.4, 5.9], 7.0)[:samples]
    heard = listen(wave, RATE, tagger=tagger)
    scores = tagger.hear(wave)[0].numpy()
    assert heard.patches is not None
    assert heard.patches.shape == scores.shape
    np.testing.assert_allclose(heard.patches, scores, atol=1e-3)
    np.testing.assert_allclose(heard.flux, spectral_flux(wave, RATE, ENVELOPE), atol=1e-4)
    np.testing.assert_allclose(heard.onsets_s, detect_onsets(wave, RATE), atol=1e-6)


@pytest.mark.parametrize("rate", [8000, 44_100, 48_000])
def test_hits_are_heard_at_any_rate_and_in_any_channel(rate: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "BLOCK_PATCHES", 3)
    times = [0.5, 1.25, 2.0, 3.4, 4.1]
    wave = clicks(times, 5.0, rate)
    for samples in (wave, np.stack([wave, np.zeros_like(wave)], axis=1)):
        heard = listen(samples, rate)
        np.testing.assert_allclose(heard.onsets_s, times, atol=0.03)
        assert heard.scores is None
        assert heard.duration_s == pytest.approx(5.0)


def test_a_block_is_cut_where_a_patch_begins() -> None:
    assert PATCH_SAMPLES == 7680


def test_synchrony_is_one_for_hits_on_strikes_and_less_for_others() -> None:
    times = [0.4, 1.2, 2.0, 2.6]
    curve = np.zeros(75, np.float32)
    curve[[round(25 * time) for time in times]] = 1
    scores = []
    for made in (times, [time + 0.3 for time in times], []):
        heard = listen(clicks(made, 3.0), RATE)
        scores.append(synchrony(heard.onsets_s, times, heard.envelope(25.0), curve))
    assert scores[0] > 0.9
    assert scores[0] > scores[1] + 0.5
    assert scores[0] > scores[2] + 0.5
    assert blurred_correlation(curve, curve) == pytest.approx(1.0)
    assert blurred_correlation(curve, np.zeros(75, np.float32)) == 0
    assert blurred_correlation(curve[:1], curve) == blurred_correlation(curve[:0], curve) == 0


def test_the_vectors_of_the_class_names_are_those_of_the_text_encoder(tagger: Tagger) -> None:
    names = [tagger.names[k] for k in (0, 69, 283, 413, 520)]
    vectors = TextEncoder.from_assets().encode(names)[1]
    np.testing.assert_allclose(WordClasses()._vectors[[0, 69, 283, 413, 520]], vectors, atol=1e-3)


@pytest.mark.parametrize(
    ("prompt", "name"),
    [("a dog barking", "Bark"), ("hammer striking wood", "Hammer"), ("rain on a tin roof", "Rain on surface")],
)
def test_words_stand_for_the_classes_that_they_mean(prompt: str, name: str, tagger: Tagger) -> None:
    weights = WordClasses().weights([prompt])
    assert weights is not None
    assert tagger.names[int(weights.argmax())] == name
    assert weights.sum() == pytest.approx(1.0, abs=1e-5)


def test_words_that_are_near_no_class_say_nothing_and_several_are_averaged() -> None:
    words = WordClasses()
    assert class_weights(np.full(521, NEAREST - 0.01, np.float32)) is None
    assert words.weights([]) is None
    first, second, both = (words.weights(each) for each in (["dog"], ["rain"], ["dog", "rain"]))
    assert first is not None
    assert second is not None
    assert both is not None
    np.testing.assert_allclose(both, (first + second) / 2, atol=1e-6)


def test_agreement_runs_from_nothing_of_it_heard_to_nothing_else() -> None:
    weights = np.zeros(521, np.float32)
    weights[3], weights[4] = 0.8, 0.2
    scores = np.zeros(521, np.float32)
    assert agreement(scores, weights) == 0
    scores[7] = 0.9
    assert agreement(scores, weights) == 0
    scores[7], scores[3] = 0.0, 0.3
    assert agreement(scores, weights) == pytest.approx(1.0)
    scores[7] = 0.3 * (10**1.5 - 1)  # the share is half way from a thousandth to all, in logarithms
    assert agreement(scores, weights) == pytest.approx(0.5, abs=1e-6)
    scores[3], scores[4], scores[7] = (
        0.0,
        1.2,
        0.3 * 10**1.5 - 1.2,
    )  # a class that the words stand for a quarter as much
    assert agreement(scores, weights) == pytest.approx(0.5, abs=1e-6)


def test_what_is_silent_agrees_with_no_noise(tagger: Tagger) -> None:
    words, hum = WordClasses(), np.full(521, 1e-3, np.float32)
    silent = np.zeros(521, np.float32)
    silent[tagger.names.index("Silence")] = 0.99
    hum[tagger.names.index("Door")] = 0.02
    for phrase in ("door knock", "footsteps", "a hammer", "thunder", "a bell rings", "rain on tin roof"):
        weights = words.weights([phrase])
        assert weights is not None
        assert agreement(silent, weights) == 0, phrase
    knock, quiet = words.weights(["door knock"]), words.weights(["total silence inside the house"])
    assert knock is not None
    assert quiet is not None
    assert agreement(hum, knock) > agreement(silent, knock)
    assert agreement(silent, quiet) == pytest.approx(1.0)


def test_what_sounds_like_something_else_as_well_agrees_less() -> None:
    weights = np.zeros(521, np.float32)
    weights[3] = 1.0
    alone, mixed = np.full(521, 1e-4, np.float32), np.full(521, 1e-4, np.float32)
    alone[3], mixed[3], mixed[7] = 0.4, 0.5, 0.8
    assert agreement(alone, weights) > agreement(mixed, weights)


def test_a_word_is_speech_and_a_note_is_no_music(tagger: Tagger) -> None:
    patches = np.zeros((4, 521), np.float32)
    patches[2, tagger.names.index("Whispering")] = 0.7
    assert heard_of("speech", patches, tagger.names) == pytest.approx(0.7)
    assert heard_of("music", patches, tagger.names) == 0
    patches[1, tagger.names.index("Music")] = 0.8
    assert heard_of("music", patches, tagger.names) == pytest.approx(0.4)
    patches[3, tagger.names.index("Singing")] = 0.6
    assert heard_of("music", patches, tagger.names) == pytest.approx(0.7)
    assert is_heard("speech", THRESHOLDS["speech"])
    assert not is_heard("speech", THRESHOLDS["speech"] - 1e-3)
    assert all(name in tagger.names for names in CLASSES.values() for name in names)


def test_timbre_is_the_same_at_any_level_and_tells_sounds_apart() -> None:
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(RATE).astype(np.float32) * 0.1
    tone = np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE).astype(np.float32) * 0.1
    np.testing.assert_allclose(timbre(noise, RATE), timbre(0.1 * noise, RATE), atol=1e-3)
    rows = timbres([noise, tone, 0.5 * noise], RATE)
    assert rows.shape == (3, 80)
    assert np.abs(rows[0] - rows[1]).sum() > 10 * np.abs(rows[0] - rows[2]).sum()
    assert np.isfinite(timbre(np.zeros(10, np.float32), RATE)).all()


def test_hits_weigh_four_fifths_and_the_curves_the_rest() -> None:
    curve, other = np.zeros(50, np.float32), np.zeros(50, np.float32)
    curve[[10, 30]], other[[20, 40]] = 1, 1
    struck = [0.4, 1.2]
    assert synchrony([], struck, curve, curve) == pytest.approx(0.2)
    assert synchrony(struck, struck, other, curve) == pytest.approx(0.8 + 0.2 * blurred_correlation(other, curve))


def test_timbre_tells_how_fast_a_sound_changes() -> None:
    samples = np.arange(2 * RATE)
    tone, noise = np.sin(0.5 * samples), np.random.default_rng(0).standard_normal(len(samples))

    def change(every: int) -> float:
        """Of tone and noise in turn, each for so many samples."""
        wave = np.where(samples // every % 2 == 0, tone, noise).astype(np.float32)
        return float(timbre(wave, RATE)[2 * COEFFICIENTS : 3 * COEFFICIENTS].mean())

    assert change(RATE // 10) > 1.5 * change(RATE) > 0.01


def test_the_nearest_classes_speak_for_words_before_all_others() -> None:
    cosines = np.zeros(521, np.float32)
    cosines[:2] = 0.8, 0.6
    weights = class_weights(cosines)
    assert weights is not None
    assert weights[1] / weights[0] == pytest.approx(np.exp(-12 * 0.2), rel=1e-4)
    assert not weights[2:].any()
