"""What a pipeline is made of, and how much of it is in memory at once.

Knows no network and no file: each part is loaded by a function that it is given.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch

from mfv2a.encoders.protocol import Encoders
from mfv2a.timeline import SequenceSpec

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
