"""Downloads that are cut: the next process goes on, and nothing is joined that does not belong together."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from local_hub import COMMIT, leave_home, running_hub
from mfv2a import downloads, hub, surroundings
from mfv2a.errors import CheckpointError
from mfv2a.register import Checkpoint

REPO, FILE = "someone/model", "weights/net.safetensors"
DATA = bytes(range(256)) * 120000
"""Three of the blocks of 10 MB that the library writes."""
SCRIPT = f"""
import sys, time
from mfv2a import hub
from mfv2a.errors import CheckpointError
from mfv2a.register import Checkpoint
time.sleep = lambda seconds: None
entry = Checkpoint(name="net", role="vae", licence="MIT", licence_url="x", repo="{REPO}", file="{FILE}")
try:
    print(hub.fetch(entry))
except CheckpointError as error:
    sys.exit(str(error))
"""
ENTRY = Checkpoint(name="net", role="vae", licence="MIT", licence_url="x", repo=REPO, file=FILE)


@pytest.fixture
def server(tmp_path, monkeypatch):
    leave_home(monkeypatch, tmp_path)
    with running_hub() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.address)
        running.files[REPO, FILE] = DATA
        yield running


def run() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ.copy(), text=True
    )


def ranges(server):
    return [wanted for method, path, wanted, _ in server.requests if method == "GET" and path.startswith("/cdn/")]


def blobs():
    return surroundings.cache_folder() / "models--someone--model" / "blobs"


def cut_once(server):
    """A process whose line is cut again and again until it gives up."""
    server.cuts = 1000
    process = run()
    process.communicate(timeout=120)
    assert process.returncode == 1
    server.cuts = 0
    server.requests.clear()


def test_the_next_process_asks_for_the_rest_alone(server):
    cut_once(server)
    (part,) = blobs().iterdir()
    had = part.stat().st_size
    assert 0 < had < len(DATA)
    out, _ = run().communicate(timeout=120)
    assert ranges(server) == [f"bytes={had}-"]
    path = blobs().parent / "snapshots" / COMMIT / FILE
    assert out.strip() == str(path)
    assert path.read_bytes() == DATA
    assert [blob.name for blob in blobs().iterdir()] == [hashlib.sha256(DATA).hexdigest()]


def test_a_killed_process_leaves_what_had_come_to_the_next(server):
    server.stops_at = 25_000_000
    process = run()
    assert server.stopped.wait(120)
    while not any(part.stat().st_size for part in blobs().glob("*")):
        assert process.poll() is None
    process.kill()
    process.communicate(timeout=120)
    server.release()
    (part,) = blobs().iterdir()
    had = part.stat().st_size
    server.requests.clear()
    assert hub.fetch(ENTRY).read_bytes() == DATA
    assert ranges(server) == [f"bytes={had}-"]


def test_what_came_is_found_by_every_program_with_the_library(server):
    from huggingface_hub import scan_cache_dir, try_to_load_from_cache

    path = hub.fetch(ENTRY)
    found = try_to_load_from_cache(REPO, FILE, cache_dir=surroundings.cache_folder())
    assert found == str(path)
    (repo,) = scan_cache_dir(surroundings.cache_folder()).repos
    assert repo.size_on_disk == len(DATA)


def test_the_part_of_another_version_is_not_gone_on_with(server):
    cut_once(server)
    other = bytes(reversed(DATA))
    server.files[REPO, FILE] = other
    assert hub.fetch(ENTRY).read_bytes() == other
    assert ranges(server) == [""]


def test_a_part_with_wrong_bytes_is_told_and_does_not_stay(server):
    cut_once(server)
    (part,) = blobs().iterdir()
    part.write_bytes(bytes(part.stat().st_size))
    with pytest.raises(CheckpointError, match="as the hub says it is") as caught:
        hub.fetch(ENTRY)
    assert "try again" in caught.value.hint
    assert list(blobs().iterdir()) == []
    assert hub.fetch(ENTRY).read_bytes() == DATA


def test_a_part_that_is_longer_than_its_file_is_begun_anew(server):
    cut_once(server)
    (part,) = blobs().iterdir()
    part.write_bytes(DATA + b"x")
    assert hub.fetch(ENTRY).read_bytes() == DATA


def test_a_file_that_came_short_is_not_taken_for_whole(server):
    whole = f"sha256:{hashlib.sha256(DATA).hexdigest()}"
    server.short = True
    with pytest.raises(CheckpointError):
        hub.fetch(ENTRY)
    assert hub.find_file(ENTRY) is None
    server.short = False
    assert hub.verify(ENTRY, hub.fetch(ENTRY)).digest == whole


def test_what_dead_processes_left_is_cleared(server):
    blobs().mkdir(parents=True)
    names = {
        "a.0123abcd.incomplete": (downloads.ORPHAN_S, False),
        "b.0123abcd.incomplete": (0, True),  # of a process that may live
        "c.incomplete": (downloads.ORPHAN_S, True),  # the library's version 1 goes on with it
        f"d{downloads.PART}": (downloads.PART_S, False),
        f"e{downloads.PART}": (downloads.ORPHAN_S, True),
    }
    for name, (age_s, _) in names.items():
        (blobs() / name).write_bytes(b"part")
        now = (blobs() / name).stat().st_mtime
        os.utime(blobs() / name, (now - age_s - 60, now - age_s - 60) if age_s else None)
    hub.fetch(ENTRY)
    left = {file.name for file in blobs().glob("*.incomplete")}
    assert left == {name for name, (_, stays) in names.items() if stays}


def test_of_two_processes_one_fetches_and_both_have_it_whole(server):
    both = [run() for _ in range(2)]
    for process in both:
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        assert Path(out.strip()).read_bytes() == DATA
    assert ranges(server) == [""]


def test_the_token_goes_no_further_than_the_hub(server, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", server.token)
    hub.fetch(ENTRY)
    sent = {path.split("/")[1]: bool(token) for _, path, _, token in server.requests}
    assert sent == {"someone": True, "cdn": False}
