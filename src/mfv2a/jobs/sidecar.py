"""The prompt beside a video: clip.txt for clip.mp4."""

from __future__ import annotations

import os
from pathlib import Path

from mfv2a.errors import MediaError
from mfv2a.media.spelling import spelled_here

LIMIT_BYTES = 1 << 18


def read_sidecar(source: Path) -> str:
    """Reads the prompt beside a video: clip.txt for clip.mp4.

    Args:
        source: the video.

    Returns:
        The text on one line, "" if there is no sidecar.

    Raises:
        MediaError: there is one, and it cannot be read as UTF-8 text.
    """
    sidecar = spelled_here(source.with_suffix(".txt"))
    if sidecar == source or not os.path.lexists(sidecar):
        return ""
    if sidecar.exists() and not sidecar.is_file() and not sidecar.is_dir():  # opening a pipe would wait for ever
        raise MediaError(sidecar, "the prompt beside the video is no regular file", hint="fix or remove this file")
    try:
        with sidecar.open("rb") as file:
            data = file.read(LIMIT_BYTES + 1)
    except OSError as error:
        raise MediaError(
            sidecar,
            f"the prompt beside the video cannot be read: {error.strerror}",
            hint="fix or remove this file",
        ) from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        hint = "save it as UTF-8, or remove it"
        raise MediaError(sidecar, "the prompt beside the video is not UTF-8 text", hint=hint) from error
    if len(data) > LIMIT_BYTES or "\0" in text:
        hint = "shorten it to a few words, or rename it if it is no prompt"
        raise MediaError(sidecar, "the file beside the video is too long or too odd for a prompt", hint=hint)
    return " ".join(text.split())
