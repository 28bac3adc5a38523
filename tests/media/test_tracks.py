"""The sound that a video brings along: whether it is heard, and where on the picture's clock it lies."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from media_clips import clip, run_bundled

from mfv2a.errors import MediaError
from mfv2a.media.audio import read_audio
from mfv2a.media.containers import plan_mux
from mfv2a.media.tracks import (
    _placed,
    _widened,
    audible_track,
    check_beside,
    read_on_clock,
    read_track,
    sound_tracks,
    warn_of_mixing_down,
)
from mfv2a.media.video import probe_video
from mfv2a.records import VideoInfo

CLICK = "aevalsrc=if(between(t\\,{at}\\,{at}+0.001)\\,0.8\\,0):s=48000:d={length}"
SILENCE = "anullsrc=r=48000:cl=stereo:d=1"


def with_sound(
    folder: Path, *sounds: str, suffix: str = ".mp4", codec: str = "aac", more: tuple[object, ...] = ()
) -> VideoInfo:
    """A clip of a second with the sounds that lavfi makes of these words, as tracks in this order."""
    path = folder / f"sounding{suffix}"
    inputs = [word for sound in sounds for word in ("-f", "lavfi", "-i", sound)]
    maps = [word for n in range(len(sounds)) for word in ("-map", f"{n + 1}:a")]
    run_bundled("-i", clip(folder, suffix), *inputs, "-map", "0:v", *maps, "-c:v", "copy", "-c:a", codec, "-strict", -2,
                *more, path)  # fmt: skip
    return probe_video(path)


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [(".mp4", "aac"), (".mkv", "libopus"), (".mkv", "flac"), (".avi", "libmp3lame"), (".ts", "mp2")],
)
def test_silence_is_not_heard_and_a_faint_tone_is(tmp_path: Path, suffix: str, codec: str) -> None:
    assert audible_track(with_sound(tmp_path, SILENCE, suffix=suffix, codec=codec)) is None
    faint = with_sound(tmp_path, "sine=r=48000:d=1,volume=-40dB", suffix=suffix, codec=codec)
    assert audible_track(faint) == 1


def test_a_video_without_sound_has_no_track(tmp_path: Path) -> None:
    info = probe_video(clip(tmp_path, ".mp4"))
    assert sound_tracks(info) == ()
    assert audible_track(info) is None


def test_sound_that_begins_late_is_found(tmp_path: Path) -> None:
    assert audible_track(with_sound(tmp_path, CLICK.format(at=0.95, length=1))) == 1


def test_the_default_track_comes_first_and_a_silent_one_is_passed_over(tmp_path: Path) -> None:
    second = ("-disposition:a:0", "0", "-disposition:a:1", "default")
    assert sound_tracks(with_sound(tmp_path, "sine=d=1", "sine=d=1", suffix=".mkv", more=second)) == (2, 1)
    assert audible_track(with_sound(tmp_path, "sine=d=1", "sine=d=1", suffix=".mkv", more=second)) == 2
    assert audible_track(with_sound(tmp_path, "sine=d=1", SILENCE, suffix=".mkv", more=second)) == 1


def test_a_track_that_cannot_be_decoded_counts_as_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = with_sound(tmp_path, SILENCE, suffix=".mkv", codec="flac")
    data = bytearray(info.path.read_bytes())
    with av.open(str(info.path)) as container:
        packets = [bytes(packet) for packet in container.demux(audio=0) if packet.size]
    for packet in packets:
        place = data.find(packet)
        data[place : place + len(packet)] = b"\x55" * len(packet)
    info.path.write_bytes(data)
    assert audible_track(probe_video(info.path)) == 1
    with pytest.raises(MediaError, match="cannot be decoded"):
        read_track(probe_video(info.path), 1, 48000)


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [(".mp4", "aac"), (".mkv", "libopus"), (".mkv", "pcm_s16le"), (".mov", "pcm_s16be"), (".ts", "aac")],
)
@pytest.mark.parametrize("rate", [48000, 16000, 44100])
def test_a_click_lies_where_it_is_heard(tmp_path: Path, suffix: str, codec: str, rate: int) -> None:
    info = with_sound(tmp_path, CLICK.format(at=0.5, length=1), suffix=suffix, codec=codec)
    track = read_track(info, 1, rate)
    assert track.shape == (round(info.duration_s * rate), 1)
    assert track.dtype == np.float32
    assert np.argmax(np.abs(track[:, 0])) / rate == pytest.approx(0.5, abs=0.003)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize(("picture_s", "sound_s"), [(0.4, 0.0), (0.0, 0.3), (0.5, 0.2)])
def test_start_offsets_are_kept(tmp_path: Path, suffix: str, picture_s: float, sound_s: float) -> None:
    path, sound = tmp_path / f"offset{suffix}", CLICK.format(at=0.6, length=1.5)
    run_bundled("-itsoffset", picture_s, "-i", clip(tmp_path, ".mp4"), "-itsoffset", sound_s, "-f", "lavfi",
                "-i", sound, "-map", 0, "-map", 1, "-c:v", "copy", "-c:a", "aac", path)  # fmt: skip
    info = probe_video(path)
    track = read_track(info, 1, 48000)
    assert len(track) == round(info.duration_s * 48000)
    assert np.argmax(np.abs(track)) / 48000 == pytest.approx(0.6 + sound_s - picture_s, abs=0.003)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_a_videos_sound_is_read_on_its_pictures_clock(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"late{suffix}"
    run_bundled("-i", clip(tmp_path, ".mp4"), "-itsoffset", 0.3, "-f", "lavfi", "-i", CLICK.format(at=0.2, length=0.5),
                "-map", 0, "-map", 1, "-c:v", "copy", "-c:a", "aac", path)  # fmt: skip
    sound = read_on_clock(path)
    assert sound.sample_rate_hz == 48000
    assert sound.samples.shape == (round(probe_video(path).duration_s * 48000),)
    assert np.argmax(np.abs(sound.samples)) / 48000 == pytest.approx(0.5, abs=0.003)


def test_a_sound_file_is_read_from_its_first_sample(tmp_path: Path) -> None:
    run_bundled("-f", "lavfi", "-i", CLICK.format(at=0.2, length=0.5), "-ar", 16000, tmp_path / "click.wav")
    sound = read_on_clock(tmp_path / "click.wav")
    assert (sound.sample_rate_hz, len(sound.samples)) == (16000, 8000)
    with pytest.raises(MediaError, match="no sound"):
        read_on_clock(clip(tmp_path, ".mp4"))


def test_beyond_full_scale_sound_is_kept_to_be_measured_of_a_video_and_of_a_sound_file(tmp_path: Path) -> None:
    loud = "aevalsrc=3*sin(2*PI*440*t):s=48000:d=1"
    run_bundled("-f", "lavfi", "-i", loud, "-c:a", "pcm_f32le", tmp_path / "loud.wav")
    run_bundled("-i", clip(tmp_path, ".mp4"), "-i", tmp_path / "loud.wav", "-map", 0, "-map", 1, "-c", "copy",
                tmp_path / "loud.mkv")  # fmt: skip
    wave, track = read_on_clock(tmp_path / "loud.wav").samples, read_on_clock(tmp_path / "loud.mkv").samples
    shared = min(len(wave), len(track))
    assert np.array_equal(wave[:shared], track[:shared])
    assert wave.max() == pytest.approx(3, rel=1e-3)
    assert read_audio(tmp_path / "loud.wav").samples.max() == 1
    run_bundled("-f", "lavfi", "-i", "aevalsrc=0/0:s=48000:d=1", "-c:a", "pcm_f32le", tmp_path / "none.wav")
    run_bundled("-i", clip(tmp_path, ".mp4"), "-i", tmp_path / "none.wav", "-map", 0, "-map", 1, "-c", "copy",
                tmp_path / "none.mkv")  # fmt: skip
    for name in ("none.wav", "none.mkv"):
        with pytest.raises(MediaError, match="no numbers"):
            read_on_clock(tmp_path / name)


def test_a_tracks_channels_are_handed_on_as_they_are_where_they_are_wanted(tmp_path: Path) -> None:
    for number, layout in ((2, "stereo"), (6, "5.1"), (8, "7.1")):
        tones = "|".join(f"0.1*sin({200 + 100 * k}*t)" for k in range(number))
        info = with_sound(tmp_path, f"aevalsrc={tones}:c={layout}:s=48000:d=1", suffix=".mkv", codec="flac")
        audio = read_on_clock(info.path, mono=False)
        assert audio.samples.shape[1] == (2 if number == 8 else number)
        assert read_on_clock(info.path).samples.ndim == 1
        assert read_track(info, sound_tracks(info)[0], 48_000).shape[1] == 2


def test_a_gap_is_silence_and_what_follows_it_is_in_place(tmp_path: Path) -> None:
    """Two clicks, with half a second of packets between them taken out."""
    words = "aevalsrc=if(between(mod(t\\,0.8)\\,0.1\\,0.101)\\,0.8\\,0.01):s=48000:d=1"
    info = with_sound(tmp_path, words, suffix=".mkv", codec="pcm_s16le")
    holed = tmp_path / "holed.mkv"
    with av.open(str(info.path)) as given, av.open(str(holed), "w") as made:
        copies = {stream.index: made.add_stream_from_template(stream) for stream in given.streams}
        for packet in given.demux():
            late = packet.stream_index == 1 and packet.pts is not None and 0.2 < packet.pts * packet.time_base < 0.7
            if packet.size and not late:
                packet.stream = copies[packet.stream_index]
                made.mux(packet)
    track = read_track(probe_video(holed), 1, 48000)[:, 0]
    assert float(np.abs(track[round(0.3 * 48000) : round(0.6 * 48000)]).max()) == 0
    loud = np.flatnonzero(np.abs(track) > 0.5) / 48000
    assert loud.min() == pytest.approx(0.1, abs=0.002)
    assert loud.max() == pytest.approx(0.901, abs=0.002)


@pytest.mark.parametrize("lost", [1, 2])
@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "aac"), (".mkv", "aac"), (".ts", "mp2")])
def test_a_hole_of_a_packet_moves_nothing_behind_it(tmp_path: Path, suffix: str, codec: str, lost: int) -> None:
    words = "aevalsrc=if(between(t\\,0.8\\,0.801)\\,0.8\\,0.01):s=48000:d=1"
    info = with_sound(tmp_path, words, suffix=suffix, codec=codec)
    holed = tmp_path / f"holed{suffix}"
    with av.open(str(info.path)) as given, av.open(str(holed), "w") as made:
        copies = {stream.index: made.add_stream_from_template(stream) for stream in given.streams}
        heard = 0
        for packet in given.demux():
            heard += packet.stream_index == 1
            if packet.size and not (packet.stream_index == 1 and 10 < heard <= 10 + lost):
                packet.stream = copies[packet.stream_index]
                made.mux(packet)
    track = read_track(probe_video(holed), 1, 48000)[:, 0]
    loud = np.flatnonzero(np.abs(track) > 0.4) / 48000
    assert loud.min() == pytest.approx(0.8, abs=0.002)


def test_a_clock_that_trembles_is_not_cut_into_pieces() -> None:
    rng = np.random.default_rng(0)
    ones = np.ones((1024, 1), np.float32)
    blocks = [(k * 1024 / 48000 + rng.uniform(-0.01, 0.01), 48000, ones) for k in range(400)]
    assert {block.run for block in _placed(blocks, 0.0)} == {1}


@pytest.mark.parametrize(
    ("jump_s", "behind", "starts_s"),
    [(0.01, 20, [0, 0.21]), (-0.01, 20, [0, 0.19]), (0.004, 20, [0]), (0.01, 4, [0]), (0.06, 4, [0, 0.26])],
)
def test_a_small_jump_of_the_clock_is_a_hole_where_enough_blocks_keep_it(
    jump_s: float, behind: int, starts_s: list[float]
) -> None:
    ones = np.ones((480, 1), np.float32)
    blocks = [(k / 100 + jump_s * (k >= 20), 48000, ones) for k in range(20 + behind)]
    found = {block.run: block.start_s for block in _placed(blocks, 0.0)}
    assert list(found.values()) == pytest.approx(starts_s)


def test_sound_of_another_rate_is_a_run_of_its_own_where_the_one_before_ends() -> None:
    blocks = [(None, rate, np.ones((rate // 10, 1), np.float32)) for rate in (48000, 48000, 24000, 24000, 44100)]
    found = [(block.run, block.start_s) for block in _placed(blocks, 1.0)]
    assert [run for run, _ in found] == [1, 1, 2, 2, 3]
    assert [start_s for _, start_s in found] == pytest.approx([1.0, 1.0, 1.2, 1.2, 1.4])


def test_stereo_stays_and_more_channels_are_mixed_down(tmp_path: Path) -> None:
    left = "aevalsrc=0.5*sin(880*PI*t)|0:s=48000:d=1"
    track = read_track(with_sound(tmp_path, left, suffix=".mkv", codec="flac"), 1, 48000)
    assert track.shape[1] == 2
    assert np.abs(track[:, 0]).max() == pytest.approx(0.5, abs=0.01)
    assert np.abs(track[:, 1]).max() == 0
    around = "aevalsrc=" + "|".join(["0.2*sin(880*PI*t)"] * 6) + ":s=48000:d=1:c=5.1"
    assert read_track(with_sound(tmp_path, around, suffix=".mkv", codec="flac"), 1, 48000).shape[1] == 2


@pytest.mark.usefixtures("each_ffmpeg")
def test_sound_that_the_container_cannot_hold_twice_is_found_before_anything_runs(tmp_path: Path) -> None:
    flv = with_sound(tmp_path, "sine=d=1:r=44100", suffix=".flv")
    with pytest.raises(MediaError, match="one track of sound"):
        check_beside(flv, plan_mux(flv), sound_tracks(flv))
    mp4 = with_sound(tmp_path, "sine=d=1")
    check_beside(mp4, plan_mux(mp4), sound_tracks(mp4))
    webm = plan_mux(probe_video(clip(tmp_path, ".webm")))
    with pytest.raises(MediaError, match=r"\(aac\) that cannot be copied into \.webm"):
        check_beside(mp4, webm, sound_tracks(mp4))


@pytest.mark.parametrize(("layout", "channels"), [("mono", 1), ("stereo", 2), ("5.1", 6)])
def test_a_mix_of_more_than_two_channels_is_told(
    tmp_path: Path, layout: str, channels: int, caplog: pytest.LogCaptureFixture
) -> None:
    wave = "aevalsrc=" + "|".join(["0.2*sin(880*PI*t)"] * channels) + f":s=48000:d=1:c={layout}"
    info = with_sound(tmp_path, wave)
    warn_of_mixing_down(info, 1)
    assert ("the 6 channels of its sound become two in the mix" in caplog.text) == (channels > 2)
    assert bool(caplog.records) == (channels > 2)


def test_sound_with_more_channels_than_can_be_mixed_is_the_fault_of_its_file(tmp_path: Path) -> None:
    tones = "|".join(["0.3*sin(400*t)"] * 9)
    info = with_sound(tmp_path, f"aevalsrc={tones}:s=48000:d=1", suffix=".mov", codec="pcm_s16le")
    with pytest.raises(MediaError, match=r"cannot be converted \(9 channels\)") as caught:
        audible_track(info)
    assert caught.value.path == info.path


def test_a_track_that_becomes_wider_keeps_its_channels() -> None:
    stereo = np.arange(8, dtype=np.float32).reshape(4, 2)
    wide = _widened(stereo, 4, 6, None)
    np.testing.assert_array_equal(wide[:, :2], stereo)
    assert not wide[:, 2:].any()
    np.testing.assert_array_equal(_widened(stereo[:, :1], 4, 2, None), stereo[:, [0, 0]])
