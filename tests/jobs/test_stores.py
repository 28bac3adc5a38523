"""Web servers and stores as they are: sizes that nobody tells, signed addresses, silence, work that ends too late."""

from __future__ import annotations

import _thread
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote, unquote

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from made_videos import make_video
from mfv2a.cli import main
from mfv2a.errors import StoreError
from mfv2a.jobs.mirror import Mirror
from mfv2a.media import store
from mfv2a.media.listed import RemoteFile, decoded
from mfv2a.media.patience import OverdueError, Patience, done_aside, patient
from mfv2a.media.remote import Remote
from mfv2a.records import ItemResult

TINY = ["--model", "tiny"]
DUB = ["dub", "memory://in", "--out", "memory://out", *TINY]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(store, "PAUSE_S", 0.0)
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


class Server(ThreadingHTTPServer):
    """Videos by name; what it tells of them can be chosen."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.videos: dict[str, bytes] = {}
        self.headers: dict[str, str] = {}
        self.tells_size, self.wanted_query = True, ""
        self.refused: dict[str, int] = {}
        self.silence = threading.Event()
        self.strict = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answers(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        path, _, query = self.path.partition("?")
        path = unquote(path)
        inside = [name for name in self.server.videos if f"/{name}".startswith(path.rstrip("/") + "/")]
        if inside and self.server.strict and not path.endswith("/"):  # it does not lead from /in to /in/
            return self.send_error(404)
        if inside:
            below = [name.removeprefix(path.strip("/")).strip("/") for name in inside]
            data = "".join(f'<a href="{quote(name)}">x</a>' for name in below).encode()
            kind = "text/html"
        elif path[1:] in self.server.refused:
            return self.send_error(self.server.refused[path[1:]])
        elif path[1:] in self.server.videos and self.server.wanted_query in (query, "any"):
            data, kind = self.server.videos[path[1:]], "video/mp4"
        else:
            return self.send_error(403 if path[1:] in self.server.videos else 404)
        self.send_response(200)
        self.send_header("Content-Type", kind)
        if self.server.tells_size:
            self.send_header("Content-Length", str(len(data)))
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if body and kind == "video/mp4" and self.server.silence.is_set():
            self.wfile.write(data[:100])
            self.wfile.flush()
            time.sleep(30)
        elif body:
            self.wfile.write(data)
        return None


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        server.videos = {name: make_video(Path("made") / name, seconds=0.3).read_bytes() for name in ("a.mp4", "b.mp4")}
        yield server
        server.shutdown()


def lines(path: str = "o/report.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


@pytest.mark.parametrize("tells_size", [True, False])
@pytest.mark.parametrize("word", ["/", "/*.mp4", "/a.mp4"])
def test_a_web_servers_folder_glob_and_file(server: Server, word: str, tells_size: bool) -> None:
    server.tells_size = tells_size
    assert main(["dub", server.url + word, "--out", "o", *TINY]) == 0
    names = {"a.mp4"} if word == "/a.mp4" else {"a.mp4", "b.mp4"}
    assert {path.name for path in Path("o").glob("*.mp4")} == names
    assert {line["source"] for line in lines()} == {f"{server.url}/{name}" for name in names}


@pytest.mark.parametrize("kind", ["Last-Modified", "ETag"])
def test_a_video_that_a_web_server_has_anew_is_dubbed_anew(server: Server, kind: str) -> None:
    for seconds, told in ((1_700_000_000, "1 dubbed"), (1_700_000_000, "skipped"), (1_700_000_009, "1 dubbed")):
        server.headers = {kind: formatdate(seconds, usegmt=True) if kind == "Last-Modified" else f'"{seconds}"'}
        assert main(["dub", f"{server.url}/a.mp4", "--out", "o", *TINY]) == 0
        assert lines()[-1]["status"] == ("ok" if told == "1 dubbed" else "skipped")


@pytest.mark.parametrize("status", [401, 403, 500, 503])
def test_an_address_that_is_refused_fails_alone(
    server: Server, status: int, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    server.refused = {"c.mp4": status}
    assert main(["dub", f"{server.url}/c.mp4", f"{server.url}/a.mp4", "--out", "o", *TINY]) == 3
    assert f"{server.url}/c.mp4: failed: cannot be listed: {status}".encode() in capsysbinary.readouterr().err
    assert {line["source"]: line["status"] for line in lines()} == {
        f"{server.url}/c.mp4": "failed",
        f"{server.url}/a.mp4": "ok",
    }
    assert main(["dub", f"{server.url}/c.mp4", "--out", "p", *TINY]) == 4
    err = capsysbinary.readouterr().err
    assert f"nothing to dub: {server.url}/c.mp4: cannot be listed".encode() in err
    assert b"check the address, and that you have access" in err


@pytest.mark.parametrize("host", ["127.0.0.1:9", "no-such-host.invalid"])
def test_a_server_that_cannot_be_reached_is_not_a_file_that_is_not_there(
    server: Server, host: str, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert main(["dub", f"http://{host}/c.mp4", f"{server.url}/a.mp4", "--out", "o", *TINY]) == 3
    err = capsysbinary.readouterr().err
    assert f"http://{host}/c.mp4: failed: cannot be reached".encode() in err
    assert main(["dub", f"{server.url}/none.mp4", f"{server.url}/a.mp4", "--out", "o", *TINY]) == 3
    assert b"none.mp4: failed: no such file" in capsysbinary.readouterr().err


def test_a_text_that_cannot_be_had_fails_its_video_alone(
    server: Server, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    server.videos |= {"a.txt": b"rain", "b.txt": b"a dog barking"}
    server.refused["a.txt"] = 403
    assert main(["dub", f"{server.url}/", "--out", "o", *TINY]) == 3
    said = capsysbinary.readouterr().err.decode()
    assert f"{server.url}/a.mp4: failed: the text beside it cannot be had: cannot be fetched: 403" in said
    assert "mfv2a-stage" not in said
    assert sorted(path.name for path in Path("o").glob("*.mp4")) == ["b.mp4"]
    del server.refused["a.txt"]
    assert main(["dub", f"{server.url}/", "--out", "o", *TINY]) == 0
    assert {line["name"]: line["settings"]["prompt"] for line in lines() if line["status"] == "ok"} == {
        "a.mp4": "rain", "b.mp4": "a dog barking",
    }  # fmt: skip


def test_nothing_is_written_to_a_web_server(server: Server, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["dub", f"{server.url}/a.mp4", "--out", f"{server.url}/o", *TINY]) == 2
    assert b"web server" in capsysbinary.readouterr().err


def test_what_is_named_twice_is_dubbed_once(server: Server) -> None:
    once, twice = f"{server.url}/a.mp4", f"{server.url}/*.mp4"
    assert main(["dub", once, once, twice, server.url, "--out", "o", *TINY]) == 0
    assert sorted(line["source"] for line in lines()) == [f"{server.url}/a.mp4", f"{server.url}/b.mp4"]


@pytest.mark.parametrize("word", ["", "/rain%20on%20tin%20%26%20caf%C3%A9%20100%25.mp4"])
def test_names_of_a_web_server_are_those_of_its_files_and_not_of_their_addresses(server: Server, word: str) -> None:
    name = "rain on tin & caf\u00e9 100%.mp4"
    server.videos = {name: server.videos["a.mp4"]}
    line = ["dub", server.url + word, "--out", "o", "--prompt-from", "filename", *TINY]
    assert main(line) == 0
    (told,) = lines()
    assert Path("o", name).is_file()
    assert (told["source"], told["settings"]["prompt"]) == (f"{server.url}/{name}", "rain on tin caf\u00e9")
    assert main(line) == 0
    assert [each["status"] for each in lines()] == ["ok", "skipped"]


def test_what_differs_in_what_is_asked_alone_is_not_the_same(
    server: Server, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    server.wanted_query = "any"
    two = [f"{server.url}/a.mp4?id=1", f"{server.url}/a.mp4?id=2"]
    assert main(["dub", *two, "--out", "o", *TINY, "--dry-run"]) == 2
    assert b"would both become" in capsysbinary.readouterr().err


def test_one_file_under_two_spellings_is_dubbed_once_and_what_a_folder_leaves_out_can_be_named(server: Server) -> None:
    server.videos = {"a b.mp4": server.videos["a.mp4"], "odd.xyz": server.videos["b.mp4"], "t.txt": b"rain"}
    words = [f"{server.url}/a%20b.mp4", f"{server.url}/a b.mp4", server.url, f"{server.url}/odd.xyz"]
    assert main(["dub", *words, "--out", "o", *TINY]) == 0
    assert sorted(line["source"] for line in lines()) == [f"{server.url}/a b.mp4", f"{server.url}/odd.xyz"]


@pytest.mark.parametrize("word", ["/\u00dcbung", "/%C3%9Cbung", "/\u00dcbung/a%20b.mp4", "/%C3%9Cbung/a b.mp4"])
def test_folders_of_a_web_server_are_found_however_they_are_written(server: Server, word: str) -> None:
    server.videos = {"\u00dcbung/a b.mp4": server.videos["a.mp4"]}
    assert main(["dub", server.url + word, "--out", "o", *TINY]) == 0
    assert Path("o/a b.mp4").is_file()


def test_a_run_with_addresses_that_was_killed_while_it_wrote_goes_on(server: Server) -> None:
    killed = (
        "import os, signal, sys; from mfv2a.media import mux; from mfv2a.cli import main\n"
        "mux.run_ffmpeg = lambda *rest, **named: os.kill(os.getpid(), signal.SIGKILL)\n"
        "main(sys.argv[1:])"
    )
    words = ["dub", f"{server.url}/a.mp4", "--out", "o", "--also-wav", *TINY]
    env = {**os.environ, "TMPDIR": tempfile.gettempdir()}
    assert subprocess.run([sys.executable, "-c", killed, *words], check=False, env=env).returncode == -signal.SIGKILL
    assert Path("o/a.wav").is_file()
    assert main(words) == 0
    assert [line["status"] for line in lines()] == ["ok"]


def test_an_address_that_would_lead_out_of_the_folder_stays_as_it_is() -> None:
    names = ["%2e%2e/a.mp4", "a%20b.mp4", "a b.mp4", "c%2Fd.mp4", "c%2fd.mp4", "%00.mp4", "..%5C..%5Ca.mp4"]
    found, raw = decoded(RemoteFile(name, 1, 1) for name in names)
    assert [file.relative for file in found] == [*names[:3], "c/d.mp4", *names[4:]]
    assert raw == {"c/d.mp4": "c%2Fd.mp4"}


def test_a_folder_is_asked_for_with_the_slash_that_it_is_named_with(server: Server) -> None:
    server.videos = {f"in/{name}": data for name, data in server.videos.items()}
    server.strict = True
    assert main(["dub", f"{server.url}/in/", "--out", "o", *TINY]) == 0
    assert sorted(path.name for path in Path("o").glob("*.mp4")) == ["a.mp4", "b.mp4"]


def test_names_in_a_page_are_read_as_a_page_has_them() -> None:
    files, raw = decoded([RemoteFile("a&amp;b.mp4", None, 0), RemoteFile("c%20d.mp4", None, 0)])
    assert [file.relative for file in files] == ["a&b.mp4", "c d.mp4"]
    assert raw == {"a&b.mp4": "a&b.mp4", "c d.mp4": "c%20d.mp4"}


def test_a_row_of_a_table_names_a_video_by_its_address(server: Server) -> None:
    server.videos = {"rain on tin?.mp4": server.videos["a.mp4"], "b.mp4": server.videos["b.mp4"]}
    Path("t.csv").write_text(
        f"path,prompt\n{server.url}/rain%20on%20tin%3F.mp4,thunder\n{server.url}/b.mp4?x=1,bells\n"
    )
    assert main(["dub", server.url, "--out", "o", "--prompts", "t.csv", *TINY]) == 0
    prompts = {line["source"].rpartition("/")[2]: line["settings"]["prompt"] for line in lines()}
    assert prompts == {"rain on tin?.mp4": "thunder", "b.mp4": "bells"}


def test_a_signed_address_is_named_without_its_signature(
    server: Server, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    server.wanted_query = "X-Amz-Credential=AKIA%2F20260101&X-Amz-Signature=" + "5ec4e7" * 60
    for told in (b"1 dubbed", b"done already"):
        assert main(["dub", f"{server.url}/a.mp4?{server.wanted_query}", "--out", "o", *TINY]) == 0
        out, err = capsysbinary.readouterr()
        assert told in err
        assert b"5ec4e7" not in out + err
    assert {path.name for path in Path("o").iterdir()} == {"a.mp4", "report.jsonl"}
    assert "5ec4e7" not in Path("o/report.jsonl").read_text()
    assert main(["dub", f"{server.url}/b.mp4?token=5ec4e7", "--out", "o", *TINY]) == 3
    out, err = capsysbinary.readouterr()
    assert b"b.mp4: failed" in err
    assert b"5ec4e7" not in out + err


def test_a_server_that_falls_silent_costs_one_video_its_time(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    server.silence.set()
    make_video(Path("here/c.mp4"), seconds=0.3)
    assert main(["dub", f"{server.url}/a.mp4", "here", "--out", "o", "--timeout", "5", *TINY]) == 3
    assert b"a.mp4: failed: took longer than --timeout 5 s allows" in capsysbinary.readouterr().err
    assert Path("o/c.mp4").exists()
    monkeypatch.setattr(store, "SILENT_S", 0.2)
    monkeypatch.setattr(store, "TRIES", 1)
    assert main(["dub", f"{server.url}/b.mp4", "--out", "o", *TINY]) == 3
    assert b"cannot be fetched" in capsysbinary.readouterr().err


def test_what_is_done_aside_gives_its_value_its_error_or_is_left() -> None:
    assert done_aside(lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        done_aside(lambda: 1 // 0)
    ends = threading.Event()
    with pytest.raises(OverdueError), patient(Patience(0.01)):
        done_aside(ends.wait)
    ends.set()


def put(name: str) -> None:
    MemoryFileSystem().pipe_file(f"/in/{name}", make_video(Path("made") / name, seconds=0.3).read_bytes())


def stored() -> set[str]:
    return {name.removeprefix("/out/") for name in MemoryFileSystem().find("/out")}


def test_what_was_delivered_and_not_told_is_told_in_the_end(tmp_path: Path) -> None:
    folder, out = tmp_path / "mirror", Remote("memory://out")
    folder.mkdir()
    mirror = Mirror(out=(folder, out), began="2026-01-02T00:00:00.000+00:00")
    record = {"source": "memory://in/a.mp4", "status": "ok", "mfv2a": "0.1.0"}

    def line(name: str, time: str) -> bytes:
        return json.dumps(record | {"name": name, "time": time}).encode() + b"\n"

    before, then = "2026-01-01T00:00:00.000+00:00", "2026-01-02T00:00:01.000+00:00"
    (folder / "report.jsonl").write_bytes(line("old.mp4", before) + line("again.mp4", before) + line("told.mp4", then))
    times = {"old.mp4": before, "again.mp4": then, "told.mp4": then, "late.mp4": then}
    for name, time_ in times.items():
        MemoryFileSystem().pipe_file(f"/out/.mfv2a/report.jsonl/{name}.json", line(name, time_))
        MemoryFileSystem().pipe_file(f"/out/.mfv2a/report.jsonl/{name}.claim", b"{}\n")
    MemoryFileSystem().pipe_file("/out/.mfv2a/report.jsonl/cut.mp4.claim", b"{}\n")
    mirror.commit()
    assert stored() == {"report.jsonl", ".mfv2a/report.jsonl/cut.mp4.claim"}
    told = [json.loads(each) for each in MemoryFileSystem().cat_file("/out/report.jsonl").splitlines()]
    assert [each["name"] for each in told] == ["old.mp4", "again.mp4", "told.mp4", "again.mp4", "late.mp4"]


def test_two_interrupts_while_an_upload_hangs_lose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        put(name)
    deliver, others = Mirror.deliver, threading.Semaphore(0)
    main_thread = threading.main_thread()

    def hangs(self: Mirror, result: ItemResult) -> None:
        if result.source.name == "a.mp4":
            for _ in range(2):
                others.acquire(timeout=60)
            _thread.interrupt_main()
            time.sleep(1)
            _thread.interrupt_main()
            time.sleep(3)
            return
        deliver(self, result)
        others.release()

    with monkeypatch.context() as patch:
        patch.setattr(Mirror, "deliver", hangs)
        assert main([*DUB, "--workers", "3"]) == 130
    assert main_thread.is_alive()
    assert {"b.mp4", "c.mp4", "report.jsonl"} <= stored()
    assert main(DUB) == 0
    assert stored() == {"a.mp4", "b.mp4", "c.mp4", "report.jsonl"}


def test_what_somebody_put_in_an_outputs_place_is_kept(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    put("a.mp4")
    assert main(DUB) == 0
    own = make_video(Path("own.mp4"), seconds=1.0).read_bytes()
    MemoryFileSystem().pipe_file("/out/a.mp4", own)
    assert main(DUB) == 3
    assert b"changed since mfv2a made it" in capsysbinary.readouterr().err
    assert MemoryFileSystem().cat_file("/out/a.mp4") == own


def test_an_output_folder_that_is_a_file_or_a_cache_behind_a_url_is_refused(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    put("a.mp4")
    assert main(["dub", "memory://in", "--out", "memory://in/a.mp4", *TINY]) == 2
    assert b"--out memory://in/a.mp4 is a file" in capsysbinary.readouterr().err
    assert main([*DUB, "--cache", "s3://user:secret@b/c"]) == 2
    err = capsysbinary.readouterr().err
    assert b"--cache s3://user@b/c cannot work" in err


class Buckets(MemoryFileSystem):
    protocol = "s3"
    made: ClassVar[list[str]] = []

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        self.made.append(path)
        super().makedirs(path, exist_ok)

    def put_file(self, source: str, target: str, **_: Any) -> None:  # as a store does, without folders
        self.pipe_file(target, Path(source).read_bytes())


def test_a_bucket_that_is_not_there_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    system = Buckets()
    monkeypatch.setattr(store, "_connected", lambda url, _: (system, url.removeprefix("s3://")))
    assert Remote("s3://typo/x").why_no_folder() == "lies in typo, which is not there"
    system.pipe_file("/there/y", b"1")
    assert Remote("s3://there/x").why_no_folder() == ""
    assert Remote("s3://there/y").why_no_folder() == "is a file"
    Path("z").write_bytes(b"2")
    system.made.clear()
    Remote("s3://there/x").put(Path("z"), "z")
    assert system.cat_file("/there/x/z") == b"2"
    assert system.made == []


def test_a_report_that_cannot_be_brought_there_is_told_by_its_place(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    put("a.mp4")
    upload = MemoryFileSystem.put_file

    def refuses(self: MemoryFileSystem, source: str, target: str, **rest: Any) -> None:
        if target.endswith("/report.jsonl"):
            raise ConnectionError("no such luck")
        upload(self, source, target, **rest)

    monkeypatch.setattr(MemoryFileSystem, "put_file", refuses)
    assert main(DUB) == StoreError.exit_code == 3
    err = capsysbinary.readouterr().err
    assert b"cannot be written to memory://out/report.jsonl: no such luck; what was told as dubbed is there" in err
    assert b"mfv2a-stage" not in err


def test_a_folder_without_a_lock_is_removed_when_it_is_old(tmp_path: Path) -> None:
    old, new = tmp_path / "mfv2a-stage-old", tmp_path / "mfv2a-stage-new"
    for folder in (old, new):
        (folder / "in").mkdir(parents=True)
    os.utime(old, (1, 1))
    put("a.mp4")
    assert main(DUB) == 0
    assert not old.exists()
    assert new.exists()


def test_of_a_file_that_cannot_be_looked_at_nothing_changes() -> None:
    file = RemoteFile("none.mp4", None, 0)
    assert Remote("memory://in").look(file) == file
