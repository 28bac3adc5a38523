"""What the sync encoder looks at: motion beside that of all clips, beside that of its own, and its change."""

from __future__ import annotations

import pytest
import torch

from mfv2a.models.compact import SyncConfig, SyncEncoder


def test_motion_is_scaled_by_all_clips_and_by_its_own_and_its_change_is_in_the_frame_where_it_comes() -> None:
    network, seen = SyncEncoder(SyncConfig.tiny()).eval(), []
    network.mean.fill_(0.5)
    network.std.fill_(2.0)
    network.stem.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    motion = torch.zeros(1, 6, 168)
    motion[0, 3:] = 1.0
    network(motion)
    absolute, relative, change = (part[0, 0].tolist() for part in seen[0].chunk(3, 1))
    own = 1 / (0.5**0.5 + 0.05)  # over the root mean square of the clip
    assert absolute == pytest.approx([-0.25] * 3 + [0.25] * 3)
    assert relative == pytest.approx([0] * 3 + [own] * 3)
    assert change == pytest.approx([0, 0, 0, 2 * own, 0, 0])
