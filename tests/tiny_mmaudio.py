"""Public MMAudio models in small: files as their authors publish them, a register that names them, a hub that has them.

The weights are pseudo-weights drawn from the key names, as in `golden/fill.py`; the sizes are added to those that the
loader knows by the name "tiny".
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from golden.fill import fill
from mfv2a.models import upstream
from mfv2a.models.bigvgan import BigVGANConfig
from mfv2a.models.clip import CLIPConfig
from mfv2a.models.mmaudio import MMAudioConfig
from mfv2a.models.synchformer import SynchformerConfig
from mfv2a.models.vae import VAEConfig

BASE = {
    "clip_dim": 24, "sync_dim": 24, "text_dim": 24, "dim": 64, "num_heads": 2, "joint_depth": 1, "fused_depth": 1,
    "mlp_ratio": 1.0, "noise_at_zero": True,
}  # fmt: skip
VOCODER = {"dim": 16, "block_kernels": (3,), "dilations": (1,)}
SIZES: dict[str, dict[str, Any]] = {
    "mmaudio": {
        "tiny_16k": MMAudioConfig(latent_dim=20, **BASE),
        "tiny_44k": MMAudioConfig(latent_dim=40, v2=True, **BASE),
    },
    "vae": {"tiny_16k": VAEConfig(dim=8), "tiny_44k": VAEConfig(num_bands=128, dim=8, latent_dim=40)},
    "bigvgan": {
        "tiny_16k": BigVGANConfig(rates=(16, 16), kernels=(32, 32), **VOCODER),
        "tiny_44k": BigVGANConfig(
            num_bands=128, rates=(32, 16), kernels=(64, 32), last_bias=False, bound="clamp", sample_rate_hz=44100,
            **VOCODER,
        ),
    },
    "clip": {
        "tiny": CLIPConfig(
            embed_dim=24, image_px=384, patch_px=128, vision_dim=32, vision_depth=1, vision_heads=2, text_dim=24,
            text_depth=1, text_heads=2,
        )
    },
    "synchformer": {"tiny": SynchformerConfig(patch_px=112, dim=24, depth=1, heads=2)},
}  # fmt: skip

FILES = {
    ("mmaudio", "tiny_16k"): "mm_16k.pth",
    ("mmaudio", "tiny_44k"): "mm_44k.pth",
    ("vae", "tiny_16k"): "v1-16.pth",
    ("vae", "tiny_44k"): "v1-44.pth",
    ("bigvgan", "tiny_16k"): "best_netG.pt",
    ("bigvgan", "tiny_44k"): "bigvgan_generator.pt",
    ("clip", "tiny"): "open_clip_pytorch_model.bin",
    ("synchformer", "tiny"): "synchformer.pth",
}
MERGES = "#version: 0.2\nr a\nra i\nrai n</w>\n"

_ENTRY = """
[{name}]
role = "{role}"
repo = "someone/mm"
file = "{file}"
config = "{config}"
licence = "MIT"
licence_url = "https://example.org/licence"
"""
_MODEL = """layout = "mmaudio"
components = {{ vae = "tiny-vae-{k}", vocoder = "tiny-voc-{k}", clip = "tiny-clip", sync = "tiny-sync", tokenizer = "tiny-words" }}
kind = "instantaneous"
steps = 3
cfg = 4.5
rescale = false
sample_rate_hz = {rate}
window_s = 8.0
"""  # noqa: E501


def register() -> str:
    """The register of the two models and their components, as TOML."""
    parts = []
    for k, rate in (("16k", 16000), ("44k", 44100)):
        for role, kind, name in (("generator", "mmaudio", "mm"), ("vae", "vae", "vae"), ("vocoder", "bigvgan", "voc")):
            size = f"tiny_{k}"
            entry = _ENTRY.format(name=f"tiny-{name}-{k}", role=role, file=FILES[kind, size], config=size)
            parts.append(entry + (_MODEL.format(k=k, rate=rate) if role == "generator" else ""))
    for role, kind in (("clip", "clip"), ("sync", "synchformer")):
        parts.append(_ENTRY.format(name=f"tiny-{role}", role=role, file=FILES[kind, "tiny"], config="tiny"))
    return "".join(parts) + _ENTRY.format(name="tiny-words", role="tokenizer", file="merges.txt", config="")


def published(kind: str, size: str) -> dict[str, Any]:
    """Pseudo-weights as the authors of a network publish theirs."""
    with torch.device("meta"):
        shapes = {
            key: tuple(t.shape) for key, t in upstream.PUBLIC[kind].network(SIZES[kind][size]).state_dict().items()
        }
    if kind == "bigvgan":
        return {"generator": _paired(shapes)}
    state = {key: torch.from_numpy(fill(key, shape)) for key, shape in shapes.items()}
    if kind == "synchformer":
        state = {f"vfeat_extractor.{key}": value for key, value in state.items()}
        return state | {"afeat_extractor.norm.weight": torch.zeros(3)}
    return state | ({"logit_scale": torch.zeros([])} if kind == "clip" else {})


def _paired(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """A vocoder's convolutions as magnitude and direction."""
    found = {}
    for key, shape in shapes.items():
        if key.endswith(".weight"):
            for leaf, size in (("_g", (shape[0], *[1] * (len(shape) - 1))), ("_v", shape)):
                found[key + leaf] = torch.from_numpy(fill(key + leaf, size))
        else:
            found[key] = torch.from_numpy(fill(key, shape))
    return found


def add_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the tiny sizes known to the loader, beside the public ones."""
    known = {
        kind: upstream.PublicNetwork(**{**vars(public), "configs": {**public.configs, **SIZES.get(kind, {})}})
        for kind, public in upstream.PUBLIC.items()
    }
    monkeypatch.setattr(upstream, "PUBLIC", known)


def files() -> dict[tuple[str, str], bytes]:
    """All files of the two models, by repo and name."""
    found = {("someone/mm", "merges.txt"): MERGES.encode()}
    for (kind, size), name in FILES.items():
        buffer = io.BytesIO()
        torch.save(published(kind, size), buffer)
        found["someone/mm", name] = buffer.getvalue()
    return found


def write_register(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the register into a folder and name it in the environment."""
    path = folder / "tiny-mmaudio.toml"
    path.write_text(register())
    monkeypatch.setenv("MFV2A_CHECKPOINTS", str(path))
