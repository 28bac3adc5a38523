"""The source's own sound copied beside the new one, on both ffmpegs: packet by packet, in its place."""

from __future__ import annotations

import hashlib
from pathlib import Path

import av
import numpy as np
import pytest
from media_clips import AT_S, RATE, clip, dub, packets, picture_start, run_bundled

from mfv2a.media.tracks import sound_tracks
from mfv2a.media.video import probe_video

pytestmark = pytest.mark.usefixtures("each_ffmpeg")

PAIRS = [
    (".mp4", "aac"), (".mp4", "libopus"), (".mp4", "flac"), (".mov", "pcm_s16le"), (".3gp", "aac"), (".mkv", "aac"),
    (".mkv", "libopus"), (".mkv", "libvorbis"), (".mkv", "flac"), (".webm", "libopus"), (".avi", "libmp3lame"),
    (".ts", "mp2"), (".wmv", "wmav2"),
]  # fmt: skip


def sounding(folder: Path, suffix: str, codec: str, late_s: float = 0.0) -> Path:
    """A clip with two tracks of sound, the picture `late_s` behind them."""
    path = folder / f"source{suffix}"
    run_bundled("-itsoffset", late_s, "-i", clip(folder, suffix), "-f", "lavfi", "-i", "sine=f=440:r=48000:d=2",
                "-map", "0:v", "-map", "1:a", "-map", "1:a", "-metadata:s:a:1", "language=deu",
                "-c:v", "copy", "-c:a", codec, "-strict", -2, path)  # fmt: skip
    return path


def sound_packets(path: Path) -> list[list[tuple[str, float]]]:
    """Digest of every packet and its time since the picture's start, for each track of sound."""
    start = picture_start(path)
    with av.open(str(path)) as container:
        found: dict[int, list[tuple[str, float]]] = {stream.index: [] for stream in container.streams.audio}
        for packet in container.demux(*container.streams.audio):
            if packet.size:
                time = packet.pts if packet.pts is not None else packet.dts
                since = float((time or 0) * packet.time_base) - start
                found[packet.stream_index].append((hashlib.md5(bytes(packet)).hexdigest(), since))
    return list(found.values())


LATE = [
    (".mp4", "aac"),
    (".mov", "pcm_s16le"),
    (".mkv", "aac"),
    (".mkv", "libopus"),
    (".webm", "libopus"),
    (".ts", "mp2"),
]


@pytest.mark.parametrize(
    ("suffix", "codec", "late_s"), [(*pair, 0.0) for pair in PAIRS] + [(*pair, 0.7) for pair in LATE]
)
def test_the_sources_sound_is_copied_bit_for_bit_in_its_place(
    tmp_path: Path, suffix: str, codec: str, late_s: float
) -> None:
    source = sounding(tmp_path, suffix, codec, late_s)
    out = dub(source, beside=sound_tracks(probe_video(source)))
    new, *kept = sound_packets(out)
    before = sound_packets(source)
    assert [[digest for digest, _ in track] for track in kept] == [[digest for digest, _ in track] for track in before]
    for track, given in zip(kept, before, strict=True):
        drift = [late - early for (_, late), (_, early) in zip(track, given, strict=True)]
        assert max(map(abs, drift)) < 1.5e-3, "Matroska counts in milliseconds"
    assert len(new) > 1
    assert [digest for digest, _, _ in packets(out)[0]] == [digest for digest, _, _ in packets(source)[0]]


@pytest.mark.parametrize("late_s", [0.0, 0.7])
@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "aac"), (".mkv", "libopus"), (".mov", "pcm_s16le")])
def test_the_new_sound_is_the_default_and_in_its_place(tmp_path: Path, suffix: str, codec: str, late_s: float) -> None:
    source = sounding(tmp_path, suffix, codec, late_s)
    out = dub(source, beside=sound_tracks(probe_video(source)))
    with av.open(str(out)) as container, av.open(str(source)) as given:
        tracks = container.streams.audio
        assert [bool(track.disposition & av.stream.Disposition.default) for track in tracks] == [True, False, False]
        assert [track.language for track in tracks[1:]] == [track.language for track in given.streams.audio]
        loud = [
            (frame.time, np.abs(frame.to_ndarray()[0].astype(float)), frame.sample_rate)
            for frame in container.decode(tracks[0])
        ]
    start, top = picture_start(out), max(float(wave.max()) for _, wave, _ in loud)
    times = np.concatenate([time - start + np.flatnonzero(wave > top / 3) / rate for time, wave, rate in loud])
    for at_s in AT_S:
        assert np.abs(times - at_s).min() < 1e-3
    assert probe_video(out).duration_s == pytest.approx(probe_video(source).duration_s, abs=2e-3)
    assert RATE == 48000
