"""Stored features read item by item."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from mfv2a.data.manifest import write_shard
from mfv2a.data.mapped import MappedSet
from mfv2a.errors import ConfigError


def item(value):
    return {"latent": np.full((3, 2), value, np.float32), "text": np.full((4, 5), -value, np.float32)}, {"n": value}


def test_items_are_read_across_shards_and_in_other_processes(tmp_path):
    write_shard(tmp_path, 0, [item(0), item(1)])
    write_shard(tmp_path, 1, [item(2), item(3), item(4)])
    stored = MappedSet.open(tmp_path)
    assert len(stored) == 5
    assert stored.shapes == {"latent": (3, 2), "text": (4, 5)}
    assert [float(stored.read("latent", k)[0, 0]) for k in range(5)] == [0, 1, 2, 3, 4]
    sent = pickle.loads(pickle.dumps(stored))
    assert sent.read("text", 3).tolist() == np.full((4, 5), -3.0).tolist()
    assert sent.read("text", 3).dtype == np.float32


def test_shards_that_do_not_match_and_empty_folders_are_named(tmp_path):
    with pytest.raises(ConfigError, match="no features"):
        MappedSet.open(tmp_path)
    write_shard(tmp_path, 0, [item(0)])
    write_shard(tmp_path, 1, [({"latent": np.zeros((4, 2))}, {})])
    with pytest.raises(ConfigError, match="shard-00001"):
        MappedSet.open(tmp_path)
