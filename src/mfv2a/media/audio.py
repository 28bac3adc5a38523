"""Sound files: read, write, fit to a length.

Sound is float32 in [-1, 1], [S] mono or [S, channels]. This file does not know what the sound is of; generated
sound is resampled in `pipeline`, sound from files here.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import av
import ffmpeg
import numpy as np
import soundfile
from numpy.typing import NDArray

from mfv2a.disk import is_disk_full, write_hint
from mfv2a.errors import ConfigError, MediaError, StartError
from mfv2a.media.ffmpeg import compile_command, run_ffmpeg
from mfv2a.media.packets import sounded
from mfv2a.media.probe import check_readable, has_disposition, open_media
from mfv2a.media.promise import check_complete
from mfv2a.media.resampling import BLOCK_SAMPLES, resample
from mfv2a.media.spool import forget
from mfv2a.media.temporary import part_path
from mfv2a.records import Audio

# suffix -> libsndfile's format and subtype, FFmpeg's muxer and encoder, the rates in Hz both can write (empty: any)
FORMATS: dict[str, tuple[str, str, str, str, tuple[int, ...]]] = {
    ".wav": ("WAV", "PCM_24", "wav", "pcm_s24le", ()),
    ".flac": ("FLAC", "PCM_24", "flac", "flac", ()),
    ".ogg": ("OGG", "VORBIS", "ogg", "libvorbis", ()),
    ".opus": ("OGG", "OPUS", "ogg", "libopus", (8000, 12000, 16000, 24000, 48000)),
    ".mp3": (
        "MP3",
        "MPEG_LAYER_III",
        "mp3",
        "libmp3lame",
        (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000),
    ),
}


def read_audio(
    path: Path | str, sample_rate_hz: int | None = None, *, mono: bool = True, strict: bool = False
) -> Audio:
    """Read the sound of a file: sound files by libsndfile, everything else by FFmpeg.

    Args:
        path: a sound file, or a video with sound (its default stream, else its first).
        sample_rate_hz: rate to resample to; None keeps the file's.
        mono: average the channels.
        strict: samples that are no finite numbers are an error, and so is a WAV or FLAC file that ends before its
            header says, and what rises above full scale is kept as it is, to be measured; else numbers that are none
            become silence or full scale, what is beyond it is cut there, and what is there is read.

    Returns:
        Samples [S], or [S, channels] when `mono` is false.

    Raises:
        MediaError: no such file, no sound in it, or damaged.
    """
    path = Path(path)
    check_readable(path)
    try:
        samples, rate = soundfile.read(str(path), dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError, TypeError, ValueError):
        samples, rate = _read_with_ffmpeg(path)
    if len(samples) == 0:
        raise MediaError(path, "has no sound in it (0 samples)")
    if strict:
        check_complete(path, len(samples))
    if strict and not np.isfinite(samples).all():
        raise MediaError(path, "holds samples that are no numbers")
    if not strict:
        samples = np.clip(np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0), -1.0, 1.0)
    if mono:
        samples = samples.mean(axis=1, keepdims=True)
    if sample_rate_hz is not None and sample_rate_hz != rate:
        samples, rate = resample(samples, rate, sample_rate_hz), sample_rate_hz
    samples = np.ascontiguousarray(samples[:, 0] if mono else samples, dtype=np.float32)
    return Audio(samples=samples, sample_rate_hz=rate)


def _read_with_ffmpeg(path: Path) -> tuple[NDArray[np.float32], int]:
    """Decode a file's sound: [S, channels] float32 and its rate in Hz."""
    blocks: list[NDArray[np.float32]] = []
    with open_media(path) as container:
        tracks = list(container.streams.audio)
        if not tracks:
            raise MediaError(path, "has no sound")
        track = next((one for one in tracks if has_disposition(one, "default")), tracks[0])
        if track.codec_context is None:
            raise MediaError(path, "has sound in a codec that FFmpeg cannot decode")
        track.thread_type = "AUTO"
        rate = int(track.codec_context.sample_rate)
        resampler = av.AudioResampler(format="fltp", layout=track.codec_context.layout, rate=rate)
        try:
            for frame in sounded(container, track):
                blocks.extend(np.asarray(out.to_ndarray(), dtype=np.float32) for out in resampler.resample(frame))
        except (av.FFmpegError, ValueError) as error:
            raise MediaError(path, "has sound that cannot be decoded", detail=str(error)) from error
    if not blocks:
        raise MediaError(path, "has sound that cannot be decoded")
    return np.ascontiguousarray(np.concatenate(blocks, axis=1).T), rate


