"""What a codec makes of a sound: encoder settings, and the peaks that are heard once it is coded and decoded.

AAC and Opus throw away what cannot be heard; without it peaks come out higher than they went in, by some decibels where
a sound is loud and dense. How much hangs on the sound and on the encoder's version, so the program that writes the
file is asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import ffmpeg
import numpy as np
from numpy.typing import NDArray

from mfv2a.errors import MediaError
from mfv2a.media.audio import FittedSound, writable_rate, write_audio
from mfv2a.media.containers import AAC_CODER, MuxPlan
from mfv2a.media.ffmpeg import compile_command, find_ffmpeg, run_ffmpeg
from mfv2a.media.loudness import true_peak_dbtp
from mfv2a.media.packets import decoded
from mfv2a.media.patience import check_patience
from mfv2a.media.probe import open_media
from mfv2a.media.resampling import resample
from mfv2a.media.spool import kept
from mfv2a.media.temporary import part_path
from mfv2a.records import Audio

LOSSY = frozenset({"aac", "opus"})
LOSSY_SUFFIXES = frozenset({".mp3", ".ogg", ".opus"})
OPUS_HZ = 48000


def encoder_options(plan: MuxPlan, channels: int) -> dict[str, Any]:
    """Options of ffmpeg for the encoder of the first track of sound."""
    if plan.codec == "aac":
        return {"b:a:0": "128k" if channels == 1 else "192k", "aac_coder:a:0": AAC_CODER}
    if plan.codec == "opus":
        return {"b:a:0": "96k" if channels == 1 else "160k"}
    if plan.codec == "flac":
        return {"strict": -2}  # ffmpeg before 6 calls FLAC in MP4 experimental
    return {}


def at_codec_rate(audio: Audio, plan: MuxPlan) -> Audio:
    """The sound at the rate at which it is coded."""
    if plan.codec != "opus" or audio.sample_rate_hz == OPUS_HZ:
        return audio
    # Opus is decoded at 48 kHz whatever went in, and FFmpeg states the delay of lower rates wrongly.
    wave = resample(audio.samples, audio.sample_rate_hz, OPUS_HZ)
    return Audio(samples=wave, sample_rate_hz=OPUS_HZ)


def coded_peak_dbtp(audio: Audio, plan: MuxPlan, out: Path, *, folder: Path | None = None) -> float:
    """The true peak of a sound once it was coded as in a file and decoded, in dBTP.

    Args:
        audio: the sound, [S] or [S, channels].
        plan: of the file.
        out: the file that will be made; the sound is coded under a temporary name beside it, and removed.
        folder: on whose disk the decoded sound is kept; None for memory.

    Raises:
        MediaError: ffmpeg failed.
        StartError: the disk is full.
    """
    audio = at_codec_rate(audio, plan)
    channels = 1 if audio.samples.ndim == 1 else audio.samples.shape[1]
    source = ffmpeg.input("pipe:0", f="f32le", ar=audio.sample_rate_hz, ac=channels)
    options = {"f": "matroska", "c:a:0": plan.encoder, **encoder_options(plan, channels)}
    part = part_path(out)
    try:
        blocks = (block.data.cast("B") for block in FittedSound(audio.samples, len(audio.samples)))
        command = compile_command(ffmpeg.output(source, "part", **options), part=part)
        run_ffmpeg(command, path=out, stdin=blocks, ffmpeg=find_ffmpeg())
        return true_peak_dbtp(kept(_decoded(part, channels), folder), audio.sample_rate_hz)
    finally:
        part.unlink(missing_ok=True)


def written_peak_dbtp(audio: Audio, path: Path) -> float:
    """The true peak of a sound once it was written as a sound file of this name and read again, in dBTP.

    Args:
        audio: the sound, [S] or [S, channels].
        path: of the file that will be made; the sound is written under a temporary name beside it, and removed.

    Raises:
        MediaError: it cannot be written there.
        StartError: the disk is full.
    """
    part = part_path(path).with_suffix(f".part{path.suffix}")
    channels = 1 if audio.samples.ndim == 1 else audio.samples.shape[1]
    try:
        write_audio(part, audio)
        return true_peak_dbtp(np.concatenate(list(_decoded(part, channels))), writable_rate(path, audio.sample_rate_hz))
    except MediaError as error:
        raise MediaError(path, str(error), hint=error.hint, detail=error.detail) from error
    finally:
        part.unlink(missing_ok=True)


def _decoded(path: Path, channels: int) -> Iterator[NDArray[np.float32]]:
    """The sound of a file in blocks [s, channels]."""
    resampler: Any = None
    with open_media(path) as container:
        for frame in decoded(container, container.streams.audio[0]):
            check_patience()
            resampler = resampler or av.AudioResampler(format="fltp", layout=frame.layout.name, rate=frame.sample_rate)
            for block in resampler.resample(frame):
                yield np.ascontiguousarray(block.to_ndarray().T)
    yield np.zeros((0, channels), dtype=np.float32)
