"""What went wrong with one file -> its result, told so that people can act on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mfv2a.errors import MediaError, Mfv2aError
from mfv2a.jobs.report import absolute
from mfv2a.records import ItemResult


def failed(source: Path, error: Exception, **fields: Any) -> ItemResult:
    """The result of a video that could not be done.

    Args:
        source: the input.
        error: why.
        **fields: further fields of the result.
    """
    hint = error.hint if isinstance(error, Mfv2aError) else ""
    message = str(error)
    if isinstance(error, MediaError) and absolute(error.path) != absolute(source):
        message = f"{error.path}: {message}"
    elif isinstance(error, MediaError):
        anew = "anew, say with ffmpeg," if source.suffix.lower() in (".mp4", ".m4v") else "to MP4"
        hint = hint or f"leave this file out, or convert it {anew} and try again"
    if not isinstance(error, Mfv2aError):  # a fault of the tool, told with its type
        message = f"{type(error).__name__}: {message}"
        hint = "this looks like a fault of mfv2a; run again with --verbose and report it"
    return ItemResult(source=source, output=None, status="failed", error=" ".join(message.split()), hint=hint, **fields)


def unreadable(path: Path, error: OSError) -> MediaError:
    """The error of a file that the system refuses to read."""
    return MediaError(path, f"cannot be read: {error.strerror or error}", hint="check the file and its permissions")
