"""Labelled sounds arranged into training items: textures cut, hits repeated or laid on visible events.

Knows waveforms and labels; not files, mel or networks. All randomness comes from the generator given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Wave = NDArray[np.float32]
SHORT_S = 2.5

TEMPLATES = (
    "{}", "{}", "a {}", "sound of {}", "the sound of a {}", "{} sound effect", "recording of {}", "we hear {}",
    "{} close up", "a video of {}",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Sound:
    """One labelled sound.

    Attributes:
        wave: mono float32 [S].
        label: what it is, in words.
        title: a longer description, may be empty.
        file: name of its file, as the index has it.
    """

    wave: Wave
    label: str
    title: str = ""
    file: str = ""

    def captions(self) -> tuple[str, ...]:
        """Ways to ask for this sound."""
        titles = (self.title.lower(),) * 2 if self.title else ()
        return tuple(template.format(self.label) for template in TEMPLATES) + titles


def trim_silence(wave: Wave, sample_rate_hz: int, *, below_db: float = -45.0) -> Wave:
    """Cut what is quieter than the peak by `below_db` at both ends, in steps of 5 ms."""
    step = max(1, sample_rate_hz // 200)
    frames = len(wave) // step
    if frames < 2:
        return wave
    level = np.abs(wave[: frames * step]).reshape(frames, step).max(1)
    loud = np.flatnonzero(level > level.max() * 10 ** (below_db / 20))
    if not len(loud):
        return wave
    return wave[max(0, loud[0] - 1) * step : (loud[-1] + 2) * step]


def resample_pitch(wave: Wave, factor: float) -> Wave:
    """Play faster by `factor` (linear interpolation): pitch and length change together."""
    position = np.arange(0, len(wave) - 1, factor, dtype=np.float64)
    return np.interp(position, np.arange(len(wave)), wave).astype(np.float32)


def _fade(wave: Wave, samples: int) -> Wave:
    samples = min(samples, len(wave) // 2)
    if samples:
        ramp = np.linspace(0, 1, samples, dtype=np.float32)
        wave = wave.copy()
        wave[:samples] *= ramp
        wave[-samples:] *= ramp[::-1]
    return wave


def place(track: Wave, wave: Wave, start: int, gain: float) -> None:
    """Add a sound to a track in place, cut at the track's end."""
    start = max(0, start)
    part = wave[: max(0, len(track) - start)]
    track[start : start + len(part)] += gain * part


def onset_sample(wave: Wave) -> int:
    """First sample louder than a quarter of the peak: where a hit is heard."""
    if not len(wave):
        return 0
    return int(np.argmax(np.abs(wave) > 0.25 * np.abs(wave).max()))


def arrange(sound: Sound, num_samples: int, sample_rate_hz: int, rng: np.random.Generator) -> Wave:
    """A track [num_samples] of one sound: a cut of a long one, repetitions of a short one.

    Args:
        sound: what to play.
        num_samples: S.
        sample_rate_hz: of the sound and the track.
        rng: source of randomness.
    """
    wave = resample_pitch(sound.wave, float(np.exp(rng.normal(0, 0.05))))
    track = np.zeros(num_samples, np.float32)
    if len(wave) >= SHORT_S * sample_rate_hz:
        if len(wave) < num_samples:
            wave = np.tile(wave, -(-num_samples // len(wave)))
        start = int(rng.integers(0, max(1, len(wave) - num_samples + 1)))
        track[:] = _fade(wave[start : start + num_samples], 80)
    else:
        step = len(wave) + int(sample_rate_hz * rng.uniform(0.02, 1.5))
        start = int(sample_rate_hz * rng.uniform(0, 0.6))
        for _ in range(int(rng.integers(1, 9))):
            place(track, _fade(wave, 16), start, float(rng.uniform(0.6, 1.0)))
            start += int(step * rng.uniform(0.8, 1.3))
    return normalize_peak(track, float(rng.uniform(0.3, 0.9)))


def voice_events(
    sound: Sound,
    times_s: Sequence[float],
    strengths: Sequence[float],
    num_samples: int,
    sample_rate_hz: int,
    rng: np.random.Generator,
) -> Wave:
    """A track [num_samples] with one sound at each event, its audible start on the event.

    Args:
        sound: a short sound.
        times_s: of the events.
        strengths: 0 to 1, one an event.
        num_samples: S.
        sample_rate_hz: of the sound and the track.
        rng: source of randomness.
    """
    wave = resample_pitch(sound.wave, float(np.exp(rng.normal(0, 0.05))))[: int(SHORT_S * sample_rate_hz)]
    wave = _fade(wave, 16)
    lead = onset_sample(wave)
    track = np.zeros(num_samples, np.float32)
    for time_s, strength in zip(times_s, strengths, strict=True):
        shift = round(time_s * sample_rate_hz) - lead
        part = wave[-shift:] if shift < 0 else wave
        place(track, part, shift, float(0.25 + 0.75 * strength) * float(rng.uniform(0.85, 1.0)))
    return normalize_peak(track, float(rng.uniform(0.3, 0.9)))


def normalize_peak(wave: Wave, peak: float) -> Wave:
    """Scale so that the largest sample is `peak`; silence stays silence."""
    top = float(np.abs(wave).max(initial=0.0))
    return (wave * (peak / top)).astype(np.float32) if top > 1e-6 else wave
