"""Which of several sounds is the best, by what was found of each."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mfv2a.jobs.jury import AGREEMENT_SPREAD, SYNCHRONY_SPREAD, TOP_TAGS, Verdict, _tags


def verdict(synchrony: float | None = None, agreement: float | None = None, **unwanted: float) -> Verdict:
    """What is heard by four tenths or more is refused."""
    refused = tuple(name for name, value in unwanted.items() if value >= 0.4)
    return Verdict(synchrony=synchrony, agreement=agreement, unwanted=unwanted, refused=refused, tags=(), onsets_s=())


def test_synchrony_and_agreement_each_count_by_their_spread() -> None:
    assert verdict(0.5 + SYNCHRONY_SPREAD, 0.3).score - verdict(0.5, 0.3).score == pytest.approx(1)
    assert verdict(0.5, 0.3 + AGREEMENT_SPREAD).score - verdict(0.5, 0.3).score == pytest.approx(1)
    assert verdict(0.5).score == pytest.approx(0.5 / SYNCHRONY_SPREAD)
    assert verdict(None, 0.3).score == pytest.approx(0.3 / AGREEMENT_SPREAD)
    assert verdict().score == 0


def test_what_is_not_refused_comes_first_and_its_score_alone_ranks_it() -> None:
    best = verdict(0.9, speech=0.39)
    ranked = [verdict(0.9, speech=0.9), verdict(0.1, speech=0.5, music=0.8), verdict(0.9, speech=0.7),
              verdict(0.1, speech=0.7, music=0.41), verdict(0.8, speech=0.0), best]  # fmt: skip
    by_worst = [ranked[0], ranked[1], ranked[3], ranked[2], ranked[4], best]
    assert sorted(ranked, key=lambda each: each.rank) == by_worst


def test_what_is_heard_as_asked_comes_first_where_nothing_strikes() -> None:
    words, missed = verdict(None, 0.2), replace(verdict(None, 0.9), heard=False)
    assert words.rank > missed.rank
    assert verdict(None, 0.3).rank > words.rank
    assert replace(verdict(0.9, 0.2), heard=False).rank > verdict(0.1, 0.2).rank
    assert words.rank > replace(words, unwanted={"speech": 0.9}, refused=("speech",)).rank


def test_the_tags_are_those_that_are_heard_the_most() -> None:
    scores = np.arange(10, dtype=np.float32)[::-1] / 10
    heard: Any = SimpleNamespace(scores=scores[[3, 0, 9, 1, 2, 4, 5, 6, 7, 8]])
    tagger: Any = SimpleNamespace(names=list("daxbcefghi"))
    assert [name for name, _ in _tags(heard, tagger)] == list("abcde")[:TOP_TAGS]
    assert _tags(heard, tagger)[0] == ("a", 0.9)
