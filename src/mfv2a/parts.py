"""What a pipeline is made of, and how much of it is in memory at once.

Knows no network and no file: each part is loaded by a function that it is given.
"""

from __future__ import annotations

import gc
import importlib.util
import logging
import os
import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from mfv2a.encoders.protocol import Encoders
from mfv2a.timeline import SequenceSpec

log = logging.getLogger(__name__)
CACHE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"
Role = Literal["encoders", "generator", "decoders"]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """A model's parts, not yet loaded.

    Attributes:
        device: where they go; dtype: of the generator.
        spec: how its sequences lie on a timeline.
        eyes: the class of its encoders, which says what frames they want.
        loads: role -> loads it: "encoders", the "generator", or the "decoders" (autoencoder, vocoder or None).
    """

    device: torch.device
    dtype: torch.dtype
    spec: SequenceSpec
    eyes: type[Encoders]
    loads: Mapping[Role, Callable[[], Any]]


class Held:
    """Parts in memory: all of them, or one at a time.

    Args:
        loads: role -> loads it.
        frugal: a part that is asked for takes the place of the one that was there.
    """

    def __init__(self, loads: Mapping[Role, Callable[[], Any]], *, frugal: bool = False) -> None:
        self.frugal = frugal
        self._loads = loads
        self._lock = threading.Lock()
        self._here: dict[Role, Any] = {}
        if not frugal:
            self._here = {role: load() for role, load in loads.items()}

    def __getitem__(self, role: Role) -> Any:
        with self._lock:
            if role not in self._here:
                self._here.clear()
                gc.collect()
                if torch.cuda.is_available():
                    torch.cuda.empty_cache()
                self._here[role] = self._loads[role]()
            return self._here[role]


def compiled(parts: Parts, folder: Path) -> Parts:
    """The same parts, with a generator that torch compiles when it first runs; as they are where that cannot be.

    What torch made once is found again by later runs. What it cannot compile runs as it is written.

    Args:
        parts: of a model.
        folder: keeps what was compiled, unless TORCHINDUCTOR_CACHE_DIR names another.
    """
    if reason := _no_compiler(parts.device):
        log.warning("--compile: %s; the model runs as it is", reason)
        return parts
    os.environ.setdefault(CACHE_VARIABLE, str(folder))

    def load() -> Any:
        import torch._dynamo

        torch._dynamo.config.suppress_errors = True  # then a network that cannot be compiled runs as it is
        network = parts.loads["generator"]()
        network.compile()
        return network

    return replace(parts, loads={**parts.loads, "generator": load})


def _no_compiler(device: torch.device) -> str:
    """Why nothing can be compiled for a device; "" if it can."""
    if device.type == "cuda":
        return "" if importlib.util.find_spec("triton") else "torch compiles for a GPU with triton, which is not here"
    named = os.environ.get("CXX")
    if any(shutil.which(name) for name in ([named] if named else ["g++", "clang++", "c++"])):
        return ""
    return f"no C++ compiler was found ({named or 'g++ or clang++'})"
