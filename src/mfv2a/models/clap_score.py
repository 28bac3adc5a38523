"""The whole of CLAP, words and sounds as vectors of one space: the network of the library transformers, filled here.

`clap.py` has the words' branch alone, for a generator; this is a judge of the field's measures. The library is imported
when a network is built, from sizes and tensors that are given: it loads and fetches nothing.

Source: Wu et al., "Large-scale Contrastive Language-Audio Pretraining with Feature Fusion and Keyword-to-Caption
Augmentation", arXiv 2211.06687.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from mfv2a.errors import CheckpointError, StartError
from mfv2a.models.t5 import transformers
from mfv2a.models.upstream import read_public

SAMPLE_RATE_HZ = 48_000
LONGEST_S = 10.0
_LONGEST_TOKENS = 77
_TABLES = "position_ids"


class ClapJudge(nn.Module):
    """Words and sounds to unit vectors of one space.

    Args:
        whole: transformers' ClapModel.
        front: its feature extractor.
        tokenizer: words -> token numbers, of the library tokenizers.

    """

    def __init__(self, whole: nn.Module, front: Any, tokenizer: Any) -> None:
        super().__init__()
        self.whole, self._front, self._tokenizer = whole, front, tokenizer

    @torch.inference_mode()
    def hear(self, wave: NDArray[np.float32]) -> Tensor:
        """The unit vector [D] of the first 10 s of a wave [S] at 48 kHz; a shorter one is repeated."""
        piece = wave[: round(LONGEST_S * SAMPLE_RATE_HZ)]
        inputs = self._front(piece, sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt")
        return _unit(self.whole.get_audio_features(input_features=inputs["input_features"].to(self._device)))  # type: ignore[operator]

    @torch.inference_mode()
    def read(self, text: str) -> Tensor:
        """The unit vector [D] of a sentence; what is longer than 77 tokens is cut."""
        ids = self._tokenizer.encode(text).ids
        if len(ids) > _LONGEST_TOKENS:
            ids = [*ids[: _LONGEST_TOKENS - 1], ids[-1]]
        row = torch.tensor([ids], device=self._device)
        return _unit(self.whole.get_text_features(input_ids=row, attention_mask=torch.ones_like(row)))  # type: ignore[operator]

    @property
    def _device(self) -> torch.device:
        return next(self.whole.parameters()).device


def build_clap(config: Mapping[str, Any]) -> nn.Module:
    """The network of a `config.json`, its weights random.

    Raises:
        StartError: transformers is not installed.
    """
    library = transformers()
    network: nn.Module = library.ClapModel(library.ClapConfig(**config))
    return network


def load_clap(files: Mapping[str, Path], *, device: str = "cpu") -> ClapJudge:
    """The judge, from the files of its repo.

    Args:
        files: "weights" (model.safetensors), "config" (config.json), "preprocessor" (preprocessor_config.json) and
            "tokenizer" (tokenizer.json).
        device: where it goes.

    Raises:
        StartError: transformers is not installed.
        CheckpointError: a file is damaged or does not fit.
    """
    from tokenizers import Tokenizer

    if importlib.util.find_spec("transformers") is None:
        raise StartError("CLAP needs the library transformers", hint="pip install 'mfv2a[eval]'")
    library = transformers()
    whole = build_clap(_read(files["config"]))
    tensors = {name: value for name, value in read_public(files["weights"]).items() if not name.endswith(_TABLES)}
    missing, unknown = whole.load_state_dict(tensors, strict=False)
    missing = [name for name in missing if not name.endswith(_TABLES)]
    if missing or unknown:
        raise CheckpointError(f"{files['weights']} does not fit CLAP: {', '.join([*missing, *unknown][:4])}")
    front = library.ClapFeatureExtractor(**_settings(_read(files["preprocessor"])))
    try:
        tokenizer = Tokenizer.from_file(str(files["tokenizer"]))
    except Exception as error:  # the library raises what it likes
        raise CheckpointError(f"{files['tokenizer']} is no tokenizer: {error}") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return ClapJudge(whole.to(device).eval().requires_grad_(False), front, tokenizer)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot read {path}: {error}", hint="download it again") from error
    return found if isinstance(found, dict) else {}


def _settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """What the feature extractor takes; names of classes stay behind."""
    return {name: value for name, value in values.items() if not name.endswith(("_type", "_class"))}


def _unit(found: Any) -> Tensor:
    """Newer libraries give the vectors in a record."""
    vectors: Tensor = found if isinstance(found, Tensor) else found.pooler_output
    return F.normalize(vectors, dim=-1)[0].cpu()
