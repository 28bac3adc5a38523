"""What is learned besides the generator: the mel codec, the sync encoder and the vocoder.

A task holds a network and turns a batch into a loss. Batches are mappings of stacked tensors. Codec and vocoder may
learn against a discriminator, which keeps the grain that means lose; their network is then a `Contest`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mfv2a.models.compact import SyncEncoder
from mfv2a.models.discriminators import MelDiscriminator, WaveDiscriminator
from mfv2a.models.istft import ISTFTVocoder
from mfv2a.models.mel import MelSpectrogram
from mfv2a.models.vae import VAE
from mfv2a.training.adversarial import Contest, adversarial_losses

Batch = Mapping[str, Tensor]


class Task(Protocol):
    """A network and its loss."""

    network: nn.Module

    def loss(self, batch: Batch, *, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """Scalar loss with gradient and numbers for the log."""


class VAETask:
    """Mel reconstruction with a small Kullback-Leibler term.

    Args:
        network: the codec; `data_mean` and `data_std` already set.
        kl_weight: weight of the mean divergence per latent value.
        adversarial: weight of the adversarial loss, 0 for none.
    """

    def __init__(self, network: VAE, *, kl_weight: float = 5e-4, adversarial: float = 0.0) -> None:
        self.vae, self.kl_weight, self.adversarial = network, kl_weight, adversarial
        self.contest = Contest(network, MelDiscriminator()) if adversarial else None
        self.network: nn.Module = self.contest or network

    def loss(self, batch: Batch, *, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """Loss on mel [B, M, F]."""
        mel = batch["mel"]
        mean, std = self.vae.encode(mel)
        latent = mean + std * torch.randn(mean.shape, generator=generator).to(mean)
        decoded = self.vae.decode(latent)
        difference = (decoded - mel) / self.vae.data_std
        divergence = 0.5 * (mean.square() + std.square() - 1 - 2 * std.clamp(min=1e-8).log()).mean()
        rebuilt = difference.abs().mean()
        loss = rebuilt + 0.5 * difference.square().mean() + self.kl_weight * divergence
        numbers = {"l1": rebuilt.item(), "kl": divergence.item(), "latent_std": mean.std().item()}
        if self.contest is None:
            return loss, numbers
        pair = ((x - self.vae.data_mean) / self.vae.data_std for x in (decoded, mel))
        return _contested(loss, numbers, self.adversarial, self.contest.discriminator, *pair)


class SyncTask:
    """Onsets, band energies and the class, from motion.

    Args:
        network: the encoder; `mean` and `std` of the motion already set.
    """

    def __init__(self, network: SyncEncoder) -> None:
        self.network: nn.Module = network

    def loss(self, batch: Batch, *, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """Loss on motion [B, Y, F] with onset [B, Y] in [0, 1], bands [B, Y, K] and label [B]."""
        out = self.network(self._disturb(batch["motion"], generator))
        weight = 1 + 3 * batch["onset"]
        onset = F.binary_cross_entropy_with_logits(out.onset, batch["onset"], weight=weight)
        bands = F.smooth_l1_loss(out.bands, batch["bands"])
        label = F.cross_entropy(out.label, batch["label"].long(), label_smoothing=0.05)
        right = (out.label.argmax(1) == batch["label"]).float().mean()
        loss = 4 * onset + bands + 0.15 * label
        return loss, {"onset": onset.item(), "bands": bands.item(), "class_acc": right.item()}

    @staticmethod
    def _disturb(motion: Tensor, generator: torch.Generator) -> Tensor:
        """Other gains, lost columns and noise: filmed motion has any scale."""
        rows, _, columns = motion.shape
        gain = torch.exp(0.4 * torch.randn(rows, 1, 1, generator=generator))
        kept = (torch.rand(rows, 1, columns, generator=generator) > 0.05).float()
        noise = 0.02 * torch.randn(motion.shape, generator=generator)
        return (motion + noise.to(motion)) * (gain * kept).to(motion)


RESOLUTIONS = ((2048, 512), (1024, 256), (512, 128), (256, 64))


def spectral_distance(a: Tensor, b: Tensor) -> Tensor:
    """Multi-resolution STFT distance of waves [B, S]: spectral convergence plus log-magnitude L1, a scalar.

    Source: Yamamoto et al., "Parallel WaveGAN", arXiv 1910.11480, equations (4) to (6).
    """
    total = a.new_zeros(())
    for n_fft, hop in RESOLUTIONS:
        window = torch.hann_window(n_fft, device=a.device)
        x, y = (torch.stft(w, n_fft, hop, window=window, return_complex=True).abs().clamp(min=1e-5) for w in (a, b))
        convergence = torch.linalg.vector_norm(x - y) / torch.linalg.vector_norm(y)
        total = total + convergence + (x.log() - y.log()).abs().mean()
    return total / len(RESOLUTIONS)


class VocoderTask:
    """Spectral distance and band energy of the decoded wave.

    Args:
        network: the vocoder.
        mel: the front end it inverts.
        codec: the codec whose decoded mel the vocoder is to invert too, in every second row; without gradients.
        adversarial: weight of the adversarial loss, 0 for none.
    """

    def __init__(
        self, network: ISTFTVocoder, mel: MelSpectrogram, *, codec: VAE | None = None, adversarial: float = 0.0
    ) -> None:
        self.vocoder, self.mel, self.codec, self.adversarial = network, mel, codec, adversarial
        self.contest = Contest(network, WaveDiscriminator()) if adversarial else None
        self.network: nn.Module = self.contest or network

    def loss(self, batch: Batch, *, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """Loss on waves [B, S]."""
        wave = batch["wave"]
        mel = self.mel(wave)
        decoded = self.vocoder(self._seen(mel, generator))
        wave = wave[:, : decoded.shape[1]]
        distance = spectral_distance(decoded, wave)
        energy = (self.mel(decoded) - mel).abs().mean()
        loss, numbers = distance + 2 * energy, {"mrstft": distance.item(), "mel": energy.item()}
        if self.contest is None:
            return loss, numbers
        return _contested(loss, numbers, self.adversarial, self.contest.discriminator, decoded, wave)

    @torch.no_grad()
    def _seen(self, mel: Tensor, generator: torch.Generator) -> Tensor:
        """The mel that the vocoder sees: of every second row what the codec leaves of it."""
        if self.codec is None:
            return mel
        mean, std = self.codec.encode(mel[::2])
        latent = mean + std * torch.randn(mean.shape, generator=generator).to(mean)
        seen = mel.clone()
        seen[::2] = self.codec.decode(latent).to(mel)
        return seen


def _contested(
    loss: Tensor, numbers: dict[str, float], weight: float, discriminator: nn.Module, made: Tensor, true: Tensor
) -> tuple[Tensor, dict[str, float]]:
    """A loss with the losses of maker and discriminator added, and the numbers with theirs."""
    maker, judge = adversarial_losses(discriminator, made, true)
    told = {"maker": maker.item(), "discriminator": judge.item()}
    return loss + weight * maker + judge, numbers | told
