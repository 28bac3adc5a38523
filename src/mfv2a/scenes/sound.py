"""The synthesiser: voices -> samples. Partials, noise bursts, coloured noise, grains and gliding tones.

Knows nothing of pictures. Hits are the same at any sample rate. Noise is drawn for its samples, and what flutters or
crackles in it after that, so gusts, flames and gravel are others at another rate.
"""

# numba infers the types of its kernels.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit
from numpy.random import Generator
from numpy.typing import NDArray

from mfv2a.scenes.script import CONTROL_HZ, Burst, Grains, Hits, Modes, Noise, Tone, Voice
from mfv2a.scenes.shapes import Floats

Wave = NDArray[np.float32]

VARIANTS = 3
PEAK = 0.9


@njit(cache=True, nogil=True, fastmath=True)
def _ring(out, hz, decay_s, gain, phase, rate):
    """Add decaying partials to out [L] by the two-pole recursion."""
    for k in range(len(hz)):
        if hz[k] >= 0.47 * rate:
            continue
        step = 2.0 * np.pi * hz[k] / rate
        fall = np.exp(-1.0 / (decay_s[k] * rate))
        last = min(len(out), int(7.6 * decay_s[k] * rate) + 1)
        re, im = gain[k] * np.cos(phase[k]), gain[k] * np.sin(phase[k])
        c, s = fall * np.cos(step), fall * np.sin(step)
        for i in range(last):
            out[i] += im
            re, im = re * c - im * s, re * s + im * c


@njit(cache=True, nogil=True, fastmath=True)
def _lay(out, piece, start, gain):
    """Add gain * piece to out from sample `start` on."""
    for i in range(min(len(piece), len(out) - start)):
        out[start + i] += gain * piece[i]


@njit(cache=True, nogil=True, fastmath=True)
def _scatter(out, starts, gains, hz, decay_s, noisy, noise, rate):
    """Add many short grains: a decaying sine blip mixed with decaying noise, brightened by differencing."""
    for k in range(len(starts)):
        length = min(int(6.0 * decay_s[k] * rate) + 2, len(out) - starts[k])
        fall = np.exp(-1.0 / (decay_s[k] * rate))
        step = 2.0 * np.pi * hz[k] / rate
        c, s = np.cos(step), np.sin(step)
        re, im, level = 1.0, 0.0, gains[k]
        pull = 1.0 - np.exp(-step)
        low, lower = 0.0, 0.0
        where = (starts[k] * 7 + k * 131) % (len(noise) - 1)
        for i in range(length):
            low += pull * (noise[where] - low)
            lower += 0.3 * pull * (low - lower)
            out[starts[k] + i] += level * ((1.0 - noisy) * im + noisy * 1.6 * (low - lower))
            re, im = re * c - im * s, re * s + im * c
            level *= fall
            where += 1
            if where >= len(noise):
                where = 0


@njit(cache=True, nogil=True, fastmath=True)
def _sing(out, hz, level, partials, rate):
    """Add a harmonic tone with pitch hz [S] and level [S]."""
    phase = 0.0
    for i in range(len(out)):
        phase += hz[i] / rate
        phase -= np.floor(phase)
        if level[i] <= 1e-6:
            continue
        re, im = np.cos(2.0 * np.pi * phase), np.sin(2.0 * np.pi * phase)
        a, b, total = re, im, 0.0
        for k in range(len(partials)):
            if hz[i] * (k + 1) > 0.47 * rate:
                break
            total += partials[k] * b
            a, b = a * re - b * im, a * im + b * re
        out[i] += level[i] * total


