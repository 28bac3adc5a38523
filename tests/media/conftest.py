"""The two ffmpeg programs that the mux tests run on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from media_clips import BUNDLED


@pytest.fixture(params=["system", "bundled"])
def each_ffmpeg(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run a test on the system's ffmpeg and on imageio-ffmpeg's."""
    found = shutil.which("ffmpeg") if request.param == "system" else str(BUNDLED)
    if found is None:
        pytest.skip("no ffmpeg on this machine's PATH")
    monkeypatch.setenv("MFV2A_FFMPEG", found)
    return Path(found)
