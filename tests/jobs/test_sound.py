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


def test_a_dtype_that_there_is_not_is_known_before_anything_is_loaded() -> None:
    with pytest.raises(ConfigError, match="int8"):
        SoundOptions(dtype="int8").check(describe_model("embedded"), pictures=True)  # type: ignore[arg-type]


@pytest.mark.parametrize(("rate_hz", "said"), [(47999, "too little in common"), (44100, ""), (11025, ""), (192000, "")])
def test_rates_that_only_a_vast_filter_could_make_are_refused(rate_hz: int, said: str) -> None:
    for name in ("embedded", "mmaudio-large-44k-v2", "woosh-dvflow-8s"):
        options, info = SoundOptions(sample_rate_hz=rate_hz), describe_model(name)
        if said:
            with pytest.raises(ConfigError, match=said) as caught:
                options.check(info, pictures=True)
            assert "48000" in caught.value.hint
        else:
            options.check(info, pictures=True)


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
