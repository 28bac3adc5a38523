"""Sound files written and read back."""

from __future__ import annotations

import errno
import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from media_clips import DATA, run_bundled, write_video

from mfv2a.errors import ConfigError, MediaError, StartError
from mfv2a.media import audio as audio_room
from mfv2a.media.audio import BLOCK_SAMPLES, FittedSound, read_audio, wav_bytes, writable_rate, write_audio
from mfv2a.media.resampling import resample
from mfv2a.records import Audio


def tone(rate: int = 16000, seconds: float = 0.5, channels: int = 1, hz: float = 440.0) -> Audio:
    wave = 0.5 * np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate).astype(np.float32)
    return Audio(samples=wave if channels == 1 else np.stack([wave, -wave], axis=1), sample_rate_hz=rate)


def loudest_hz(audio: Audio) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(audio.samples))) * audio.sample_rate_hz / len(audio.samples))


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".opus", ".mp3", ".WAV"])
@pytest.mark.parametrize("rate", [16000, 44100, 48000])
def test_every_format_carries_the_tone(tmp_path: Path, suffix: str, rate: int) -> None:
    path = tmp_path / f"a{suffix}"
    write_audio(path, tone(rate))
    back = read_audio(path)
    assert loudest_hz(back) == pytest.approx(440, abs=5)
    assert back.samples.dtype == np.float32
    assert back.duration_s == pytest.approx(0.5, abs=0.08 if suffix == ".mp3" else 0.03)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_lossless_formats_keep_every_sample_and_two_channels(tmp_path: Path) -> None:
    for suffix in (".wav", ".flac"):
        write_audio(tmp_path / f"a{suffix}", tone(channels=2))
        back = read_audio(tmp_path / f"a{suffix}", mono=False)
        np.testing.assert_allclose(back.samples, tone(channels=2).samples, atol=1 / 32000)
        assert np.abs(read_audio(tmp_path / f"a{suffix}").samples).max() < 1e-4  # opposite channels cancel


