"""The encoder half of T5: token numbers to a vector a token.

The network itself is that of the library transformers, which is an extra (`pip install 'mfv2a[meanaudio]'`) and is
imported when a network is built. It is built from sizes and filled with tensors; the library loads nothing. It does not
know words: it takes the numbers that a tokenizer gives it.

Source: Raffel et al., "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer",
arXiv 1910.10683; Chung et al., "Scaling Instruction-Finetuned Language Models", arXiv 2210.11416.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

from mfv2a.errors import StartError


@dataclass(frozen=True, kw_only=True)
class T5Config:
    """Sizes of the encoder; its MLPs are gated GELUs.

    Attributes:
        vocabulary: token numbers.
        dim: width D; num_heads: heads H; head_dim: width of a head; inner_dim: hidden width of the MLPs.
        depth: layers.
    """

    vocabulary: int = 32128
    dim: int = 1024
    num_heads: int = 16
    head_dim: int = 64
    inner_dim: int = 2816
    depth: int = 24

    @classmethod
    def tiny(cls) -> T5Config:
        """Three narrow layers, for tests."""
        return cls(vocabulary=100, dim=32, num_heads=4, head_dim=8, inner_dim=48, depth=3)


CONFIGS: Mapping[str, T5Config] = MappingProxyType({"flan_large": T5Config()})
"""The public encoders."""


class T5Encoder(nn.Module):
    """Token numbers to a vector a token.

    Args:
        config: sizes.

    Raises:
        StartError: transformers is not installed.
    """

    def __init__(self, config: T5Config) -> None:
        super().__init__()
        library = transformers()
        self.config = config
        whole = library.T5EncoderModel(
            library.T5Config(
                vocab_size=config.vocabulary,
                d_model=config.dim,
                d_kv=config.head_dim,
                d_ff=config.inner_dim,
                num_layers=config.depth,
                num_heads=config.num_heads,
                relative_attention_num_buckets=32,
                relative_attention_max_distance=128,
                feed_forward_proj="gated-gelu",
                layer_norm_epsilon=1e-6,
                dropout_rate=0.0,
                tie_word_embeddings=False,
            )
        )
        self.shared = whole.shared
        self.encoder = whole.encoder
        self.encoder.embed_tokens = None  # the same table under a second name

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Vectors [B, L, D] of token numbers [B, L], those of the padding as they come.

        Args:
            ids: [B, L], padded with 0.
            mask: [B, L] bool, true where there is a token; nothing looks at the others.
        """
        out: Tensor = self.encoder(inputs_embeds=self.shared(ids), attention_mask=mask.long()).last_hidden_state
        return out


def transformers() -> Any:
    """The library transformers.

    Raises:
        StartError: it is not installed.
    """
    try:
        import transformers as library
    except ImportError as error:
        raise StartError(
            "the text encoders of this model need the library transformers", hint="pip install 'mfv2a[meanaudio]'"
        ) from error
    return library
