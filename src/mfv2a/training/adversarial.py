"""Adversarial training: a network that makes and a discriminator, in one step, one optimiser and one checkpoint.

Losses are means over the discriminator's parts, so that their weight does not hang on how many there are.

Sources: hinge loss, Lim and Ye, "Geometric GAN", arXiv 1705.02894; feature matching, Salimans et al., arXiv 1606.03498.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from mfv2a.models.discriminators import Judgement

FEATURE_WEIGHT = 2.0
DISCRIMINATOR_RATE = 3e-4
"""Peak learning rate of a discriminator, whatever that of the network it judges."""


class Contest(nn.Module):
    """What makes and what judges, as one network for the training loop.

    Args:
        maker: the codec or vocoder that is wanted in the end.
        discriminator: a module that gives a list of judgements.
    """

    def __init__(self, maker: nn.Module, discriminator: nn.Module) -> None:
        super().__init__()
        self.maker, self.discriminator = maker, discriminator


def rated_weights(network: nn.Module, learning_rate: float) -> list[dict[str, Any]]:
    """The optimiser's groups of a network's trained weights; `share` is a group's rate over `learning_rate`."""
    if isinstance(network, Contest):
        apart = rated_weights(network.discriminator, DISCRIMINATOR_RATE)
        return [*rated_weights(network.maker, learning_rate), {**apart[0], "share": DISCRIMINATOR_RATE / learning_rate}]
    return [{"params": [weight for weight in network.parameters() if weight.requires_grad], "share": 1.0}]


def maker_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Of a state of a `Contest` the maker's tensors, by their own names; any other state as it is."""
    prefix = "maker."
    made = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
    return made or dict(state)


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """While open, no gradient reaches the network's weights; it still flows through to what it is given."""
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    for weight in weights:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in weights:
            weight.requires_grad_(True)


def adversarial_losses(discriminator: nn.Module, made: Tensor, true: Tensor) -> tuple[Tensor, Tensor]:
    """Losses of the maker and of the discriminator, two scalars; each has a gradient for its own weights alone.

    Args:
        discriminator: gives a list of judgements.
        made: what was made, with its gradient.
        true: what it stands for, of the same shape.
    """
    judged_true = discriminator(true)
    judged_made = discriminator(made.detach())
    with frozen(discriminator):
        convincing = discriminator(made)
    parts = len(judged_true)
    told = [_hinge(a, b) for a, b in zip(judged_true, judged_made, strict=True)]
    fooled = [_persuasion(a, b) for a, b in zip(judged_true, convincing, strict=True)]
    return sum(fooled[1:], fooled[0]) / parts, sum(told[1:], told[0]) / parts


def _hinge(true: Judgement, made: Judgement) -> Tensor:
    return F.relu(1 - true[0]).mean() + F.relu(1 + made[0]).mean()


def _persuasion(true: Judgement, made: Judgement) -> Tensor:
    """Minus the score, and how far the features lie from those of the truth, relative to their size."""
    apart = [
        (b - a.detach()).abs().mean() / (a.detach().abs().mean() + 1e-6) for a, b in zip(true[1], made[1], strict=True)
    ]
    return FEATURE_WEIGHT * sum(apart[1:], apart[0]) / len(apart) - made[0].mean()
