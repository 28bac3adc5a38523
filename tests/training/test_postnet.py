"""The post-net: a score that only the right spread makes least, and a network that learns it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mfv2a.config import RunConfig, SourceConfig
from mfv2a.errors import ConfigError
from mfv2a.flow.objective import energy_score
from mfv2a.jobs.train import _task
from mfv2a.models.griffinlim import GriffinLim, GriffinLimConfig
from mfv2a.models.postnet import PostNet, PostNetConfig, RefinedVocoder
from mfv2a.models.vae import VAE, VAEConfig
from mfv2a.models.weights import save_network
from mfv2a.training.tasks import PATCHES, PostNetTask, patch_distance


def score(one: torch.Tensor, other: torch.Tensor, true: torch.Tensor) -> float:
    return energy_score(one, other, true, patch_distance).mean().item()


def grains(count: int, *, spread: float = 1.0, stripe: float = 0.0, seed: int = 0) -> torch.Tensor:
    """Unit noise over 80 bands and 128 frames, a part of it the same in all bands of a frame."""
    generator = torch.Generator().manual_seed(seed)
    own = torch.randn(count, 80, 128, generator=generator)
    shared = torch.randn(count, 1, 128, generator=generator)
    made: torch.Tensor = spread * ((1 - stripe**2) ** 0.5 * own + stripe * shared)
    return made


def test_a_point_by_hand() -> None:
    one, other, true = (torch.full((1, 80, 32), value) for value in (1.0, 3.0, 0.0))
    # every patch is as far as its bins are: (1 + 3 - 2) / 2
    assert score(one, other, true) == pytest.approx(1.0, abs=1e-5)


def test_the_true_spread_is_best() -> None:
    true = grains(8)
    scores = {s: score(grains(8, spread=s, seed=1), grains(8, spread=s, seed=2), true) for s in (0.0, 0.7, 1.5)}
    best = score(grains(8, seed=1), grains(8, seed=2), true)
    assert all(best < other - 0.01 for other in scores.values())


def test_patches_tell_stripes_from_grain() -> None:
    true = grains(8, stripe=0.9)
    striped = score(grains(8, stripe=0.9, seed=1), grains(8, stripe=0.9, seed=2), true)
    assert striped < score(grains(8, seed=1), grains(8, seed=2), true) - 0.01
    assert (80, 1) in PATCHES


def test_noise_is_the_same_for_each_item_and_each_length() -> None:
    torch.manual_seed(0)
    net = PostNet(PostNetConfig.tiny()).eval()
    mel = torch.randn(2, 80, 64) - 3
    together = net.refine(mel)
    assert torch.allclose(together[1:], net.refine(mel[1:]), atol=1e-5)
    assert torch.allclose(together[..., :50], net.refine(mel[..., :56])[..., :50], atol=1e-5)
    assert not torch.allclose(together, mel, atol=1e-2)


def test_a_refined_vocoder_is_the_vocoder_of_the_refined_mel() -> None:
    torch.manual_seed(0)
    net, plain = PostNet(PostNetConfig.tiny()).eval(), GriffinLim(GriffinLimConfig(iterations=2))
    mel = torch.randn(1, 80, 20) - 3
    refined = RefinedVocoder(net, plain)
    assert refined.hop == plain.hop
    assert torch.equal(refined(mel), plain(net.refine(mel)))


def test_it_learns_the_grain_that_a_codec_loses() -> None:
    torch.manual_seed(0)
    vae = VAE(VAEConfig.tiny())
    vae.data_mean.fill_(-3.0)
    torch.nn.init.constant_(vae.decoder.learnable_gain, -1.0)  # this codec answers with the mean, whatever it hears
    net = PostNet(PostNetConfig.tiny())
    task, optimizer = PostNetTask(net, vae), torch.optim.Adam(net.parameters(), 1e-2)
    generator, numbers = torch.Generator().manual_seed(0), []
    for step in range(60):
        loss, told = task.loss({"mel": 0.3 * grains(4, seed=step) - 3}, step=step, generator=generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        numbers.append(told)
    assert 0.8 < numbers[-1]["grain"] < 1.25
    mean_alone = torch.full((4, 80, 128), -3.0)
    plain = score(mean_alone, mean_alone, 0.3 * grains(4, seed=99) - 3)
    assert numbers[-1]["energy_score"] < 0.85 * plain
    assert all(parameter.grad is None for parameter in vae.parameters())


def test_a_run_names_its_codec(tmp_path: Path) -> None:
    config = RunConfig(task="postnet", out="run", steps=1, sources=(SourceConfig(type="sounds", path="sfx"),))
    with pytest.raises(ConfigError, match="codec's mel"):
        _task(config, PostNet(PostNetConfig.tiny()), None)
    save_network(tmp_path / "vae.safetensors", "vae", VAE(VAEConfig.tiny()))
    named = RunConfig(**{**vars(config), "components": {"vae": str(tmp_path / "vae.safetensors")}})
    assert isinstance(_task(named, PostNet(PostNetConfig.tiny()), None), PostNetTask)
