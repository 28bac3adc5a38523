"""How FFmpeg's two ways of coding AAC keep sounds: distance, peaks and time, at the bit rates of this tool.

    python scripts/measure_aac.py --sounds sfx                    mono, 128 kbit/s
    python scripts/measure_aac.py --sounds sfx --rate 16000       brought to 16 kHz before
    python scripts/measure_aac.py --sounds sfx --stereo           two sounds across two channels, 192 kbit/s

For each coder the means over the sounds, each 8 s at 48 kHz with a peak of .7: signal over error, error over signal in
a band of the Bark scale (mean, and what 5 % of the bands lie above), difference of the log spectrum, the largest rise
of the peak, bit rate, CPU seconds of ffmpeg. `MFV2A_FFMPEG` says which ffmpeg.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly, stft

from mfv2a.media.audio import read_audio
from mfv2a.media.ffmpeg import find_ffmpeg
from mfv2a.media.resampling import resample

RATE_HZ, SECONDS, PEAK = 48000, 8, 0.7
SECOND_GAIN, ACROSS = 0.8, 0.35
BARK_BANDS, HEARD = 24, 1e-6
Wave = NDArray[np.float32]


def load(path: Path, through_hz: int) -> Wave:
    """A sound [S] as mono of 48 kHz that went through another rate, repeated to 8 s."""
    wave = read_audio(path, through_hz).samples
    wave = resample(np.asarray(wave, np.float32), through_hz, RATE_HZ)
    length = SECONDS * RATE_HZ
    return np.tile(wave, -(-length // max(1, len(wave))))[:length] * (PEAK / max(1e-9, float(np.abs(wave).max())))


def code(wave: Wave, coder: str, kbps: int, folder: Path) -> tuple[Wave, float, float]:
    """A wave [S, channels] coded and decoded; bits a second in thousands; CPU seconds."""
    part, channels, before = folder / "coded.m4a", wave.shape[1], _cpu_s()
    raw = ["-f", "f32le", "-ar", str(RATE_HZ), "-ac", str(channels), "-i", "pipe:0"]
    call = [str(find_ffmpeg()), "-nostdin", "-loglevel", "error", "-y"]
    made = [*call, *raw, "-c:a", "aac", "-aac_coder", coder, "-b:a", f"{kbps}k", str(part)]
    subprocess.run(made, input=wave.tobytes(), check=True)
    spent = _cpu_s() - before
    heard = read_audio(part, RATE_HZ, mono=False).samples[: len(wave)]
    return np.asarray(heard, np.float32), part.stat().st_size * 8 / SECONDS / 1000, spent


def compare(true: Wave, coded: Wave) -> list[float]:
    """Of a channel [S], in dB: signal over error, error over signal in bands (mean, 95 %), log spectrum."""
    true, error = true[: len(coded)], coded - true[: len(coded)]
    hertz, _, there = stft(true, RATE_HZ, nperseg=2048)
    powers = [np.abs(each) ** 2 for each in (there, stft(error, RATE_HZ, nperseg=2048)[2])]
    bark = np.clip(13 * np.arctan(0.00076 * hertz) + 3.5 * np.arctan((hertz / 7500) ** 2), 0, BARK_BANDS - 1).astype(
        int
    )
    signal, wrong = (np.stack([power[bark == k].sum(0) for k in range(BARK_BANDS)]) for power in powers)
    shares = 10 * np.log10((wrong + 1e-12) / (signal + 1e-12))[signal > signal.max() * HEARD]
    spectra = [20 * np.log10(np.abs(stft(each, RATE_HZ, nperseg=2048)[2]) + 1e-4) for each in (true, coded)]
    ratio = 10 * np.log10(float((true**2).sum()) / (float((error**2).sum()) + 1e-12))
    return [
        ratio,
        float(shares.mean()),
        float(np.quantile(shares, 0.95)),
        float(np.abs(spectra[0] - spectra[1]).mean()),
    ]


def peak_db(wave: Wave) -> float:
    """The true peak of a wave [S, channels], in dB."""
    return 20 * float(np.log10(np.abs(resample_poly(wave, 4, 1, axis=0)).max() + 1e-9))


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Read the words, code the sounds both ways, print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sounds", type=Path, default=Path("sfx"), help="folder of sounds")
    parser.add_argument("--most", type=int, default=60, help="so many sounds, drawn with seed 0")
    parser.add_argument("--rate", type=int, default=RATE_HZ, help="Hz that sounds are brought to first")
    parser.add_argument("--stereo", action="store_true", help="two sounds across two channels")
    words = parser.parse_args()
    files = sorted(
        path for path in words.sounds.rglob("*") if path.suffix in (".opus", ".wav", ".flac", ".ogg", ".mp3")
    )
    chosen = [files[k] for k in np.random.default_rng(0).permutation(len(files))[: words.most]]
    found: dict[str, list[list[float]]] = {"twoloop": [], "fast": []}
    with tempfile.TemporaryDirectory() as folder:
        for index, path in enumerate(chosen):
            left = load(path, words.rate)
            right = SECOND_GAIN * load(chosen[(index + 7) % len(chosen)], words.rate) if words.stereo else left
            wave = np.stack([left + ACROSS * right, ACROSS * left + right], 1) if words.stereo else left[:, None]
            wave = np.ascontiguousarray(wave * (PEAK / np.abs(wave).max()), np.float32)
            for coder, rows in found.items():
                heard, kbps, spent = code(wave, coder, 192 if words.stereo else 128, Path(folder))
                parts = [compare(wave[:, c], heard[:, c]) for c in range(wave.shape[1])]
                rows.append([*np.mean(parts, 0), peak_db(heard) - peak_db(wave), kbps, spent])
    for coder, rows in found.items():
        ratio, share, worst, spectrum, _, kbps, spent = np.mean(rows, 0)
        sys.stdout.write(
            f"{coder}: {len(rows)} sounds, signal over error {ratio:.1f} dB, error over signal in bands {share:.1f} dB "
            f"(95 %: {worst:.1f}), log spectrum {spectrum:.2f} dB, peak at most {max(row[4] for row in rows):+.2f} dB, "
            f"{kbps:.0f} kbit/s, {spent:.3f} CPU s\n"
        )


if __name__ == "__main__":
    main()
