"""Whether speech or music is heard in a sound, by the classes of AudioSet that mean them.

Knows the tagger's scores and the names of its classes, nothing else. An instrument or a struck drum alone is no music,
a cough or laughter is no speech.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Unwanted = Literal["speech", "music"]

CLASSES: Mapping[Unwanted, tuple[str, ...]] = MappingProxyType(
    {
        "speech": (
            *("Speech", "Child speech, kid speaking", "Conversation", "Narration, monologue", "Babbling"),
            *("Speech synthesizer", "Whispering", "Shout", "Chatter", "Hubbub, speech noise, speech babble"),
        ),
        "music": ("Music", "Singing", "Choir", "Song", "Humming", "Rapping", "Chant", "Vocal music", "A capella"),
    }
)
"""Class names; the genres of music are children of "Music", whose score they raise."""
THRESHOLDS: Mapping[Unwanted, float] = MappingProxyType({"speech": 0.4, "music": 0.5})
"""Score of `heard_of` from which it counts as heard.

Where the false alarms on sound effects have become few and what is meant is still heard: see docs/RESULTS.md, and
scripts/measure_gate.py, which measured it.
"""


def heard_of(kind: Unwanted, patches: NDArray[np.floating], names: Sequence[str]) -> float:
    """How strongly speech or music is heard in a sound: one word is speech, one struck note is no music.

    Args:
        kind: "speech", the strongest score of any patch; "music", the mean over the half of the patches with the most.
        patches: scores of each patch [P, 521].
        names: of the classes.

    Returns:
        0 to 1.
    """
    places = [names.index(name) for name in CLASSES[kind]]
    strongest = np.sort(patches[:, places].astype(np.float32).max(axis=1))
    counted = 1 if kind == "speech" else (len(strongest) + 1) // 2
    return float(strongest[-counted:].mean())


def is_heard(kind: Unwanted, score: float) -> bool:
    """Whether a score of `heard_of` counts as heard."""
    return score >= THRESHOLDS[kind]
