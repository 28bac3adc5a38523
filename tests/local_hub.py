"""A small hub on 127.0.0.1 that speaks the Hub's protocol for files: metadata by HEAD, a redirect, ranges, its errors.

A file is served as the Hub serves large ones: `/REPO/resolve/REVISION/FILE` answers with commit, ETag and size and
points to `/cdn/...`, which sends the bytes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """What the hub holds and how it behaves.

    Attributes:
        files: (repo, file) to bytes.
        heads: repo to the commit that `files` is of, where it is not COMMIT; former: (repo, commit, file) to bytes.
        gated: repos that want accepted terms; private: repos that want a token at all.
        token: the one that opens both; with another one nothing is given.
        cuts: how many of the next downloads break off half way.
        stops_at: bytes after which a download stands still until `release`; 0 for none. `stopped` says that one does.
        short: downloads end at half of the file, as if that were all of it, and its size is not told.
        busy: how many of the next requests are answered with 429.
        status: what every request is answered with, if not 0; 200 is a page that is no hub's.
        requests: (method, path, range header, authorization) of each request.
        address: of the hub.
    """

    files: dict[tuple[str, str], bytes] = field(default_factory=dict)
    heads: dict[str, str] = field(default_factory=dict)
    former: dict[tuple[str, str, str], bytes] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    private: set[str] = field(default_factory=set)
    token: str = "hf_right"
    cuts: int = 0
    stops_at: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    short: bool = False
    busy: int = 0
    status: int = 0
    requests: list[tuple[str, str, str, str]] = field(default_factory=list)
    address: str = ""

    def commit(self, repo: str, commit: str, files: dict[str, bytes]) -> None:
        """Give a repo another head with these files; those of the former stay under their commit."""
        before = self.heads.get(repo, COMMIT)
        for owner, file in list(self.files):
            if owner == repo:
                self.former[repo, before, file] = self.files.pop((owner, file))
        self.files |= {(repo, file): data for file, data in files.items()}
        self.heads[repo] = commit

    def release(self) -> None:
        """Let downloads that stand still end; later ones do not stop."""
        self.stops_at = 0
        self.released.set()


class Answers(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Silence."""

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_POST(self) -> None:
        """Making a repo and a commit whose files are sent in it, as the Hub takes small ones."""
        hub, path = self.hub, unquote(self.path.split("?")[0])
        body = self.read_body()
        hub.requests.append((self.command, path, "", self.headers.get("Authorization", "")))
        if self.headers.get("Authorization") != f"Bearer {hub.token}":
            return self.reply(401, {})
        if path == "/api/repos/create":
            asked = json.loads(body)
            owner = asked.get("organization") or "someone"
            return self.reply_json({"url": f"{hub.address}/{owner}/{asked['name']}"})
        if path == "/api/validate-yaml":
            return self.reply_json({"errors": [], "warnings": []})
        repo, _, rest = path.removeprefix("/api/models/").partition("/preupload/")
        if rest:
            files = json.loads(body)["files"]
            modes = [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False, "oid": None} for f in files]
            return self.reply_json({"files": modes})
        repo = path.removeprefix("/api/models/").partition("/commit/")[0]
        for line in body.splitlines():
            record = json.loads(line)
            if record["key"] == "file":
                hub.files[repo, record["value"]["path"]] = base64.b64decode(record["value"]["content"])
        url = f"{hub.address}/{repo}/commit/{COMMIT}"
        return self.reply_json({"commitUrl": url, "commitOid": COMMIT, "success": True})

    def read_body(self) -> bytes:
        """The body of a request, in one piece or in chunks."""
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def reply_json(self, value: object) -> None:
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def answer(self, *, with_body: bool) -> None:
        hub, path = self.hub, unquote(self.path.split("?")[0])
        authorization = self.headers.get("Authorization", "")
        hub.requests.append((self.command, path, self.headers.get("Range", ""), authorization))
        if hub.busy > 0:
            hub.busy -= 1
            return self.reply(429, {"Retry-After": "0"})
        if hub.status:
            return self.reply(hub.status, {})
        if path.startswith("/cdn/"):
            repo, _, rest = path.removeprefix("/cdn/").partition("/-/")
            commit, _, file = rest.partition("/")
            return self.send_file(self.bytes_of(repo, commit, file), with_body=with_body)
        repo, _, rest = path.lstrip("/").partition("/resolve/")
        revision, _, file = rest.partition("/")
        if repo not in {name for name, _ in hub.files}:
            return self.reply(401, {"X-Error-Code": "RepoNotFound"})
        if authorization != f"Bearer {hub.token}" and repo in hub.gated:
            return self.reply(403, {"X-Error-Code": "GatedRepo"})
        refused = authorization not in ("", f"Bearer {hub.token}")
        if refused or (authorization != f"Bearer {hub.token}" and repo in hub.private):
            return self.reply(401, {"X-Error-Message": "Invalid credentials in Authorization header"})
        head = hub.heads.get(repo, COMMIT)
        commit = head if revision == "main" else revision
        if commit != head and (repo, commit) not in {(owner, each) for owner, each, _ in hub.former}:
            return self.reply(404, {"X-Error-Code": "RevisionNotFound"})
        data = self.bytes_of(repo, commit, file)
        if data is None:
            return self.reply(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
        facts = {
            "X-Repo-Commit": commit,
            "X-Linked-Etag": f'"{hashlib.sha256(data).hexdigest()}"',
            "X-Linked-Size": str(len(data)),
            "Location": f"{hub.address.replace('127.0.0.1', 'localhost')}/cdn/{repo}/-/{commit}/{file}",
        }
        if hub.short:
            del facts["X-Linked-Size"]
        return self.reply(302, facts)

    def bytes_of(self, repo: str, commit: str, file: str) -> bytes | None:
        hub = self.hub
        at_head = commit == hub.heads.get(repo, COMMIT)
        return hub.files.get((repo, file)) if at_head else hub.former.get((repo, commit, file))

    def reply(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send_file(self, data: bytes, *, with_body: bool) -> None:
        hub, wanted = self.hub, self.headers.get("Range", "")
        start = int(wanted.removeprefix("bytes=").split("-")[0]) if wanted.startswith("bytes=") else 0
        part = data[start : len(data) // 2 if hub.short else None]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(part)))
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.end_headers()
        if not with_body:
            return
        if hub.cuts > 0:
            hub.cuts -= 1
            self.wfile.write(part[: len(part) // 2])
            self.close_connection = True
            self.wfile.flush()
            self.connection.close()
            return
        if 0 < hub.stops_at < len(part):
            self.wfile.write(part[: hub.stops_at])
            self.wfile.flush()
            hub.stopped.set()
            hub.released.wait()
            self.close_connection = True
            return
        self.wfile.write(part)


@contextmanager
def running_hub() -> Iterator[Hub]:
    """A hub that answers until the block ends."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Answers,), {"hub": hub}))
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        hub.release()
        server.shutdown()
        server.server_close()


def leave_home(monkeypatch: Any, folder: Path) -> None:
    """Puts the hub's cache and the tool's own files into a folder, and forgets what this machine says of the hub."""
    for name in ("HF_HUB_CACHE", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(folder / "hf"))
    monkeypatch.setenv("HF_TOKEN_PATH", str(folder / "no-token"))
    monkeypatch.setenv("MFV2A_HOME", str(folder / "home"))
