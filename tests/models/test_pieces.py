"""Frames as they come, cut into pieces: the same however they come."""

from __future__ import annotations

import numpy as np
import pytest

from mfv2a.errors import ConfigError
from mfv2a.models.compact import SyncConfig, SyncEncoder
from mfv2a.models.pieces import Pieces


def cut(count, came, *, size, step, at_once):
    pieces = Pieces(size, step, count)
    frames = np.arange(came, dtype=np.uint8)[:, None]
    found = [piece[:, 0].tolist() for k in range(0, came, at_once) for piece in pieces.add(frames[k : k + at_once])]
    return found + [piece[:, 0].tolist() for piece in pieces.rest()]


@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_pieces_overlap_and_end_with_the_last_frame(at_once):
    assert cut(7, 7, size=4, step=2, at_once=at_once) == [[0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6]]
    assert cut(6, 6, size=4, step=2, at_once=at_once) == [[0, 1, 2, 3], [2, 3, 4, 5]]
    assert cut(5, 9, size=2, step=2, at_once=at_once) == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize("at_once", [1, 100])
def test_the_last_frame_stands_for_those_that_are_missing(at_once):
    assert cut(5, 3, size=4, step=4, at_once=at_once) == [[0, 1, 2, 2], [2]]
    assert cut(4, 2, size=2, step=2, at_once=at_once) == [[0, 1], [1, 1]]


@pytest.mark.parametrize("came", [3, 5, 6])
def test_a_clip_that_ends_earlier_than_was_said_has_the_pieces_of_a_shorter_one(came):
    pieces = Pieces(4, 2, 100)
    frames = np.arange(came, dtype=np.uint8)[:, None]
    found = [piece[:, 0].tolist() for piece in pieces.add(frames)]
    pieces.shorten(6)
    found += [piece[:, 0].tolist() for piece in pieces.rest()]
    assert found == cut(6, came, size=4, step=2, at_once=100)


def test_no_frame_is_refused():
    with pytest.raises(ConfigError, match="a frame at least"):
        list(Pieces(2, 2, 4).rest())


def test_a_long_clip_has_the_features_that_it_has_as_a_whole():
    import torch

    torch.manual_seed(0)
    net = SyncEncoder(SyncConfig(dim=16, depth=8)).eval().requires_grad_(False)
    motion = torch.rand(301, 168)
    whole, (features, onset) = net(motion[None]), net.encode(motion, chunk=100)
    assert torch.allclose(features, whole.features[0], atol=1e-5)
    assert torch.allclose(onset, whole.onset[0], atol=1e-5)
    assert not torch.allclose(net.encode(motion[:100])[0][-1], whole.features[0, 99], atol=1e-3)
