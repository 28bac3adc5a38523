"""Which sound goes into which container: the table, and the plan of one output file.

Decided from the probe alone, before anything is sampled. A codec stands beside a container only if the pair keeps
the sound in place: AVI and ASF cannot say how much an AAC encoder put in front, so they get PCM.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mfv2a.errors import ConfigError, MediaError
from mfv2a.media.boxes import PIECES_HINT, read_edits
from mfv2a.media.ffmpeg import find_ffmpeg, has_encoder
from mfv2a.media.streams import can_hold
from mfv2a.records import VideoInfo

AudioCodec = Literal["auto", "aac", "flac", "opus", "pcm"]
ENCODERS = {"aac": "aac", "flac": "flac", "opus": "libopus", "pcm": "pcm_s16le"}
AAC_CODER = "fast"  # FFmpeg's default, twoloop, exchanges noise for other noise: farther, slower, with higher peaks
WEBM_CODECS = frozenset({"vp8", "vp9", "av1", "webvtt"})
MOV_SUFFIXES = (".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3gpp", ".3g2", ".f4v", ".mj2")
MOV_FAMILY = ("mp4", "mov", "3gp", "3g2")
HEAD_BYTES = 4096
# What FFmpeg writes into MP4 and QuickTime in the usual places; any other key needs the generic key table.
# fmt: off
_EVERYWHERE = frozenset((
    "major_brand", "minor_version", "compatible_brands", "encoder", "creation_time", "timecode", "location",
    "location-eng", "title", "artist", "album", "date", "comment", "genre", "copyright",
))
_IN_MP4 = frozenset((
    "album_artist", "composer", "grouping", "lyrics", "description", "synopsis", "show", "episode_id", "network",
    "keywords", "track", "disc",
))
# fmt: on


@dataclass(frozen=True)
class MuxPlan:
    """How one output file is made.

    Attributes:
        codec: "aac", "flac", "opus" or "pcm".
        encoder: FFmpeg's name of the encoder.
        suffix: the output's file name suffix, with the dot.
        container: FFmpeg's name of the muxer.
    """

    codec: str
    encoder: str
    suffix: str
    container: str


@dataclass(frozen=True)
class _Container:
    """A container that can be written: file name suffixes (the usual one first) and codecs ("auto" first)."""

    suffixes: tuple[str, ...]
    codecs: tuple[str, ...]


CONTAINERS = {
    "mp4": _Container((".mp4", *MOV_SUFFIXES), ("aac", "flac", "opus")),
    "mov": _Container((".mov", *MOV_SUFFIXES), ("aac", "pcm")),
    "3gp": _Container((".3gp", *MOV_SUFFIXES), ("aac",)),
    "3g2": _Container((".3g2", *MOV_SUFFIXES), ("aac",)),
    "matroska": _Container((".mkv", ".mk3d"), ("aac", "flac", "opus", "pcm")),
    "webm": _Container((".webm",), ("opus",)),
    "avi": _Container((".avi", ".divx"), ("pcm",)),
    "mpegts": _Container((".ts", ".m2ts", ".mts", ".m2t", ".tsv"), ("aac",)),
    "flv": _Container((".flv",), ("aac",)),
    "ogg": _Container((".ogv", ".ogg", ".ogm"), ("opus", "flac")),
    "asf": _Container((".wmv", ".asf"), ("pcm",)),
}


def needs_generic_tags(container: str, tags: Iterable[str]) -> bool:
    """Whether some of these tags have no usual place in a container of the family of MP4.

    Args:
        container: FFmpeg's name of the muxer.
        tags: their names.
    """
    plain = _EVERYWHERE | ({"make", "model"} if container == "mov" else _IN_MP4)
    return bool(set(tags) - plain)


def plan_mux(info: VideoInfo, audio_codec: AudioCodec = "auto") -> MuxPlan:
    """Plan the output of one video: the container is kept where the tool can write it, else it is Matroska.

    Args:
        info: the probe.
        audio_codec: "auto" takes aac, opus in WebM and Ogg, pcm in AVI and ASF.

    Raises:
        ConfigError: the container cannot hold that codec, or this ffmpeg has no such encoder.
        MediaError: the picture fits into no container that can be written.
        FfmpegMissingError: no ffmpeg program was found.
    """
    name = _container_name(info)
    container = CONTAINERS[name]
    codec = container.codecs[0] if audio_codec == "auto" else audio_codec
    kept = info.path.suffix
    suffix = kept if kept.lower() in container.suffixes else container.suffixes[0]
    if codec not in container.codecs:
        raise ConfigError(
            f"{codec} sound cannot go into {suffix} ({info.path.name})",
            hint=f"take --audio-codec {' or '.join(('auto', *container.codecs))}, or convert the video to .mkv first",
        )
    encoder = ENCODERS[codec]
    _check_edits(info)
    ffmpeg = find_ffmpeg()
    if not has_encoder(ffmpeg, encoder):
        raise ConfigError(f"{ffmpeg} has no encoder {encoder}", hint="take another --audio-codec or another ffmpeg")
    if name == "matroska" and not {"matroska", "gif", "mpeg"} & set(info.container.split(",")):
        _check_copy(info, ffmpeg)
    return MuxPlan(codec=codec, encoder=encoder, suffix=suffix, container=name)


def _check_edits(info: VideoInfo) -> None:
    """Refuse a picture that leaps in its own file: a copy of its packets shows what lies between, too.

    Raises:
        MediaError: its edit list joins pieces.
    """
    if "mov" in info.container.split(","):
        pictures = [each.index for each in info.streams if each.kind == "video" and not each.is_cover]
        edits = read_edits(info.path, "vide", pictures).get(info.picture_index)
        if edits is not None and edits.leaps:
            raise MediaError(info.path, "has an edit list that joins pieces of its picture", hint=PIECES_HINT)


def _check_copy(info: VideoInfo, ffmpeg: Path) -> None:
    """Try whether Matroska takes the picture of a file whose own container cannot be written.

    Raises:
        MediaError: it does not.
    """
    if not can_hold(info, "matroska", info.picture_index, part=Path(os.devnull), ffmpeg_program=ffmpeg):
        codec = info.streams[info.picture_index].codec
        raise MediaError(
            info.path, f"has a picture ({codec}) that cannot be copied into .mkv", hint="convert the video first"
        )


def _container_name(info: VideoInfo) -> str:
    """Name the muxer that writes what the demuxer read; "matroska" for what is not in the table (GIF, MPEG-PS)."""
    names = info.container.split(",")
    if "mov" in names:
        return _mov_flavour(info)
    if "matroska" in names:
        held = {stream.codec for stream in info.streams if stream.kind not in ("audio", "data")}
        return "webm" if held <= WEBM_CODECS and _is_webm(info.path) else "matroska"
    return next((name for name in names if name in CONTAINERS), "matroska")


def _mov_flavour(info: VideoInfo) -> str:
    """Tell MP4, QuickTime and 3GP apart by the brand; QuickTime files older than brands have none."""
    brand = info.tags.get("major_brand", "qt  ")
    if brand.startswith("qt"):
        return "mov"
    if brand.startswith(("3gp", "3gr", "3gs", "3ge")):
        return "3gp"
    return "3g2" if brand.startswith("3g2") else "mp4"


def _is_webm(path: Path) -> bool:
    """Read the document type in the EBML header: element 0x4282, a length byte, the name."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    return re.search(rb"\x42\x82.webm", head, re.DOTALL) is not None