def test_an_odd_rate_in_opus_is_raised_to_one_that_opus_has(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.opus", tone(22050))
    back = read_audio(tmp_path / "a.opus", 22050)
    assert loudest_hz(back) == pytest.approx(440, abs=5)


def test_too_loud_samples_are_limited_not_wrapped(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.wav", Audio(samples=np.array([2.0, -2.0, 0.0], np.float32), sample_rate_hz=8000))
    assert read_audio(tmp_path / "a.wav").samples == pytest.approx([1, -1, 0], abs=1e-3)


def test_wav_bytes_are_a_whole_file() -> None:
    samples, rate = soundfile.read(io.BytesIO(wav_bytes(tone())), dtype="float32")
    assert rate == 16000
    np.testing.assert_allclose(samples, tone().samples, atol=1 / 32000)


@pytest.mark.parametrize(("rate", "new"), [(48000, 16000), (16000, 48000), (44100, 16000), (22050, 44100)])
def test_resampling_keeps_pitch_place_and_length(tmp_path: Path, rate: int, new: int) -> None:
    wave = np.zeros(rate * 3 + 7, dtype=np.float32)
    wave[rate] = 0.9
    wave += 0.2 * np.sin(2 * np.pi * 440 * np.arange(len(wave)) / rate).astype(np.float32)
    write_audio(tmp_path / "a.wav", Audio(samples=wave, sample_rate_hz=rate))
    back = read_audio(tmp_path / "a.wav", new)
    assert back.sample_rate_hz == new
    assert len(back.samples) == round(len(wave) * new / rate)
    clean = 0.2 * np.sin(2 * np.pi * 440 * np.arange(len(back.samples)) / new)
    assert np.argmax(np.abs(back.samples - clean)) / new == pytest.approx(1.0, abs=2 / new)


@pytest.mark.parametrize("length", [0, 1, 7, 100])
def test_a_few_samples_can_be_resampled(length: int) -> None:
    for new in (16000, 48000, 192000):
        out = audio_room.resample(np.full(length, 0.5, np.float32), 48000, new)
        assert len(out) == round(length * new / 48000)
        assert length < 100 or out.max() == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("length", [20, 200, 2000])
@pytest.mark.parametrize(("rate", "new"), [(48000, 16000), (16000, 48000)])
def test_a_sound_shorter_than_the_filter_keeps_its_level(length: int, rate: int, new: int) -> None:
    out = resample(np.full(length, 0.5, np.float32), rate, new)
    assert out[len(out) // 2] == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    ("name", "rate", "written"),
    [("a.wav", 96000, 96000), ("a.mp3", 44100, 44100), ("a.mp3", 44000, 44100), ("a.mp3", 96000, 48000),
     ("a.opus", 16000, 16000), ("a.opus", 44100, 48000)],
)  # fmt: skip
def test_a_sound_is_written_at_its_rate_or_the_next_higher_one_of_the_format(
    name: str, rate: int, written: int
) -> None:
    assert writable_rate(Path(name), rate) == written


def test_the_sound_of_a_video_is_read() -> None:
    sound = read_audio(DATA / "stream_of_water.mp4", 16000)
    assert sound.samples.ndim == 1
    assert sound.duration_s == pytest.approx(3.16, abs=0.03)
    assert np.abs(sound.samples).max() > 0.05


def test_aac_is_read_without_its_priming(tmp_path: Path) -> None:
    wave = np.zeros(48000, dtype=np.float32)
    wave[24000] = 0.9
    write_audio(tmp_path / "a.wav", Audio(samples=wave, sample_rate_hz=48000))
    run_bundled("-i", tmp_path / "a.wav", tmp_path / "a.m4a")
    assert np.argmax(np.abs(read_audio(tmp_path / "a.m4a").samples)) == pytest.approx(24000, abs=48)


def test_files_without_sound_say_so(tmp_path: Path) -> None:
    write_video(tmp_path / "mute.mp4")
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "text.wav").write_text("hello")
    soundfile.write(tmp_path / "none.wav", np.zeros(0), 16000)
    for name, words in [
        ("mute.mp4", "has no sound"),
        ("empty.wav", "empty"),
        ("text.wav", "not a"),
        ("none.wav", "0 samples"),
        ("absent.wav", "does not exist"),
    ]:
        with pytest.raises(MediaError, match=words):
            read_audio(tmp_path / name)


def test_bad_numbers_in_a_file_become_silence(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.array([np.nan, np.inf, 0.5]), 16000, subtype="FLOAT")
    assert read_audio(tmp_path / "a.wav").samples == pytest.approx([0, 1, 0.5])


def test_fitting_cuts_pads_and_limits_in_blocks_and_as_often_as_wanted() -> None:
    wave = np.array([0.5, 3.0, np.nan], np.float32)
    assert np.concatenate(list(FittedSound(wave, 2))) == pytest.approx([0.5, 1.0])
    fitted = FittedSound(wave, 5)
    for _ in range(2):
        assert np.concatenate(list(fitted)) == pytest.approx([0.5, 1.0, 0, 0, 0])
    assert not list(FittedSound(wave, 0))
    stereo = list(FittedSound(tone(channels=2).samples, 3 * BLOCK_SAMPLES + 7))
    assert [len(block) for block in stereo] == [BLOCK_SAMPLES] * 3 + [7]
    assert np.concatenate(stereo).shape == (3 * BLOCK_SAMPLES + 7, 2)


def test_an_unknown_suffix_is_refused_with_those_that_work(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.xyz") as caught:
        write_audio(tmp_path / "a.xyz", tone())
    assert ".flac" in caught.value.hint
    assert not list(tmp_path.iterdir())


def test_a_full_disk_and_a_missing_folder_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MediaError, match="cannot be written"):
        write_audio(tmp_path / "none" / "a.wav", tone())

    class Full(io.BytesIO):
        """A file on a disk that has room for 10,000 bytes, and takes what still fits."""

        def write(self, data: memoryview) -> int:  # type: ignore[override]
            room = 10_000 - self.tell()
            if room <= 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data[:room])

    monkeypatch.setattr(audio_room.Path, "open", lambda *_, **__: Full())
    with pytest.raises(StartError, match="disk is full"):
        write_audio(tmp_path / "a.wav", tone())
    assert not list(tmp_path.iterdir())
