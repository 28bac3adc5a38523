"""Woosh and MeanAudio models in small: files under their public names, a register that names them.

As `tiny_mmaudio`, on whose codec, vocoder and sync encoder they stand.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

import tiny_mmaudio
from golden.fill import fill
from mfv2a.models import upstream
from mfv2a.models.clap import CLAPTextConfig
from mfv2a.models.meanaudio import MeanAudioConfig
from mfv2a.models.roberta import RobertaConfig
from mfv2a.models.t5 import T5Config
from mfv2a.models.tokenizers import RobertaTokenizer, T5Tokenizer
from mfv2a.models.woosh import WooshConfig
from mfv2a.models.woosh_autoencoder import WooshAutoencoderConfig

WOOSH = {
    "latent_dim": 8, "text_dim": 48, "text_len": 77, "dim": 64, "num_heads": 2, "inner_dim": 96, "joint_depth": 1,
    "fused_depth": 1, "rotated_dim": 28, "time_width": 16,
}  # fmt: skip
MEAN = {
    "text_dim": 32, "pooled_dim": 32, "dim": 32, "num_heads": 2, "joint_depth": 1, "fused_depth": 1, "mlp_ratio": 1.0,
}  # fmt: skip
SIZES: dict[str, dict[str, Any]] = {
    "woosh": {"tiny_dv": WooshConfig(video_dim=24, **WOOSH), "tiny_d": WooshConfig(video_dim=0, **WOOSH)},
    "woosh_autoencoder": {
        "tiny": WooshAutoencoderConfig(latent_dim=8, dim=16, inner_dim=24, encoder_depth=1, decoder_depth=1)
    },
    "roberta": {"tiny": RobertaConfig(vocabulary=300, positions=90, dim=48, num_heads=4, inner_dim=96, depth=2)},
    "meanaudio": {"tiny": MeanAudioConfig(**MEAN), "tiny_flux": MeanAudioConfig(average=False, **MEAN)},
    "t5": {"tiny": T5Config(vocabulary=300, dim=32, num_heads=4, head_dim=8, inner_dim=48, depth=2)},
    "clap_text": {
        "tiny": CLAPTextConfig(
            vocabulary=300, positions=90, dim=48, num_heads=4, inner_dim=96, depth=1, out_dim=32
        )
    },
}  # fmt: skip

_WOOSH = """layout = "woosh"
components = {{ vae = "tiny-woosh-ae", text = "tiny-roberta", tokenizer = "tiny-bytes"{sync} }}
guidance = "input"
steps = 4
cfg = 3.0
renoise = [0.0, 0.5, 0.5, 0.3]
sample_rate_hz = 48000
window_s = {window}
sees = {sees}
"""
_MEAN = """layout = "meanaudio"
components = {{ vae = "tiny-vae-16k", vocoder = "tiny-voc-16k", text = "tiny-t5", tokenizer = "tiny-pieces", pooled = "tiny-clap", pooled_tokenizer = "tiny-bytes" }}
kind = "{kind}"
steps = {steps}
cfg = {cfg}
guidance = "{guidance}"
rescale = false
window_s = 9.975
sees = false
"""  # noqa: E501


def register() -> str:
    """The register of the four models and their components, as TOML, after that of the MMAudio models."""
    entry, parts = tiny_mmaudio._ENTRY.format, [tiny_mmaudio.register()]
    models = {
        "tiny-dvflow": ("woosh-tiny_dv", _WOOSH.format(sync=', sync = "tiny-sync"', window=8.0, sees="true")),
        "tiny-dflow": ("woosh-tiny_d", _WOOSH.format(sync="", window=5.0, sees="false")),
        "tiny-mean": ("meanaudio-tiny", _MEAN.format(kind="average", steps=1, cfg=1.0, guidance="baked")),
        "tiny-flux": ("meanaudio-tiny_flux", _MEAN.format(kind="instantaneous", steps=3, cfg=4.5, guidance="none")),
    }
    for name, (file, rest) in models.items():
        config = file.split("-")[1]
        parts.append(entry(name=name, role="generator", file=f"{file}.safetensors", config=config) + rest)
    others = (("woosh-ae", "vae", "woosh_autoencoder"), ("roberta", "text", "roberta"), ("t5", "text", "t5"))
    for name, role, kind in (*others, ("clap", "text", "clap_text")):
        parts.append(entry(name=f"tiny-{name}", role=role, file=f"{kind}-tiny.safetensors", config="tiny"))
    for name in ("bytes", "pieces"):
        parts.append(entry(name=f"tiny-{name}", role="tokenizer", file=f"{name}.json", config=""))
    return "".join(parts)


def add_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the tiny sizes known to the loader, beside the public ones."""
    tiny_mmaudio.add_sizes(monkeypatch)
    known = {
        kind: upstream.PublicNetwork(**{**vars(public), "configs": {**public.configs, **SIZES.get(kind, {})}})
        for kind, public in upstream.PUBLIC.items()
    }
    monkeypatch.setattr(upstream, "PUBLIC", known)


def files() -> dict[tuple[str, str], bytes]:
    """All files, by repo and name."""
    found = tiny_mmaudio.files()
    for kind, sizes in SIZES.items():
        for size, config in sizes.items():
            network = upstream.PUBLIC[kind].network(config)
            state = {key: torch.from_numpy(fill(key, tuple(t.shape))) for key, t in network.state_dict().items()}
            found["someone/mm", f"{kind}-{size}.safetensors"] = save(state)
    found["someone/mm", "bytes.json"] = RobertaTokenizer.of_letters()._tokenizer.to_str().encode()
    found["someone/mm", "pieces.json"] = T5Tokenizer.of_letters()._tokenizer.to_str().encode()
    return found


def write_register(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the register into a folder and name it in the environment."""
    path = folder / "tiny-others.toml"
    path.write_text(register())
    monkeypatch.setenv("MFV2A_CHECKPOINTS", str(path))
