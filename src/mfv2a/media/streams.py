"""Which streams of a source go along into the output, and in what form.

Pictures, subtitles and attachments are simply copied. Two kinds need thought: data tracks, of which some are written
anew by the muxer and some fit nowhere; and covers, which are streams in MP4 but attachments in Matroska.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import av
import ffmpeg

from mfv2a.errors import MediaError
from mfv2a.media.ffmpeg import compile_command, run_ffmpeg
from mfv2a.media.probe import open_media
from mfv2a.records import VideoInfo

COVER_TYPES = {"mjpeg": "image/jpeg", "png": "image/png", "gif": "image/gif", "bmp": "image/bmp"}


def copied_streams(info: VideoInfo, container: str, data: Sequence[int]) -> list[int]:
    """Index the streams to copy, in file order: all but sound, data tracks outside `data`, covers for Matroska."""
    return [
        stream.index
        for stream in info.streams
        if stream.index in data
        or (stream.kind in ("video", "subtitle", "attachment") and not (stream.is_cover and container == "matroska"))
    ]


def data_streams(info: VideoInfo) -> list[int]:
    """Index the data tracks worth copying (camera telemetry).

    Chapter tracks, which the demuxer gives no packets of, and timecode tracks are written anew by the muxer.
    """
    wanted = {stream.index for stream in info.streams if stream.kind == "data"}
    if not wanted:
        return []
    packets: Counter[int] = Counter()
    with open_media(info.path) as container:
        timecodes = {stream.index for stream in container.streams if "timecode" in stream.metadata}
        with suppress(av.FFmpegError, OSError):
            packets.update(packet.stream_index for packet in container.demux() if packet.size)
    return sorted(index for index in wanted - timecodes if packets[index])


def opus_delays(info: VideoInfo, indices: Sequence[int]) -> dict[int, float]:
    """Seconds that come before the sound in each Opus track of `indices`; older muxers forget them when copying.

    Source: RFC 7845, 5.1: the identification header holds the samples to skip, at 48 kHz, in its bytes 10 and 11.
    """
    opus = [index for index in indices if info.streams[index].codec == "opus"]
    delays: dict[int, float] = {}
    if opus:
        with open_media(info.path) as container:
            for index in opus:
                head = container.streams[index].codec_context.extradata or b""
                if head[:8] == b"OpusHead" and len(head) >= 12:
                    delays[index] = int.from_bytes(head[10:12], "little") / 48000
    return delays


def can_hold(info: VideoInfo, container: str, index: int, *, part: Path, ffmpeg_program: Path) -> bool:
    """Try whether a container takes one stream beside the picture, on a tenth of a second written to `part`."""
    video = ffmpeg.input("source", t=0.1, fflags="+genpts")
    streams = [video[str(wanted)] for wanted in sorted({info.picture_index, index})]
    command = ffmpeg.output(*streams, "part", f=container, c="copy", strict=-2)
    try:
        run_ffmpeg(compile_command(command, source=info.path, part=part), path=info.path, ffmpeg=ffmpeg_program)
    except MediaError:
        return False
    return True


@dataclass(frozen=True)
class Cover:
    """A cover taken out of its file, with the name and type to attach it as."""

    file: Path
    name: str
    mimetype: str


def write_covers(info: VideoInfo, beside: Path) -> list[Cover]:
    """Take the covers of a source out into files whose names begin with that of `beside`."""
    wanted = {stream.index: stream.codec for stream in info.streams if stream.is_cover}
    covers: list[Cover] = []
    if not wanted:
        return covers
    with open_media(info.path) as container:
        for index, codec in wanted.items():
            packet = next(iter(container.demux(container.streams[index])), None)
            if packet is None or not packet.size:
                continue
            tags = {key.lower(): value for key, value in container.streams[index].metadata.items()}
            mimetype = tags.get("mimetype") or COVER_TYPES.get(codec, "application/octet-stream")
            file = beside.with_name(f"{beside.name}.cover{index}")
            file.write_bytes(bytes(packet))
            covers.append(Cover(file, tags.get("filename") or f"cover.{mimetype.rsplit('/', 1)[1]}", mimetype))
    return covers


def attach_covers(covers: Sequence[Cover], others: int) -> list[str]:
    """Arguments that attach covers after `others` attachments that are copied."""
    words: list[str] = []
    for number, cover in enumerate(covers, start=others):
        tags = f"-metadata:s:t:{number}"
        words += ["-attach", f"file:{cover.file}", tags, f"mimetype={cover.mimetype}", tags, f"filename={cover.name}"]
    return words
