"""A sound told by numbers and drawn as a picture, for reports: level, spectrum, hits, what is heard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mfv2a.errors import ConfigError
from mfv2a.evaluation.onsets import detect_onsets
from mfv2a.evaluation.spectrum import Floats, log_mel, magnitudes
from mfv2a.models.yamnet import Tagger

_SILENCE_DB = -120.0


def describe_sound(wave: Floats, sample_rate_hz: int, *, tagger: Tagger | None = None, top: int = 5) -> dict[str, Any]:
    """Describe one sound, JSON-ready.

    Args:
        wave: mono [S] in [-1, 1].
        sample_rate_hz: of the wave.
        tagger: who names the sound; without one there are no tags.
        top: how many tags.

    Returns:
        duration_s, rms_dbfs, peak_dbfs (-120 for silence), onsets_s, centroid_hz (mean frequency),
        bandwidth_hz (95 % of the energy lies below), flatness (0 a tone, 1 white noise) and tags (name,
        score).
    """
    wave = np.asarray(wave, np.float32)
    window = 2 * round(0.032 * sample_rate_hz)
    power = np.square(magnitudes(wave, window=window, hop=window // 2), dtype=np.float64).mean(axis=0)
    hertz = np.arange(len(power)) * sample_rate_hz / window
    total = float(power.sum())
    sounds = total > 1e-20
    cumulative = np.cumsum(power) / total if sounds else np.zeros_like(power)
    audible = power[1:] + 1e-20
    return {
        "duration_s": round(len(wave) / sample_rate_hz, 4),
        "rms_dbfs": _decibels(float(np.sqrt(np.mean(np.square(wave, dtype=np.float64)))) if len(wave) else 0.0),
        "peak_dbfs": _decibels(float(np.abs(wave).max(initial=0.0))),
        "onsets_s": [round(float(time), 3) for time in detect_onsets(wave, sample_rate_hz)],
        "centroid_hz": round(float(power @ hertz) / total, 1) if sounds else 0.0,
        "bandwidth_hz": round(float(hertz[np.searchsorted(cumulative, 0.95)]), 1) if sounds else 0.0,
        "flatness": round(float(np.exp(np.log(audible).mean()) / audible.mean()), 4) if sounds else 0.0,
        "tags": [(name, round(score, 3)) for name, score in tagger.tag(wave, sample_rate_hz=sample_rate_hz, top=top)]
        if tagger
        else [],
    }


def _decibels(amplitude: float) -> float:
    """An amplitude in dB relative to full scale."""
    return round(max(20 * float(np.log10(max(amplitude, 1e-12))), _SILENCE_DB), 2)


def spectrogram_png(wave: Floats, sample_rate_hz: int, path: str | Path, *, title: str = "") -> Path:
    """Draw a log-mel spectrogram with the detected hits marked.

    Args:
        wave: mono [S].
        sample_rate_hz: of the wave.
        path: the picture to write.
        title: a line above it.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError("spectrograms need matplotlib", hint="pip install matplotlib") from error
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    axes = figure.subplots()
    spectrum = log_mel(wave, sample_rate_hz, bands=96).T
    extent = (0.0, len(wave) / sample_rate_hz, 0.0, float(spectrum.shape[0]))
    image = axes.imshow(spectrum, origin="lower", aspect="auto", extent=extent, vmin=-11.5, vmax=-1.0)
    for time in detect_onsets(wave, sample_rate_hz):
        axes.axvline(time, ymax=0.05, color="white", linewidth=1.2)
    axes.set(title=title, xlabel="seconds", ylabel=f"mel band (20 Hz to {min(8000, sample_rate_hz // 2)} Hz)")
    figure.colorbar(image, ax=axes, label="ln magnitude")
    figure.savefig(path, dpi=110, format="png")
    return Path(path)
