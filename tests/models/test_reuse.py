"""Features taken over from pictures that hardly differ: which, and how large the error is said to be."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mfv2a.models.reuse import Reuse, cut_segments, picture_difference
from mfv2a.models.synchformer import Synchformer, SynchformerConfig
from mfv2a.models.woosh_sync import WooshSync


def grey(level, count=1, side=40):
    return np.full((count, side, side, 3), level, np.uint8)


def brightness(pictures):
    """A made encoder: two features a picture."""
    mean = torch.from_numpy(pictures.reshape(len(pictures), -1).mean(1, dtype=np.float64)).float()
    return torch.stack([mean, torch.full_like(mean, 3.0)], 1)


def test_pictures_differ_by_what_their_most_different_patch_does():
    first = grey(100)[0]
    assert picture_difference(first, first.copy()) == 0
    assert picture_difference(first, grey(103)[0]) == picture_difference(grey(103)[0], first) == 3
    second = first.copy()
    second[17, 20] = 112  # 12 levels in one of 256 pixels, in all three colours
    assert picture_difference(first, second) == pytest.approx(12 / 256)
    second = first.copy()
    second[39, 39, 0] = 88  # the last patch has 8 x 8 pixels
    assert picture_difference(first, second) == pytest.approx(12 / (64 * 3))


def test_a_difference_anywhere_in_a_stack_counts():
    first = grey(0, 4)
    second = first.copy()
    second[2, :16, :16] = 255
    assert picture_difference(first, second) == 255


def test_a_picture_is_compared_with_the_last_that_was_encoded_so_that_nothing_drifts():
    encoded = []

    def encode(pictures):
        encoded.extend(pictures[:, 0, 0, 0].tolist())
        return brightness(pictures)

    reuse = Reuse("clip", 2.0, encode)
    pictures = np.concatenate([grey(level) for level in (10, 11, 12, 13, 14, 13, 30)])
    found = torch.cat([reuse.features(pictures[:2]), reuse.features(pictures[2:4]), reuse.features(pictures[4:])])
    assert encoded == [10, 13, 30]
    assert found[:, 0].tolist() == [10, 10, 10, 13, 13, 13, 30]


@pytest.mark.parametrize("at_once", [1, 2, 3, 100])
def test_it_does_not_matter_in_how_many_pieces_they_come(at_once):
    rng = np.random.default_rng(0)
    pictures = np.concatenate([grey(level) for level in np.cumsum(rng.integers(0, 3, 40))])
    reuse = Reuse("clip", 1.5, brightness)
    found = torch.cat([reuse.features(pictures[k : k + at_once]) for k in range(0, 40, at_once)])
    whole = Reuse("clip", 1.5, brightness)
    assert torch.equal(found, whole.features(pictures))
    assert reuse.facts() == whole.facts()


def test_the_facts_tell_the_largest_difference_and_the_error_that_it_makes():
    reuse = Reuse("clip", 2.0, brightness)
    reuse.features(np.concatenate([grey(100), grey(101), grey(102), grey(100), grey(50)]))
    facts = reuse.facts()
    assert (facts.name, facts.seen, facts.reused, facts.difference) == ("clip", 5, 3, 2.0)
    assert facts.error == pytest.approx(2 / np.hypot(102, 3))


def test_without_tolerance_equal_pictures_alone_are_taken_over_and_there_is_no_error():
    reuse = Reuse("clip", 0.0, brightness)
    pictures = np.concatenate([grey(100), grey(100), grey(101), grey(101), grey(100)])
    pictures[1, 0, 0, 0] = 101
    assert torch.equal(reuse.features(pictures), brightness(pictures))
    facts = reuse.facts()
    assert (facts.seen, facts.reused, facts.difference, facts.error) == (5, 1, 0.0, 0.0)


def test_nothing_taken_over_costs_nothing_more():
    reuse = Reuse("clip", 1.0, brightness)
    reuse.features(np.concatenate([grey(0), grey(50)]))
    reuse._encode = None  # type: ignore[assignment]
    assert reuse.facts().reused == 0


def test_segments_are_those_of_the_encoder():
    frames = np.arange(40, dtype=np.uint8)[:, None, None, None].repeat(3, 3)
    assert cut_segments(frames, 16, 8)[:, :, 0, 0, 0].tolist() == [list(range(k, k + 16)) for k in (0, 8, 16, 24)]
    assert cut_segments(frames[:15], 16, 8).shape == (0, 16, 1, 1, 3)


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(0)
    net = Synchformer(SynchformerConfig.tiny()).eval().requires_grad_(False)
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.2)
    return net


@pytest.mark.parametrize("count", [5, 9, 100])
def test_wooshs_features_of_a_film_that_moves_are_the_same_with_and_without(tiny, count):
    frames = np.random.default_rng(0).integers(0, 255, (count, 224, 224, 3), dtype=np.uint8)
    plain, shared = WooshSync(tiny, count), WooshSync(tiny, count, reuse=0.0)
    for sync in (plain, shared):
        sync.add(frames)
    assert torch.allclose(shared.features(), plain.features(), atol=1e-5)
    assert plain.reused() == ()


@pytest.mark.parametrize("level", [0, 127])
def test_wooshs_grey_before_the_first_frame_is_not_taken_for_a_picture(tiny, level):
    frames = np.full((100, 224, 224, 3), level, np.uint8)
    plain, shared = WooshSync(tiny, 100), WooshSync(tiny, 100, reuse=1.0)
    for sync in (plain, shared):
        sync.add(frames)
    assert torch.allclose(shared.features(), plain.features(), atol=1e-5)
    (facts,) = shared.reused()
    assert (facts.seen, facts.reused, facts.difference) == (11, 10, 0.0)
