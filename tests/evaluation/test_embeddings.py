"""What the field's judges give to their networks: waves without their mean, filled with silence at the end."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from mfv2a.evaluation.embeddings import PASST_SAMPLES, PannsEmbedding, PasstEmbedding, VggishEmbedding


class Remembering(torch.nn.Module):
    """Keeps the waves that it hears."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(1))

    def forward(self, waves: Tensor) -> Tensor:
        self.heard = waves
        return torch.zeros(len(waves), 527 + 768)


class WithClasses(Remembering):
    def forward(self, waves: Tensor) -> tuple[Tensor, Tensor]:
        return super().forward(waves).split([768, 527], dim=1)


@pytest.mark.parametrize(
    ("judge", "network"), [(PannsEmbedding, WithClasses), (PasstEmbedding, Remembering), (VggishEmbedding, Remembering)]
)
def test_a_wave_is_heard_without_its_mean(judge: type, network: type[Remembering]) -> None:
    ear = network()
    judge(ear).hear([np.array([0.5, 0.25, 0.75], np.float32)])
    np.testing.assert_allclose(ear.heard[0, :3], [0, -0.25, 0.25])


def test_what_passt_hears_begins_with_the_sound_and_ends_with_silence() -> None:
    ear, wave = Remembering(), np.resize(np.array([0.5, -0.5], np.float32), 32_000)
    PasstEmbedding(ear).hear([wave])
    assert ear.heard.shape == (1, PASST_SAMPLES)
    np.testing.assert_array_equal(ear.heard[0, : len(wave)], wave)
    assert not ear.heard[0, len(wave) :].any()
