"""The look-up of the ffmpeg program, and its failures, partly with stand-ins for it."""

from __future__ import annotations

import ast
import errno
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import ffmpeg
import pytest
from media_clips import BUNDLED

from mfv2a.errors import FfmpegMissingError, MediaError, StartError
from mfv2a.media.ffmpeg import compile_command, ffmpeg_version, find_ffmpeg, has_encoder, run_ffmpeg


def program(path: Path, body: str) -> Path:
    """A stand-in for ffmpeg."""
    path.write_text(f"#!{sys.executable}\nimport sys, time\n{body}\n")
    path.chmod(0o755)
    return path


def test_the_named_program_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = program(tmp_path / "mine", "")
    monkeypatch.setenv("MFV2A_FFMPEG", str(named))
    assert find_ffmpeg() == named


def test_a_named_program_that_is_missing_is_an_error_and_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MFV2A_FFMPEG", "/nowhere/ffmpeg")
    with pytest.raises(FfmpegMissingError, match="/nowhere/ffmpeg") as caught:
        find_ffmpeg()
    assert "MFV2A_FFMPEG" in caught.value.hint


def test_the_bundled_program_comes_second_and_the_path_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import imageio_ffmpeg

    def missing() -> str:
        raise RuntimeError("No ffmpeg exe could be found.")

    monkeypatch.delenv("MFV2A_FFMPEG", raising=False)
    on_path = program(tmp_path / "ffmpeg", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_ffmpeg() == BUNDLED
    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", missing)
    assert find_ffmpeg() == on_path
    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", lambda: "/nowhere/ffmpeg")
    assert find_ffmpeg() == on_path


def test_no_program_at_all_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import imageio_ffmpeg

    def missing() -> str:
        raise RuntimeError("No ffmpeg exe could be found.")

    monkeypatch.delenv("MFV2A_FFMPEG", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", missing)
    with pytest.raises(FfmpegMissingError) as caught:
        find_ffmpeg()
    assert "imageio-ffmpeg" in caught.value.hint


def test_a_program_is_asked_for_its_version_and_encoders(each_ffmpeg: Path, tmp_path: Path) -> None:
    assert ffmpeg_version(each_ffmpeg)[0] in "nN0123456789"
    assert has_encoder(each_ffmpeg, "aac")
    assert not has_encoder(each_ffmpeg, "=")
    assert not has_encoder(each_ffmpeg, "no_such_encoder")
    with pytest.raises(FfmpegMissingError):
        ffmpeg_version(program(tmp_path / "other", "print('gizmo version 3')"))


def test_a_failure_keeps_the_first_error_line_and_the_last_ones(each_ffmpeg: Path, tmp_path: Path) -> None:
    source = tmp_path / "none.mp4"
    stream = ffmpeg.output(ffmpeg.input("source"), "out")
    command = compile_command(stream, source=source, out=tmp_path / "x.mp4")
    with pytest.raises(MediaError, match="No such file") as caught:
        run_ffmpeg(command, path=source)
    assert caught.value.path == source
    assert "\n" not in str(caught.value)


def test_only_the_last_lines_go_to_the_detail(tmp_path: Path) -> None:
    noisy = program(tmp_path / "noisy", "[print('line', n, file=sys.stderr) for n in range(50)]\nsys.exit(1)")
    with pytest.raises(MediaError, match="line 0") as caught:
        run_ffmpeg([], path=tmp_path, ffmpeg=noisy)
    assert caught.value.detail.splitlines() == [f"line {n}" for n in range(30, 50)]


def test_what_is_said_of_the_writing_comes_before_what_a_decoder_says(tmp_path: Path) -> None:
    lines = [
        "[h264 @ 0x7f00] top block unavailable",
        "[x @ 0x1] [y @ 0x2] bad",
        "[out#0/mp4 @ 0x3] Could not write header",
    ]
    noisy = program(tmp_path / "noisy", f"[print(line, file=sys.stderr) for line in {lines}]\nsys.exit(1)")
    with pytest.raises(MediaError, match=r"^ffmpeg: \[out#0/mp4\] Could not write header$") as caught:
        run_ffmpeg([], path=tmp_path, ffmpeg=noisy)
    assert "0x" not in caught.value.detail


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["[h264] bad", "[webm] Only VP8 or VP9", "[out#0/webm] Could not write header (?)"], "[webm] Only VP8 or VP9"),
        (["[libopus] rate 7999", "[aost#0:1/libopus] Error while opening encoder - maybe"], "[libopus] rate 7999"),
        (["[ogg] Unsupported codec", "Could not write header for output file #0 (?)"], "[ogg] Unsupported codec"),
        (["[h264] bad", "[out#0/mp4] Error muxing a packet"], "[out#0/mp4] Error muxing a packet"),
        (["first", "second"], "first"),
    ],
)
def test_the_muxer_and_the_encoder_say_why_themselves(tmp_path: Path, lines: list[str], told: str) -> None:
    noisy = program(tmp_path / "noisy", f"[print(line, file=sys.stderr) for line in {lines}]\nsys.exit(1)")
    with pytest.raises(MediaError) as caught:
        run_ffmpeg([], path=tmp_path, ffmpeg=noisy)
    assert str(caught.value) == f"ffmpeg: {told}"


