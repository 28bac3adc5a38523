"""Ambience that swells with what moves: how much movement there is to be heard, and what level follows from it.

Where it is not known what a clip should sound like, nobody knows what strikes in it either; but much of what sounds
in films sounds where motion stops. So the level rises there, by as much as stops, and falls back within a third of a
second: the rise, which is what is heard of an onset, goes with the movement at every moment and not at its peaks alone.

Source: that deceleration summed over directions goes with onsets of sound, Davis and Agrawala, "Visual Rhythm and
Beat", ACM TOG 2018. The constants were chosen on one film and on drawn scenes (docs/RESULTS.md).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

MOVEMENT_HZ = 25.0
RISE_DB = 2.0
"""So much the level rises in a frame whose movement is 1."""
FALL_S = 0.3
SPAN_DB = 36.0
"""From where nothing moves to where most does, at most."""
BELOW = 1 / 3
"""Share of that span by which the level lies below the ambience's own where nothing moves."""

_LOGIT, _IMPACT, _LEAST_IMPACT = 2.0, 0.4, 0.25
_CUT, _CUT_TIMES, _CUT_REACH, _CUT_ROWS = 0.35, 2.0, 4, 3
_SMOOTH = np.exp(-0.5 * np.arange(-4, 5) ** 2).astype(np.float32)


def movement_curve(
    logits: NDArray[np.float32], impact: NDArray[np.float32], difference: NDArray[np.float32]
) -> NDArray[np.float32]:
    """How much of the movement should be heard, frame by frame.

    Args:
        logits: [Y], that something strikes, of the sync encoder.
        impact: [Y], how much motion stops, summed over directions.
        difference: [Y], how much the picture changes; where it changes at once it was cut, and nothing stopped.

    Returns:
        [Y]; 0 is as much as in the clip's mean, 1 clearly more. Where all moves evenly it stays near 0.
    """
    counts = ~_after_cuts(difference)
    stops = np.sqrt(np.maximum(impact, 0.0))
    usual = float(stops[counts].mean()) if counts.any() else 0.0
    relative = np.where(counts, stops - usual, 0.0) / (_IMPACT * max(usual, _LEAST_IMPACT))
    curve = relative + (logits - logits.mean()) / _LOGIT
    reach = len(_SMOOTH) // 2
    smoothed = np.convolve(np.pad(curve, reach, mode="edge"), _SMOOTH / _SMOOTH.sum(), mode="valid")
    return smoothed.astype(np.float32)


def _after_cuts(difference: NDArray[np.float32]) -> NDArray[np.bool_]:
    """[Y], where the picture was cut, and the two frames after it, in which the flow of the cut stops."""
    padded = np.pad(difference, _CUT_REACH, mode="reflect")
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * _CUT_REACH + 1)
    others = np.median(np.delete(around, _CUT_REACH, axis=1), axis=1)
    cut = (difference > _CUT) & (difference > _CUT_TIMES * others)
    return np.convolve(cut, np.ones(_CUT_ROWS))[: len(cut)] > 0


def follow_movement(movement: Tensor) -> Tensor:
    """The level that goes with a movement.

    Args:
        movement: [Y] of `movement_curve`.

    Returns:
        Gains in dB, float32 [Y] on the CPU: 0 throughout where nothing moves.
    """
    rises = RISE_DB * np.maximum(movement.float().cpu().numpy(), 0.0)
    kept, level = float(np.exp(-1.0 / (FALL_S * MOVEMENT_HZ))), 0.0
    levels = np.empty(len(rises))
    for row, rise in enumerate(rises.tolist()):
        level = kept * level + rise
        levels[row] = level
    highest = float(levels.max(initial=0.0))
    span = min(highest, SPAN_DB)
    # As much below the loudest moment as the span, softly, so that what lies deeper does not break off.
    held = 10 * np.log10(10 ** ((levels - highest) / 10) + 10 ** (-SPAN_DB / 10))
    held -= 10 * np.log10(1 + 10 ** (-SPAN_DB / 10))
    return torch.from_numpy((held + (1 - BELOW) * span).astype(np.float32))


def swell(wave: Tensor, level_db: Tensor, sample_rate_hz: int, *, start: int = 0) -> Tensor:
    """A wave whose level follows a movement.

    Args:
        wave: [S], or a block of it.
        level_db: [Y] of `follow_movement`; the last one holds on.
        sample_rate_hz: of the wave.
        start: sample with which the block begins.

    Returns:
        [S].
    """
    places = (start + torch.arange(len(wave), dtype=torch.float64)) * (MOVEMENT_HZ / sample_rate_hz)
    last = len(level_db) - 1
    before = places.long().clamp(max=last)
    after = (before + 1).clamp(max=last)
    share = (places - before).clamp(0, 1).float()
    db = torch.lerp(level_db[before], level_db[after], share)
    return wave * (10 ** (db / 20)).to(wave.device, wave.dtype)