def _fast_length(length: int) -> int:
    """The next length whose FFT is quick (factors 2, 3 and 5)."""
    best = 1 << (length - 1).bit_length()
    for three in (1, 3, 9, 27):
        for five in (1, 5, 25, 125):
            factor = three * five
            size = factor << max(0, (-(-length // factor) - 1).bit_length())
            if length <= size < best:
                best = size
    return best


def _band(hz: NDArray[np.float32], low_hz: float, high_hz: float, slope_db: float) -> NDArray[np.float32]:
    """Gain over frequency: a band with soft edges that falls by slope_db per octave inside."""
    safe = np.maximum(hz, np.float32(1.0))
    low = 1.0 / (1.0 + (low_hz / safe) ** 4)
    high = 1.0 / (1.0 + (safe / high_hz) ** 6)
    tilt = (safe / max(low_hz, 20.0)) ** np.float32(-slope_db / 6.02)
    return np.asarray(np.sqrt(low * high) * np.minimum(tilt, 4.0), np.float32)


def colored_noise(rng: Generator, length: int, rate: int, low_hz: float, high_hz: float, slope_db: float = 0.0) -> Wave:
    """Noise [length] of unit RMS (over the whole band up to 24 kHz) in a band."""
    size = _fast_length(length)
    white = rng.standard_normal(size, dtype=np.float32)
    hz = np.fft.rfftfreq(size, 1.0 / rate).astype(np.float32)
    gain = _band(hz, low_hz, high_hz, slope_db)
    full = _band(np.linspace(0.0, 24000.0, 2048, dtype=np.float32), low_hz, high_hz, slope_db)
    power = float(np.mean(full**2)) * 24000.0 / (0.5 * rate)
    shaped = np.fft.irfft(np.fft.rfft(white) * (gain / np.sqrt(power + 1e-12)), n=size)
    return np.asarray(shaped[:length], np.float32)


def _burst(rng: Generator, burst: Burst, rate: int) -> Wave:
    length = max(16, int((6.0 * burst.decay_s + burst.attack_s) * rate))
    noise = colored_noise(rng, length, rate, burst.low_hz, burst.high_hz)
    t = np.arange(length, dtype=np.float32) / np.float32(rate)
    envelope = np.exp(-np.maximum(t - burst.attack_s, 0.0) / burst.decay_s)
    if burst.attack_s:
        envelope *= np.minimum(1.0, t / burst.attack_s) ** 1.5
    if burst.grain_hz:
        cells = max(2, int(burst.grain_hz * length / rate) + 2)
        heights = rng.exponential(1.0, cells) ** 1.5
        slot = t * burst.grain_hz + 0.4 * rng.random()
        envelope = envelope * heights[np.minimum(slot.astype(np.int64), cells - 1)] * np.exp(-3.0 * (slot % 1.0))
    return np.asarray(0.35 * noise * envelope, np.float32)


def _struck(rng: Generator, modes: Modes | None, bursts: tuple[Burst, ...], spread: float, rate: int) -> Wave:
    """One hit, peak 1."""
    seconds = max([0.02] + [6.5 * b.decay_s + b.attack_s for b in bursts])
    if modes is not None and len(modes.hz):
        seconds = max(seconds, min(8.0, 7.0 * float(modes.decay_s.max())))
    wave = np.zeros(int(seconds * rate) + 1, np.float32)
    if modes is not None and len(modes.hz):
        count = len(modes.hz)
        gain = modes.gain * np.exp(spread * rng.normal(size=count))
        gain = gain / (np.sqrt(np.sum(gain**2)) + 1e-9)
        phase = rng.choice(np.array([0.0, np.pi]), count) + rng.normal(0, 0.4, count)
        _ring(wave, modes.hz * np.exp(0.006 * spread * rng.normal()), modes.decay_s, gain, phase, float(rate))
    for burst in bursts:
        noise = _burst(rng, burst, rate)
        wave[: len(noise)] += np.float32(burst.gain * np.exp(0.5 * spread * rng.normal())) * noise[: len(wave)]
    return np.asarray(wave / (np.abs(wave).max() + 1e-9), np.float32)


def _add_hits(out: Wave, rng: Generator, voice: Hits, rate: int) -> None:
    if len(voice.times_s) == 0:
        return
    pieces = [
        _struck(rng, voice.modes, voice.bursts, voice.spread, rate) for _ in range(min(VARIANTS, len(voice.times_s)))
    ]
    for i, (time_s, gain) in enumerate(zip(voice.times_s, voice.gains, strict=True)):
        piece = pieces[i] if i < len(pieces) else pieces[int(rng.integers(len(pieces)))]
        start = round(float(time_s) * rate)
        if 0 <= start < len(out):
            _lay(out, piece, start, np.float32(gain))


def _stretch(curve: Floats, length: int, rate: int) -> NDArray[np.float32]:
    """A control curve at the sample rate, [length]."""
    position = np.arange(length) * (CONTROL_HZ / rate)
    return np.asarray(np.interp(position, np.arange(len(curve)), curve), np.float32)


def _slow_noise(rng: Generator, count: int, fastest_hz: float) -> Floats:
    """A smooth random curve [count] at CONTROL_HZ, unit variance."""
    spectrum = np.fft.rfft(rng.normal(size=count))
    hz = np.fft.rfftfreq(count, 1.0 / CONTROL_HZ)
    curve = np.fft.irfft(spectrum / (1.0 + (hz / fastest_hz) ** 2), n=count)
    return np.asarray(curve / (curve.std() + 1e-9))


def _add_noise(out: Wave, rng: Generator, voice: Noise, rate: int) -> None:
    noise = colored_noise(rng, len(out), rate, voice.low_hz, voice.high_hz, voice.slope_db)
    level = voice.level
    if voice.flutter:
        level = level * np.exp(voice.flutter * _slow_noise(rng, len(level), voice.flutter_hz) - 0.5 * voice.flutter**2)
    out += noise * _stretch(level, len(out), rate)


def _add_grains(out: Wave, rng: Generator, voice: Grains, rate: int) -> None:
    seconds = len(out) / rate
    most = float(np.max(voice.rate, initial=0.0))
    count = int(rng.poisson(most * seconds))
    if count == 0:
        return
    times = rng.random(count) * seconds
    chance = rng.random(count) * most
    pitch = np.exp(rng.uniform(np.log(voice.low_hz), np.log(voice.high_hz), count))
    gains = voice.gain * np.minimum(4.0, rng.exponential(0.6, count) + 0.15) * rng.choice(np.array([-1.0, 1.0]), count)
    decay = voice.decay_s * np.exp(0.5 * rng.normal(size=count))
    kept = chance < np.interp(times * CONTROL_HZ, np.arange(len(voice.rate)), voice.rate)
    table = rng.standard_normal(8191, dtype=np.float32)
    starts = (times[kept] * rate).astype(np.int64)
    _scatter(
        out, starts, gains[kept], np.minimum(pitch[kept], 0.45 * rate), decay[kept], voice.noisy, table, float(rate)
    )


def _add_tone(out: Wave, rng: Generator, voice: Tone, rate: int) -> None:
    curve = voice.hz
    if voice.jitter:
        curve = curve * (1.0 + voice.jitter * _slow_noise(rng, len(curve), 12.0))
    hz, level = _stretch(curve, len(out), rate), _stretch(voice.level, len(out), rate)
    _sing(out, hz, level, np.asarray(voice.partials, np.float64), float(rate))
    if voice.breath:
        middle = float(np.median(voice.hz[voice.level > 0.01])) if np.any(voice.level > 0.01) else 1000.0
        out += np.float32(voice.breath) * level * colored_noise(rng, len(out), rate, 0.8 * middle, 4.0 * middle)


def play(voices: Sequence[Voice], rng_seed: tuple[int, ...], length: int, rate: int) -> Wave:
    """Sum of all voices, dry, [length] float32."""
    out = np.zeros(length, np.float32)
    adders = {Hits: _add_hits, Noise: _add_noise, Grains: _add_grains, Tone: _add_tone}
    for i, voice in enumerate(voices):
        adders[type(voice)](out, np.random.default_rng((*rng_seed, i)), voice, rate)  # type: ignore[operator]
    return out


def _room(rng: Generator, dry: Wave, rate: int) -> Wave:
    """Add a small room: sparse first reflections and a decaying tail, none before 3 ms."""
    wet, decay_s = float(rng.uniform(0.02, 0.22)), float(rng.uniform(0.05, 0.3))
    length = int(4.0 * decay_s * rate)
    t = np.arange(length, dtype=np.float32) / np.float32(rate)
    tail = colored_noise(rng, length, rate, 150.0, float(rng.uniform(2500, 7000))) * np.exp(-t / np.float32(decay_s))
    tail[: int(0.003 * rate)] = 0.0
    tail /= np.sqrt(np.sum(tail**2)) + 1e-9
    size = _fast_length(len(dry) + length)
    spectrum = np.fft.rfft(dry, size) * np.fft.rfft(tail, size)
    return np.asarray(dry + np.float32(wet) * np.fft.irfft(spectrum, n=size)[: len(dry)], np.float32)


def master(wave: Wave, rng: Generator, rate: int, *, level_db: float, steady: bool, quiet: bool = False) -> Wave:
    """Room, level and noise floor; nothing above PEAK.

    Args:
        wave: dry sound [S].
        rng: source of chance.
        rate: samples per second.
        level_db: RMS (steady) or peak level aimed at, dBFS.
        steady: whether level_db is an RMS.
        quiet: nothing is heard: no further noise floor.

    Returns:
        [S] float32 within +-PEAK.
    """
    aimed_db = level_db + float(rng.normal(0.0, 2.0))
    floor_db = float(rng.uniform(-82.0, -66.0)) - (20.0 if quiet else 0.0)
    if rng.random() < 0.7:
        wave = _room(rng, wave, rate)
    size = float(np.sqrt(np.mean(wave**2))) if steady else float(np.abs(wave).max(initial=0.0))
    if size > 1e-7:
        wave = wave * np.float32(10.0 ** (aimed_db / 20.0) / size)
    wave = wave + np.float32(10.0 ** (floor_db / 20.0)) * colored_noise(rng, len(wave), rate, 60.0, 9000.0, 3.0)
    top = float(np.abs(wave).max(initial=0.0))
    return np.asarray(wave * np.float32(min(1.0, PEAK / top)) if top > 0 else wave, np.float32)
