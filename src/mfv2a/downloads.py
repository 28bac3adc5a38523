"""A file of the Hugging Face Hub -> its place in the hub's cache, where every program with the hub's library finds it.

The library (since its version 2) drops what had come when a process is cut. So the bytes are fetched here, into a part
beside the blobs of the repo that outlives the process, and the next run asks for the rest of it. A part bears the ETag
of its file, so that parts of different files are never joined; a whole one becomes the blob, and the library itself
makes the snapshot's link to it. A lock, the library's own for this blob, lets one process fetch and the others wait.

Files that Xet holds come by plain HTTP too, as only that can go on; above 50 GB the hub serves Xet alone, so there the
library fetches. Knows nothing of the digest that a register states, but whether there is one.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfv2a.errors import CheckpointError
from mfv2a.refusals import FULL_HINT, PULL_HINT, explained, is_lost, is_passing, shortened
from mfv2a.register import Checkpoint, Place
from mfv2a.surroundings import cache_folder, endpoint, endpoint_name

if TYPE_CHECKING:
    from huggingface_hub import HfFileMetadata

PART = ".mfv2a.incomplete"
ORPHAN = re.compile(r".+\.[0-9a-f]{8}\.incomplete")
"""A part of the library's version 2: no other process than the one that began it can go on with it."""
SPARE_BYTES = 64 << 20
LARGEST_BYTES = 50 * 10**9
ORPHAN_S = 24 * 3600
PART_S = 7 * 24 * 3600
ETAG = re.compile(r"[\w.-]+")
SHA256 = re.compile(r"[0-9a-f]{64}")
PAUSES_S = (1, 4, 10)
RANGE_REFUSED = 416


def download(checkpoint: Checkpoint, place: Place, *, progress: bool) -> Path:
    """Fetch a file, or what is missing of it; one that is in the cache is only asked for its commit.

    Args:
        checkpoint: of the register.
        place: where it is on the hub.
        progress: show a bar on stderr.

    Returns:
        its path in the snapshot of its commit.

    Raises:
        CheckpointError: it cannot be fetched, or is not what the hub says it is.
    """
    return explained(lambda: _bring(checkpoint, place, progress), place)


def newest_commit(place: Place) -> str:
    """The commit that a branch or tag is at today.

    Raises:
        CheckpointError: the hub cannot be asked.
    """
    return explained(lambda: _ask(place, place.revision).commit_hash or "", place)


def _bring(checkpoint: Checkpoint, place: Place, progress: bool) -> Path:
    from huggingface_hub import DryRunFileInfo, hf_hub_download

    ask: dict[str, Any] = {
        "repo_id": place.repo,
        "filename": place.file,
        "revision": place.revision,
        "cache_dir": cache_folder(),
        "endpoint": endpoint(),
    }
    facts = _ask(place, place.revision)
    held = hf_hub_download(**{**ask, "revision": facts.commit_hash}, dry_run=True)
    with _bars(progress):
        blob = None
        if isinstance(held, DryRunFileInfo) and held.will_download:
            blob = _fill(checkpoint, place, facts)
        path = Path(str(hf_hub_download(**ask)))
    if blob is not None and not path.is_symlink():  # a cache without links: the library has made a copy
        with suppress(OSError):  # another process may be at it
            blob.unlink(missing_ok=True)
    return path


def _fill(checkpoint: Checkpoint, place: Place, facts: HfFileMetadata) -> Path | None:
    """Bring the bytes of a file of a commit to where the library looks for them; gives the place, if that is known."""
    from huggingface_hub.file_download import repo_folder_name
    from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]

    size = facts.size or checkpoint.bytes
    folder = cache_folder() / repo_folder_name(repo_id=place.repo, repo_type="model")
    if not facts.etag or not ETAG.fullmatch(facts.etag) or size > LARGEST_BYTES:
        _check_space(checkpoint, size)
        return None
    blob = folder / "blobs" / facts.etag
    part = blob.with_name(facts.etag + PART)
    lock = cache_folder() / ".locks" / folder.name / f"{facts.etag}.lock"
    _check_space(checkpoint, size - (part.stat().st_size if part.is_file() else 0))
    blob.parent.mkdir(parents=True, exist_ok=True)
    lock.parent.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(lock):
        _clear(blob.parent, part)
        if blob.exists():
            return blob
        _append(part, place, facts)
        if not checkpoint.digest.startswith("sha256:"):  # else the register's digest is compared, by who asked
            _compare(part, place, facts.etag)
        part.replace(blob)
    return blob


