"""A file behind a URL as whoever keeps it tells of it: its name, its size, and when it was changed.

Nothing is asked for here; `media.remote` does that.
"""

from __future__ import annotations

import html
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote
from zlib import crc32

_TIMES = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")
_TAGS = ("ETag", "etag", "md5Hash", "checksum", "content_md5", "Content-MD5", "Digest")
UNFIT = frozenset('\\<>:"|?*' if os.name == "nt" else "\\")
"""Characters that no file of this system can have in its name, or that lead out of a folder elsewhere."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file in a folder behind a URL.

    Attributes:
        relative: its place in the folder, with slashes.
        size_bytes: its size; None where nobody tells.
        mtime_ns: when it was last changed; where the store does not say, a number that hangs on its checksum.
    """

    relative: str
    size_bytes: int | None
    mtime_ns: int


def as_told(relative: str, about: Mapping[str, Any]) -> RemoteFile:
    """A file by what fsspec's `info` says of it."""
    return RemoteFile(relative, _size(about), _mtime_ns(about))


def decoded(files: Iterable[RemoteFile]) -> tuple[list[RemoteFile], dict[str, str]]:
    """Files of a web server under their names instead of those of their addresses, with %20 for a blank.

    Returns:
        The files, and place -> name in the address of those whose names differ.
    """
    found = list(files)
    taken, raw = {file.relative for file in found}, dict[str, str]()
    for number, file in enumerate(found):
        address = html.unescape(file.relative)
        place = unquote(address)
        if place not in taken and is_safe(place) and UNFIT.isdisjoint(place):
            taken.add(place)
            raw[place] = address
            found[number] = replace(file, relative=place)
    return found, raw


def is_safe(relative: str) -> bool:
    """Whether a name stays in its folder on this disk."""
    parts = relative.split("/")
    return all(parts) and not any(part in (".", "..") or "\0" in part for part in parts)


def _mtime_ns(about: Mapping[str, Any]) -> int:
    for name in _TIMES:
        value = about.get(name)
        if isinstance(value, str):
            with suppress(ValueError):
                value = datetime.fromisoformat(value)
        if isinstance(value, datetime):
            value = (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
        if isinstance(value, (int, float)):
            return round(value * 1e6) * 1000
    tag = next((about[name] for name in _TAGS if about.get(name)), "")
    if tag:
        return crc32(str(tag).encode()) * 1_000_000_000
    with suppress(TypeError, ValueError):  # whole seconds alone, so a checksum counts first
        return round(parsedate_to_datetime(str(about.get("Last-Modified"))).timestamp()) * 1_000_000_000
    return 0


def _size(about: Mapping[str, Any]) -> int | None:
    size = about.get("size")
    return None if size is None else int(size)
