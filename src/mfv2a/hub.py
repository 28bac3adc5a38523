"""Checkpoint of the register -> verified file on this machine. The only door to the Hugging Face Hub.

Files lie in the hub's own cache (HF_HUB_CACHE, else HF_HOME/hub), shared with every other program that uses it. A
digest is computed once a file and remembered with its size and time; where the register states none, the first
download is trusted and its digest remembered. Knows no network, no torch, and no terminal but for a progress bar.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfv2a.errors import CheckpointError, Mfv2aError
from mfv2a.register import Checkpoint, Place, hand_path, home_folder

VERIFIED = "verified.json"
SPARE_BYTES = 64 << 20
CHUNK_BYTES = 8 << 20
PULL_HINT = "connect, or run `mfv2a models pull` on a connected machine and copy the cache"


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


def cache_folder() -> Path:
    """The hub's cache, by the environment of this moment."""
    if named := os.environ.get("HF_HUB_CACHE"):
        return Path(named).expanduser()
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "huggingface"
    return Path(home).expanduser() / "hub"


def is_offline() -> bool:
    """Whether HF_HUB_OFFLINE forbids to ask the hub."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


def endpoint() -> str:
    """Where the hub is: HF_ENDPOINT, else huggingface.co."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or "https://huggingface.co"


def find_file(checkpoint: Checkpoint) -> Path | None:
    """The file on this machine, unverified; None if it has to be fetched first."""
    if checkpoint.path or checkpoint.url:
        path = Path(checkpoint.path) if checkpoint.path else hand_path(checkpoint)
        return path if path.is_file() else None
    from huggingface_hub import try_to_load_from_cache

    for place in checkpoint.places:
        found = try_to_load_from_cache(place.repo, place.file, cache_dir=cache_folder(), revision=place.revision)
        if isinstance(found, str):
            return Path(found)
    return None


def fetch(checkpoint: Checkpoint, *, progress: bool = False) -> Path:
    """The verified file of a checkpoint, downloaded if need be.

    Args:
        checkpoint: of the register.
        progress: show a bar on stderr while it downloads.

    Raises:
        CheckpointError: it is not here and cannot be fetched, or is not what the register says.
    """
    found = find_file(checkpoint)
    if found is not None:
        return verify(checkpoint, found).path
    if checkpoint.path:
        raise CheckpointError(f"{checkpoint.path} is missing", hint="install mfv2a again, or correct the register")
    if checkpoint.url:
        hint = f"download {checkpoint.url} to {hand_path(checkpoint)}"
        raise CheckpointError(f"{checkpoint.name} is not on the hub", hint=hint)
    if not checkpoint.places:
        raise CheckpointError(f"{checkpoint.name} has no file", hint="state its path or repo in the register")
    if is_offline():
        raise CheckpointError(f"{checkpoint.name} is not in the cache, and the hub is off limits", hint=PULL_HINT)
    failures = []
    for place in checkpoint.places:
        try:
            return verify(checkpoint, _download(checkpoint, place, progress), hint="").path
        except CheckpointError as error:
            failures.append(error)
    words = "; ".join(dict.fromkeys(str(error) for error in failures))
    raise CheckpointError(words, hint=failures[0].hint) from failures[0]


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
    except (OSError, ValueError) as error:
        words = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{endpoint()}: {words}", hint="connect, then try again") from error
    return f"{endpoint()}/{repo}"


def verify(checkpoint: Checkpoint, path: Path, *, again: bool = False, hint: str = "") -> Verdict:
    """Compare a file with the register; a file known by size and time is not read again.

    Args:
        checkpoint: of the register.
        path: of the file; one that is wrong and lies in the cache is removed from it.
        again: read it even if it is known.
        hint: what to do if it is wrong.

    Raises:
        CheckpointError: its size or digest is another; where none is stated, another than when it was first seen.
    """
    stat = path.stat()
    if checkpoint.bytes and stat.st_size != checkpoint.bytes:
        _discard(checkpoint, path)
        raise CheckpointError(
            f"{path} has {stat.st_size} bytes and not {checkpoint.bytes}", hint=hint or _repair(checkpoint)
        )
    key, stamp = str(path.absolute()), [stat.st_size, stat.st_mtime_ns]
    known = _remembered().get(key, {})
    if not again and known.get("stamp") == stamp and checkpoint.digest in ("", known.get("digest")):
        return Verdict(path=path, digest=known["digest"], trusted=not checkpoint.digest)
    keeps = again or not checkpoint.path  # a file of one's own may be written anew
    expected = checkpoint.digest or (known.get("digest", "") if keeps else "")
    digest = digest_of(path, expected.partition(":")[0] or "sha256")
    if expected and digest != expected:
        _discard(checkpoint, path)
        raise CheckpointError(f"{path} has {digest} and not {expected}", hint=hint or _repair(checkpoint))
    _remember(key, {"name": checkpoint.name, "stamp": stamp, "digest": digest, "trusted": not checkpoint.digest})
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


