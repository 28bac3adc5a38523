"""Fetching from a small hub: what is good arrives once, what is not is told."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest

from local_hub import COMMIT, leave_home, running_hub
from mfv2a import hub, register, surroundings, verified
from mfv2a.errors import CheckpointError
from mfv2a.register import Checkpoint, Place

REPO, FILE = "someone/model", "weights/net.safetensors"
DATA = bytes(range(256)) * 12000
SHA256 = f"sha256:{hashlib.sha256(DATA).hexdigest()}"


@pytest.fixture
def server(tmp_path, monkeypatch):
    leave_home(monkeypatch, tmp_path)
    with running_hub() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.address)
        running.files[REPO, FILE] = DATA
        yield running


def entry(**changes):
    facts = {"name": "net", "role": "vae", "licence": "MIT", "licence_url": "https://x", "repo": REPO, "file": FILE}
    return Checkpoint(**{**facts, "digest": SHA256, "bytes": len(DATA), **changes})


def paths(server, method):
    return [path for asked, path, _, _ in server.requests if asked == method]


def test_a_fresh_pull_follows_the_redirect_and_lies_under_its_commit(server):
    path = hub.fetch(entry())
    assert path.read_bytes() == DATA
    assert COMMIT in path.parts
    assert path.is_relative_to(surroundings.cache_folder())
    assert f"/cdn/{REPO}/-/{COMMIT}/{FILE}" in paths(server, "GET")


def test_what_is_here_is_neither_asked_for_nor_read_again(server, monkeypatch):
    first = hub.fetch(entry())
    server.requests.clear()
    monkeypatch.setattr(hub, "digest_of", lambda *_: pytest.fail("read again"))
    assert hub.fetch(entry()) == first
    assert server.requests == []


def test_a_connection_cut_half_way_goes_on_with_a_range(server):
    server.cuts = 1
    large = DATA * 10  # what has come is kept by blocks of 10 MB
    server.files[REPO, FILE] = large
    assert hub.fetch(entry(bytes=len(large), digest="")).read_bytes() == large
    ranges = [wanted for _, path, wanted, _ in server.requests if path.startswith("/cdn/") and wanted]
    assert any(wanted.startswith("bytes=") and not wanted.startswith("bytes=0-") for wanted in ranges)


def test_a_connection_that_keeps_breaking_off_is_told_and_a_mirror_is_tried(server, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    server.cuts = 1000
    server.files[REPO, FILE] = DATA
    with pytest.raises(CheckpointError) as caught:
        hub.fetch(entry())
    assert "goes on where it stopped" in caught.value.hint


def test_what_is_known_of_files_may_have_no_place(server, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("MFV2A_HOME", str(tmp_path / "file" / "x"))
    assert hub.fetch(entry()).read_bytes() == DATA


def test_a_flipped_byte_is_told_and_does_not_stay(server):
    hub.fetch(entry()).resolve().write_bytes(DATA[:-1] + b"x")
    with pytest.raises(CheckpointError, match="and not sha256"):
        hub.fetch(entry())
    assert hub.find_file(entry()) is None
    assert hub.fetch(entry()).read_bytes() == DATA


def test_a_flipped_byte_does_not_stay_in_a_cache_without_links_which_holds_a_file_once(server, monkeypatch):
    from huggingface_hub import file_download

    monkeypatch.setattr(file_download, "are_symlinks_supported", lambda *_: False)
    path = hub.fetch(entry())
    assert not path.is_symlink()
    assert list(surroundings.cache_folder().rglob("blobs/*")) == []
    path.write_bytes(DATA[:-1] + b"x")
    with pytest.raises(CheckpointError, match="and not sha256"):
        hub.fetch(entry())
    assert hub.fetch(entry()).read_bytes() == DATA


def test_another_version_than_the_register_states_stays_in_the_cache_of_all_until_the_right_one_comes(server):
    other = DATA[:-1] + b"x"
    server.files[REPO, FILE] = other
    for _ in range(2):
        with pytest.raises(CheckpointError, match="and not sha256") as caught:
            hub.fetch(entry())
        assert "another version" in caught.value.hint
    newer = hub.find_file(entry())
    assert newer is not None
    with pytest.raises(CheckpointError, match="and not sha256"):
        hub.verify(entry(), newer, again=True)
    assert newer.read_bytes() == other
    server.commit(REPO, "f" * 40, {FILE: DATA})
    assert hub.fetch(entry()).read_bytes() == DATA
    assert newer.read_bytes() == other


def test_another_place_whose_file_is_right_serves_without_the_hub_too(server, monkeypatch):
    server.files["other/model", FILE] = DATA
    hub.fetch(entry(repo="other/model"))
    server.files[REPO, FILE] = DATA[:-1] + b"x"
    with pytest.raises(CheckpointError):
        hub.fetch(entry())
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(CheckpointError):
        hub.fetch(entry())
    assert hub.fetch(entry(mirrors=(Place(repo="other/model", file=FILE),))).read_bytes() == DATA


def test_a_small_file_is_known_to_be_whole_by_the_name_that_git_gives_it(tmp_path):
    blob = tmp_path / "blobs" / hashlib.sha1(b"blob 4\0rain", usedforsecurity=False).hexdigest()
    blob.parent.mkdir()
    for data, said in ((b"rain", "another version"), (b"pour", "removed from the cache")):
        blob.write_bytes(data)
        with pytest.raises(CheckpointError) as caught:
            hub.verify(entry(bytes=0), blob)
        assert said in caught.value.hint
    assert not blob.exists()


def test_a_push_without_a_way_to_the_hub_is_told(server, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(CheckpointError, match=r"127\.0\.0\.1:9") as caught:
        hub.push(tmp_path, "someone/else", private=True)
    assert "connect" in caught.value.hint


@pytest.mark.parametrize(
    ("variables", "place"),
    [
        ({"HUGGINGFACE_HUB_CACHE": "{home}/old"}, "old"),
        ({"HF_HUB_CACHE": "$SHARED/hub", "HUGGINGFACE_HUB_CACHE": "{home}/old"}, "shared hf/hub"),
        ({"HF_HOME": "${{SHARED}}"}, "shared hf/hub"),
        ({"XDG_CACHE_HOME": "{home}/x"}, "x/huggingface/hub"),
        ({"HF_HOME": "~nobody-of-this-name/hf"}, None),
    ],
)
def test_the_cache_is_the_one_of_the_library(tmp_path, variables, place):
    env = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "XDG_", "HUGGING"))}
    env |= {"SHARED": f"{tmp_path}/shared hf"} | {key: value.format(home=tmp_path) for key, value in variables.items()}
    asked = "from huggingface_hub.constants import HF_HUB_CACHE as theirs; from mfv2a.surroundings import cache_folder"
    line = [sys.executable, "-c", f"{asked}; print(theirs); print(cache_folder())"]
    theirs, ours = subprocess.run(line, env=env, capture_output=True, text=True, check=True).stdout.splitlines()
    assert ours == theirs
    assert place is None or ours == str(tmp_path / place)


def test_a_file_of_another_size_is_told(server):
    with pytest.raises(CheckpointError, match="bytes and not 5"):
        hub.fetch(entry(bytes=5))


def test_md5_digests_serve_too(server):
    assert hub.fetch(entry(digest=f"md5:{hashlib.md5(DATA, usedforsecurity=False).hexdigest()}")).exists()


def test_without_a_digest_the_first_download_is_trusted_and_remembered(server):
    unknown = entry(digest="", bytes=0)
    path = hub.fetch(unknown)
    verdict = hub.verify(unknown, path)
    assert verdict.trusted
    assert verdict.digest == SHA256
    facts = json.loads((register.home_folder() / verified.VERIFIED).read_text())[str(path)]
    assert facts["trusted"]
    path.resolve().write_bytes(DATA[:-1] + b"x")
    with pytest.raises(CheckpointError, match="and not sha256"):
        hub.verify(unknown, path, again=True)


def test_without_a_digest_a_file_that_changes_is_refused_when_it_is_next_used(server):
    unknown = entry(digest="", bytes=0)
    path = hub.fetch(unknown)
    for again in (False, True):
        path.resolve().write_bytes(DATA + b"x")
        with pytest.raises(CheckpointError, match=f"and not {SHA256}") as error:
            hub.verify(unknown, path, again=again)
        assert hub.VERIFIED in error.value.hint
        assert not path.exists(), "it is taken out of the cache"
        assert hub.fetch(unknown).read_bytes() == DATA


def test_a_file_of_ones_own_may_be_written_anew(tmp_path):
    own = entry(digest="", bytes=0, path=str(tmp_path / "own.bin"))
    for data in (b"first", b"second"):
        (tmp_path / "own.bin").write_bytes(data)
        assert hub.fetch(own).read_bytes() == data


def test_401_names_the_token(server):
    server.private.add(REPO)
    with pytest.raises(CheckpointError) as error:
        hub.fetch(entry())
    assert "HF_TOKEN" in error.value.hint


def test_403_of_a_gated_repo_says_to_accept_its_terms(server):
    server.gated.add(REPO)
    with pytest.raises(CheckpointError, match="gated") as error:
        hub.fetch(entry())
    assert "HF_TOKEN" in error.value.hint
    assert REPO in error.value.hint


def test_the_token_is_sent_and_opens_a_gated_repo(server, monkeypatch):
    server.gated.add(REPO)
    monkeypatch.setenv("HF_TOKEN", server.token)
    assert hub.fetch(entry()).read_bytes() == DATA


def test_a_missing_repo_is_named(server):
    with pytest.raises(CheckpointError, match="no someone/else"):
        hub.fetch(entry(repo="someone/else"))


def test_404_of_a_file_names_it(server):
    with pytest.raises(CheckpointError, match=r"has no file other\.bin"):
        hub.fetch(entry(file="other.bin"))


def test_a_missing_revision_is_named(server):
    with pytest.raises(CheckpointError, match="revision v9"):
        hub.fetch(entry(revision="v9"))


def test_429_is_tried_again(server):
    server.busy = 1
    assert hub.fetch(entry()).read_bytes() == DATA


def test_offline_serves_what_is_cached_and_refuses_the_rest(server, monkeypatch):
    path = hub.fetch(entry())
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    server.requests.clear()
    assert hub.fetch(entry()) == path
    with pytest.raises(CheckpointError, match="off limits"):
        hub.fetch(entry(name="other", file="other.bin"))
    assert server.requests == []


def test_a_hub_that_does_not_answer_is_named(server, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(CheckpointError, match=r"127\.0\.0\.1:9 cannot be reached"):
        hub.fetch(entry())


def test_mirrors_are_tried_in_order(server):
    server.files["a/bad", "x"] = DATA[:-1] + b"x"
    server.files["a/good", "y"] = DATA
    mirrors = (Place(repo="a/bad", file="x"), Place(repo="a/good", file="y"))
    path = hub.fetch(entry(repo="a/gone", file="z", mirrors=mirrors))
    assert path.read_bytes() == DATA
    repos = [path.split("/resolve/")[0] for path in paths(server, "HEAD") if "/resolve/" in path]
    assert list(dict.fromkeys(repos)) == ["/a/gone", "/a/bad", "/a/good"]


def test_a_full_disk_is_seen_before_anything_is_fetched(server, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 9, 1))
    with pytest.raises(CheckpointError, match="free"):
        hub.fetch(entry())
    assert not any(path.startswith("/cdn/") for path in paths(server, "GET"))


def test_a_file_of_the_package_is_verified_and_never_removed(tmp_path, server):
    path = tmp_path / "own.bin"
    path.write_bytes(b"wrong")
    own = replace(entry(), path=str(path), repo="", file="", bytes=0)
    with pytest.raises(CheckpointError, match="and not sha256"):
        hub.fetch(own)
    assert path.exists()


def test_two_processes_that_pull_one_file_both_get_it_whole(server):
    words = "import sys; from mfv2a import hub; from mfv2a.register import Checkpoint; "
    words += f"print(hub.fetch(Checkpoint(name='net', role='vae', licence='MIT', licence_url='x', repo={REPO!r}, "
    words += f"file={FILE!r}, digest={SHA256!r})))"
    both = [
        subprocess.Popen([sys.executable, "-c", words], stdout=subprocess.PIPE, env=os.environ.copy(), text=True)
        for _ in range(2)
    ]
    for process in both:
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        assert Path(out.strip()).read_bytes() == DATA


def test_a_file_of_its_authors_own_site_is_fetched_by_hand(tmp_path, monkeypatch):
    monkeypatch.setenv("MFV2A_HOME", str(tmp_path))
    entry = Checkpoint(
        name="judge",
        role="judge",
        licence="MIT",
        licence_url="https://example.org",
        url="https://example.org/a%3Db.pth",
    )
    assert hub.find_file(entry) is None
    with pytest.raises(CheckpointError, match="not on the hub") as told:
        hub.fetch(entry)
    place = tmp_path / "weights" / "a=b.pth"
    assert str(place) in told.value.hint
    place.parent.mkdir()
    place.write_bytes(b"weights")
    assert hub.fetch(entry) == place
    place.write_bytes(b"other weights")
    wrong = replace(entry, digest="sha256:" + "0" * 64)
    with pytest.raises(CheckpointError, match="and not sha256"):
        hub.verify(wrong, place)
    assert place.is_file()  # a file of the user's own stays
