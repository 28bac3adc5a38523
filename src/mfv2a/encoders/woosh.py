"""The encoders of the public Woosh models: Synchformer in its own windows, RoBERTa for words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from numpy.typing import NDArray

from mfv2a.encoders.protocol import Shrink
from mfv2a.errors import ConfigError
from mfv2a.models.preprocess import STRIDE
from mfv2a.models.roberta import Roberta
from mfv2a.models.synchformer import Synchformer
from mfv2a.models.tokenizers import RobertaTokenizer
from mfv2a.models.woosh_sync import WOOSH_FPS, WOOSH_PX, WooshSync
from mfv2a.records import FrameRequest
from mfv2a.timeline import SequenceSpec
from mfv2a.work import Seen, Words


def woosh_spec(sample_rate_hz: int, hop: int, window_s: float) -> SequenceSpec:
    """The timeline of a public Woosh model.

    Args:
        sample_rate_hz: of its sound.
        hop: samples between latents.
        window_s: longest stretch it makes in one go; windows begin a whole number of sync segments apart.
    """
    spec = SequenceSpec(
        sample_rate_hz=sample_rate_hz,
        latent_samples=hop,
        clip_rate_hz=0.0,
        sync_rate_hz=WOOSH_FPS,
        stride=STRIDE,
        closed=True,
    )
    return spec.windowed(window_s)


class WooshEncoders:
    """Synchformer at 24 frames a second for what is seen and when, RoBERTa for words.

    It recognises nothing by name, so it is always sure.

    Args:
        sync: frames -> sync features; None for a model of text alone.
        text: token ids -> states.
        tokenizer: prompts -> ids.
        spec: the model's timeline.
    """

    frame_requests: ClassVar[Mapping[str, FrameRequest]] = MappingProxyType(
        {"sync": FrameRequest(fps=WOOSH_FPS, size_px=WOOSH_PX, bilinear=True)}
    )
    shrinkers: ClassVar[Mapping[str, Shrink]] = MappingProxyType({})
    encode_blank: ClassVar[bool] = True
    ambience: ClassVar[str] = ""

    def __init__(
        self, *, sync: Synchformer | None, text: Roberta, tokenizer: RobertaTokenizer, spec: SequenceSpec
    ) -> None:
        self.sync, self.text, self.tokenizer, self.spec = sync, text, tokenizer, spec

    def encode_text(self, prompts: Sequence[str]) -> list[Words]:
        """States [L, D] of each prompt's own tokens, 77 at most; each prompt is a batch of its own."""
        device = self.text.embeddings.word_embeddings.weight.device
        ids, mask = (tensor.to(device) for tensor in self.tokenizer.encode(prompts))
        return [
            Words(self.text(row[None], kept[None])[0, : int(kept.sum())]) for row, kept in zip(ids, mask, strict=True)
        ]

    def look(self, duration_s: float, *, semantics: bool = True, reuse: float | None = None) -> WooshLook:
        """A sync feature a frame; see `Encoders.look`. A clip that is too short goes on with its last frame.

        What is seen and when are one here: without semantics there would be nothing left, so they stay.

        Raises:
            ConfigError: the model sees no pictures.
        """
        if self.sync is None:
            raise ConfigError("this model makes sound from words alone", hint="use mfv2a tta, or another --model")
        return WooshLook(WooshSync(self.sync, self.spec.extent(duration_s).sync, reuse=reuse), self.spec)

    def strike_curve(self, seen: Seen) -> None:
        """It has features of when, and does not tell what strikes; see `Encoders.strike_curve`."""


class WooshLook:
    """Frames as they come -> sync features.

    Args:
        sync: takes the frames.
        spec: the model's timeline.
    """

    def __init__(self, sync: WooshSync, spec: SequenceSpec) -> None:
        self._sync, self._spec = sync, spec

    @torch.inference_mode()
    def add(self, name: str, frames: NDArray[Any]) -> None:
        """Takes the next frames; see `Look.add`."""
        self._sync.add(frames)

    def shorten(self, duration_s: float) -> None:
        """The clip ends earlier; see `Look.shorten`."""
        self._sync.shorten(self._spec.extent(duration_s).sync)

    @torch.inference_mode()
    def seen(self) -> Seen:
        """The features; see `Look.seen`."""
        features = self._sync.features()
        return Seen(sync=features, confidence=1.0, reused=self._sync.reused())