@pytest.mark.parametrize(("number", "hint"), [(errno.EMFILE, "ulimit -n"), (errno.ENOENT, "install ffmpeg")])
def test_a_program_that_cannot_be_started_now_need_not_be_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, hint: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, "refused")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with pytest.raises(FfmpegMissingError) as caught:
        run_ffmpeg([], path=tmp_path, ffmpeg=tmp_path / "ffmpeg")
    assert hint in caught.value.hint


def test_a_silent_failure_names_the_exit_code(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="code 7"):
        run_ffmpeg([], path=tmp_path, ffmpeg=program(tmp_path / "mute", "sys.exit(7)"))


def test_a_full_disk_stops_the_batch(tmp_path: Path) -> None:
    full = program(tmp_path / "full", "print('x: No space left on device', file=sys.stderr)\nsys.exit(1)")
    with pytest.raises(StartError, match="disk is full"):
        run_ffmpeg([], path=tmp_path, ffmpeg=full)


def test_a_folder_that_takes_no_file_is_blamed_and_not_the_source(tmp_path: Path) -> None:
    talk = "Error opening output /o/x.mp4: Permission denied"
    closed = program(tmp_path / "closed", f"print({talk!r}, file=sys.stderr)\nsys.exit(1)")
    with pytest.raises(MediaError, match="its output cannot be written: Error opening output") as caught:
        run_ffmpeg([], path=tmp_path / "source.mp4", ffmpeg=closed, out=tmp_path / "out.mp4")
    assert caught.value.path == tmp_path / "source.mp4"
    assert str(tmp_path) in caught.value.hint


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="no such limit here")
def test_a_file_that_may_not_be_so_large_is_told_with_the_way_out(tmp_path: Path) -> None:
    ends = "signal.signal(signal.SIGXFSZ, signal.SIG_DFL)\nos.kill(os.getpid(), signal.SIGXFSZ)"
    limited = program(tmp_path / "limited", f"import os, signal\n{ends}")
    with pytest.raises(MediaError, match="larger than a file is allowed") as caught:
        run_ffmpeg([], path=tmp_path / "source.mp4", ffmpeg=limited, out=tmp_path / "out.mp4")
    assert (caught.value.path, "ulimit -f" in caught.value.hint) == (tmp_path / "source.mp4", True)


@pytest.mark.parametrize("fault", [OSError("disk read failed"), MemoryError("x")])
def test_sound_whose_maker_fails_is_no_whole_file(tmp_path: Path, fault: Exception) -> None:
    def blocks() -> Iterator[memoryview]:
        yield memoryview(b"\0" * 48_000)
        raise fault

    taker = program(tmp_path / "taker", "sys.stdin.buffer.read()")
    with pytest.raises(type(fault), match=str(fault)):
        run_ffmpeg([], path=tmp_path, ffmpeg=taker, stdin=blocks())


def test_a_program_that_ends_before_it_read_all_says_why_itself(tmp_path: Path) -> None:
    blocks = (memoryview(b"\0" * 1_000_000) for _ in range(3))
    with pytest.raises(MediaError, match="code 7"):
        run_ffmpeg([], path=tmp_path, ffmpeg=program(tmp_path / "hasty", "sys.exit(7)"), stdin=blocks)


def test_an_interruption_ends_the_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    children: list[subprocess.Popen[bytes]] = []

    def interrupted(self: subprocess.Popen[bytes], timeout: float | None = None) -> None:
        children.append(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "communicate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_ffmpeg([], path=tmp_path, ffmpeg=program(tmp_path / "slow", "time.sleep(60)"))
    assert children[0].returncode is not None
    children[0].stderr.close()  # type: ignore[union-attr]


def test_the_program_never_asks_and_reads_no_terminal(tmp_path: Path) -> None:
    record = tmp_path / "record"
    body = f"open({str(record)!r}, 'w').write(repr((sys.argv[1:], sys.stdin.read())))"
    run_ffmpeg(["-i", "x"], path=tmp_path, ffmpeg=program(tmp_path / "echo", body))
    arguments, stdin = ast.literal_eval(record.read_text())
    assert {"-nostdin", "-y"} <= set(arguments)
    assert arguments[-2:] == ["-i", "x"]
    assert stdin == ""


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("Error writing trailer of x.avi: No space left on device", StartError),
        ("av_interleaved_write_frame(): Disk quota exceeded", StartError),
        ("Error writing trailer of x.avi: Input/output error", MediaError),
        ("Error closing file: Input/output error", MediaError),
    ],
)
def test_what_could_not_be_written_counts_whatever_the_exit_code(
    words: str, kind: type[Exception], tmp_path: Path
) -> None:
    silent = program(tmp_path / "ffmpeg", f"sys.stderr.write({words!r} + '\\n')")
    with pytest.raises(kind) as caught:
        run_ffmpeg([], path=tmp_path / "source.avi", ffmpeg=silent, out=tmp_path / "to" / "x.avi")
    assert kind is MediaError or str(tmp_path / "to") in str(caught.value)
