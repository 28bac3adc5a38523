"""mfv2a gives silent videos sound: batch video-to-audio in one MeanFlow step.

What can be imported from here is the public surface; nothing else is promised. Each name is loaded when it is
first asked for, so that `import mfv2a` and `mfv2a --help` wait for neither torch nor numpy.

    from mfv2a import SampleOptions, load_pipeline

    pipeline = load_pipeline("embedded")
    work = pipeline.prepare(None, prompt="rain on a tin roof", duration_s=4.0)
    (latent,) = pipeline.sample([work], SampleOptions(steps=1))
    audio = pipeline.decode(work, latent, sample_rate_hz=48000)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mfv2a.errors import (
        CheckpointError,
        ConfigError,
        DeviceError,
        DeviceFaultError,
        DivergenceError,
        FfmpegMissingError,
        MediaError,
        Mfv2aError,
        SoundError,
        StartError,
        StoreError,
    )
    from mfv2a.loader import load_pipeline
    from mfv2a.pipeline import Pipeline, SampleOptions
    from mfv2a.records import Audio, Clip

__version__ = "0.1.0"

__all__ = [
    "Audio",
    "CheckpointError",
    "Clip",
    "ConfigError",
    "DeviceError",
    "DeviceFaultError",
    "DivergenceError",
    "FfmpegMissingError",
    "MediaError",
    "Mfv2aError",
    "Pipeline",
    "SampleOptions",
    "SoundError",
    "StartError",
    "StoreError",
    "__version__",
    "load_pipeline",
]

_HOMES = {"Audio": "records", "Clip": "records", "Pipeline": "pipeline", "SampleOptions": "pipeline"}
_HOMES |= {"load_pipeline": "loader"} | {name: "errors" for name in __all__ if name.endswith("Error")}


def __getattr__(name: str) -> Any:
    """A public name, from the module it lives in.

    Raises:
        AttributeError: the package has no such name.
    """
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"mfv2a.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, for completion."""
    return sorted(set(globals()) | set(__all__))
