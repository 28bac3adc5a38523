"""Prompts -> the token ids of CLIP: cleaned text, byte pairs, 77 places.

Knows a vocabulary file, either `tokenizer.json` or the list of merges (`merges.txt`, also gzipped); not what the
tokens mean to a network.

Source: Radford et al., arXiv 2103.00020, section 2.4; Sennrich et al., "Neural Machine Translation of Rare Words
with Subword Units", arXiv 1508.07909.
"""

from __future__ import annotations

import gzip
import html
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from torch import Tensor

from mfv2a.errors import CheckpointError

CONTEXT = 77
NUM_MERGES = 48_894
START, END = "<start_of_text>", "<end_of_text>"
PIECES = r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"
LIMIT_CHARS = 16_384

_CONTROLS = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\u206a-\u206f\ufeff\ufff9-\ufffc]")
_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_QUOTES = str.maketrans(
    dict.fromkeys("\u02bc\u2018\u2019\u201a\u201b", "'") | dict.fromkeys("\u201c\u201d\u201e\u201f", '"')
)
_WIDE = re.compile("[\u0132\u0133\u0149\u01c4-\u01cc\u01f1-\u01f3\u3000\ufb00-\ufb06\uff01-\uffef]")


def clean_prompt(prompt: str) -> str:
    """Lower-cased text without markup, curly quotes, ligatures, wide letters, controls and doubled spaces, in NFC.

    Text that was decoded in the wrong way (mojibake) stays as it is; the public encoders repair it first.
    """
    # Arguments that were no valid UTF-8 arrive with lone surrogates, which the tokenizer refuses.
    text = prompt[:LIMIT_CHARS].encode("utf-8", "replace").decode("utf-8")
    if "<" not in text:
        text = html.unescape(text)
    text = _ESCAPES.sub("", text)
    text = _WIDE.sub(lambda found: unicodedata.normalize("NFKC", found.group()), text).translate(_QUOTES)
    text = unicodedata.normalize("NFC", _CONTROLS.sub("", text))
    return " ".join(html.unescape(html.unescape(text)).split()).lower()


class CLIPTokenizer:
    """Prompts to token ids.

    Args:
        vocabulary: token -> id; the two marks have the highest ids.
        merges: pairs in the order in which they merge.
    """

    def __init__(self, vocabulary: Mapping[str, int], merges: Sequence[tuple[str, str]]) -> None:
        ids = sorted(vocabulary.values())
        names = {number: token for token, number in vocabulary.items()}
        self.start, self.end = ids[-2], ids[-1]
        names |= {self.start: START, self.end: END}
        pairs = models.BPE(
            vocab={token: number for number, token in names.items()}, merges=list(merges), end_of_word_suffix="</w>"
        )
        self._tokenizer = Tokenizer(pairs)
        self._tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(PIECES), behavior="removed", invert=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )

    @classmethod
    def from_file(cls, path: Path) -> CLIPTokenizer:
        """Read a vocabulary.

        Args:
            path: `tokenizer.json`, or merges one a line after a first line of remarks, plain or `.gz`.

        Raises:
            CheckpointError: the file is missing, damaged or holds something else.
        """
        try:
            raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            text = raw.decode("utf-8")
            return cls(*(_read_json(text) if path.suffix == ".json" else _read_merges(text)))
        except Exception as error:  # the library raises bare Exception
            hint = "a tokenizer.json or merges.txt of CLIP is expected: download it again"
            raise CheckpointError(f"cannot read {path}: {error or type(error).__name__}", hint=hint) from error

    @classmethod
    def of_letters(cls) -> CLIPTokenizer:
        """A tokenizer that spells every word: for networks with random weights, to which no word means anything."""
        return cls(*_read_merges(""))

    def encode(self, prompts: Sequence[str]) -> Tensor:
        """Token ids of prompts: start, pieces, end, then zeros; cut to 77 with the end kept last.

        Args:
            prompts: any text.

        Returns:
            [B, 77] int64.
        """
        rows = torch.zeros(len(prompts), CONTEXT, dtype=torch.int64)
        for row, prompt in zip(rows, prompts, strict=True):
            pieces = self._tokenizer.encode(clean_prompt(prompt)).ids
            ids = [self.start, *pieces[: CONTEXT - 2], self.end]
            row[: len(ids)] = torch.tensor(ids)
        return rows


def byte_letters() -> list[str]:
    """The printable letters that stand for the 256 bytes, in the order of the first 256 ids.

    Bytes that are printable in Latin-1 stand for themselves and come first; the others are moved to U+0100 on.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return [chr(n) for n in printable] + [chr(0x100 + k) for k in range(256 - len(printable))]


def _read_merges(text: str) -> tuple[dict[str, int], list[tuple[str, str]]]:
    merges = [_pair(line) for line in text.splitlines()[1 : NUM_MERGES + 1] if line.strip()]
    letters = byte_letters()
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *(a + b for a, b in merges), START, END]
    return {token: number for number, token in enumerate(tokens)}, merges


def _read_json(text: str) -> tuple[dict[str, int], list[tuple[str, str]]]:
    model = json.loads(text)["model"]
    vocabulary = {str(token): int(number) for token, number in model["vocab"].items()}
    return vocabulary, [_pair(pair) for pair in model["merges"]]


def _pair(words: str | Sequence[str]) -> tuple[str, str]:
    """One merge, of either notation."""
    first, second = words.split() if isinstance(words, str) else words
    return first, second
