"""Scores of what a judge heard on both sides of a clip."""

from __future__ import annotations

import numpy as np
import pytest

from mfv2a.evaluation.embeddings import Heard
from mfv2a.jobs.measure import _judged_scores


def test_a_kl_goes_from_the_true_sound_to_the_generated_one() -> None:
    made, true = np.array([0.9, 0.1]), np.array([0.5, 0.5])
    ours, theirs = (
        Heard(embeddings=np.zeros((1, 2), np.float32), logits=np.log(share).astype(np.float32), top=0)
        for share in (made, true)
    )
    found = _judged_scores("panns", ours, theirs)
    assert found["kl_panns"] == pytest.approx((true * np.log(true / made)).sum(), abs=1e-4)
    p, q = true / (1 + true), made / (1 + made)  # the sigmoid of a logarithm
    assert found["kl_sigmoid_panns"] == pytest.approx((p * np.log(p / q)).sum(), abs=1e-4)
