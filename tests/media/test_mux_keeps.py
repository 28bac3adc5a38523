"""What a file held beside its picture is still there after muxing, on both ffmpegs."""

from __future__ import annotations

import hashlib
from pathlib import Path

import av
import numpy as np
import pytest
from media_clips import DATA, RATE, clip, dub, packets, run_bundled, write_video

from mfv2a.errors import MediaError
from mfv2a.media import mux
from mfv2a.media.mux import MuxPlan, mux_audio
from mfv2a.media.streams import Cover, write_covers
from mfv2a.media.tags import STATED_IN
from mfv2a.media.temporary import part_path, parts_of
from mfv2a.media.video import probe_video
from mfv2a.records import Audio, VideoInfo

pytestmark = pytest.mark.usefixtures("each_ffmpeg")


def test_two_pictures_and_two_subtitles_are_kept_and_two_sounds_replaced(tmp_path: Path) -> None:
    source = DATA / "nasa_13013.mp4"
    untouched = hashlib.sha256(source.read_bytes()).digest()
    out = dub(source, out=tmp_path / "out.mp4", tags={"comment": "made sound"})
    assert packets(out) == packets(source)
    info = probe_video(out)
    assert [stream.kind for stream in info.streams] == ["video", "audio", "subtitle", "video", "subtitle"]
    assert [stream.is_default for stream in info.streams] == [True] * 5
    assert info.tags["comment"] == "made sound"
    with av.open(str(out)) as found, av.open(str(source)) as given:
        assert [s.metadata for s in found.streams.video] == [s.metadata for s in given.streams.video]
        assert [s.language for s in found.streams.subtitles] == ["eng", "eng"]
    assert hashlib.sha256(source.read_bytes()).digest() == untouched
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


@pytest.fixture
def rich(tmp_path: Path) -> Path:
    """A Matroska file with sound, two subtitles, chapters, a font and a cover."""
    (tmp_path / "s.srt").write_text("1\n00:00:00,200 --> 00:00:00,500\nhello\n")
    (tmp_path / "font.ttf").write_bytes(bytes(range(256)) * 20)
    write_video(tmp_path / "cover.jpg", 1, codec="mjpeg", pix_fmt="yuvj420p", form="image2")
    (tmp_path / "meta.txt").write_text(
        ';FFMETADATA1\ntitle=My: "title"\nshelf=left\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=400\ntitle=One\n'
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=400\nEND=1000\ntitle=Two\n"
    )
    path = tmp_path / "rich.mkv"
    run_bundled(
        "-i", clip(tmp_path, ".mp4"), "-i", tmp_path / "s.srt", "-i", tmp_path / "s.srt", "-i", tmp_path / "meta.txt",
        "-f", "lavfi", "-t", 1, "-i", "sine", "-map", "0:v", "-map", "4:a", "-map", 1, "-map", 2, "-map_metadata", 3,
        "-map_chapters", 3, "-c:v", "copy", "-c:s:0", "srt", "-c:s:1", "ass", "-disposition:s:1", "forced",
        "-metadata:s:s:0", "language=deu", "-attach", tmp_path / "font.ttf", "-metadata:s:t:0",
        "mimetype=application/x-truetype-font", "-attach", tmp_path / "cover.jpg", "-metadata:s:t:1",
        "mimetype=image/jpeg", "-metadata:s:t:1", "filename=cover.jpg", path,
    )  # fmt: skip
    return path


def test_covers_on_their_way_are_known_by_their_output(rich: Path, tmp_path: Path) -> None:
    part = part_path(tmp_path / "out.mkv")
    (cover,) = write_covers(probe_video(rich), part)
    assert list(parts_of(tmp_path / "out.mkv")) == [cover.file]


