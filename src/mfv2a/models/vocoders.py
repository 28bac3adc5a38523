"""The vocoders, and how a long mel is cut for them."""

from __future__ import annotations

from typing import TypedDict

from mfv2a.models.bigvgan import BigVGAN
from mfv2a.models.extension import Extended
from mfv2a.models.griffinlim import GriffinLim
from mfv2a.models.istft import ISTFTVocoder

Vocoder = GriffinLim | ISTFTVocoder | Extended | BigVGAN
SPECTRA_S = 30.0
NETWORK_S = 20.0  # of a network, which needs far more memory than iterations over spectra


class Cut(TypedDict):
    """How a mel is decoded in pieces; see `mfv2a.timeline.crossfade`."""

    chunk: int
    overlap: int
    hop: int
    agree: bool


def cut_for(vocoder: Vocoder, sample_rate_hz: int) -> Cut:
    """The pieces that a vocoder takes at a time."""
    network = not isinstance(vocoder, GriffinLim)  # sees some frames to either side alone
    chunk = round((NETWORK_S if network else SPECTRA_S) * sample_rate_hz / vocoder.hop)
    return Cut(chunk=chunk, overlap=32 if network else 8, hop=vocoder.hop, agree=network)
