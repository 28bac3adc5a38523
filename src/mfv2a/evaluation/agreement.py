"""Whether a sound is heard as what the words say: words -> classes of the tagger -> their scores.

The names of the 521 classes have vectors in the shipped text encoder's space; words stand for the classes whose names
lie near them. Knows nothing of how a sound was made.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mfv2a.models.stored import asset_path, dequantize, read_tensors
from mfv2a.models.text import TextEncoder

NEAREST = 0.3
"""Cosine below which a class has nothing to do with the words."""
SHARPNESS = 12.0
REACH = 0.25
"""Classes so much farther than the nearest count nothing: among them would be silence, which any wave can have."""
FLOOR = 1e-3  # share of what is heard that counts as nothing
_KEPT = 512

Weights = NDArray[np.float32]


class WordClasses:
    """Words -> how much each class of the tagger speaks for them. The text encoder is loaded when it is needed."""

    def __init__(self) -> None:
        path = asset_path("tagger", "words.safetensors")
        self._vectors = dequantize(read_tensors(path))["words"]
        self._encoder: TextEncoder | None = None
        self._lock = threading.Lock()
        self._known: dict[str, Weights | None] = {}

    def weights(self, phrases: Sequence[str]) -> Weights | None:
        """Weight of each class, the mean of those of each phrase.

        Args:
            phrases: a prompt, or the names of what was recognised.

        Returns:
            [521], sum 1; None if no class is near any of them.
        """
        with self._lock:
            found = [weights for phrase in phrases if (weights := self._of(phrase)) is not None]
        return np.mean(found, axis=0, dtype=np.float32) if found else None

    def _of(self, phrase: str) -> Weights | None:
        if phrase not in self._known:
            if self._encoder is None:
                self._encoder = TextEncoder.from_assets()
            if len(self._known) >= _KEPT:
                self._known.clear()
            vector = self._encoder.encode([phrase])[1][0]
            self._known[phrase] = class_weights((self._vectors @ vector).numpy())
        return self._known[phrase]


def class_weights(cosines: NDArray[np.float32]) -> Weights | None:
    """Weights of classes [521] that sum to 1 out of the cosines of their names with the words; None if all are far."""
    nearest = cosines.max()
    if nearest < NEAREST:
        return None
    near = cosines >= max(NEAREST, nearest - REACH)
    raised = np.where(near, np.exp(SHARPNESS * (cosines - nearest)), 0.0)
    return np.asarray(raised / raised.sum(), np.float32)


def agreement(scores: NDArray[np.float32], weights: Weights) -> float:
    """How much of what is heard are the classes that the words stand for.

    A share and no sum: what sounds like rain and more like fireworks is less of a rain than rain alone.

    Args:
        scores: of each class, the mean over the sound [521], 0 to 1.
        weights: of each class [521], of which the largest counts in full.

    Returns:
        The share in logarithms, from 0 where it is `FLOOR` or less to 1 where nothing else is heard.
    """
    share = float(scores @ weights / weights.max() / max(float(scores.sum()), FLOOR))
    return 1 - math.log(min(max(share, FLOOR), 1.0)) / math.log(FLOOR)
