"""The options that make a sound refuse what cannot work."""

from __future__ import annotations

import numpy as np
import pytest

from mfv2a.errors import ConfigError
from mfv2a.jobs.sound import SoundOptions, level_dbfs
from mfv2a.loader import describe_model


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"steps": -3},
        {"batch_size": 0},
        {"cfg_strength": -1.0},
        {"cfg_strength": float("nan")},
        {"sample_rate_hz": 100},
        {"sample_rate_hz": 10**6},
    ],
)
def test_a_value_that_cannot_work_is_refused_with_what_to_do(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError) as caught:
        SoundOptions(**wrong)  # type: ignore[arg-type]
    assert caught.value.hint


def test_the_level_of_a_full_sine_is_minus_three_decibels() -> None:
    wave = np.sin(np.linspace(0, 2000 * np.pi, 48000, dtype=np.float32))
    level = level_dbfs(wave)
    assert level["rms_dbfs"] == pytest.approx(-3.01, abs=0.02)
    assert level["peak_dbfs"] == pytest.approx(0, abs=0.01)


def test_silence_and_nothing_have_a_level() -> None:
    assert level_dbfs(np.zeros(5, np.float32)) == {"rms_dbfs": -120.0, "peak_dbfs": -120.0}
    assert level_dbfs(np.zeros(0, np.float32)) == {"rms_dbfs": -120.0, "peak_dbfs": -120.0}


def test_options_that_do_nothing_together_are_told() -> None:
    told = {
        (name, changes): list(SoundOptions(semantics=False, **dict(changes)).doubts(describe_model(name)))
        for name in ("embedded", "mmaudio-small-16k", "woosh-dvflow-8s")
        for changes in ((), (("reuse_frames", 4.0),))
    }
    assert [len(each) for each in told.values()] == [0, 1, 0, 0, 1, 1]
    assert "--reuse-frames does nothing" in told["embedded", (("reuse_frames", 4.0),)][0]
    assert "--no-video-semantics changes nothing" in told["woosh-dvflow-8s", ()][0]
