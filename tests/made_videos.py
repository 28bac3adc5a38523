"""Small videos made for tests: a square that jumps, in any container that PyAV can write."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

CODECS = {".webm": "libvpx", ".gif": "gif", ".avi": "mpeg4", ".mkv": "mpeg4", ".mp4": "mpeg4", ".mov": "mpeg4"}


def make_video(
    path: Path,
    *,
    seconds: float = 1.0,
    fps: int = 10,
    size: tuple[int, int] = (64, 48),
    codec: str | None = None,
    seed: int = 0,
    sound: bool = False,
) -> Path:
    """Writes a video of max(1, round(seconds * fps)) frames.

    Args:
        path: the file; its suffix chooses the container.
        seconds: length of the picture.
        fps: frames a second.
        size: width and height in pixels.
        codec: name of the picture's encoder; None for one that fits.
        seed: another seed, other pixels.
        sound: add a tone.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    width, height = size
    with av.open(f"file:{path}", "w") as container:
        picture = container.add_stream(codec or CODECS[path.suffix.lower()], rate=fps)
        picture.width, picture.height = width, height
        picture.pix_fmt = "rgb8" if path.suffix.lower() == ".gif" else "yuv420p"
        tone = container.add_stream("aac" if path.suffix != ".webm" else "libopus", rate=48000) if sound else None
        ground = rng.integers(0, 90, (height, width, 3), dtype=np.uint8)
        for number in range(max(1, round(seconds * fps))):
            pixels = ground.copy()
            left = number * 5 % max(1, width - 8)
            pixels[8:16, left : left + 8] = 255
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=picture.pix_fmt)
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
        if tone is not None:
            _add_tone(container, tone, seconds)
    return path


def make_sound_file(path: Path, seconds: float = 1.0) -> Path:
    """Writes a file in a video's container with sound only."""
    with av.open(f"file:{path}", "w") as container:
        _add_tone(container, container.add_stream("aac", rate=48000), seconds)
    return path


def _add_tone(container: object, tone: object, seconds: float) -> None:
    times = np.arange(round(seconds * 48000)) / 48000
    wave = (0.1 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)
    for start in range(0, len(wave), 960):
        block = np.ascontiguousarray(wave[None, start : start + 960])
        frame = av.AudioFrame.from_ndarray(block, format="flt", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
        container.mux(tone.encode(frame))  # type: ignore[attr-defined]
    container.mux(tone.encode(None))  # type: ignore[attr-defined]
