"""Muxing on the system's ffmpeg and on imageio-ffmpeg's: nothing of the source is lost, and the sound is in place."""

from __future__ import annotations

import os
import shutil
import struct
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from media_clips import (
    AT_S,
    RATE,
    clip,
    counted_sound,
    decoded_sound,
    dub,
    impulses,
    packets,
    picture_start,
    run_bundled,
    write_video,
)

from mfv2a.errors import ConfigError, MediaError
from mfv2a.media.boxes import read_tracks
from mfv2a.media.mux import mux_audio, plan_mux
from mfv2a.media.video import probe_video
from mfv2a.records import Audio

pytestmark = pytest.mark.usefixtures("each_ffmpeg")


def impulse_errors(path: Path, *, by_clock: bool) -> list[float]:
    """How late in seconds each impulse comes after the picture's start: by the frames' clock, or by counting samples.

    Counted is what the program gives: FFmpeg 8, as PyAV brings it, leaves the coder's delay of AAC in Matroska.
    """
    samples, times, rate = decoded_sound(path)
    if not by_clock:
        samples = counted_sound(path)
    since = times - picture_start(path) if by_clock else np.arange(len(samples)) / rate
    near = [np.abs(since - t) < 0.15 for t in AT_S]
    return [float(since[np.argmax(np.abs(samples) * mask)] - t) for mask, t in zip(near, AT_S, strict=True)]


PAIRS = [
    (".mp4", "aac"), (".mp4", "opus"), (".mp4", "flac"), (".mov", "aac"), (".mov", "pcm"), (".3gp", "aac"),
    (".mkv", "aac"), (".mkv", "opus"), (".mkv", "flac"), (".mkv", "pcm"), (".webm", "opus"), (".avi", "pcm"),
    (".ogv", "opus"), (".ogv", "flac"), (".wmv", "pcm"), (".ts", "aac"), (".flv", "aac"), (".gif", "auto"),
    (".mpg", "auto"),
]  # fmt: skip


@pytest.mark.parametrize(("suffix", "codec"), PAIRS)
def test_an_impulse_lands_within_a_millisecond_and_the_picture_is_untouched(
    tmp_path: Path, suffix: str, codec: str
) -> None:
    source = clip(tmp_path, suffix)
    out = dub(source, codec)
    assert max(np.abs(impulse_errors(out, by_clock=True))) < 1e-3
    if suffix not in (".ts", ".flv"):  # these have no word for the encoder's delay: only their clock is right
        assert max(np.abs(impulse_errors(out, by_clock=False))) < 1e-3
    before, after = packets(source)[0], packets(out)[0]
    if suffix == ".gif":  # the last packet may or may not carry the file's closing byte
        before, after = before[:-1], after[:-1]
    assert [digest for digest, _, _ in before] == [digest for digest, _, _ in after]
    shifts = {round(late - early, 3) for (_, early, _), (_, late, _) in zip(before, after, strict=True)}
    assert len(shifts) == 1
    assert suffix == ".ts" or shifts == {0.0}


@pytest.mark.parametrize("rate", [16000, 44100])
@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "aac"), (".mkv", "aac"), (".mkv", "opus"), (".mp4", "opus")])
def test_other_sample_rates_keep_the_place(tmp_path: Path, suffix: str, codec: str, rate: int) -> None:
    out = dub(clip(tmp_path, suffix), codec, rate=rate)
    assert max(np.abs(impulse_errors(out, by_clock=True))) < 1e-3
    assert max(np.abs(impulse_errors(out, by_clock=False))) < 1e-3


