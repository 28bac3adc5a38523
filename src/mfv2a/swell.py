"""Ambience that swells where motion stops: how much of it there is to be heard, and what level follows from it.

Where it is not known what a clip should sound like, nobody knows what strikes in it either; but much of what sounds
in films sounds where motion stops. So the level rises there, by as much as stops, and then falls: the rise, which is
what is heard of an onset, goes with the movement at every moment and not at its peaks alone.

Source: that deceleration summed over directions goes with onsets of sound, Davis and Agrawala, "Visual Rhythm and
Beat", ACM TOG 2018. The constants were chosen on one film and on drawn scenes (docs/RESULTS.md, log: Ambience that
swells).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from torch import Tensor

MOVEMENT_HZ = 25.0
RISE_DB = 2.0
"""So much the level rises in a frame whose movement is 1."""
FALL_S = 0.3
"""In which it falls to 1 / e of that."""
SPAN_DB = 36.0
"""At most so far the level lies below that of the loudest moment around it."""
BELOW = 1 / 3
"""Share of that span by which it lies below the ambience's own where nothing moves; the rest lies above."""
AROUND_S = 10.0
"""How far around it counts; it comes and goes as slowly, so that it is felt twice as far."""

Curve = NDArray[np.float32]
Mask = NDArray[np.bool_]

_LOGIT, _IMPACT, _LEAST_IMPACT = 2.0, 0.4, 0.4
_CUT, _CUT_TIMES, _CUT_REACH = 0.35, 1.7, 4
_STILL, _MOVES, _MOVES_ROWS = 0.02, 0.1, 5
_ALIKE, _FADES = 0.9, 1e-4
_SMOOTH = np.exp(-0.5 * np.arange(-4, 5) ** 2)


def movement_curve(logits: Curve, impact: Curve, difference: Curve, brightening: Curve) -> Curve:
    """How much of the movement should be heard, frame by frame.

    Args:
        logits: [Y], that something strikes, of the sync encoder.
        impact: [Y], the root of how much motion stops, summed over directions.
        difference: [Y], twice the root of how much the picture changes. Where it changes at once it was cut, and
            neither the cut nor what stops after it counts; where it hardly does, or for a frame or two only, as where
            a still picture is coded anew, nothing moves.
        brightening: [Y], the cube root of how much brighter the picture gets. Where hardly any of it gets darker, or
            hardly any brighter, it fades, and that counts as little as a cut.

    Returns:
        [Y]; 0 is as much as in the clip's mean, 1 clearly more, each spread over its neighbours (0.16 s at most). 0
        where all moves evenly or nothing does.
    """
    change = (difference / 2) ** 2
    fades = (np.abs(brightening) ** 3 > _ALIKE * change) & (change > _FADES)
    counts = ~(_of_cuts(difference) | fades)
    stops = np.sqrt(np.maximum(impact, 0.0))
    usual, expected = (float(values[counts].mean()) if counts.any() else 0.0 for values in (stops, logits))
    relative = (stops - usual) / (_IMPACT * max(usual, _LEAST_IMPACT)) + (logits - expected) / _LOGIT
    curve = np.where(counts, relative, 0.0) * np.minimum(_lasting(difference) / _MOVES, 1.0)
    padded = np.pad(curve, len(_SMOOTH) // 2, mode="edge")
    return np.convolve(padded, _SMOOTH / _SMOOTH.sum(), mode="valid").astype(np.float32)


def _of_cuts(difference: Curve) -> Mask:
    """[Y], the rows of cuts and those in which the flow of a cut stops.

    A cut takes as many rows as there are from one picture to the next; the picture after it, which may come much later,
    takes as many again.
    """
    others = np.median(np.delete(_around(difference, _CUT_REACH), _CUT_REACH, axis=1), axis=1)
    cut = (difference > _CUT) & (difference > _CUT_TIMES * others)
    found = np.zeros(len(cut), np.bool_)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], cut, [False]])))
    for first, last in edges.reshape(-1, 2).tolist():
        found[first:last] = True
        left = last - first + 1
        while last < len(cut) and left > 0:
            found[last] = True
            left -= bool(difference[last] > _STILL)
            last += 1
    return found


def _lasting(difference: Curve) -> Curve:
    """[Y], the change of the picture without what lasts for less than three frames."""
    usual = np.median(_around(difference, _MOVES_ROWS // 2), axis=1)
    return np.asarray(_around(usual, _MOVES_ROWS // 2).max(axis=1))


def follow_movement(movement: Tensor) -> Tensor:
    """The level that goes with a movement.

    Args:
        movement: [Y] of `movement_curve`.

    Returns:
        Gains in dB, float32 [Y] on the CPU: 0 throughout where nothing moves, else below 0 at rest and twice as far
        above it in the loudest moment of the seconds around, which lie `SPAN_DB` apart at most.
    """
    rises = RISE_DB * np.maximum(movement.float().cpu().numpy(), 0.0)
    kept, level = float(np.exp(-1.0 / (FALL_S * MOVEMENT_HZ))), 0.0
    levels = np.empty(len(rises))
    for row, rise in enumerate(rises.tolist()):
        level = kept * level + rise
        levels[row] = level
    reach = round(AROUND_S * MOVEMENT_HZ)
    highest = _around(levels, reach, "edge").max(axis=1)
    loudest = _around(highest, reach, "edge").mean(axis=1)  # changes slowly, and is nowhere below the level
    floor = 10 ** (-SPAN_DB / 10)
    held = 10 * np.log10((10 ** ((levels - loudest) / 10) + floor) / (1 + floor))
    return torch.from_numpy((held + (1 - BELOW) * np.minimum(loudest, SPAN_DB)).astype(np.float32))


def _around(
    values: NDArray[np.floating], reach: int, beyond: Literal["reflect", "edge"] = "reflect"
) -> NDArray[np.floating]:
    """A view [Y, 2 * reach + 1] of each value's neighbours; `beyond` the ends lies what `numpy.pad` makes of them."""
    return sliding_window_view(np.pad(values, reach, mode=beyond), 2 * reach + 1)


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
