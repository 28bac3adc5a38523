"""What is learned besides the generator: the mel codec, the sync encoder and the vocoder.

A task holds a network and turns a batch into a loss. Batches are mappings of stacked tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mfv2a.models.compact import SyncEncoder
from mfv2a.models.istft import ISTFTVocoder
from mfv2a.models.mel import MelSpectrogram
from mfv2a.models.vae import VAE

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
    """

    def __init__(self, network: VAE, *, kl_weight: float = 5e-4) -> None:
        self.network: nn.Module = network
        self.vae, self.kl_weight = network, kl_weight

    def loss(self, batch: Batch, *, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """Loss on mel [B, M, F]."""
        mel = batch["mel"]
        mean, std = self.vae.encode(mel)
        latent = mean + std * torch.randn(mean.shape, generator=generator).to(mean)
        difference = (self.vae.decode(latent) - mel) / self.vae.data_std
        divergence = 0.5 * (mean.square() + std.square() - 1 - 2 * std.clamp(min=1e-8).log()).mean()
        rebuilt = difference.abs().mean()
        loss = rebuilt + 0.5 * difference.square().mean() + self.kl_weight * divergence
        return loss, {"l1": rebuilt.item(), "kl": divergence.item(), "latent_std": mean.std().item()}


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
    """

    def __init__(self, network: ISTFTVocoder, mel: MelSpectrogram) -> None:
        self.network: nn.Module = network
        self.mel = mel

    def loss(self, batch: Batch, *, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """Loss on waves [B, S]."""
        wave = batch["wave"]
        mel = self.mel(wave)
        decoded = self.network(mel)
        distance = spectral_distance(decoded, wave[:, : decoded.shape[1]])
        energy = (self.mel(decoded) - mel).abs().mean()
        return distance + 2 * energy, {"mrstft": distance.item(), "mel": energy.item()}
