"""The text branch of CLAP: token numbers to one unit vector a text.

RoBERTa, whose pooled first state goes through a small MLP. RoBERTa itself is that of the library transformers, as in
`t5.py`. It does not know words: it takes the numbers that a tokenizer gives it.

Source: Wu et al., "Large-scale Contrastive Language-Audio Pretraining with Feature Fusion and Keyword-to-Caption
Augmentation", arXiv 2211.06687; Liu et al., "RoBERTa", arXiv 1907.11692.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mfv2a.errors import ConfigError
from mfv2a.models.roberta import EPS, PAD
from mfv2a.models.t5 import transformers


@dataclass(frozen=True, kw_only=True)
class CLAPTextConfig:
    """Sizes of the encoder.

    Attributes:
        vocabulary: token numbers.
        positions: places, of which the first two are no token's.
        dim: width D of the states; num_heads: heads H; inner_dim: hidden width of the MLPs.
        depth: layers.
        out_dim: width of the vector of a text.
    """

    vocabulary: int = 50265
    positions: int = 514
    dim: int = 768
    num_heads: int = 12
    inner_dim: int = 3072
    depth: int = 12
    out_dim: int = 512

    @classmethod
    def tiny(cls) -> CLAPTextConfig:
        """Two narrow layers, for tests."""
        return cls(vocabulary=120, positions=90, dim=48, num_heads=4, inner_dim=96, depth=2, out_dim=32)


CONFIGS: Mapping[str, CLAPTextConfig] = MappingProxyType({"laion": CLAPTextConfig()})
"""The public encoders."""


class CLAPText(nn.Module):
    """Token numbers to one unit vector a text.

    Args:
        config: sizes.

    Raises:
        StartError: transformers is not installed.
    """

    def __init__(self, config: CLAPTextConfig) -> None:
        super().__init__()
        library = transformers()
        self.config = config
        sizes = library.RobertaConfig(
            vocab_size=config.vocabulary,
            max_position_embeddings=config.positions,
            hidden_size=config.dim,
            num_attention_heads=config.num_heads,
            intermediate_size=config.inner_dim,
            num_hidden_layers=config.depth,
            hidden_act="gelu",
            layer_norm_eps=EPS,
            type_vocab_size=1,
            pad_token_id=PAD,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
        self.text_branch = library.RobertaModel(sizes, add_pooling_layer=True)
        # Tables that no file holds: what they say is given with each call.
        del self.text_branch.embeddings.position_ids, self.text_branch.embeddings.token_type_ids
        self.text_projection = nn.Sequential(
            nn.Linear(config.dim, config.out_dim), nn.ReLU(), nn.Linear(config.out_dim, config.out_dim)
        )

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Unit vectors [B, out] of token numbers [B, L].

        Args:
            ids: [B, L], padded with 1; L is at most `positions` - 2.
            mask: [B, L] bool, true where there is a token.

        Raises:
            ConfigError: more tokens than the encoder has places for.
        """
        if ids.shape[1] > (most := self.config.positions - PAD - 1):
            raise ConfigError(f"{ids.shape[1]} tokens, where the text encoder takes at most {most}")
        tokens = (ids != PAD).long()
        states = self.text_branch(
            ids,
            attention_mask=mask.long(),
            token_type_ids=torch.zeros_like(ids),
            position_ids=PAD + tokens.cumsum(1) * tokens,
        )
        return F.normalize(self.text_projection(states.pooler_output), dim=-1)
