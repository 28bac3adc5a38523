"""What people would write under each kind of scene (`captions.toml`), to train on and to judge by."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Wordings:
    """Captions of one label.

    Attributes:
        training: wordings used below `scenes.HELD_OUT_SEED`.
        held_out: other wordings of the same, never used there.
    """

    training: tuple[str, ...]
    held_out: tuple[str, ...]


def _read() -> dict[str, Wordings]:
    text = Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
    table = tomllib.loads(text)
    return {label: Wordings(tuple(row["training"]), tuple(row["held_out"])) for label, row in table.items()}


CAPTIONS: dict[str, Wordings] = _read()
"""Wordings of every label."""
