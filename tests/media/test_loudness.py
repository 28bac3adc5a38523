"""Loudness and true peaks, checked by another meter: the ffmpeg program's ebur128 filter."""

from __future__ import annotations

import math
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from media_clips import BUNDLED

from mfv2a.media.loudness import (
    CEILING_DBTP,
    apply_gain,
    level_sound,
    limit_peaks,
    measure_channels_lufs,
    measure_lufs,
    true_peak_dbtp,
)

RATES = [16000, 44100, 48000]


def heard_by_ffmpeg(samples: np.ndarray, rate: int, folder: Path) -> tuple[float, float]:
    """Integrated loudness in LUFS and true peak in dBTP, as ffmpeg measures them."""
    path = folder / "measured.wav"
    soundfile.write(path, samples, rate, subtype="FLOAT")
    line = [BUNDLED, "-nostdin", "-hide_banner", "-i", path, "-af", "ebur128=peak=true", "-f", "null", "-"]
    talk = subprocess.run([str(word) for word in line], capture_output=True, text=True, check=True).stderr
    summary = talk[talk.rindex("Summary:") :]
    found = [re.search(pattern, summary) for pattern in (r"I: +(\S+) LUFS", r"Peak: +(\S+) dBFS")]
    loudness, peak = (float(match.group(1)) for match in found if match is not None)
    return loudness, peak


def sounds(rate: int) -> dict[str, np.ndarray]:
    """Four seconds of several kinds: [S] or [S, 2] float32."""
    rng, times = np.random.default_rng(0), np.arange(rate * 4) / rate
    noise = rng.standard_normal(len(times))
    hits = sum(noise * np.exp(-60 * np.maximum(times - at, 0)) * (times >= at) for at in (0.5, 1.5, 2.75))
    kinds = {
        "tone": 0.3 * np.sin(2 * np.pi * 997 * times),
        "rumble": 0.3 * np.sin(2 * np.pi * 60 * times),
        "noise": 0.1 * noise,
        "hits": 0.25 * np.asarray(hits),
        "pause": np.where((times > 1) & (times < 3), 1e-4, 0.1) * noise,
        "wide": np.stack([0.1 * noise, 0.05 * np.sin(2 * np.pi * 440 * times)], axis=1),
    }
    return {name: wave.astype(np.float32) for name, wave in kinds.items()}


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("target", [-23.0, -16.0])
def test_a_level_is_reached_within_three_tenths_by_another_meter(tmp_path: Path, rate: int, target: float) -> None:
    for name, wave in sounds(rate).items():
        level = level_sound(wave, rate, target)
        levelled = apply_gain(wave, level.gain)
        loudness, peak_db = heard_by_ffmpeg(levelled, rate, tmp_path)
        wanted = level.loudness_lufs if level.held else target
        assert loudness == pytest.approx(wanted, abs=0.3), name
        assert peak_db <= CEILING_DBTP + 0.15, name
        assert level.true_peak_dbtp == pytest.approx(peak_db, abs=0.3), name
        assert level.held in (("", "peak") if name == "hits" else ("",)), name


@pytest.mark.parametrize("rate", RATES)
def test_peaks_between_the_samples_are_found(tmp_path: Path, rate: int) -> None:
    """A tone at a quarter of the rate, sampled 45 degrees beside its crests, is 3 dB above its samples."""
    wave = (0.9 * np.sin(2 * np.pi * 0.25 * np.arange(rate * 2) + np.pi / 4)).astype(np.float32)
    wave *= np.minimum(1, np.minimum(np.arange(len(wave)), np.arange(len(wave))[::-1]) / 1000).astype(np.float32)
    sample_peak_db = 20 * math.log10(float(np.abs(wave).max()))
    assert true_peak_dbtp(wave, rate) == pytest.approx(sample_peak_db + 3.01, abs=0.15)
    assert true_peak_dbtp(wave, rate) == pytest.approx(heard_by_ffmpeg(wave, rate, tmp_path)[1], abs=0.2)
    limited = apply_gain(wave, limit_peaks(wave, rate))
    assert heard_by_ffmpeg(limited, rate, tmp_path)[1] <= CEILING_DBTP + 0.05


