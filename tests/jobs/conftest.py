"""What the tests of stores have in common."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from mfv2a.media import store


@pytest.fixture
def empty_stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to work in, nothing in the store of `memory://`, no pauses; in the end nothing is left on the disk."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    Path("temporary").mkdir()
    monkeypatch.setattr(store, "PAUSE_S", 0.0)
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    yield tmp_path
    assert not list(Path("temporary").iterdir())  # whatever happened
