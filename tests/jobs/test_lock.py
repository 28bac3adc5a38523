"""What the lock of an output folder remembers of a run that was killed or cut off, and for how long."""

from __future__ import annotations

import errno
import fcntl
import io
import threading
from pathlib import Path

import pytest

from made_videos import make_video
from mfv2a.cli import main
from mfv2a.jobs.claims import append
from mfv2a.jobs.lock import LOCK_NAME, locked
from mfv2a.jobs.report import Report
from mfv2a.media.temporary import part_path

TINY = ["--model", "tiny", "--quiet"]
OUT, LOCK = Path("out"), Path("out", LOCK_NAME)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def dub_two() -> None:
    for name in "ab":
        make_video(Path(f"in/{name}.mp4"), seconds=0.2)
    assert main(["dub", "in", "--out", "out", *TINY]) == 0
    assert not LOCK.exists()


def test_what_a_killed_run_had_told_is_as_safe_as_after_any_other(capsys: pytest.CaptureFixture[str]) -> None:
    dub_two()
    with locked(OUT) as lock:
        for name in "ab":
            lock.claim(OUT / f"{name}.mp4", Path(f"in/{name}.mp4"))
        lock.tell(OUT / "a.mp4")
        left = LOCK.read_bytes()
    LOCK.write_bytes(left)  # as after kill -9
    for name in "ab":
        make_video(OUT / f"{name}.mp4", seconds=0.4, seed=5)
    mine = (OUT / "a.mp4").read_bytes()
    assert main(["dub", "in", "--out", "out", *TINY]) == 3
    told = capsys.readouterr().err
    assert "out/a.mp4: changed since mfv2a made it" in told
    assert "out/b.mp4" not in told
    assert (OUT / "a.mp4").read_bytes() == mine
    assert Report(OUT).last(Path("in/b.mp4"))["status"] == "ok"  # type: ignore[index]
    assert not LOCK.exists()


def test_an_output_that_was_replaced_and_not_told_is_made_again() -> None:
    dub_two()
    with locked(OUT) as lock:
        lock.claim(OUT / "a.mp4", Path("in/a.mp4"))
        make_video(OUT / "new.mp4", seconds=0.4, seed=5)
        (OUT / "new.mp4").replace(OUT / "a.mp4")
    assert LOCK.exists()
    assert main(["dub", "in", "--out", "out", *TINY]) == 0
    assert not LOCK.exists()


def test_an_output_that_was_only_about_to_be_replaced_leaves_nothing() -> None:
    dub_two()
    with locked(OUT) as lock:
        lock.claim(OUT / "a.mp4", Path("in/a.mp4"))
    assert not LOCK.exists()


def test_what_a_killed_run_was_at_outlives_a_run_that_ends_before_it_has_read_the_report() -> None:
    OUT.mkdir()
    make_video(Path("in/a.mp4"), seconds=0.2)
    with locked(OUT) as lock:
        lock.claim(OUT / "a.mp4", Path("in/a.mp4"))
        left = LOCK.read_bytes()
    LOCK.write_bytes(left)
    (OUT / "a.mp4").write_bytes(b"renamed, not yet in the report")
    part_path(OUT / "a.mp4").write_bytes(b"half")
    with locked(OUT):
        pass
    assert LOCK.read_bytes() == left
    assert main(["dub", "in", "--out", "out", *TINY]) == 0
    assert sorted(path.name for path in OUT.iterdir()) == ["a.mp4", "report.jsonl"]


def test_what_a_killed_writer_left_half_is_removed_when_the_run_ends() -> None:
    OUT.mkdir()
    with locked(OUT) as lock:
        lock.claim(OUT / "a.mp4", Path("in/a.mp4"))
        part_path(OUT / "a.mp4").write_bytes(b"half")
    assert not list(OUT.iterdir())


def test_who_only_looks_for_a_moment_keeps_nobody_out() -> None:
    OUT.mkdir()
    with LOCK.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        soon = threading.Timer(0.1, lambda: fcntl.flock(other, fcntl.LOCK_UN))
        soon.start()
        with locked(OUT, (1, 2)):
            soon.join()


def test_shards_that_look_at_once_for_those_of_another_count_do_not_refuse_each_other() -> None:
    OUT.mkdir()
    killed = OUT / ".mfv2a-1-of-4.lock"
    killed.touch()
    with killed.open("ab") as looks:
        fcntl.flock(looks, fcntl.LOCK_SH)
        with locked(OUT, (1, 8)):
            pass


def test_a_line_that_does_not_fit_on_the_disk_is_not_there_at_all(tmp_path: Path) -> None:
    class Full(io.FileIO):
        def write(self, data: bytes) -> int:  # type: ignore[override]
            return super().write(data[:4])

    path = tmp_path / "lock"
    path.write_bytes(b"{}\n")
    with Full(path, "ab+") as file, pytest.raises(OSError, match="No space left") as caught:
        append(file, b'{"output": "a"}\n')
    assert caught.value.errno == errno.ENOSPC
    assert path.read_bytes() == b"{}\n"
