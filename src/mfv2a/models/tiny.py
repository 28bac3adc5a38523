"""The embedded model's twin for tests: the smallest networks of the same shapes, with random weights.

Knows no files.
"""

from __future__ import annotations

from typing import Any

import torch

from mfv2a.models.compact import SyncConfig, SyncEncoder
from mfv2a.models.mmaudio import MMAudio, MMAudioConfig
from mfv2a.models.vae import VAE, VAEConfig


def tiny_networks() -> dict[str, Any]:
    """Random weights from a fixed seed, at the shapes of the embedded model's interfaces, by role."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator = MMAudio(MMAudioConfig.tiny())
        generator.initialize()
        vae = VAE(VAEConfig.tiny())
        vae.data_mean.fill_(-3.0)
        networks = {"generator": generator, "vae": vae, "sync": SyncEncoder(SyncConfig.tiny())}
    return {role: network.eval().requires_grad_(False) for role, network in networks.items()}