@pytest.mark.parametrize("count", [1, 31])
@pytest.mark.parametrize(
    ("suffix", "codec"), [(".mp4", "aac"), (".mp4", "flac"), (".mov", "pcm"), (".mkv", "aac"), (".webm", "opus")]
)
def test_the_sound_is_as_long_as_the_picture(tmp_path: Path, suffix: str, codec: str, count: int) -> None:
    source = clip(tmp_path, suffix, times_s=count, fps=30000 / 1001)
    out = dub(source, codec)
    wanted = round(probe_video(source).duration_s * RATE)
    found = len(decoded_sound(out)[0])
    if codec in ("flac", "pcm"):
        assert found == wanted
    else:
        assert wanted <= found <= wanted + 2 * 1024
    if suffix in (".mp4", ".mov"):
        with av.open(str(out)) as container:
            sound = container.streams.audio[0]
            assert round(sound.duration * sound.time_base * RATE) == wanted


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".ts"])
@pytest.mark.parametrize("late_s", [0.01, 1.5])
def test_the_sound_starts_when_a_late_picture_starts(tmp_path: Path, suffix: str, late_s: float) -> None:
    late = tmp_path / f"late{suffix}"
    run_bundled("-itsoffset", late_s, "-i", clip(tmp_path, ".mp4"), "-f", "lavfi", "-t", 3, "-i", "sine",
                "-map", 0, "-map", 1, "-c:v", "copy", late)  # fmt: skip
    out = dub(late)
    assert max(np.abs(impulse_errors(out, by_clock=True))) < 1e-3
    if suffix != ".ts":
        assert picture_start(out) == pytest.approx(picture_start(late), abs=1e-3)
    if suffix != ".ts" and late_s > 1:
        assert max(np.abs(impulse_errors(out, by_clock=False))) < 1e-3
    if suffix in (".mp4", ".mov"):
        with out.open("rb") as file:
            sound = next(track for track in read_tracks(file)[1] if track.kind == "soun")
        shown = sum(length for length, _, _ in sound.entries()[1])  # what is empty before it included
        assert shown == round((picture_start(late) + probe_video(late).duration_s) * RATE), "it ends with the picture"


@pytest.mark.parametrize("suffix", [".mp4"])
def test_hidden_pictures_of_an_edit_list_stay_hidden(tmp_path: Path, suffix: str) -> None:
    whole = clip(tmp_path, ".mp4", times_s=50, options={"g": "50", "bf": "2"})
    run_bundled("-ss", 0.9, "-i", whole, "-c", "copy", tmp_path / f"cut{suffix}")
    out = dub(tmp_path / f"cut{suffix}")
    assert packets(out) == packets(tmp_path / f"cut{suffix}")
    assert probe_video(out).duration_s == pytest.approx(probe_video(tmp_path / f"cut{suffix}").duration_s, abs=1e-6)
    assert max(np.abs(impulse_errors(out, by_clock=True))) < 1e-3


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_variable_frame_rate_stays_variable(tmp_path: Path, suffix: str) -> None:
    source = write_video(tmp_path / f"vfr{suffix}", [0.0, 0.04, 0.3, 0.32, 0.9, 1.0], options={"bf": "2"})
    assert packets(dub(source)) == packets(source)


def test_stereo_stays_stereo(tmp_path: Path) -> None:
    source = clip(tmp_path, ".mkv")
    info = probe_video(source)
    wave = np.stack([impulses(1, RATE, [0.2]), impulses(1, RATE, [0.7])], axis=1)
    out = mux_audio(info, Audio(samples=wave, sample_rate_hz=RATE), tmp_path / "o.mkv", plan_mux(info, "flac"))
    with av.open(str(out)) as container:
        found = np.concatenate([f.to_ndarray().reshape(-1, 2) for f in container.decode(audio=0)])
    assert np.argmax(np.abs(found), axis=0).tolist() == [9600, 33600]


@pytest.mark.parametrize("length", [100, 100_000])
def test_a_sound_of_another_length_is_cut_or_padded(tmp_path: Path, length: int) -> None:
    info = probe_video(clip(tmp_path, ".mkv"))
    sound = Audio(samples=np.full(length, 0.1, np.float32), sample_rate_hz=RATE)
    out = mux_audio(info, sound, tmp_path / "o.mkv", plan_mux(info, "pcm"))
    assert len(decoded_sound(out)[0]) == RATE


NAMES = [
    "-dash.mp4",
    "a:b.mp4",
    'it\'s "q".mp4',
    "new\nline.mp4",
    "100%d.mp4",
    "sm ile ☺.mp4",
    "pipe:0.mp4",
    "a,b[c];d.mp4",
]


