"""Motion features: what is still is zero, what moves shows its direction, mirrored pictures give mirrored motion."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mfv2a.media.motion import (
    CELLS,
    DIRECTIONS,
    FINE_DIRECTIONS,
    GRID,
    MOTION_DIM,
    MOTION_SIZE_PX,
    mirror_motion,
    motion_features,
)

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


def spread_over(flow: NDArray[np.float64], cells: int, bins: int) -> NDArray[np.float64]:
    """Lengths of flow [S, S, 2] by cell of a square grid and direction, pixel by pixel: [cells, cells, bins]."""
    out, side = np.zeros((cells, cells, bins)), len(flow)
    for row, column in np.ndindex(side, side):
        x, y = flow[row, column]
        place = np.arctan2(y, x) % (2 * np.pi) / (2 * np.pi) * bins
        low, share = int(place), place % 1
        cell = out[row * cells // side, column * cells // side]
        cell[low % bins] += (1 - share) * np.hypot(x, y)
        cell[(low + 1) % bins] += share * np.hypot(x, y)
    return out


def test_features_are_those_of_the_definition() -> None:
    rng = np.random.default_rng(0)
    texture = cv2.GaussianBlur(rng.integers(0, 255, (160, 160)).astype(np.uint8), (0, 0), 3)
    film = np.stack([texture[k * 2 : k * 2 + 112, 30 - k : 142 - k] for k in range(3)])
    film[1:, 60:80, 60:80] //= 2
    got = motion_features(film)
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    fine = np.zeros(FINE_DIRECTIONS)
    for k in (1, 2):
        flow = dis.calc(film[k - 1], film[k], None)[1::2, 1::2].astype(np.float64)
        camera = np.median(flow, (0, 1))
        flow = flow - camera
        length = np.hypot(flow[..., 0], flow[..., 1])
        before, fine = fine, spread_over(flow, 1, FINE_DIRECTIONS)[0, 0] / length.size
        cells = spread_over(flow, GRID, DIRECTIONS) / (length.size / CELLS)
        change = (film[k].astype(float) - film[k - 1]) / 255
        blocks = change.reshape(GRID, MOTION_SIZE_PX // GRID, GRID, -1)
        absolute, signed = np.abs(blocks).mean((1, 3)).ravel(), blocks.mean((1, 3)).ravel()
        overall = [
            np.sqrt(np.maximum(before - fine, 0).sum()),
            np.sqrt(np.maximum(fine - before, 0).sum()),
            *np.tanh(camera / 4),
            np.sqrt(length.mean()),
            np.sqrt(np.percentile(length, 95)) / 2,
            np.sqrt(absolute.mean()) * 2,
            np.cbrt(signed.mean()),
        ]
        want = np.concatenate([np.sqrt(cells).ravel(), 2 * np.sqrt(absolute), np.cbrt(signed), overall])
        np.testing.assert_allclose(got[k], want, atol=2e-3)


def test_what_moves_by_a_repeated_picture_moves_on_through_it() -> None:
    film = moving_patch(3, 0)[:3]
    found, true = motion_features(film[[0, 1, 1, 2]]), motion_features(film)
    np.testing.assert_array_equal(found[:2], true[:2])
    np.testing.assert_array_equal(found[2], found[3])
    np.testing.assert_allclose(np.square(found[2:, :FLOW]).sum(), np.square(true[2, :FLOW]).sum(), rtol=1e-4)
