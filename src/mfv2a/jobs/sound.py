"""The options that make a sound, whether for a video, a prompt or a measurement."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from mfv2a.errors import ConfigError
from mfv2a.media.spool import forget

if TYPE_CHECKING:
    from mfv2a.pipeline import Pipeline, SampleOptions

SAMPLE_RATES_HZ = (8_000, 192_000)
LARGEST_RATIO = 4_000_000
"""Of the product of two rates over their common divisor: as many taps the resampling filter has, at all its phases."""
MOST_STEPS = 1000
LOUDNESS_LUFS = (-60.0, -5.0)
FAINT_DBFS = -50.0  # peak of a sound that can hardly be heard
_BLOCK_SAMPLES = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundOptions:
    """What makes a sound: shared by `dub`, `tta` and `bench`.

    Attributes:
        model: name of the checkpoint.
        negative_prompt: what should not be heard.
        as_written: read prompts word by word, as no wording that the model knows better.
        steps: sampler steps, None for the model's own.
        cfg_strength: guidance weight, None for the model's own.
        rescale: scalar rescaling of the guidance, None for the model's own.
        semantics: go by what is seen, too, and not only by when it moves.
        reuse_frames: largest difference between pictures that share their features, in levels of 255; None to encode
            every picture.
        seed: the run's seed.
        batch_size: windows sampled together.
        device: "auto", "cpu", "cuda", "cuda:1", "mps".
        dtype: "auto" or the name of a floating dtype.
        low_memory: hold encoders, generator and decoders one after the other instead of all at once.
        compile: let torch compile the generator when it first runs.
        sample_rate_hz: rate of the sound, "model" for the model's own.
        loudness_lufs: integrated loudness of each sound, None to leave it as the model makes it.
    """

    model: str = "embedded"
    negative_prompt: str = ""
    as_written: bool = False
    steps: int | None = None
    cfg_strength: float | None = None
    rescale: bool | None = None
    semantics: bool = True
    reuse_frames: float | None = None
    seed: int = 0
    batch_size: int = 8
    device: str = "auto"
    dtype: str = "auto"
    low_memory: bool = False
    compile: bool = False
    sample_rate_hz: int | Literal["model"] = 48_000
    loudness_lufs: float | None = None

    def __post_init__(self) -> None:
        if self.steps is not None and not 1 <= self.steps <= MOST_STEPS:
            raise ConfigError(f"--steps {self.steps} cannot work", hint=f"use 1 to {MOST_STEPS}; 1 is the fastest")
        if self.batch_size < 1:
            raise ConfigError(f"--batch-size {self.batch_size} cannot work", hint="use 1 or more")
        if self.reuse_frames is not None and not 0 <= self.reuse_frames < 255:
            raise ConfigError(
                f"--reuse-frames {self.reuse_frames:g} cannot work", hint="use 0 to 255 levels, such as 4"
            )
        if self.cfg_strength is not None and not (math.isfinite(self.cfg_strength) and self.cfg_strength >= 0):
            raise ConfigError(f"--cfg {self.cfg_strength} cannot work", hint="use 0 or more; 1 is no guidance")
        softest, loudest = LOUDNESS_LUFS
        if self.loudness_lufs is not None and not softest <= self.loudness_lufs <= loudest:
            raise ConfigError(
                f"--loudness {self.loudness_lufs:g} cannot work", hint=f"use {softest:g} to {loudest:g} LUFS, or off"
            )
        low, high = SAMPLE_RATES_HZ
        if self.sample_rate_hz != "model" and not low <= self.sample_rate_hz <= high:
            raise ConfigError(
                f"--sample-rate {self.sample_rate_hz} cannot work", hint=f"use {low} to {high}, or `model`"
            )

    def load(self, *, random_weights: bool = False) -> Pipeline:
        """The model, loaded; see `mfv2a.loader.load_pipeline` for what it raises."""
        from mfv2a.loader import load_pipeline

        return load_pipeline(
            self.model,
            device=self.device,
            dtype=self.dtype,
            random_weights=random_weights,
            low_memory=self.low_memory,
            compiled=self.compile,
            as_written=self.as_written,
        )

    def check(self, info: Any, *, pictures: bool, negatives: bool = False) -> None:
        """Refuse what the model cannot do.

        Args:
            info: the model's description.
            pictures: it is wanted for videos.
            negatives: negative prompts come from elsewhere, too.

        Raises:
            ConfigError: it takes no pictures, its guidance cannot be steered so, or its rate not be made this one.
        """
        from mfv2a.loader import DTYPES

        if self.dtype not in DTYPES:
            raise ConfigError(f"unknown dtype {self.dtype!r}", hint="one of " + ", ".join(DTYPES))
        made_hz, asked_hz = int(info.sample_rate_hz), self.rate_hz(info)
        if made_hz * asked_hz > LARGEST_RATIO * math.gcd(made_hz, asked_hz) ** 2:
            raise ConfigError(
                f"--sample-rate {asked_hz} has too little in common with the {made_hz} of {info.name}",
                hint="use a usual rate, such as 44100 or 48000",
            )
        if pictures and not info.sees:
            raise ConfigError(
                f"{info.name} makes sound from words alone", hint="use it with mfv2a tta, or name another --model"
            )
        if info.guidance == "none":
            return
        if info.guidance == "baked" and self.cfg_strength not in (None, info.default_cfg):
            raise ConfigError(
                f"--cfg {self.cfg_strength:g} cannot work: the guidance of {info.name} is baked into its weights",
                hint="leave --cfg out",
            )
        if self.negative_prompt or negatives:
            raise ConfigError(
                f"{info.name} takes no negative prompt: its guidance has no second branch that could be steered",
                hint="leave it out, or name a model whose guidance `mfv2a models info` calls none",
            )

    def sampler(self) -> SampleOptions:
        """The part that the pipeline's sampler takes."""
        from mfv2a.pipeline import SampleOptions

        return SampleOptions(
            steps=self.steps,
            cfg_strength=self.cfg_strength,
            rescale=self.rescale,
            batch_size=self.batch_size,
        )

    def rate_hz(self, info: Any) -> int:
        """The sample rate of the files, for the model described by `info`."""
        return int(info.sample_rate_hz) if self.sample_rate_hz == "model" else self.sample_rate_hz

    def settings(self, info: Any) -> Mapping[str, Any]:
        """What of all this decides a sound, JSON-ready, defaults of the model filled in.

        Batch size and device are left out: a sound does not depend on them.

        Args:
            info: the model's description.
        """
        level = {} if self.loudness_lufs is None else {"loudness_lufs": self.loudness_lufs}
        seen: dict[str, Any] = {} if self.semantics else {"semantics": False}
        seen |= {} if self.reuse_frames is None else {"reuse_frames": self.reuse_frames}
        read = {"as_written": True} if self.as_written else {}
        return {
            "model": info.name,
            "digest": info.digest,
            "negative_prompt": self.negative_prompt,
            "steps": info.default_steps if self.steps is None else self.steps,
            "cfg_strength": info.default_cfg if self.cfg_strength is None else self.cfg_strength,
            "rescale": info.default_rescale if self.rescale is None else self.rescale,
            "seed": self.seed,
            "dtype": self.dtype,
            "sample_rate_hz": self.rate_hz(info),
            **level,
            **seen,
            **read,
        }

    def doubts(self, info: Any, *, negatives: bool = False) -> Iterator[str]:
        """What people should know before they hear it, in sentences.

        Args:
            info: the model's description.
            negatives: some sounds have a negative prompt of their own.
        """
        strength = self.settings(info)["cfg_strength"]
        if (self.negative_prompt or negatives) and not info.guides(strength):
            yield f"a negative prompt acts only where --cfg is above 1; here it is {strength:g}"
        if not self.semantics and not info.recognizes:
            yield f"{info.name} recognises nothing in pictures: --no-video-semantics changes nothing"
        if self.reuse_frames is not None and not self.semantics and not info.reuses_motion:
            yield f"--reuse-frames does nothing with --no-video-semantics: {info.name} shares what it recognises alone"
        served = info.default_steps
        if info.kind == "instantaneous" and self.steps is not None and self.steps < served:
            badly = "step serves it badly" if self.steps == 1 else "steps serve it badly"
            yield (
                f"{info.name} predicts an instantaneous velocity; {self.steps} {badly}: use --steps {served} or more, "
                "or a model that `mfv2a models list` calls average, which one step serves"
            )


def level_dbfs(samples: NDArray[np.float32]) -> dict[str, float]:
    """How loud a sound is.

    Args:
        samples: [S] or [S, channels] in [-1, 1].

    Returns:
        "rms_dbfs" and "peak_dbfs", -120 for silence.
    """
    if samples.size == 0:
        return {"rms_dbfs": -120.0, "peak_dbfs": -120.0}
    squares, peak = 0.0, 0.0
    for first in range(0, len(samples), _BLOCK_SAMPLES):  # an hour of sound must not stand there twice
        block = samples[first : first + _BLOCK_SAMPLES]
        squares += float(np.sum(np.square(block, dtype=np.float64)))
        peak = max(peak, float(np.max(np.abs(block))))
        forget(samples)
    rms = math.sqrt(squares / samples.size)
    return {
        "rms_dbfs": round(20 * np.log10(max(rms, 1e-6)), 2),
        "peak_dbfs": round(20 * np.log10(max(peak, 1e-6)), 2),
    }
