"""What passes through the pipeline: how to sample, and clips made ready to sample."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from mfv2a.errors import ConfigError, SoundError
from mfv2a.records import Reused
from mfv2a.swell import follow_movement, swell
from mfv2a.timeline import Window

QUIET_PEAK = 0.02
SWELL_PEAK = 0.15
NO_NUMBERS = "the model made what is no number, so there is no sound"
NO_NUMBERS_HINT = "use --dtype float32, or look at the model's file: mfv2a models verify"


class Words(NamedTuple):
    """What a text encoder makes of a prompt.

    Attributes:
        tokens: a vector a token [L, D].
        pooled: a vector of the whole prompt [D'], for the models that take one.
        read_as: the wording that the prompt was read as, "" for itself.
    """

    tokens: Tensor
    pooled: Tensor | None = None
    read_as: str = ""


@dataclass(frozen=True, kw_only=True)
class SampleOptions:
    """How to sample; None takes the model's default.

    Attributes:
        steps: sampler steps.
        cfg_strength: guidance weight w; 1 is none and costs one evaluation a step.
        rescale: rescale the unconditional prediction by the projection scalar; None as the model's register says.
        match_deviation: bring the deviation of what guidance predicts back to that without it, `mfv2a.flow.guidance`.
        renoise: share of each step's length that noise is topped up by before it, see `mfv2a.flow.sampler.sample`.
        batch_size: windows sampled together.
    """

    steps: int | None = None
    cfg_strength: float | None = None
    rescale: bool | None = None
    match_deviation: bool = False
    renoise: tuple[float, ...] | None = None
    batch_size: int = 8

    def __post_init__(self) -> None:
        if self.steps is not None and self.steps < 1:
            raise ConfigError(f"steps must be at least 1, not {self.steps}")
        if self.renoise is not None and not all(0 <= share <= 1 for share in self.renoise):
            raise ConfigError(f"renoise shares must lie between 0 and 1: {self.renoise}")
        if self.batch_size < 1:
            raise ConfigError(f"batch size must be at least 1, not {self.batch_size}")


@dataclass(frozen=True, kw_only=True)
class Work:
    """One clip or text made ready to sample.

    Attributes:
        duration_s: length asked for.
        seed: of the noise field.
        windows: stretches of the timeline that are sampled, see `mfv2a.timeline`.
        confidence: 0 to 1, how sure it is what should be heard: a prompt, something recognised, or strikes.
        recognized: names of what was recognised, surest first.
        strikes_s: when something strikes, as the sync encoder sees it.
        quiet: nothing was asked for, surely recognised or seen to strike: the sound is ambience, held down to
            `QUIET_PEAK`, or to as much more as it swells, `SWELL_PEAK` at most.
        level_db: gains [Y] in dB that the sound follows, on the CPU, see `mfv2a.swell`; None for one that follows what
            is seen by itself.
        clip: semantic vectors [V, D] over the whole timeline, or None.
        sync: [Y, D] over the whole timeline, or None.
        text: what the prompt says, or None.
        negative: what guidance steers away from, or None.
        offset: first latent's place in the noise field; not 0 for a later shot of a clip.
        reused: how much of its features was taken over from pictures that hardly differ; () if that was not asked for.
    """

    duration_s: float
    seed: int
    windows: tuple[Window, ...]
    confidence: float
    recognized: tuple[str, ...] = ()
    strikes_s: tuple[float, ...] = ()
    quiet: bool = False
    level_db: Tensor | None = None
    clip: Tensor | None = None
    sync: Tensor | None = None
    text: Words | None = None
    negative: Words | None = None
    offset: int = 0
    reused: tuple[Reused, ...] = ()

    def swelled(self, wave: Tensor, sample_rate_hz: int, *, start: int = 0) -> Tensor:
        """A wave [S], or a block of it that begins with sample `start`, at the levels that it shall follow."""
        return wave if self.level_db is None else swell(wave, self.level_db, sample_rate_hz, start=start)

    def levelled(self, wave: Tensor, sample_rate_hz: int) -> Tensor:
        """A whole wave [S], `swelled` and held down where it, or a quiet work's, is too loud."""
        wave = self.swelled(wave, sample_rate_hz)
        return wave * self.gain(self.peak(wave, sample_rate_hz))

    def peak(self, wave: Tensor, sample_rate_hz: int, *, start: int = 0) -> float:
        """The largest magnitude of what will be heard of a wave, not of what its windows make beyond the clip's end.

        Args:
            wave: [S], or a block of it.
            sample_rate_hz: of the wave.
            start: sample with which the block begins.

        Returns:
            0 if nothing of it will be heard, infinite if any of it is no number.
        """
        if not bool(wave.isfinite().all()):
            return math.inf
        own = wave[: max(0, math.ceil(self.duration_s * sample_rate_hz) - start)]
        return float(own.abs().max()) if len(own) else 0.0

    def gain(self, peak: float) -> float:
        """What holds a wave with this largest magnitude down: 1 unless it is too loud, or a quiet work's.

        Raises:
            SoundError: the magnitude is no number.
        """
        if not math.isfinite(peak):
            raise SoundError(NO_NUMBERS, hint=NO_NUMBERS_HINT)
        return min(1.0, self._loudest() / (peak + 1e-9))

    def _loudest(self) -> float:
        """The largest magnitude that the sound may have."""
        if not self.quiet or self.level_db is None:
            return QUIET_PEAK if self.quiet else 1.0
        return min(SWELL_PEAK, QUIET_PEAK * 10 ** (float(self.level_db.max()) / 20))


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the encoders make of a clip; see `Work`.

    Attributes:
        sound: what is surely recognised sounds like, "" for nothing.
        movement: how much of the movement should be heard [Y], on the CPU, see `mfv2a.swell`; None where that is not
            told.
    """

    confidence: float = 0.0
    recognized: tuple[str, ...] = ()
    sound: str = ""
    strikes_s: tuple[float, ...] = ()
    clip: Tensor | None = None
    sync: Tensor | None = None
    movement: Tensor | None = None
    reused: tuple[Reused, ...] = ()

    def follow(self) -> Tensor | None:
        """Gains [Y] in dB of ambience that swells with the movement; see `Work.level_db`."""
        return None if self.movement is None else follow_movement(self.movement)


def check_numbers(latents: list[Tensor]) -> list[Tensor]:
    """The latents, if all that they hold are numbers.

    Raises:
        SoundError: they are not.
    """
    if not all(bool(latent.isfinite().all()) for latent in latents):
        raise SoundError(NO_NUMBERS, hint=NO_NUMBERS_HINT)
    return latents
