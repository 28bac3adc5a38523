"""The sound that a video brings along: whether it can be heard, and its samples on the picture's own clock.

Sound is float32 [S, channels]. This file does not know what the sound is kept for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from mfv2a.errors import MediaError
from mfv2a.media.audio import resample
from mfv2a.media.containers import MuxPlan
from mfv2a.media.ffmpeg import find_ffmpeg
from mfv2a.media.probe import open_media
from mfv2a.media.streams import can_hold
from mfv2a.records import StreamInfo, VideoInfo

AUDIBLE_PEAK = 1 / 32768  # one step of 16-bit sound: what never rises above it is digital silence
ONE_SOUND = frozenset({"flv"})
BESIDE_HINT = "use --keep-audio mix or replace, or convert the video to .mkv first"
GAP_S = 0.05  # a jump of the clock beyond this is a gap; less is the rounding of containers


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


def read_track(info: VideoInfo, index: int, sample_rate_hz: int) -> NDArray[np.float32]:
    """Read a track onto the picture's clock: sample 0 is heard when the picture starts.

    What sounds before the picture or after it is cut; gaps are silence.

    Args:
        info: the probe of the video.
        index: stream index of the track.
        sample_rate_hz: rate to resample to.

    Returns:
        [round(picture seconds x rate), channels], one channel for mono, else two (more are mixed down).

    Raises:
        MediaError: the track cannot be decoded.
    """
    total = round(info.duration_s * sample_rate_hz)
    runs = list(_runs(info, index))
    if not runs:
        raise MediaError(info.path, f"has sound that cannot be decoded (stream {index})")
    channels = max(run.blocks[0].shape[1] for run in runs)
    track = np.zeros((total, channels), dtype=np.float32)
    for run in runs:
        wave = np.concatenate(run.blocks)
        wave = wave if run.rate_hz == sample_rate_hz else resample(wave, run.rate_hz, sample_rate_hz)
        _place(track, wave, round((run.start_s - info.start_s) * sample_rate_hz))
    return track


def check_beside(info: VideoInfo, plan: MuxPlan, beside: Sequence[int]) -> None:
    """Try whether the container of the output takes copies of the source's sound.

    Raises:
        MediaError: it does not.
    """
    if beside and plan.container in ONE_SOUND:
        raise MediaError(info.path, f"{plan.suffix} holds one track of sound only", hint=BESIDE_HINT)
    for index in beside:
        if not can_hold(info, plan.container, index, part=Path(os.devnull), ffmpeg_program=find_ffmpeg()):
            codec = info.streams[index].codec or "its sound"
            raise MediaError(
                info.path, f"has sound ({codec}) that cannot be copied into {plan.suffix}", hint=BESIDE_HINT
            )


def mix_sounds(sounds: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Add sounds [S] or [S, channels] of one length; mono goes to every channel.

    Returns:
        [S], or [S, channels] with as many channels as the widest; not limited to [-1, 1].
    """
    wide = [sound[:, None] if sound.ndim == 1 else sound for sound in sounds]
    channels = max(sound.shape[1] for sound in wide)
    mixed = np.zeros((len(wide[0]), channels), dtype=np.float32)
    for sound in wide:
        mixed += sound
    return mixed[:, 0] if channels == 1 else mixed


@dataclass(slots=True)
class _Run:
    """Decoded sound without a gap: its first sample's time in seconds on the file's clock, blocks [s, channels]."""

    start_s: float
    rate_hz: int
    blocks: list[NDArray[np.float32]] = field(default_factory=list)
    samples: int = 0

    def follows(self, time_s: float, rate_hz: int, channels: int) -> bool:
        end_s = self.start_s + self.samples / self.rate_hz
        return rate_hz == self.rate_hz and channels == self.blocks[0].shape[1] and abs(time_s - end_s) < GAP_S


def _runs(info: VideoInfo, index: int) -> Iterator[_Run]:
    run: _Run | None = None
    with open_media(info.path) as container:
        for time_s, rate_hz, block in _blocks(container, index):
            if time_s is None:  # no clock of its own: it follows
                time_s = info.start_s if run is None else run.start_s + run.samples / run.rate_hz
            if run is None or not run.follows(time_s, rate_hz, block.shape[1]):
                if run is not None:
                    yield run
                run = _Run(time_s, rate_hz)
            run.blocks.append(block)
            run.samples += len(block)
    if run is not None:
        yield run


def _blocks(container: Any, index: int) -> Iterator[tuple[float | None, int, NDArray[np.float32]]]:
    """Decode a track: time in seconds, rate in Hz and samples [s, channels] a block; damaged packets are left out."""
    track = container.streams[index]
    if track.codec_context is None:
        return
    resampler, made_for = None, None
    packets = container.demux(track)
    while True:
        try:
            packet = next(packets, None)
        except (av.FFmpegError, OSError):
            return
        if packet is None:
            return
        try:
            frames = packet.decode()
        except av.FFmpegError:
            continue
        for frame in frames:
            kind = (frame.format.name, frame.layout.name, frame.sample_rate)
            if resampler is None or kind != made_for:
                layout = "mono" if frame.layout.nb_channels == 1 else "stereo"
                resampler, made_for = av.AudioResampler(format="fltp", layout=layout, rate=frame.sample_rate), kind
            for out in resampler.resample(frame):
                yield frame.time, frame.sample_rate, np.nan_to_num(out.to_ndarray().T)


def _place(track: NDArray[np.float32], wave: NDArray[np.float32], start: int) -> None:
    """Lay a wave [s, channels] over a track [S, channels] from sample `start`, which may lie outside."""
    begin, end = max(0, start), min(len(track), start + len(wave))
    if begin < end:
        track[begin:end] = wave[begin - start : end - start]
