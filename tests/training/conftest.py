"""What the tests of the scripts that train have in common."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Imports a script by its name, with those that it leans on."""
    monkeypatch.syspath_prepend(SCRIPTS)
    return importlib.import_module


@pytest.fixture
def few_wordings(script: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Scenes have a few wordings only: to encode all of them takes as long as a test does otherwise."""
    learning = script("learning")
    few = {
        label: replace(pair, training=pair.training[:3], held_out=pair.held_out[:1])
        for label, pair in learning.CAPTIONS.items()
    }
    monkeypatch.setattr(learning, "CAPTIONS", few)
    learning.all_wordings.cache_clear()
    yield
    learning.all_wordings.cache_clear()
