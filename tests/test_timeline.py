"""Windows, the noise field under them, and how they join."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from mfv2a.timeline import Window, blend, crossfade, noise_field, plan_windows


@pytest.mark.parametrize("num_latents", [1, 2, 249, 250, 251, 300, 450, 451, 3000])
def test_windows_cover_the_timeline_and_overlap(num_latents):
    windows = plan_windows(num_latents)
    assert windows[0].start == 0
    assert windows[-1].stop >= num_latents
    assert all(w.start % 5 == 0 for w in windows)
    assert all(a.stop - b.start == 50 for a, b in pairwise(windows))
    if num_latents <= 250:
        assert windows == (Window(0, num_latents),)
    elif len(windows) > 1:
        assert windows[-2].stop < num_latents, "no window that is not needed"


def test_noise_is_a_function_of_seed_and_place_alone():
    whole = noise_field(7, 0, 500, 20)
    assert torch.equal(whole[200:450], noise_field(7, 200, 250, 20))
    assert torch.equal(whole[33:34], noise_field(7, 33, 1, 20))
    assert not torch.equal(whole, noise_field(8, 0, 500, 20))
    assert abs(whole.mean().item()) < 0.05
    assert whole.std().item() == pytest.approx(1, abs=0.02)


def test_windows_that_agree_join_without_a_trace():
    timeline = torch.randn(650, 3)
    windows = plan_windows(650)
    parts = [timeline[w.start : w.stop] for w in windows]
    assert torch.allclose(blend(parts, windows), timeline, atol=1e-6)


def test_a_join_moves_evenly_from_one_window_to_the_next():
    windows = plan_windows(450)
    joined = blend([torch.zeros(250, 1), torch.ones(250, 1)], windows)[:, 0]
    assert len(joined) == 450
    assert (joined.diff() >= 0).all()
    assert joined[219] == 0
    assert joined[230] == 1
    assert joined.diff().max() < 0.1


def test_long_decoding_in_pieces_covers_every_sample():
    mel = torch.ones(4, 100)
    calls = []

    def decode(part):
        calls.append(part.shape[1])
        return torch.ones(part.shape[1] * 10)

    wave = crossfade(decode, mel, chunk=40, overlap=8, hop=10)
    assert len(wave) == 1000
    assert max(calls) == 40
    assert wave.min() >= 0.99
    assert wave.max() <= 1.5


def test_a_short_mel_is_decoded_in_one_go():
    assert torch.equal(crossfade(lambda m: m[0], torch.arange(6.0)[None], chunk=6, overlap=2, hop=1), torch.arange(6.0))