def test_the_meter_agrees_with_the_standards_tone() -> None:
    """BS.1770-4: a sine of 997 Hz at full scale in one channel reads -3.01 LKFS."""
    wave = np.sin(2 * np.pi * 997 * np.arange(48000 * 4) / 48000).astype(np.float32)
    assert measure_lufs(wave, 48000) == pytest.approx(-3.01, abs=0.02)
    assert measure_lufs(np.stack([wave, wave], axis=1), 48000) == pytest.approx(0.0, abs=0.02)


@pytest.mark.parametrize("seconds", [0.05, 0.2, 0.399, 0.4, 0.41])
def test_a_clip_shorter_than_the_meters_block_is_one_block(seconds: float) -> None:
    wave = (0.1 * np.random.default_rng(0).standard_normal(round(48000 * seconds))).astype(np.float32)
    whole = (0.1 * np.random.default_rng(0).standard_normal(48000 * 4)).astype(np.float32)
    assert measure_lufs(wave, 48000) == pytest.approx(measure_lufs(whole, 48000), abs=0.6)
    level = level_sound(wave, 48000, -23)
    assert measure_lufs(apply_gain(wave, level.gain), 48000) == pytest.approx(-23, abs=0.1)


@pytest.mark.parametrize("length", [0, 1, 2, 7])
def test_a_few_samples_and_silence_pass_as_they_are(length: int) -> None:
    for wave in (np.zeros(length, np.float32), np.zeros((length, 2), np.float32), np.zeros(48000 * length, np.float32)):
        level = level_sound(wave, 48000, -23)
        assert (level.held, level.gain_db, level.loudness_lufs) == ("silent", 0.0, -math.inf)
        np.testing.assert_array_equal(apply_gain(wave, level.gain), wave)
    few = np.full(length, 0.5, np.float32)
    assert np.isfinite(apply_gain(few, level_sound(few, 48000, -23).gain)).all()


def test_a_faint_sound_is_raised_by_no_more_than_is_allowed_and_that_is_said() -> None:
    wave = sounds(48000)["noise"] / 300
    before = measure_lufs(wave, 48000)
    for most_db in (20.0, 6.0, 0.0):
        level = level_sound(wave, 48000, -23, max_gain_db=most_db)
        assert (level.held, level.gain_db) == ("gain", most_db)
        assert level.loudness_lufs == pytest.approx(before + most_db, abs=0.05)
    assert level_sound(wave * 300, 48000, -40, max_gain_db=0.0).held == ""


def test_a_lone_hit_is_pressed_down_by_a_few_decibels_at_most_and_that_is_said() -> None:
    wave = sounds(48000)["hits"]
    level = level_sound(wave, 48000, -8)
    assert level.held == "peak"
    assert level.loudness_lufs < -8.3
    pressed_db = level.gain_db - 20 * np.log10(level.gain.min())
    assert 4 < pressed_db < 6.5


def test_the_gain_is_down_before_the_peak_and_touches_nothing_far_from_it() -> None:
    wave = np.full(48000, 0.01, np.float32)
    wave[24000:24010] = 1.5
    gain = limit_peaks(wave, 48000)
    assert np.abs(gain[:23000] - 1).max() == 0
    assert np.abs(gain[25000:] - 1).max() == 0
    assert gain[23995] == pytest.approx(gain[24005], rel=0.01)
    assert np.abs(np.diff(gain)).max() < 0.01, "no step that could be heard as a click"
    assert true_peak_dbtp(apply_gain(wave, gain), 48000) <= CEILING_DBTP


def test_long_sound_is_measured_in_pieces_without_a_seam() -> None:
    wave = (0.2 * np.sin(2 * np.pi * 440 * np.arange(8000 * 65) / 8000)).astype(np.float32)
    wave[8000 * 30 - 1 : 8000 * 30 + 1] = 1.2
    gain = limit_peaks(wave, 8000)
    assert len(gain) == len(wave)
    assert np.flatnonzero(gain < 1).min() > 8000 * 29.9
    assert np.flatnonzero(gain < 1).max() < 8000 * 30.1


