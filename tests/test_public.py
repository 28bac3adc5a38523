"""The public surface: what `from mfv2a import ...` gives, and that asking for nothing loads nothing."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys

import pytest

import mfv2a
from mfv2a import errors


def test_the_public_names_are_sorted_and_all_there() -> None:
    assert mfv2a.__all__ == sorted(mfv2a.__all__, key=lambda name: (not name[0].isupper(), name))
    for name in mfv2a.__all__:
        value = getattr(mfv2a, name)
        assert name == "__version__" or value.__name__ == name
        assert name in dir(mfv2a)


def test_every_error_is_public() -> None:
    tree = {
        name for name, value in vars(errors).items() if inspect.isclass(value) and value.__module__ == "mfv2a.errors"
    }
    assert tree <= set(mfv2a.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'load_pipelines'"):
        _ = mfv2a.load_pipelines
    with pytest.raises(ImportError):
        importlib.import_module("mfv2a.no_such_room")


def test_import_waits_for_nothing_heavy() -> None:
    heavy = ("torch", "numpy", "typer")
    code = f"import sys, mfv2a; mfv2a.Mfv2aError; sys.exit(repr([n for n in {heavy} if n in sys.modules]))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.stderr.strip() == "[]"


def test_the_example_in_the_docstring_makes_a_sound() -> None:
    pipeline = mfv2a.load_pipeline("tiny")
    work = pipeline.prepare(None, prompt="rain on a tin roof", duration_s=0.5)
    (latent,) = pipeline.sample([work], mfv2a.SampleOptions(steps=1))
    audio = pipeline.decode(work, latent, sample_rate_hz=48000)
    assert isinstance(pipeline, mfv2a.Pipeline)
    assert isinstance(audio, mfv2a.Audio)
    assert audio.samples.shape == (24000,)
