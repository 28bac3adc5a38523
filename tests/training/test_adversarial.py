"""Adversarial training: whose gradient goes where, what is saved, that it comes back as if not stopped."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from mfv2a.config import OptimizerConfig, RunConfig, SourceConfig
from mfv2a.errors import ConfigError
from mfv2a.jobs.networks import make_network
from mfv2a.models.discriminators import MelDiscriminator, WaveDiscriminator
from mfv2a.models.istft import ISTFTConfig, ISTFTVocoder
from mfv2a.models.mel import MelSpectrogram
from mfv2a.models.vae import VAE, VAEConfig
from mfv2a.models.weights import save_network
from mfv2a.training.adversarial import DISCRIMINATOR_RATE, Contest, adversarial_losses, maker_state, rated_weights
from mfv2a.training.loop import Training
from mfv2a.training.tasks import VAETask, VocoderTask


class Fixed(nn.Module):
    """Scores are a weight times the mean of what it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0))

    def forward(self, x):
        score = self.weight * x.mean(1)
        return [(score, [x])]


def test_losses_are_the_hinge_and_the_persuasion_worked_out_by_hand():
    true, made = torch.full((2, 3), 0.25), torch.full((2, 3), 0.1)
    maker, judge = adversarial_losses(Fixed(), made, true)
    assert judge.item() == pytest.approx((1 - 0.5) + (1 + 0.2))
    assert maker.item() == pytest.approx(-0.2 + 2 * 0.15 / 0.25, rel=1e-4)


def test_each_loss_moves_its_own_weights_alone():
    discriminator, made = Fixed(), torch.full((2, 3), 0.1, requires_grad=True)
    maker, judge = adversarial_losses(discriminator, made, torch.full((2, 3), 0.25))
    (gradient,) = torch.autograd.grad(maker, made, retain_graph=True)
    assert (gradient != 0).all()
    assert torch.autograd.grad(maker, discriminator.weight, allow_unused=True, retain_graph=True) == (None,)
    assert torch.autograd.grad(judge, made, allow_unused=True, retain_graph=True) == (None,)
    assert torch.autograd.grad(judge, discriminator.weight)[0].item() == pytest.approx(-0.25 + 0.1)


@pytest.mark.parametrize(
    ("make", "shape"), [(lambda: MelDiscriminator(4), (2, 80, 32)), (lambda: WaveDiscriminator(2), (2, 6000))]
)
def test_a_discriminator_learns_to_tell_two_kinds_apart(make, shape):
    torch.manual_seed(0)
    discriminator = make()
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=2e-3)
    losses = []
    for _ in range(60):
        noise = torch.randn(shape, generator=generator)
        smooth = nn.functional.avg_pool1d(noise.reshape(-1, 1, shape[-1]), 5, 1, 2).reshape(shape)
        loss = adversarial_losses(discriminator, smooth, noise)[1]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 1.5
    assert min(losses) < 1.0


def test_the_discriminators_weights_have_a_rate_of_their_own():
    contest = Contest(nn.Linear(2, 2), nn.Linear(2, 1))
    maker, discriminator = rated_weights(contest, 3e-3)
    assert [p.shape for p in maker["params"]] == [(2, 2), (2,)]
    assert (maker["share"], discriminator["share"] * 3e-3) == (1.0, pytest.approx(DISCRIMINATOR_RATE))
    assert set(maker_state(contest.state_dict())) == {"weight", "bias"}


def run_of(out, steps):
    return RunConfig(
        task="vae",
        out=str(out),
        steps=steps,
        adversarial=0.1,
        log_every=1,
        sources=(SourceConfig(type="scenes"),),
        optimizer=OptimizerConfig(learning_rate=1e-3, decay="constant", warmup_steps=1),
    )


def mel_batches(first):
    for step in range(first, 100):
        yield {"mel": torch.randn(2, 80, 32, generator=torch.Generator().manual_seed(step))}


def train_codec(out, steps):
    torch.manual_seed(0)
    told = []
    training = Training(run_of(out, steps), VAETask(VAE(VAEConfig.tiny()), adversarial=0.1), mel_batches, told.append)
    training.run()
    return training, told


def test_a_contest_taken_up_again_ends_as_if_it_had_not_stopped(tmp_path):
    whole, told = train_codec(tmp_path / "whole", 6)
    train_codec(tmp_path / "halves", 3)
    halves, _ = train_codec(tmp_path / "halves", 6)
    assert all(torch.isfinite(torch.tensor([row["maker"], row["discriminator"]])).all() for row in told)
    for name, tensor in whole.task.network.state_dict().items():
        torch.testing.assert_close(tensor, halves.task.network.state_dict()[name])
    assert set(maker_state(whole.ema.state)) == set(VAE(VAEConfig.tiny()).state_dict())


def test_a_vocoder_sees_the_codecs_mel_in_every_second_row():
    mel_of = MelSpectrogram()
    codec = VAE(VAEConfig.tiny())
    task = VocoderTask(ISTFTVocoder(ISTFTConfig.tiny()), mel_of, codec=codec, adversarial=0.2)
    wave = 0.1 * torch.randn(4, 8192, generator=torch.Generator().manual_seed(0))
    mel = mel_of(wave)
    seen = task._seen(mel, torch.Generator().manual_seed(1))
    assert torch.equal(seen[1::2], mel[1::2])
    assert not torch.allclose(seen[::2], mel[::2])
    loss, numbers = task.loss({"wave": wave}, step=0, generator=torch.Generator().manual_seed(1))
    assert set(numbers) == {"mrstft", "mel", "maker", "discriminator"}
    loss.backward()
    assert all(weight.grad is not None for weight in task.network.parameters())
    assert all(weight.grad is None for weight in codec.parameters())


def test_an_adversary_is_refused_where_there_is_none():
    with pytest.raises(ConfigError, match="adversarial is for a vae or vocoder"):
        RunConfig(task="sync", out="x", steps=1, adversarial=0.1, sources=(SourceConfig(type="scenes"),))


def test_a_frozen_encoder_stays_and_the_rest_learns(tmp_path):
    torch.manual_seed(0)
    start = save_network(tmp_path / "start.safetensors", "vae", VAE(VAEConfig.tiny()))
    config = replace(run_of(tmp_path / "run", 2), init=str(start), frozen=("encoder",), model={"dim": 8})
    network = make_network(config)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    Training(config, VAETask(network, adversarial=0.1), mel_batches, lambda _: None).run()
    moved = {name.split(".")[0] for name, tensor in network.state_dict().items() if not tensor.equal(before[name])}
    assert moved == {"decoder"}


def test_a_part_that_is_not_there_cannot_be_frozen(tmp_path):
    config = replace(run_of(tmp_path, 1), frozen=("vocoder",), model={"dim": 8})
    with pytest.raises(ConfigError, match="no part 'vocoder'") as caught:
        make_network(config)
    assert caught.value.hint == "it has encoder, decoder"
