"""RoBERTa as a text conditioner: a state a token, from the last layer but one.

At the size of `CONFIGS["woosh"]` it is the encoder of Woosh's text conditioners, which differ in their weights alone.
It does not know words: it takes the numbers that a tokenizer gives them.

Source: Liu et al., "RoBERTa: A Robustly Optimized BERT Pretraining Approach", arXiv 1907.11692.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch.nn.functional as F
from torch import Tensor, nn

from mfv2a.errors import ConfigError
from mfv2a.models.linear import Linear

EPS = 1e-5
PAD = 1
"""Number of the padding token, and the place of all of them; tokens stand at the places after it."""


@dataclass(frozen=True, kw_only=True)
class RobertaConfig:
    """Sizes of the encoder.

    Attributes:
        vocabulary: token numbers.
        positions: places, of which the first two are no token's.
        dim: width D; num_heads: heads H; inner_dim: hidden width of the MLPs.
        depth: layers that are run; the published encoder has one more.
    """

    vocabulary: int = 50265
    positions: int = 514
    dim: int = 1024
    num_heads: int = 16
    inner_dim: int = 4096
    depth: int = 23

    def __post_init__(self) -> None:
        if self.dim % self.num_heads:
            raise ConfigError(f"dim {self.dim} must split into {self.num_heads} heads")

    @classmethod
    def tiny(cls) -> RobertaConfig:
        """Two layers, for tests."""
        return cls(vocabulary=200, positions=90, dim=48, num_heads=4, inner_dim=96, depth=2)


CONFIGS: Mapping[str, RobertaConfig] = MappingProxyType({"woosh": RobertaConfig()})
"""The public encoders."""


class _Embeddings(nn.Module):
    def __init__(self, config: RobertaConfig) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocabulary, config.dim)
        self.position_embeddings = nn.Embedding(config.positions, config.dim)
        self.token_type_embeddings = nn.Embedding(1, config.dim)
        self.LayerNorm = nn.LayerNorm(config.dim, eps=EPS)

    def forward(self, ids: Tensor) -> Tensor:
        """States [B, L, D] of token numbers [B, L]."""
        tokens = (ids != PAD).long()
        places = PAD + tokens.cumsum(1) * tokens
        states = self.word_embeddings(ids) + self.token_type_embeddings.weight[0] + self.position_embeddings(places)
        out: Tensor = self.LayerNorm(states)
        return out


class _Projections(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.query, self.key, self.value = Linear(dim, dim), Linear(dim, dim), Linear(dim, dim)


class _Output(nn.Module):
    """The end of a branch: a linear map, the sum with what went in, a norm."""

    def __init__(self, inner: int, dim: int) -> None:
        super().__init__()
        self.dense = Linear(inner, dim)
        self.LayerNorm = nn.LayerNorm(dim, eps=EPS)

    def forward(self, branch: Tensor, x: Tensor) -> Tensor:
        """Join a branch [B, L, inner] with its input [B, L, D]."""
        out: Tensor = self.LayerNorm(x + self.dense(branch))
        return out


class _Attention(nn.Module):
    def __init__(self, config: RobertaConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.add_module("self", _Projections(config.dim))
        self.output = _Output(config.dim, config.dim)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Map [B, L, D] to [B, L, D]; keys count where the mask [B, 1, 1, L] is true."""
        maps = self.get_submodule("self").children()
        q, k, v = (layer(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for layer in maps)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        out: Tensor = self.output(mixed.transpose(1, 2).flatten(2), x)
        return out


class _Intermediate(nn.Module):
    def __init__(self, config: RobertaConfig) -> None:
        super().__init__()
        self.dense = Linear(config.dim, config.inner_dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, L, D] to [B, L, inner]."""
        return F.gelu(self.dense(x))


class _Layer(nn.Module):
    def __init__(self, config: RobertaConfig) -> None:
        super().__init__()
        self.attention = _Attention(config)
        self.intermediate = _Intermediate(config)
        self.output = _Output(config.inner_dim, config.dim)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Map [B, L, D] to [B, L, D]."""
        x = self.attention(x, mask)
        out: Tensor = self.output(self.intermediate(x), x)
        return out


class _Layers(nn.Module):
    def __init__(self, config: RobertaConfig) -> None:
        super().__init__()
        self.layer = nn.ModuleList(_Layer(config) for _ in range(config.depth))


class Roberta(nn.Module):
    """Token numbers to a state a token.

    Args:
        config: sizes.
    """

    def __init__(self, config: RobertaConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = _Embeddings(config)
        self.encoder = _Layers(config)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """States [B, L, D] of token numbers [B, L]; those where the mask is false say nothing.

        Args:
            ids: [B, L], padded with 1; L is at most `positions` - 2.
            mask: [B, L] bool, true where there is a token.

        Raises:
            ConfigError: more tokens than the encoder has places for.
        """
        if ids.shape[1] > (most := self.config.positions - PAD - 1):
            raise ConfigError(f"{ids.shape[1]} tokens, where the text encoder takes at most {most}")
        x: Tensor = self.embeddings(ids)
        for layer in self.encoder.layer:
            x = layer(x, mask[:, None, None, :])
        return x
