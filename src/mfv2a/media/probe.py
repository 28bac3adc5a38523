"""Probing: what a video file holds, how long its picture is, how it must be turned.

The container's own word is not taken for the length: the timestamps of the picture's packets are read (no
decoding), because headers state the longest stream, or nothing, or what a cut file once had. This file does not
know what the frames are for.
"""

from __future__ import annotations

import math
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av

from mfv2a.errors import MediaError
from mfv2a.media.boxes import PIECES_HINT, Edits, read_edits
from mfv2a.media.hardware import opening
from mfv2a.media.promise import is_gif_cut
from mfv2a.media.times import LONGEST_S, Timeline, has_slots, scan_times, slack_seconds
from mfv2a.records import StreamInfo, VideoInfo

STILL_FORMATS = ("image2", "_pipe", "tty", "ico", "lrc")
SOUND_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".aac", ".aif", ".aiff"})
CUT_HINT = "copy or download the file again"
BARE_HINT = "put it into a container first: ffmpeg -r FPS -i IN -c copy OUT.mkv"
BARE_SUFFIXES = (".mjpeg", ".mjpg")
FIRST_FRAME_PACKETS = 300
CLOCK_HZ = 1_000_000  # AV_TIME_BASE


@contextmanager
def open_media(path: Path, *, device: Literal["cpu", "cuda"] = "cpu") -> Iterator[Any]:
    """Open a file with PyAV, to be decoded on a device; every way in which that fails becomes a MediaError.

    Raises:
        MediaError: missing, a folder, empty, unreadable, or nothing that FFmpeg knows.
    """
    check_readable(path)
    try:
        container = av.open(f"file:{path}", **opening(device))
    except (av.FFmpegError, OSError, ValueError) as error:
        raise _not_media(path, error) from error
    try:
        yield container
    finally:
        container.close()


