"""A generator that torch compiles: the same numbers, found again by later runs, and none where no compiler is."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mfv2a import parts as module
from mfv2a.loader import load_pipeline
from mfv2a.parts import CACHE_VARIABLE, Parts, compiled
from mfv2a.pipeline import SampleOptions
from mfv2a.timeline import SequenceSpec


class Eyes:
    """Sees nothing."""


def made() -> Parts:
    return Parts(
        device=torch.device("cpu"),
        dtype=torch.float32,
        spec=SequenceSpec(),
        eyes=Eyes,  # type: ignore[arg-type]
        loads={"encoders": Eyes, "generator": lambda: torch.nn.Linear(2, 2), "decoders": Eyes},
    )


@pytest.fixture(autouse=True)
def _no_cache_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, "x")
    monkeypatch.delenv(CACHE_VARIABLE)


def test_without_a_compiler_the_model_is_loaded_as_it_is_and_that_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    monkeypatch.delenv("CXX", raising=False)
    parts = made()
    assert compiled(parts, tmp_path) is parts
    assert "no C++ compiler was found" in caplog.text
    assert CACHE_VARIABLE not in os.environ
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    on_gpu = replace(parts, device=torch.device("cuda"))
    assert compiled(on_gpu, tmp_path) is on_gpu
    assert "triton" in caplog.text


def test_the_folder_is_the_tools_own_unless_another_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module.shutil, "which", lambda name: f"/usr/bin/{name}")
    compiled(made(), tmp_path / "own")
    assert os.environ[CACHE_VARIABLE] == str(tmp_path / "own")
    compiled(made(), tmp_path / "another")
    assert os.environ[CACHE_VARIABLE] == str(tmp_path / "own")


def test_the_generator_alone_is_compiled_and_only_if_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[torch.nn.Module] = []
    monkeypatch.setattr(module, "_no_compiler", lambda device: "")
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: calls.append(self))
    load_pipeline("tiny", device="cpu")
    assert not calls
    pipeline = load_pipeline("tiny", device="cpu", compiled=True)
    assert calls == [pipeline.generator]


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.filterwarnings("ignore")
def test_a_compiled_generator_gives_the_same_latents(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MFV2A_HOME", str(tmp_path))
    plain, fast = load_pipeline("tiny", device="cpu"), load_pipeline("tiny", device="cpu", compiled=True)
    work = plain.prepare(None, prompt="rain", duration_s=1.0, seed=1)
    a, b = (each.sample([work], SampleOptions(steps=2))[0] for each in (plain, fast))
    assert torch.allclose(a, b, atol=1e-4)
    if not module._no_compiler(torch.device("cpu")):
        assert any((tmp_path / "compiled").rglob("*"))
