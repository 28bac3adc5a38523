"""What the sync encoder is trained to predict, made from event times and mel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

NUM_BANDS = 8
SYNC_FPS = 25.0


def onset_curve(times_s: Sequence[float], num_frames: int, *, width_frames: float = 0.7) -> NDArray[np.float32]:
    """A bump of height 1 at each event: [Y] at 25 frames per second.

    Args:
        times_s: event times.
        num_frames: Y.
        width_frames: standard deviation of a bump.
    """
    if not len(times_s):
        return np.zeros(num_frames, np.float32)
    distance = np.arange(num_frames)[:, None] - np.asarray(times_s)[None] * SYNC_FPS
    curve: NDArray[np.float64] = np.exp(-0.5 * (distance / width_frames) ** 2).max(1)
    return curve.astype(np.float32)


def band_energies(mel: NDArray[np.float32], num_frames: int) -> NDArray[np.float32]:
    """Mean log10 energy of eight groups of mel bands, one row a video frame, centred: [Y, 8].

    Args:
        mel: log10-mel [M, F].
        num_frames: Y.
    """
    groups = mel.reshape(NUM_BANDS, -1, mel.shape[1]).mean(1)
    position = (np.arange(num_frames) + 0.5) * mel.shape[1] / num_frames - 0.5
    frames = np.arange(mel.shape[1])
    rows = np.stack([np.interp(position, frames, group) for group in groups], 1)
    return (rows + 3).astype(np.float32)
