"""One pass over a sound, however long: its hits, its envelope of hitting, and what the tagger hears in it.

A sound is taken half a minute at a time, each with its neighbourhood, at 16 kHz; what is kept of it is small. This
module does not know what the sound is for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mfv2a.evaluation.onsets import ENVELOPE, OnsetConfig, band_flux, flux_envelope, onset_bands, pick_onsets
from mfv2a.evaluation.spectrum import Floats, inside_magnitudes
from mfv2a.models.yamnet import HOP, PATCH_FRAMES, PATCH_HOP, SAMPLE_RATE_HZ, WINDOW, Tagger, at_tagger_rate

PATCH_SAMPLES = HOP * PATCH_HOP  # from one patch of the tagger to the next
BLOCK_PATCHES = 64
_REACH = WINDOW + (PATCH_FRAMES - 1) * HOP - PATCH_SAMPLES  # a patch reaches so far beyond where the next one begins
_HALO = 3200  # at 16 kHz: more than a spectrum or a resampling filter reaches over


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What is heard in a sound.

    Attributes:
        duration_s: of the sound.
        onsets_s: when something begins to sound [K], empty where hits were not listened for.
        flux: rise of the spectrum every 10 ms [F], sharp in time.
        scores: of each class of the tagger, the mean over the sound [521]; None without a tagger.
        patches: scores of each patch of 0.96 s [P, 521], in half precision; None without a tagger.
    """

    duration_s: float
    onsets_s: tuple[float, ...] = ()
    flux: Floats
    scores: NDArray[np.float32] | None = None
    patches: NDArray[np.float16] | None = None

    def envelope(self, fps: float) -> Floats:
        """Strength of hitting on a frame grid [T]; see `onsets.onset_envelope`."""
        return flux_envelope(self.flux, self.duration_s, fps)


def listen(
    samples: NDArray[np.float32], sample_rate_hz: int, *, tagger: Tagger | None = None, hits: bool = True
) -> Heard:
    """Listens to a sound once.

    Args:
        samples: [S] or [S, channels], which are averaged; may lie in a file.
        sample_rate_hz: of the samples.
        tagger: who names what is heard; None for hits alone.
        hits: find the hits, too, and not only the envelope.
    """
    configs = (ENVELOPE, OnsetConfig()) if hits else (ENVELOPE,)
    bands: list[list[Floats]] = [[] for _ in configs]
    patches: list[NDArray[np.float16]] = []
    for block, first, last, is_end in _blocks(samples, sample_rate_hz):
        for config, kept in zip(configs, bands, strict=True):
            window, hop, filters = onset_bands(SAMPLE_RATE_HZ, config)
            spectra = inside_magnitudes(block, window=window, hop=hop)[first // hop : (last + hop * is_end) // hop]
            kept.append(spectra @ filters)
        if tagger is not None:
            end = len(block) if is_end else last + _REACH
            if not patches or end - first >= PATCH_SAMPLES + _REACH:  # what is left may be no patch any more
                patches.append(tagger.hear(block[first:end])[0].numpy().astype(np.float16))
    fluxes = [band_flux(np.concatenate(kept), config) for config, kept in zip(configs, bands, strict=True)]
    whole = np.concatenate(patches) if patches else None
    return Heard(
        duration_s=len(samples) / sample_rate_hz,
        onsets_s=tuple(round(float(time), 3) for time in pick_onsets(fluxes[1])) if hits else (),
        flux=fluxes[0],
        scores=None if whole is None else whole.mean(axis=0, dtype=np.float32),
        patches=whole,
    )


def _blocks(samples: NDArray[np.float32], rate_hz: int) -> Iterator[tuple[Floats, int, int, bool]]:
    """A sound at 16 kHz piece by piece.

    Yields:
        The piece with its neighbourhood, where it begins and ends in there, and whether it is the last.
    """
    step = BLOCK_PATCHES * PATCH_SAMPLES
    total = round(len(samples) * SAMPLE_RATE_HZ / rate_hz)
    starts = range(0, max(1, total - _REACH), step)
    for start in starts:
        is_end = start == starts[-1]
        stop = total if is_end else start + step
        first, last = max(0, start - _HALO), min(total, stop + _REACH + _HALO)
        begin, end = math.floor(first * rate_hz / SAMPLE_RATE_HZ), math.ceil(last * rate_hz / SAMPLE_RATE_HZ)
        part = np.asarray(samples[begin:end], np.float32)
        part = part if part.ndim == 1 else part.mean(axis=1)
        block = at_tagger_rate(part, rate_hz).numpy()[: last - first]
        yield block, start - first, stop - first, is_end