def _repair(checkpoint: Checkpoint) -> str:
    forget = "" if checkpoint.digest else f"; if it is another on purpose, remove {home_folder() / VERIFIED} first"
    if checkpoint.url:
        return f"download {checkpoint.url} again{forget}"
    if checkpoint.path:
        return "install mfv2a again, or correct the register"
    return f"it was removed from the cache: fetch it again with `mfv2a models pull {checkpoint.name}`{forget}"


def _discard(checkpoint: Checkpoint, path: Path) -> None:
    """Take a wrong file out of the hub's cache, so that nobody uses it; a user's own file stays."""
    if checkpoint.path or checkpoint.url:
        return
    blob = path.resolve()
    path.unlink(missing_ok=True)
    if blob != path and blob.parent.name == "blobs":
        blob.unlink(missing_ok=True)


def _download(checkpoint: Checkpoint, place: Place, progress: bool) -> Path:
    from huggingface_hub import DryRunFileInfo, hf_hub_download
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    ask: dict[str, Any] = {
        "repo_id": place.repo,
        "filename": place.file,
        "revision": place.revision,
        "cache_dir": cache_folder(),
        "endpoint": endpoint(),
    }

    def bring() -> Path:
        facts = hf_hub_download(**ask, dry_run=True)
        size = facts.file_size if isinstance(facts, DryRunFileInfo) else 0
        _check_space(checkpoint, size or checkpoint.bytes)
        silent = are_progress_bars_disabled()
        (enable_progress_bars if progress else disable_progress_bars)()
        try:
            return Path(str(hf_hub_download(**ask)))
        finally:
            (disable_progress_bars if silent else enable_progress_bars)()

    return _explained(bring, place)


def _check_space(checkpoint: Checkpoint, size: int) -> None:
    folder = cache_folder()
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(there).free
    if size and free < size + SPARE_BYTES:
        raise CheckpointError(
            f"{checkpoint.name} needs {size / 1e9:.2f} GB and {there} has {free / 1e9:.2f} GB free",
            hint="free some space, or point HF_HOME to another disk",
        )


def _explained(bring: Callable[[], Path], place: Place) -> Path:
    """Run a download; its failures in words that say what to do."""
    from huggingface_hub import errors

    where = f"{endpoint()}/{place.repo}"
    try:
        return bring()
    except errors.GatedRepoError as error:
        raise CheckpointError(f"{place.repo} is gated", hint=f"accept its terms at {where}, set HF_TOKEN") from error
    except errors.RepositoryNotFoundError as error:
        hint = f"see {where}; a private one needs HF_TOKEN"
        raise CheckpointError(f"the hub shows no {place.repo} to you", hint=hint) from error
    except errors.RevisionNotFoundError as error:
        raise CheckpointError(f"{place.repo} has no revision {place.revision}", hint=f"see {where}") from error
    except errors.LocalEntryNotFoundError as error:
        cause = " ".join(str(error.__cause__ or error).split())[:200]
        raise CheckpointError(f"{endpoint()} cannot be reached ({cause})", hint=PULL_HINT) from error
    except errors.EntryNotFoundError as error:
        raise CheckpointError(f"{place.repo} has no file {place.file}", hint=f"see {where}") from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else "an error"
        hint = "set HF_TOKEN" if status == 401 else "try again later"
        raise CheckpointError(f"the hub answered {status} for {place.repo}/{place.file}", hint=hint) from error
    except Mfv2aError:
        raise
    except Exception as error:  # each library below has errors of its own
        said = f"{place.repo}/{place.file}: {' '.join(str(error).split())[:200]}"
        raise CheckpointError(said, hint="try again: it goes on where it stopped") from error


def _remembered() -> dict[str, dict[str, Any]]:
    try:
        found = json.loads((home_folder() / VERIFIED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _remember(key: str, facts: dict[str, Any]) -> None:
    """Add to what is known; a folder that cannot be written costs another look next time, nothing else."""
    path = home_folder() / VERIFIED
    pending = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        pending.write_text(json.dumps({**_remembered(), key: facts}, indent=1), encoding="utf-8")
        pending.replace(path)
    except OSError:
        with suppress(OSError):
            pending.unlink(missing_ok=True)
