"""What the tests of the scripts that train have in common."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Imports a script by its name, with those that it leans on."""
    monkeypatch.syspath_prepend(SCRIPTS)
    return importlib.import_module
