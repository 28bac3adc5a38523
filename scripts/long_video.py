"""A long video against a short one: peak memory, and whether the sound tells where its windows meet.

    python scripts/long_video.py                          # 30 minutes against 30 s at 1080p
    python scripts/long_video.py --minutes 3 --height 180
    python scripts/long_video.py --levelled               # sound of their own kept under the new one, all at -23 LUFS

Spectral flux and energy are those of frames of 32 ms at the model's rate: near the middle of the fades where two
windows of the sampler, or two pieces of the vocoder, meet, against all others. The video is a film of examples/videos,
looped and scaled, encoded once and copied. POSIX only.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfv2a.loader import load_pipeline
from mfv2a.media.audio import read_audio
from mfv2a.media.ffmpeg import find_ffmpeg
from mfv2a.models.vocoders import cut_for

FILM = Path(__file__).resolve().parent.parent / "examples" / "videos" / "friday.mp4"
NOISE = "anoisesrc=a=0.1:r=48000,tremolo=f=0.5:d=0.9,aformat=channel_layouts=stereo"
LEVELLED = ("--loudness", "-23", "--keep-audio", "mix", "--also-wav")
SHORT_S, FRAME_S, NEAR_S, DRAWS = 30, 0.032, 0.064, 1000


def make_videos(folder: Path, height_px: int, lengths_s: list[int], *, sounding: bool) -> list[Path]:
    """Half a minute, encoded once, and copies of it that are longer; with noise that comes and goes if they sound."""
    program = [find_ffmpeg(), "-nostdin", "-loglevel", "error", "-stream_loop", "-1"]
    size = f"scale={height_px * 16 // 9 // 2 * 2}:{height_px},setsar=1,fps=25"
    base = folder / "base.mp4"
    encoded = ["-t", str(SHORT_S), "-vf", size, "-c:v", "libx264", "-preset", "ultrafast", base]
    noise = ["-f", "lavfi", "-i", NOISE, "-map", "0:v", "-map", "1:a", "-c:a", "aac"] if sounding else ["-an"]
    subprocess.run([*program, "-i", FILM, *noise, *encoded], check=True)
    paths = [folder / f"{length_s}.mp4" for length_s in lengths_s]
    for path, length_s in zip(paths, lengths_s, strict=True):
        subprocess.run([*program, "-i", base, "-t", str(length_s), "-c", "copy", path], check=True)
    return paths


def dub(video: Path, out: Path, *words: str) -> float:
    """Dub a video in a process of its own; its peak memory in MiB."""
    line = [sys.executable, "-m", "mfv2a", "dub", video, "--out", out, "--sample-rate", "model", "--quiet", *words]
    child = subprocess.Popen([*line, "--audio-codec", "flac"], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"mfv2a dub {video}: exit status {child.returncode}")
    return used.ru_maxrss / 2**10


def seams(duration_s: float) -> dict[str, NDArray[np.float64]]:
    """Times in seconds at which windows of the sampler, and pieces of the vocoder, are faded into each other."""
    pipeline = load_pipeline()
    spec = pipeline.spec
    windows = spec.plan(spec.latents(duration_s))
    met = [
        (after.start + (before.stop - after.start) / 2) / spec.latent_rate_hz
        for before, after in itertools.pairwise(windows)
    ]
    assert pipeline.vocoder is not None
    cut, frame_s = cut_for(pipeline.vocoder, pipeline.info.sample_rate_hz), 1 / (2 * spec.latent_rate_hz)
    step, frames = cut["chunk"] - cut["overlap"], 2 * spec.latents(duration_s)
    joined = [(start + cut["overlap"] / 2) * frame_s for start in range(step, frames - cut["overlap"], step)]
    return {"windows": np.array(met), "vocoder": np.array(joined)}


def measure_seams(sound: Path, duration_s: float) -> dict[str, Any]:
    """Mean flux and level near the seams over those elsewhere, with 95 % intervals by bootstrap over the seams."""
    audio = read_audio(sound)
    wave, rate = audio.samples.reshape(len(audio.samples), -1).mean(1), audio.sample_rate_hz
    size = round(FRAME_S * rate)
    frames = wave[: len(wave) // size * size].reshape(-1, size)
    spectra = np.abs(np.fft.rfft(frames * np.hanning(size), axis=1))
    flux = np.maximum(0.0, np.diff(np.log1p(spectra), axis=0, prepend=np.log1p(spectra[:1]))).sum(1)
    level = 20 * np.log10(np.sqrt(np.mean(frames**2, axis=1)) + 1e-6)
    centres = (np.arange(len(frames)) + 0.5) * FRAME_S
    found: dict[str, Any] = {}
    rng = np.random.default_rng(0)
    for name, times in seams(duration_s).items():
        near = [np.abs(centres - time) < NEAR_S for time in times]
        if not near:
            continue
        elsewhere = ~np.any(near, axis=0)
        fluxes = np.array([flux[mask].mean() for mask in near]) / flux[elsewhere].mean()
        levels = np.array([level[mask].mean() for mask in near]) - level[elsewhere].mean()
        draws = rng.integers(0, len(near), (DRAWS, len(near)))
        found[name] = {
            "seams": len(near),
            "flux_ratio": [float(fluxes.mean()), *np.percentile(fluxes[draws].mean(1), [2.5, 97.5]).tolist()],
            "level_db": [float(levels.mean()), *np.percentile(levels[draws].mean(1), [2.5, 97.5]).tolist()],
        }
    return found


def main() -> None:
    """Read the words, make the videos, dub them, tell."""
    parser = argparse.ArgumentParser(description="Dub a long video and a short one.")
    parser.add_argument("--minutes", type=float, default=30.0, metavar="N", help="of the long video")
    parser.add_argument("--height", type=int, default=1080, metavar="PX", help="of the picture")
    parser.add_argument("--levelled", action="store_true", help="with --loudness -23 --keep-audio mix --also-wav")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    wanted = parser.parse_args()
    long_s = round(60 * wanted.minutes)
    with tempfile.TemporaryDirectory(prefix="mfv2a-long-") as scratch:
        short, long = make_videos(Path(scratch), wanted.height, [SHORT_S, long_s], sounding=wanted.levelled)
        words = LEVELLED if wanted.levelled else ()
        peaks = [dub(video, Path(scratch) / "dubbed", *words) for video in (short, long)]
        found = measure_seams(Path(scratch) / "dubbed" / long.name, long_s)
    if wanted.json:
        sys.stdout.write(json.dumps({"seconds": [SHORT_S, long_s], "peak_mib": peaks, "seams": found}) + "\n")
        return
    sys.stdout.write(
        f"{wanted.height}p: peak memory {peaks[0]:.0f} MiB with {SHORT_S} s, {peaks[1]:.0f} MiB with {long_s} s: "
        f"{peaks[1] / peaks[0] - 1:+.1%}\n"
    )
    for name, seam in found.items():
        (flux, *flux_range), (level, *level_range) = seam["flux_ratio"], seam["level_db"]
        sys.stdout.write(
            f"{seam['seams']} seams of {name}: flux {flux:.2f} times that elsewhere "
            f"({flux_range[0]:.2f} to {flux_range[1]:.2f}), level {level:+.2f} dB "
            f"({level_range[0]:+.2f} to {level_range[1]:+.2f})\n"
        )


if __name__ == "__main__":
    main()