class FittedSound:
    """A sound cut or padded with silence to a number of samples, within [-1, 1], block by block, as often as wanted.

    Args:
        samples: [S] or [S, channels].
        num_samples: of the result.
    """

    def __init__(self, samples: NDArray[np.float32], num_samples: int) -> None:
        self._samples, self._num_samples = samples, num_samples

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Blocks [s] or [s, channels], little-endian float32."""
        for first in range(0, self._num_samples, BLOCK_SAMPLES):
            length = min(BLOCK_SAMPLES, self._num_samples - first)
            block = np.zeros((length, *self._samples.shape[1:]), dtype="<f4")
            part = self._samples[first : first + length]
            np.clip(np.nan_to_num(part, nan=0.0, posinf=1.0, neginf=-1.0), -1.0, 1.0, out=block[: len(part)])
            forget(self._samples)
            yield block


def wav_bytes(audio: Audio, *, statement: str = "") -> bytes:
    """The sound as a whole WAV file (24-bit PCM), with what it says of itself as its comment."""
    buffer = io.BytesIO()
    _encode(audio, "WAV", "PCM_24", buffer, statement)
    return buffer.getvalue()


def _encode(audio: Audio, form: str, subtype: str, file: IO[bytes], statement: str = "") -> None:
    """Writes a sound file, block by block.

    Raises:
        OSError: the file could not be written.
        SoundFileError: the library does not take it.
    """
    channels = 1 if audio.samples.ndim == 1 else audio.samples.shape[1]
    target = _Told(file)
    try:
        with soundfile.SoundFile(
            target, "w", samplerate=audio.sample_rate_hz, channels=channels, format=form, subtype=subtype
        ) as sound:
            if statement:
                sound.comment = statement
            for start in range(0, len(audio.samples), BLOCK_SAMPLES):  # libvorbis overflows its stack on one long write
                sound.write(audio.samples[start : start + BLOCK_SAMPLES])
                forget(audio.samples)
    finally:
        if target.error is not None:
            raise target.error


class _Told:
    """A file that keeps the error of a write, which libsndfile would hide."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.error: OSError | None = None
        self.seek, self.tell = file.seek, file.tell

    def write(self, data: Any) -> int:
        """Writes all of it, however often that takes: a disk that fills takes a part first, then tells why."""
        block, written = memoryview(data).cast("B"), 0
        try:
            while written < len(block):
                written += self._file.write(block[written:])
        except OSError as error:
            self.error = error
        return written


def write_audio(path: Path | str, audio: Audio, *, statement: str = "") -> None:
    """Write a sound file in the format of its suffix, under a temporary name until it is whole.

    Args:
        path: a name that ends in .wav, .flac, .ogg, .opus or .mp3.
        audio: the sound.
        statement: what the file says of its sound, as its comment; "" for nothing.

    Raises:
        ConfigError: another suffix.
        MediaError: the file could not be written.
        StartError: the disk is full.
    """
    path = Path(path)
    form, subtype, muxer, encoder, rates = sound_format(path)
    part = part_path(path)
    try:
        if subtype not in soundfile.available_subtypes(form) or (rates and audio.sample_rate_hz not in rates):
            _encode_with_ffmpeg(audio, part, path, muxer, encoder, statement)
        else:
            with part.open("w+b", buffering=0) as file:
                _encode(audio, form, subtype, file, statement)
        part.replace(path)
    except OSError as error:
        if is_disk_full(error):
            raise StartError(f"the disk is full: {path} could not be written", hint="free some space") from error
        raise MediaError(path, f"cannot be written: {error.strerror or error}", hint=write_hint(error, path)) from error
    except soundfile.SoundFileError as error:
        raise MediaError(path, f"cannot be written: {error}") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def writable_rate(path: Path, rate_hz: int) -> int:
    """The rate that `write_audio` writes a sound of a rate at, in Hz: the format's next higher one.

    Raises:
        ConfigError: a suffix that cannot be written.
    """
    rates = sound_format(path)[4]
    return min((rate for rate in rates if rate >= rate_hz), default=max(rates, default=rate_hz))


def sound_format(path: Path) -> tuple[str, str, str, str, tuple[int, ...]]:
    """Look the suffix of a sound file up in FORMATS.

    Raises:
        ConfigError: a suffix that cannot be written.
    """
    try:
        return FORMATS[path.suffix.lower()]
    except KeyError:
        raise ConfigError(
            f"{path.name}: sound cannot be written as {path.suffix or 'a file without suffix'}",
            hint=f"name it {', '.join(FORMATS)}",
        ) from None


def _encode_with_ffmpeg(audio: Audio, part: Path, path: Path, muxer: str, encoder: str, statement: str) -> None:
    """Encode what libsndfile cannot: a rate that has to change to the next higher one of the format."""
    source = ffmpeg.input("pipe:0", f="wav")
    told = {"metadata": f"comment={statement}"} if statement else {}
    command = ffmpeg.output(
        source, "part", f=muxer, acodec=encoder, ar=writable_rate(path, audio.sample_rate_hz), **told
    )
    run_ffmpeg(compile_command(command, part=part), path=path, stdin=wav_bytes(audio))
