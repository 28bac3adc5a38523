"""Waves at another rate, on their own device, by a sharp filter: sound is made up to the very edge of its band."""

from __future__ import annotations

from torch import Tensor

SHARP = 32
"""Zero crossings of the filter to either side: it falls within the last 5 % of the band."""


def resample(wave: Tensor, old_hz: int, new_hz: int) -> Tensor:
    """A wave [..., S] of one rate at another: [..., ceil(S * new_hz / old_hz)]."""
    from torchaudio.functional import resample as by_sinc

    made: Tensor = by_sinc(wave, old_hz, new_hz, lowpass_filter_width=SHARP)
    return made
