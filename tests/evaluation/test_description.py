"""Descriptions of sounds whose numbers are known, and the picture."""

import json

import numpy as np
import pytest

from mfv2a.evaluation.description import describe_sound, spectrogram_png
from mfv2a.models.yamnet import Tagger

RATE = 16_000
TIME = np.arange(2 * RATE) / RATE


def test_a_sine_is_described_by_its_level_and_frequency():
    told = describe_sound(0.5 * np.sin(2 * np.pi * 1000 * TIME).astype(np.float32), RATE)
    assert told["peak_dbfs"] == pytest.approx(-6.02, abs=0.05)
    assert told["rms_dbfs"] == pytest.approx(-9.03, abs=0.05)
    assert told["centroid_hz"] == pytest.approx(1000, abs=40)
    assert told["bandwidth_hz"] == pytest.approx(1000, abs=60)
    assert told["flatness"] < 0.05
    assert told["duration_s"] == 2.0


def test_white_noise_is_flat_and_wide():
    noise = np.random.default_rng(0).standard_normal(len(TIME)).astype(np.float32) * 0.1
    told = describe_sound(noise, RATE)
    assert told["flatness"] > 0.9
    assert told["bandwidth_hz"] == pytest.approx(7600, abs=150)
    assert told["centroid_hz"] == pytest.approx(4000, abs=150)


def test_silence_and_emptiness_are_described_without_fail():
    for wave in (np.zeros(RATE, np.float32), np.zeros(0, np.float32)):
        told = describe_sound(wave, RATE)
        assert told["rms_dbfs"] == told["peak_dbfs"] == -120.0
        assert told["onsets_s"] == []


def test_the_description_is_json_and_carries_tags():
    noise = np.random.default_rng(0).standard_normal(len(TIME)).astype(np.float32) * 0.3
    told = json.loads(json.dumps(describe_sound(noise, RATE, tagger=Tagger.from_assets(), top=3)))
    assert len(told["tags"]) == 3
    assert isinstance(told["tags"][0][0], str)


def test_a_spectrogram_is_a_picture(tmp_path):
    pytest.importorskip("matplotlib")
    wave = np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    path = spectrogram_png(wave, RATE, tmp_path / "a b.png", title="noise")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert path.stat().st_size > 2000
