"""Runs that meet trouble, and runs that have nothing left to do: through the command line, on the tiny model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from made_videos import make_video
from mfv2a.cli import main
from mfv2a.jobs.discover import find_videos
from mfv2a.jobs.dub import DubOptions, _plan_options
from mfv2a.jobs.heartbeat import Heartbeat
from mfv2a.jobs.lock import LOCK_NAME, locked
from mfv2a.jobs.plan import Item, Planner
from mfv2a.jobs.report import Report
from mfv2a.jobs.sound import SoundOptions
from mfv2a.jobs.start import Started
from mfv2a.loader import describe_model
from mfv2a.media.audio import read_audio
from mfv2a.media.temporary import part_path
from mfv2a.records import VideoInfo
from scarce_memory import let_fit

TINY = ["--model", "tiny"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def report(folder: str = "out") -> list[dict[str, object]]:
    return [json.loads(line) for line in (Path(folder) / "report.jsonl").read_text().splitlines()]


def forbid(name: str) -> object:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError(f"{name} was called")

    return forbidden


def test_a_folder_that_is_done_is_run_over_without_opening_a_video(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        make_video(Path(f"in/{number:02}.mp4"), seconds=0.1)
    command = ["dub", "in", "--out", "out", *TINY, "--quiet"]
    assert main(command) == 0
    for name in ("mfv2a.jobs.plan.probe_video", "mfv2a.jobs.plan.content_key", "mfv2a.jobs.outputs.content_key"):
        monkeypatch.setattr(name, forbid(name))
    monkeypatch.setattr("av.open", forbid("av.open"))
    monkeypatch.setattr("mfv2a.loader.load_pipeline", forbid("load_pipeline"))
    sizes = []
    for _ in range(3):
        assert main(command) == 0
        sizes.append(Path("out/report.jsonl").stat().st_size)
    assert len(report()) == 60
    assert sizes[0] == sizes[2]


def test_a_result_does_not_depend_on_workers_batch_or_order() -> None:
    for number in range(6):
        make_video(Path(f"in/{number}.mov"), seconds=0.4 + 0.3 * (number % 3), seed=number)
    sound = [*TINY, "--dtype", "float32", "--also-wav", "--prompt", "rain", "--quiet"]
    assert main(["dub", "in", "--out", "all", *sound, "--workers", "3", "--batch-size", "4"]) == 0
    backwards = [f"in/{number}.mov" for number in reversed(range(6))]
    assert main(["dub", *backwards, "--out", "back", *sound, "--workers", "1", "--batch-size", "2"]) == 0
    for number in range(6):
        assert main(["dub", f"in/{number}.mov", "--out", "alone", *sound]) == 0
        together, back, alone = (
            read_audio(Path(folder) / f"{number}.wav").samples for folder in ("all", "back/in", "alone/in")
        )
        np.testing.assert_allclose(together, alone, atol=1e-4)
        np.testing.assert_allclose(back, alone, atol=1e-4)


def test_a_touched_file_is_known_by_its_content_when_that_is_asked_for() -> None:
    make_video(Path("in/a.mp4"), seconds=0.2)
    command = ["dub", "in", "--out", "out", *TINY]
    assert main(command) == 0
    os.utime("in/a.mp4", (1, 1))
    assert main([*command, "--verify-content"]) == 0
    assert main([*command, "--overwrite", "--verify-content"]) == 0
    assert len(str(report()[-1]["details"]["sha256"])) == 64  # type: ignore[index]
    os.utime("in/a.mp4", (2, 2))
    assert main([*command, "--verify-content"]) == 0
    stat = Path("in/a.mp4").stat()
    data = bytearray(Path("in/a.mp4").read_bytes())
    data[-1] ^= 1  # the same size and time, other content
    Path("in/a.mp4").write_bytes(data)
    os.utime("in/a.mp4", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert main([*command, "--verify-content"]) == 0
    assert [line["status"] for line in report()] == ["ok", "skipped", "ok", "skipped", "ok"]


def test_too_many_failures_end_the_run_and_the_rest_is_not_begun(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    for name in "ace":
        make_video(Path(f"in/{name}.mp4"), seconds=0.2)
    for name in "bdf":
        Path(f"in/{name}.mp4").write_text("no video")
    command = ["dub", "in", "--out", "out", *TINY]
    assert main([*command, "--max-failures", "2"]) == 3
    err = capsysbinary.readouterr().err.decode()
    told = [line["status"] for line in report()]
    assert told.count("failed") == 2
    assert f"stopped after 2 failures (--max-failures 2): {6 - len(told)} of 6 were not done" in err
    assert not any(line["source"].endswith(("e.mp4", "f.mp4")) for line in report())
    assert main([*command, "--max-failures", "4"]) == 3
    assert sum(line["status"] == "ok" for line in report()) == 3


@pytest.mark.parametrize(
    "option", [["--max-failures", "0"], ["--timeout", "0"], ["--timeout", "nan"], ["--workers", "0"]]
)
def test_numbers_that_cannot_work_are_refused(option: list[str]) -> None:
    assert main(["dub", "in", "--out", "out", *TINY, *option]) == 2


def test_a_clip_that_takes_too_long_is_told_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    from mfv2a.jobs import stages
    from mfv2a.media.patience import check_patience

    decode = stages.see_video

    def slow(info: object, *rest: object, **options: object) -> object:
        while info.path.name == "b.mp4":  # type: ignore[attr-defined]
            check_patience()
            time.sleep(0.02)
        return decode(info, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(stages, "see_video", slow)
    for name in "abc":
        make_video(Path(f"in/{name}.mp4"), seconds=0.2)
    assert main(["dub", "in", "--out", "out", *TINY, "--timeout", "5"]) == 3
    out, err = capsysbinary.readouterr()
    assert out == b"out/a.mp4\nout/c.mp4\n"
    assert b"in/b.mp4: failed: took longer than --timeout 5 s allows" in err
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.mp4", "c.mp4", "report.jsonl"]


def test_two_runs_do_not_share_a_folder(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    make_video(Path("in/a.mp4"), seconds=0.2)
    Path("out").mkdir()
    with locked(Path("out")):
        assert main(["dub", "in", "--out", "out", *TINY]) == 4
        assert b"another run of mfv2a is writing into this folder" in capsysbinary.readouterr().err
        assert main(["dub", "in", "--out", "out", *TINY, "--dry-run"]) == 0
    assert main(["dub", "in", "--out", "out", *TINY]) == 0
    assert not Path("out", LOCK_NAME).exists()


def test_what_a_killed_run_was_writing_is_ours_and_its_rests_are_removed(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    make_video(Path("in/a.mp4"), seconds=0.2)
    Path("out").mkdir()
    with locked(Path("out")) as lock:
        lock.claim(Path("out/a.mp4"), Path("in/a.mp4"))
        left = Path("out", LOCK_NAME).read_bytes()
    Path("out", LOCK_NAME).write_bytes(left + b'{"output": "/cut')  # as after kill -9
    Path("out/a.mp4").write_bytes(b"renamed, not yet in the report")
    part_path(Path("out/a.mp4")).write_bytes(b"half")
    assert main(["dub", "in", "--out", "out", *TINY]) == 0
    assert b"cut off while it wrote 1 of its files" in capsysbinary.readouterr().err
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.mp4", "report.jsonl"]
    assert Report(Path("out")).source_of(Path("out/a.mp4")) == str(Path("in/a.mp4").absolute())


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="there is no folder that even root cannot write to")
def test_a_folder_that_cannot_be_written_is_told(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    make_video(Path("in/a.mp4"), seconds=0.2)
    assert main(["dub", "in", "--out", "/proc/self", *TINY]) == 4
    assert b"nothing can be written there" in capsysbinary.readouterr().err


def test_a_heartbeat_tells_counts_and_clips() -> None:
    make_video(Path("in/a.mp4"), seconds=0.2)
    Path("in/b.mp4").write_text("no video")
    assert main(["dub", "in", "--out", "out", *TINY, "--heartbeat", "beat.json"]) == 3
    beat = json.loads(Path("beat.json").read_text())
    counts = {name: beat[name] for name in ("state", "total", "settled", "ok", "skipped", "failed", "clips")}
    assert counts == {
        "state": "done",
        "total": 2,
        "settled": 2,
        "ok": 1,
        "skipped": 0,
        "failed": 1,
        "clips": [],
    }
    assert main(["dub", "in", "--out", "out2", *TINY, "--heartbeat", "no/beat.json"]) == 2
    assert not Path("out2").exists()


def test_a_heartbeat_beats_while_a_clip_is_worked_on(tmp_path: Path) -> None:
    path = tmp_path / "beat.json"
    with Heartbeat(path, lambda: {"total": 1}, every_s=0.02) as heart:
        heart.stage(Path("a.mp4"), "decode")
        end_s = time.monotonic() + 5
        while not json.loads(path.read_text())["clips"] and time.monotonic() < end_s:
            time.sleep(0.02)
        beat = json.loads(path.read_text())
        assert (beat["state"], beat["clips"][0]["source"], beat["clips"][0]["stage"]) == ("running", "a.mp4", "decode")
        heart.settled(Path("a.mp4"))
    assert json.loads(path.read_text())["clips"] == []
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("in/a.mp4", "a video to be dubbed"),
        ("in/empty.mp4", "a video to be dubbed"),
        ("link.mp4", "a video to be dubbed"),
        ("in/a.txt", "no heartbeat"),
        ("mine.json", "no heartbeat"),
        ("prompts.csv", "would replace a file that is read"),
        ("out/report.jsonl", "a file of its own"),
        ("out/report-1-of-2.jsonl", "a file of its own"),
        ("out/.mfv2a.lock", "a file of its own"),
        ("out/index.html", "a file of its own"),
        ("out/a.mkv", "may become an output"),
        ("out/a.2.WAV", "may become an output"),
        ("out/a.onsets.edl", "may become an output"),
        ("there.json", "may become an output"),
        ("out/odd.bin.mp4", "may become an output"),
        ("in", "is a folder"),
        (".", "is a folder"),
        ("/", "is a folder"),
        ("", "--heartbeat is empty"),
        ("no/beat.json", "no is no folder"),
        ("circle", "cannot be written"),
    ],
)
def test_a_heartbeat_takes_no_other_files_place(
    name: str, told: str, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    make_video(Path("in/a.mp4"), seconds=0.2)
    make_video(Path("odd.mp4"), seconds=0.2).rename("odd.bin")
    Path("in/a.txt").write_text("rain")
    Path("in/empty.mp4").touch()
    Path("prompts.csv").write_text("path,prompt\na.mp4,rain\n")
    Path("mine.json").write_text('{"mine": 1}')
    Path("out").mkdir()
    for link, leads in (("link.mp4", "in/a.mp4"), ("there.json", "out/a.2.mp4"), ("circle", "circle")):
        Path(link).symlink_to(leads)
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    words = ["dub", "in", "odd.bin", "--out", "out", "--prompts", "prompts.csv", "--variants", "2", *TINY]
    assert main([*words, "--heartbeat", name]) == 2
    (line,) = capsysbinary.readouterr().err.decode().splitlines()
    assert line.startswith("error: --heartbeat")
    assert told in line
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


def test_a_heartbeat_may_lie_among_outputs_and_take_the_place_of_an_earlier_one(here: Path) -> None:
    make_video(Path("in/a.mp4"), seconds=0.2)
    Path("out").mkdir()
    Path("link").symlink_to("beat.json")
    Path("beat.json").touch()
    for name in ("out/a.json", "out/a.json", "link", "link"):
        assert main(["dub", "in", "--out", "out", *TINY, "--heartbeat", name]) == 0
        assert json.loads(Path(name).read_text())["state"] == "done"
    assert Path("link").is_symlink()
    assert not list(here.rglob("*.part"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_heartbeat_goes_into_a_pipe_and_nobody_who_reads_it_holds_no_run_up(tmp_path: Path) -> None:
    make_video(Path("in/a.mp4"), seconds=0.2)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with Heartbeat(pipe, dict, every_s=60):
        assert json.loads(os.read(reader, 4096))["state"] == "running"
        writer = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        with suppress(BlockingIOError):
            while os.write(writer, bytes(4096)):  # until it is full
                pass
    os.close(writer)
    os.close(reader)
    assert main(["dub", "in", "--out", "out", *TINY, "--heartbeat", "pipe"]) == 0
    assert pipe.is_fifo()


def test_a_heartbeat_names_a_take_until_that_very_take_is_through(tmp_path: Path) -> None:
    path = tmp_path / "beat.json"
    with Heartbeat(path, dict, every_s=0.02) as heart:
        heart.stage(Path("a.mp4"), "mux", 1)
        heart.stage(Path("a.mp4"), "sample", 2)
        heart.settled(Path("a.mp4"), 1)
        time.sleep(0.2)
        (clip,) = json.loads(path.read_text())["clips"]
        assert (clip["source"], clip["variant"], clip["stage"]) == ("a.mp4", 2, "sample")
        heart.settled(Path("a.mp4"), 2)
    assert json.loads(path.read_text())["clips"] == []


@pytest.mark.slow
def test_a_run_ends_in_order_though_a_library_never_returns(tmp_path: Path) -> None:
    for name in "ab":
        make_video(tmp_path / "in" / f"{name}.mp4", seconds=0.2)
    program = """
