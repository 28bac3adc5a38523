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
from mfv2a.jobs.jury import Jury, Verdict
from mfv2a.jobs.seed import candidate_seed
from mfv2a.pipeline import Pipeline, SampleOptions
from mfv2a.records import Audio
from mfv2a.work import Work


class BestOf:
    """Works -> sounds.

    Args:
        pipeline: what makes them.
        options: of its sampler.
        candidates: sounds drawn of each work; of several the best is taken.
        heard_tries: sounds drawn at most until the words are heard, one after the other.
        sample_rate_hz: of the sounds.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        options: SampleOptions,
        *,
        candidates: int = 1,
        heard_tries: int = 1,
        sample_rate_hz: int,
    ) -> None:
        self.pipeline, self._options, self._rate_hz = pipeline, options, sample_rate_hz
        self._choice = ChoiceOptions(candidates=candidates, heard_tries=heard_tries)
        self._jury = Jury(self._choice)
        self.drawn = 0
        self._found: dict[str, list[list[float]]] = {"synchrony": [], "agreement": []}

    def make(self, work: Work, phrases: Sequence[str], curve: NDArray[np.float32] | None = None) -> Audio:
        """The best sound of a work; the first drawn is that of its own seed.

        Args:
            work: what a sound is made for.
            phrases: what should be heard.
            curve: how likely something is seen to strike, None where nothing is.
        """
        sounds: list[Audio] = []
        verdicts: list[Verdict] = []
        for _ in range(self._choice.heard_tries):
            seeds = [candidate_seed(work.seed, len(sounds) + k + 1) for k in range(self._choice.candidates)]
            works = [replace(work, seed=seed) for seed in seeds]
            for latent in self.pipeline.sample(works, self._options):
                sounds.append(self.pipeline.decode(work, latent, sample_rate_hz=self._rate_hz))
                if self._choice.listens:
                    verdicts.append(self._jury.judge(sounds[-1], phrases, curve, work.strikes_s))
            best = max(range(len(verdicts)), key=lambda number: verdicts[number].rank, default=0)
            if not verdicts or verdicts[best].heard:
                break
        self.drawn += len(sounds)
        self._keep(verdicts)
        return sounds[best]

    def _keep(self, verdicts: Sequence[Verdict]) -> None:
        for name, rows in self._found.items():
            values = [getattr(verdict, name) for verdict in verdicts]
            if len(values) == self._choice.candidates and None not in values:
                rows.append(values)

    def spreads(self) -> dict[str, float]:
        """Standard deviation of each figure among the candidates of a work, over all works that had it."""
        return {
            name: float(np.std(np.array(rows) - np.mean(rows, axis=1, keepdims=True)))
            for name, rows in self._found.items()
            if rows
        }
