"""Stores that fail for a while, refuse, or are addressed by what nobody else shall see."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from made_videos import make_video
from mfv2a.cli import main
from mfv2a.errors import MediaError, StartError, without_passwords
from mfv2a.jobs import lock, staging
from mfv2a.media import store
from mfv2a.media.listed import RemoteFile
from mfv2a.media.remote import Remote
from mfv2a.media.store import whereabouts

pytestmark = pytest.mark.usefixtures("empty_stores")
TINY = ["--model", "tiny"]


class Lines(MemoryFileSystem):
    """A store behind one connection that, once lost, stays lost; a new instance has a new one."""

    protocol = "lines"
    cachable = True
    made: ClassVar[list[Lines]] = []

    def __init__(self, **words: Any) -> None:
        super().__init__(**words)
        self.is_lost = False
        self.made.append(self)

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.replace("lines://", "memory://"))

    def _check(self) -> None:
        if self.is_lost:
            raise OSError("Connection not open")

    def info(self, path: str, **words: Any) -> Any:
        self._check()
        return super().info(path, **words)

    def get_file(self, path: str, target: str, **words: Any) -> None:
        self._check()
        Path(target).write_bytes(self.cat_file(path))

    def put_file(self, source: str, path: str, **words: Any) -> None:
        self._check()
        self.pipe_file(path, Path(source).read_bytes())


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> type[Lines]:
    fsspec.register_implementation("lines", Lines, clobber=True)
    Lines.clear_instance_cache()
    Lines.made.clear()
    return Lines


def test_a_connection_that_is_lost_is_made_anew(lines: type[Lines]) -> None:
    remote = Remote("lines://in")
    lines().pipe_file("/in/a.mp4", b"12")
    lines.made[-1].is_lost = True
    remote.fetch(RemoteFile("a.mp4", 2, 0), Path("a.mp4"))
    assert Path("a.mp4").read_bytes() == b"12"
    assert len(lines.made) == 2
    lines.made[-1].is_lost = True
    remote.put(Path("a.mp4"), "b.mp4")
    lines.made[-1].is_lost = True
    assert remote.file("b.mp4") == RemoteFile("b.mp4", 2, remote.look(RemoteFile("b.mp4", None, 0)).mtime_ns)
    assert len(lines.made) == 4


def test_a_store_that_cannot_be_reached_any_more_is_told_as_it_was(
    lines: type[Lines], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines().pipe_file("/in/a.mp4", b"12")
    monkeypatch.setattr(lines, "get_file", lambda *_, **__: (_ for _ in ()).throw(OSError("Connection not open")))
    with pytest.raises(MediaError, match="cannot be fetched: Connection not open") as told:
        Remote("lines://in").fetch(RemoteFile("a.mp4", 2, 0), Path("a.mp4"))
    assert told.value.hint == store.AGAIN_HINT


class Forbidden(MemoryFileSystem):
    """Buckets that may be read and not written."""

    protocol = "s3"

    def put_file(self, *_: Any, **__: Any) -> None:
        raise PermissionError("AccessDenied")


def test_a_bucket_into_which_nothing_may_be_written_ends_the_run_at_the_first_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in "abc":
        make_video(Path(f"in/{name}.mp4"), seconds=0.2)
    system = Forbidden()
    system.pipe_file("/there/x", b"1")
    monkeypatch.setattr(store, "_connected", lambda url, _: (system, url.removeprefix("s3://")))
    assert main(["dub", "in", "--out", "s3://there/out", *TINY, "--workers", "1"]) == 4
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: an output cannot be written to s3://there/out/")
    assert last.endswith(f"AccessDenied - {store.ACCESS_HINT}")


def test_what_to_do_about_a_refusal_is_not_to_try_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(MemoryFileSystem, "get_file", refuse)
    monkeypatch.setattr(MemoryFileSystem, "put_file", refuse)
    Path("a.mp4").write_bytes(b"1")
    with pytest.raises(MediaError, match="cannot be fetched") as told:
        Remote("memory://in").fetch(RemoteFile("a.mp4", 1, 0), Path("b.mp4"))
    assert told.value.hint == store.ACCESS_HINT
    with pytest.raises(MediaError, match="cannot be written") as told:
        Remote("memory://in").put(Path("a.mp4"), "x", of=Path("out/a.mp4"))
    assert (told.value.hint, told.value.path) == (store.ACCESS_HINT, Path("out/a.mp4"))


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("sftp://me:p@ssWORD@host:22/a/b@2x.mp4", "sftp://me@host:22/a/b@2x.mp4"),
        ("sftp://me:p/SECRET@host/a.mp4", "sftp://me@host/a.mp4"),
        ("sftp://me:12/SECRET@host/a.mp4", "sftp://me:12/SECRET@host/a.mp4"),  # which is a port
        ("http://host:8080/a@b.mp4", "http://host:8080/a@b.mp4"),
        ("https://host/a:b@c.mp4", "https://host/a:b@c.mp4"),
        ("sftp://me@corp.com:SECRET@host/x", "sftp://me@corp.com@host/x"),
        ("http://[::1]:8000/a@b.mp4", "http://[::1]:8000/a@b.mp4"),
        ("http://h:80,http://g:90/a@b", "http://h:80,http://g:90/a@b"),
        ('{"url":"http://h:8000"},{"mail":"x@y"}', '{"url":"http://h:8000"},{"mail":"x@y"}'),
        ("s3://key:secret@bucket/a.mp4 and ftp://u:v@h/b", "s3://key@bucket/a.mp4 and ftp://u@h/b"),
    ],
)
def test_passwords_are_not_shown_whatever_is_in_them(address: str, shown: str) -> None:
    assert without_passwords(address) == shown


def test_servers_are_told_apart_and_users_and_usual_ports_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hosts(MemoryFileSystem):
        protocol = ("sftp", "ssh")

    monkeypatch.setattr(store, "_connected", lambda url, _: (Hosts(), "/" + url.split("/", 3)[3]))
    assert whereabouts("sftp://nas1/videos") != whereabouts("sftp://nas2/videos")
    assert whereabouts("sftp://me:pw@NAS1:22/videos/") == whereabouts("ssh://nas1/videos")
    assert whereabouts("sftp://nas1:2222/videos") != whereabouts("sftp://nas1/videos")


def test_what_is_not_surely_left_behind_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoLocks:
        LOCK_SH = LOCK_EX = LOCK_NB = 0

        def flock(self, *_: Any) -> None:
            raise OSError(errno.ENOLCK, "No locks available")

    for locks in (NoLocks(), None):
        monkeypatch.setattr(lock, "fcntl", locks)
        with staging._locked_folder() as other:
            staging._remove_stale()
            assert other.is_dir()


def test_removing_a_name_with_the_signs_of_a_glob_removes_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    class Buckets(MemoryFileSystem):
        protocol = "s3"

    system = Buckets()
    monkeypatch.setattr(store, "_connected", lambda url, _: (system, url.removeprefix("s3://")))
    for name in ("a*.json", "ab.json", "c.json", "d.json"):
        system.pipe_file(f"/in/{name}", b"1")
    Remote("s3:///in").remove(["a*.json", "c.json", "gone.json"])
    assert [Path(name).name for name in system.find("/in")] == ["ab.json", "d.json"]


class Downloads(BaseHTTPRequestHandler):
    """Gives a clip to whoever has the token."""

    clip: ClassVar[bytes] = b""

    def do_HEAD(self) -> None:
        self._answer(b"")

    def do_GET(self) -> None:
        self._answer(self.clip)

    def _answer(self, body: bytes) -> None:
        allowed = "token=SECRET" in self.path
        self.send_response(200 if allowed else 403)
        self.send_header("Content-Length", str(len(self.clip) if allowed else 0))
        self.end_headers()
        if allowed:
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def downloads() -> Iterator[str]:
    """The address of a server of downloads."""
    Downloads.clip = make_video(Path("made.mp4"), seconds=0.2).read_bytes()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Downloads)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("name", ["download", "clip.MP4;v=1", "clip.mp4"])
def test_what_is_asked_of_a_server_is_in_no_name_message_or_report(
    downloads: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"{downloads}/{name}"
    assert main(["dub", f"{url}?id=7&token=SECRET2", "--out", "out", *TINY]) == 0
    wrong = [f"{url}?id=7#t=SECRET3", f"{url}#t=SECRET4", f"{downloads}/clip?SECRET5678"]
    assert main(["dub", *wrong, "--out", "other", *TINY]) in (3, 4)
    told = capsys.readouterr()
    report = Path("out/report.jsonl").read_text()
    names = [str(path) for path in (*Path("out").rglob("*"), *Path("other").rglob("*"))]
    assert "SECRET" not in told.out + told.err + report + "".join(names)
    assert json.loads(report)["status"] == "ok"


def test_two_things_that_are_asked_of_one_address_are_two_videos(downloads: str) -> None:
    asked = [f"{downloads}/get?id={number}&token=SECRET" for number in (1, 2)]
    assert main(["dub", *asked, "--out", "out", *TINY]) == 0
    made = sorted(path.name for path in Path("out").glob("get-*.mp4"))
    assert len(made) == 2
    assert main(["dub", asked[0].replace("http", "HTTP", 1), "--out", "out", *TINY]) == 0
    assert sorted(path.name for path in Path("out").glob("*.mp4")) == made


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://h/get?id=7", "http://h/get"),
        ("http://h/a.mp4?x", "http://h/a.mp4"),
        ("http://h/get?SECRETTOKEN", "http://h/get"),
        ("http://h/clip?.mp4", ""),
        ("http://h/cam?/a.mp4", ""),
        ("http://h/cam?/", ""),
        ("s3://h/get?id=7", ""),
    ],
)
def test_a_question_mark_asks_a_server_or_stands_for_a_sign(url: str, address: str) -> None:
    assert staging._signed(url)[0] == address


def test_what_a_server_says_of_what_it_was_asked_is_not_repeated() -> None:
    remote = Remote("http://h/x", "?id=a%20b&token=SECRET")
    for said in ("403, no /get?id=a%20b&token=SECRET", "no /get?id=a b&token=SECRET", "HTTP://h/get?it's=SECRET"):
        assert "SECRET" not in remote._why(OSError(said))


def test_tables_of_prompts_show_no_password_and_nothing_that_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    make_video(Path("in/a.mp4"), seconds=0.2)
    Path("t.csv").write_text("path,prompt\nhttp://u:SECRET@127.0.0.1:1/x.mp4?sig=SECRET,rain\n")
    assert main(["dub", "in", "--out", "out", "--prompts", "t.csv", *TINY]) == 2
    assert "SECRET" not in capsys.readouterr().err


def test_a_store_that_is_gone_for_a_while_fails_what_is_asked_for_then_and_not_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError("timed out")

    monkeypatch.setattr(store, "_connected", refuse)
    Path("a.mp4").write_bytes(b"1")
    with pytest.raises(MediaError, match="cannot be fetched: sftp://me@host/in cannot be reached: timed out"):
        Remote("sftp://me:secret@host/in").fetch(RemoteFile("a.mp4", 1, 0), Path("b.mp4"))
    with pytest.raises(MediaError, match=r"cannot be written to sftp://me@host/in/a\.mp4: sftp://me@host/in cannot be"):
        Remote("sftp://me:secret@host/in").put(Path("a.mp4"), "a.mp4")


def test_a_store_that_refuses_a_connection_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError("timed out")

    monkeypatch.setattr(store, "_connected", refuse)
    with pytest.raises(StartError, match="sftp://me@host/in cannot be reached: timed out"):
        Remote("sftp://me:secret@host/in").files()
