"""Windows, the noise field under them, and how they join."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from mfv2a.encoders.compact import COMPACT
from mfv2a.encoders.mmaudio import mmaudio_spec
from mfv2a.errors import ConfigError
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


def test_the_embedded_model_has_the_timeline_it_was_trained_on():
    for hundredths in range(1, 4000):
        seconds = hundredths / 100
        num_latents = math.ceil(seconds * 31.25)
        assert COMPACT.latents(seconds) == num_latents
        windows = COMPACT.plan(num_latents)
        assert windows == plan_windows(num_latents)
        for window in (windows[0], windows[-1]):
            lengths = COMPACT.lengths(window, seconds)
            assert lengths.clip == max(1, int(window.length / 31.25))
            assert lengths.sync == max(1, round(window.length * 25 / 31.25))
            assert COMPACT.clip_at(window) == int(window.start / 31.25)
            assert COMPACT.sync_at(window) == window.start * 4 // 5


def test_windows_of_another_length_overlap_by_a_fifth_and_begin_where_segments_do():
    assert COMPACT.windowed(8.0) == COMPACT
    shorter = COMPACT.windowed(5.0)
    assert (shorter.window_s, shorter.hop_s) == (5.0, 4.0)
    windows = shorter.plan(shorter.latents(12.0))
    assert windows[-1].stop >= shorter.latents(12.0)
    assert all(a.stop > b.start for a, b in pairwise(windows))
    segments = mmaudio_spec(16000, 256, 4.0)
    assert segments.hop_s == pytest.approx(3.2)
    assert segments.hop_s / 0.32 == pytest.approx(round(segments.hop_s / 0.32))
    for length in (0.0, 0.3, 0.63):
        with pytest.raises(ConfigError, match="too short"):
            mmaudio_spec(16000, 256, length)


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


@pytest.mark.parametrize("agree", [False, True])
def test_pieces_of_a_long_wave_join_at_their_level(agree):
    """Pieces of the same phases add up to what they are; pieces of others keep their power."""
    noise = torch.Generator().manual_seed(0)
    mel = torch.ones(1, 2000)
    steady = torch.ones(10)

    def decode(part):
        frames = part.shape[1]
        return steady.repeat(frames) if agree else torch.randn(10 * frames, generator=noise)

    wave = crossfade(decode, mel, chunk=200, overlap=32, hop=10, agree=agree)
    assert len(wave) == 20_000
    if agree:
        assert torch.allclose(wave, torch.ones(20_000), atol=1e-4)
    else:
        assert wave.square().mean().item() == pytest.approx(1, abs=0.05)
