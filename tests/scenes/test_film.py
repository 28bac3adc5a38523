"""The rasteriser and the camera: gray equals the luma of colour, sizes agree, cameras with other frame rates."""

from __future__ import annotations

import numpy as np
import pytest

from mfv2a.scenes import make_scene
from mfv2a.scenes.film import film_times
from mfv2a.scenes.packing import pack
from mfv2a.scenes.placement import Placement
from mfv2a.scenes.render import LUMA, draw_shapes
from mfv2a.scenes.shapes import Paint, Shape, box, capsule, ellipse
from mfv2a.scenes.textures import LEVELS, NAMES, SIDE_PX, texture_bank

PLAIN = Paint(color=(1.0, 1.0, 1.0), contrast=0.0, shade=0.0)


def drawn(shape: Shape, place: Placement | None = None, side_px: int = 100) -> np.ndarray:
    packed = pack([shape], 1, place or Placement(0.0, 0.0, 1.0, 0.0, False))
    canvas = np.zeros((side_px, side_px, 1), np.float32)
    step = 1.0 / side_px
    view = np.array([0.5 * step, step, 0.0, 0.5 * step, 0.0, step])
    draw_shapes(canvas, packed.values[0], packed.kinds, packed.textures, texture_bank(), view, LUMA)
    return canvas[..., 0]


def test_shapes_cover_the_area_they_should() -> None:
    assert drawn(ellipse(0.5, 0.5, 0.3, 0.2, PLAIN)).mean() == pytest.approx(np.pi * 0.06, rel=0.02)
    assert drawn(box(0.5, 0.5, 0.3, 0.2, PLAIN, angle=0.4)).mean() == pytest.approx(0.24, rel=0.02)
    limb = drawn(capsule(0.3, 0.5, 0.7, 0.5, 0.1, 0.1, PLAIN))
    assert limb.mean() == pytest.approx(0.4 * 0.2 + np.pi * 0.01, rel=0.02)
    assert limb.max() == pytest.approx(1.0, abs=1e-5)


def test_a_placed_shape_is_scaled_moved_and_mirrored() -> None:
    place = Placement(0.6, 0.4, 0.5, 0.0, True)
    picture = drawn(ellipse(0.4, 0.2, 0.2, 0.2, PLAIN), place)
    rows, columns = np.nonzero(picture > 0.5)
    assert columns.mean() / 100 == pytest.approx(0.6 - 0.2, abs=0.01)
    assert rows.mean() / 100 == pytest.approx(0.4 + 0.1, abs=0.01)
    assert picture.mean() == pytest.approx(np.pi * 0.01, rel=0.05)
    unplaced = drawn(ellipse(0.4, 0.2, 0.2, 0.2, PLAIN, placed=False), place)
    assert unplaced.mean() == pytest.approx(np.pi * 0.04, rel=0.02)


def test_the_texture_bank_is_tileable_and_even() -> None:
    bank = texture_bank()
    assert bank.shape == (LEVELS, len(NAMES), SIDE_PX, SIDE_PX)
    assert np.abs(bank[0].mean(axis=(1, 2)) - 127.5).max() < 25
    seam = np.abs(bank[3, :, :, 0].astype(float) - bank[3, :, :, -1]).mean()
    inside = np.abs(np.diff(bank[3].astype(float), axis=2)).mean()
    assert seam < 3 * inside + 2


def test_gray_is_the_luma_of_the_colours() -> None:
    scene = make_scene(11, family="balls", duration_s=0.4)
    color = scene.render(as_filmed=False).astype(np.float32)
    gray = scene.render(gray=True, as_filmed=False).astype(np.float32)
    clipped = (color > 250).any(axis=-1) | (color < 5).any(axis=-1)
    assert np.abs(color @ LUMA - gray)[~clipped].mean() < 2


def test_a_large_picture_shows_what_the_small_one_shows() -> None:
    scene = make_scene(12, family="hammer", duration_s=0.2)
    small = scene.render(gray=True, as_filmed=False).astype(np.float32)
    large = scene.render(25, 448, 448, gray=True, as_filmed=False).astype(np.float32)
    shrunk = large.reshape(len(large), 112, 4, 112, 4).mean(axis=(2, 4))
    assert np.corrcoef(small.ravel(), shrunk.ravel())[0, 1] > 0.9


def test_frames_come_in_order_and_as_many_as_the_duration_asks() -> None:
    scene = make_scene(13, duration_s=1.0)
    assert scene.render(10, 32, 24).shape == (10, 24, 32, 3)
    assert np.array_equal(np.concatenate(list(scene.frames(10, 32, 24))), scene.render(10, 32, 24))
    assert make_scene(13, duration_s=0.01).render().shape == (1, 112, 112, 3)


def test_a_slower_camera_repeats_and_a_faster_one_skips() -> None:
    assert np.allclose(film_times(4, 25, 25), [0, 0.04, 0.08, 0.12])
    assert np.allclose(film_times(4, 25, 12.5), [0, 0.08, 0.08, 0.16])
    thirty = film_times(250, 25, 30)
    assert (thirty >= np.arange(250) / 25 - 1e-9).all()
    assert (thirty - np.arange(250) / 25 < 1 / 30).all()
