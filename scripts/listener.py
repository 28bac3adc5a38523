"""A listener to latents: what a sound is, told from the codec's latents alone, and what it looks at on the way.

`learn_listener.py` trains one; `learn_heard.py` lets a generator learn by what it tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

WIDTHS = (96, 128, 192, 256)
LABELS = "labels"


class Heard(NamedTuple):
    """What a listener finds in some sounds.

    Attributes:
        levels: features of stretches of time, finest first, each [B, M, W], of deviation one over true sounds.
        logits: of the labels [B, K].
    """

    levels: tuple[Tensor, ...]
    logits: Tensor


class Listener(nn.Module):
    """Convolutions over time, each level of half as many frames, and the labels from the means and peaks of the last.

    Args:
        channels: C of the latents.
        labels: names of what it tells.
    """

    def __init__(self, channels: int, labels: Sequence[str]) -> None:
        super().__init__()
        self.labels = tuple(labels)
        self.levels = nn.ModuleList(
            _Level(before, width, stride=1 if k == 0 else 2)
            for k, (before, width) in enumerate(zip((channels, *WIDTHS), WIDTHS, strict=False))
        )
        self.read = nn.Sequential(nn.Linear(2 * WIDTHS[-1], 256), nn.SiLU(), nn.Linear(256, len(self.labels)))
        for k, width in enumerate(WIDTHS):
            self.register_buffer(f"deviation_{k}", torch.ones(width))

    def forward(self, x: Tensor) -> Heard:
        """Listen to latents [B, N, C] of mean zero and deviation one."""
        found = []
        for k, level in enumerate(self.levels):
            x = level(x)
            found.append(x / self.get_buffer(f"deviation_{k}"))
        return Heard(tuple(found), self.read(torch.cat([x.mean(1), x.amax(1)], 1)))

    @torch.no_grad()
    def measure(self, x: Tensor) -> None:
        """Take deviations from true sounds [B, N, C], so that no channel of `levels` counts more than another."""
        for k in range(len(WIDTHS)):
            self.get_buffer(f"deviation_{k}").fill_(1.0)
        for k, level in enumerate(self(x).levels):
            self.get_buffer(f"deviation_{k}").copy_(level.flatten(0, 1).std(0).clamp_min(1e-3))

    def save(self, path: Path) -> None:
        """Write the weights and the labels' names."""
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(self.state_dict(), path, {LABELS: "\n".join(self.labels)})

    @classmethod
    def load(cls, path: Path) -> Listener:
        """Read what `save` wrote."""
        with safe_open(path, "pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            labels = file.metadata()[LABELS].split("\n")
        listener = cls(state["levels.0.first.weight"].shape[1], labels)
        listener.load_state_dict(state)
        return listener


class _Level(nn.Module):
    def __init__(self, before: int, width: int, *, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(before, width, 5, stride=stride, padding=2)
        self.second = nn.Conv1d(width, width, 5, padding=2)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x.transpose(1, 2))
        x = x + self.second(F.silu(x))
        return F.silu(self.norm(x.transpose(1, 2)))
