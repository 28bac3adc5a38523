"""Checkpoint of the register -> verified file on this machine; a folder -> a repo of the Hugging Face Hub.

Files lie in the hub's own cache (HF_HUB_CACHE, else HF_HOME/hub), shared with every other program that uses it. A
digest is computed once a file and remembered with its size and time; where the register states none, the first
download is trusted and its digest remembered. Knows no network, no torch, and no terminal but for a progress bar.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mfv2a.downloads import SHA256, SPARE_BYTES, download, newest_commit
from mfv2a.errors import CheckpointError
from mfv2a.refusals import PULL_HINT, is_lost, shortened
from mfv2a.register import Checkpoint, hand_path, home_folder
from mfv2a.surroundings import cache_folder, endpoint, endpoint_name, is_offline, offline_variable
from mfv2a.verified import VERIFIED, remember, remembered

CHUNK_BYTES = 8 << 20
COMMIT = re.compile(r"[0-9a-f]{40}")
OWN_CACHE = "point HF_HOME to a folder of your own"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is known of a file.

    Attributes:
        path: of the file.
        digest: "sha256:..." or "md5:...", as the register states it or as first seen.
        trusted: no digest was stated: this is the one of the first download.
    """

    path: Path
    digest: str
    trusted: bool


def find_file(checkpoint: Checkpoint) -> Path | None:
    """The file on this machine, unverified; None if it has to be fetched first.

    Raises:
        ConfigError: HF_ENDPOINT is no address.
    """
    return next(_found(checkpoint), None)


def _found(checkpoint: Checkpoint) -> Iterator[Path]:
    """The file on this machine, of each of its places where it is."""
    if checkpoint.path or checkpoint.url:
        path = Path(checkpoint.path) if checkpoint.path else hand_path(checkpoint)
        if path.is_file():
            yield path
        return
    endpoint()  # the library cannot even be imported with a wrong one
    from huggingface_hub import try_to_load_from_cache

    for place in checkpoint.places:
        found = try_to_load_from_cache(place.repo, place.file, cache_dir=cache_folder(), revision=place.revision)
        if isinstance(found, str):
            yield Path(found)


def how_to_get(file: Checkpoint, name: str = "") -> str:
    """What brings a file here, in words: a command, or a download by hand.

    Args:
        file: of the register.
        name: what to pull, if that is not the file's own.
    """
    return f"download {file.url} to {hand_path(file)}" if file.url else f"mfv2a models pull {name or file.name}"


def fetch(checkpoint: Checkpoint, *, progress: bool = False) -> Path:
    """The verified file of a checkpoint, downloaded if need be.

    Args:
        checkpoint: of the register.
        progress: show a bar on stderr while it downloads.

    Raises:
        CheckpointError: it is not here and cannot be fetched, or is not what the register says.
    """
    failures, removed = list[CheckpointError](), False
    for found in _found(checkpoint):
        try:
            return verify(checkpoint, found).path
        except CheckpointError as error:
            failures.append(error)
            removed = removed or not found.is_file()
    if failures and (removed or is_offline() or not checkpoint.places):
        raise failures[0]
    if checkpoint.path:
        raise CheckpointError(f"{checkpoint.path} is missing", hint="install mfv2a again, or correct the register")
    if checkpoint.url:
        raise CheckpointError(f"{checkpoint.name} is not on the hub", hint=how_to_get(checkpoint))
    if not checkpoint.places:
        raise CheckpointError(f"{checkpoint.name} has no file", hint="state its path or repo in the register")
    if is_offline():
        hint = f"leave out --offline, or unset {offline_variable()}; else {PULL_HINT}"
        raise CheckpointError(f"{checkpoint.name} is not in the cache, and the hub is off limits", hint=hint)
    for place in checkpoint.places:
        try:
            return verify(checkpoint, download(checkpoint, place, progress=progress)).path
        except CheckpointError as error:
            failures.append(error)
    words = "; ".join(dict.fromkeys(str(error) for error in failures))
    raise CheckpointError(words, hint=failures[0].hint) from failures[0]


def renew(checkpoint: Checkpoint) -> str:
    """Ask the hub for the commit that a branch or tag is at today, and fetch its file if another one is here.

    Args:
        checkpoint: of the register; its first place is asked.

    Returns:
        what people should know; empty if there is nothing to say, as where no file of it is here.

    Raises:
        CheckpointError: the newer file cannot be fetched.
    """
    here = find_file(checkpoint)
    if here is None or not checkpoint.places or COMMIT.fullmatch(checkpoint.places[0].revision):
        return ""
    place, before = checkpoint.places[0], here.parents[checkpoint.file.count("/")].name
    if is_offline():
        return f"commit {before[:7]} of {place.repo} is here; whether there is a newer one was not asked"
    try:
        now = newest_commit(place)
    except CheckpointError as error:
        return f"commit {before[:7]} of {place.repo} is here; whether there is a newer one is not known: {error}"
    if now == before:
        return ""
    download(checkpoint, place, progress=False)
    return f"{place.repo} is at commit {now[:7]} now; {before[:7]} was here"


