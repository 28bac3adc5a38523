"""A video and a sound to a video with that sound: the picture's packets are copied, never coded again.

Everything else that the file held (further pictures, subtitles, chapters, attachments, metadata, rotation) goes
along on its own clock; the sound it had is left out, or copied beside the new one. This file does not know where
the new sound comes from.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ffmpeg

from mfv2a.disk import write_hint
from mfv2a.errors import ConfigError, FfmpegMissingError, MediaError
from mfv2a.media.audio import FittedSound
from mfv2a.media.boxes import end_picture, signals
from mfv2a.media.coding import at_codec_rate, encoder_options
from mfv2a.media.containers import MOV_FAMILY, AudioCodec, MuxPlan, needs_generic_tags, plan_mux
from mfv2a.media.delay import (
    PLACE_NAME,
    delay_habits,
    encoder_delay,
    state_matroska_delay,
    state_mp4_delay,
)
from mfv2a.media.ffmpeg import bundled_ffmpeg, compile_command, find_ffmpeg, has_encoder, run_ffmpeg
from mfv2a.media.probe import choose_picture, open_media, probe_video
from mfv2a.media.streams import attach_covers, can_hold, copied_streams, data_streams, opus_delays, write_covers
from mfv2a.media.tags import state
from mfv2a.media.temporary import part_path
from mfv2a.media.times import Timeline, scan_times, slack_seconds
from mfv2a.records import Audio, VideoInfo

__all__ = ["AudioCodec", "MuxPlan", "mux_audio", "plan_mux", "stamp"]

log = logging.getLogger(__name__)
CHANGED = "has changed while it was read"
CHANGED_HINT = "wait until it is whole, then run the same command again"
# Of GIF, in hundredths of a second: FFmpeg 5 takes a delay of 1 for 10 unless told otherwise, unlike newer ones.
GIF_DELAYS = {"min_delay": 1, "default_delay": 10}


@dataclass(frozen=True)
class _Job:
    """One file to write: what goes in and how."""

    info: VideoInfo
    plan: MuxPlan
    sound: FittedSound
    channels: int
    num_samples: int
    rate_hz: int
    tags: Mapping[str, str]
    part: Path
    beside: tuple[int, ...]
    language: str


def mux_audio(
    info: VideoInfo,
    audio: Audio,
    out: Path,
    plan: MuxPlan,
    *,
    tags: Mapping[str, str] | None = None,
    beside: Sequence[int] = (),
    statement: str = "",
    language: str = "",
) -> Path:
    """Write the video of `info` with `audio` as its default sound.

    The sound is cut or padded to round(picture seconds x rate) samples and starts when the picture starts. The
    file is written under a temporary name beside `out` and renamed when whole; the source is only read.

    Args:
        info: the probe of the video.
        audio: the sound, [S] or [S, channels].
        out: the file to make; its folder must exist.
        plan: container and codec, from `plan_mux`.
        tags: metadata to add to the file.
        beside: stream indices of the source's sound to copy, packet by packet, after the new track.
        statement: what the file says of its sound, in the first tag that the source leaves free; "" for nothing.
        language: of what is spoken in the sound, as containers name it; "" for none.

    Returns:
        `out`.

    Raises:
        ConfigError: `out` is the source.
        MediaError: ffmpeg failed, `out` cannot be written, or the source changed meanwhile.
        StartError: the disk is full.
    """
    if out.exists() and out.samefile(info.path):
        raise ConfigError(f"{out} is the source itself", hint="write to another folder")
    audio = at_codec_rate(audio, plan)
    rate = audio.sample_rate_hz
    channels = 1 if audio.samples.ndim == 1 else audio.samples.shape[1]
    part, num_samples = part_path(out), round(info.duration_s * rate)
    sound = FittedSound(audio.samples, num_samples)
    stated = state(info.tags, statement, plan.container)
    if statement and not stated:
        log.warning("%s: all places for what a file says of its sound are taken; it says nothing", info.path)
    _warn_of_signals(info, plan)
    told = {**stated, **(tags or {})}
    job = _Job(info, plan, sound, channels, num_samples, rate, told, part, tuple(beside), language)
    try:
        before = stamp(info.path)
        _write(job, find_ffmpeg())
        if info.rotation_deg and probe_video(part).rotation_deg != info.rotation_deg:
            _write_with_bundled(job)
        if plan.container == "flv":
            _check_pictures(info, part)
        if stamp(info.path) != before:
            raise MediaError(info.path, CHANGED, hint=CHANGED_HINT)
        part.replace(out)
    except OSError as error:
        raise MediaError(out, f"cannot be written: {error.strerror or error}", hint=write_hint(error, out)) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return out


def stamp(path: Path) -> tuple[int, int]:
    """Size in bytes and time of the last change in nanoseconds: what tells that a file has changed.

    Raises:
        MediaError: the file is not there any more.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise MediaError(path, "has vanished while it was read", hint=CHANGED_HINT) from error
    return status.st_size, status.st_mtime_ns


