"""How each family's generator takes its conditions: works and their windows in, one velocity for the batch out.

Here networks meet what was prepared for them. What samples the velocity or decodes the latent is not known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from mfv2a.flow.guidance import Velocity
from mfv2a.flow.sampler import ignore_interval
from mfv2a.models.meanaudio import MeanAudio
from mfv2a.models.mmaudio import MMAudio
from mfv2a.models.woosh import Woosh
from mfv2a.timeline import Lengths, SequenceSpec, Window
from mfv2a.work import Words, Work

Generator = MMAudio | MeanAudio | Woosh
Jobs = Sequence[tuple[Work, Window]]


class Binding(Protocol):
    """What `Pipeline` needs of a family's generator."""

    def bind(self, jobs: Jobs, lengths: Lengths, *, guided: bool, strength: float) -> Velocity:
        """The velocity of a batch of windows with their conditions bound.

        Args:
            jobs: B windows of works, all of the same lengths.
            lengths: of their sequences.
            guided: evaluate both branches: the velocity takes a batch of 2B, whose second half is unconditional.
            strength: guidance weight, for a network that takes it as an input.

        Returns:
            u(z, *, r, t).
        """


def bind_generator(network: Generator, spec: SequenceSpec) -> Binding:
    """The binding of a network's family.

    Args:
        network: a generator.
        spec: how its sequences lie on a timeline.
    """
    if isinstance(network, MMAudio):
        return MMAudioBinding(network, spec)
    return MeanAudioBinding(network) if isinstance(network, MeanAudio) else WooshBinding(network, spec)


def number_type(network: Generator) -> torch.dtype:
    """The dtype that a network's weights have."""
    return next(network.parameters()).dtype


def in_float32(velocity: Velocity, dtype: torch.dtype) -> Velocity:
    """A velocity in float32 of a network in another dtype: what steps add up is not rounded to it again and again."""

    def wide(z: Tensor, *, r: Tensor, t: Tensor) -> Tensor:
        return velocity(z.to(dtype), r=r, t=t).float()

    return wide


class MMAudioBinding:
    """Semantic vectors, sync features and words; what is absent is a learned empty feature."""

    def __init__(self, network: MMAudio, spec: SequenceSpec) -> None:
        self.network, self.spec = network, spec

    def bind(self, jobs: Jobs, lengths: Lengths, *, guided: bool, strength: float) -> Velocity:
        """See `Binding.bind`."""
        net, dtype = self.network, number_type(self.network)
        rows = [self._features(work, window, lengths) for work, window in jobs]
        if guided:
            rows += [self._empty_features(work.negative, lengths) for work, _ in jobs]
        clip, sync, text = (torch.stack([row[k].to(dtype) for row in rows]) for k in range(3))
        velocity = partial(net, conditions=net.encode_conditions(clip, sync, text, lengths.latents))
        if net.config.guided:
            velocity = partial(velocity, guidance=torch.full((len(rows),), strength, device=clip.device))
        return velocity if net.config.average else ignore_interval(velocity)

    def _features(self, work: Work, window: Window, lengths: Lengths) -> tuple[Tensor, Tensor, Tensor]:
        """Conditions of a window: clip [V, D], sync [Y, D], text [L, D]."""
        clip, sync, text = self._empty_features(work.text, lengths)
        if work.clip is not None:
            clip = _stretch(work.clip, self.spec.clip_at(window), lengths.clip)
        if work.sync is not None:
            sync = _stretch(work.sync, self.spec.sync_at(window), lengths.sync)
        return clip, sync, text

    def _empty_features(self, words: Words | None, lengths: Lengths) -> tuple[Tensor, Tensor, Tensor]:
        """The learned empty features at a window's lengths; words in place of the empty ones if there are any."""
        net = self.network
        clip, sync = net.empty_clip_feat.expand(lengths.clip, -1), net.empty_sync_feat.expand(lengths.sync, -1)
        return clip, sync, net.empty_string_feat if words is None else words.tokens


class MeanAudioBinding:
    """Words alone, token by token and as a whole."""

    def __init__(self, network: MeanAudio) -> None:
        self.network = network

    def bind(self, jobs: Jobs, lengths: Lengths, *, guided: bool, strength: float) -> Velocity:
        """See `Binding.bind`."""
        net, dtype = self.network, number_type(self.network)
        words = [work.text for work, _ in jobs] + ([work.negative for work, _ in jobs] if guided else [])
        rows = [self._features(each) for each in words]
        text, pooled = (torch.stack([row[k].to(dtype) for row in rows]) for k in range(2))
        velocity = partial(net, conditions=net.encode_conditions(text, pooled))
        return velocity if net.config.average else ignore_interval(velocity)

    def _features(self, words: Words | None) -> tuple[Tensor, Tensor]:
        net = self.network
        if words is None or words.pooled is None:
            return net.empty_string_feat, net.empty_string_feat_c
        return words.tokens, words.pooled


class WooshBinding:
    """Words and sync features, with the strength of guidance; without a picture the video features are zeros.

    There is no unconditional branch: guidance was distilled into the network.
    """

    def __init__(self, network: Woosh, spec: SequenceSpec) -> None:
        self.network, self.spec = network, spec

    def bind(self, jobs: Jobs, lengths: Lengths, *, guided: bool, strength: float) -> Velocity:
        """See `Binding.bind`; `guided` cannot be."""
        net, sizes, dtype = self.network, self.network.config, number_type(self.network)
        device = net.last.linear.weight.device
        text = torch.zeros(len(jobs), sizes.text_len, sizes.text_dim, device=device, dtype=dtype)
        mask = torch.zeros(len(jobs), sizes.text_len, device=device, dtype=torch.bool)
        for k, (work, _) in enumerate(jobs):
            if work.text is not None:
                tokens = work.text.tokens[: sizes.text_len]
                text[k, : len(tokens)], mask[k, : len(tokens)] = tokens.to(dtype), True
        video = torch.stack([self._video(work, window, lengths).to(device, dtype) for work, window in jobs])
        conditions = net.encode_conditions(text, mask, video if sizes.video_dim else None)
        weight = torch.full((len(jobs),), strength, device=device)
        return partial(net, guidance=weight, conditions=conditions)

    def _video(self, work: Work, window: Window, lengths: Lengths) -> Tensor:
        if work.sync is None:
            return torch.zeros(lengths.sync, self.network.config.video_dim)
        return _stretch(work.sync, self.spec.sync_at(window), lengths.sync)


def _stretch(features: Tensor, start: int, length: int) -> Tensor:
    """`length` rows of features [T, D] from `start` on; the last one stands for all after it."""
    return features[(torch.arange(length) + start).clamp(max=len(features) - 1)]
