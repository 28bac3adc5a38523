"""Several sounds of one clip are listened to: how well each falls on what is seen, and is heard as what was asked for.

What ranks may not judge: figures about chosen sounds are taken with other measures. This module does not know where a
sound came from or what becomes of it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mfv2a.jobs.choice import ChoiceOptions
from mfv2a.records import Audio

if TYPE_CHECKING:
    from mfv2a.evaluation.agreement import WordClasses
    from mfv2a.evaluation.listening import Heard
    from mfv2a.models.yamnet import Tagger

SYNCHRONY_SPREAD = 0.066
AGREEMENT_SPREAD = 0.09
"""About how far the candidates of a clip lie apart (standard deviation): it makes the two comparable. Of 130 clips
`scripts/measure_sights.py --candidates 4 --each 2 --part sights --way both` tells 0.075 where something strikes (0.066
with those where nothing does) and 0.090."""
TOP_TAGS = 5
FOREMOST = 3  # of the tags; among them what was asked for counts as heard


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found of one sound.

    Attributes:
        synchrony: up to 1, how well it falls on what is seen to strike, None where nothing is seen to.
        agreement: 0 to 1, how much of what is heard is what the words say, None without words.
        unwanted: how strongly each thing that is not wanted is heard, 0 to 1.
        refused: those of them that count as heard.
        heard: what the words say is among what is heard foremost, or nothing can tell.
        tags: what the tagger hears, the strongest first.
        onsets_s: when something begins to sound.
    """

    synchrony: float | None
    agreement: float | None
    unwanted: Mapping[str, float]
    refused: tuple[str, ...]
    tags: tuple[tuple[str, float], ...]
    onsets_s: tuple[float, ...]
    heard: bool = True

    @property
    def score(self) -> float:
        """Synchrony and agreement, each by how far candidates of a clip lie apart; what is not known counts nothing."""
        return (self.synchrony or 0.0) / SYNCHRONY_SPREAD + (self.agreement or 0.0) / AGREEMENT_SPREAD

    @property
    def rank(self) -> tuple[float, bool, float]:
        """Sorts sounds, the best last: what is not refused before all that is, of that the least bad.

        Where nothing is seen to strike, what is heard as what the words say comes before what is not.
        """
        worst = max((self.unwanted[name] for name in self.refused), default=0.0)
        return -worst, self.heard or self.synchrony is not None, self.score

    def facts(self) -> dict[str, Any]:
        """For the report, JSON-ready."""
        known = {"synchrony": self.synchrony, "agreement": self.agreement}
        facts: dict[str, Any] = {name: None if value is None else round(value, 4) for name, value in known.items()}
        facts["score"] = round(self.score, 3)
        facts |= {name: round(value, 3) for name, value in self.unwanted.items()}
        return facts | ({"refused": list(self.refused)} if self.refused else {})


class Jury:
    """Listens to sounds. The tagger and the text encoder are loaded with the first; several threads may ask.

    Args:
        choice: how sounds are chosen.
    """

    def __init__(self, choice: ChoiceOptions) -> None:
        self._choice = choice
        self._lock = threading.Lock()
        self._tagger: Tagger | None = None
        self._words: WordClasses | None = None

    def judge(
        self,
        audio: Audio,
        phrases: Sequence[str],
        curve: NDArray[np.float32] | None = None,
        strikes_s: Sequence[float] = (),
    ) -> Verdict:
        """Listens to one sound.

        Args:
            audio: the sound alone.
            phrases: what should be heard: a prompt, or names of what was recognised; blank ones count nothing.
            curve: how likely something is seen to strike, 25 a second, None where nothing is.
            strikes_s: when something is.
        """
        from mfv2a.evaluation.agreement import agreement
        from mfv2a.evaluation.listening import listen
        from mfv2a.evaluation.synchrony import synchrony
        from mfv2a.evaluation.unwanted import heard_of, is_heard
        from mfv2a.pipeline import STRIKE_FPS

        tagger, words = self._ears()
        heard = listen(audio.samples, audio.sample_rate_hz, tagger=tagger)
        assert heard.scores is not None
        assert heard.patches is not None
        weights = words.weights([phrase for phrase in phrases if phrase.strip()])
        unwanted: dict[str, float] = {
            name: heard_of(name, heard.patches, tagger.names) for name in self._choice.unwanted
        }
        return Verdict(
            synchrony=None
            if curve is None
            else synchrony(heard.onsets_s, strikes_s, heard.envelope(STRIKE_FPS), curve),
            agreement=None if weights is None else agreement(heard.scores, weights),
            unwanted=unwanted,
            refused=tuple(name for name in self._choice.unwanted if is_heard(name, unwanted[name])),
            heard=weights is None or bool(weights[_foremost(heard, FOREMOST)].any()),
            tags=_tags(heard, tagger),
            onsets_s=heard.onsets_s,
        )

    def _ears(self) -> tuple[Tagger, WordClasses]:
        from mfv2a.evaluation.agreement import WordClasses
        from mfv2a.models.yamnet import Tagger

        with self._lock:
            if self._tagger is None or self._words is None:
                self._tagger, self._words = Tagger.from_assets(), WordClasses()
            return self._tagger, self._words


def _tags(heard: Heard, tagger: Tagger) -> tuple[tuple[str, float], ...]:
    """Names and scores of the classes that are heard the most."""
    assert heard.scores is not None
    places = _foremost(heard, TOP_TAGS)
    return tuple((tagger.names[place], round(float(heard.scores[place]), 3)) for place in places.tolist())


def _foremost(heard: Heard, count: int) -> NDArray[np.intp]:
    """The classes that are heard the most, the strongest first."""
    assert heard.scores is not None
    return np.argsort(-heard.scores)[:count]
