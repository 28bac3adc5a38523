"""Prompts -> the token numbers of T5 and RoBERTa, 77 places with a mask.

Knows vocabulary files, `tokenizer.json` or RoBERTa's `vocab.json` and `merges.txt`; not what the tokens mean to a
network. Prompts are taken as they are: case, spaces and marks count. CLIP's is `clip_tokenizer.py`.

Source: Kudo, "Subword Regularization", arXiv 1804.10959 (unigram, T5); Radford et al., "Language Models are
Unsupervised Multitask Learners", 2019, section 2.2 (byte-level pairs, RoBERTa).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

import torch
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from torch import Tensor

from mfv2a.errors import CheckpointError
from mfv2a.models.clip_tokenizer import CONTEXT, LIMIT_CHARS

LETTERS = [chr(code) for code in range(0x21, 0x7F)]
"""What the stand-in vocabularies can spell; anything else is the unknown token to them."""


class _Tokenizer:
    """What T5's and RoBERTa's have in common: marks around the pieces, the cut, the padding and the mask.

    Args:
        tokenizer: text -> pieces; its own cut, padding and marks are not used.

    Raises:
        CheckpointError: it is of another kind, or its marks have other numbers.
    """

    method: ClassVar[type[models.Model]]
    marks: ClassVar[dict[str, int]]
    start: ClassVar[tuple[int, ...]] = ()
    files: ClassVar[str]

    def __init__(self, tokenizer: Tokenizer) -> None:
        found = {mark: tokenizer.token_to_id(mark) for mark in self.marks}
        if not isinstance(tokenizer.model, self.method) or found != self.marks:
            raise CheckpointError("it is the vocabulary of another model", hint=f"{self.files} is expected")
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read a vocabulary.

        Args:
            path: of a file as the hub has it; see the class.

        Raises:
            CheckpointError: the file is missing, damaged or holds something else.
        """
        try:
            return cls(cls._read(path))
        except Exception as error:  # the library raises bare Exception
            hint = f"{cls.files} is expected: download it again"
            raise CheckpointError(f"cannot read {path}: {error or type(error).__name__}", hint=hint) from error

    @classmethod
    def _read(cls, path: Path) -> Tokenizer:
        return Tokenizer.from_str(path.read_text(encoding="utf-8"))

    def encode(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Token numbers of prompts, cut to 77 with the end kept last and padded to 77.

        Args:
            prompts: any text; "" has its marks alone.

        Returns:
            numbers [B, 77] int64, and the mask [B, 77] bool, true where there is a token.
        """
        end, pad = self.marks["</s>"], self.marks["<pad>"]
        ids = torch.full((len(prompts), CONTEXT), pad, dtype=torch.int64)
        mask = torch.zeros(len(prompts), CONTEXT, dtype=torch.bool)
        for row, prompt in enumerate(prompts):
            # Arguments that were no valid UTF-8 arrive with lone surrogates, which the library refuses.
            text = prompt[:LIMIT_CHARS].encode("utf-8", "replace").decode("utf-8")
            pieces = self._tokenizer.encode(text, add_special_tokens=False).ids
            tokens = [*self.start, *pieces[: CONTEXT - len(self.start) - 1], end]
            ids[row, : len(tokens)] = torch.tensor(tokens)
            mask[row, : len(tokens)] = True
        return ids, mask


class T5Tokenizer(_Tokenizer):
    """Prompts to T5's numbers: pieces, end (1), padding (0). Its file is `tokenizer.json`."""

    method = models.Unigram
    marks: ClassVar[dict[str, int]] = {"<pad>": 0, "</s>": 1, "<unk>": 2}
    files = "a tokenizer.json of T5"

    @classmethod
    def of_letters(cls) -> T5Tokenizer:
        """A tokenizer that spells every word: for networks with random weights, to which no word means anything.

        It has fewer than 100 numbers.
        """
        pieces = [(piece, -1.0) for piece in (*cls.marks, "\u2581", *LETTERS)]
        tokenizer = Tokenizer(models.Unigram(pieces, unk_id=cls.marks["<unk>"]))
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        return cls(tokenizer)


class RobertaTokenizer(_Tokenizer):
    """Prompts to RoBERTa's numbers: start (0), pieces, end (2), padding (1).

    Its file is `tokenizer.json`, or `vocab.json` with `merges.txt` beside it.
    """

    method = models.BPE
    marks: ClassVar[dict[str, int]] = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}
    start = (0,)
    files = "RoBERTa's tokenizer.json, or its vocab.json with merges.txt beside it,"

    @classmethod
    def _read(cls, path: Path) -> Tokenizer:
        if isinstance(json.loads(path.read_text(encoding="utf-8")).get("model"), dict):
            return super()._read(path)
        merges = path.with_name("merges.txt")
        if not merges.is_file():
            raise CheckpointError("merges.txt is missing beside it")
        return _byte_pairs(models.BPE.from_file(str(path), str(merges), unk_token="<unk>"))

    @classmethod
    def of_letters(cls) -> RobertaTokenizer:
        """A tokenizer that spells every word: for networks with random weights, to which no word means anything.

        It has fewer than 100 numbers.
        """
        pieces = (*cls.marks, "\u0120", *LETTERS)
        numbers = {piece: number for number, piece in enumerate(pieces)}
        return cls(_byte_pairs(models.BPE(vocab=numbers, merges=[], unk_token="<unk>")))


def _byte_pairs(model: models.BPE) -> Tokenizer:
    """A tokenizer of bytes that merge; a space belongs to the word after it, and none is put before the first."""
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    marks = [*RobertaTokenizer.marks, "<mask>"]
    known = [mark for mark in marks if tokenizer.token_to_id(mark) is not None]
    tokenizer.add_special_tokens([AddedToken(mark, lstrip=mark == "<mask>", normalized=False) for mark in known])
    return tokenizer