def _ask(place: Place, revision: str) -> HfFileMetadata:
    """What the hub says of a file: commit, ETag, size in bytes. An overburdened hub or a lost line is asked again.

    Raises:
        CheckpointError: there is no way to the hub.
    """
    from huggingface_hub import get_hf_file_metadata
    from huggingface_hub.errors import FileMetadataError

    url = _url(place, revision)
    for pause_s in PAUSES_S:
        try:
            facts = get_hf_file_metadata(url, endpoint=endpoint())
            break
        except Exception as error:
            if not is_passing(error):
                raise
            if is_lost(error) and pause_s > PAUSES_S[0]:
                said = f"{endpoint_name()} cannot be reached ({shortened(error)})"
                raise CheckpointError(said, hint=PULL_HINT) from error
        time.sleep(pause_s)
    else:
        facts = get_hf_file_metadata(url, endpoint=endpoint())
    if facts.commit_hash is None or facts.etag is None:
        raise FileMetadataError(f"no commit or ETag came from {url}")
    return facts


def _url(place: Place, revision: str) -> str:
    from huggingface_hub import hf_hub_url

    return hf_hub_url(place.repo, place.file, revision=revision, endpoint=endpoint())


def _append(part: Path, place: Place, facts: HfFileMetadata) -> None:
    """Add to a part what is missing of its file; what has come stays where this fails."""
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    size = facts.size
    if size is not None and part.is_file() and part.stat().st_size > size:
        part.unlink()
    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    url = _url(place, facts.commit_hash or place.revision)
    try:
        with part.open("ab") as file:
            start = file.tell()
            http_get(url, file, resume_size=start, headers=headers, expected_size=size, displayed_filename=place.file)
    except BaseException as error:
        refused = isinstance(error, HfHubHTTPError) and getattr(error.response, "status_code", 0) == RANGE_REFUSED
        with suppress(OSError):
            if refused or not 0 < part.stat().st_size <= (size or LARGEST_BYTES):
                part.unlink()
        raise


def _compare(part: Path, place: Place, etag: str) -> None:
    """Refuse a file that is not what the hub says; of large files the ETag is the SHA-256.

    Raises:
        CheckpointError: it is another; the part is removed.
    """
    if not SHA256.fullmatch(etag):
        return
    with part.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != etag:
        part.unlink()
        said = f"{place.repo}/{place.file} came as sha256:{digest} and not {etag}, as the hub says it is"
        raise CheckpointError(said, hint="it was removed: try again")


def _clear(folder: Path, own: Path) -> None:
    """Remove what dead processes left among the blobs of a repo; the part that is gone on with stays."""
    for file in folder.glob("*.incomplete"):
        limit_s = PART_S if file.name.endswith(PART) else ORPHAN_S if ORPHAN.fullmatch(file.name) else None
        with suppress(OSError):
            if file != own and limit_s is not None and time.time() - file.stat().st_mtime > limit_s:
                file.unlink()


@contextmanager
def _bars(shown: bool) -> Iterator[None]:
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    silent = are_progress_bars_disabled()
    (enable_progress_bars if shown else disable_progress_bars)()
    try:
        yield
    finally:
        (disable_progress_bars if silent else enable_progress_bars)()


def _check_space(checkpoint: Checkpoint, size: int) -> None:
    folder = cache_folder()
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(there).free
    if size > 0 and free < size + SPARE_BYTES:
        raise CheckpointError(
            f"{checkpoint.name} needs {_room(size + SPARE_BYTES)} with what is to stay free, "
            f"and {there} has {_room(free)} free",
            hint=FULL_HINT,
        )


def _room(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