def check_readable(path: Path) -> None:
    """Raise a MediaError for a path that is missing, a folder, empty or not ours to read."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise MediaError(path, "is a folder, not a file")
        if not stat.S_ISREG(status.st_mode):
            raise MediaError(path, "is not a regular file")  # opening a pipe would wait for ever
        with path.open("rb"):
            pass
    except FileNotFoundError as error:
        raise MediaError(path, "does not exist") from error
    except OSError as error:
        raise MediaError(path, f"cannot be read: {error.strerror or error}", hint="check its permissions") from error
    if status.st_size == 0:
        raise MediaError(path, "is empty (0 bytes)", hint=CUT_HINT)


def _not_media(path: Path, error: Exception) -> MediaError:
    """Say why FFmpeg would not open a file: a cut MP4 has a known beginning and no index."""
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] in (b"ftyp", b"mdat", b"moov", b"wide", b"free", b"skip"):
        return MediaError(path, "is cut short or damaged: its index is missing", hint=CUT_HINT, detail=str(error))
    if head[:4] == b"\x1a\x45\xdf\xa3" or head[:4] in (b"RIFF", b"GIF8", b"FLV\x01", b"OggS"):
        return MediaError(path, "is cut short or damaged", hint=CUT_HINT, detail=str(error))
    what = "sound" if path.suffix.lower() in SOUND_SUFFIXES else "video"
    hint = "leave this file out, or copy or download it again"
    return MediaError(path, f"is not a {what} that FFmpeg knows", hint=hint, detail=str(error))


def probe_video(path: Path | str) -> VideoInfo:
    """Read what a video file holds.

    Args:
        path: any file FFmpeg can open.

    Returns:
        The probe; `duration_s` is from the first picture frame to the end of the last.

    Raises:
        MediaError: not a video, zero bytes, no picture (or sound only), cut short, unreadable.
    """
    path = Path(path)
    with open_media(path) as container:
        names = container.format.name
        if any(name.endswith(STILL_FORMATS) for name in names.split(",")):
            hint = BARE_HINT if "jpeg_pipe" in names and path.suffix.lower() in BARE_SUFFIXES else ""
            raise MediaError(path, f"is not a video ({container.format.long_name})", hint=hint)
        picture = choose_picture(container, path)
        lines = scan_times(container)
        line = _picture_line(lines, picture, path)
        if has_slots(container) and picture.duration:
            line.reach(float(picture.duration * picture.time_base))
        fps = line.frame_rate(picture)
        duration_s = line.duration_s(fps)
        _check_whole(container, picture, lines, duration_s, path)
        rotation_deg, aspect = _first_frame(container, picture, path)
        width_px, height_px = round(picture.width * max(aspect, 1)), round(picture.height / min(aspect, 1))
        if rotation_deg in (90, 270):
            width_px, height_px = height_px, width_px
        return VideoInfo(
            path=path,
            container=names,
            duration_s=duration_s,
            start_s=line.first_s,
            fps=fps,
            width_px=width_px,
            height_px=height_px,
            rotation_deg=rotation_deg,
            picture_index=picture.index,
            streams=tuple(_describe(stream) for stream in container.streams),
            packets=line.packets,
            tags=dict(container.metadata),
        )


def choose_picture(container: Any, path: Path) -> Any:
    """Choose the picture: the first default video stream that is no cover, else the first that is no cover.

    Raises:
        MediaError: there is none.
    """
    pictures = [stream for stream in container.streams.video if not is_cover(stream)]
    pictures = [stream for stream in pictures if stream.codec_context is not None] or pictures
    if not pictures:
        if container.streams.audio:
            raise MediaError(path, "has sound but no picture", hint="mfv2a dubs videos; this file needs none")
        raise MediaError(path, "has no video stream")
    chosen = next((stream for stream in pictures if has_disposition(stream, "default")), pictures[0])
    if chosen.codec_context is None:
        raise MediaError(path, "has a picture in a codec that FFmpeg cannot decode")
    return chosen


def has_disposition(stream: Any, name: str) -> bool:
    """Tell whether a PyAV stream carries a disposition, such as "default"."""
    return bool(stream.disposition & getattr(av.stream.Disposition, name))


def is_cover(stream: Any) -> bool:
    """Tell whether a video stream is a still picture attached to the file."""
    return has_disposition(stream, "attached_pic")


def _describe(stream: Any) -> StreamInfo:
    return StreamInfo(
        index=stream.index,
        kind=stream.type or "data",
        codec=stream.codec_context.codec.canonical_name if stream.codec_context is not None else "",
        is_default=has_disposition(stream, "default"),
        is_cover=stream.type == "video" and is_cover(stream),
        rate_hz=int(stream.rate or 0) if stream.type == "audio" and stream.codec_context is not None else 0,
        language=stream.metadata.get("language", ""),
    )


def _picture_line(lines: dict[int, Timeline], picture: Any, path: Path) -> Timeline:
    """The picture's timeline.

    Raises:
        MediaError: the stream has no packets, or none with a time.
    """
    line = lines.get(picture.index)
    if line is None:
        raise MediaError(path, "has a picture stream without any picture", hint=CUT_HINT)
    if line.packets == 0:
        raise MediaError(
            path,
            "has no timestamps (a bare stream without container)",
            hint=BARE_HINT,
        )
    if line.broken_s is not None:
        raise MediaError(
            path,
            f"has a clock that jumps after {line.broken_s:.2f} s (pieces that were joined as they are?)",
            hint="give it one clock first: ffmpeg -i IN -c copy OUT.mkv",
        )
    return line


def _check_whole(container: Any, picture: Any, lines: dict[int, Timeline], duration_s: float, path: Path) -> None:
    """Compare what is there with what the header states.

    Raises:
        MediaError: the file ends clearly before its stated end, or holds a picture for longer than can be meant.
    """
    if (held_s := lines[picture.index].held_s) > LONGEST_S:
        raise MediaError(path, f"is damaged: it shows one picture for {held_s / 3600:.0f} hours", hint=CUT_HINT)
    names, edits = container.format.name, _edits(container, picture, path)
    if names == "gif" and is_gif_cut(path):
        raise MediaError(path, f"is cut short: its data end within a picture, after {duration_s:.2f} s", hint=CUT_HINT)
    if names == "avi" and picture.frames and picture.average_rate:
        # The demuxer shortens the other statements of a cut AVI to what it finds.
        stated_s, found_s = float(picture.frames / picture.average_rate), duration_s
    elif picture.duration and names != "asf":  # which states the file's length for every stream
        line = lines[picture.index]  # a container may count the hold of another picture as the last one's, too
        stated_s, found_s = float(picture.duration * picture.time_base), max(duration_s, line.end_s - line.first_s)
        if edits is not None and edits.shown_s is not None:
            stated_s = min(stated_s, edits.shown_s)  # which counts what is empty before the picture, too
    elif picture.duration:  # ASF states for each stream when the last of all ends
        stated_s, found_s = float(picture.duration * picture.time_base), max(line.end_s for line in lines.values())
    elif container.duration and "mpegts" not in names:
        # Only the file's length is stated: the longest stream has to reach it, not the picture.
        stated_s = float(Fraction(container.duration, CLOCK_HZ))
        found_s = max(line.end_s for line in lines.values()) - min(0.0, float(container.start_time or 0) / CLOCK_HZ)
    else:
        return
    rate = lines[picture.index].packets / duration_s if duration_s > 0 else 0.0
    if found_s < stated_s - slack_seconds(stated_s, rate):
        if edits is not None and edits.leaps:
            raise MediaError(path, "has an edit list that joins pieces of its picture", hint=PIECES_HINT)
        raise MediaError(
            path, f"is cut short: the picture ends after {found_s:.2f} s of {stated_s:.2f} s", hint=CUT_HINT
        )


def _edits(container: Any, picture: Any, path: Path) -> Edits | None:
    """What the edit list of an MP4 or QuickTime file shows of its picture, if it says anything."""
    if "mov" not in container.format.name.split(","):
        return None
    pictures = [stream.index for stream in container.streams.video if not is_cover(stream)]
    return read_edits(path, "vide", pictures).get(picture.index)


def _first_frame(container: Any, picture: Any, path: Path) -> tuple[int, float]:
    """Decode one frame: proves that it can be done; tells the clockwise turn in degrees and the pixels' aspect."""
    frame = _decode_alone(container, picture) or _decode_on(container, picture)
    if frame is None:  # a container that cannot go back to its beginning (FLV) is begun anew
        with open_media(path) as again:
            frame = _decode_on(again, again.streams[picture.index], fresh=True)
    if frame is None:
        raise MediaError(path, "has a picture that cannot be decoded", hint=CUT_HINT)
    aspect = float(picture.sample_aspect_ratio or 1)
    return upright_deg(frame), aspect if 0.01 < aspect < 100 else 1.0


