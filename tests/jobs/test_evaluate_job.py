"""`mfv2a evaluate` from end to end on a small model: figures that say what they are named for."""

from __future__ import annotations

import numpy as np
import pytest

from mfv2a.errors import ConfigError
from mfv2a.jobs.evaluate import EvaluateOptions, _level_difference_db, evaluate_scenes
from mfv2a.loader import load_pipeline
from mfv2a.scenes import HELD_OUT_SEED, make_scene

SHARES = (
    "onset_f1", "onset_f1_pooled", "onset_f1_shuffled", "onset_f1_shuffled_pooled", "onset_f1_true_sound",
    "onset_f1_codec", "class_agreement", "class_agreement_true_sound", "class_agreement_codec",
    "class_agreement_shuffled",
)  # fmt: skip


def test_every_figure_is_there_and_the_true_sound_is_the_better_one() -> None:
    done: list[int] = []
    options = EvaluateOptions(scenes=5)
    figures = evaluate_scenes(load_pipeline("tiny"), options, done.append)
    assert done == [1, 2, 3, 4, 5]
    assert figures["scenes"] == 5
    assert 0 < figures["scenes_with_events"] <= 5
    assert all(0 <= figures[name] <= 1 for name in SHARES)
    assert figures["onset_f1_true_sound"] > max(figures["onset_f1"], 0.7)  # the tiny model's weights are random
    assert figures["log_mel_distance"] > 0
    assert figures["frechet"] > 0


def test_the_level_difference_is_over_what_can_be_heard() -> None:
    rng = np.random.default_rng(0)
    true = [(0.1 * rng.standard_normal(16_000)).astype(np.float32) for _ in range(2)]
    silent = np.zeros(16_000, np.float32)
    assert _level_difference_db([0.5 * true[0], true[1], true[0]], [*true, silent]) == pytest.approx(-3.01, abs=0.01)
    assert _level_difference_db([true[0]], [silent]) is None


def test_scenes_without_events_have_no_onset_figures() -> None:
    calm = [k for k in range(40) if not make_scene(HELD_OUT_SEED + k).events]
    first = next(k for k in calm if k + 1 in calm)
    figures = evaluate_scenes(load_pipeline("tiny"), EvaluateOptions(scenes=2, seed=first), lambda done: None)
    assert figures["scenes_with_events"] == 0
    assert [figures[name] for name in SHARES if name.startswith("onset")] == [None] * 6
    assert figures["log_mel_distance"] > 0


@pytest.mark.parametrize("wrong", [{"scenes": 1}, {"text": False, "video": False}])
def test_what_cannot_be_measured_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        EvaluateOptions(**wrong)
