"""Which pictures of a film are the one before once more."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mfv2a.media.cadence import LOOK, MOST_REPEATS, Cadence, find_repeats
from mfv2a.media.motion import MOTION_DIM, MotionMeter

FLOW = MOTION_DIM - 4


def changes_of(shown: NDArray[np.int64], coding: float = 0.05) -> NDArray[np.float64]:
    """How pictures change where those of some numbers are shown; each new one moves by 3 to 5, the first is new."""
    rng = np.random.default_rng(0)
    new = np.diff(shown, prepend=shown[0] - 1) != 0
    changes = np.where(new, rng.uniform(3, 5, len(shown)), coding * rng.uniform(0.5, 1.5, len(shown)))
    changes[0] = -1
    return np.asarray(changes)


def repeated(fps: float, shown_fps: float, count: int = 90) -> NDArray[np.int64]:
    return (np.arange(count) / shown_fps * fps + 1e-6).astype(int)


@pytest.mark.parametrize(
    ("fps", "shown_fps"), [(8, 24), (8, 25), (8, 30), (12, 24), (12, 25), (15, 30), (16, 24), (16, 30), (24, 30)]
)
@pytest.mark.parametrize("coding", [0.0, 0.05, 0.2])
def test_what_a_file_shows_again_is_found(fps: float, shown_fps: float, coding: float) -> None:
    shown = repeated(fps, shown_fps)
    true = np.diff(shown, prepend=-1) == 0
    found = find_repeats(changes_of(shown, coding))
    assert np.array_equal(found[: -MOST_REPEATS - 1], true[: -MOST_REPEATS - 1])  # the end is not known to go on
    assert not (found & ~true).any()


def test_what_moves_on_has_no_repeats_whatever_its_pace() -> None:
    rng = np.random.default_rng(0)
    swing = 4 * np.abs(np.sin(np.arange(300) / 9)) + 0.8
    for changes in (rng.uniform(1, 6, 300), swing, np.exp(rng.normal(0, 0.4, 300)), np.zeros(300), np.ones(300)):
        assert not find_repeats(changes).any()


def test_a_pause_between_motion_is_none() -> None:
    """A stick that lifts, waits for three pictures and strikes; a film at rest; a strike and rest."""
    moves, rests = [4.0, 5.0, 4.0, 5.0], [0.05, 0.04, 0.05]
    assert not find_repeats(np.array([*moves, *rests, *moves, *rests, *moves])).any()
    assert not find_repeats(np.array([*moves, *rests, 4.0, *rests, *moves])).any()
    assert not find_repeats(np.array([0.05] * 20 + moves + [0.05] * 20)).any()
    assert not find_repeats(np.array([0.05] * 20 + [6.0] + [0.05] * 20)).any()
    for pause in (2, 3):  # there and back again, before what stays
        assert not find_repeats(np.array([0.05] * 20 + [6.0] + [0.05] * pause + [6.0] + [0.05] * 20)).any()


def test_a_cut_hides_repeats_near_it_alone_and_makes_none() -> None:
    shown = repeated(12, 24)
    changes = changes_of(shown)
    changes[40] = 80
    true = np.diff(shown, prepend=-1) == 0
    found = find_repeats(changes)
    assert not (found & ~true).any()
    near = np.abs(np.arange(len(shown)) - 40) <= MOST_REPEATS + 1
    assert np.array_equal(found[:-4] | near[:-4], true[:-4] | near[:-4])
    plain = np.full(60, 3.0)
    plain[30] = 80
    assert not find_repeats(plain).any()


def test_a_picture_depends_on_its_neighbours_alone() -> None:
    rng = np.random.default_rng(1)
    for number in range(60):
        changes = np.where(rng.random(120) < 0.5, 0.05, rng.uniform(1, 5, 120))
        if number % 3:  # moves of all sizes with pauses of all lengths between them
            runs = [[rng.choice([1.0, 3.0, 5.0, 20.0]), *[0.05] * int(rng.integers(0, 5))] for _ in range(120)]
            changes = np.concatenate(runs)[:120]
        whole = find_repeats(changes)
        for place in range(LOOK, 120 - LOOK):
            assert find_repeats(changes[place - LOOK : place + LOOK + 1])[LOOK] == whole[place]


@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_new_pictures_are_given_in_order_whatever_the_chunks(chunk: int) -> None:
    rng = np.random.default_rng(2)
    pictures = rng.integers(0, 255, (60, 16, 16)).astype(np.uint8)
    shown = repeated(16, 30, 110)
    frames, times = pictures[shown], np.arange(110) / 30
    cadence, given = Cadence(), []
    for first in range(0, 110, chunk):
        given += cadence.add(frames[first : first + chunk], times[first : first + chunk])
    late = 110 - LOOK
    assert given[-1][1] >= times[late - MOST_REPEATS - 1]
    assert len(cadence._changes) <= 2 * LOOK + chunk
    given += cadence.rest()
    found = [time for _, time in given]
    assert found == sorted(found)
    new = np.flatnonzero(np.diff(shown, prepend=-1))
    assert set(times[new]) <= set(found)
    assert len(found) <= len(new) + 2 * MOST_REPEATS
    for frame, time in given:
        assert np.array_equal(frame, frames[round(time * 30)])


def test_repeats_of_a_film_so_slow_that_a_picture_would_be_held_stay_in() -> None:
    rng = np.random.default_rng(4)
    pictures = rng.integers(0, 255, (20, 16, 16)).astype(np.uint8)
    shown = np.array([0, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 10, 11, 12])
    for fps, kept in ((6, 14), (12, 13)):
        cadence, times = Cadence(), np.arange(len(shown)) / fps
        given = [*cadence.add(pictures[shown], times), *cadence.rest()]
        assert len(given) == kept


def test_a_film_on_twos_moves_as_steadily_as_its_drawings() -> None:
    rng = np.random.default_rng(3)
    surface = np.kron(rng.integers(60, 200, (40, 40)), np.ones((6, 6))).astype(np.uint8)
    drawings = np.stack([surface[:112, 3 * k : 3 * k + 112].copy() for k in range(24)])
    drawings[:, 80:] = 128  # or the camera would move, which is taken away
    twos = np.repeat(drawings, 2, axis=0)
    times = np.arange(48) / 24
    found = MotionMeter().measure(twos, times, 48)[:, FLOW]
    true = MotionMeter().measure(drawings, times[::2], 48)[:, FLOW]
    assert found[:-4] == pytest.approx(true[:-4], abs=1e-5)
    assert found[1:-4].min() > 0.7 * found.max()