def _check_pictures(info: VideoInfo, part: Path) -> None:
    """Counts the packets of the picture: of a damaged FLV ffmpeg leaves some out, or all, and says nothing.

    Raises:
        MediaError: some are not there.
    """
    with open_media(part) as made:
        packets = scan_times(made).get(choose_picture(made, part).index, Timeline()).packets
    if packets != info.packets:
        told = f"is damaged: of its picture's {info.packets} packets {packets} can be copied"
        raise MediaError(info.path, told, hint="convert it to MP4 and try again")


def _warn_of_signals(info: VideoInfo, plan: MuxPlan) -> None:
    """Say what ffmpeg writes into MP4 alone, where it is lost."""
    if plan.container in MOV_FAMILY and plan.container != "mp4":
        for lost in signals(info.path):
            log.warning("%s: the %s signalling of its picture cannot be kept in %s", info.path, lost, plan.suffix)


def _write_with_bundled(job: _Job) -> None:
    """Write again with imageio-ffmpeg's program: ffmpeg before 6.1 loses the rotation of Matroska files."""
    try:
        _write(job, bundled_ffmpeg())
    except FfmpegMissingError:
        log.warning("%s: this ffmpeg cannot keep the rotation in %s", job.info.path, job.plan.suffix)


def _write(job: _Job, program: Path) -> None:
    """Write the temporary file; data tracks that the container cannot hold are left out."""
    data = data_streams(job.info)
    try:
        _run(job, program, data)
    except MediaError:
        if not data:
            raise
        held = [
            index
            for index in data
            if can_hold(job.info, job.plan.container, index, part=job.part, ffmpeg_program=program)
        ]
        for index in sorted(set(data) - set(held)):
            log.warning("%s: data track %d cannot be copied and is left out", job.info.path, index)
        _run(job, program, held)


def _run(job: _Job, program: Path, data: Sequence[int]) -> None:
    """Run ffmpeg once, with the data tracks of `data`, and state the encoder's delay where it did not."""
    info, plan, rate = job.info, job.plan, job.rate_hz
    delay_s = encoder_delay(plan.encoder, rate)
    added_s = stated_s = 0.0
    if delay_s and plan.container in ("matroska", "webm"):
        habits = delay_habits(program, plan.encoder)
        added_s, stated_s = 0.0 if habits.adds else delay_s, 0.0 if habits.states else delay_s
    options = _options(job, info.start_s + added_s) | _beside_options(job, program)
    if stated_s:
        options |= {"metadata:s:a:0": f"title={PLACE_NAME}", "write_crc32": 0}
    arguments = compile_command(ffmpeg.output(*_streams(job, data), "part", **options), source=info.path, part=job.part)
    try:
        covers = write_covers(info, job.part) if plan.container == "matroska" else []
        # The same option twice is beyond ffmpeg-python: these words go in before the output's name.
        spoken = ["-metadata:s:a:0", f"language={job.language}"] if job.language else []
        covered = attach_covers(covers, sum(stream.kind == "attachment" for stream in info.streams))
        arguments[-1:-1] = [*spoken, *covered]
        sound = (block.data.cast("B") for block in job.sound)
        run_ffmpeg(arguments, path=info.path, stdin=sound, ffmpeg=program, out=job.part)
    finally:
        for cover in job.part.parent.glob(f"{job.part.name}.cover*"):
            cover.unlink(missing_ok=True)
    if stated_s:
        state_matroska_delay(job.part, stated_s)
    if delay_s and plan.container in MOV_FAMILY:
        state_mp4_delay(job.part, delay_s, job.num_samples, rate)
    if plan.container in MOV_FAMILY and "mov" in info.container.split(","):
        copied = [info.streams[index] for index in copied_streams(info, plan.container, data)]
        pictures = [each.index for each in copied if each.kind == "video" and not each.is_cover]
        slack_s = slack_seconds(info.duration_s, info.fps)
        end_picture(job.part, pictures.index(info.picture_index), info.duration_s, slack_s)


