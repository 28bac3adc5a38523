"""What is heard: YAMNet names the sounds in a wave, among 521 classes of AudioSet.

Knows nothing about where the wave came from. The project's judge: class agreement, distances, reports.
Source: Google, TensorFlow model garden, research/audioset/yamnet (a MobileNet v1 on log-mel patches).
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from mfv2a.models.convolution import SameConv2d
from mfv2a.models.stored import asset_path, dequantize, fill, read_tensors, unfilled

SAMPLE_RATE_HZ = 16_000
WINDOW, HOP, FFT = 400, 160, 512
MEL_BINS, MEL_LOW_HZ, MEL_HIGH_HZ = 64, 125.0, 7500.0
PATCH_FRAMES, PATCH_HOP = 96, 48
CHANNELS = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
STRIDED = (1, 3, 5, 11)
_SHORTEST = WINDOW + (PATCH_FRAMES - 1) * HOP
_CHUNK = 64


class _Layer(nn.Module):
    """A depthwise and a pointwise convolution, each with ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.depthwise = SameConv2d(inputs, inputs, 3, stride=stride, groups=inputs)
        self.pointwise = SameConv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """One layer: [B, C, H, W] -> [B, C', H', W']."""
        return F.relu(self.pointwise(F.relu(self.depthwise(x), inplace=True)), inplace=True)


class Yamnet(nn.Module):
    """Waves to class scores and embeddings, one row for each patch of 0.96 s, a patch every 0.48 s."""

    window: Tensor
    filters: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv2d(1, 32, 3, stride=2)
        widths = (32, *CHANNELS)
        self.layers = nn.ModuleList(
            _Layer(widths[i], widths[i + 1], 2 if i in STRIDED else 1) for i in range(len(CHANNELS))
        )
        self.classifier = nn.Linear(CHANNELS[-1], 521)
        self.register_buffer("window", torch.empty(0), persistent=False)
        self.register_buffer("filters", torch.empty(0), persistent=False)

    @classmethod
    def from_assets(cls) -> Yamnet:
        """The network with the weights that ship in the package, on the CPU in fp32.

        Raises:
            CheckpointError: the file is missing or damaged.
        """
        path = asset_path("tagger", "model.safetensors")
        return cls.from_tensors(dequantize(read_tensors(path)), name=path.name)

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor], *, name: str = "yamnet") -> Yamnet:
        """The network with given weights.

        Args:
            tensors: fp32 state dict.
            name: what to call them in an error.

        Raises:
            CheckpointError: the tensors do not fit.
        """
        with unfilled():
            network = cls()
        fill(network, tensors, name=name)
        network.window = torch.hann_window(WINDOW, periodic=True)
        network.filters = mel_triangles()
        return network

    def forward(self, wave: Tensor) -> tuple[Tensor, Tensor]:
        """Hear waves.

        Args:
            wave: [B, S] at 16 kHz in [-1, 1]; shorter than 0.975 s is padded with silence.

        Returns:
            Scores [B, P, 521] in 0..1 (independent: they do not sum to 1) and embeddings [B, P, 1024].
        """
        patches = self.patches(wave)
        batch, count = patches.shape[:2]
        images = patches.reshape(batch * count, 1, PATCH_FRAMES, MEL_BINS)
        chunks = [self._embed(images[i : i + _CHUNK]) for i in range(0, len(images), _CHUNK)]
        embeddings = torch.cat(chunks).view(batch, count, -1)
        return torch.sigmoid(self.classifier(embeddings)), embeddings

    def patches(self, wave: Tensor) -> Tensor:
        """Log-mel patches of waves [B, S] -> [B, P, 96, 64]; a rest too short for a patch is dropped."""
        if wave.shape[-1] < _SHORTEST:
            wave = F.pad(wave, (0, _SHORTEST - wave.shape[-1]))
        framed = wave.unfold(-1, WINDOW, HOP) * self.window
        magnitude = torch.fft.rfft(framed, n=FFT).abs()
        log_mel = torch.log(magnitude @ self.filters + 0.001)
        return log_mel.unfold(1, PATCH_FRAMES, PATCH_HOP).transpose(2, 3)

    def _embed(self, images: Tensor) -> Tensor:
        """Embeddings [K, 1024] of patches [K, 1, 96, 64]."""
        x = F.relu(self.stem(images))
        for layer in self.layers:
            x = layer(x)
        return x.mean(dim=(2, 3))


def at_tagger_rate(wave: NDArray[np.float32], sample_rate_hz: int) -> Tensor:
    """A wave [S] at 16 kHz."""
    samples = torch.from_numpy(np.array(wave, np.float32))
    if sample_rate_hz != SAMPLE_RATE_HZ:
        from torchaudio.functional import resample  # imported where it is needed: a tenth of a second

        samples = resample(samples, sample_rate_hz, SAMPLE_RATE_HZ)
    return samples


def mel_triangles() -> Tensor:
    """Filters [FFT / 2 + 1, 64]: triangles that are linear in mel, m = 1127 ln(1 + f / 700); bin 0 unused."""
    edges = torch.linspace(_mel(MEL_LOW_HZ), _mel(MEL_HIGH_HZ), MEL_BINS + 2, dtype=torch.float64)
    hertz = torch.arange(FFT // 2 + 1, dtype=torch.float64) * SAMPLE_RATE_HZ / FFT
    mel = 1127.0 * torch.log1p(hertz / 700.0).unsqueeze(1)
    rising = (mel - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - mel) / (edges[2:] - edges[1:-1])
    filters = torch.minimum(rising, falling).clamp_min(0)
    filters[0] = 0
    return filters.float()


def _mel(hertz: float) -> float:
    """A frequency in mel."""
    return 1127.0 * math.log1p(hertz / 700.0)


class Tagger:
    """YAMNet with the names of its classes."""

    def __init__(self, network: Yamnet, names: Sequence[str]) -> None:
        self.network = network
        self.names = tuple(names)

    @classmethod
    def from_assets(cls) -> Tagger:
        """The tagger that ships in the package.

        Raises:
            CheckpointError: a file is missing or damaged.
        """
        network = Yamnet.from_assets()
        with asset_path("tagger", "classes.csv").open(encoding="utf-8", newline="") as file:
            return cls(network, [row["display_name"] for row in csv.DictReader(file)])

    @torch.no_grad()
    def hear(self, wave: NDArray[np.float32], *, sample_rate_hz: int = SAMPLE_RATE_HZ) -> tuple[Tensor, Tensor]:
        """Listen to one wave.

        Args:
            wave: mono [S] in [-1, 1].
            sample_rate_hz: of the wave; anything but 16 kHz is resampled.

        Returns:
            Scores [P, 521] and embeddings [P, 1024], on the CPU.
        """
        samples = at_tagger_rate(wave, sample_rate_hz).to(self.network.filters.device)
        scores, embeddings = self.network(samples[None])
        return scores[0].cpu(), embeddings[0].cpu()

    def tag(
        self, wave: NDArray[np.float32], *, sample_rate_hz: int = SAMPLE_RATE_HZ, top: int = 5
    ) -> list[tuple[str, float]]:
        """Name what is heard in one wave.

        Args:
            wave: mono [S] in [-1, 1].
            sample_rate_hz: of the wave.
            top: how many names.

        Returns:
            Names with their scores averaged over the wave, the highest first.
        """
        mean = self.hear(wave, sample_rate_hz=sample_rate_hz)[0].mean(dim=0)
        values, places = mean.topk(min(top, len(mean)))
        return [(self.names[i], value) for value, i in zip(values.tolist(), places.tolist(), strict=True)]
