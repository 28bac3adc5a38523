"""T5's and RoBERTa's tokenizers on small vocabularies made here: pieces, marks, cut, padding and what is refused."""

from __future__ import annotations

import json

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from mfv2a.errors import CheckpointError
from mfv2a.models.clip_tokenizer import byte_letters
from mfv2a.models.tokenizers import RobertaTokenizer, T5Tokenizer

MERGES = ["H e", "He l", "l o", "Hel lo", "Ġ w", "o r", "Ġw or", "l d", "Ġwor ld", "Ġ Hello"]
PIECES = ["".join(pair.split()) for pair in MERGES]
NUMBERS = {
    token: number for number, token in enumerate(["<s>", "<pad>", "</s>", "<unk>", *byte_letters(), *PIECES, "<mask>"])
}
HELLO, SPACED_HELLO, WORLD = (NUMBERS[piece] for piece in ("Hello", "ĠHello", "Ġworld"))


def write_pairs(folder):
    """RoBERTa's two files."""
    (folder / "vocab.json").write_text(json.dumps(NUMBERS), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(MERGES) + "\n", encoding="utf-8")
    return folder / "vocab.json"


def write_pairs_whole(folder):
    """RoBERTa's one file; with a cut and a padding of its own, as some have them."""
    tokenizer = Tokenizer(models.BPE(vocab=NUMBERS, merges=[tuple(pair.split()) for pair in MERGES]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding(length=9)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


def write_unigram(folder):
    """T5's file."""
    words = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), ("▁dog", -3.0), ("s", -4.0), ("▁bark", -3.0)]
    tokenizer = Tokenizer(models.Unigram([*words, ("d", -9.0), ("o", -9.0), ("g", -9.0)], unk_id=2))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer.enable_truncation(4)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


def tokens_of(tokenizer, prompt):
    """The numbers of one prompt without its padding, after a look at shapes, padding and mask."""
    ids, mask = tokenizer.encode([prompt, "x"])
    assert ids.shape == mask.shape == (2, 77)
    assert (ids.dtype, mask.dtype) == (torch.int64, torch.bool)
    count = int(mask[0].sum())
    assert mask[0, :count].all()
    assert (ids[0, count:] == tokenizer.marks["<pad>"]).all()
    return ids[0, :count].tolist()


@pytest.fixture(params=[write_pairs, write_pairs_whole])
def roberta(request, tmp_path):
    return RobertaTokenizer.from_file(request.param(tmp_path))


@pytest.mark.parametrize(
    ("prompt", "wanted"),
    [
        ("", [0, 2]),
        ("Hello world", [0, HELLO, WORLD, 2]),
        (" Hello world", [0, SPACED_HELLO, WORLD, 2]),
        ("hello", [0, *(NUMBERS[piece] for piece in ("h", "e", "l", "lo")), 2]),
        ("Hello  world", [0, HELLO, NUMBERS["Ġ"], WORLD, 2]),
        ("Hello\n", [0, HELLO, NUMBERS["Ċ"], 2]),
        ("é", [0, NUMBERS["Ã"], NUMBERS["©"], 2]),
    ],
)
def test_roberta_merges_bytes_and_keeps_case_and_spaces(roberta, prompt, wanted):
    assert tokens_of(roberta, prompt) == wanted


def test_roberta_needs_its_merges_beside_its_vocabulary(tmp_path):
    vocabulary = write_pairs(tmp_path)
    (tmp_path / "merges.txt").unlink()
    with pytest.raises(CheckpointError, match=r"vocab\.json: merges\.txt is missing beside it"):
        RobertaTokenizer.from_file(vocabulary)


@pytest.fixture
def unigram(tmp_path):
    return T5Tokenizer.from_file(write_unigram(tmp_path))


@pytest.mark.parametrize(
    ("prompt", "wanted"),
    [("", [1]), ("dogs bark", [4, 5, 6, 1]), ("  dog \n", [4, 1]), ("do\uff47", [4, 1]), ("god", [3, 9, 8, 7, 1])],
)
def test_t5_takes_the_likeliest_pieces_and_ends_them(unigram, prompt, wanted):
    assert tokens_of(unigram, prompt) == wanted


def test_a_long_prompt_is_cut_with_its_end_kept(unigram, roberta):
    assert tokens_of(unigram, "dog " * 200) == [4] * 76 + [1]
    assert tokens_of(unigram, "dog " * 76) == [4] * 76 + [1]
    assert tokens_of(roberta, " Hello" * 200) == [0, *[SPACED_HELLO] * 75, 2]
    assert tokens_of(roberta, " Hello" * 75) == [0, *[SPACED_HELLO] * 75, 2]


@pytest.mark.parametrize("kind", [T5Tokenizer, RobertaTokenizer])
def test_letters_alone_spell_every_prompt_in_small_numbers(kind):
    tokenizer = kind.of_letters()
    for prompt in ("", "a Dog barks, twice!", "\ud800 dog", "\x00", "é犬", "x" * 100_000):
        assert max(tokens_of(tokenizer, prompt)) < 100
    one, other = tokens_of(tokenizer, "dog"), tokens_of(tokenizer, "cat")
    assert len(one) == len(other)
    assert one != other
    assert 3 not in tokens_of(RobertaTokenizer.of_letters(), "a Dog barks, twice!")


@pytest.mark.parametrize("kind", [T5Tokenizer, RobertaTokenizer])
def test_a_damaged_vocabulary_is_a_checkpoint_error(tmp_path, kind):
    path = tmp_path / "tokenizer.json"
    for text in ("{", '{"model": {}}', "[]", "\xff"):
        path.write_text(text, encoding="latin-1")
        with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
            kind.from_file(path)
    with pytest.raises(CheckpointError, match=r"nothing\.json") as caught:
        kind.from_file(tmp_path / "nothing.json")
    assert "expected" in caught.value.hint


def test_the_vocabulary_of_another_model_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="another model"):
        RobertaTokenizer.from_file(write_unigram(tmp_path))
    with pytest.raises(CheckpointError, match="another model"):
        T5Tokenizer.from_file(write_pairs_whole(tmp_path))