def push(folder: Path, repo: str, *, private: bool) -> str:
    """Upload a folder to a repo of the hub, made if need be, with HF_TOKEN's or the login's token; gives its address.

    Raises:
        CheckpointError: the hub cannot be reached, or refuses.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    if is_offline():
        raise CheckpointError(f"{repo} cannot be written: the hub is off limits", hint="leave out --offline")
    api = HfApi(endpoint=endpoint())
    try:
        api.create_repo(repo, private=private, exist_ok=True)
        api.upload_folder(repo_id=repo, folder_path=folder, commit_message=f"mfv2a: {folder.name}")
    except HFValidationError as error:
        raise CheckpointError(f"{repo} is no name of a repo", hint="it is OWNER/NAME") from error
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else "an error"
        hint = "set HF_TOKEN to a token that may write there" if status in (401, 403) else "try again later"
        raise CheckpointError(f"the hub answered {status} for {repo}", hint=hint) from error
    except Exception as error:
        if not (isinstance(error, OSError | ValueError) or is_lost(error)):
            raise
        raise CheckpointError(f"{endpoint_name()}: {shortened(error)}", hint="connect, then try again") from error
    return f"{endpoint_name()}/{repo}"


def verify(checkpoint: Checkpoint, path: Path, *, again: bool = False) -> Verdict:
    """Compare a file with the register; a file known by size and time is not read again.

    Args:
        checkpoint: of the register.
        path: of the file; one that is wrong and lies in the cache is removed from it.
        again: read it even if it is known.

    Raises:
        CheckpointError: its size or digest is another, or where none is stated another than when it was first seen; or
            it cannot be read.
    """
    try:
        return _compared(checkpoint, path, again)
    except OSError as error:
        hint = "make it readable" if checkpoint.path or checkpoint.url else f"have it made readable, or {OWN_CACHE}"
        raise CheckpointError(f"{path}: {error.strerror}", hint=hint) from error


def _compared(checkpoint: Checkpoint, path: Path, again: bool) -> Verdict:
    stat = path.stat()
    if checkpoint.bytes and stat.st_size != checkpoint.bytes:
        said = f"{path} has {stat.st_size} bytes and not {checkpoint.bytes}"
        raise CheckpointError(said, hint=_repair(checkpoint, path))
    key, stamp = str(path.absolute()), [stat.st_size, stat.st_mtime_ns]
    known = remembered().get(key, {})
    if not again and known.get("stamp") == stamp and checkpoint.digest in ("", known.get("digest")):
        return Verdict(path=path, digest=known["digest"], trusted=not checkpoint.digest)
    keeps = again or not checkpoint.path  # a file of one's own may be written anew
    expected = checkpoint.digest or (known.get("digest", "") if keeps else "")
    digest = digest_of(path, expected.partition(":")[0] or "sha256")
    if expected and digest != expected:
        raise CheckpointError(f"{path} has {digest} and not {expected}", hint=_repair(checkpoint, path))
    remember(key, {"name": checkpoint.name, "stamp": stamp, "digest": digest, "trusted": not checkpoint.digest})
    return Verdict(path=path, digest=digest, trusted=not checkpoint.digest)


def copy_path(checkpoint: Checkpoint, path: Path, kind: str) -> Path:
    """Where a converted copy of a verified file is kept: by its digest, so that another file never takes its place.

    Args:
        checkpoint: of the register.
        path: of its file.
        kind: what it was converted to.
    """
    digest = checkpoint.digest or verify(checkpoint, path).digest
    return home_folder() / "converted" / f"{kind}-{digest.replace(':', '-')}.safetensors"


def has_space(folder: Path, size: int) -> bool:
    """Whether a file of `size` bytes fits on the disk of a folder, which may not be there yet."""
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    return shutil.disk_usage(there).free >= size + SPARE_BYTES


def digest_of(path: Path, algorithm: str) -> str:
    """Digest of a file as the register writes it: "sha256:..." or "md5:..."."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(CHUNK_BYTES):
            digest.update(block)
    return f"{algorithm}:{digest.hexdigest()}"


def _repair(checkpoint: Checkpoint, path: Path) -> str:
    """What to do about a wrong file; one that is damaged is taken out of the hub's cache, so that nobody uses it."""
    forget = "" if checkpoint.digest else f"; if it is another on purpose, remove {home_folder() / VERIFIED} first"
    if checkpoint.url:
        return f"download {checkpoint.url} again{forget}"
    if checkpoint.path:
        return "install mfv2a again, or correct the register"
    if _is_whole(path):
        said = f"it is whole, but another version of {checkpoint.file} than the register states: pin its revision, or"
        return f"{said} state this digest, in a register of your own (docs/CHECKPOINTS.md){forget}"
    if not _discard(path):
        return f"it lies in a cache that you cannot write: have it removed, or {OWN_CACHE}"
    return f"it was removed from the cache: fetch it again with `mfv2a models pull {checkpoint.name}`{forget}"


def _is_whole(path: Path) -> bool:
    """Whether a file of the hub's cache is what its blob's name says: its SHA-256, or git's SHA-1 of a small one."""
    blob = path.resolve()
    if blob.parent.name != "blobs":
        return False
    if COMMIT.fullmatch(blob.name):
        data = blob.read_bytes()
        return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest() == blob.name
    return SHA256.fullmatch(blob.name) is not None and digest_of(blob, "sha256") == f"sha256:{blob.name}"


def _discard(path: Path) -> bool:
    """Remove a file and the blob that it links to; False if that cannot be."""
    blob = path.resolve()
    try:
        path.unlink(missing_ok=True)
        if blob != path and blob.parent.name == "blobs":
            blob.unlink(missing_ok=True)
    except OSError:
        return False
    return True
