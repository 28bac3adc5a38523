"""The sound that a video brings along: whether it can be heard, and its samples on the picture's own clock.

Sound is float32 [S, channels]. This file does not know what the sound is kept for.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby, islice
from operator import attrgetter
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from mfv2a.errors import MediaError
from mfv2a.media.audio import read_audio
from mfv2a.media.blend import PIECE_SAMPLES
from mfv2a.media.boxes import PIECES_HINT, read_edits
from mfv2a.media.containers import MuxPlan
from mfv2a.media.ffmpeg import find_ffmpeg
from mfv2a.media.packets import decoded
from mfv2a.media.probe import open_media, probe_video
from mfv2a.media.resampling import resampled
from mfv2a.media.spool import forget, silence
from mfv2a.media.streams import can_hold
from mfv2a.records import Audio, StreamInfo, VideoInfo

log = logging.getLogger(__name__)
AUDIBLE_PEAK = 1 / 32768  # one step of 16-bit sound: what never rises above it is digital silence
ONE_SOUND = frozenset({"flv"})
BESIDE_HINT = "use --keep-audio mix or replace, or convert the video to .mkv first"
MOST_CHANNELS = 2
MOST_SEATS = 6  # of 5.1 sound
FALLBACK_HZ = 48_000
GAP_S = 0.05  # a jump of the clock beyond this is a gap
HOLE_S = 0.005  # a smaller one, if all of the next blocks keep it; else it is the rounding of containers, or a jitter
_AHEAD = 8


def sound_tracks(info: VideoInfo) -> tuple[int, ...]:
    """Stream indices of the sound, those that a player takes by default first."""
    tracks: list[StreamInfo] = [stream for stream in info.streams if stream.kind == "audio"]
    return tuple(stream.index for stream in sorted(tracks, key=lambda stream: not stream.is_default))


def audible_track(info: VideoInfo) -> int | None:
    """Find the track that is heard: the first, default ones before others, that is not digital silence.

    Decoding stops at the first audible sample. A track that cannot be decoded counts as heard, for nobody can say
    that it is silent.

    Returns:
        Its stream index; None if the file has no sound or only silence.

    Raises:
        MediaError: the file cannot be opened.
    """
    return next((index for index in sound_tracks(info) if _is_audible(info, index)), None)


def _is_audible(info: VideoInfo, index: int) -> bool:
    decoded = False
    with open_media(info.path) as container:
        for _, _, block in _blocks(container, index):
            decoded = True
            if float(np.max(np.abs(block), initial=0.0)) > AUDIBLE_PEAK:
                return True
    return not decoded


def read_track(
    info: VideoInfo,
    index: int,
    sample_rate_hz: int,
    *,
    folder: Path | None = None,
    strict: bool = False,
    mixed: bool = True,
) -> NDArray[np.float32]:
    """Read a track onto the picture's clock: sample 0 is heard when the picture starts.

    What sounds before the picture or after it is cut; gaps are silence.

    Args:
        info: the probe of the video.
        index: stream index of the track.
        sample_rate_hz: rate to resample to.
        folder: on whose disk the samples are kept; None for memory.
        strict: samples that are no finite numbers are an error; else they become silence or the largest number.
        mixed: more than two channels are mixed down; else only more than six are.

    Returns:
        [round(picture seconds x rate), channels], one channel for mono, else two, or as many as the track has.

    Raises:
        MediaError: the track cannot be decoded, or holds samples that are no numbers.
        OSError: the disk is full.
    """
    track: NDArray[np.float32] | None = None
    with open_media(info.path) as container:
        for _, run in groupby(
            _placed(_blocks(container, index, strict, mixed), info.start_s), key=lambda each: each.run
        ):
            first = next(run)
            place = round((first.start_s - info.start_s) * sample_rate_hz)
            wave = map(attrgetter("samples"), chain([first], run))  # noqa: B031 - the rest of it
            for block in resampled(wave, first.rate_hz, sample_rate_hz):
                if track is None or block.shape[1] > track.shape[1]:
                    track = _widened(track, round(info.duration_s * sample_rate_hz), block.shape[1], folder)
                _place(track, block, place)
                forget(track)
                place += len(block)
    if track is None:
        raise MediaError(info.path, f"has sound that cannot be decoded (stream {index})")
    return track


def warn_of_mixing_down(info: VideoInfo, index: int) -> None:
    """Say that a track has more channels than `read_track` gives.

    Raises:
        MediaError: the file cannot be opened.
    """
    with open_media(info.path) as container:
        context = container.streams[index].codec_context
        channels = 0 if context is None else context.layout.nb_channels
    if channels > MOST_CHANNELS:
        log.warning("%s: the %d channels of its sound become two in the mix", info.path, channels)


def read_on_clock(path: Path, *, mono: bool = True) -> Audio:
    """Read a file's sound: of a video as long as its picture and on its clock, else from its first sample.

    Args:
        path: a sound file, or a video whose audible sound is wanted.
        mono: average the channels.

    Returns:
        samples [S], or [S, channels] when `mono` is false; what rises above full scale is kept as it is.

    Raises:
        MediaError: no such file, no sound in it, damaged, cut off, or samples that are no numbers.
    """
    try:
        info = probe_video(path)
    except MediaError:  # a sound file, or a video of which only the sound is left
        return read_audio(path, mono=mono, strict=True)
    tracks = sound_tracks(info)
    if not tracks:
        raise MediaError(path, "has no sound")
    index = audible_track(info)
    index = tracks[0] if index is None else index
    rate_hz = next(stream.rate_hz for stream in info.streams if stream.index == index) or FALLBACK_HZ
    samples = read_track(info, index, rate_hz, strict=True, mixed=mono)
    samples = samples.mean(axis=1) if mono else samples
    return Audio(samples=np.ascontiguousarray(samples, dtype=np.float32), sample_rate_hz=rate_hz)


def _widened(track: NDArray[np.float32] | None, length: int, channels: int, folder: Path | None) -> NDArray[np.float32]:
    """Room for a track with more channels; what was mono goes to all, what was not keeps its places."""
    wide = silence((length, channels), folder)
    if track is not None:
        for start in range(0, length, PIECE_SAMPLES):
            piece = track[start : start + PIECE_SAMPLES]
            wide[start : start + PIECE_SAMPLES, : channels if piece.shape[1] == 1 else piece.shape[1]] = piece
            forget(wide)
    return wide


def check_beside(info: VideoInfo, plan: MuxPlan, beside: Sequence[int]) -> None:
    """Try whether the container of the output takes copies of the source's sound.

    Raises:
        MediaError: it does not.
    """
    if beside and plan.container in ONE_SOUND:
        raise MediaError(info.path, f"{plan.suffix} holds one track of sound only", hint=BESIDE_HINT)
    sounds = [each.index for each in info.streams if each.kind == "audio"]
    edits = read_edits(info.path, "soun", sounds) if "mov" in info.container.split(",") else {}
    for index in beside:
        if index in edits and edits[index].leaps:
            raise MediaError(info.path, "has an edit list that joins pieces of its sound", hint=PIECES_HINT)
        if not can_hold(info, plan.container, index, part=Path(os.devnull), ffmpeg_program=find_ffmpeg()):
            codec = info.streams[index].codec or "its sound"
            raise MediaError(
                info.path, f"has sound ({codec}) that cannot be copied into {plan.suffix}", hint=BESIDE_HINT
            )


_Given = tuple[float | None, int, NDArray[np.float32]]
"""A block as it is decoded: when it begins by the file, its rate in Hz, and its samples [s, channels]."""


@dataclass(frozen=True, slots=True)
class _Block:
    """Decoded sound [s, channels]; the number of its run, a stretch without a gap, and when that begins by the file."""

    run: int
    start_s: float
    rate_hz: int
    samples: NDArray[np.float32]


def _placed(blocks: Iterable[_Given], start_s: float) -> Iterator[_Block]:
    """Finds the runs of blocks; the first begins at `start_s` where the file does not say."""
    run, length, kind = 0, 0, (0, 0)
    for ahead in _with_next(blocks, _AHEAD):
        time_s, rate_hz, samples = ahead[0]
        end_s = start_s + length / max(kind[0], 1)
        is_late = time_s is not None and _is_gap(ahead, end_s)
        if run == 0 or is_late or kind != (rate_hz, samples.shape[1]):
            start_s = end_s if time_s is None else time_s
            run, length, kind = run + 1, 0, (rate_hz, samples.shape[1])
        length += len(samples)
        yield _Block(run, start_s, rate_hz, samples)


def _with_next(values: Iterable[_Given], number: int) -> Iterator[Sequence[_Given]]:
    """Each value with up to so many after it."""
    rest, ahead = iter(values), deque[_Given]()
    while True:
        ahead.extend(islice(rest, number + 1 - len(ahead)))
        if not ahead:
            return
        yield tuple(ahead)
        ahead.popleft()


def _is_gap(ahead: Sequence[_Given], end_s: float) -> bool:
    """Whether the clock jumps before a block, given with those after it, where the sound before it ends at `end_s`."""
    shifts = []
    for time_s, rate_hz, samples in ahead:
        if time_s is not None:
            shifts.append(time_s - end_s)
        end_s += len(samples) / rate_hz
    keeps = len(shifts) > _AHEAD // 2  # the last few blocks may tremble together by chance
    return abs(shifts[0]) >= GAP_S or (keeps and (min(shifts) >= HOLE_S or max(shifts) <= -HOLE_S))


def _blocks(
    container: Any, index: int, strict: bool = False, mixed: bool = True
) -> Iterator[tuple[float | None, int, NDArray[np.float32]]]:
    """Decode a track: time in seconds, rate in Hz and samples [s, channels] a block; damaged packets are left out."""
    track = container.streams[index]
    if track.codec_context is None:
        return
    resampler, made_for, kept = None, None, None
    for frame in decoded(container, track):
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if resampler is None or kind != made_for:
            layout = "mono" if frame.layout.nb_channels == 1 else "stereo"
            if not mixed and MOST_CHANNELS < frame.layout.nb_channels <= MOST_SEATS:
                kept = kept or frame.layout
            layout = kept or layout  # one that changes on the way stays what it was
            resampler, made_for = av.AudioResampler(format="fltp", layout=layout, rate=frame.sample_rate), kind
        try:
            converted = resampler.resample(frame)
        except (av.FFmpegError, ValueError) as error:  # more channels than anyone has a place for
            channels = frame.layout.nb_channels
            raise MediaError(
                _path_of(container),
                f"has sound that cannot be converted ({channels} channels)",
                hint="convert its sound first: ffmpeg -i IN -c:v copy -ac 2 OUT.mp4",
                detail=str(error),
            ) from error
        for out in converted:
            samples = out.to_ndarray().T
            if strict and not np.isfinite(samples).all():
                raise MediaError(_path_of(container), "holds samples that are no numbers")
            yield frame.time, frame.sample_rate, np.nan_to_num(samples)


def _path_of(container: Any) -> Path:
    """The file that a container is read from."""
    return Path(str(container.name).removeprefix("file:"))


def _place(track: NDArray[np.float32], wave: NDArray[np.float32], start: int) -> None:
    """Lay a wave [s, channels] over a track [S, channels] from sample `start`, which may lie outside."""
    begin, end = max(0, start), min(len(track), start + len(wave))
    if begin < end:
        track[begin:end] = wave[begin - start : end - start]
