"""Several sounds of one work are drawn, and the one is taken that `mfv2a` would take.

The tagger and what the sync encoder sees choose: what they tell of chosen sounds says what choosing does for who
believes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mfv2a.jobs.choice import ChoiceOptions
from mfv2a.jobs.jury import Jury
from mfv2a.jobs.seed import candidate_seed
from mfv2a.pipeline import Pipeline, SampleOptions
from mfv2a.records import Audio
from mfv2a.work import Work


class BestOf:
    """Works -> sounds.

    Args:
        pipeline: what makes them.
        options: of its sampler.
        candidates: sounds drawn of each work.
        sample_rate_hz: of the sounds.
    """

    def __init__(self, pipeline: Pipeline, options: SampleOptions, candidates: int, sample_rate_hz: int) -> None:
        self.pipeline, self._options = pipeline, options
        self._candidates, self._rate_hz = candidates, sample_rate_hz
        self._jury = Jury(ChoiceOptions(candidates=candidates))
        self._found: dict[str, list[list[float]]] = {"synchrony": [], "agreement": []}

    def make(self, work: Work, phrases: Sequence[str], curve: NDArray[np.float32] | None = None) -> Audio:
        """The best sound of a work; the first drawn is that of its own seed.

        Args:
            work: what a sound is made for.
            phrases: what should be heard.
            curve: how likely something is seen to strike, None where nothing is.
        """
        works = [replace(work, seed=candidate_seed(work.seed, number + 1)) for number in range(self._candidates)]
        latents = self.pipeline.sample(works, self._options)
        sounds = [self.pipeline.decode(work, latent, sample_rate_hz=self._rate_hz) for latent in latents]
        if len(sounds) == 1:
            return sounds[0]
        verdicts = [self._jury.judge(sound, phrases, curve, work.strikes_s) for sound in sounds]
        for name, rows in self._found.items():
            values = [getattr(verdict, name) for verdict in verdicts]
            if None not in values:
                rows.append(values)
        return sounds[max(range(len(sounds)), key=lambda number: verdicts[number].rank)]

    def spreads(self) -> dict[str, float]:
        """Standard deviation of each figure among the candidates of a work, over all works that had it."""
        return {
            name: float(np.std(np.array(rows) - np.mean(rows, axis=1, keepdims=True)))
            for name, rows in self._found.items()
            if rows
        }
