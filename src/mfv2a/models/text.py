"""Prompts -> text tokens: all-MiniLM-L6-v2, a six-layer BERT, with its weights in the package as int8.

Knows nothing about sound or about what the tokens condition.
Source: Wang et al. 2020, "MiniLM" (the network); Reimers & Gurevych 2019, "Sentence-BERT" (mean of the
tokens, unit norm).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor, nn

from mfv2a.errors import CheckpointError
from mfv2a.models.linear import Linear
from mfv2a.models.stored import asset_path, dequantize, fill, read_tensors, unfilled

_TABLE = "words.weight"
_CHUNK = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class TextConfig:
    """Sizes of the text encoder.

    Attributes:
        vocabulary: word pieces of the tokenizer.
        positions: longest input in word pieces, the two marks [CLS] and [SEP] included.
        width: D, length of a token vector.
        inner_width: width inside the feed-forward layers.
        heads: attention heads.
        layers: transformer layers.
        slots: L, token vectors handed out a prompt.
        token_norm: typical norm of a token vector of this network; tokens are divided by it.
        limit_chars: characters of a prompt that are read at all (far more than `positions` pieces hold).
    """

    vocabulary: int = 30522
    positions: int = 256
    width: int = 384
    inner_width: int = 1536
    heads: int = 12
    layers: int = 6
    slots: int = 16
    token_norm: float = 9.3
    limit_chars: int = 16_384

    @classmethod
    def tiny(cls) -> TextConfig:
        """The smallest encoder that still runs every line, for tests."""
        return cls(width=32, inner_width=64, heads=2, layers=1, positions=32, slots=4)


class _WordTable(nn.Module):
    """Embedding rows kept as int8: a prompt reads a few of 30,522, so the rest is never unpacked."""

    weight: Tensor

    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(rows, width, dtype=torch.int8))
        self.row_scale = nn.Parameter(torch.ones(rows), requires_grad=False)

    def forward(self, ids: Tensor) -> Tensor:
        """Rows of the table: ids [B, L] -> [B, L, D]."""
        return self.weight[ids].to(self.row_scale.dtype) * self.row_scale[ids].unsqueeze(-1)


class _Layer(nn.Module):
    """Attention and feed-forward, each followed by its norm (BERT's order)."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = Linear(config.width, 3 * config.width)
        self.attended = Linear(config.width, config.width)
        self.attended_norm = nn.LayerNorm(config.width, eps=1e-12)
        self.inner = Linear(config.width, config.inner_width)
        self.outer = Linear(config.inner_width, config.width)
        self.outer_norm = nn.LayerNorm(config.width, eps=1e-12)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """One layer: x [B, L, D], mask [B, 1, 1, L] true where a token is -> [B, L, D]."""
        batch, length, width = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = self.attended_norm(x + self.attended(mixed.transpose(1, 2).reshape(batch, length, width)))
        out: Tensor = self.outer_norm(x + self.outer(F.gelu(self.inner(x))))
        return out


class TextEncoder(nn.Module):
    """Prompts to 16 token vectors and one sentence vector each.

    Of the network's output the marks [CLS] and [SEP] are left out of the token vectors (they say nothing
    about the words) but count in the sentence vector, as in sentence-transformers. A prompt of more than 16
    word pieces keeps its first 15; the sixteenth vector is the mean of the rest. What lies past the
    network's 254 pieces is not read.
    """

    def __init__(self, config: TextConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or TextConfig()
        self.words = _WordTable(config.vocabulary, config.width)
        self.places = nn.Parameter(torch.zeros(config.positions, config.width))
        self.norm = nn.LayerNorm(config.width, eps=1e-12)
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.layers))

    @classmethod
    def from_assets(cls) -> TextEncoder:
        """The encoder with the weights that ship in the package, on the CPU in fp32, ready to use.

        Raises:
            CheckpointError: the files are missing or damaged.
        """
        path = asset_path("text", "model.safetensors")
        tensors = dequantize(read_tensors(path), keep_int8=(_TABLE,))
        tensors["words.row_scale"] = tensors.pop(f"{_TABLE}.scale")
        with unfilled():
            encoder = cls()
        fill(encoder, tensors, name=path.name)
        return encoder

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Run the network.

        Args:
            ids: word piece numbers [B, L], L at most `config.positions`.
            mask: [B, L] bool, true where there is a token.

        Returns:
            Hidden states of the last layer [B, L, D].
        """
        x: Tensor = self.norm(self.words(ids) + self.places[: ids.shape[1]])
        for layer in self.layers:
            x = layer(x, mask[:, None, None, :])
        return x

    @torch.no_grad()
    def encode(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Encode prompts.

        Args:
            prompts: any text, of any length; a blank one means that nothing was said.

        Returns:
            Token vectors [B, L, D] of about unit norm, zero after the last word, and sentence vectors [B, D]
            of unit norm. Both are zero for a blank prompt.
        """
        device, dtype = self.places.device, self.places.dtype
        tokens = torch.zeros(len(prompts), self.config.slots, self.config.width, device=device, dtype=dtype)
        pooled = torch.zeros(len(prompts), self.config.width, device=device, dtype=dtype)
        pieces = [tokenize(prompt, self.config) for prompt in prompts]
        # Neighbours of like length share a batch, so that one long prompt does not pad all others.
        order = sorted((i for i, ids in enumerate(pieces) if len(ids) > 2), key=lambda i: len(pieces[i]))
        for start in range(0, len(order), _CHUNK):
            chosen = order[start : start + _CHUNK]
            self._encode_chunk([pieces[i] for i in chosen], chosen, tokens, pooled)
        return tokens, pooled

    def _encode_chunk(self, pieces: list[list[int]], rows: list[int], tokens: Tensor, pooled: Tensor) -> None:
        """Encode a few prompts into their rows of `tokens` [B, L, D] and `pooled` [B, D]."""
        lengths = torch.tensor([len(ids) for ids in pieces])
        longest = int(lengths.max())
        ids = torch.tensor([row + [0] * (longest - len(row)) for row in pieces], device=tokens.device)
        mask = (torch.arange(longest) < lengths[:, None]).to(tokens.device)
        hidden = self(ids, mask)
        summed = (hidden * mask.unsqueeze(-1)).sum(dim=1)
        pooled[rows] = F.normalize(summed, dim=-1)
        for row, states, length in zip(rows, hidden, lengths.tolist(), strict=True):
            fitted = _fit_slots(states[1 : length - 1], self.config.slots) / self.config.token_norm
            tokens[row, : len(fitted)] = fitted


def tokenize(prompt: str, config: TextConfig | None = None) -> list[int]:
    """Word piece numbers of a prompt between [CLS] and [SEP]; a blank prompt gives these two marks alone."""
    config = config or TextConfig()
    # Arguments that were no valid UTF-8 arrive with lone surrogates, which the tokenizer refuses.
    text = prompt[: config.limit_chars].encode("utf-8", "replace").decode("utf-8")
    ids: list[int] = _load_tokenizer().encode(text).ids
    return ids if len(ids) <= config.positions else [*ids[: config.positions - 1], ids[-1]]


def _fit_slots(states: Tensor, slots: int) -> Tensor:
    """Token vectors [K, D] -> at most `slots` of them: the last one stands for all that did not fit."""
    if len(states) <= slots:
        return states
    return torch.cat([states[: slots - 1], states[slots - 1 :].mean(dim=0, keepdim=True)])


@lru_cache(maxsize=1)
def _load_tokenizer() -> Tokenizer:
    """The tokenizer of the package, read once."""
    path = asset_path("text", "tokenizer.json")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise CheckpointError(f"cannot read {path.name}: {error}", hint="reinstall mfv2a") from error