def test_no_cover_is_left_where_another_cannot_be_taken_out(rich: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(info: VideoInfo, beside: Path) -> list[Cover]:
        write_covers(info, beside)
        raise OSError("no more")

    monkeypatch.setattr("mfv2a.media.mux.write_covers", half)
    before = set(rich.parent.iterdir())
    with pytest.raises(MediaError, match="no more"):
        dub(rich, out=rich.with_name("out.mkv"))
    assert set(rich.parent.iterdir()) == before


def test_subtitles_chapters_fonts_covers_and_tags_are_kept_in_matroska(rich: Path) -> None:
    out = dub(rich)
    with av.open(str(rich)) as given, av.open(str(out)) as found:
        kept = [s for s in given.streams if s.type != "audio"]
        after = [s for s in found.streams if s.type != "audio"]
        assert [(s.type, s.disposition) for s in after] == [(s.type, s.disposition) for s in kept]
        assert [s.metadata.get("language") for s in after] == [s.metadata.get("language") for s in kept]
        assert [c["metadata"] for c in found.chapters()] == [{"title": "One"}, {"title": "Two"}]
        assert [(c["start"], c["end"]) for c in found.chapters()] == [(c["start"], c["end"]) for c in given.chapters()]
        tags = {key.lower(): value for key, value in found.metadata.items()}
        assert (tags["title"], tags["shelf"]) == ('My: "title"', "left")
        assert "title" not in {key.lower() for key in found.streams.audio[0].metadata}
    assert packets(out) == packets(rich)


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_chapters_covers_subtitles_and_own_tags_are_kept_in_the_quicktime_family(rich: Path, suffix: str) -> None:
    source = rich.parent / f"rich{suffix}"
    run_bundled("-i", rich, "-map", "0:v:0", "-map", "0:a", "-map", "0:s:0", "-c", "copy", "-c:s", "mov_text",
                "-movflags", "use_metadata_tags", source)  # fmt: skip
    out = dub(source)
    assert packets(out) == packets(source)
    with av.open(str(source)) as given, av.open(str(out)) as found:
        assert [s.type for s in found.streams] == [s.type for s in given.streams]
        assert [c["metadata"]["title"] for c in found.chapters()] == ["One", "Two"]
        assert {k.lower(): v for k, v in found.metadata.items()}["shelf"] == "left"


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_a_statement_and_all_usual_tags_are_kept_in_the_quicktime_family(tmp_path: Path, suffix: str) -> None:
    names = ("title", "artist", "album_artist", "composer", "comment", "synopsis", "grouping", "show")
    source = tmp_path / f"tagged{suffix}"
    metadata = [word for name in names for word in ("-metadata", f"{name}=own {name}")]
    run_bundled("-i", clip(tmp_path, ".mp4"), "-c", "copy", *metadata, "-movflags", "use_metadata_tags", source)
    info, out = probe_video(source), tmp_path / f"out{suffix}"
    plan = MuxPlan(codec="aac", encoder="aac", suffix=suffix, container=suffix[1:])
    sound = Audio(samples=np.zeros(RATE, np.float32), sample_rate_hz=RATE)
    mux_audio(info, sound, out, plan, statement="AI-generated audio: made up")
    with av.open(str(out)) as found:
        tags = {key.lower(): value for key, value in found.metadata.items()}
    assert {name: tags.get(name) for name in names} == {name: f"own {name}" for name in names}
    assert tags["description"] == "AI-generated audio: made up"


def test_a_comment_of_a_plain_quicktime_file_leaves_the_statement_a_place(tmp_path: Path) -> None:
    source, out = tmp_path / "plain.mov", tmp_path / "out.mov"
    run_bundled("-i", clip(tmp_path, ".mp4"), "-c", "copy", "-metadata", "comment=own", source)
    plan = MuxPlan(codec="aac", encoder="aac", suffix=".mov", container="mov")
    sound = Audio(samples=np.zeros(RATE, np.float32), sample_rate_hz=RATE)
    mux_audio(probe_video(source), sound, out, plan, statement="AI-generated audio: made up")
    with av.open(str(out)) as found:
        tags = {key.lower(): value for key, value in found.metadata.items()}
    assert (tags["comment"], tags["description"]) == ("own", "AI-generated audio: made up")


def test_a_statement_without_a_place_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = tmp_path / "full.mp4"
    metadata = [word for name in STATED_IN for word in ("-metadata", f"{name}=own")]
    run_bundled("-i", clip(tmp_path, ".mp4"), "-c", "copy", *metadata, source)
    sound = Audio(samples=np.zeros(RATE, np.float32), sample_rate_hz=RATE)
    plan = MuxPlan(codec="aac", encoder="aac", suffix=".mp4", container="mp4")
    mux_audio(probe_video(source), sound, tmp_path / "out.mp4", plan, statement="AI-generated audio: made up")
    assert "it says nothing" in caplog.text


def stated(source: Path, plan: MuxPlan) -> dict[str, str]:
    """The tags of a file after a statement was put in."""
    out = source.with_name(f"out{source.suffix}")
    sound = Audio(samples=np.zeros(RATE, np.float32), sample_rate_hz=RATE)
    mux_audio(probe_video(source), sound, out, plan, statement="AI-generated audio: made up")
    with av.open(str(out)) as found:
        return {key.lower(): value for key, value in found.metadata.items()}


@pytest.mark.parametrize(("suffix", "container"), [(".avi", "avi"), (".wmv", "asf")])
def test_a_comment_stays_and_the_statement_is_where_there_is_a_place_for_it(
    tmp_path: Path, suffix: str, container: str, caplog: pytest.LogCaptureFixture
) -> None:
    plan = MuxPlan(codec="pcm", encoder="pcm_s16le", suffix=suffix, container=container)
    plain = clip(tmp_path, suffix)
    assert stated(plain, plan)["comment"] == "AI-generated audio: made up"
    source = tmp_path / f"own{suffix}"
    run_bundled("-i", plain, "-c", "copy", "-metadata", "comment=own", source)
    tags = stated(source, plan)
    assert tags["comment"] == "own"
    assert ("it says nothing" in caplog.text) != ("AI-generated audio: made up" in tags.values())
    assert ("it says nothing" in caplog.text) == (container == "avi")


def test_a_cover_is_kept_in_mp4(tmp_path: Path) -> None:
    write_video(tmp_path / "cover.jpg", 1, codec="mjpeg", pix_fmt="yuvj420p", form="image2")
    source = tmp_path / "covered.mp4"
    run_bundled("-i", clip(tmp_path, ".mp4"), "-i", tmp_path / "cover.jpg", "-map", 0, "-map", 1, "-c", "copy",
                "-disposition:v:1", "attached_pic", source)  # fmt: skip
    out = dub(source)
    assert [stream.is_cover for stream in probe_video(out).streams] == [False, False, True]
    assert packets(out) == packets(source)


def test_a_timecode_track_is_kept(tmp_path: Path) -> None:
    source = tmp_path / "tc.mov"
    run_bundled("-i", clip(tmp_path, ".mp4"), "-c", "copy", "-timecode", "01:02:03:04", source)
    with av.open(str(dub(source))) as found:
        assert [s.type for s in found.streams] == ["video", "audio", "data"]
        assert found.streams[2].metadata["timecode"] == "01:02:03:04"


def test_a_data_track_that_cannot_be_copied_is_left_out_with_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    source = tmp_path / "tc.mov"
    run_bundled("-i", clip(tmp_path, ".mp4"), "-c", "copy", "-timecode", "01:02:03:04", source)
    monkeypatch.setattr(mux, "data_streams", lambda info: [1])
    info = probe_video(source)
    plan = MuxPlan(codec="flac", encoder="flac", suffix=".mkv", container="matroska")  # which holds no data tracks
    sound = Audio(samples=np.zeros(RATE, np.float32), sample_rate_hz=RATE)
    out = mux_audio(info, sound, tmp_path / "out.mkv", plan)
    assert "data track 1" in caplog.text
    assert [digest for digest, _, _ in packets(out)[0]] == [digest for digest, _, _ in packets(source)[0]]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("turn", [90, 180])
def test_rotation_is_kept(tmp_path: Path, suffix: str, turn: int) -> None:
    source = tmp_path / f"turned{suffix}"
    run_bundled("-display_rotation", turn, "-i", clip(tmp_path, ".mp4"), "-c", "copy", source)
    out = dub(source)
    assert probe_video(out).rotation_deg == probe_video(source).rotation_deg != 0
    assert packets(out) == packets(source)
