"""Clips made for the media tests: every picture is one gray level, so that a frame tells which one it is."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np

from mfv2a.media.mux import mux_audio, plan_mux
from mfv2a.media.video import probe_video
from mfv2a.records import Audio

BUNDLED = Path(imageio_ffmpeg.get_ffmpeg_exe())
DATA = Path(__file__).parent / "data"
RATE = 48000
AT_S = (0.1, 0.5, 0.9)
CODECS = {".avi": "mpeg4", ".webm": "libvpx", ".wmv": "wmv2", ".mpg": "mpeg2video", ".gif": "gif"}
STEP = 8  # gray levels between two pictures


def run_bundled(*arguments: object) -> None:
    """Run imageio-ffmpeg's program on made input."""
    subprocess.run(
        [BUNDLED, "-nostdin", "-loglevel", "error", "-y", *map(str, arguments)], check=True, stdin=subprocess.DEVNULL
    )


def level(index: int) -> int:
    """Gray of picture `index`."""
    return 20 + STEP * (index % 28)


def write_video(
    path: Path,
    times_s: Sequence[float] | int = 25,
    *,
    fps: float = 25.0,
    size: tuple[int, int] = (64, 48),
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    form: str | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Write pictures of rising gray, `times_s` of them at `fps`, or at the times given."""
    times = [k / fps for k in range(times_s)] if isinstance(times_s, int) else list(times_s)
    rate = Fraction(fps).limit_denominator(1001)
    with av.open(f"file:{path}", "w", format=form) as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt
        tick = Fraction(1, 90000) if not isinstance(times_s, int) else 1 / rate
        stream.codec_context.time_base = tick
        for index, time in enumerate(times):
            picture = np.full((size[1], size[0], 3), level(index), dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round(time / tick), tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def picture_index(frame: np.ndarray) -> int:
    """Which picture (of the first 28) a converted frame shows."""
    return round((float(frame.mean()) - 20) / STEP)


def packets(path: Path, kinds: tuple[str, ...] = ("video", "subtitle")) -> list[list[tuple[str, float, bool]]]:
    """Digest, presentation time and key flag of every packet of every stream of `kinds`, in file order."""
    with av.open(f"file:{path}") as container:
        found: dict[int, list[tuple[str, float, bool]]] = {s.index: [] for s in container.streams if s.type in kinds}
        for packet in container.demux():
            if packet.size and packet.stream_index in found:
                time = packet.pts if packet.pts is not None else packet.dts
                digest = hashlib.md5(bytes(packet)).hexdigest()
                found[packet.stream_index].append((digest, float((time or 0) * packet.time_base), packet.is_keyframe))
    return [found[index] for index in sorted(found)]


def picture_start(path: Path) -> float:
    """Time in seconds of the first picture that is shown."""
    with av.open(f"file:{path}") as container:
        video = next(s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic)
        return float(min(p.pts * p.time_base for p in container.demux(video) if p.pts is not None and not p.is_discard))


def decoded_sound(path: Path) -> tuple[np.ndarray, np.ndarray, int]:
    """Samples [S] of the first channel, the time of each in seconds by the frames' own clock, the rate."""
    samples, times, rate = [], [], 0
    with av.open(f"file:{path}") as container:
        for frame in container.decode(container.streams.audio[0]):
            wave = frame.to_ndarray()
            scale = 1 if wave.dtype.kind == "f" else float(np.iinfo(wave.dtype).max)
            wave = wave[0] if frame.format.is_planar else wave.reshape(-1, len(frame.layout.channels))[:, 0]
            rate = frame.sample_rate
            samples.append(wave / scale)
            times.append(frame.time + np.arange(len(wave)) / rate)
    return np.concatenate(samples), np.concatenate(times), rate


def counted_sound(path: Path) -> np.ndarray:
    """Samples [S] of the first channel as imageio-ffmpeg's program gives them, one after the other."""
    line = [BUNDLED, "-nostdin", "-loglevel", "error", "-i", path, "-map", "0:a:0", "-f", "f32le"]
    made = subprocess.run(
        [*line, "-af", "pan=mono|c0=c0", "-"], check=True, stdin=subprocess.DEVNULL, capture_output=True
    )
    return np.frombuffer(made.stdout, "<f4")


def impulses(duration_s: float, rate_hz: int, at_s: Sequence[float]) -> np.ndarray:
    """Silence with an impulse at each time: [S] float32."""
    wave = np.zeros(round(duration_s * rate_hz), dtype=np.float32)
    wave[[round(t * rate_hz) for t in at_s]] = 0.9
    return wave


def clip(folder: Path, suffix: str, **options: object) -> Path:
    if suffix == ".ogv":  # PyAV has no Theora encoder
        run_bundled("-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=1", folder / "clip.ogv")
        return folder / "clip.ogv"
    pix_fmt = "gray" if suffix == ".gif" else "yuv420p"
    path = folder / f"clip{suffix}"
    return write_video(path, codec=CODECS.get(suffix, "libx264"), pix_fmt=pix_fmt, **options)  # type: ignore[arg-type]


def dub(source: Path, codec: str = "auto", *, rate: int = RATE, out: Path | None = None, **options: object) -> Path:
    """Dub a clip with impulses at AT_S after its picture's start."""
    info = probe_video(source)
    plan = plan_mux(info, codec)  # type: ignore[arg-type]
    wave = impulses(info.duration_s, rate, [t for t in AT_S if t < info.duration_s])
    out = out or source.parent / f"dubbed{plan.suffix}"
    return mux_audio(info, Audio(samples=wave, sample_rate_hz=rate), out, plan, **options)  # type: ignore[arg-type]
