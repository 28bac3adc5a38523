"""What was seen in a video, kept on disk: the same clip with another prompt, seed or step count is not decoded again.

An entry is known by what decides it: the bytes of the video, how far its features reach, the encoders and the way
frames are made for them. Entries appear whole or not at all, and say by a digest what they hold, so that one that a
disk has spoiled is known; several runs may share a folder.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfv2a import __version__
from mfv2a.errors import StartError
from mfv2a.jobs.drafts import Shot
from mfv2a.jobs.seed import whole_digest
from mfv2a.media.temporary import part_path
from mfv2a.records import Reused

if TYPE_CHECKING:
    from torch import Tensor

    from mfv2a.pipeline import Pipeline
    from mfv2a.records import VideoInfo

log = logging.getLogger(__name__)

SPLITTING = 1
"""Raised whenever cuts are found in another way than before."""
PREPROCESSING = 7
"""Raised when what encoders get or what is kept of them is another: older entries are then left alone."""
DEFAULT_BYTES = 10_000_000_000
LOOK_SHARE = 0.02  # so much of the bound is added before it is looked what other processes have added
STALE_S = 86400.0  # what was begun so long ago has lost its writer
KEPT_SHARE = 0.9  # of the bound, after a clearing
SUFFIX = ".seen.safetensors"
_FACTS, _DIGEST = "facts", "digest"


class FeatureCache:
    """Features by what decides them, in a folder of bounded size; the longest unused go first.

    Threads and processes may share one. A cache never costs a clip: what it cannot read is made again, what it
    cannot write is left out, and that is told once.

    Args:
        folder: where entries are; made if need be.
        encoders: identifies the networks that see, see `mfv2a.loader.encoder_digest`.
        pipeline: says which frames it asks for, and in which numbers it counts.
        semantics: what is seen is looked for, too, and not only when it moves.
        reuse: largest difference between pictures that share their features, None for no sharing.
        decode_device: where videos are decoded: a GPU's frames differ in their last bits.
        most_bytes: bound of all entries together.

    Raises:
        StartError: the folder cannot be made.
    """

    def __init__(
        self,
        folder: Path,
        *,
        encoders: str,
        pipeline: Pipeline,
        semantics: bool = True,
        reuse: float | None = None,
        decode_device: str = "cpu",
        most_bytes: int = DEFAULT_BYTES,
    ) -> None:
        self._folder, self._device, self._most = folder, pipeline.device, most_bytes
        self._lock, self._told = threading.Lock(), False
        self._common = {
            "tool": __version__,
            "preprocessing": PREPROCESSING,
            "encoders": encoders,
            "timeline": repr(pipeline.spec),
            "requests": {name: asdict(request) for name, request in pipeline.frame_requests.items()},
            "dtype": str(pipeline.dtype),
            "semantics": semantics,
            "decode_device": decode_device,
            **({} if reuse is None else {"reuse": reuse}),
        }
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StartError(
                f"--cache {folder} cannot be made: {error.strerror}", hint="name another folder, or off"
            ) from error
        self._remove_stale()
        self._bytes, self._unseen = sum(size for _, size, _ in self._entries()), 0

    def key(self, info: VideoInfo, *, split: bool = False) -> str:
        """What stands for the features of a video, as a whole or split where it is cut: 64 hex digits.

        Reads the whole file.

        Raises:
            OSError: the file cannot be read.
        """
        own = {"content": whole_digest(info.path), "duration_s": info.duration_s, "picture": info.picture_index}
        own |= {"shots": SPLITTING} if split else {}
        return hashlib.sha256(json.dumps({**self._common, **own}, sort_keys=True).encode()).hexdigest()

    def get(self, key: str) -> list[Shot] | None:
        """What was seen, on the pipeline's device, or None if it is not here.

        A damaged entry is removed, and so is one that states no digest.
        """
        from safetensors import SafetensorError, safe_open

        from mfv2a.pipeline import Seen

        path = self._path(key)
        try:
            with suppress(OSError):
                os.utime(path)  # the time of last use; it may be another user's
            with safe_open(path, framework="pt") as file:
                stated = file.metadata()
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            if _digest(stated[_FACTS], tensors) != stated[_DIGEST]:
                raise ValueError("does not hold what was written")
            facts = json.loads(stated[_FACTS])
            if not all(bool(tensor.isfinite().all()) for tensor in tensors.values()):
                raise ValueError("holds what is no number")
            return [
                Shot(
                    float(each["start_s"]),
                    Seen(
                        confidence=float(each["confidence"]),
                        recognized=tuple(each["recognized"]),
                        sound=str(each["sound"]),
                        strikes_s=tuple(each["strikes_s"]),
                        clip=self._placed(tensors.get(f"clip{tail}")),
                        sync=self._placed(tensors.get(f"sync{tail}")),
                        movement=tensors.get(f"movement{tail}"),
                        reused=tuple(Reused(**reused) for reused in each.get("reused", ())),
                    ),
                )
                for tail, each in zip(_tails(), [{**facts, "start_s": 0.0}, *facts.get("later", [])], strict=False)
            ]
        except FileNotFoundError:
            return None
        except OSError as error:
            log.debug("%s: %s", path, error)
            return None
        except (SafetensorError, ValueError, LookupError, TypeError, OverflowError, RecursionError) as error:
            log.debug("%s: %s; it is made again", path, error)
            with suppress(OSError):
                path.unlink(missing_ok=True)
            return None

    def put(self, key: str, shots: Sequence[Shot]) -> None:
        """Keeps what was seen in a video, shot by shot; makes room for it if need be."""
        from safetensors.torch import save

        facts, *later = (_facts(shot) for shot in shots)
        facts = facts | ({"later": later} if later else {})
        found = {
            f"{name}{tail}": getattr(shot.seen, name)
            for tail, shot in zip(_tails(), shots, strict=False)
            for name in ("clip", "sync", "movement")
        }
        tensors = {name: tensor.cpu().contiguous() for name, tensor in found.items() if tensor is not None}
        told = json.dumps(facts)
        data = save(tensors, {_FACTS: told, _DIGEST: _digest(told, tensors)})
        if len(data) > self._most:
            return
        path = self._path(key)
        part = part_path(path)
        try:
            path.parent.mkdir(exist_ok=True)
            part.write_bytes(data)
            part.replace(path)
        except OSError as error:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            self._tell(error)
            return
        self._make_room(len(data))

    def _placed(self, tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor.to(self._device)

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}{SUFFIX}"

    def _make_room(self, added: int) -> None:
        with self._lock:
            self._bytes += added
            self._unseen += added
            if self._bytes <= self._most and self._unseen <= LOOK_SHARE * self._most:
                return
            self._unseen = 0
            entries = sorted(self._entries())  # other runs may have added and removed
            self._bytes = sum(size for _, size, _ in entries)
            if self._bytes <= self._most:
                return
            for _, size, path in entries:
                if self._bytes <= KEPT_SHARE * self._most:
                    break
                try:
                    path.unlink(missing_ok=True)
                except OSError:  # another user's
                    continue
                self._bytes -= size

    def _remove_stale(self) -> None:
        """Removes what killed runs left half written."""
        with suppress(OSError):  # a folder in it that cannot be listed
            for part in self._folder.glob("*/.mfv2a-*.part"):
                with suppress(OSError):
                    if time.time() - part.stat().st_mtime > STALE_S:
                        part.unlink()

    def _entries(self) -> list[tuple[int, int, Path]]:
        """Time of last use in ns, bytes and path of all that is here and can be looked at."""
        found = []
        with suppress(OSError):  # a folder in it that cannot be listed
            for path in self._folder.glob(f"*/*{SUFFIX}"):
                with suppress(OSError):  # another run has just removed it, or it leads nowhere
                    stat = path.stat()
                    found.append((stat.st_mtime_ns, stat.st_size, path))
        return found

    def _tell(self, error: OSError) -> None:
        with self._lock:
            if not self._told:
                log.warning("--cache %s: cannot be written (%s); the run goes on without", self._folder, error.strerror)
            self._told = True


def _facts(shot: Shot) -> dict[str, Any]:
    """What of a shot is no tensor, JSON-ready."""
    seen = shot.seen
    facts: dict[str, Any] = {
        "confidence": seen.confidence,
        "recognized": seen.recognized,
        "sound": seen.sound,
        "strikes_s": seen.strikes_s,
    }
    if seen.reused:
        facts["reused"] = [asdict(reused) for reused in seen.reused]
    return facts | ({"start_s": shot.start_s} if shot.start_s else {})


def _digest(facts: str, tensors: Mapping[str, Tensor]) -> str:
    """What stands for all that an entry holds: 32 hex digits. The tensors are on the CPU."""
    import torch

    digest = hashlib.blake2b(facts.encode(), digest_size=16)
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\0{name} {tensor.dtype} {list(tensor.shape)}\0".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _tails() -> Iterator[str]:
    """What stands behind the names of the tensors of the first shot, of the second, and so on."""
    return itertools.chain([""], (f".{number}" for number in itertools.count(1)))
