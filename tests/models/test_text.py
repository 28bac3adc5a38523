"""The text encoder against its source: golden vectors are sentence-transformers' own."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mfv2a.models.text import TextConfig, TextEncoder, tokenize

GOLDEN = load_file(Path(__file__).parent / "golden" / "text.safetensors")
PROMPTS = [
    "rain on a tin roof",
    "a dog barks twice",
    "someone types on a mechanical keyboard",
    "a tennis match: the racket strikes the ball again and again while players' shoes squeak on the hard court floor",
    "Feuerwerk über der Stadt, très fort!",
    "雨の音 and ÀÉÎ 123 :-)",
    "drum solo",
    "gravel " * 400,
]


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return TextEncoder.from_assets()


def test_sentence_vectors_agree_with_the_original_network(encoder):
    _, pooled = encoder.encode(PROMPTS)
    assert pooled.shape == (8, 384)
    assert (pooled * GOLDEN["pooled"]).sum(dim=1).min() > 0.998


def test_token_vectors_are_the_word_states_without_the_marks(encoder):
    tokens, _ = encoder.encode(PROMPTS[:1])
    expected = GOLDEN["rain_states"][1:-1]
    got = tokens[0, : len(expected)]
    assert torch.cosine_similarity(got, expected).min() > 0.995
    assert torch.count_nonzero(tokens[0, len(expected) :]) == 0


def test_token_vectors_have_about_unit_norm(encoder):
    norms = encoder.encode(PROMPTS[:7])[0].norm(dim=-1)
    norms = norms[norms > 0]
    assert 0.85 < norms.mean() < 1.15
    assert norms.max() < 1.6


def test_a_prompt_alone_equals_itself_among_others(encoder):
    together = encoder.encode(PROMPTS)
    alone = encoder.encode(PROMPTS[2:3])
    torch.testing.assert_close(alone[0][0], together[0][2], atol=1e-5, rtol=0)
    torch.testing.assert_close(alone[1][0], together[1][2], atol=1e-5, rtol=0)


def test_a_long_prompt_keeps_its_first_words_and_means_the_rest(encoder):
    ids = torch.tensor([tokenize(PROMPTS[3])])
    states = encoder(ids, torch.ones_like(ids, dtype=torch.bool))[0, 1:-1] / encoder.config.token_norm
    tokens = encoder.encode([PROMPTS[3]])[0][0]
    assert len(states) > 16
    torch.testing.assert_close(tokens[:15], states[:15], atol=1e-5, rtol=0)
    torch.testing.assert_close(tokens[15], states[15:].mean(dim=0), atol=1e-5, rtol=0)


def test_ten_thousand_characters_are_cut_to_what_the_encoder_takes(encoder):
    tokens, pooled = encoder.encode([("a hammer strikes an anvil; " * 400)[:10_000]])
    assert torch.isfinite(tokens).all()
    assert pooled.norm() == pytest.approx(1, abs=1e-4)
    assert len(tokenize("x " * 5000)) == 256


@pytest.mark.parametrize("prompt", ["", "   ", "\n\t"])
def test_a_blank_prompt_says_nothing(encoder, prompt):
    tokens, pooled = encoder.encode([prompt])
    assert not tokens.any()
    assert not pooled.any()


def test_a_prompt_of_broken_bytes_or_control_characters_does_not_fail(encoder):
    tokens, pooled = encoder.encode(["\udcff rain", "\x00\x07", "🥁" * 40])
    assert torch.isfinite(tokens).all()
    assert torch.isfinite(pooled).all()


def test_no_prompts_give_empty_tensors(encoder):
    tokens, pooled = encoder.encode([])
    assert tokens.shape == (0, 16, 384)
    assert pooled.shape == (0, 384)


def test_related_prompts_lie_nearer_than_unrelated_ones(encoder):
    _, pooled = encoder.encode(["a dog barks", "barking of a puppy", "rain falls on leaves"])
    assert pooled[0] @ pooled[1] > pooled[0] @ pooled[2] + 0.2


def test_the_tiny_configuration_runs_the_same_code():
    config = TextConfig.tiny()
    tokens, pooled = TextEncoder(config).encode(["rain on a tin roof, then thunder", "x"])
    assert tokens.shape == (2, config.slots, config.width)
    assert torch.isfinite(pooled).all()
