"""What fsspec opens behind a URL: opened, asked again where a network fails, its errors in words.

Here alone fsspec is asked. This file does not know what is kept there.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import urlsplit

from mfv2a.disk import is_disk_full
from mfv2a.errors import ConfigError, StartError, without_passwords

_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")
_QUERY = re.compile(r"(https?://[^\s?#'\"]*)[?#][^\s\"]+", re.IGNORECASE)
RENAMING = frozenset({"file", "local", "sftp", "ssh", "smb", "hdfs", "arrow_hdfs", "webhdfs"})
"""Protocols whose rename is one step. Elsewhere - object stores - a file is there once its upload is complete."""
BUCKETS = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "az", "adl", "oss", "oci"})
"""Protocols in which files lie in buckets, which would be made when something is put into them, however misspelt."""
WEB = ("http://", "https://")
_PORTS = {"sftp": 22, "ssh": 22, "ftp": 21, "smb": 445, "hdfs": 8020, "arrow_hdfs": 8020, "webhdfs": 50070}
"""Protocols in which a path says nothing of the server that it is of, and their ports."""
_LOST = frozenset({"ClientConnectionError", "gaierror"})
_REFUSED = frozenset({401, 403, 404, 410})
TRIES, PAUSE_S = 3, 1.0
CONNECT_S, SILENT_S = 30.0, 60.0  # how long a server may take to answer, and to send the next bytes
AGAIN_HINT, ACCESS_HINT = "run the same command again", "check the address, and that you have access"

Given = TypeVar("Given")
Opened = tuple[Any, str]  # a system of fsspec, and the folder in it, without a slash at its end


def is_url(text: str) -> bool:
    """Whether a word of the command line is a URL."""
    return _URL.match(text) is not None


def open_store(url: str, *, encoded: bool = False) -> Opened:
    """The system that a URL names, and the folder in it.

    Args:
        url: of a file or folder.
        encoded: what follows is an address as a web server has it, with %20 for a blank.

    Raises:
        ConfigError: the protocol is unknown, or its package is not installed.
        StartError: it cannot be reached.
    """
    shown = without_passwords(url)
    try:
        return _connected(url, encoded)
    except ImportError as error:
        hint = "pip install 'mfv2a[remote]', or the package named"
        raise ConfigError(f"{shown}: {reason(error)}", hint=hint) from error
    except ValueError as error:
        hint = "write / in a password as %2F" if "@" in url else "use a protocol that fsspec knows, such as s3://"
        raise ConfigError(f"{shown}: {reason(error)}", hint=hint) from error
    except Exception as error:  # every store has errors of its own
        raise StartError(f"{shown} cannot be reached: {reason(error)}", hint=ACCESS_HINT) from error


def _connected(url: str, encoded: bool) -> Opened:
    from fsspec.core import url_to_fs

    system, root = url_to_fs(url, **_settings(url, encoded))
    if hasattr(system, "ftp") and hasattr(system.ftp, "get_channel"):  # SFTP waits for ever otherwise
        system.ftp.get_channel().settimeout(SILENT_S)
    return system, str(root).rstrip("/")


def _settings(url: str, encoded: bool) -> dict[str, Any]:
    """Of fsspec, for a URL: a server is given up when it falls silent, and not after five minutes of sending."""
    if url.startswith(("sftp://", "ssh://")):
        return dict.fromkeys(("timeout", "banner_timeout", "auth_timeout"), CONNECT_S)
    if not url.startswith(WEB):
        return {}
    from aiohttp import ClientTimeout

    timeout = ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=SILENT_S)
    return {"client_kwargs": {"timeout": timeout}, "encoded": encoded}


def asked(url: str, work: Callable[[Any, str], Given], *, encoded: bool = False, opened: Opened | None = None) -> Given:
    """Asks a store, and once more what a network may have spoiled, over another connection where that was lost.

    Args:
        url: of a folder.
        work: takes the system and the folder in it.
        encoded: as in `open_store`.
        opened: by `open_store`, where another thread has opened it already.

    Raises:
        ConfigError, StartError: it cannot be opened.
        Exception: whatever the store says in the end.
    """
    system, root = opened or open_store(url, encoded=encoded)
    for number in range(1, TRIES):
        try:
            return work(system, root)
        except (FileNotFoundError, PermissionError, NotImplementedError):
            raise
        except Exception as error:
            if is_disk_full(error):
                raise
            time.sleep(number * PAUSE_S)
            if not getattr(system, "async_impl", False):  # the others have many connections, and renew them
                type(system).clear_instance_cache()
                with suppress(Exception):  # what is wrong then, the next try says
                    system, root = _connected(url, encoded)
    return work(system, root)


def protocols(system: Any) -> frozenset[str]:
    """By which names fsspec knows a system."""
    return frozenset({system.protocol} if isinstance(system.protocol, str) else system.protocol)


def whereabouts(place: str) -> str:
    """A file or folder by its URL or path, in one spelling: no two of them are the same place.

    Raises:
        ConfigError, StartError: the protocol is unknown, or cannot be asked.
    """
    if not is_url(place):
        return f"file://{os.path.realpath(place)}"
    if place.startswith(WEB):
        return place.rstrip("/")
    system, root = open_store(place)
    protocol = min(protocols(system))
    if protocol == "file":
        return f"file://{os.path.realpath(root)}"
    return f"{protocol}://{_server(place, protocol)}{root.strip('/')}"


def _server(url: str, protocol: str) -> str:
    """The server of a URL, where its path alone does not tell it."""
    if protocol not in _PORTS:
        return ""
    parts = urlsplit(url)
    return f"{parts.hostname or ''}:{parts.port or _PORTS[protocol]}/"


def lost(error: BaseException) -> BaseException | None:
    """What kept a server from answering, where fsspec takes that for a file that is not there."""
    cause = error.__cause__ or error.__context__
    while cause is not None:
        if isinstance(cause, ConnectionError | TimeoutError) or _LOST & {kind.__name__ for kind in type(cause).__mro__}:
            return cause
        cause = cause.__cause__ or cause.__context__
    return None


def reason(error: BaseException) -> str:
    """What a store says, in a line that may be shown."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return _QUERY.sub(r"\1?...", without_passwords(lines[0])) if lines else type(error).__name__


def hint_of(error: BaseException) -> str:
    """What to do about what a store says."""
    refused = isinstance(error, PermissionError | FileNotFoundError) or getattr(error, "status", None) in _REFUSED
    return ACCESS_HINT if refused else AGAIN_HINT
