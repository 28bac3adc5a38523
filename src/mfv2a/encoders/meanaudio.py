"""The encoders of the public MeanAudio and FluxAudio models: T5 and CLAP, for words alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

from mfv2a.encoders.protocol import Look, Shrink
from mfv2a.errors import ConfigError
from mfv2a.models.clap import CLAPText
from mfv2a.models.t5 import T5Encoder
from mfv2a.models.tokenizers import RobertaTokenizer, T5Tokenizer
from mfv2a.records import FrameRequest
from mfv2a.work import Seen, Words


class MeanAudioEncoders:
    """T5 for a vector a token, CLAP for one of the whole prompt.

    Args:
        text: T5's encoder: ids and mask [n, 77] -> [n, 77, 1024].
        pooled: CLAP's text branch: ids and mask [n, 77] -> unit vectors [n, 512].
        tokenizer, pooled_tokenizer: prompts -> ids and masks of each.
    """

    frame_requests: ClassVar[Mapping[str, FrameRequest]] = MappingProxyType({})
    shrinkers: ClassVar[Mapping[str, Shrink]] = MappingProxyType({})
    encode_blank: ClassVar[bool] = False
    ambience: ClassVar[str] = ""

    def __init__(
        self, *, text: T5Encoder, pooled: CLAPText, tokenizer: T5Tokenizer, pooled_tokenizer: RobertaTokenizer
    ) -> None:
        self.text, self.pooled = text, pooled
        self.tokenizer, self.pooled_tokenizer = tokenizer, pooled_tokenizer

    def encode_text(self, prompts: Sequence[str]) -> list[Words]:
        """Vectors [77, D] and a vector [D'] of each prompt, which is a batch of its own, as beside no other."""
        device = next(self.text.parameters()).device
        first = [tensor.to(device) for tensor in self.tokenizer.encode(prompts)]
        second = [tensor.to(device) for tensor in self.pooled_tokenizer.encode(prompts)]
        return [
            Words(self.text(*(t[k : k + 1] for t in first))[0], self.pooled(*(t[k : k + 1] for t in second))[0])
            for k in range(len(prompts))
        ]

    def look(self, duration_s: float, *, semantics: bool = True, reuse: float | None = None) -> Look:
        """Nothing can be seen.

        Raises:
            ConfigError: always.
        """
        raise ConfigError("this model makes sound from words alone", hint="use mfv2a tta, or another --model")

    def strike_curve(self, seen: Seen) -> None:
        """It sees nothing; see `Encoders.strike_curve`."""
