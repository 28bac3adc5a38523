"""What goes into a file: the new sound, levelled, alone or over the source's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mfv2a.jobs.track import make_track
from mfv2a.media.loudness import measure_lufs, true_peak_dbtp
from mfv2a.records import Audio

RATE = 16000


def noise(seed: int, level: float = 0.1, channels: int = 1) -> np.ndarray:
    wave = level * np.random.default_rng(seed).standard_normal((RATE * 3, channels))
    return (wave[:, 0] if channels == 1 else wave).astype(np.float32)


def sound(samples: np.ndarray) -> Audio:
    return Audio(samples=samples, sample_rate_hz=RATE)


def test_without_a_wish_the_sound_is_the_very_same() -> None:
    new = sound(noise(0))
    track = make_track(new)
    assert track.audio is new
    assert track.stem is new
    assert track.facts == {}


def test_a_mix_is_the_source_as_it_was_and_the_new_sound_at_its_gain() -> None:
    new, source = sound(noise(0)), noise(1, channels=2)
    track = make_track(new, source=source, mix_gain_db=-6.0)
    factor = 10 ** (-6 / 20)
    np.testing.assert_allclose(track.audio.samples, source + factor * new.samples[:, None], atol=1e-6)
    np.testing.assert_allclose(track.stem.samples, factor * new.samples, atol=1e-6)
    assert track.facts == {"limited_db": 0.0}


@pytest.mark.parametrize("length", [RATE, RATE * 5])
def test_a_source_of_another_length_is_cut_or_goes_silent(length: int) -> None:
    new = sound(noise(0))
    track = make_track(new, source=np.full((length, 1), 0.25, np.float32))
    expected = np.where(np.arange(len(new.samples)) < length, 0.25, 0.0)
    np.testing.assert_allclose(track.audio.samples - track.stem.samples, expected, atol=1e-6)


def test_a_mix_that_would_clip_is_limited_and_the_stem_with_it() -> None:
    new, source = sound(noise(0, 0.35)), noise(1, 0.35)[:, None]
    track = make_track(new, source=source)
    assert true_peak_dbtp(track.audio.samples, RATE) <= -1.0
    assert track.facts["limited_db"] > 1
    gain = track.audio.samples / (new.samples + source[:, 0])
    np.testing.assert_allclose(track.stem.samples, new.samples * gain, atol=1e-3)


def test_loudness_is_that_of_the_whole_track() -> None:
    track = make_track(sound(noise(0)), source=noise(1, 0.2)[:, None], loudness_lufs=-20.0)
    assert measure_lufs(track.audio.samples, RATE) == pytest.approx(-20, abs=0.1)
    assert measure_lufs(track.stem.samples, RATE) < -25
    assert track.facts["loudness_lufs"] == pytest.approx(-20, abs=0.1)
    assert track.facts["loudness_held"] == ""


def test_quiet_ambience_is_not_raised_but_may_be_lowered() -> None:
    new = sound(noise(0, 0.003))
    track = make_track(new, loudness_lufs=-23.0, quiet=True)
    np.testing.assert_array_equal(track.audio.samples, new.samples)
    assert (track.facts["loudness_held"], track.facts["gain_db"]) == ("quiet", 0.0)
    assert make_track(new, loudness_lufs=-23.0).facts["loudness_held"] == "gain"
    assert make_track(new, loudness_lufs=-60.0, quiet=True).facts["loudness_held"] == ""


def test_quiet_ambience_over_sound_that_stays_is_levelled_with_it() -> None:
    new, source = sound(noise(0, 0.001)[:RATE]), noise(1, 0.02)[:RATE, None]
    track = make_track(new, source=source, loudness_lufs=-23.0, quiet=True, with_stem=False)
    assert (track.facts["loudness_held"], track.facts["gain_db"] > 6) == ("", True)


def test_silence_has_no_level_to_report() -> None:
    track = make_track(sound(np.zeros(RATE, np.float32)), loudness_lufs=-23.0)
    assert track.facts == {
        "loudness_lufs": None,
        "true_peak_dbtp": None,
        "gain_db": 0.0,
        "loudness_held": "silent",
    }


@pytest.mark.parametrize("loudness", [None, -23.0])
def test_a_track_kept_on_disk_is_the_same(tmp_path: Path, loudness: float | None) -> None:
    new, source = sound(noise(0)), np.stack([noise(1), noise(2)], axis=1)[: 2 * RATE]
    here, there = (
        make_track(new, source=source, mix_gain_db=6.0, loudness_lufs=loudness, folder=folder)
        for folder in (None, tmp_path)
    )
    assert here.facts == there.facts
    np.testing.assert_array_equal(here.audio.samples, there.audio.samples)
    assert here.stem is not None
    assert there.stem is not None
    np.testing.assert_array_equal(here.stem.samples, there.stem.samples)
    assert make_track(new, source=source, with_stem=False).stem is None


def lifts(by_db: float) -> Callable[[Audio], float]:
    """A codec that lifts peaks by so much."""
    return lambda audio: true_peak_dbtp(audio.samples, audio.sample_rate_hz) + by_db


@pytest.mark.parametrize("by_db", [0.0, 0.3, 4.7])
@pytest.mark.parametrize("loudness", [None, -10.0])
def test_what_a_codec_lifts_is_lowered_and_the_facts_are_those_of_what_is_written(
    tmp_path: Path, loudness: float | None, by_db: float
) -> None:
    new, source = sound(noise(0, 0.3)), noise(1, 0.3)[:, None]
    plain = make_track(new, source=source, loudness_lufs=loudness)
    for folder in (None, tmp_path):
        track = make_track(new, source=source, loudness_lufs=loudness, coded_peak=lifts(by_db), folder=folder)
        assert -1.3 < lifts(by_db)(track.audio) <= -1.0
        lowered_db = track.facts.get("lowered_db", 0.0)
        np.testing.assert_allclose(track.audio.samples, plain.audio.samples * 10 ** (-lowered_db / 20), atol=2e-3)
        assert plain.stem is not None
        assert track.stem is not None
        np.testing.assert_allclose(track.stem.samples, plain.stem.samples * 10 ** (-lowered_db / 20), atol=2e-3)
        if loudness is not None:
            assert track.facts["loudness_lufs"] == pytest.approx(measure_lufs(track.audio.samples, RATE), abs=0.05)
            assert track.facts["true_peak_dbtp"] == pytest.approx(lifts(by_db)(track.audio), abs=0.01)
        if by_db == 0:
            assert "lowered_db" not in track.facts


def test_sound_well_below_the_ceiling_is_not_coded_for_a_look() -> None:
    def never(audio: Audio) -> float:
        raise AssertionError

    make_track(sound(noise(0, 0.01)), source=noise(1, 0.01)[:, None], coded_peak=never)
    make_track(sound(noise(0, 0.3)), coded_peak=never)  # left as it is
    make_track(sound(np.zeros(RATE, np.float32)), loudness_lufs=-23.0, coded_peak=never)


def test_a_codec_that_never_obeys_ends_the_trying_and_the_facts_say_so() -> None:
    track = make_track(sound(noise(0, 0.3)), loudness_lufs=-14.0, coded_peak=lambda _: -0.9)
    assert (track.facts["true_peak_dbtp"], track.facts["loudness_held"]) == (-0.9, "coding")
    assert 0 < track.facts["lowered_db"] < 2
