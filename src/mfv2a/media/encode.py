"""Frames and samples -> an MP4 file, written under a temporary name until it is whole.

For pictures that the tool itself draws; a user's picture is never encoded again (see `mux`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from mfv2a.disk import is_disk_full
from mfv2a.errors import MediaError, StartError
from mfv2a.media.containers import AAC_CODER
from mfv2a.media.temporary import part_path
from mfv2a.records import Audio

CRF = 23
SOUND_BITS_PER_S = 128_000
SOUND_BLOCK = 1024


def write_video(
    path: Path | str, frames: Iterable[NDArray[np.uint8]], fps: float, *, audio: Audio | None = None, crf: int = CRF
) -> Path:
    """Write an MP4 with H.264 picture and, if asked, AAC sound.

    Args:
        path: the file to make; its folder is made if need be.
        frames: pictures [H, W, 3] RGB or [H, W] gray, all of one size, or chunks [T, ...] of such. An odd side loses
            its last row or column, which 4:2:0 colour cannot hold.
        fps: frames per second.
        audio: sound that starts with the picture.
        crf: quality of the picture: smaller is better and larger.

    Returns:
        `path`.

    Raises:
        MediaError: there are no frames, or the file cannot be written.
        StartError: the disk is full.
    """
    path = Path(path)
    part = part_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _encode(path, part, _pictures(frames), Fraction(fps).limit_denominator(1001), audio, crf)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except (av.FFmpegError, OSError) as error:
        if is_disk_full(error):
            raise StartError(f"the disk is full: {path} could not be written", hint="free some space") from error
        reason = getattr(error, "strerror", None) or str(error)
        raise MediaError(path, f"cannot be written ({reason})", hint="check the folder and the space left") from error
    return path


def _pictures(frames: Iterable[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    """Single pictures [H, W, 3] with even sides."""
    for chunk in frames:
        single = chunk.ndim == 2 or (chunk.ndim == 3 and chunk.shape[-1] == 3)
        for frame in chunk[None] if single else chunk:
            even = frame[: frame.shape[0] // 2 * 2, : frame.shape[1] // 2 * 2]
            yield np.ascontiguousarray(np.repeat(even[..., None], 3, axis=2) if even.ndim == 2 else even)


def _encode(
    path: Path, part: Path, frames: Iterator[NDArray[np.uint8]], rate: Fraction, audio: Audio | None, crf: int
) -> None:
    first = next(frames, None)
    if first is None or 0 in first.shape:
        raise MediaError(path, "has no frames to write", hint="a picture needs at least 2 x 2 pixels")
    with av.open(f"file:{part}", "w", format="mp4", options={"movflags": "+faststart"}) as container:
        picture: Any = container.add_stream("libx264", rate=rate, options={"crf": str(crf), "preset": "fast"})
        picture.height, picture.width = first.shape[:2]
        picture.pix_fmt = "yuv420p"
        picture.codec_context.time_base = 1 / rate
        sound: Any = None
        if audio is not None:
            layout = "mono" if audio.samples.ndim == 1 else {1: "mono", 2: "stereo"}[audio.samples.shape[1]]
            sound = container.add_stream(
                "aac", rate=audio.sample_rate_hz, layout=layout, options={"aac_coder": AAC_CODER}
            )
            sound.bit_rate = SOUND_BITS_PER_S
        for index, pixels in enumerate(_chain(first, frames)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = index, 1 / rate
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
        if audio is not None:
            _encode_sound(container, sound, audio)


def _chain(first: NDArray[np.uint8], rest: Iterator[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    yield first
    yield from rest


def _encode_sound(container: Any, stream: Any, audio: Audio) -> None:
    samples = audio.samples[:, None] if audio.samples.ndim == 1 else audio.samples
    planes = np.ascontiguousarray(np.clip(samples, -1.0, 1.0).T.astype(np.float32))
    layout = "mono" if len(planes) == 1 else "stereo"
    for start in range(0, planes.shape[1], SOUND_BLOCK):
        block = np.ascontiguousarray(planes[:, start : start + SOUND_BLOCK])
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=layout)
        frame.sample_rate, frame.pts = audio.sample_rate_hz, start
        frame.time_base = Fraction(1, audio.sample_rate_hz)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