@pytest.mark.parametrize("name", NAMES)
def test_odd_names_are_only_names(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    clip(tmp_path, ".mp4").rename(tmp_path / name)
    Path("out").mkdir()
    out = dub(Path(name), out=Path("out") / name)
    assert [path.name for path in Path("out").iterdir()] == [name]
    assert packets(out) == packets(Path(name))


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are always Unicode there")
def test_names_that_are_not_text_are_only_names(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff\xfe.mp4")
    clip(tmp_path, ".mp4").rename(tmp_path / name)
    (tmp_path / "out").mkdir()
    assert packets(dub(tmp_path / name, out=tmp_path / "out" / name)) == packets(tmp_path / name)


def test_tags_with_odd_characters_are_kept(tmp_path: Path) -> None:
    tags = {"comment": "a=b; 'c' \"d\" # \\ e\nnext", "title": "ü: 100%"}
    found = probe_video(dub(clip(tmp_path, ".mp4"), tags=tags)).tags
    assert {key: found[key] for key in tags} == tags


def test_the_source_itself_is_never_the_output(tmp_path: Path) -> None:
    source = clip(tmp_path, ".mp4")
    before = source.read_bytes()
    (tmp_path / "link.mp4").symlink_to(source)
    for out in (source, tmp_path / "link.mp4"):
        with pytest.raises(ConfigError, match="source itself"):
            dub(source, out=out)
    assert source.read_bytes() == before


def test_a_failure_leaves_no_file_and_keeps_an_older_one(tmp_path: Path) -> None:
    source = clip(tmp_path, ".mp4")
    info = probe_video(source)
    plan = plan_mux(info)
    source.write_bytes(b"gone")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "o.mp4").write_bytes(b"older")
    with pytest.raises(MediaError, match="ffmpeg"):
        mux_audio(info, Audio(samples=np.zeros(9, np.float32), sample_rate_hz=RATE), folder / "o.mp4", plan)
    assert [(path.name, path.read_bytes()) for path in folder.iterdir()] == [("o.mp4", b"older")]


def test_a_folder_that_is_not_there_is_an_error_of_that_file(tmp_path: Path) -> None:
    with pytest.raises(MediaError):
        dub(clip(tmp_path, ".mp4"), out=tmp_path / "none" / "o.mp4")


def test_the_file_has_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    assert dub(clip(tmp_path, ".mp4")).stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_web_player_finds_the_index_first(tmp_path: Path) -> None:
    written = dub(clip(tmp_path, ".mp4")).read_bytes()
    assert written.index(b"moov") < written.index(b"mdat")


def test_no_temporary_file_is_left(tmp_path: Path) -> None:
    source = clip(tmp_path, ".mkv")
    shutil.copy(source, tmp_path / "other.mkv")
    dub(source)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mkv", "dubbed.mkv", "other.mkv"]


@pytest.mark.parametrize("bframes", ["0", "2"])
def test_pictures_behind_the_end_of_an_edit_list_stay_hidden(tmp_path: Path, bframes: str) -> None:
    whole = write_video(tmp_path / "whole.mp4", 50, options={"bf": bframes})
    data = bytearray(whole.read_bytes())
    place = data.index(b"elst") + 12
    timescale = struct.unpack_from(">I", data, data.index(b"mvhd") + 16)[0]
    struct.pack_into(">I", data, place, round(1.2 * timescale))
    source = tmp_path / "trimmed.mp4"
    source.write_bytes(data)
    info = probe_video(source)
    assert info.duration_s == pytest.approx(1.2, abs=0.05)
    dubbed = dub(source)
    assert probe_video(dubbed).duration_s == pytest.approx(info.duration_s, abs=0.041)  # or one frame more
    with av.open(str(dubbed)) as container:
        assert container.duration / 1e6 == pytest.approx(info.duration_s, abs=0.05)


def test_a_transport_stream_keeps_its_sources_clock(tmp_path: Path) -> None:
    run_bundled("-itsoffset", 5, "-i", clip(tmp_path, ".mp4"), "-c", "copy", "-muxdelay", 0, tmp_path / "late.ts")
    assert picture_start(dub(tmp_path / "late.ts")) == pytest.approx(picture_start(tmp_path / "late.ts"), abs=1e-3)


def test_a_gif_as_fast_as_gif_can_say_stays_as_long_as_it_was_looked_at(tmp_path: Path) -> None:
    source = write_video(tmp_path / "fast.gif", 50, fps=50, codec="gif", pix_fmt="rgb8")
    source.write_bytes(_with_delay(source.read_bytes(), 1))
    info = probe_video(source)
    out = dub(source)
    assert probe_video(out).duration_s == pytest.approx(info.duration_s, abs=0.05)


def test_pictures_of_a_gif_that_states_no_delay_are_a_tenth_of_a_second_apart(tmp_path: Path) -> None:
    source = write_video(tmp_path / "still.gif", 12, codec="gif", pix_fmt="rgb8")
    source.write_bytes(_with_delay(source.read_bytes(), 0))
    assert probe_video(source).duration_s == pytest.approx(1.2)
    assert [time for _, time, _ in packets(dub(source))[0]] == pytest.approx([k / 10 for k in range(12)])


def _with_delay(gif: bytes, hundredths: int) -> bytes:
    """The GIF with another delay in each graphic control extension."""
    changed, at = bytearray(gif), gif.find(b"\x21\xf9\x04")
    while at >= 0:
        changed[at + 4 : at + 6] = struct.pack("<H", hundredths)
        at = gif.find(b"\x21\xf9\x04", at + 1)
    return bytes(changed)