def upright_deg(frame: Any) -> int:
    """The clockwise turn, in whole quarters, that sets a decoded frame upright; a mirrored one stays mirrored.

    FFmpeg's display matrix (libavutil/display.h) gives where what is up is to point: of a picture that is only mirrored
    from left to right it is up already, though its own angle would be 180 degrees.
    """
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return 0
    values = struct.unpack("=9i", bytes(matrix))
    return round(math.degrees(math.atan2(-values[3], values[4])) / 90) * 90 % 360


def _decode_alone(container: Any, picture: Any) -> Any | None:
    """Decode the first packet and empty the decoder: quick, for a reordering decoder waits for more packets."""
    with suppress(av.FFmpegError, OSError):
        _rewind(container)
        packet = next(container.demux(picture), None)
        if packet is not None and packet.size and not packet.is_discard:
            frames = [*packet.decode(), *picture.codec_context.decode(None)]
            return frames[0] if frames else None
    return None


def _decode_on(container: Any, picture: Any, *, fresh: bool = False) -> Any | None:
    """Decode packet after packet until a frame comes: the file may begin with packets that are not shown."""
    if not fresh:
        picture.codec_context.flush_buffers()
        _rewind(container)
    packets = container.demux(picture)
    for _ in range(FIRST_FRAME_PACKETS):
        try:
            packet = next(packets, None)
            frames = packet.decode() if packet is not None else []
        except (av.FFmpegError, OSError):
            continue
        if frames or packet is None:
            return frames[0] if frames else None
    return None


def _rewind(container: Any) -> None:
    with suppress(av.FFmpegError):  # what cannot seek is read on from where it is
        container.seek(0, backward=True, any_frame=False)
