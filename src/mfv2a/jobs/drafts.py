"""A clip between what is seen in it and what is written: the works of its shots, and the sounds that were drawn of it.

Most clips are one shot. This module knows neither files nor how a sound is made or judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mfv2a.jobs.seed import candidate_seed
from mfv2a.records import Audio

if TYPE_CHECKING:
    from torch import Tensor

    from mfv2a.jobs.jury import Verdict
    from mfv2a.pipeline import Seen, Work

CURVE_FPS = 25.0
Takes = Sequence[Sequence["Tensor"]]
"""Latents of one clip: for each candidate, one [N, C] a shot."""


class Shot(NamedTuple):
    """A stretch of a clip between two cuts.

    Attributes:
        start_s: when it begins.
        seen: what is seen in it.
    """

    start_s: float
    seen: Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One sound of a clip.

    Attributes:
        number: of the candidate, from 1.
        seed: of its noise.
        audio: the sound.
        verdict: what was found of it, None if nobody listened.
    """

    number: int
    seed: int
    audio: Audio
    verdict: Verdict | None = None


@dataclass(slots=True, eq=False, kw_only=True)
class Draft:
    """A clip on its way.

    Attributes:
        works: of each shot, in order.
        starts_s: when each shot begins; the first at 0.
        duration_s: of the clip.
        seed: of its noise.
        candidates: sounds drawn at a time.
        curve: how likely something is seen to strike, `CURVE_FPS` a second; None where nothing is.
        drawn: candidates that were drawn in earlier rounds.
        kept: the best candidates so far, the best first.
        heard: what was found of all that were drawn, for the report.
    """

    works: tuple[Work, ...]
    duration_s: float
    seed: int
    starts_s: tuple[float, ...] = (0.0,)
    candidates: int = 1
    curve: NDArray[np.float32] | None = None
    drawn: int = 0
    kept: list[Candidate] = field(default_factory=list)
    heard: list[dict[str, Any]] = field(default_factory=list)

    def seeded(self, seed: int) -> Draft:
        """The same clip with noise of its own, nothing drawn yet."""
        return replace(self, seed=seed, drawn=0, kept=[], heard=[])

    @property
    def windows(self) -> int:
        """Windows that are sampled in one round."""
        return self.candidates * sum(len(work.windows) for work in self.works)

    def numbers(self) -> range:
        """The candidates of this round."""
        return range(self.drawn + 1, self.drawn + self.candidates + 1)

    def to_draw(self) -> Iterator[Work]:
        """The works of this round: the shots of its first candidate, of its second, and so on."""
        for number in self.numbers():
            seed = candidate_seed(self.seed, number)
            for work in self.works:
                yield work if work.seed == seed else replace(work, seed=seed)

    def takes(self, latents: Iterator[Tensor]) -> list[list[Tensor]]:
        """The latents of this round out of those of `to_draw`."""
        return [[next(latents) for _ in self.works] for _ in self.numbers()]

    def keep(self, candidate: Candidate, most: int) -> None:
        """Takes a candidate in, if it is among the best so many; of equals the first stays the better."""
        assert candidate.verdict is not None
        self.kept.append(candidate)
        self.kept.sort(key=lambda each: each.verdict.rank if each.verdict else (0.0, True, 0.0), reverse=True)
        del self.kept[most:]
        facts = {"number": candidate.number, "seed": candidate.seed, **candidate.verdict.facts()}
        self.heard.append(facts)

    @property
    def confidence(self) -> float:
        """How sure it is what should be heard: the mean over time."""
        if len(self.works) == 1:
            return self.works[0].confidence
        return float(sum(work.confidence * work.duration_s for work in self.works)) / sum(
            work.duration_s for work in self.works
        )

    @property
    def recognized(self) -> tuple[str, ...]:
        """What was recognised in any shot, each name once."""
        return tuple(dict.fromkeys(name for work in self.works for name in work.recognized))

    @property
    def read_as(self) -> dict[str, str]:
        """The wording that the prompt, or what is recognised, was read as, for the report; nothing where as it is."""
        found = (work.text.read_as for work in self.works if work.text is not None and work.text.read_as)
        return {"read_as": wording} if (wording := next(found, "")) else {}

    @property
    def reused(self) -> dict[str, dict[str, float]]:
        """By the features' names: how many were taken over from pictures that hardly differ, and the largest error."""
        found: dict[str, dict[str, float]] = {}
        for reused in (each for work in self.works for each in work.reused):
            facts = found.setdefault(reused.name, {"seen": 0, "reused": 0, "difference": 0.0, "error": 0.0})
            facts["seen"] += reused.seen
            facts["reused"] += reused.reused
            facts["difference"] = max(facts["difference"], round(reused.difference, 3))
            facts["error"] = max(facts["error"], round(reused.error, 6))
        return found

    @property
    def strikes_s(self) -> tuple[float, ...]:
        """When something strikes, on the clip's clock."""
        if len(self.works) == 1:
            return self.works[0].strikes_s
        return tuple(
            round(start_s + time_s, 3)
            for start_s, work in zip(self.starts_s, self.works, strict=True)
            for time_s in work.strikes_s
        )

    @property
    def quiet(self) -> bool:
        """Nothing was asked for, recognised or seen to strike in any shot."""
        return all(work.quiet for work in self.works)


def join_curves(
    curves: Sequence[NDArray[np.float32] | None], starts_s: Sequence[float], duration_s: float
) -> NDArray[np.float32] | None:
    """The curves of shots on the clip's clock; a shot without one has 0.

    Args:
        curves: [Y] of each shot, `CURVE_FPS` a second.
        starts_s: when each begins.
        duration_s: of the clip.

    Returns:
        [Y] of the clip; None if no shot has one.
    """
    if all(curve is None for curve in curves):
        return None
    if len(curves) == 1:
        return curves[0]
    whole = np.zeros(max(1, round(duration_s * CURVE_FPS)), np.float32)
    for curve, start_s in zip(curves, starts_s, strict=True):
        place = round(start_s * CURVE_FPS)
        if curve is not None:
            part = whole[place : place + len(curve)]
            part[:] = curve[: len(part)]
    return whole