def _streams(job: _Job, data: Sequence[int]) -> list[Any]:
    """The streams of the output: those that are copied, with the sound right after the picture: the new one first."""
    # Every stream stays on the source's own clock (copyts). Missing timestamps (AVI, MPEG-PS) are worked out.
    reading = GIF_DELAYS if job.info.container == "gif" else {}
    video = ffmpeg.input("source", copyts=None, fflags="+genpts", **reading)
    sound = ffmpeg.input("pipe:0", f="f32le", ar=job.rate_hz, ac=job.channels)
    streams: list[Any] = []
    for index in copied_streams(job.info, job.plan.container, data):
        streams.append(video[str(index)])
        if index == job.info.picture_index:
            streams.append(sound["a:0"])
            streams += [video[str(track)] for track in job.beside]
    return streams


def _options(job: _Job, sound_start_s: float) -> dict[str, Any]:
    """Output options: everything copied but the sound, which begins at `sound_start_s` on the source's clock."""
    return {
        "f": job.plan.container,
        "map_metadata": 0,
        "map_chapters": 0,
        "c": "copy",
        "c:a:0": job.plan.encoder,
        # Not itsoffset: newer versions ignore it for raw sound.
        "filter:a:0": f"asetpts=PTS+{round(sound_start_s * job.rate_hz)}",
        "disposition:a:0": "default",
        "copyinkf:v": None,
        "max_muxing_queue_size": 9999,
        **encoder_options(job.plan, job.channels),
        **_container_options(job.plan, job.rate_hz, {*job.info.tags, *job.tags}),
        **{f"metadata:g:{n}": f"{key}={value}" for n, (key, value) in enumerate(job.tags.items())},
    }


def _beside_options(job: _Job, program: Path) -> dict[str, Any]:
    """Options of the source's own sound, which is copied: not the default any more, and in its place."""
    if not job.beside:
        return {}
    options: dict[str, Any] = {f"disposition:a:{n}": "-default" for n in range(1, len(job.beside) + 1)}
    if job.plan.container in ("matroska", "webm") and has_encoder(program, "libopus"):
        late = {} if delay_habits(program, "libopus").adds else opus_delays(job.info, job.beside)
        places = {index: n for n, index in enumerate(job.beside, start=1)}
        options |= {f"bsf:a:{places[index]}": f"setts=ts=round(TS+{delay_s}/TB)" for index, delay_s in late.items()}
    return options | {"strict": -2}  # ffmpeg before 6 calls FLAC in MP4 experimental


def _container_options(plan: MuxPlan, rate: int, tags: Iterable[str]) -> dict[str, Any]:
    if plan.container in MOV_FAMILY:
        generic = "+use_metadata_tags" if needs_generic_tags(plan.container, tags) else ""
        # Edit lists count in the movie's timescale: the usual 1/1000 s would round the stated length.
        options = {"movflags": f"+faststart{generic}", "movie_timescale": rate}
        # ffmpeg calls what says that a picture is spherical (st3d, sv3d) or Dolby Vision (dvcC) unofficial.
        return options | ({"strict": -2} if plan.container == "mp4" else {})
    if plan.container in ("matroska", "webm"):
        # The muxer takes the encoder's delay off by itself; shifting every stream for it would count it twice.
        return {"avoid_negative_ts": "disabled"}
    if plan.container == "mpegts":
        # FFmpeg goes by the name, which is a temporary one here; without a delay the source's clock stays.
        return {"muxdelay": 0, "muxpreload": 0, "mpegts_m2ts_mode": int(plan.suffix.lower() in (".m2ts", ".mts"))}
    return {}
