"""Motion features: what is still is zero, what moves shows its direction, mirrored pictures give mirrored motion."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mfv2a.media.motion import CELLS, DIRECTIONS, GRID, MOTION_DIM, MOTION_SIZE_PX, mirror_motion, motion_features

FLOW = CELLS * DIRECTIONS


def moving_patch(step_x: int, step_y: int, *, frames: int = 8) -> NDArray[np.uint8]:
    """A textured patch that crosses a gray picture."""
    rng = np.random.default_rng(3)
    patch = rng.integers(0, 255, (24, 24)).astype(np.uint8)
    film = np.full((frames, MOTION_SIZE_PX, MOTION_SIZE_PX), 128, np.uint8)
    for k in range(frames):
        x, y = 20 + step_x * k, 20 + step_y * k
        film[k, y : y + 24, x : x + 24] = patch
    return film


def directions(motion: NDArray[np.float32]) -> NDArray[np.float32]:
    """Flow by direction, summed over frames and cells: [8]; 0 is to the right, 2 is down."""
    return np.square(motion[:, :FLOW]).reshape(-1, CELLS, DIRECTIONS).sum((0, 1))


@pytest.mark.parametrize(("step", "direction"), [((3, 0), 0), ((0, 3), 2), ((2, 2), 1)])
def test_what_moves_shows_its_direction(step: tuple[int, int], direction: int) -> None:
    motion = motion_features(moving_patch(*step))
    assert motion.shape == (8, MOTION_DIM)
    assert not motion[0].any()
    assert directions(motion).argmax() == direction


def test_a_still_picture_has_no_motion() -> None:
    assert not motion_features(moving_patch(0, 0)).any()


def test_a_mirrored_picture_gives_mirrored_motion() -> None:
    film = moving_patch(3, 0)
    plain, mirrored = motion_features(film), motion_features(film[:, :, ::-1])
    turned = mirror_motion(plain)
    assert directions(turned).argmax() == directions(mirrored).argmax() == DIRECTIONS // 2
    assert np.corrcoef(turned.ravel(), mirrored.ravel())[0, 1] > 0.9
    # Differences of pixels hang on no flow estimate: they agree exactly.
    np.testing.assert_allclose(turned[:, FLOW:-8], mirrored[:, FLOW:-8], atol=1e-5)
    np.testing.assert_array_equal(mirror_motion(turned), plain)


def test_the_camera_turns_too() -> None:
    motion = np.zeros((2, MOTION_DIM), np.float32)
    motion[:, FLOW + 2 * GRID * GRID + 2] = 0.5
    assert (mirror_motion(motion)[:, FLOW + 2 * GRID * GRID + 2] == -0.5).all()
