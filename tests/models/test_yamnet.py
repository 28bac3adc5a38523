"""The tagger against reference outputs, and its handling of waves of any length and rate."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mfv2a.models.yamnet import Tagger, Yamnet, mel_triangles

GOLDEN = load_file(Path(__file__).parent / "golden" / "yamnet.safetensors")


@pytest.fixture(scope="module")
def tagger():
    return Tagger.from_assets()


@pytest.mark.parametrize("name", ["noise", "short"])
def test_scores_and_embeddings_agree_with_the_fp32_reference(tagger, name):
    with torch.no_grad():
        scores, embeddings = tagger.network(GOLDEN[f"{name}.wave"][None])
    # Half precision in the file costs this much; with the fp32 weights the difference is 5e-6.
    assert (scores[0] - GOLDEN[f"{name}.scores"]).abs().max() < 5e-3
    assert (embeddings[0] - GOLDEN[f"{name}.embedding"]).abs().max() < 0.03


@pytest.mark.parametrize("name", ["noise", "short"])
def test_arithmetic_on_the_stored_weights_has_not_moved(tagger, name):
    with torch.no_grad():
        scores, embeddings = tagger.network(GOLDEN[f"{name}.wave"][None])
    torch.testing.assert_close(scores[0], GOLDEN[f"{name}.scores_fp16"], atol=1e-4, rtol=0)
    torch.testing.assert_close(embeddings[0], GOLDEN[f"{name}.embedding_fp16"], atol=1e-4, rtol=1e-4)


def test_white_noise_is_heard_as_noise(tagger):
    names = [name for name, _ in tagger.tag(GOLDEN["noise.wave"].numpy())]
    assert "White noise" in names[:2]


@pytest.mark.parametrize(("samples", "patches"), [(0, 1), (1, 1), (15_600, 1), (23_279, 1), (23_280, 2), (128_000, 15)])
def test_a_wave_gives_a_patch_every_half_second(samples, patches):
    # 96 frames of 160 and a window of 400 make the first patch; each next one needs 48 frames more.
    assert Yamnet.from_assets().patches(torch.zeros(1, samples)).shape == (1, patches, 96, 64)


def test_one_wave_alone_equals_itself_in_a_batch(tagger):
    waves = torch.randn(3, 32_000, generator=torch.Generator().manual_seed(0)) * 0.1
    with torch.no_grad():
        together = tagger.network(waves)[1]
        alone = tagger.network(waves[1:2])[1]
    torch.testing.assert_close(together[1], alone[0], atol=1e-4, rtol=1e-4)


def test_a_wave_of_another_rate_is_resampled(tagger):
    time = np.arange(96_000) / 48_000
    tone = np.sin(2 * np.pi * 440 * time).astype(np.float32)
    ours = tagger.hear(tone, sample_rate_hz=48_000)[1].mean(dim=0)
    same = tagger.hear(tone[::3], sample_rate_hz=16_000)[1].mean(dim=0)
    assert torch.cosine_similarity(ours, same, dim=0) > 0.98


def test_tags_come_highest_first_and_as_many_as_asked(tagger):
    tags = tagger.tag(GOLDEN["short.wave"].numpy(), top=7)
    assert len(tags) == 7
    assert [score for _, score in tags] == sorted((score for _, score in tags), reverse=True)


def test_mel_filters_are_triangles_between_125_and_7500_hertz():
    filters = mel_triangles()
    assert filters.shape == (257, 64)
    assert (filters >= 0).all()
    assert filters.max() <= 1
    hertz = torch.arange(257) * 16_000 / 512
    touched = hertz[filters.sum(dim=1) > 0]
    assert touched.min() >= 125
    assert touched.max() <= 7500
