"""How sound and picture are compared: each has its places, and when something is seen or heard decides."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mfv2a.models.desync import SEGMENTS, Desync, DesyncConfig

CONFIG = DesyncConfig.tiny()
Comparison = tuple[torch.nn.Module, Tensor, Tensor]


@pytest.fixture
def comparison() -> Comparison:
    """The network that compares, what is seen and what is heard."""
    network = Desync(CONFIG).transformer.eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.3, generator=generator)
    moments, dim = CONFIG.visual.segment // CONFIG.visual.tubelet, CONFIG.visual.dim
    visual, audio = (
        torch.randn(1, SEGMENTS * count, dim, generator=generator) for count in (moments, CONFIG.places[1])
    )
    return network, visual, audio


def test_when_something_is_seen_or_heard_decides_the_offset(comparison: Comparison) -> None:
    network, visual, audio = comparison
    together = network(visual, audio)
    assert not torch.allclose(network(visual.flip(1), audio), together, atol=1e-3)
    assert not torch.allclose(network(visual, audio.flip(1)), together, atol=1e-3)


def test_pictures_have_the_first_places_and_sound_the_last(comparison: Comparison) -> None:
    network, visual, audio = comparison
    network.pos_emb_cfg["pos_emb"][:, 1 : 1 + visual.shape[1]] = 0  # without places their order is not told
    together = network(visual, audio)
    assert torch.allclose(network(visual.flip(1), audio), together, atol=1e-4)
    assert not torch.allclose(network(visual, audio.flip(1)), together, atol=1e-3)
