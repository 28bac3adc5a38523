"""What a container says about itself in words. This file does not know what the words are good for."""

from __future__ import annotations

from pathlib import Path

from mfv2a.media.probe import open_media


def read_tags(path: Path | str) -> dict[str, str]:
    """Read a container's metadata alone, without looking at its streams.

    Raises:
        MediaError: not a file that FFmpeg knows.
    """
    with open_media(Path(path)) as container:
        return dict(container.metadata)
