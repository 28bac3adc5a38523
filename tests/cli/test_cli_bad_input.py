"""Bad input: one line that says what, which file and what to do; the others go on; nothing half-made stays."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import av
import pytest

from made_videos import make_sound_file, make_video
from mfv2a.cli import main

TINY = ["--model", "tiny"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def digest(folder: str) -> dict[str, str]:
    """Name and content of every file below a folder."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }


def not_a_video(path: Path) -> None:
    path.write_text("just words\n" * 100)


def truncated(path: Path) -> None:
    make_video(path, seconds=3)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def truncated_mkv(path: Path) -> None:
    whole = make_video(path.with_suffix(".mkv"), seconds=3, size=(320, 240))
    data = whole.read_bytes()
    whole.unlink()
    path.write_bytes(data[: len(data) // 2])


def zero_bytes(path: Path) -> None:
    path.touch()


def audio_only(path: Path) -> None:
    make_sound_file(path)


def random_bytes(path: Path) -> None:
    path.write_bytes(hashlib.shake_256(b"seed").digest(50_000))


def dangling_link(path: Path) -> None:
    path.symlink_to("gone-away.mp4")


def bad_sidecar(path: Path) -> None:
    make_video(path, seconds=0.3)
    path.with_suffix(".txt").write_bytes(b"\xff\xfe\xff")


def sidecar_folder(path: Path) -> None:
    make_video(path, seconds=0.3)
    path.with_suffix(".txt").mkdir()


@pytest.mark.parametrize(
    "spoil",
    [
        not_a_video,
        truncated,
        truncated_mkv,
        zero_bytes,
        audio_only,
        random_bytes,
        dangling_link,
        bad_sidecar,
        sidecar_folder,
    ],
)
def test_a_bad_file_is_told_in_one_line_and_the_others_go_on(
    spoil: Callable[[Path], None], capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    make_video(Path("in/good.mp4"), seconds=0.3)
    spoil(Path("in/bad.mp4"))
    before = digest("in")
    assert main(["dub", "in", "--out", "out", *TINY]) == 3
    out, err = capsysbinary.readouterr()
    assert out == b"out/good.mp4\n"
    (line,) = [line for line in err.decode().splitlines() if "failed:" in line]
    assert "in/bad.mp4" in line
    assert " - " in line, "it says what to do"
    assert "1 dubbed, 1 failed" in err.decode()
    assert digest("in") == before
    assert sorted(digest("out")) == ["out/good.mp4", "out/report.jsonl"]


def test_only_bad_files_is_exit_3_and_no_traceback(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    Path("in").mkdir()
    zero_bytes(Path("in/bad.mp4"))
    assert main(["dub", "in", "--out", "out", *TINY]) == 3
    assert b"Traceback" not in capsysbinary.readouterr().err


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [
        ("one frame.mp4", {"seconds": 0.0}),
        ("odd size.mkv", {"size": (65, 47), "codec": "ffv1", "seconds": 0.3}),
        ('it\'s "quoted".mp4', {"seconds": 0.3}),
        ("new\nline.mp4", {"seconds": 0.3}),
        ("-leading.mp4", {"seconds": 0.3}),
        ("a:b.mp4", {"seconds": 0.3}),
        ("file:c.mp4", {"seconds": 0.3}),
        ("%d [x] {y} #z.mp4", {"seconds": 0.3}),
        ("[bold]rich[bold].mp4", {"seconds": 0.3}),
    ],
)
def test_an_odd_video_or_name_is_dubbed(
    name: str, kwargs: dict[str, object], capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    make_video(Path("in") / name, **kwargs)  # type: ignore[arg-type]
    assert main(["dub", "in", "--out", "out", *TINY]) == 0
    assert capsysbinary.readouterr().out == b"out/" + os.fsencode(name) + b"\n"
    with av.open(f"file:{Path('out') / name}") as container:
        assert len(container.streams.audio) == 1
    Path("in", name).rename(name)
    assert main(["dub", "--out", "two", *TINY, "--", name]) == 0
    assert (Path("two") / name).is_file()


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_a_name_that_is_no_utf8_is_dubbed(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    name = os.fsdecode(b"caf\xe9.mp4")
    make_video(Path("x.mp4"), seconds=0.3).rename(name)
    assert main(["dub", name, "--out", "out", *TINY, "--verbose"]) == 0
    assert capsysbinary.readouterr().out == b"out/caf\xe9.mp4\n"


def test_ten_bit_pictures_are_dubbed() -> None:
    Path("in").mkdir()
    with av.open("in/ten.mkv", "w") as container:
        picture = container.add_stream("ffv1", rate=10)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p10le"
        for number in range(4):
            frame = av.VideoFrame(64, 48, "yuv420p10le")
            frame.pts = number
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
    assert main(["dub", "in", "--out", "out", *TINY]) == 0


def test_a_prompt_of_ten_thousand_characters_works() -> None:
    make_video(Path("a.mp4"), seconds=0.3)
    assert main(["dub", "a.mp4", "--out", "out", *TINY, "--prompt", "rain and " * 1112]) == 0


def run(capsysbinary: pytest.CaptureFixture[bytes], *words: str) -> tuple[int, str]:
    code = main(list(words))
    out, err = capsysbinary.readouterr()
    assert out == b""
    (line,) = err.decode().splitlines()
    assert line.startswith("error: ")
    assert " - " in line, "it says what to do"
    return code, line


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["in", "--out", "out", "--steps", "0"], 2, "--steps"),
        (["in", "--out", "out", "--steps", "many"], 2, "--steps"),
        (["in", "--out", "out", "--cfg", "-1"], 2, "--cfg"),
        (["in", "--out", "out", "--batch-size", "0"], 2, "--batch-size"),
        (["in", "--out", "out", "--sample-rate", "fast"], 2, "--sample-rate"),
        (["in", "--out", "out", "--sample-rate", "7"], 2, "--sample-rate"),
        (["in", "--out", "out", "--audio-codec", "mp3"], 2, "--audio-codec"),
        (["in", "--out", "out", "--no-such-option"], 2, "--no-such-option"),
        (["in"], 2, "--out"),
        (["--out", "out"], 2, "PATH"),
        (["in", "--out", "out", "--model", "tiny1"], 2, "did you mean tiny?"),
        (["in", "--out", "in"], 2, "--out"),
        (["in/a.mp4", "--out", "."], 2, "in/a.mp4"),
        (["in", "two", "--out", "out"], 2, "two/a.mp4"),
        (["in", "--out", "in/a.mp4"], 2, "is not a folder"),
        (["in", "--out", "in/a.mp4/deep"], 2, "is not a folder"),
        (["empty", "--out", "out"], 4, "empty"),
        (["gone.mp4", "--out", "out"], 4, "gone.mp4"),
        (["*.mkv", "--out", "out"], 4, "*.mkv"),
    ],
)
def test_what_cannot_work_ends_before_anything_is_written(
    words: list[str], code: int, told: str, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    make_video(Path("in/a.mp4"), seconds=0.3)
    make_video(Path("two/a.mp4"), seconds=0.3)
    Path("empty").mkdir()
    before = digest(".")
    model = [] if "--model" in words else TINY
    got, line = run(capsysbinary, "dub", *words, *model)
    assert (got, told in line) == (code, True), line
    assert digest(".") == before
    assert not Path("out").exists()


def test_a_device_that_is_not_there_is_exit_4(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    make_video(Path("in/a.mp4"), seconds=0.3)
    assert main(["dub", "in", "--out", "out", *TINY, "--device", "cuda:77"]) == 4
    assert b"--device cpu" in capsysbinary.readouterr().err


def test_no_ffmpeg_is_exit_4(monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    make_video(Path("in/a.mp4"), seconds=0.3)
    monkeypatch.setenv("MFV2A_FFMPEG", "/nowhere/ffmpeg")
    code, line = run(capsysbinary, "dub", "in", "--out", "out", *TINY)
    assert (code, "MFV2A_FFMPEG" in line) == (4, True)
    assert not Path("out").exists()


def test_an_output_folder_that_cannot_be_written_is_told(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    make_video(Path("in/sub/a.mp4"), seconds=0.3)
    make_video(Path("in/b.mp4"), seconds=0.3)
    Path("out").mkdir()
    Path("out/sub").write_text("a file in the way")
    assert main(["dub", "in", "--out", "out", *TINY]) == 3
    out, err = capsysbinary.readouterr()
    assert out == b"out/b.mp4\n"
    assert b"in/sub/a.mp4: failed: " in err
    assert Path("out/sub").read_text() == "a file in the way"


def test_a_full_disk_stops_the_batch_with_exit_4(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    import errno

    import mfv2a.jobs.stages

    def no_space(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(mfv2a.jobs.stages, "mux_audio", no_space)
    for name in "abc":
        make_video(Path(f"in/{name}.mp4"), seconds=0.3)
    assert main(["dub", "in", "--out", "out", *TINY, "--batch-size", "1", "--also-wav"]) == 4
    out, err = capsysbinary.readouterr()
    assert out == b""
    assert b"the disk is full" in err
    assert sorted(digest("out")) == ["out/report.jsonl"]
    assert Path("out/report.jsonl").read_text().count("\n") == 1


def test_an_unexpected_fault_is_a_line_and_exit_1(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    import mfv2a.loader

    def broken(name: str) -> None:
        raise RuntimeError("a fault\nof ours")

    monkeypatch.setattr(mfv2a.loader, "describe_model", broken)
    code, line = run(capsysbinary, "dub", "in", "--out", "out")
    assert code == 1
    assert "RuntimeError: a fault" in line
    assert main(["dub", "in", "--out", "out", "--verbose"]) == 1
    assert b"Traceback" in capsysbinary.readouterr().err
