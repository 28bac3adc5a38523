"""Bad input: one line that says what, which file and what to do; the others go on; nothing half-made stays."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import pytest

from made_videos import make_sound_file, make_video
from mfv2a.cli import main
from mfv2a.records import VideoInfo

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


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are always Unicode there")
def test_a_name_that_is_no_utf8_passes_through_every_option(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    import json

    name = os.fsdecode(b"caf\xe9_rain_01.mp4")
    make_video(Path("x.mp4"), seconds=0.3, sound=True).rename(name)
    Path("t.jsonl").write_text(json.dumps({"path": name, "seed": 5}))
    common = ["dub", name, "--out", "out", *TINY, "--also-wav", "--prompt-from", "filename", "--loudness", "-30"]
    for keep in ("mix", "second-track"):
        command = [*common, "--prompts", "t.jsonl", "--variants", "2", "--keep-audio", keep]
        for _ in range(2):
            assert main(command) == 0
            assert capsysbinary.readouterr().out == b"out/caf\xe9_rain_01.mp4\nout/caf\xe9_rain_01.2.mp4\n"
    names = sorted(os.fsencode(path.name) for path in Path("out").iterdir())
    assert names == [
        b"caf\xe9_rain_01.2.mp4",
        b"caf\xe9_rain_01.2.wav",
        b"caf\xe9_rain_01.mp4",
        b"caf\xe9_rain_01.wav",
        b"report.jsonl",
    ]
    lines = [json.loads(line) for line in Path("out/report.jsonl").read_text("utf-8").splitlines()]
    assert [line["status"] for line in lines] == ["ok", "ok", "skipped", "skipped"] * 2
    assert {(line["settings"]["prompt"], line["settings"]["seed"]) for line in lines} == {("caf rain", 5)}


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\0" * 4096)


def shrink(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def replace_by_another(path: Path) -> None:
    make_video(Path("other.mp4"), seconds=0.9, seed=7).replace(path)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (grow, b"has changed while it was read"),
        (shrink, b"has changed while it was read"),
        (replace_by_another, b"has changed while it was read"),
        (Path.unlink, b"has vanished while it was read"),
    ],
)
@pytest.mark.parametrize("moment", ["before decoding", "after decoding", "while it is copied"])
def test_a_file_that_changes_while_it_is_read_fails_alone_and_leaves_nothing(
    spoil: Callable[[Path], None],
    told: bytes,
    moment: str,
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    from mfv2a.jobs import stages
    from mfv2a.media import mux

    decode, run = stages.see_video, mux.run_ffmpeg

    def spoil_around_decoding(info: VideoInfo, *rest: object, **options: object) -> object:
        if info.path.name == "b.mp4" and moment == "before decoding":
            spoil(info.path)
        clip = decode(info, *rest, **options)  # type: ignore[arg-type]
        if info.path.name == "b.mp4" and moment == "after decoding":
            spoil(info.path)
        return clip

    def spoil_after_copying(*args: object, path: Path, **kwargs: object) -> None:
        run(*args, path=path, **kwargs)  # type: ignore[arg-type]
        if path.name == "b.mp4" and moment == "while it is copied":
            spoil(path)

    monkeypatch.setattr(stages, "see_video", spoil_around_decoding)
    monkeypatch.setattr(mux, "run_ffmpeg", spoil_after_copying)
    for name in "abc":
        make_video(Path(f"in/{name}.mp4"), seconds=0.5)
    assert main(["dub", "in", "--out", "out", *TINY, "--also-wav"]) == 3
    out, err = capsysbinary.readouterr()
    assert out == b"out/a.mp4\nout/c.mp4\n"
    (line,) = [line for line in err.splitlines() if b"failed: " in line]
    assert told in line
    assert b"run the same command again" in line
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.mp4", "a.wav", "c.mp4", "c.wav", "report.jsonl"]


def test_a_file_that_vanishes_before_it_is_probed_fails_alone(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    from mfv2a.jobs import dub

    find = dub.find_videos

    def find_and_lose(*args: object) -> object:
        found = find(*args)  # type: ignore[arg-type]
        Path("in/b.mp4").unlink()
        return found

    monkeypatch.setattr(dub, "find_videos", find_and_lose)
    for name in "ab":
        make_video(Path(f"in/{name}.mp4"), seconds=0.3)
    assert main(["dub", "in", "--out", "out", *TINY]) == 3
    out, err = capsysbinary.readouterr()
    assert out == b"out/a.mp4\n"
    assert b"in/b.mp4: failed: cannot be read: No such file or directory" in err


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
        (["in", "--out", "out", "--prompt-from", "dreams"], 2, "--prompt-from"),
        (["in", "--out", "out", "--variants", "0"], 2, "--variants"),
        (["in", "--out", "out", "--keep-audio", "both"], 2, "--keep-audio"),
        (["in", "--out", "out", "--mix-gain", "-6"], 2, "--mix-gain"),
        (["in", "--out", "out", "--keep-audio", "mix", "--mix-gain", "99"], 2, "--mix-gain"),
        (["in", "--out", "out", "--keep-audio", "mix", "--mix-gain", "nan"], 2, "--mix-gain"),
        (["in", "--out", "out", "--loudness", "loud"], 2, "--loudness"),
        (["in", "--out", "out", "--loudness", "3"], 2, "--loudness"),
        (["in", "--out", "out", "--loudness", "nan"], 2, "--loudness"),
        (["in", "--out", "out", "--prompts", "gone.csv"], 2, "gone.csv"),
        (["in", "--out", "out", "--prompts", "in/a.mp4"], 2, "not a table"),
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

    import mfv2a.jobs.writing

    def no_space(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(mfv2a.jobs.writing, "mux_audio", no_space)
    for name in "abc":
        make_video(Path(f"in/{name}.mp4"), seconds=0.3)
    assert main(["dub", "in", "--out", "out", *TINY, "--batch-size", "1", "--workers", "1", "--also-wav"]) == 4
    out, err = capsysbinary.readouterr()
    assert out == b""
    assert b"the disk is full" in err
    assert sorted(digest("out")) == ["out/report.jsonl"]
    assert Path("out/report.jsonl").read_text().count("\n") == 1


def dub_in_a_child(*before: str, limit_bytes: int | None = None) -> subprocess.CompletedProcess[bytes]:
    """Dubs in/ into out/ in a process of its own, with a limit on the size of the files it may write."""

    def limit() -> None:
        import resource

        if limit_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

    words = [*before, sys.executable, "-m", "mfv2a", "dub", "in", "--out", "out", *TINY, "--audio-codec", "flac"]
    return subprocess.run(words, capture_output=True, timeout=120, preexec_fn=limit)


@pytest.mark.skipif(os.name == "nt", reason="no such limit there")
def test_a_file_that_may_not_grow_so_large_fails_alone_and_leaves_nothing() -> None:
    make_video(Path("in/a.mkv"), seconds=0.2)
    make_video(Path("in/b.mkv"), seconds=2, size=(640, 480), codec="ffv1")
    make_video(Path("in/c.mkv"), seconds=0.2)
    before = digest("in")
    done = dub_in_a_child(limit_bytes=200_000)
    assert done.returncode == 3, done.stderr
    assert done.stdout == b"out/a.mkv\nout/c.mkv\n"
    assert b"in/b.mkv: failed: out/b.mkv" in done.stderr or b"its output would be larger" in done.stderr
    assert sorted(digest("out")) == ["out/a.mkv", "out/c.mkv", "out/report.jsonl"]
    assert digest("in") == before


@pytest.mark.skipif(os.name == "nt", reason="no such limit there")
def test_where_not_a_byte_can_be_written_the_batch_stops_with_exit_4() -> None:
    make_video(Path("in/a.mkv"), seconds=0.2)
    Path("out").mkdir()
    done = dub_in_a_child(limit_bytes=0)
    assert done.returncode == 4, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith(b"error: out/report.jsonl: ")
    assert b" - " in last
    assert done.stdout == b""
    assert digest("out") == {"out/report.jsonl": hashlib.sha256(b"").hexdigest()}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_report_on_a_full_disk_stops_the_batch_with_exit_4(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    make_video(Path("in/a.mkv"), seconds=0.2)
    Path("out").mkdir()
    Path("out/report.jsonl").symlink_to("/dev/full")
    assert main(["dub", "in", "--out", "out", *TINY]) == 4
    err = capsysbinary.readouterr().err.splitlines()[-1]
    assert b"the disk is full" in err
    assert b"free some space" in err


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs a file system in memory")
def test_a_small_file_system_that_fills_up_stops_the_batch_and_a_rerun_goes_on() -> None:
    Path("out").mkdir()
    inside = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    mount = "mount -t tmpfs -o size=600k none out"
    if shutil.which("unshare") is None or subprocess.run([*inside, mount], capture_output=True).returncode != 0:
        pytest.skip("this machine lets nobody mount a small file system")
    for name in "abcd":
        make_video(Path(f"in/{name}.mkv"), seconds=0.4, size=(320, 240), codec="ffv1", seed=ord(name))
    sizes = [path.stat().st_size for path in Path("in").iterdir()]
    assert max(sizes) < 500_000 < sum(sizes)
    again = "rm out/a.mkv; ls -A out; " if sizes else ""
    done = dub_in_a_child(*inside, f'{mount} && "$@"; echo "exit $?"; {again} ls -A out', "sh")
    out = done.stdout.decode().splitlines()
    assert "exit 4" in out, done.stderr
    assert b"the disk is full" in done.stderr.splitlines()[-1]
    left = out[out.index("exit 4") + 1 :]
    assert "report.jsonl" in left
    assert not [name for name in left if name.endswith(".part")]


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
