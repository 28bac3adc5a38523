"""DeSync: what its network is shown, and what is made of the two offsets that it tells."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mfv2a.jobs.crossing import offsets_s
from mfv2a.jobs.measure import Sound

SOUND = Sound(np.zeros(5 * 16_000, np.float32), 16_000)


class Watched(torch.nn.Module):
    """Keeps what it is shown, and tells an offset either way."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(1))

    def look(self, frames: Tensor) -> Tensor:
        self.shown = frames
        return frames

    def hear(self, wave: Tensor) -> Tensor:
        return wave

    def compare(self, visual: Tensor, audio: Tensor) -> Tensor:
        return torch.tensor([-0.4, 0.6])


def test_offsets_either_way_do_not_cancel_each_other() -> None:
    judge: Any = Watched()
    assert offsets_s(judge, np.zeros((125, 224, 224, 3), np.uint8), [SOUND]) == pytest.approx([0.5])


def test_colours_come_first_and_reach_from_minus_one_to_one() -> None:
    judge: Any = Watched()
    frames = np.zeros((125, 224, 224, 3), np.uint8)
    frames[..., 0], frames[..., 2] = 255, 51
    offsets_s(judge, frames, [SOUND])
    assert judge.shown.shape == (125, 3, 224, 224)
    assert judge.shown[0, :, 0, 0].tolist() == pytest.approx([1.0, -1.0, -0.6])