@pytest.mark.parametrize("rate", [8000, 11025, 44100])
def test_the_loudness_of_long_sound_is_that_of_one_piece(rate: int) -> None:
    from pyloudnorm import Meter

    draw = np.random.default_rng(0)
    wave = draw.standard_normal((round(150.33 * rate), 2)).astype(np.float32)
    wave *= np.repeat(10 ** draw.uniform(-4.5, -0.5, 31), 5 * rate)[: len(wave), None].astype(np.float32)
    whole = Meter(rate, filter_class="DeMan").integrated_loudness(wave)
    assert measure_lufs(wave, rate) == pytest.approx(whole, abs=1e-3)


@pytest.mark.parametrize("after", [-30, 0, 30])
def test_a_hit_where_two_pieces_meet_is_met_as_any_other(after: int) -> None:
    """Pieces are of 8 s; the gain goes down before a hit that only the next piece holds."""
    gains, peaks_db = [], []
    for place in (4 * 8000, 8 * 8000 + after):
        wave = np.full(12 * 8000, 0.01, np.float32)
        wave[place : place + 8] = [1.5, 1.5, -1.5, -1.5] * 2  # higher between its samples than at them
        gains.append(limit_peaks(wave, 8000)[place - 800 : place + 800])
        peaks_db.append(true_peak_dbtp(wave, 8000))
    np.testing.assert_allclose(gains[1], gains[0], atol=1e-4)
    assert peaks_db[1] == pytest.approx(peaks_db[0], abs=0.01)


def test_a_gain_kept_on_disk_is_the_gain(tmp_path: Path) -> None:
    wave = np.random.default_rng(1).standard_normal(70 * 8000).astype(np.float32) * np.float32(0.3)
    wave[30 * 8000 - 20 : 30 * 8000 + 20] *= 4  # a hit where two pieces meet
    there, here = (level_sound(wave, 8000, -14, folder=folder) for folder in (tmp_path, None))
    assert isinstance(there.gain, np.memmap)
    assert not list(tmp_path.iterdir())
    np.testing.assert_array_equal(there.gain, here.gain)
    limited = apply_gain(wave, there.gain, folder=tmp_path)
    assert true_peak_dbtp(limited, 8000) <= CEILING_DBTP
    assert measure_lufs(limited, 8000) == pytest.approx(-14, abs=0.1)


@pytest.mark.parametrize("layout", ["mono", "stereo", "3.0", "quad", "5.0", "5.1"])
def test_channels_count_as_another_meter_weighs_them(tmp_path: Path, layout: str) -> None:
    count = {"mono": 1, "stereo": 2, "3.0": 3, "quad": 4, "5.0": 5, "5.1": 6}[layout]
    wave = (0.1 * np.random.default_rng(0).standard_normal((48_000 * 2, count))).astype(np.float32)
    path = tmp_path / "plain.wav"
    soundfile.write(path, wave, 48_000, subtype="FLOAT")
    line = [BUNDLED, "-nostdin", "-hide_banner", "-channel_layout", layout, "-i", path, "-af", "ebur128"]
    talk = subprocess.run(
        [str(word) for word in [*line, "-f", "null", "-"]], capture_output=True, text=True, check=True
    )
    found = re.search(r"I: +(\S+) LUFS", talk.stderr[talk.stderr.rindex("Summary:") :])
    assert found is not None
    assert measure_channels_lufs(wave, 48_000) == pytest.approx(float(found.group(1)), abs=0.15)


@pytest.mark.parametrize("weights", [(1, 1, 1.41, 1.41), (1, 1, 1, 0, 1.41, 1.41)])
def test_each_channel_of_surround_sound_counts_by_its_place(weights: tuple[float, ...]) -> None:
    """BS.1770-4: a tone at full scale in front reads -3.01 LKFS, in a surround 1.49 dB more, in the LFE nothing."""
    tone = np.sin(2 * np.pi * 997 * np.arange(48_000) / 48_000)
    for place, weight in enumerate(weights):
        wave = np.zeros((48_000, len(weights)), np.float32)
        wave[:, place] = tone
        expected = -3.01 + 10 * math.log10(weight) if weight else -math.inf
        assert measure_channels_lufs(wave, 48_000) == pytest.approx(expected, abs=0.05), place


def test_of_more_channels_than_the_meter_knows_the_mean_is_measured() -> None:
    wave = 0.1 * np.random.default_rng(0).standard_normal((48_000, 1)).astype(np.float32)
    assert measure_channels_lufs(np.repeat(wave, 8, axis=1), 48_000) == pytest.approx(measure_lufs(wave, 48_000))
