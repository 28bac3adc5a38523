"""Videos and outputs behind URLs: as on a disk, and fetched only when they are looked at."""

from __future__ import annotations

import errno
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from made_videos import make_video
from mfv2a.cli import main
from mfv2a.errors import MediaError, without_passwords
from mfv2a.jobs import staging
from mfv2a.jobs.mirror import Mirror
from mfv2a.jobs.reported import read_records
from mfv2a.media.remote import Remote
from mfv2a.media.standin import is_stand_in, stand_in

pytestmark = pytest.mark.usefixtures("empty_stores")
TINY = ["--model", "tiny"]
DUB = ["dub", "memory://in", "--out", "memory://out", *TINY]


def put(name: str, *, seconds: float = 0.3, text: str | None = None) -> None:
    data = make_video(Path("made") / name, seconds=seconds).read_bytes() if text is None else text.encode()
    MemoryFileSystem().pipe_file(f"/in/{name}", data)


def stored(root: str = "/out") -> set[str]:
    return {name.removeprefix(root + "/") for name in MemoryFileSystem().find(root)}


def report(name: str = "report.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in MemoryFileSystem().cat_file(f"/out/{name}").splitlines()]


def test_a_tree_is_dubbed_as_on_a_disk_and_a_second_run_fetches_nothing(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    put("a.mp4")
    put("day 1/b#?.mov")
    put("day 1/b#?.txt", text="rain on a roof")
    put("notes.md", text="no video")
    assert main([*DUB, "--also-wav"]) == 0
    out, err = capsysbinary.readouterr()
    assert out.splitlines() == [b"memory://out/a.mp4", b"memory://out/day 1/b#?.mov"]
    assert b"mfv2a-stage" not in err
    assert stored() == {"report.jsonl", "a.mp4", "a.wav", "day 1/b#?.mov", "day 1/b#?.wav"}
    first, second = report()
    assert (first["source"], first["output"]) == ("memory://in/a.mp4", "memory://out/a.mp4")
    assert second["settings"]["prompt"] == "rain on a roof"
    Path("made/day 1/b#?.txt").write_text("rain on a roof")
    assert main(["dub", "made", "--out", "local", *TINY]) == 0
    for name in ("a.mp4", "day 1/b#?.mov"):
        assert MemoryFileSystem().cat_file(f"/out/{name}") == Path("local", name).read_bytes()

    def refuses(self: Remote, file: object, target: Path) -> None:
        raise MediaError(target, "cannot be fetched: no network")

    monkeypatch.setattr(Remote, "fetch", refuses)
    MemoryFileSystem().rm_file("/in/day 1/b#?.txt")
    assert main([*DUB, "--also-wav", "--prompt", ""]) == 3  # the second has to be made again, and cannot be fetched
    assert [line["status"] for line in report()] == ["ok", "ok", "skipped", "failed"]
    err = capsysbinary.readouterr().err
    assert b"[1/2] memory://in/a.mp4: done already" in err
    assert b"[2/2] memory://in/day 1/b#?.mov: failed: cannot be fetched: no network" in err


def test_what_a_killed_run_has_delivered_is_done_and_what_it_was_at_is_made_again(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    put("a.mp4")
    put("b.mp4")
    upload = Remote.put

    def dies(self: Remote, source: Path, relative: str, **more: Any) -> None:
        if relative.endswith("b.mp4.json"):
            raise KeyboardInterrupt
        upload(self, source, relative, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Remote, "put", dies)
        patch.setattr(Mirror, "commit", lambda self: None)
        assert main([*DUB, "--workers", "1"]) == 130
    assert stored() >= {"a.mp4", "b.mp4", ".mfv2a/report.jsonl/a.mp4.json", ".mfv2a/report.jsonl/b.mp4.claim"}
    assert "report.jsonl" not in stored()
    capsysbinary.readouterr()
    assert main(DUB) == 0
    err = capsysbinary.readouterr().err
    assert b"memory://in/a.mp4: done already" in err
    assert b"cut off while it wrote 1 of its files" in err
    assert stored() == {"report.jsonl", "a.mp4", "b.mp4"}
    assert {line["source"]: line["status"] for line in report()} == {
        "memory://in/a.mp4": "skipped",
        "memory://in/b.mp4": "ok",
    }


def test_an_upload_that_fails_is_that_clips_failure(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    put("a.mp4")
    put("b.mp4")
    upload = MemoryFileSystem.put_file

    def refuses(self: MemoryFileSystem, source: str, target: str, **rest: Any) -> None:
        if target.endswith("/a.mp4"):
            raise ConnectionError("503 slow down")
        upload(self, source, target, **rest)

    with monkeypatch.context() as patch:
        patch.setattr(MemoryFileSystem, "put_file", refuses)
        assert main(DUB) == 3
    assert b"cannot be written to memory://out/a.mp4: 503 slow down" in capsysbinary.readouterr().err
    assert {line["source"]: line["status"] for line in report()} == {
        "memory://in/a.mp4": "failed",
        "memory://in/b.mp4": "ok",
    }
    assert main(DUB) == 0
    assert stored() == {"report.jsonl", "a.mp4", "b.mp4"}


def test_an_output_whose_marker_could_not_be_written_is_ours_to_replace(monkeypatch: pytest.MonkeyPatch) -> None:
    put("a.mp4")
    upload = MemoryFileSystem.put_file

    def refuses(self: MemoryFileSystem, source: str, target: str, **rest: Any) -> None:
        if target.endswith("a.mp4.json"):
            raise ConnectionError("reset")
        upload(self, source, target, **rest)

    with monkeypatch.context() as patch:
        patch.setattr(MemoryFileSystem, "put_file", refuses)
        assert main(DUB) == 3
    assert stored() == {"report.jsonl", "a.mp4", ".mfv2a/report.jsonl/a.mp4.claim"}
    assert main(DUB) == 0
    assert stored() == {"report.jsonl", "a.mp4"}


def test_a_dozen_urls_are_told_apart(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    names = [f"memory://in/{number}.mp4" for number in range(12)]
    for number in range(12):
        put(f"{number}.mp4", text="no video")
    assert main(["dub", *names, "--out", "memory://out", *TINY]) == 3
    assert sorted(line["source"] for line in report()) == sorted(names)
    assert b"mfv2a-stage" not in capsysbinary.readouterr().err


def test_several_workers_deliver(tmp_path: Path) -> None:
    for name in "abc":
        make_video(Path("store/in") / f"{name}.mp4", seconds=0.3)
    url = f"file://{tmp_path}/store"
    assert main(["dub", f"{url}/in", "--out", f"{url}/out", "--device", "cpu,cpu", *TINY]) == 0
    made = {path.name for path in Path("store/out").rglob("*") if path.is_file()}
    assert made == {"report.jsonl", "a.mp4", "b.mp4", "c.mp4"}


def test_a_network_that_fails_once_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    put("a.mp4")
    fetch, calls = MemoryFileSystem.get_file, []

    def fails_once(self: MemoryFileSystem, *rest: Any, **more: Any) -> None:
        calls.append(rest)
        if len(calls) == 1:
            raise ConnectionError("reset")
        fetch(self, *rest, **more)

    monkeypatch.setattr(MemoryFileSystem, "get_file", fails_once)
    assert main(DUB) == 0
    assert len(calls) == 2


def test_a_disk_that_fills_up_while_videos_are_fetched_ends_the_run(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    put("a.mp4")
    put("b.mp4")

    def full(self: MemoryFileSystem, *rest: Any, **more: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")  # a write that fails names no file

    monkeypatch.setattr(MemoryFileSystem, "get_file", full)
    assert main(DUB) == 4
    last = capsysbinary.readouterr().err.splitlines()[-1].decode()
    assert last.startswith(f"error: the disk of temporary files ({tempfile.tempdir}) is full - ")
    assert "TMPDIR" in last


@pytest.mark.parametrize(
    ("word", "outputs"),
    [
        ("memory://in/day/b.mp4", {"b.mp4"}),
        ("memory://in/*/b.*", {"day/b.mp4"}),
        ("memory://in/", {"a.mp4", "day/b.mp4"}),
    ],
)
def test_a_file_a_glob_and_a_folder_may_be_named(word: str, outputs: set[str]) -> None:
    put("a.mp4")
    put("day/b.mp4")
    assert main(["dub", word, "--out", "out", *TINY]) == 0
    made = {path.relative_to("out").as_posix() for path in Path("out").rglob("*.mp4")}
    assert made == outputs
    lines = [json.loads(line) for line in Path("out/report.jsonl").read_text().splitlines()]
    assert all(line["source"].startswith("memory://in/") for line in lines)


def test_a_disks_videos_may_go_into_a_store_and_the_stores_outputs_are_no_inputs() -> None:
    make_video(Path("in/a.mp4"), seconds=0.3)
    assert main(["dub", "in", "--out", "memory://in/dubbed", *TINY]) == 0
    assert stored("/in") == {"dubbed/a.mp4", "dubbed/report.jsonl"}
    put("c.mp4")
    assert main(["dub", "memory://in", "--out", "memory://in/dubbed", *TINY]) == 0
    assert stored("/in") == {"c.mp4", "dubbed/a.mp4", "dubbed/c.mp4", "dubbed/report.jsonl"}


def test_what_others_put_there_is_not_replaced(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    put("a.mp4")
    MemoryFileSystem().pipe_file("/out/a.mp4", b"somebody's")
    assert main(DUB) == 3
    assert b"memory://out/a.mp4: already there, and not made by mfv2a" in capsysbinary.readouterr().err
    assert MemoryFileSystem().cat_file("/out/a.mp4") == b"somebody's"


def test_shards_keep_reports_of_their_own() -> None:
    for name in "abcdef":
        put(f"{name}.mp4", seconds=0.2)
    for index in (1, 2):
        assert main([*DUB, "--shard", f"{index}/2"]) == 0
    both = [*report("report-1-of-2.jsonl"), *report("report-2-of-2.jsonl")]
    assert sorted(line["source"] for line in both) == [f"memory://in/{name}.mp4" for name in "abcdef"]


def test_two_takes_of_a_video_fetch_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    put("a.mp4")
    fetch, fetched = Remote.fetch, []
    monkeypatch.setattr(Remote, "fetch", lambda self, file, target: (fetched.append(file), fetch(self, file, target)))
    assert main([*DUB, "--variants", "2"]) == 0
    assert len(fetched) == 1
    assert stored() == {"report.jsonl", "a.mp4", "a.2.mp4"}


def test_another_take_of_a_video_that_is_half_done_is_made() -> None:
    put("a.mp4")
    assert main(DUB) == 0
    assert main([*DUB, "--variants", "2"]) == 0
    assert stored() == {"report.jsonl", "a.mp4", "a.2.mp4"}


def test_a_folder_that_another_run_takes_for_stale_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    put("a.mp4")
    lock, refused = staging.try_lock, []

    def once(file: Any) -> bool:
        if not refused:
            refused.append(Path(file.name).parent)
            shutil.rmtree(refused[0])
            return False
        return lock(file)

    monkeypatch.setattr(staging, "try_lock", once)
    assert main(DUB) == 0
    assert len(refused) == 1
    assert stored() == {"report.jsonl", "a.mp4"}


def test_a_dry_run_makes_nothing(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    put("a.mp4")
    assert main([*DUB, "--dry-run"]) == 0
    assert capsysbinary.readouterr().out == b"memory://out/a.mp4\n"
    assert not stored()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["memory://none", "--out", "out"], 4, "nothing to dub: memory://none"),
        (["memory://in/none.mp4", "--out", "out"], 4, "memory://in/none.mp4: no such file"),
        (["nostore://in", "--out", "out"], 2, "nostore://in: "),
        (["memory://in", "--out", "memory://out", "--ray", "local"], 2, "actors of a Ray cluster"),
    ],
)
def test_what_cannot_work_is_told_with_its_url(
    arguments: list[str], code: int, words: str, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    put("a.mp4")
    assert main(["dub", *arguments, *TINY]) == code
    err = capsysbinary.readouterr().err.decode()
    assert words in err
    assert "mfv2a-stage" not in err


def test_where_there_is_a_rename_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("a.bin").write_bytes(b"sound")
    there = Remote(f"file://{tmp_path}/store")
    there.put(Path("a.bin"), "x/y.bin")
    assert Path("store/x/y.bin").read_bytes() == b"sound"
    assert [path.name for path in Path("store/x").iterdir()] == ["y.bin"]

    def full(*_: Any) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr("fsspec.implementations.local.LocalFileSystem.mv", full)
    with pytest.raises(MediaError, match="read-only"):
        there.put(Path("a.bin"), "x/z.bin")
    assert [path.name for path in Path("store/x").iterdir()] == ["y.bin"]


def test_a_password_in_a_url_is_neither_shown_nor_reported(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    store = MemoryFileSystem()
    make_video(Path("c.mp4"), seconds=0.3)
    store.pipe_file("/user:secret@b/in/c.mp4", Path("c.mp4").read_bytes())
    words = ["dub", "memory://user:secret@b/in", "--out", "memory://user:secret@b/out", *TINY]
    for told in (b"1 dubbed", b"done already"):
        assert main(words) == 0
        out, err = capsysbinary.readouterr()
        assert told in err
        assert b"secret" not in out + err
    assert out == b"memory://user@b/out/c.mp4\n"
    lines = store.cat_file("/user:secret@b/out/report.jsonl")
    assert b"memory://user@b/in/c.mp4" in lines
    assert b"secret" not in lines
    assert without_passwords("abfs://files@account.net/a") == "abfs://files@account.net/a"


def test_errors_of_a_store_show_no_password(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("ftp://user:secret@b/out/c.mp4 is read-only")

    make_video(Path("c.mp4"), seconds=0.3)
    for words in (
        ["c.mp4", "--out", "ftp://user:secret@127.0.0.1:1/x"],
        ["nothing://user:secret@h/x", "--out", "o"],
        ["s3://user:secret@b/x", "--out", "o", "--ray", "local"],
    ):
        assert main(["dub", *words, *TINY]) in (2, 4)
        out, err = capsysbinary.readouterr()
        assert b"error: " in err
        assert b"secret" not in out + err
    monkeypatch.setattr(MemoryFileSystem, "put_file", refuse)
    with pytest.raises(MediaError, match="cannot be written to memory://user@b") as caught:
        Remote("memory://user:secret@b/out").put(Path("c.mp4"), "c.mp4")
    assert "secret" not in str(caught.value)


def test_a_name_with_brackets_means_the_file_of_that_name() -> None:
    put("a 1.mp4")
    put("a [1].mp4", seconds=0.6)
    assert main(["dub", "memory://in/a [1].mp4", "--out", "out", *TINY]) == 0
    assert [path.name for path in Path("out").rglob("*.mp4")] == ["a [1].mp4"]


def test_a_name_that_no_disk_holds_is_that_videos_failure(capsys: pytest.CaptureFixture[str]) -> None:
    put("a.mp4")
    MemoryFileSystem().cp_file("/in/a.mp4", f"/in/{'x' * 300}.mp4")
    assert main(["dub", "memory://in/", "--out", "out", *TINY]) == 3
    assert [path.name for path in Path("out").rglob("*.mp4")] == ["a.mp4"]
    assert "no file here can have its name: File name too long" in capsys.readouterr().err
    assert len(list(read_records(Path("out/report.jsonl")))) == 2


def test_a_stand_in_has_the_size_and_takes_no_room(tmp_path: Path) -> None:
    stand_in(tmp_path / "new" / "a.mp4", 10**9, 123_000)
    status = (tmp_path / "new" / "a.mp4").stat()
    assert (status.st_size, status.st_mtime_ns) == (10**9, 123_000)
    assert is_stand_in(tmp_path / "new" / "a.mp4")
    (tmp_path / "b").write_bytes(b"x" * 5000)
    assert not is_stand_in(tmp_path / "b")


def test_names_that_would_leave_the_folder_are_left_out_with_a_word(caplog: pytest.LogCaptureFixture) -> None:
    for name in ("/in/../../etc/x.mp4", "/in/ok.mp4"):
        MemoryFileSystem.store[name] = MemoryFileSystem().open("/in/ok.mp4", "wb")
    assert [file.relative for file in Remote("memory://in").files()] == ["ok.mp4"]
    assert "x.mp4 is left out" in caplog.text


def test_what_was_made_from_one_address_is_not_replaced_by_anothers(capsys: pytest.CaptureFixture[str]) -> None:
    for place, seed in (("one", 0), ("two", 1)):
        make_video(Path(place, "a.mp4"), seconds=0.2, seed=seed)
    out = Path("out").absolute()
    line = ["--out", out.as_uri(), "--model", "tiny", "--quiet"]
    assert main(["dub", Path("one").absolute().as_uri(), *line]) == 0
    made = (out / "a.mp4").read_bytes()
    assert main(["dub", Path("two").absolute().as_uri(), *line]) == 3
    assert "already there, made from" in capsys.readouterr().err
    assert (out / "a.mp4").read_bytes() == made
    assert main(["dub", Path("one").absolute().as_uri(), *line]) == 0
    assert main(["dub", Path("two").absolute().as_uri(), *line, "--overwrite"]) == 0
    assert (out / "a.mp4").read_bytes() != made
