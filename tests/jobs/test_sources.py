"""Rows of the sync encoder's batches: mirrored, faster and slower worlds keep motion, events and sound together."""

from __future__ import annotations

import numpy as np
import pytest

from mfv2a.jobs.sources import MAX_STRETCH, SYNC_FPS, _sync_row
from mfv2a.media.motion import MOTION_DIM
from mfv2a.scenes import LABELS


@pytest.mark.parametrize("seed", range(12))
def test_motion_events_and_bands_stay_together_at_any_speed(seed: int) -> None:
    """One event at 4 s, where motion and sound have their peak too."""
    frames, at = 8 * SYNC_FPS, 4 * SYNC_FPS
    near = np.exp(-0.5 * ((np.arange(frames) - at) / 3.0) ** 2).astype(np.float32)
    motion = np.repeat(near[:, None], MOTION_DIM, 1)
    mel = np.repeat(np.interp(np.arange(500), np.arange(frames) * 2.5 + 0.75, near)[None] * 4 - 5, 80, 0)
    facts = {"events": [(at / SYNC_FPS, 1.0)], "label": LABELS[3]}
    row = _sync_row(motion, mel.astype(np.float32), facts, {LABELS[3]: 3}, 7.0, np.random.default_rng(seed))
    length = round(7.0 * SYNC_FPS)
    assert [row[name].shape for name in ("motion", "onset", "bands")] == [(length, MOTION_DIM), (length,), (length, 8)]
    assert row["label"] == 3
    heard = int(row["onset"].argmax())
    assert abs(int(row["motion"][:, 0].argmax()) - heard) <= 1
    assert abs(int(row["bands"][:, 0].argmax()) - heard) <= 2
    assert row["onset"].max() > 0.7


def test_speeds_lie_on_both_sides_and_directions_are_mirrored_in_half_of_the_rows() -> None:
    frames = 8 * SYNC_FPS
    motion = np.zeros((frames, MOTION_DIM), np.float32)
    motion[:, 0] = 1  # the first cell moves to the right
    facts = {"events": [(k / 2, 1.0) for k in range(1, 16)], "label": LABELS[0]}
    gaps, mirrored = [], []
    for seed in range(60):
        row = _sync_row(
            motion, np.zeros((80, 500), np.float32), facts, {LABELS[0]: 0}, 5.0, np.random.default_rng(seed)
        )
        times = np.flatnonzero((row["onset"][1:-1] > row["onset"][:-2]) & (row["onset"][1:-1] >= row["onset"][2:]))
        gaps.append(float(np.median(np.diff(times))))
        mirrored.append(row["motion"][:, 0].max() == 0)
    assert min(gaps) >= 12.5 * np.exp(-MAX_STRETCH) - 1
    assert max(gaps) <= 12.5 * np.exp(MAX_STRETCH) + 1
    assert min(gaps) < 12 < 13 < max(gaps)
    assert 15 < sum(mirrored) < 45
