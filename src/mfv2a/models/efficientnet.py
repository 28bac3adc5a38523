"""What is seen: EfficientNet-Lite0 names things in frames; their names become vectors of the text's space.

Knows nothing about video files or sound. Its answer fades to nothing where it is not sure.
Source: Tan & Le 2019, "EfficientNet"; the Lite variants (no squeeze-and-excitation, ReLU6) by Google, 2020.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from mfv2a.models.convolution import SameConv2d
from mfv2a.models.stored import asset_path, dequantize, fill, read_tensors, unfilled

# (expansion, kernel, stride of the first block, output channels, blocks)
STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
PATTERN = "pattern"  # group of the classes that graphics, noise and textures fall into: never recognised as a thing
_CHUNK = 8
_CHUNK_CPU = 2  # with channels last: what a layer hands on stays in the cache, which halves the time


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognizerConfig:
    """When a recognition counts, and how far it is smoothed.

    Attributes:
        low: score of the best group at and below which nothing counts as recognised.
        high: score at and above which the recognition counts fully.
        spread_s: standard deviation of the average over neighbouring frames.
        top: classes of a frame whose text vectors are mixed.
        sure: confidence from which on it is also said, in words, what the thing sounds like.
    """

    low: float = 0.3
    high: float = 0.65
    spread_s: float = 4.0
    top: int = 10
    sure: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognition:
    """What a recognizer saw in a clip.

    Attributes:
        vectors: [T, D] in the text encoder's space; the norm is the confidence, exactly 0 where nothing is
            known.
        confidence: [T], 0..1.
        labels: name of the most probable thing a frame, however unsure.
        probs: class probabilities a frame [T, 1000], before smoothing.
        names: what was recognised in the clip, the surest first; empty when nothing was.
        sound: what the surest of it sounds like, "" where it is not sure or makes no sound.
    """

    vectors: Tensor
    confidence: Tensor
    labels: tuple[str, ...]
    probs: Tensor
    names: tuple[str, ...]
    sound: str


class _Block(nn.Module):
    """Inverted bottleneck: widen, filter each channel, narrow; added to its input where the shapes allow."""

    def __init__(self, inputs: int, outputs: int, *, expansion: int, size: int, stride: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.widen = SameConv2d(inputs, inner, 1) if expansion > 1 else None
        self.depthwise = SameConv2d(inner, inner, size, stride=stride, groups=inner)
        self.narrow = SameConv2d(inner, outputs, 1)
        self.is_residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """One block: [B, C, H, W] -> [B, C', H', W']."""
        y = x if self.widen is None else F.relu6(self.widen(x), inplace=True)
        y = self.narrow(F.relu6(self.depthwise(y), inplace=True))
        out: Tensor = x + y if self.is_residual else y
        return out


class EfficientNetLite0(nn.Module):
    """ImageNet classifier (1,000 classes) for 224 x 224 pictures, batch norm folded into its convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv2d(3, 32, 3, stride=2)
        blocks, channels = [], 32
        for expansion, size, stride, outputs, repeats in STAGES:
            for repeat in range(repeats):
                step = stride if repeat == 0 else 1
                blocks.append(_Block(channels, outputs, expansion=expansion, size=size, stride=step))
                channels = outputs
        self.blocks = nn.ModuleList(blocks)
        self.head = SameConv2d(channels, 1280, 1)
        self.classifier = nn.Linear(1280, 1000)

    @classmethod
    def from_assets(cls) -> EfficientNetLite0:
        """The network with the weights that ship in the package, on the CPU in fp32.

        Raises:
            CheckpointError: the file is missing or damaged.
        """
        path = asset_path("image", "model.safetensors")
        with unfilled():
            network = cls()
        fill(network, dequantize(read_tensors(path)), name=path.name)
        return network.to(memory_format=torch.channels_last)

    def forward(self, frames: Tensor) -> Tensor:
        """Classify pictures.

        Args:
            frames: RGB, values 0..255 of any dtype, [T, 3, 224, 224].

        Returns:
            Logits [T, 1000].
        """
        x = (frames.to(self.classifier.weight.dtype) - 127.0) / 128.0
        x = F.relu6(self.stem(x), inplace=True)
        for block in self.blocks:
            x = block(x)
        x = F.relu6(self.head(x), inplace=True).mean(dim=(2, 3))
        logits: Tensor = self.classifier(x)
        return logits


class ImageRecognizer(nn.Module):
    """Frames of a clip to vectors in the text encoder's space, by way of class names.

    A frame's probabilities are averaged with its neighbours', and classes that sound alike (all breeds of
    dog) are judged together: a clip of a dog is a dog even while the breed flickers. A group's score is its
    probability corrected for chance, (p - share) / (1 - share) with the share of the classes that it holds;
    confidence is read off the best score.
    """

    words: Tensor
    membership: Tensor

    def __init__(
        self,
        network: nn.Module,
        words: Tensor,
        names: Sequence[str],
        groups: Sequence[str],
        config: RecognizerConfig | None = None,
        sounds: Sequence[str] = (),
    ) -> None:
        """Build from finished parts.

        Args:
            network: frames [T, 3, 224, 224] -> logits [T, K].
            words: text vector of each class [K, D], unit norm.
            names: name of each class, K of them.
            groups: group of each class, K of them; a class on its own is its own group.
            config: thresholds.
            sounds: what each class sounds like, "" for nothing; () for none of them.
        """
        super().__init__()
        self.network = network
        self.config = config or RecognizerConfig()
        self.names, self.sounds = tuple(names), tuple(sounds) or ("",) * len(names)
        self.groups = tuple(dict.fromkeys(groups))
        place = {group: i for i, group in enumerate(self.groups)}
        membership = torch.zeros(len(names), len(self.groups))
        membership[torch.arange(len(names)), torch.tensor([place[group] for group in groups])] = 1.0
        self.register_buffer("words", words)
        self.register_buffer("membership", membership)

    @classmethod
    def from_assets(cls) -> ImageRecognizer:
        """The recognizer with the weights and class names that ship in the package.

        Raises:
            CheckpointError: a file is missing or damaged.
        """
        words = dequantize(read_tensors(asset_path("image", "words.safetensors")))["words"]
        with asset_path("image", "classes.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        names = [row["name"] for row in rows]
        groups, sounds = ([row[column] for row in rows] for column in ("group", "sound"))
        return cls(EfficientNetLite0.from_assets(), words, names, groups, sounds=sounds)

    @torch.no_grad()
    def judge(self, probs: Tensor, *, fps: float = 1.0) -> Recognition:
        """Say what is in a clip, by what each of its frames looks like.

        Args:
            probs: class probabilities of its frames [T, K], T >= 1.
            fps: frames per second.

        Returns:
            One vector and one confidence a frame, and the names.
        """
        steady = self._average_neighbours(probs, fps)
        scores = self._score_groups(steady)
        best = scores.amax(dim=1)
        fade = ((best - self.config.low) / (self.config.high - self.config.low)).clamp(0, 1)
        confidence = fade * fade * (3 - 2 * fade)
        weights, classes = steady.topk(min(self.config.top, steady.shape[1]), dim=1)
        mixed = F.normalize((weights.unsqueeze(-1) * self.words[classes]).sum(dim=1), dim=-1)
        return Recognition(
            vectors=mixed * confidence.unsqueeze(-1),
            confidence=confidence,
            labels=tuple(self.groups[i] for i in (probs @ self.membership).argmax(dim=1).tolist()),
            probs=probs,
            names=self._name(scores, steady),
            sound=self._sound(scores, steady) if confidence.max() >= self.config.sure else "",
        )

    @torch.no_grad()
    def classify(self, frames: NDArray[np.uint8]) -> Tensor:
        """Class probabilities [T, K] of frames [T, 224, 224, 3], a few at a time to bound memory."""
        pictures = torch.from_numpy(np.ascontiguousarray(frames)).to(self.words.device).permute(0, 3, 1, 2)
        chunk = _CHUNK_CPU if pictures.device.type == "cpu" else _CHUNK
        logits = [self.network(pictures[i : i + chunk]) for i in range(0, len(pictures), chunk)]
        return torch.cat(logits).float().softmax(dim=1)

    def _average_neighbours(self, probs: Tensor, fps: float) -> Tensor:
        """Gaussian average of [T, K] over time, its weights summing to one at the ends too."""
        times = torch.arange(len(probs), device=probs.device) / fps
        reach = 4 * self.config.spread_s
        rows = []
        for time in times:  # a banded product: hours of video must not need T x T numbers
            near = (times - time).abs() <= reach
            weights = torch.exp(-0.5 * ((times[near] - time) / self.config.spread_s) ** 2)
            rows.append(weights @ probs[near] / weights.sum())
        return torch.stack(rows)

    def _score_groups(self, probs: Tensor) -> Tensor:
        """Class probabilities [T, K] -> group scores [T, G]: 0 at chance, 1 if certain, patterns always 0."""
        share = self.membership.mean(dim=0)
        scores = (probs @ self.membership - share) / (1 - share)
        is_thing = torch.tensor([group != PATTERN for group in self.groups], device=scores.device)
        return scores.clamp_min(0) * is_thing

    def _name(self, scores: Tensor, steady: Tensor) -> tuple[str, ...]:
        """Names of the groups that pass the low score [T, G] anywhere, with their likeliest member [T, K]."""
        peak = scores.amax(dim=0)
        sure = [i for i in peak.argsort(descending=True).tolist() if peak[i] > self.config.low][:5]
        named = []
        for i in sure:
            members = steady.sum(dim=0) * self.membership[:, i]
            member = self.names[int(members.argmax())]
            group = self.groups[i]
            named.append(group if member == group else f"{group} ({member})")
        return tuple(named)

    def _sound(self, scores: Tensor, steady: Tensor) -> str:
        """What the likeliest member [T, K] of the surest group [T, G] sounds like."""
        members = steady.sum(dim=0) * self.membership[:, int(scores.amax(dim=0).argmax())]
        return self.sounds[int(members.argmax())]
