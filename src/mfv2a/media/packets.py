"""Packets of a damaged file -> the frames that can be had of them.

This file does not know what the frames show or sound like.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av


def decoded(container: Any, stream: Any) -> Iterator[Any]:
    """The frames of a stream, as far as the file can be read; packets that cannot be decoded are stepped over."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except (av.FFmpegError, OSError):
            return
        if packet is None:
            return
        try:
            yield from packet.decode()
        except av.FFmpegError:
            continue


def sounded(container: Any, track: Any) -> Iterator[Any]:
    """The frames of a track, damaged packets stepped over; at the end a None to empty the resampler.

    Raises:
        FFmpegError: the file cannot be read, or the track not decoded.
    """
    for packet in container.demux(track):
        try:
            yield from packet.decode()
        except av.InvalidDataError:
            continue
    yield None
