"""What a sound's peaks are once it was coded is told by the program that codes it."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from media_clips import write_video

from mfv2a.errors import MediaError
from mfv2a.media.audio import read_audio, write_audio
from mfv2a.media.coding import coded_peak_dbtp, written_peak_dbtp
from mfv2a.media.containers import MuxPlan, plan_mux
from mfv2a.media.loudness import true_peak_dbtp
from mfv2a.media.mux import mux_audio
from mfv2a.media.probe import probe_video
from mfv2a.media.resampling import resample
from mfv2a.records import Audio

pytestmark = pytest.mark.usefixtures("each_ffmpeg")


def dense(seconds: float, rate_hz: int, channels: int) -> Audio:
    """A square wave under noise, at its full height for most of the time."""
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    waves = np.sign(np.sin(2 * np.pi * 110 * times)) + 0.3 * np.random.default_rng(0).standard_normal(len(times))
    wave = np.clip(0.7 * waves, -0.8, 0.8).astype(np.float32)
    return Audio(samples=wave if channels == 1 else np.stack([wave] * channels, axis=1), sample_rate_hz=rate_hz)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    ("suffix", "codec", "rate"), [(".mp4", "aac", 48000), (".mkv", "aac", 44100), (".mkv", "opus", 44100)]
)
def test_the_peak_is_that_of_the_file(tmp_path: Path, suffix: str, codec: str, rate: int, channels: int) -> None:
    info = probe_video(write_video(tmp_path / f"a{suffix}"))
    plan, audio = plan_mux(info, codec), dense(info.duration_s, rate, channels)  # type: ignore[arg-type]
    told = coded_peak_dbtp(audio, plan, tmp_path / "out.mp4", folder=tmp_path)
    with av.open(str(mux_audio(info, audio, tmp_path / f"out{suffix}", plan))) as container:
        wave = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1).T
        heard = true_peak_dbtp(np.ascontiguousarray(wave), container.streams.audio[0].rate)
    assert told == pytest.approx(heard, abs=0.05)
    assert abs(told - true_peak_dbtp(audio.samples, rate)) > 0.05
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"a{suffix}", f"out{suffix}"]


@pytest.mark.parametrize("suffix", [".mp3", ".ogg", ".opus"])
@pytest.mark.parametrize("channels", [1, 2])
def test_the_peak_is_that_of_the_sound_file(tmp_path: Path, suffix: str, channels: int) -> None:
    audio, path = dense(1.0, 44100, channels), tmp_path / f"a{suffix}"
    told = written_peak_dbtp(audio, path)
    assert not list(tmp_path.iterdir())
    write_audio(path, audio)
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        heard = np.concatenate([frame.to_ndarray() for frame in container.decode(stream)], axis=-1)
        wave = heard.reshape(-1, channels) if len(heard) == 1 and channels == 2 else heard.T
        assert told == pytest.approx(true_peak_dbtp(np.ascontiguousarray(wave), stream.rate), abs=0.05)
    with pytest.raises(MediaError) as caught:
        written_peak_dbtp(audio, tmp_path / "none" / f"a{suffix}")
    assert caught.value.path == tmp_path / "none" / f"a{suffix}"


def test_noise_stays_the_noise_it_was(tmp_path: Path) -> None:
    info = probe_video(write_video(tmp_path / "a.mp4"))
    noise = 0.2 * np.random.default_rng(0).standard_normal(round(info.duration_s * 16000))
    audio = Audio(samples=resample(noise.astype(np.float32), 16000, 48000), sample_rate_hz=48000)
    heard = read_audio(mux_audio(info, audio, tmp_path / "out.mp4", plan_mux(info, "aac"))).samples[
        : len(audio.samples)
    ]
    error = heard - audio.samples[: len(heard)]
    assert 20 * np.log10(audio.samples.std() / error.std()) > 27


def test_of_nothing_there_is_no_peak_and_a_bad_place_is_told(tmp_path: Path) -> None:
    plan = MuxPlan(codec="aac", encoder="aac", suffix=".mp4", container="mp4")
    silence = Audio(samples=np.zeros(4800, np.float32), sample_rate_hz=48000)
    assert coded_peak_dbtp(silence, plan, tmp_path / "out.mp4") == -np.inf
    with pytest.raises(MediaError):
        coded_peak_dbtp(silence, plan, tmp_path / "none" / "out.mp4")