import threading
from mfv2a.cli import run
from mfv2a.jobs import batch, stages
batch.GRACE_S = batch.CLOSE_S = 0.2
decode = stages.see_video
def hang(info, *rest, **options):
    if info.path.name == "a.mp4":
        threading.Event().wait()
    return decode(info, *rest, **options)
stages.see_video = hang
import sys
sys.argv = ["mfv2a", "dub", "in", "--out", "out", "--model", "tiny", "--timeout", "30"]
run()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=240, check=False)
    assert done.returncode == 3
    assert done.stdout == b"out/b.mp4\n"
    assert b"in/a.mp4: failed: took longer than --timeout 30 s allows" in done.stderr


def test_a_report_that_could_not_be_written_loses_no_output(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    import errno

    from mfv2a.jobs.lines import Lines

    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    make_video(Path("in/a.mp4"), seconds=0.3)
    make_video(Path("else/b.mp4"), seconds=0.3)
    with monkeypatch.context() as patch:
        patch.setattr(Lines, "add", full)
        assert main(["dub", "in", "--out", "out", *TINY]) == 4
    assert Path("out/a.mp4").exists()
    assert main(["dub", "else", "--out", "out", *TINY]) == 0  # a run over other files forgets nothing
    capsysbinary.readouterr()
    assert main(["dub", "in", "--out", "out", *TINY]) == 0
    assert capsysbinary.readouterr().out == b"out/a.mp4\n"
    assert not list(Path("out").glob(".mfv2a*"))


@pytest.mark.parametrize("device", ["cpu", "cpu,cpu"])
def test_a_file_whose_probe_hangs_is_given_up_and_the_others_are_made(
    monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    from mfv2a.jobs import plan

    for number in range(5):
        make_video(Path(f"in/{number}.mp4"), seconds=0.2, seed=number)
    Path("in/2.txt").write_text("rain")
    real, ends = plan.probe_video, threading.Event()

    def hang(path: Path) -> VideoInfo:
        if path.name == "2.mp4":
            ends.wait(60)
        return real(path)

    monkeypatch.setattr(plan, "probe_video", hang)
    try:
        assert main(["dub", "in", "--out", "out", "--timeout", "3", "--device", device, *TINY, "--quiet"]) == 3
    finally:
        ends.set()
    told = {Path(str(record["source"])).name: record for record in report()}
    assert {name: record["status"] for name, record in told.items()} == {
        f"{number}.mp4": "failed" if number == 2 else "ok" for number in range(5)
    }
    assert "longer than --timeout 3 s" in str(told["2.mp4"]["error"])


def test_a_process_remembers_from_batch_to_batch_how_many_windows_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = let_fit(monkeypatch, 1)
    for number in range(2):
        make_video(Path(f"in/{number}.mp4"), seconds=0.2, seed=number)
    options = DubOptions(out=Path("out"), sound=SoundOptions(model="tiny", batch_size=4))
    plan = _plan_options(options, describe_model("tiny"), {})
    groups = list(Planner(find_videos(["in"], Path("out")), plan, Report(Path("out"))))
    started = Started(options, lambda item, stage: None, cores=1)
    for group in groups:  # as chunks and rounds of a worker come
        items = [each for each in group if isinstance(each, Item)]
        started.expect(items)
        with started.batch(items, str) as batch:
            assert [result.status for result in batch] == ["ok"]
    assert sizes == [4, 2, 1, 1]
